"""Names of providers and models, and the model that a name stands for on a day.

A name is compared exactly: case, blanks around it and one documented prefix of its provider do not count, and nothing
else is left away. No pattern and no beginning of a name makes it another model's.
"""

from collections.abc import Callable, Iterable
from functools import cache, lru_cache
from importlib.resources import files

import msgspec
from msgspec import Struct

from usageledger.pricing.price_file import ANY, Alias, holds

ROUTER = "litellm"  # sends usage of other providers' models, which it names `provider/model`
FINE_TUNED = "ft:"
ALIASES_FOLLOWED_MAX = 2
PROVIDERS_KEPT_MAX = 1_000
# OpenAI renamed `priority` on 2026-07-30.
_TIERS_WITH_TWO_NAMES = {("openai", "priority"): ("priority", "fast"), ("openai", "fast"): ("fast", "priority")}
_PROFILE = ":inference-profile/"  # of an ARN; the id of the profile stands behind it

Name = tuple[str, str | None]  # a provider and a model, or None for usage without one


class Spelling(Struct, frozen=True, forbid_unknown_fields=True):
    """Other names of a provider, and what is put before names of its models."""

    names: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()


@cache
def spellings() -> dict[str, Spelling]:
    """Provider → how it is spelled as well."""
    text = (files("usageledger.pricing") / "data" / "providers.json").read_bytes()
    return msgspec.json.decode(text, type=dict[str, Spelling])


@cache
def _providers() -> dict[str, str]:
    return {name: provider for provider, each in spellings().items() for name in (provider, *each.names)}


@lru_cache(PROVIDERS_KEPT_MAX)
def provider_name(provider: str) -> str:
    """The name by which prices know a provider: `bedrock` and `AWS` are `aws`."""
    folded = provider.strip().lower().replace("_", "-")
    return _providers().get(folded, folded)


def model_name(provider: str, model: str) -> tuple[str, str]:
    """The provider and the model as prices name them; `provider` as `provider_name` makes it."""
    name = model.strip().lower()
    if provider == ROUTER:
        before, slash, after = name.partition("/")
        return (provider_name(before), after) if slash and before else (provider, name)
    if provider == "aws" and name.startswith("arn:") and _PROFILE in name:
        name = name.partition(_PROFILE)[2]
    spelling = spellings().get(provider)
    if spelling and name.startswith(spelling.prefixes):
        name = name.removeprefix(next(each for each in spelling.prefixes if name.startswith(each)))
    return provider, name


def own_name(provider: str, model: str | None) -> Name:
    """The provider and the model of an own price; one for the router holds for what goes through it only."""
    provider = provider_name(provider)
    if model is None or provider == ROUTER:
        return provider, model and model.strip().lower()
    return model_name(provider, model)


def tier_names(provider: str, tier: str) -> tuple[str, ...]:
    """A tier, and the other name that its provider has for it."""
    return _TIERS_WITH_TWO_NAMES.get((provider, tier), (tier,))


def matching(name: str) -> Callable[[str], bool]:
    """Tell of names whether a name, or a wild card, is for them."""
    start = name.removesuffix(ANY)
    return name.__eq__ if start == name else lambda other: other.startswith(start)


def fine_tuned_base(name: str) -> str | None:
    """`ft:BASE` of a fine-tuned model's name `ft:BASE:ORGANIZATION:…`; None for any other name."""
    if not name.startswith(FINE_TUNED):
        return None
    base = name[len(FINE_TUNED) :].partition(":")[0]
    return FINE_TUNED + base if base else None


class Aliases:
    """The models that names stand for, by day."""

    def __init__(self, aliases: Iterable[Alias]) -> None:
        self._by_name: dict[tuple[str, str], list[Alias]] = {}
        self._by_target: dict[tuple[str, str], list[Alias]] = {}
        for alias in aliases:
            self._by_name.setdefault((alias.provider, alias.name), []).append(alias)
            self._by_target.setdefault((alias.provider, alias.resolves_to), []).append(alias)

    def path(self, provider: str, name: str, day: str) -> list[str]:
        """The name, what it stands for on a day (ISO), and so on."""
        found = [name]
        if (provider, name) not in self._by_name:
            return found
        while len(found) <= ALIASES_FOLLOWED_MAX and (target := self._target(provider, found[-1], day)):
            found.append(target)
        return found

    def standing_for(self, provider: str, name: str, day: str) -> list[str]:
        """The names that stand for a name on a day (ISO), the nearest first."""
        found = [name]
        for each in found:
            aliases = self._by_target.get((provider, each), ())
            found += [alias.name for alias in aliases if holds(alias, day) and alias.name not in found]
        return found[1:]

    def names(self, provider: str) -> list[str]:
        """The names of a provider that stand for another on any day."""
        return [name for of, name in self._by_name if of == provider]

    def _target(self, provider: str, name: str, day: str) -> str | None:
        return next((a.resolves_to for a in self._by_name.get((provider, name), ()) if holds(a, day)), None)
