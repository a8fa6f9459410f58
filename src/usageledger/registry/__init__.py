"""The registry: admin API keys, projects, users and server secrets.

Small, mutable, transactional things live here, beside the ledger and not in it. SQLite by default, so
that a server and the command line can use one file at once; PostgreSQL through the same code.
"""

from usageledger.registry.records import SCOPES, AdminKey, Listing, Order, Project, Scope, User
from usageledger.registry.registry import Registry, open_registry

__all__ = ["SCOPES", "AdminKey", "Listing", "Order", "Project", "Registry", "Scope", "User", "open_registry"]
