"""The OpenAPI document's part about the audit log."""

from usageledger.registry import AUDIT_TYPES
from usageledger.server.json_schema import FLAG, SECONDS, TEXT, TEXT_OR_NULL, Schema, answer, const, described


def audit_components() -> dict[str, Schema]:
    """Makes the named schemas of the audit log."""
    local = answer({"type": const("local"), "local": answer({"user": TEXT})}, "A command on the server's machine.")
    key = answer({"type": const("api_key"), "api_key": answer({"id": TEXT})}, "A key, over HTTP.")
    entry = answer(
        {
            "object": const("organization.audit_log"),
            "id": TEXT,
            "type": {"type": "string", "enum": list(AUDIT_TYPES)},
            "effective_at": described(SECONDS, "Unix seconds."),
            "actor": {"oneOf": [local, key]},
            **{name: described({"type": "object"}, f"What was changed, of type `{name}`.") for name in AUDIT_TYPES},
        },
        "A change, with what was changed in the field called as its type.",
        optional=AUDIT_TYPES,
    )
    return {
        "AuditLogList": answer(
            {
                "object": const("list"),
                "data": {"type": "array", "items": entry},
                "first_id": TEXT_OR_NULL,
                "last_id": TEXT_OR_NULL,
                "has_more": FLAG,
            }
        )
    }
