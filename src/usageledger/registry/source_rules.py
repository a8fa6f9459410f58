"""Rules of the operator on sources, for all servers of the registry."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from sqlalchemy import delete, insert, select

from usageledger.errors import RegistryError
from usageledger.registry.audit import note
from usageledger.registry.database import Database
from usageledger.registry.schema import source_rules
from usageledger.sources.rules import Origin, Rule, text_of

RULES_MAX = 1_000


@dataclass(frozen=True, slots=True)
class StoredRule:
    """A rule, and when it was set, Unix seconds."""

    number: int
    rule: Rule
    set_at: int


class SourceRules:
    """The store of the rules; every method may raise RegistryError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def set(self, rules: Sequence[Rule], *, actor: str | None = None, now: int) -> None:
        """Sets rules, in place of those for the same emitter, key and field."""
        table = source_rules.c
        with self._database.write() as connection:
            for rule in rules:
                key = rule.key_id or ""
                connection.execute(
                    delete(source_rules).where(
                        table.emitter == rule.emitter, table.key_id == key, table.field == rule.field
                    )
                )
                origins = msgspec.json.encode([(each.place, each.name) for each in rule.origins]).decode()
                row = {"emitter": rule.emitter, "key_id": key, "field": rule.field, "origins": origins, "set_at": now}
                connection.execute(insert(source_rules), row)
                named = {"origins": [text_of(each) for each in rule.origins]}
                note(connection, "source.mapped", actor, {**row, **named}, now=now)
            if len(connection.execute(select(table.id)).all()) > RULES_MAX:
                raise RegistryError(f"There are more than {RULES_MAX} rules on sources: remove some.")

    def remove(self, number: int, *, actor: str | None = None, now: int) -> bool:
        """Removes a rule; returns false where there is none of this number."""
        with self._database.write() as connection:
            removed = connection.execute(delete(source_rules).where(source_rules.c.id == number)).rowcount
            if removed:
                note(connection, "source.unmapped", actor, {"id": number}, now=now)
            return bool(removed)

    def list(self) -> list[StoredRule]:
        """Lists them in the order in which they were set."""
        with self._database.read() as connection:
            rows = connection.execute(select(source_rules).order_by(source_rules.c.id)).all()
        return [StoredRule(row.id, _rule(row.field, row.origins, row.emitter, row.key_id), row.set_at) for row in rows]


def _rule(field: str, origins: str, emitter: str, key_id: str) -> Rule:
    read = msgspec.json.decode(origins, type=list[tuple[str, str]])
    return Rule(field, tuple(Origin(place, name) for place, name in read), emitter, key_id or None)
