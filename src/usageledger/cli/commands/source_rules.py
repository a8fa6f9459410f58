"""`usageledger sources map`, `rules` and `unmap`: from what of an emitter project, user and key come."""

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from usageledger.cli.local_registry import existing_settings, opened_registry
from usageledger.cli.options import DEFAULT_FOLDER, AsJson, DataFolder, RegistryUrl
from usageledger.cli.terminal.output import CommandError, iso_time, note, print_json, print_table, visible

if TYPE_CHECKING:
    from rich.table import Table

    from usageledger.registry.source_rules import StoredRule
    from usageledger.sources.rules import Rule

MAP_EPILOG = """\
[bold]Examples[/]

  usageledger sources map project_id=team.id,service.namespace
  usageledger sources map --emitter claude-code user_id=user.account_uuid
  usageledger sources map --emitter litellm project_id=metadata.user_api_key_team_alias
  usageledger sources map --key key_Jd0c8mBxXW7oZkqv2n1TgYfa project_id=value:platform
  usageledger sources map project_id=header:x-team
  usageledger sources map --emitter my-gateway signal=metrics

An origin is the name of an attribute (of the item, else of its resource; of
LiteLLM a name in its metadata), header:NAME of the request, or value:TEXT.
A running server follows within seconds. What was counted before stays.

signal=metrics has the metrics of an emitter counted, and not its spans or
logs. Set it before the emitter starts: its running totals count from then.
"""
RULES_EPILOG = """\
[bold]Examples[/]

  usageledger sources rules
  usageledger sources rules --json

Times are UTC.
"""
UNMAP_EPILOG = (
    "[bold]Examples[/]\n\n  usageledger sources unmap 3\n\nThe numbers are those of 'usageledger sources rules'.\n"
)


def map_sources(  # noqa: PLR0913, PLR0917 - a command's parameters are its options
    mappings: Annotated[
        list[str],
        typer.Argument(
            metavar="FIELD=ORIGIN…", help="project_id, user_id or api_key_id, and where it is, in order; or signal."
        ),
    ],
    emitter: Annotated[
        str, typer.Option("--emitter", metavar="<pattern>", help="The emitter or its service; * stands for anything.")
    ] = "*",
    key_id: Annotated[str | None, typer.Option("--key", metavar="<id>", help="Only what comes with this key.")] = None,
    data: DataFolder = DEFAULT_FOLDER,
    registry_url: RegistryUrl = None,
    as_json: AsJson = False,
) -> None:
    """Say from what of an emitter the project, user or API key of its usage comes.

    A rule replaces the one for the same emitter, key and field. Without any,
    names that emitters usually send are taken: see Ways in. A rule on 'signal'
    says which signal of OpenTelemetry counts: traces, logs or metrics.
    """
    rules = [_rule(text, emitter, key_id) for text in mappings]
    with opened_registry(existing_settings(data, registry_url)) as registry:
        if key_id is not None and registry.get_key(key_id) is None:
            raise CommandError(f"There is no key {key_id!r}, or it is revoked.")
        registry.source_rules.set(rules, now=int(time.time()))
        stored = registry.source_rules.list()
    if as_json:
        print_json([_plain(each) for each in stored])
        return
    for rule in rules:
        note(f"{_words(rule)}: {rule.field} from {_origins(rule)}.")


def _rule(text: str, emitter: str, key_id: str | None) -> "Rule":
    from usageledger.sources.readings import EMITTER_CHARACTERS_MAX
    from usageledger.sources.rules import ORIGINS_MAX, RULE_FIELDS, SIGNAL, Rule, origin_of, signal_of

    field, equals, origins = text.partition("=")
    if not equals or field not in RULE_FIELDS:
        known = ", ".join(RULE_FIELDS)
        raise CommandError(f"Expected FIELD=ORIGIN with a field of {known}, got {text[:100]!r}.", exit_code=2)
    if not 1 <= len(emitter) <= EMITTER_CHARACTERS_MAX:
        expected = f"expected 1 to {EMITTER_CHARACTERS_MAX} characters"
        raise CommandError(f"--emitter: {expected}, got {emitter[:100]!r}.", exit_code=2)
    parts = [origins] if origins.startswith("value:") or field == SIGNAL else origins.split(",")
    try:
        read = tuple(signal_of(part) if field == SIGNAL else origin_of(part) for part in parts)
    except ValueError as error:
        raise CommandError(f"{field}: {error}.", exit_code=2) from None
    if len(read) > ORIGINS_MAX:
        raise CommandError(f"{field}: {len(read)} origins are more than {ORIGINS_MAX}.", exit_code=2)
    return Rule(field, read, emitter, key_id)


def rules(data: DataFolder = DEFAULT_FOLDER, registry_url: RegistryUrl = None, as_json: AsJson = False) -> None:
    """List the rules of 'usageledger sources map'."""
    with opened_registry(existing_settings(data, registry_url)) as registry:
        stored = registry.source_rules.list()
    if as_json:
        print_json([_plain(each) for each in stored])
    elif not stored:
        note("There are no rules: names that emitters usually send are taken (docs/sources.md).")
    else:
        print_table(lambda _: rule_table(stored))


def unmap(
    number: Annotated[int, typer.Argument(metavar="NUMBER", help="The number of the rule.")],
    data: DataFolder = DEFAULT_FOLDER,
    registry_url: RegistryUrl = None,
    as_json: AsJson = False,
) -> None:
    """Remove a rule; what it did stays."""
    with opened_registry(existing_settings(data, registry_url)) as registry:
        removed = registry.source_rules.remove(number, now=int(time.time()))
    if not removed:
        raise CommandError(f"There is no rule {number}: 'usageledger sources rules' lists them.")
    if as_json:
        print_json({"number": number, "removed": True})
    else:
        note(f"Removed rule {number}.")


def rule_table(stored: "list[StoredRule]") -> "Table":
    """A row for each rule."""
    from usageledger.cli.terminal.text_table import plain_table

    table = plain_table(">Rule", "Emitter", "Key", "Field", "From", "Set")
    for each in stored:
        rule, at = each.rule, iso_time(each.set_at)[:16].replace("T", " ") + "Z"
        table.add_row(
            str(each.number), visible(rule.emitter), rule.key_id or "any", rule.field, visible(_origins(rule)), at
        )
    return table


def _plain(stored: "StoredRule") -> dict[str, Any]:
    from usageledger.sources.rules import text_of

    about = asdict(stored.rule) | {"origins": [text_of(origin) for origin in stored.rule.origins]}
    return {"number": stored.number, **about, "set_at": stored.set_at}


def _origins(rule: "Rule") -> str:
    from usageledger.sources.rules import text_of

    return ", ".join(text_of(origin) for origin in rule.origins)


def _words(rule: "Rule") -> str:
    what = "All emitters" if rule.emitter == "*" else f"Emitter {visible(rule.emitter)}"
    return f"{what}, key {rule.key_id}" if rule.key_id else what
