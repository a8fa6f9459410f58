"""The registry: admin API keys, projects, users, server secrets and prices.

Small, mutable, transactional things live here, beside the ledger and not in it. SQLite by default, so
that a server and the command line can use one file at once; PostgreSQL, for several servers, through the same code.
"""

from usageledger.registry.alert_firings import AlertFirings, Cause, Crossing, Firing
from usageledger.registry.audit import AUDIT_TYPES, AuditEntry, AuditLog, Wanted
from usageledger.registry.claims import Claimed, Claims
from usageledger.registry.deliveries import Deliveries, Delivery
from usageledger.registry.deliveries import Kind as DeliveryKind
from usageledger.registry.deliveries import State as DeliveryState
from usageledger.registry.price_files import PriceFiles, StoredPrices
from usageledger.registry.prices import GIVEN, CardPrices, OwnPrice, RateCards, Revision
from usageledger.registry.records import MANAGE, READ, SCOPES, WRITE, AdminKey, Listing, Order, Project, Scope, User
from usageledger.registry.registry import Registry, open_registry
from usageledger.registry.spend_settings import AlertTerms, SpendAlert, SpendLimit, SpendSettings
from usageledger.registry.webhook_endpoints import Format as WebhookFormat
from usageledger.registry.webhook_endpoints import WebhookEndpoint, WebhookEndpoints

__all__ = [
    "AUDIT_TYPES",
    "GIVEN",
    "MANAGE",
    "READ",
    "SCOPES",
    "WRITE",
    "AdminKey",
    "AlertFirings",
    "AlertTerms",
    "AuditEntry",
    "AuditLog",
    "CardPrices",
    "Cause",
    "Claimed",
    "Claims",
    "Crossing",
    "Deliveries",
    "Delivery",
    "DeliveryKind",
    "DeliveryState",
    "Firing",
    "Listing",
    "Order",
    "OwnPrice",
    "PriceFiles",
    "Project",
    "RateCards",
    "Registry",
    "Revision",
    "Scope",
    "SpendAlert",
    "SpendLimit",
    "SpendSettings",
    "StoredPrices",
    "User",
    "Wanted",
    "WebhookEndpoint",
    "WebhookEndpoints",
    "WebhookFormat",
    "open_registry",
]
