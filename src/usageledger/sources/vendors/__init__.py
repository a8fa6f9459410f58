"""Answers of vendors, saved as they came, → events: one answer, many, or streams of them.

An answer is told by its form, since many vendors speak another's language; the vendor's name says whose models and
prices they are, and is what the ledger's `provider` becomes. Read are the answers and streams of OpenAI (chat,
responses, embeddings, images, transcriptions, speech, realtime, batch outputs), Anthropic (messages, batch results),
Gemini and Vertex, Bedrock (Converse, InvokeModel, invocation logs), Cohere and Ollama, and of all who speak like them.

- **Identity.** A response with an id of its vendor's counts once in 48 hours, whichever way it came. One without is
  known by the digest of what was sent and its time: sent again in another second it counts again. So do answers of
  Ollama's OpenAI-compatible interface, whose ids come again.
- **Time.** `created`, `created_at`, `createTime`, or `timestamp` of a log; where there is none, that of arrival.
- **Model.** As the answer names it. Images, speech, transcriptions and Bedrock's Converse name none: `model` says it.
- **Streams.** The last usage counts, pieces are never added. A stream that was cut before its usage came has no usage
  that anybody knows: it is not counted, and said so.
- **Service tier** is that of the answer, not of the request. Anthropic's fast mode is the tier `fast`.
- Moderations say no usage and cost none; they are not counted, since an event of theirs needs tokens.
"""

from usageledger.errors import InvalidRequestError
from usageledger.hints import did_you_mean
from usageledger.sources.bodies import ITEMS_MAX, texts
from usageledger.sources.readings import Readings
from usageledger.sources.vendors.collector import Collector

# The name of a vendor → its name in prices, and so the `provider` of its events.
VENDORS = {
    "openai": "openai",
    "azure": "azure",
    "anthropic": "anthropic",
    "google": "google",
    "gemini": "google",
    "vertex": "google",
    "bedrock": "aws",
    "aws": "aws",
    "mistral": "mistral",
    "cohere": "cohere",
    "deepseek": "deepseek",
    "xai": "x-ai",
    "x-ai": "x-ai",
    "groq": "groq",
    "openrouter": "openrouter",
    "ollama": "ollama",
    "vllm": "vllm",
    "llamacpp": "llamacpp",
}


def read_vendor(
    vendor: str, body: bytes, *, now: int, model: str | None = None, items_max: int = ITEMS_MAX
) -> Readings:
    """Reads what a vendor returned.

    Args:
        vendor: a name of `VENDORS`.
        body: one object, an array, lines of objects, or a saved stream of server-sent events.
        now: the time of answers that say none, Unix seconds.
        model: the model of answers that name none.
        items_max: responses in one body.

    Raises:
        InvalidRequestError: an unknown vendor, or a body that is no JSON at all.
        BodyTooLargeError: too many responses.
    """
    provider = VENDORS.get(vendor)
    if provider is None:
        known = ", ".join(f"'{name}'" for name in VENDORS)
        hint = did_you_mean(vendor, tuple(VENDORS))
        raise InvalidRequestError(
            f"Unknown vendor: {vendor!r}.{hint} Supported vendors are: {known}.", param="vendor", code="invalid_value"
        )
    collector = Collector(provider, now, model, items_max)
    collector.take_all(texts(body))
    collector.end()
    return collector.readings
