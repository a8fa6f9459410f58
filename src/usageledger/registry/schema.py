"""The tables, as the newest migration leaves them. Times are Unix seconds."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, MetaData, String, Table, Text
from sqlalchemy import UniqueConstraint as Unique

from usageledger.sources.readings import EMITTER_CHARACTERS_MAX

# The newest revision in migrations/versions. A registry that says the same opens without Alembic.
SCHEMA_VERSION = "0012"

# Our own name, so that a PostgreSQL database may hold another application's Alembic version too.
VERSION_TABLE = "usageledger_registry_version"

TEXT_CHARACTERS_MAX = 256
DIGEST_BYTES = 32
SECRET_BYTES = 32
CLAIM_BYTES = 16

# SQLite numbers rows by itself only where the key is called INTEGER, which has 64 bits there.
NUMBER = BigInteger().with_variant(Integer, "sqlite")

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
    }
)

admin_keys = Table(
    "admin_keys",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("name", String(TEXT_CHARACTERS_MAX), nullable=False),
    Column("redacted_value", String(64), nullable=False),
    Column("digest", LargeBinary(DIGEST_BYTES), nullable=False, unique=True),
    Column("scopes", String(TEXT_CHARACTERS_MAX), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("last_used_at", BigInteger),
    Column("revoked_at", BigInteger),
    Index("ix_admin_keys_created_at_id", "created_at", "id"),
)

projects = Table(
    "projects",
    metadata,
    Column("id", String(TEXT_CHARACTERS_MAX), primary_key=True),
    Column("name", String(TEXT_CHARACTERS_MAX), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("archived_at", BigInteger),
    Index("ix_projects_created_at_id", "created_at", "id"),
)

users = Table(
    "users",
    metadata,
    Column("id", String(TEXT_CHARACTERS_MAX), primary_key=True),
    Column("name", String(TEXT_CHARACTERS_MAX)),
    Column("email", String(TEXT_CHARACTERS_MAX)),
    Column("role", String(32), nullable=False),
    Column("added_at", BigInteger, nullable=False),
    Index("ix_users_added_at_id", "added_at", "id"),
)

secrets = Table(
    "secrets",
    metadata,
    Column("name", String(TEXT_CHARACTERS_MAX), primary_key=True),
    Column("value", LargeBinary(SECRET_BYTES), nullable=False),
)

# A rate card: what it is about. What it says is in card_prices, a row for each revision of it; none is ever changed.
rate_cards = Table(
    "rate_cards",
    metadata,
    Column("id", NUMBER, primary_key=True),
    Column("digest", LargeBinary(DIGEST_BYTES), nullable=False, unique=True),
    Column("subject", Text, nullable=False),
)

price_lists = Table(
    "price_lists",
    metadata,
    Column("id", NUMBER, primary_key=True),
    Column("digest", LargeBinary(DIGEST_BYTES), nullable=False, unique=True),
    Column("prices", Text, nullable=False),
)

price_revisions = Table(
    "price_revisions",
    metadata,
    Column("id", NUMBER, primary_key=True),
    Column("created_at", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
)

# `revision` is 0 for what a card said when it was given; `day` is the card's own, so that the prices of a window are
# found without the others.
card_prices = Table(
    "card_prices",
    metadata,
    Column("id", NUMBER, primary_key=True),
    Column("card_id", NUMBER, ForeignKey("rate_cards.id"), nullable=False),
    Column("day", BigInteger, nullable=False, server_default="0"),
    Column("revision", NUMBER, nullable=False),
    Column("price_list_id", NUMBER, ForeignKey("price_lists.id"), nullable=False),
    Unique("card_id", "revision"),
    Index("ix_card_prices_day", "day", "price_list_id", "revision"),
)

price_overrides = Table(
    "price_overrides",
    metadata,
    Column("id", NUMBER, primary_key=True),
    Column("created_at", BigInteger, nullable=False),
    Column("price", Text, nullable=False),
)

# The file of public prices that was taken last; `body` is its text, compressed by zstd.
price_files = Table(
    "price_files",
    metadata,
    Column("serial", NUMBER, primary_key=True, autoincrement=False),
    Column("sha256", String(64), nullable=False),
    Column("made", String(10), nullable=False),
    Column("confirmed_through", String(10), nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("set_at", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
)

audit_log = Table(
    "audit_log",
    metadata,
    Column("id", NUMBER, primary_key=True),
    Column("effective_at", BigInteger, nullable=False),
    Column("type", String(64), nullable=False),
    Column("actor", String(TEXT_CHARACTERS_MAX), nullable=False),
    Column("details", Text, nullable=False),
)

# A sign-in of the dashboard; the row is removed when it is signed out.
sessions = Table(
    "sessions",
    metadata,
    Column("digest", LargeBinary(DIGEST_BYTES), primary_key=True),
    Column("key_id", String(64), ForeignKey("admin_keys.id"), nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)

# A count of what an emitter sent: `item` is what became of it, and `example` the id of the newest.
source_counts = Table(
    "source_counts",
    metadata,
    Column("emitter", String(EMITTER_CHARACTERS_MAX), primary_key=True),
    Column("version", String(EMITTER_CHARACTERS_MAX), primary_key=True),
    Column("item", String(64), primary_key=True),
    Column("count", BigInteger, nullable=False),
    Column("example", String(TEXT_CHARACTERS_MAX), nullable=False),
    Column("first_at", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
)

# The second at which a response counts, by a digest of its id; removed when no server needs it any more.
claims = Table(
    "claims",
    metadata,
    Column("digest", LargeBinary(CLAIM_BYTES), primary_key=True),
    Column("second", BigInteger, primary_key=True, autoincrement=False),
    Column("made_at", BigInteger, nullable=False),
    Index("ix_claims_made_at", "made_at"),
)

# A rule of the operator on sources; `key_id` is empty for all keys.
source_rules = Table(
    "source_rules",
    metadata,
    Column("id", NUMBER, primary_key=True),
    Column("emitter", String(EMITTER_CHARACTERS_MAX), nullable=False),
    Column("key_id", String(64), nullable=False),
    Column("field", String(64), nullable=False),
    Column("origins", Text, nullable=False),
    Column("set_at", BigInteger, nullable=False),
)

# The limit of a scope; `project_id` is empty for the organization.
spend_limits = Table(
    "spend_limits",
    metadata,
    Column("project_id", String(TEXT_CHARACTERS_MAX), primary_key=True),
    Column("threshold_cents", BigInteger, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
)

# An alert of a scope, as above; `number` is the order in which they were made, and `recipients` a list in JSON.
spend_alerts = Table(
    "spend_alerts",
    metadata,
    Column("number", NUMBER, primary_key=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("project_id", String(TEXT_CHARACTERS_MAX), nullable=False),
    Column("threshold_cents", BigInteger, nullable=False),
    Column("recipients", Text, nullable=False),
    Column("subject_prefix", Text),
    Column("changed_at", BigInteger, nullable=False),
    Index("ix_spend_alerts_project_id_number", "project_id", "number"),
)

# The spend of a month had reached an alert's threshold. `spend` is what it was then, in 10⁻¹⁸/9 USD: it may have more
# digits than numbers of the database.
spend_alert_firings = Table(
    "spend_alert_firings",
    metadata,
    Column("number", NUMBER, primary_key=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("alert_id", String(64), nullable=False),
    Column("project_id", String(TEXT_CHARACTERS_MAX), nullable=False),
    Column("period_start", BigInteger, nullable=False),
    Column("threshold_cents", BigInteger, nullable=False),
    Column("fired_at", BigInteger, nullable=False),
    Column("spend", Text, nullable=False),
    Column("cause", String(16), nullable=False),
    Column("subject_prefix", Text),
    Column("facts", Text),
    Unique("alert_id", "period_start", "threshold_cents"),
)

# A message to one target about a firing.
spend_deliveries = Table(
    "spend_deliveries",
    metadata,
    Column("number", NUMBER, primary_key=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("firing_id", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("target", String(TEXT_CHARACTERS_MAX), nullable=False),
    Column("attempts", BigInteger, nullable=False),
    Column("next_at", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("last_status", Text),
    Index("ix_spend_deliveries_state_next_at", "state", "next_at"),
    Index("ix_spend_deliveries_firing_id", "firing_id"),
)

# An endpoint that messages of alerts are posted to.
webhook_endpoints = Table(
    "webhook_endpoints",
    metadata,
    Column("number", NUMBER, primary_key=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("url", Text, nullable=False),
    Column("format", String(16), nullable=False),
    Column("secret", Text, nullable=False),
    Column("previous_secret", Text),
    Column("previous_until", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("disabled_at", BigInteger),
)

# A counter of a metric: how much of it is counted, and the last claim that said so.
counters = Table(
    "counters",
    metadata,
    Column("digest", LargeBinary(CLAIM_BYTES), primary_key=True),
    Column("total", BigInteger, nullable=False),
    Column("requests", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("claim", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Index("ix_counters_seen_at", "seen_at"),
)

# The events of a claim on counters, as JSON; removed when they are known to be in the ledger.
counter_claims = Table(
    "counter_claims",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("events", Text, nullable=False),
    Column("made_at", BigInteger, nullable=False),
)
