"""The counts of an item, by the rules of its dialect."""

from usageledger.sources.otlp.blocks import ContradictionError, Counts, counts_in
from usageledger.sources.otlp.dialect import MODALITIES, Dialect, Layout
from usageledger.sources.otlp.items import Attributes


def counts_of(  # noqa: PLR0913, PLR0917 - what an item is read by, and what it says
    row: Dialect, layout: Layout, kind: str, attributes: Attributes, provider: str, interface: str
) -> Counts | None:
    """Gives the counts of an item as fields of an event of this kind; None where it does not say enough.

    Args:
        row: of its emitter.
        layout: of its attributes.
        kind: of the event.
        attributes: its own.
        provider: as prices name it.
        interface: the provider as the item names it, on which depends what input and output include.

    Raises:
        ContradictionError: they contradict each other.
    """
    block = counts_in(row.block, attributes, provider, kind) if row.block and row.block in attributes else {}
    if "output_tokens" in block or (block and kind != "completions"):
        return block
    given = {field: _whole(name, attributes[name]) for field, name in layout.numbers.items()}
    if kind != "completions":
        counted = given.get("input", given.get("total"))
        return None if counted is None else {"input_tokens": counted}
    output = given.get("output")
    counts = _input(row, given, interface) | block
    if not counts or output is None:
        return None
    if not row.output_has_reasoning or (row.reasonless and interface.startswith(row.reasonless)):
        output += given.get("reasoning", 0)
    _check_total(counts, output, given.get("total"))
    counts["output_tokens"] = output
    return counts | _modalities(given, counts) if layout.has_modalities else counts


def _input(row: Dialect, given: Counts, interface: str) -> Counts:
    """The fields of input; none where nothing is said of it."""
    cached, written = given.get("cached"), given.get("written")
    inclusive = row.input_has_cache and not (row.cacheless and interface.startswith(row.cacheless))
    if "uncached" in given:
        counts = {"input_uncached_tokens": given["uncached"]}
    elif "input" in given:
        counts = {"input_tokens" if inclusive else "input_uncached_tokens": given["input"] + given.get("tool_input", 0)}
    else:
        return {}
    if "input_tokens" in counts and counts["input_tokens"] < (cached or 0) + (written or 0):
        raise ContradictionError(
            f"{counts['input_tokens']} tokens of input are less than {cached or 0} read from and {written or 0} "
            "written to the cache, which they should include"
        )
    if cached is not None:
        counts["input_cached_tokens"] = cached
    return counts if written is None else counts | _written(row, given, written)


def _written(row: Dialect, given: Counts, written: int) -> Counts:
    """The fields of what was written to the cache, by how long it stays where that is said."""
    five, hour = given.get("written_5m"), given.get("written_1h")
    if row.rest_is_5m and five is None and hour is not None and hour <= written:
        five = written - hour
    counts = {"input_cache_write_tokens": written}
    counts |= {} if five is None else {"input_cache_write_5m_tokens": five}
    return counts | ({} if hour is None else {"input_cache_write_1h_tokens": hour})


def _check_total(counts: Counts, output: int, total: int | None) -> None:
    if total is None:
        return
    expected = counts.get("input_tokens")
    if expected is None:
        cache = counts.get("input_cached_tokens", 0) + counts.get("input_cache_write_tokens", 0)
        expected = counts["input_uncached_tokens"] + cache
    if total not in (expected + output, 0):
        raise ContradictionError(
            f"the total of {total} tokens is not the {expected} of input and {output} of output that are given with it"
        )


def _modalities(given: Counts, counts: Counts) -> Counts:
    """The fields of audio and images, as far as it is said how much of them was cached."""
    found: Counts = {}
    for name in MODALITIES:
        whole, cached = given.get(f"{name}_input"), given.get(f"{name}_cached")
        if cached is None and not counts.get("input_cached_tokens"):
            cached = 0
        if whole and cached is not None and cached <= whole:
            found[f"input_{name}_tokens"] = whole - cached
            found |= {f"input_cached_{name}_tokens": cached} if cached else {}
        if output := given.get(f"{name}_output"):
            found[f"output_{name}_tokens"] = output
    return found


def _whole(name: str, value: str | float) -> int:
    """A count, however it is written.

    Raises:
        ContradictionError: it is no whole number.
    """
    if type(value) is int and value >= 0:
        return value
    if isinstance(value, str):
        text = value.strip()
        if text.isascii() and text.isdigit() and len(text) <= 20:  # noqa: PLR2004 - digits of 64 bits
            return int(text)
    elif not isinstance(value, bool) and value >= 0 and value == int(value):
        return int(value)
    raise ContradictionError(f"'{name}' is {value!r:.100}, which is no number of tokens")
