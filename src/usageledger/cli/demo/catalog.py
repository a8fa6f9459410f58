"""The made-up organization of `usageledger demo`: its projects, people, models and habits, as tables."""

from dataclasses import dataclass, field
from typing import Literal

from usageledger.meters import METERS

Rhythm = Literal["office", "day", "always", "night"]
Shares = dict[str, float]


@dataclass(frozen=True, slots=True)
class Model:
    """A model, its vendor and its abilities.

    Attributes:
        cache_write: the lifetime for which its vendor charges writes to the cache, or None.
        tiers: service tiers of single requests, with their shares.
        regional: it costs more in one region.
        talks: it hears and speaks; sees: it reads images; draws: it makes images.
    """

    provider: str
    cache_write: Literal["5m", "30m"] | None = None
    tiers: Shares = field(default_factory=dict)
    regional: bool = False
    talks: bool = False
    sees: bool = False
    draws: bool = False


@dataclass(frozen=True, slots=True)
class Project:
    """A project and how it uses models.

    Attributes:
        weight: its part of the organization's requests.
        models: the models of its completions, with their shares.
        input_tokens, output_tokens: of a middling request.
        cached: how often a long request finds its beginning in the cache.
        batch: the share of its work that runs as batch jobs.
        images: how often a request to a model that sees has images.
        kinds: its weight in the other kinds of usage.
    """

    name: str
    weight: float
    rhythm: Rhythm
    models: Shares
    input_tokens: int
    output_tokens: int
    cached: float = 0.3
    batch: float = 0.0
    images: float = 0.0
    agents: bool = False
    stores: int = 0
    kinds: Shares = field(default_factory=dict)


_OPENAI_TIERS = {"default": 0.82, "priority": 0.11, "flex": 0.07}
_ANTHROPIC_TIERS = {"standard": 1.0}

MODELS: dict[str, Model] = {
    "gpt-6-luna": Model("openai", "30m", _OPENAI_TIERS, sees=True),
    "gpt-6-sol": Model("openai", "30m", _OPENAI_TIERS, sees=True),
    "gpt-6-astra": Model("openai", "30m", _OPENAI_TIERS, sees=True),
    "gpt-5.4-mini": Model("openai", None, _OPENAI_TIERS, sees=True),
    "gpt-realtime-2": Model("openai", talks=True),
    "gpt-audio": Model("openai", talks=True),
    "claude-haiku-5-5": Model("anthropic", "5m", _ANTHROPIC_TIERS, regional=True, sees=True),
    "claude-sonnet-5-5": Model("anthropic", "5m", _ANTHROPIC_TIERS, regional=True, sees=True),
    "claude-opus-5-5": Model("anthropic", "5m", _ANTHROPIC_TIERS, regional=True, sees=True),
    "gemini-3.8-flash": Model("google", sees=True),
    "gemini-4-argon": Model("google", sees=True),
    "gemini-3.1-flash-image-preview": Model("google", draws=True),
    "mistral-large-4": Model("mistral"),
    "deepseek-v4-flash": Model("deepseek"),
    "text-embedding-3-small": Model("openai"),
    "text-embedding-3-large": Model("openai"),
    "gemini-embedding-2": Model("google"),
    "mistral-embed": Model("mistral"),
    "omni-moderation-latest": Model("openai"),
    "gpt-image-2": Model("openai"),
    "gpt-image-1-mini": Model("openai"),
    "gpt-4o-mini-tts": Model("openai"),
    "tts-1": Model("openai"),
    "gpt-transcribe": Model("openai"),
    "gpt-4o-transcribe": Model("openai"),
    "whisper-1": Model("openai"),
}

# The models of the kinds that do not follow a project's own taste; the last, of kinds that nothing here is said of.
MODELS_OF_KIND: dict[str, Shares] = {
    "embeddings": {
        "text-embedding-3-small": 0.6,
        "text-embedding-3-large": 0.2,
        "gemini-embedding-2": 0.14,
        "mistral-embed": 0.06,
    },
    "moderations": {"omni-moderation-latest": 1.0},
    "images": {"gpt-image-2": 0.65, "gpt-image-1-mini": 0.35},
    "audio_speeches": {"gpt-4o-mini-tts": 0.6, "tts-1": 0.4},
    "audio_transcriptions": {"gpt-transcribe": 0.5, "whisper-1": 0.3, "gpt-4o-transcribe": 0.2},
    "web_search_calls": {"gpt-6-sol": 0.6, "gpt-6-luna": 0.4},
    "decisions": {"gpt-6-luna": 1.0},
}
MODELS_OF_OTHERS: Shares = {"gpt-6-luna": 0.7, "gpt-6-sol": 0.3}

# Of all events; vector stores report their size on a schedule. Completions are the rest.
_SHARES: Shares = {
    "embeddings": 0.10,
    "moderations": 0.06,
    "images": 0.03,
    "audio_speeches": 0.02,
    "audio_transcriptions": 0.02,
    "vector_stores": 0.03,
    "code_interpreter_sessions": 0.01,
    "file_search_calls": 0.03,
    "web_search_calls": 0.025,
    "decisions": 0.015,
}
_OTHERS: Shares = {meter.kind: _SHARES.get(meter.kind, 0.01) for meter in METERS if meter.kind != "completions"}
SHARES_OF_KINDS: Shares = {"completions": 1 - sum(_OTHERS.values()), **_OTHERS}

SIZES: Shares = {"1024x1024": 0.62, "1536x1024": 0.2, "1024x1536": 0.18}
QUALITIES: Shares = {"low": 0.25, "medium": 0.5, "high": 0.25}
SOURCES: Shares = {"image.generation": 0.74, "image.edit": 0.21, "image.variation": 0.05}
CONTEXT_LEVELS: Shares = {"low": 0.3, "medium": 0.5, "high": 0.2}
SEARCH_TOOLS: Shares = {"web_search": 1.0}
MEMORY: Shares = {"1": 0.7, "4": 0.3}
SESSION_MINUTES: Shares = {"5": 0.5, "8": 0.2, "20": 0.3}

PROJECTS: tuple[Project, ...] = (
    Project(
        "Support bot",
        weight=30,
        rhythm="day",
        models={"gpt-6-luna": 0.5, "claude-haiku-5-5": 0.3, "gpt-5.4-mini": 0.2},
        input_tokens=2600,
        output_tokens=240,
        cached=0.6,
        images=0.04,
        stores=2,
        kinds={"moderations": 8, "embeddings": 2, "file_search_calls": 4, "decisions": 3},
    ),
    Project(
        "Coding assistant",
        weight=22,
        rhythm="office",
        models={"claude-sonnet-5-5": 0.5, "gpt-6-sol": 0.27, "claude-opus-5-5": 0.13, "gpt-6-astra": 0.1},
        input_tokens=14000,
        output_tokens=620,
        cached=0.85,
        images=0.03,
        kinds={"web_search_calls": 2, "code_interpreter_sessions": 1},
    ),
    Project(
        "Knowledge search",
        weight=14,
        rhythm="office",
        models={"gpt-6-luna": 0.6, "gemini-3.8-flash": 0.4},
        input_tokens=5200,
        output_tokens=310,
        cached=0.35,
        stores=3,
        kinds={"embeddings": 8, "file_search_calls": 8, "moderations": 1},
    ),
    Project(
        "Document pipeline",
        weight=10,
        rhythm="night",
        models={"gpt-5.4-mini": 0.45, "gemini-3.8-flash": 0.35, "deepseek-v4-flash": 0.2},
        input_tokens=3800,
        output_tokens=450,
        cached=0.2,
        batch=0.75,
        images=0.35,
        stores=2,
        kinds={"embeddings": 6, "audio_transcriptions": 1},
    ),
    Project(
        "Voice agent",
        weight=7,
        rhythm="day",
        models={"gpt-realtime-2": 0.7, "gpt-audio": 0.3},
        input_tokens=700,
        output_tokens=90,
        cached=0.5,
        kinds={"audio_speeches": 8, "audio_transcriptions": 8, "moderations": 2},
    ),
    Project(
        "Research agents",
        weight=5,
        rhythm="always",
        models={"gpt-6-astra": 0.4, "claude-opus-5-5": 0.3, "gemini-4-argon": 0.3},
        input_tokens=21000,
        output_tokens=1900,
        cached=0.7,
        agents=True,
        kinds={"web_search_calls": 9, "code_interpreter_sessions": 5, "file_search_calls": 1},
    ),
    Project(
        "Sales copilot",
        weight=4,
        rhythm="office",
        models={"gpt-6-sol": 0.6, "claude-haiku-5-5": 0.4},
        input_tokens=3100,
        output_tokens=380,
        stores=1,
        kinds={"file_search_calls": 2, "web_search_calls": 1, "embeddings": 1},
    ),
    Project(
        "Translation",
        weight=3,
        rhythm="always",
        models={"mistral-large-4": 0.65, "gpt-6-luna": 0.35},
        input_tokens=900,
        output_tokens=850,
        cached=0.1,
        batch=0.3,
        kinds={"moderations": 1},
    ),
    Project(
        "Data analyst",
        weight=2.2,
        rhythm="office",
        models={"gpt-6-sol": 0.8, "gemini-4-argon": 0.2},
        input_tokens=6400,
        output_tokens=720,
        images=0.1,
        agents=True,
        kinds={"code_interpreter_sessions": 9},
    ),
    Project(
        "Marketing studio",
        weight=1.6,
        rhythm="office",
        models={"gpt-6-sol": 0.4, "gemini-3.1-flash-image-preview": 0.35, "claude-sonnet-5-5": 0.25},
        input_tokens=1100,
        output_tokens=540,
        images=0.3,
        kinds={"images": 9, "audio_speeches": 2, "moderations": 1},
    ),
    Project(
        "Fraud review",
        weight=1.2,
        rhythm="always",
        models={"gpt-6-luna": 1.0},
        input_tokens=1700,
        output_tokens=60,
        kinds={"decisions": 9, "moderations": 1},
    ),
    Project(
        "Playground",
        weight=0.8,
        rhythm="office",
        models=dict.fromkeys([*list(MODELS)[:4], *list(MODELS)[6:10]], 1 / 8),
        input_tokens=450,
        output_tokens=300,
        images=0.1,
        kinds={"images": 1, "audio_speeches": 0.5, "audio_transcriptions": 0.5, "embeddings": 0.3},
    ),
)

PEOPLE: tuple[str, ...] = (
    "Amara Okafor", "Ben Fischer", "Chloé Martin", "Daniel Kim", "Elena Petrova", "Farid Haddad", "Grace Liu",
    "Hugo Silva", "Ingrid Larsen", "Jamal Carter", "Keiko Tanaka", "Liam Murphy", "Marta Kowalska", "Nikhil Rao",
    "Olivia Brown", "Pablo García", "Qiang Zhao", "Rania Mansour", "Sofia Rossi", "Tomás Novák", "Uma Patel",
    "Viktor Horváth", "Wanjiru Mwangi", "Ximena Torres", "Yusuf Demir", "Zoë de Vries", "Aiko Mori", "Bruno Costa",
    "Carmen Ruiz", "Dmitri Volkov", "Esther Cohen", "Felix Bauer", "Giulia Conti", "Hannah Schmidt", "Isaac Mensah",
    "Julia Nowak", "Kwame Asante", "Leila Karimi", "Mateo Díaz", "Nora Lindqvist",
)  # fmt: skip
