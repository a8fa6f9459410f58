"""Run by Alembic: the connection comes from `migrate`, in a transaction that it commits."""

from alembic import context

from usageledger.registry.schema import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,
)
context.run_migrations()
