"""The JSON Schemas of what the server reads and answers, made from METERS and from the fields it validates by.

Source of the names and shapes: OpenAI's API document. Answers list all of their fields as required; they may get more.
"""

import msgspec

from usageledger.events.typed_events import ERRORS_LISTED_MAX, FIELDS, Timestamp
from usageledger.meter import Meter
from usageledger.meters import COSTS, METERS
from usageledger.registry import SCOPES
from usageledger.server.api.event_examples import event_example
from usageledger.server.api.keys import NEW_KEY
from usageledger.server.api.projects import NEW_PROJECT, PROJECT_CHANGE
from usageledger.server.api.users import USER_CHANGE
from usageledger.server.json_schema import (
    COUNT,
    FLAG,
    NULL,
    NUMBER,
    SECONDS,
    SECONDS_OR_NULL,
    TEXT,
    TEXT_OR_NULL,
    Schema,
    answer,
    const,
    described,
    ref,
    title,
)
from usageledger.server.openapi.bodies import body, completed

EVENT_DOCS = {
    "id": "Yours, and the same when you send the event again: with `timestamp` it is the event's identity.",
    "timestamp": "When the usage happened: Unix seconds, or an RFC 3339 time with a time zone.",
    "provider": "Whose model or service it was.",
}
PARTS_DOC = (
    " Give totals, parts or both: what is missing is derived where only one answer is possible, and numbers that "
    "contradict each other are refused. `input_tokens` and `output_tokens`, or numbers that they follow from, are "
    "required."
)
BODY_DOCS = {
    "name": "What people know it by.",
    "expires_in_seconds": "How long the key works; without it, for ever.",
    "scopes": "What the key may do; without it, everything.",
}


def components() -> dict[str, Schema]:
    """Every named schema of the document."""
    made = {"Error": _error(), "Event": _event_union(), **_event_answers(), **_meter_list(), **_server()}
    made["TimeZone"] = {
        "type": "string",
        "minLength": 1,
        "description": "A name of the IANA time zone database, in any case.",
        "examples": ["Europe/Berlin"],
    }
    made["EventTimestamp"] = completed(msgspec.json.schema(Timestamp))
    for meter in METERS:
        name = title(meter)
        made[f"{name}Event"] = _event(meter)
        made[f"{name}Result"] = _result(meter)
        made[f"{name}Page"] = _page(meter)
    made |= {"CostsResult": _cost_result(), "CostsPage": _page(COSTS), "FacetList": _facet_list()}
    return made | _projects() | _users() | _keys()


# --- usage -------------------------------------------------------------------------------------------------------


def _result(meter: Meter) -> Schema:
    """Describes a result of a bucket."""
    return answer(
        {
            "object": const(meter.object),
            **{m.name: described(COUNT, m.doc) for m in meter.reported},
            **{
                d.name: described(
                    {"type": ["boolean" if d.flag else "string", "null"]}, f"{d.doc} Null unless grouped by it."
                )
                for d in meter.groupings
            },
        },
        f"{meter.title} of one group in one bucket.",
    )


def _cost_result() -> Schema:
    """Describes a result of a bucket of costs."""
    amount = answer({"value": described(NUMBER, "All its digits; read it as a decimal."), "currency": const("usd")})
    text: Schema = {"type": ["string", "null"]}
    shown = {d.name: described(text, f"{d.doc} Null unless grouped by it.") for d in COSTS.groupings}
    quantity: Schema = {"type": ["number", "null"], "minimum": 0}
    return answer(
        {
            "object": const(COSTS.object),
            "amount": described(amount, "What the usage cost."),
            **shown,
            "quantity": described(quantity, "How much was used, where grouped by line item."),
            "quantity_unit": described(TEXT_OR_NULL, "The unit of the quantity."),
        },
        "Costs of one group in one bucket.",
        optional=[d.name for d in COSTS.groupings if d.extension],
    )


def _facet_list() -> Schema:
    name = described(TEXT_OR_NULL, "What the registry calls it, where that is not the value itself.")
    entry = answer({"object": const("facet"), "value": TEXT, "name": name})
    data: Schema = {"type": "array", "items": entry}
    more = described(FLAG, "Whether there are more: search for them.")
    return answer({"object": const("list"), "data": data, "has_more": more}, "Values of a dimension, in their order.")


def _page(meter: Meter) -> Schema:
    bucket = answer(
        {
            "object": const("bucket"),
            "start_time": described(SECONDS, "Start, inclusive, Unix seconds."),
            "end_time": described(SECONDS, "End, exclusive, Unix seconds."),
            "start_time_iso": {"type": "string", "format": "date-time"},
            "end_time_iso": {"type": "string", "format": "date-time"},
            "results": {"type": "array", "items": ref(f"{title(meter)}Result")},
        }
    )
    return answer(
        {
            "object": const("page"),
            "data": {"type": "array", "items": bucket, "description": "Buckets in ascending order, empty ones too."},
            "has_more": FLAG,
            "next_page": described(TEXT_OR_NULL, "What `page` takes to go on; null on the last page."),
        },
        f"{meter.title} by buckets of time.",
    )


# --- events ------------------------------------------------------------------------------------------------------


def _event(meter: Meter) -> Schema:
    docs = {d.name: d.doc for d in meter.dimensions} | {m.name: m.doc for m in meter.measures} | EVENT_DOCS
    schema = body(FIELDS[meter.kind].values(), docs)
    timestamp = described(ref("EventTimestamp"), EVENT_DOCS["timestamp"])
    schema["properties"] = {"kind": const(meter.kind), **schema["properties"], "timestamp": timestamp}
    schema["required"] = ["kind", *schema["required"]]
    schema["examples"] = [event_example(meter)]
    parts = PARTS_DOC if any(len(measure.columns) > 1 for measure in meter.measures) else ""
    return described(schema, f"{meter.title} that were used.{parts}")


def _event_union() -> Schema:
    names = {meter.kind: f"{title(meter)}Event" for meter in METERS}
    return {
        "description": "One event of usage; `kind` says of what.",
        "oneOf": [ref(name) for name in names.values()],
        "discriminator": {
            "propertyName": "kind",
            "mapping": {kind: f"#/components/schemas/{name}" for kind, name in names.items()},
        },
    }


def _event_answers() -> dict[str, Schema]:
    rejection = answer(
        {
            "index": described(COUNT, "The event's place in the request, from 0; with NDJSON, among its lines."),
            "id": described(TEXT_OR_NULL, "The event's id, where it could be read."),
            "code": described(TEXT, "The reason, for machines, such as `missing_field` or `conflict`."),
            "param": described(TEXT_OR_NULL, "The field at fault."),
            "message": described(TEXT, "The reason, for people."),
        },
        "One reason why one event was refused; an event may have several.",
    )
    batch = answer(
        {
            "object": const("event.batch"),
            "accepted": described(COUNT, "Events that are now on disk."),
            "duplicates": described(COUNT, "Events that were there before with the same payload; they count once."),
            "same_response": described(
                COUNT,
                "Those of `duplicates` that came another way: the same response at another second or with other names.",
            ),
            "rejected": described(COUNT, "Events that were refused; the others of the request were kept."),
            "errors": {"type": "array", "items": ref("EventRejection"), "maxItems": ERRORS_LISTED_MAX},
            "errors_omitted": described(COUNT, "How many more refusals there are than `errors` lists."),
        },
        "What came of the events of a request.",
        optional=["same_response", "errors_omitted"],
    )
    return {"EventRejection": rejection, "EventBatch": batch}


# --- errors, meters, health --------------------------------------------------------------------------------------


def _error() -> Schema:
    error = answer(
        {
            "message": described(TEXT, "Names the value given and the values allowed."),
            "type": TEXT,
            "param": described(TEXT_OR_NULL, "The parameter or field at fault."),
            "code": described(TEXT_OR_NULL, "The reason, for machines."),
        }
    )
    return answer({"error": error}, "The body of every error.")


def _meter_list() -> dict[str, Schema]:
    unit_field = described(TEXT_OR_NULL, "The result field that names the unit, where it differs between results.")
    measure = answer(
        {
            "name": TEXT,
            "unit": TEXT,
            "doc": TEXT,
            "adds": {"type": "string", "enum": ["sum", "gauge"]},
            "required": described(FLAG, "Whether every event carries it, or numbers that it follows from."),
            "unit_field": unit_field,
        }
    )
    values: Schema = {"type": ["array", "null"], "items": TEXT, "description": "The documented values, if any."}
    dimension = answer({"name": TEXT, "doc": TEXT, "filter": TEXT_OR_NULL, "values": values, "flag": FLAG})
    width = answer({"name": TEXT, "seconds": COUNT, "default_limit": COUNT, "max_limit": COUNT})
    meter = answer(
        {
            "object": const("meter"),
            "kind": TEXT,
            "title": TEXT,
            "path": TEXT,
            "result_object": TEXT,
            "measures": {"type": "array", "items": measure},
            "dimensions": {"type": "array", "items": dimension},
            "bucket_widths": {"type": "array", "items": width},
            "priced": described(FLAG, "Whether it reports amounts: costs do."),
            "extension": described(FLAG, "Whether it is a kind of UsageLedger's that OpenAI's API lacks."),
        },
        "One kind of usage, or costs: what it measures and by what it is told apart.",
    )
    several = answer({"object": const("list"), "data": {"type": "array", "items": ref("Meter")}})
    return {"Meter": meter, "MeterList": several}


def _server() -> dict[str, Schema]:
    status: Schema = {"type": "string", "enum": ["ready", "not ready"]}
    reasons = described({"type": "array", "items": {"type": "string"}}, "Why it is not ready; empty where it is.")
    return {
        "OpenApi": described({"type": "object", "required": ["openapi", "info", "paths"]}, "An OpenAPI document."),
        "Health": answer({"status": const("ok")}),
        "Readiness": answer(
            {"status": status, "reasons": reasons, "queued_events": described(COUNT, "Events that wait for the disk.")}
        ),
    }


# --- projects, users, keys ---------------------------------------------------------------------------------------


def list_of(name: str) -> Schema:
    """Describes a page of a list."""
    return answer(
        {
            "object": const("list"),
            "data": {"type": "array", "items": ref(name)},
            "first_id": TEXT_OR_NULL,
            "last_id": described(TEXT_OR_NULL, "What `after` takes to go on."),
            "has_more": FLAG,
        }
    )


def _projects() -> dict[str, Schema]:
    project = answer(
        {
            "object": const("organization.project"),
            "id": TEXT,
            "name": described(TEXT, "Its id, for a project that was first seen in an event and not named since."),
            "created_at": SECONDS,
            "archived_at": SECONDS_OR_NULL,
            "status": {"type": "string", "enum": ["active", "archived"]},
            "external_key_id": NULL,
        },
        "A project.",
    )
    return {
        "Project": project,
        "ProjectList": list_of("Project"),
        "ProjectCreate": body(NEW_PROJECT, BODY_DOCS),
        "ProjectUpdate": body(PROJECT_CHANGE, BODY_DOCS),
        **_project_members(),
    }


def _project_members() -> dict[str, Schema]:
    first, last = (described(SECONDS, f"When the {which} event that is kept named it.") for which in ("first", "last"))
    account: dict[str, Schema] = {"id": TEXT, "name": TEXT, "created_at": first, "role": const("member")}
    owner = answer({"type": const("service_account"), "service_account": answer(account)})
    key = {
        "object": const("organization.project.api_key"),
        "id": TEXT,
        "name": described(TEXT, "Its id, where it is no key of this API."),
        "redacted_value": described(TEXT, "Empty where it is no key of this API."),
        "created_at": first,
        "last_used_at": last,
        "expires_at": described(SECONDS_OR_NULL, "Null where it is no key of this API, or never expires."),
        "owner": described(owner, "Events do not say whose a key is: each is a service account of its own."),
        "owner_project_access": const("active"),
    }
    user = {
        "object": const("organization.project.user"),
        "id": TEXT,
        "name": TEXT_OR_NULL,
        "email": NULL,
        "role": const("member"),
        "added_at": first,
    }
    named = {
        "ProjectApiKey": answer(key, "A key, as the events of a project name it."),
        "ProjectServiceAccount": answer({"object": const("organization.project.service_account"), **account}),
        "ProjectUser": answer(user, "A user, as the events of a project name it."),
    }
    return named | {f"{name}List": list_of(name) for name in named}


def _users() -> dict[str, Schema]:
    unknown = ("api_key_last_used_at", "is_scale_tier_authorized_purchaser", "technical_level", "developer_persona")
    nested = {"object": const("user"), "id": TEXT, "name": TEXT_OR_NULL, "email": TEXT_OR_NULL}
    user = answer(
        {
            "object": const("organization.user"),
            "id": TEXT,
            "name": TEXT_OR_NULL,
            "email": TEXT_OR_NULL,
            "role": TEXT,
            "added_at": described(SECONDS, "When an event first named the user."),
            "created": SECONDS,
            **dict.fromkeys(("is_default", "is_service_account", "is_scim_managed"), FLAG),
            **dict.fromkeys((*unknown, "projects"), NULL),
            "user": answer({**nested, **dict.fromkeys(("picture", "enabled", "banned", "banned_at"), NULL)}),
        },
        "A user whom events named.",
    )
    return {"User": user, "UserList": list_of("User"), "UserUpdate": body(USER_CHANGE, BODY_DOCS)}


def _keys() -> dict[str, Schema]:
    owner = answer(
        {"type": const("user"), "object": const("organization.user"), "id": TEXT, "name": TEXT}
        | {"created_at": SECONDS, "role": const("owner")},
        "The organization: there are no people behind keys here.",
    )
    scopes: Schema = {"type": "array", "items": {"type": "string", "enum": list(SCOPES)}}
    fields: dict[str, Schema] = {
        "object": const("organization.admin_api_key"),
        "id": TEXT,
        "name": TEXT,
        "redacted_value": described(TEXT, "Enough to recognise the key by."),
        "created_at": SECONDS,
        "expires_at": SECONDS_OR_NULL,
        "last_used_at": described(SECONDS_OR_NULL, "Unix seconds, exact to about a minute."),
        "owner": owner,
        "scopes": described(scopes, "What the key may do."),
    }
    value = {"value": described(TEXT, "The key itself, shown this once.")}
    deleted = {"object": const("organization.admin_api_key.deleted"), "id": TEXT, "deleted": FLAG}
    return {
        "AdminApiKey": answer(fields, "A key of this API."),
        "AdminApiKeyList": list_of("AdminApiKey"),
        "AdminApiKeyCreate": body(NEW_KEY, BODY_DOCS),
        "AdminApiKeyCreated": answer(fields | value, "A new key of this API."),
        "AdminApiKeyDeleted": answer(deleted),
    }
