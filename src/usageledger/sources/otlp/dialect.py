"""The form of a dialect: where the numbers of a family of emitters are, what they include, and for whom they were."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from enum import Enum
from functools import lru_cache

from usageledger.sources.otlp.signals import Signal

MODALITIES = ("audio", "image")
Names = tuple[str, ...]  # of attributes, of which the first that is given counts


@dataclass(frozen=True, slots=True)
class Numbers:
    """The attributes that hold counts."""

    input: Names = ()
    uncached: Names = ()
    cached: Names = ()
    written: Names = ()
    written_5m: Names = ()
    written_1h: Names = ()
    output: Names = ()
    reasoning: Names = ()
    total: Names = ()
    tool_input: Names = ()  # beside `input`
    audio_input: Names = ()
    audio_cached: Names = ()
    audio_output: Names = ()
    image_input: Names = ()
    image_cached: Names = ()
    image_output: Names = ()


class Tokens(Enum):
    """Kinds of tokens that counters are of; the value is the fields of an event that they add to."""

    INPUT = ("input_tokens",)
    OUTPUT = ("output_tokens",)
    UNCACHED = ("input_tokens", "input_uncached_tokens")
    CACHED = ("input_tokens", "input_cached_tokens")
    WRITTEN = ("input_tokens", "input_cache_write_tokens")
    CACHED_OF_INPUT = ("input_cached_tokens",)  # which `INPUT` includes
    WRITTEN_OF_INPUT = ("input_cache_write_tokens",)
    REPEATED = ()  # what others count as well

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of an event."""
        found: tuple[str, ...] = self.value
        return found


@dataclass(frozen=True, slots=True)
class Who:
    """The attributes, of an item or else of its resource, that say for whom it was."""

    project: Names = ("usageledger.project_id", "project.id", "team.id", "service.namespace", "service.name")
    user: Names = ("usageledger.user_id", "user.email", "enduser.id", "gen_ai.user", "llm.user", "user.id")
    api_key: Names = ("usageledger.api_key_id",)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dialect:
    """A family of emitters.

    Attributes:
        name: of the family.
        signal: that it holds for.
        scopes: patterns of names; a row with none holds for all.
        before: the version from which it no longer holds, as numbers.
        marker: an attribute that its items have.
        events: patterns of names of the records or metrics that say how much was used; others do not count.
        is_counted: false for a signal beside the one that is counted.
        tokens_by: the attribute of a metric that says which tokens its points count.
        token_types: its values → what they are; none for a metric that repeats another one.
        counts_requests: whether a histogram of input observes each request once.
        is_call: whether an item without numbers is a call that does not say how much was used, and not another thing.
        answered: an attribute without which such an item is no call either, since another one tells of its answer.
        operation: the attribute that says what was done.
        kinds: operation → kind of events.
        parents: operations whose numbers repeat those of their parts; "" for none given.
        numbers: where they are.
        input_has_cache: whether `input` includes what was read from and written to the cache.
        cacheless: providers, as they begin, for which it does not, though for others it does.
        output_has_reasoning: whether `output` includes reasoning.
        reasonless: providers, as they begin, for which it does not, though for others it does.
        rest_is_5m: whether what was written for no given time was written for five minutes.
        block: an attribute that holds the vendor's own usage block as text, which is preferred.
        cache_hit: an attribute that is true where a gateway answered from its own cache.
        response_id: of the vendor.
        identity: attributes that are the id of an item that has no response id.
        models, providers, tiers: their attributes.
        provider: the one where none is given.
        dotted_providers: whether names of providers go on with an interface behind a dot, `openai.chat`.
        who: for whom it was.
    """

    name: str
    signal: Signal
    scopes: Names = ()
    before: tuple[int, ...] = ()
    marker: str = ""
    events: Names = ()
    is_counted: bool = True
    tokens_by: str = ""
    token_types: Mapping[str, Tokens] = field(default_factory=dict[str, Tokens])
    counts_requests: bool = False
    is_call: bool = True
    answered: str = ""
    operation: str = ""
    kinds: Mapping[str, str] = field(default_factory=dict[str, str])
    parents: frozenset[str] = frozenset()
    numbers: Numbers = Numbers()
    input_has_cache: bool = True
    cacheless: Names = ()
    output_has_reasoning: bool = True
    reasonless: Names = ()
    rest_is_5m: bool = False
    block: str = ""
    cache_hit: str = ""
    response_id: Names = ()
    identity: Names = ()
    models: Names = ()
    providers: Names = ()
    provider: str = "unknown"
    dotted_providers: bool = False
    tiers: Names = ()
    who: Who = Who()


@dataclass(frozen=True, slots=True)
class Layout:
    """The attributes, of those that an item has, that give what a row reads; empty for what none of them gives.

    Attributes:
        numbers: field of `Numbers` → attribute.
        says: whether input or output is among them.
        has_modalities: whether audio or images are.
        who: field of an event → attribute.
    """

    numbers: Mapping[str, str]
    says: bool
    has_modalities: bool
    who: Mapping[str, str]
    provider: str
    model: str
    tier: str
    response_id: str


@lru_cache(maxsize=4096)
def layout_of(row: Dialect, given: tuple[str, ...]) -> Layout:
    """Finds it for an item with these attributes; items of one emitter have the same ones, in the same order."""

    def first(names: Names) -> str:
        return next((name for name in names if name in given), "")

    numbers = {each.name: name for each in fields(Numbers) if (name := first(getattr(row.numbers, each.name)))}
    return Layout(
        numbers,
        not numbers.keys().isdisjoint(("input", "uncached", "output")),
        any(name.startswith(MODALITIES) for name in numbers),
        first_of(row.who, given),
        first(row.providers),
        first(row.models),
        first(row.tiers),
        first(row.response_id),
    )


def first_of(who: Who, given: Collection[str]) -> dict[str, str]:
    """Field of an event → the first attribute that says it."""
    wanted = {"project_id": who.project, "user_id": who.user, "api_key_id": who.api_key}
    found = {name: next((each for each in names if each in given), "") for name, names in wanted.items()}
    return {name: attribute for name, attribute in found.items() if attribute}
