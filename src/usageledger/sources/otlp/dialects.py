"""The dialects of OTLP, a row for each family of emitters: where its numbers are and what they include.

A row holds for the scopes and versions that it names; rows that name none are tried last, for any emitter.
Facts are from the emitters' own code and bodies, the GenAI semantic conventions (three generations of names) and the
specification of OpenInference; each is declared here and never guessed from the numbers.
"""

from collections.abc import Iterable, Iterator
from dataclasses import fields, replace
from fnmatch import fnmatchcase
from functools import lru_cache
from types import MappingProxyType

from usageledger.sources.otlp.dialect import Dialect, Names, Numbers, Tokens, Who
from usageledger.sources.otlp.items import Item
from usageledger.sources.otlp.signals import Signal

_COMPLETIONS, _EMBEDDINGS = "completions", "embeddings"
_LEAVES = {
    **dict.fromkeys(("chat", "text_completion", "generate_content", "completion"), _COMPLETIONS),
    **dict.fromkeys(("embeddings", "embedding"), _EMBEDDINGS),
}
_PARENTS = frozenset(
    {
        "invoke_agent",
        "create_agent",
        "invoke_workflow",
        "plan",
        "execute_tool",
        "execute_task",
        "agent_step",
        "fetch_response",
        "retrieval",
        "chain",
        "workflow",
        "task",
    }
)
GEN_AI = Dialect(
    name="GenAI conventions",
    signal=Signal.TRACES,
    operation="gen_ai.operation.name",
    kinds=MappingProxyType(_LEAVES),
    parents=_PARENTS,
    numbers=Numbers(
        input=("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"),
        cached=("gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read_input_tokens"),
        written=(
            "gen_ai.usage.cache_write.input_tokens",
            "gen_ai.usage.cache_creation.input_tokens",
            "gen_ai.usage.cache_creation_input_tokens",
        ),
        written_5m=(
            "anthropic.usage.cache_creation.ephemeral_5m_input_tokens",
            "gen_ai.usage.details.ephemeral_5m_input_tokens",
        ),
        written_1h=(
            "anthropic.usage.cache_creation.ephemeral_1h_input_tokens",
            "gen_ai.usage.details.ephemeral_1h_input_tokens",
        ),
        output=("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"),
        reasoning=("gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.reasoning_tokens"),
        total=("gen_ai.usage.total_tokens", "llm.usage.total_tokens"),
        audio_input=("gen_ai.usage.audio.input_tokens",),
        audio_cached=("gen_ai.usage.audio.cache_read.input_tokens",),
        audio_output=("gen_ai.usage.audio.output_tokens",),
        image_input=("gen_ai.usage.image.input_tokens",),
        image_cached=("gen_ai.usage.image.cache_read.input_tokens",),
        image_output=("gen_ai.usage.image.output_tokens",),
    ),
    response_id=("gen_ai.response.id",),
    models=("gen_ai.response.model", "gen_ai.request.model"),
    providers=("gen_ai.provider.name", "gen_ai.system"),
    tiers=(
        "openai.response.service_tier",
        "gen_ai.openai.response.service_tier",
        "anthropic.response.service_tier",
        "gen_ai.response.service_tier",
    ),
)
_OPENINFERENCE = Dialect(
    name="OpenInference",
    signal=Signal.TRACES,
    marker="openinference.span.kind",
    operation="openinference.span.kind",
    kinds=MappingProxyType({"LLM": _COMPLETIONS, "EMBEDDING": _EMBEDDINGS}),
    parents=frozenset({"CHAIN", "AGENT", "TOOL", "RETRIEVER", "RERANKER", "GUARDRAIL", "EVALUATOR", "PROMPT", ""}),
    numbers=Numbers(
        input=("llm.token_count.prompt",),
        cached=("llm.token_count.prompt_details.cache_read",),
        written=("llm.token_count.prompt_details.cache_write",),
        audio_input=("llm.token_count.prompt_details.audio",),
        output=("llm.token_count.completion",),
        reasoning=("llm.token_count.completion_details.reasoning",),
        audio_output=("llm.token_count.completion_details.audio",),
        total=("llm.token_count.total",),
    ),
    models=("llm.model_name", "embedding.model_name"),
    providers=("llm.provider", "llm.system"),
)
_AI_SDK = Dialect(
    name="Vercel AI SDK",
    signal=Signal.TRACES,
    marker="ai.operationId",
    operation="ai.operationId",
    kinds=MappingProxyType({"doGenerate": _COMPLETIONS, "doStream": _COMPLETIONS, "doEmbed": _EMBEDDINGS}),
    parents=frozenset(
        f"ai.{name}" for name in ("generateText", "streamText", "generateObject", "streamObject", "embed", "embedMany")
    ),
    numbers=Numbers(
        input=("ai.usage.inputTokens", "ai.usage.promptTokens", "ai.usage.tokens", "gen_ai.usage.input_tokens"),
        uncached=("ai.usage.inputTokenDetails.noCacheTokens",),
        cached=("ai.usage.inputTokenDetails.cacheReadTokens", "ai.usage.cachedInputTokens"),
        written=("ai.usage.inputTokenDetails.cacheWriteTokens",),
        output=("ai.usage.outputTokens", "ai.usage.completionTokens", "gen_ai.usage.output_tokens"),
        reasoning=("ai.usage.reasoningTokens",),
    ),
    cacheless=("anthropic", "vertex.anthropic", "google.vertex.anthropic", "amazon-bedrock", "bedrock"),
    reasonless=("google.generative-ai", "google.vertex.chat"),
    block="ai.response.providerMetadata",
    response_id=("ai.response.id", "gen_ai.response.id"),
    models=("ai.response.model", "ai.model.id"),
    providers=("ai.model.provider", "gen_ai.system"),
    dotted_providers=True,
    who=replace(Who(), user=("ai.telemetry.metadata.userId", *Who().user)),
)
_LANGSMITH = replace(
    GEN_AI,
    name="LangSmith",
    marker="langsmith.span.kind",
    operation="langsmith.span.kind",
    kinds=MappingProxyType({"llm": _COMPLETIONS, "LLM": _COMPLETIONS, "embedding": _EMBEDDINGS}),
    parents=frozenset({"chain", "tool", "retriever", "prompt", "parser", ""}),
    block="gen_ai.usage.input_token_details",
    models=(*GEN_AI.models, "langsmith.metadata.ls_model_name"),
    providers=(*GEN_AI.providers, "langsmith.metadata.ls_provider"),
)
_LEGACY_KINDS = {"chat": _COMPLETIONS, "completion": _COMPLETIONS, "embedding": _EMBEDDINGS, "embeddings": _EMBEDDINGS}
_TRACELOOP = replace(
    GEN_AI,
    name="OpenLLMetry",
    marker="llm.request.type",
    operation="llm.request.type",
    kinds=MappingProxyType({**_LEGACY_KINDS, "responses": _COMPLETIONS}),
    parents=frozenset({"unknown", ""}),
)
_LITELLM = replace(
    GEN_AI,
    name="LiteLLM",
    scopes=("litellm",),
    kinds=MappingProxyType(
        {
            **dict.fromkeys(
                (
                    *("completion", "acompletion", "text_completion", "atext_completion", "chat"),
                    *("responses", "aresponses", "anthropic_messages", "generate_content", "agenerate_content"),
                ),
                _COMPLETIONS,
            ),
            **dict.fromkeys(("embedding", "aembedding", "embeddings"), _EMBEDDINGS),
        }
    ),
    block="metadata.usage_object",
    cache_hit="litellm.cache_hit",
    who=Who(
        ("metadata.user_api_key_team_id", "metadata.user_api_key_project_id", *Who().project),
        ("metadata.user_api_key_user_id", "metadata.user_api_key_end_user_id", *Who().user),
        ("metadata.user_api_key_hash", *Who().api_key),
    ),
)
_CLAUDE_CODE = Dialect(
    name="Claude Code",
    signal=Signal.LOGS,
    scopes=("com.anthropic.claude_code.*",),
    events=("api_request", "claude_code.api_request"),
    numbers=Numbers(
        input=("input_tokens",),
        cached=("cache_read_tokens",),
        written=("cache_creation_tokens",),
        output=("output_tokens",),
    ),
    input_has_cache=False,
    response_id=("request_id",),  # of the API's request; its session files have it as well
    models=("model",),
    provider="anthropic",
    who=replace(Who(), user=("user.email", "user.account_uuid", "user.id")),
)
_CODEX = Dialect(
    name="Codex",
    signal=Signal.LOGS,
    scopes=("codex*",),
    events=("codex.sse_event",),
    is_call=False,
    numbers=Numbers(
        input=("input_token_count",),
        cached=("cached_token_count",),
        written=("cache_write_token_count",),
        output=("output_token_count",),
        reasoning=("reasoning_token_count",),
        total=("tool_token_count",),  # it is the total, whatever its name says
    ),
    identity=("conversation.id", "event.timestamp", "input_token_count", "output_token_count"),
    models=("model", "slug"),
    provider="openai",
    who=replace(Who(), user=("user.email", "user.account_id", *Who().user)),
)
_GEMINI_CLI = Dialect(
    name="Gemini CLI",
    signal=Signal.LOGS,
    scopes=("gemini-cli",),
    events=("gemini_cli.api_response",),
    numbers=Numbers(
        input=("input_token_count",),
        tool_input=("tool_token_count",),
        cached=("cached_content_token_count",),
        output=("output_token_count",),
        reasoning=("thoughts_token_count",),
        total=("total_token_count",),
    ),
    output_has_reasoning=False,
    identity=("session.id", "prompt_id", "event.timestamp"),
    models=("model",),
    provider="google",
    who=replace(Who(), user=("user.email", *Who().user)),
)
_DETAILS_EVENT = "gen_ai.client.inference.operation.details"


def _other(
    row: Dialect, numbers: Numbers, signal: Signal = Signal.TRACES, marker: str = "", events: Names = ()
) -> Dialect:
    """A signal of the same emitters that says again what `row` counts."""
    return replace(row, signal=signal, is_counted=False, numbers=numbers, marker=marker, events=events)


_USAGE_METRIC = "gen_ai.client.token.usage"
_GEN_AI_METRIC = replace(
    GEN_AI,
    signal=Signal.METRICS,
    events=(_USAGE_METRIC,),
    is_counted=False,
    kinds=MappingProxyType({**_LEAVES, **dict.fromkeys(("messages", "responses", ""), _COMPLETIONS)}),
    tokens_by="gen_ai.token.type",
    token_types=MappingProxyType(
        {
            **dict.fromkeys(("input", "prompt"), Tokens.INPUT),
            **dict.fromkeys(("output", "completion"), Tokens.OUTPUT),
            **dict.fromkeys(("cached_input", "cache_read", "input_cached"), Tokens.CACHED_OF_INPUT),
            **dict.fromkeys(("cache_creation_input", "cache_creation", "cache_write"), Tokens.WRITTEN_OF_INPUT),
            **dict.fromkeys(("reasoning", "total"), Tokens.REPEATED),
        }
    ),
    counts_requests=True,
)


def _metric(row: Dialect, name: str, tokens_by: str, **token_types: Tokens) -> Dialect:
    """The metric that adds up what `row` counts one by one."""
    return replace(
        row,
        signal=Signal.METRICS,
        events=(name,),
        is_counted=False,
        tokens_by=tokens_by,
        token_types=MappingProxyType(token_types),
    )


DIALECTS: tuple[Dialect, ...] = (
    _CLAUDE_CODE,
    _other(_CLAUDE_CODE, _CLAUDE_CODE.numbers, marker="output_tokens"),
    _CODEX,
    _other(_CODEX, replace(GEN_AI.numbers, total=("codex.turn.token_usage.total_tokens",))),
    _GEMINI_CLI,
    _other(_GEMINI_CLI, GEN_AI.numbers, Signal.LOGS, events=(_DETAILS_EVENT,)),
    _other(_GEMINI_CLI, GEN_AI.numbers),
    _LITELLM,
    replace(GEN_AI, name="OpenLIT", scopes=("openlit.*",), cacheless=("anthropic", "aws")),
    replace(_AI_SDK, scopes=("ai",)),
    replace(GEN_AI, name="Logfire", scopes=("logfire.*",), block="gen_ai.usage.raw", answered="gen_ai.response.id"),
    replace(GEN_AI, name="Pydantic AI", scopes=("pydantic-ai",), parents=_PARENTS | {""}, rest_is_5m=True),
    # Early versions gave Anthropic's input without what was read from and written to the cache.
    replace(
        _TRACELOOP,
        scopes=("opentelemetry.instrumentation.anthropic*",),
        before=(0, 40),
        input_has_cache=False,
    ),
    _AI_SDK,
    _OPENINFERENCE,
    _LANGSMITH,
    _TRACELOOP,
    GEN_AI,
    replace(GEN_AI, signal=Signal.LOGS, events=(_DETAILS_EVENT,)),
    # Metrics, which count where this table or a rule of the operator says that the emitter's metrics do.
    replace(_GEN_AI_METRIC, name="Envoy AI Gateway", scopes=("envoyproxy/ai-gateway",), is_counted=True),
    _metric(
        replace(_CLAUDE_CODE, scopes=("com.anthropic.claude_code*",)),
        "claude_code.token.usage",
        "type",
        input=Tokens.UNCACHED,
        cacheRead=Tokens.CACHED,
        cacheCreation=Tokens.WRITTEN,
        output=Tokens.OUTPUT,
    ),
    _metric(
        _CODEX,
        "codex.turn.token_usage",
        "token_type",
        input=Tokens.INPUT,
        cached_input=Tokens.CACHED_OF_INPUT,
        cache_write_input=Tokens.WRITTEN_OF_INPUT,
        output=Tokens.OUTPUT,
        reasoning_output=Tokens.REPEATED,
        total=Tokens.REPEATED,
    ),
    _metric(
        _GEMINI_CLI,
        "gemini_cli.token.usage",
        "type",
        input=Tokens.INPUT,
        tool=Tokens.INPUT,
        cache=Tokens.CACHED_OF_INPUT,
        output=Tokens.OUTPUT,
        thought=Tokens.OUTPUT,
    ),
    _metric(_GEMINI_CLI, _USAGE_METRIC, ""),
    _GEN_AI_METRIC,
)

# Metrics that add up what spans or records say one by one.
USAGE_METRICS = (
    _USAGE_METRIC,
    "gen_ai.client.inference.usage.*",
    "gen_ai.client.inference.operation.*_tokens",
    "claude_code.token.usage",
    "codex.turn.token_usage",
    "gemini_cli.token.usage",
    "llm.*.tokens",
    "llm.usage.tokens",
)
# Records of calls that failed: nothing was used, as far as they say.
FAILURES = ("api_error", "claude_code.api_error", "gemini_cli.api_error")


def _names(row: Dialect) -> Iterator[str]:
    for numbers in (getattr(row.numbers, each.name) for each in fields(Numbers)):
        yield from numbers
    yield from (*row.models, *row.providers, *row.tiers, *row.response_id, *row.identity)
    yield from (*row.who.project, *row.who.user, *row.who.api_key)
    yield from filter(
        None, (row.marker, row.operation, row.block, row.cache_hit, row.answered)
    )  # "" is a name that may come


# Attributes that are read; all others stay what they are on the wire.
WANTED = frozenset(name for row in DIALECTS for name in _names(row)) | {
    *("event.name", "event.kind", "event.timestamp", "event.sequence", "session.id"),
    *("ai.request.headers.user-agent", "llm.is_streaming", "gen_ai.is_streaming", "gen_ai.request.stream"),
}


@lru_cache(maxsize=1024)
def dialects_of(signal: Signal, scope: str, version: str) -> tuple[Dialect, ...]:
    """Finds the rows for items of an emitter: those that name it, then those that name none."""
    rows = [row for row in DIALECTS if row.signal == signal]
    named = [row for row in rows if _matches(scope, row.scopes) and (not row.before or _numbers(version) < row.before)]
    return (*named, *(row for row in rows if not row.scopes))


def dialect_of(rows: Iterable[Dialect], item: Item) -> Dialect | None:
    """Finds the row for an item among those of its emitter."""
    for row in rows:
        if row.events and not _matches(item.name, row.events):
            continue
        if not row.marker or row.marker in item.attributes:
            return row
    return None


def _matches(name: str, patterns: Names) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def is_usage_metric(name: str) -> bool:
    """Returns true for a metric that adds up tokens."""
    return _matches(name, USAGE_METRICS)


def _numbers(version: str) -> tuple[int, ...]:
    """The numbers at the start of a version; none for one that is not known, which is then the newest."""
    found = [int(part) for part in version.split(".")[:3] if part.isascii() and part.isdigit()]
    return tuple(found) or (10**9,)


@lru_cache(maxsize=1024)
def counts_by_metrics(scope: str) -> bool:
    """Returns true for an emitter whose metrics count where the operator does not say which signal does."""
    rows = (row for row in DIALECTS if row.signal == Signal.METRICS and row.is_counted)
    return any(_matches(scope, row.scopes) for row in rows)
