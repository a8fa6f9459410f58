"""What a registry knows by name, by walking its lists."""

from usageledger.registry import Registry


def seen_ids(registry: Registry) -> tuple[set[str], set[str]]:
    """The ids of all projects, archived ones too, and of all users."""
    projects = registry.list_projects(limit=10_000, include_archived=True).data
    return {project.id for project in projects}, {user.id for user in registry.list_users(limit=10_000).data}
