"""Explanations of what is not counted: what each reason means, and what an operator can do about it."""

from collections.abc import Mapping
from types import MappingProxyType

from usageledger.sources.readings import Note, Reason

# Reason → (meaning, what to do).
REASONS: Mapping[Reason, tuple[str, str]] = MappingProxyType(
    {
        Reason.AGGREGATE: (
            "It repeats what the calls inside of it say, such as the span of an agent's run.",
            "Nothing, where those calls are counted. Where there are no others, turn on the spans of model calls.",
        ),
        Reason.OTHER_SIGNAL: (
            "Another signal of the same emitter is the one that counts: mostly spans or logs, which tell of each call.",
            (
                "Nothing, where that one is counted. Otherwise turn it on, or have this one counted: "
                "'usageledger sources map --emitter NAME signal=metrics', or =traces or =logs."
            ),
        ),
        Reason.SAME_RESPONSE: (
            "The response of this call was counted before, by another way.",
            "Nothing: it counts once. To save the traffic, turn off one of the two instrumentations.",
        ),
        Reason.OTHER_NUMBERS: (
            "The response of this call was counted before, with other numbers, which stay.",
            "Find out which of the two emitters is right, and turn off the other one.",
        ),
        Reason.NO_USAGE: (
            "A call that does not say how many tokens it used, such as a stream that was not asked for its usage.",
            'Ask for it: `stream_options={"include_usage": true}` in chat completions.',
        ),
        Reason.CACHE_HIT: (
            "A gateway answered from its own cache; no vendor was asked.",
            "Nothing: it cost nothing.",
        ),
        Reason.FAILED_CALL: ("The call failed, and nothing says that it used anything.", "Nothing."),
        Reason.UNKNOWN_DIALECT: (
            "It has numbers of tokens in a form that is not known here.",
            "Use the emitter's GenAI conventions, or report its name, version and an example.",
        ),
        Reason.UNKNOWN_KIND: (
            "It used something that is not metered here.",
            "Nothing, or send it as an event of its own to /v1/events.",
        ),
        Reason.REFUSED: (
            "Its numbers contradict each other, or are not such as an event may have.",
            "Look at the answer to the request, which names them, and at newer versions of the emitter.",
        ),
    }
)
NOTES: Mapping[Note, tuple[str, str]] = MappingProxyType(
    {
        Note.ESTIMATED: (
            "The emitter counted tokens by itself, since the vendor did not say how many there were.",
            "Have it ask the vendor for the usage of streams.",
        ),
        Note.CACHE_LIFETIME_UNKNOWN: (
            "It gives tokens written to the cache without saying for how long, on which their price depends.",
            "Nothing, where all are written for the vendor's default time; otherwise use an emitter that tells.",
        ),
    }
)
