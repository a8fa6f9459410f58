"""The counts of an item, by the rules of its dialect."""

from collections.abc import Callable

from usageledger.sources.otlp.blocks import ContradictionError, Counts, counts_in
from usageledger.sources.otlp.dialects import Dialect, Names
from usageledger.sources.otlp.items import Attributes

# Part of a kind of tokens → (all of it, its cached share) among `Numbers`, and the fields of an event.
_MODALITIES = ("audio", "image")


def counts_of(dialect: Dialect, kind: str, attributes: Attributes, provider: str) -> Counts | None:
    """Gives the counts of an item as fields of an event of this kind; None where it does not say enough.

    Raises:
        ContradictionError: they contradict each other.
    """
    numbers = dialect.numbers

    def number(names: Names) -> int | None:
        return next((_whole(name, attributes[name]) for name in names if name in attributes), None)

    block = counts_in(dialect.block, attributes, provider, kind) if dialect.block in attributes else {}
    if "output_tokens" in block or (block and kind != "completions"):
        return block
    given = number(numbers.input)
    if kind != "completions":
        given = number(numbers.total) if given is None else given
        return None if given is None else {"input_tokens": given}
    output, total = number(numbers.output), number(numbers.total)
    counts = _input(dialect, number, given, provider) | block
    if not counts or output is None:
        return None
    reasoning = number(numbers.reasoning) or 0
    if not dialect.output_has_reasoning or provider.startswith(dialect.reasonless or ("\0",)):
        output += reasoning
    _check_total(counts, output, total)
    return counts | {"output_tokens": output} | _modalities(dialect, number, counts)


def _input(dialect: Dialect, number: Callable[[Names], int | None], given: int | None, provider: str) -> Counts:
    """The fields of input; none where nothing is said of it."""
    numbers = dialect.numbers
    uncached, cached, written = number(numbers.uncached), number(numbers.cached), number(numbers.written)
    inclusive = dialect.input_has_cache and not provider.startswith(dialect.cacheless or ("\0",))
    if uncached is not None:
        counts = {"input_uncached_tokens": uncached}
    elif given is not None:
        field = "input_tokens" if inclusive else "input_uncached_tokens"
        counts = {field: given + (number(numbers.tool_input) or 0)}
    else:
        return {}
    if "input_tokens" in counts and counts["input_tokens"] < (cached or 0) + (written or 0):
        raise ContradictionError(
            f"{counts['input_tokens']} tokens of input are less than {cached or 0} read from and {written or 0} "
            "written to the cache, which they should include"
        )
    counts |= {} if cached is None else {"input_cached_tokens": cached}
    return counts | ({} if written is None else _written(dialect, number, written))


def _written(dialect: Dialect, number: Callable[[Names], int | None], written: int) -> Counts:
    """The fields of what was written to the cache, by how long it stays where that is said."""
    five, hour = number(dialect.numbers.written_5m), number(dialect.numbers.written_1h)
    if dialect.rest_is_5m and five is None and hour is not None and hour <= written:
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


def _modalities(dialect: Dialect, number: Callable[[Names], int | None], counts: Counts) -> Counts:
    """The fields of audio and images, as far as it is said how much of them was cached."""
    found: Counts = {}
    for name in _MODALITIES:
        numbers = dialect.numbers
        whole, cached = number(getattr(numbers, f"{name}_input")), number(getattr(numbers, f"{name}_cached"))
        if cached is None and not counts.get("input_cached_tokens"):
            cached = 0
        if whole and cached is not None and cached <= whole:
            found[f"input_{name}_tokens"] = whole - cached
            found |= {f"input_cached_{name}_tokens": cached} if cached else {}
        output = number(getattr(numbers, f"{name}_output"))
        if output:
            found[f"output_{name}_tokens"] = output
    return found


def _whole(name: str, value: str | float) -> int:
    """A count, however it is written.

    Raises:
        ContradictionError: it is no whole number.
    """
    if isinstance(value, str):
        text = value.strip()
        if text.isascii() and text.isdigit() and len(text) <= 20:  # noqa: PLR2004 - digits of 64 bits
            return int(text)
    elif not isinstance(value, bool) and value >= 0 and value == int(value):
        return int(value)
    raise ContradictionError(f"'{name}' is {value!r:.100}, which is no number of tokens")
