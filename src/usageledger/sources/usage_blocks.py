"""Blocks of usage in vendors' answers, read into the counts of events. The one parser of them, whoever brings a block.

A block has one of a few shapes, and its fields say which, not its vendor: Anthropic's block comes from Bedrock, Vertex
and gateways too, and most others speak OpenAI's. `usage_shapes.SHAPES` has a row for each, with all that they disagree
about: whether input includes what was read from the cache and written to it, and what is beside input and output.

Rules that hold for all of them:

- Of several fields that say the same the largest counts, since gateways fill in some of them with 0.
- A total that is given must be the sum of the others. Reasoning is inside the output, or the total says that it is not
  (xAI). A block that contradicts itself is refused with its numbers.
- Audio and image tokens of the input are said only where it is known how many of them were cached. Otherwise they
  stay text: a split that is guessed would be charged wrongly.
- What a block does not say is unknown. A block without input, or without output, gives no counts at all.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from usageledger.events.typed_events import FIELDS
from usageledger.parts import cache_write_of
from usageledger.sources.readings import Note
from usageledger.sources.usage_shapes import SHAPES, Paths, Shape
from usageledger.sources.values import number

ITERATIONS_MAX = 1_000
_BY_TOTAL = {"x-ai", "google"}  # what their total has beyond the sum is output: reasoning that they do not count in it
_WITHOUT_OUTPUT = {"embeddings", "moderations"}
_MADE = {"images": "image", "audio_speeches": "audio"}  # of what an output is where the block does not say
_SEARCHES = (
    "server_tool_use.web_search_requests",
    "prompt_tokens_details.web_search_requests",
)  # LiteLLM's is the other
_TRAFFIC = "ON_DEMAND_"  # Vertex: what stands behind it is the tier
_NO_TIER = {"", "unspecified", "SERVICE_TIER_UNSPECIFIED", "TRAFFIC_TYPE_UNSPECIFIED"}
_NO_REGION = {"", "not_available"}

# Modalities that are no text, whose names in an object of parts are `audio_tokens`, and in a list of them `AUDIO`.
_MODALITIES = ("audio", "image")
_PART_NAMES, _PART_COUNTS = ("modality", "ttl"), ("tokenCount", "inputTokens")


@dataclass(frozen=True, slots=True)
class Refusal:
    """A usage block that contradicts itself or has what is no count; `message` names the numbers."""

    message: str


@dataclass(frozen=True, slots=True)
class Further:
    """Usage that a block has beside that of its response.

    Attributes:
        suffix: of the response's id.
        kind: of usage.
        fields: of its event; what they do not say is as the response's.
    """

    suffix: str
    kind: str
    fields: dict[str, Any]


@dataclass(slots=True)
class Usage:
    """The usage that a block says.

    Attributes:
        counts: fields of an event of kind `completions`; those of another are among them.
        said: fields that the block says beside counts: `service_tier`, `batch`, `region`.
        further: usage of other kinds or models.
        notes: on the counts.
    """

    counts: dict[str, int]
    said: dict[str, Any] = field(default_factory=dict)
    further: list[Further] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)


def for_kind(kind: str, fields: dict[str, Any]) -> dict[str, Any]:
    """Makes an event of a kind of those of the fields that it has and that are known."""
    known = FIELDS[kind]
    return {"kind": kind} | {name: value for name, value in fields.items() if name in known and value is not None}


def read_seconds(block: object) -> Usage | Refusal | None:
    """Reads the usage of a transcription that is charged by seconds, begun ones included; None for any other."""
    given = block if isinstance(block, dict) else {}
    seconds = given.get("seconds") if given.get("type") == "duration" else given.get("prompt_audio_seconds")
    try:
        counted = number(math.ceil(seconds) if isinstance(seconds, float) else seconds, "seconds")
    except (ValueError, OverflowError) as wrong:
        return Refusal(str(wrong))
    return None if counted is None else Usage({"seconds": counted})


class _ContradictionError(Exception):
    """The block is refused; its text says why."""


def read_usage(vendor: str, block: object, kind: str = "completions") -> Usage | Refusal | None:
    """Reads a usage block.

    Args:
        vendor: as `pricing/data/providers.json` names it.
        block: as JSON has it; content that is no block at all is allowed.
        kind: of the answer, since blocks of embeddings may leave out the output, and those of images and speech its
            modality.

    Returns:
        None for a block that does not say how much it was.
    """
    if not isinstance(block, dict):
        return None
    shape = next((s for s in SHAPES if _has(block, s.marks) and not _has(block, s.excluded)), None)
    if shape is None:
        return None
    try:
        counts = _counts(shape, vendor, block, kind)
        further = list(_further(block)) if counts else []
    except _ContradictionError as contradiction:
        return Refusal(str(contradiction))
    if counts is None:
        return None
    usage = Usage(counts, _said(block), further)
    lifetimes = sum(counts.get(cache_write_of(each), 0) for each in shape.lifetimes)
    if shape.lifetimes and counts.get("input_cache_write_tokens", 0) > lifetimes:
        usage.notes.append(Note.CACHE_LIFETIME_UNKNOWN)
    return usage


def _counts(shape: Shape, vendor: str, block: dict[str, Any], kind: str) -> dict[str, int] | None:
    total, given, output = (_number(block, paths) for paths in (shape.total, shape.input, shape.output))
    if output is None and given is not None:
        output = 0 if shape.zero_omitted or kind in _WITHOUT_OUTPUT else _rest(total, given)
    if given is None or output is None:
        return None
    cached, written = _number(block, shape.cached), _number(block, shape.written)
    lifetimes = {cache_write_of(each): _number(block, paths) or 0 for each, paths in shape.lifetimes.items()}
    if written is None and any(lifetimes.values()):
        written = sum(lifetimes.values())
    beside = (cached or 0) + (written or 0)
    exclusive = total != given + output if shape.exclusive is None else shape.exclusive
    whole = given + (beside if exclusive else 0) + (_number(block, shape.beside_input) or 0)
    output += _number(block, shape.beside_output) or 0
    if total is not None and not _has(block, ("prompt_audio_seconds",)):
        output = _checked(total, whole, output, _number(block, shape.reasoning) or 0, vendor)
    _check_at_most("what was read from the cache and written to it", beside, "the input", whole)
    _check_at_most("cache writes by lifetime", sum(lifetimes.values()), "cache writes", written or 0)
    counts = {"input_tokens": whole, "output_tokens": output}
    if cached is not None:
        counts["input_cached_tokens"] = cached
    if written is not None:
        counts["input_cache_write_tokens"] = written
    counts |= {name: count for name, count in lifetimes.items() if count}
    inside = _input_parts(shape, block, whole - beside, cached or 0, written or 0)
    return counts | inside | _output_parts(shape, block, output, _MADE.get(kind))


def _rest(total: int | None, given: int) -> int | None:
    if total is None:
        return None
    _check_at_most("the input", given, "the total", total)
    return total - given


def _checked(total: int, whole: int, output: int, reasoning: int, vendor: str) -> int:
    """The output, by the total where that is more than the sum and it is known why."""
    rest = total - whole - output
    if not rest or (rest == reasoning) or (rest > 0 and vendor in _BY_TOTAL):
        return output + rest
    raise _ContradictionError(
        f"the total ({total}) is not the input ({whole}) plus the output ({output})"
        + (f", nor these plus reasoning ({reasoning})" if reasoning else "")
    )


def _check_at_most(part_name: str, part: int, name: str, whole: int) -> None:
    if part > whole:
        raise _ContradictionError(f"{part_name} ({part}) is more than {name} ({whole})")


def _input_parts(shape: Shape, block: dict[str, Any], uncached: int, cached: int, written: int) -> dict[str, int]:
    """Audio and image tokens of the input, cached ones apart, where the block tells."""
    if written or (cached and not _gives(block, shape.cached_parts)):
        return {}
    fresh: dict[str, int] = {}
    read: dict[str, int] = {}
    for modality in _MODALITIES:
        count = _number(block, _of(modality, shape.input_parts))
        if count is None:
            continue
        of_cached = (_number(block, _of(modality, shape.cached_parts)) or 0) if cached else 0
        _check_at_most(f"cached {modality} tokens", of_cached, f"{modality} tokens", count)
        fresh[f"input_{modality}_tokens"] = count - of_cached
        read[f"input_cached_{modality}_tokens"] = of_cached
    _check_at_most("audio and image tokens", sum(fresh.values()), "the input that was not cached", uncached)
    _check_at_most("cached audio and image tokens", sum(read.values()), "the cached input", cached)
    return {name: count for name, count in (fresh | read).items() if count}


def _output_parts(shape: Shape, block: dict[str, Any], output: int, made: str | None) -> dict[str, int]:
    counts = {each: _number(block, _of(each, shape.output_parts)) for each in _MODALITIES}
    if made and not _gives(block, _of("text", shape.output_parts)) and not any(counts.values()):
        counts[made] = output
    found = {f"output_{modality}_tokens": count for modality, count in counts.items() if count}
    _check_at_most("audio and image tokens", sum(found.values()), "the output", output)
    return found


@cache
def _of(modality: str, details: Paths) -> Paths:
    return tuple(f"{each}.{name}" for each in details for name in (f"{modality}_tokens", modality.upper()))


def _further(block: dict[str, Any]) -> Iterator[Further]:
    """Searches of the web, seconds of audio (Mistral), and iterations (Anthropic) that the block's numbers leave out.

    Those are compactions, and advice of another model. The iterations of other types are inside the numbers.
    """
    if searches := _number(block, _SEARCHES):
        yield Further("web_search", "web_search_calls", {"num_requests": searches})
    if seconds := _number(block, ("prompt_audio_seconds",)):
        yield Further("audio", "audio_transcriptions", {"seconds": seconds, "num_model_requests": 0})
    iterations = block.get("iterations")
    if not isinstance(iterations, list):
        return
    _check_at_most("the number of iterations", len(iterations), "is read", ITERATIONS_MAX)
    shape = next(s for s in SHAPES if s.exclusive)
    for place, each in enumerate(iterations):
        kind = each.get("type") if isinstance(each, dict) else None
        if kind not in ("compaction", "advisor_message") or not (
            counts := _counts(shape, "anthropic", each, "completions")
        ):
            continue
        fields: dict[str, Any] = {**counts, "num_model_requests": 0}
        if kind == "advisor_message":
            model = each.get("model")
            fields |= {"num_model_requests": 1, "model": model if isinstance(model, str) else None}
        yield Further(f"iteration:{place}", "completions", fields)


def _said(block: dict[str, Any]) -> dict[str, Any]:
    """Gives the tier that served a request, and its region.

    Anthropic's fast mode has prices of its own, which are those of the service tier `fast`.
    """
    tiers = (block.get(name) for name in ("service_tier", "serviceTier", "trafficType"))
    said: dict[str, Any] = tier_fields(next((tier for tier in tiers if tier is not None), None))
    if block.get("speed") == "fast":
        tier = said.get("service_tier")
        said["service_tier"] = "fast" if tier in {None, "standard", "default"} else f"{tier} fast"
    region = block.get("inference_geo")
    if isinstance(region, str) and region not in _NO_REGION:
        said["region"] = region
    return said


def tier_fields(tier: object) -> dict[str, Any]:
    """Gives the fields of an event for a service tier as vendors name it; Anthropic calls its batch jobs one."""
    if not isinstance(tier, str) or tier in _NO_TIER:
        return {}
    return {"batch": True} if tier == "batch" else {"service_tier": tier.removeprefix(_TRAFFIC).lower()}


def _number(block: dict[str, Any], paths: Paths) -> int | None:
    """The largest number at the paths; None where none is given."""
    largest = None
    try:
        for path, first, others in _steps(paths):
            if (value := block.get(first)) is None:
                continue
            count = number(_inside(value, others, path) if others else value, path)
            if count is not None and (largest is None or count > largest):
                largest = count
    except ValueError as wrong:
        raise _ContradictionError(str(wrong)) from None
    return largest


@cache
def _steps(paths: Paths) -> list[tuple[str, str, list[str]]]:
    """Each path with its first name and the others."""
    names = {path: path.split(".") for path in paths}
    return [(path, first, others) for path, (first, *others) in names.items()]


def _inside(value: Any, names: list[str], path: str) -> Any:
    """The value that the names lead to; in a list of parts, the sum of those that have the name."""
    for name in names:
        if isinstance(value, dict):
            value = value.get(name)
        elif isinstance(value, list):
            counts = [_part_count(part, path) for part in value if _is_part(part, name)]
            return sum(counts) if counts else None
        else:
            return None
    return value


def _gives(block: dict[str, Any], paths: Paths) -> bool:
    """Returns true if there is something at one of the paths."""
    return any(_inside(block, [first, *others], path) is not None for path, first, others in _steps(paths))


def _is_part(part: Any, name: str) -> bool:
    return isinstance(part, dict) and any(part.get(each) == name for each in _PART_NAMES)


def _part_count(part: dict[str, Any], path: str) -> int:
    return next((count for each in _PART_COUNTS if (count := number(part.get(each), path)) is not None), 0)


def _has(block: dict[str, Any], names: Paths) -> bool:
    return any(block.get(name) is not None for name in names)
