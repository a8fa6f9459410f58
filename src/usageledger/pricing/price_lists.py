"""Look-up of a name's model in the public price lists, as `genai-prices` finds it, without trying every model.

Names come from events, so that there may be any number of them: nothing is remembered of one. (`genai-prices` itself
remembers each for good, and compares it with all models of a provider.)
"""

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from functools import lru_cache, partial

from genai_prices.data_snapshot import DataSnapshot, find_provider_by_id
from genai_prices.types import (
    ClauseContains,
    ClauseEndsWith,
    ClauseEquals,
    ClauseOr,
    ClauseRegex,
    ClauseStartsWith,
    MatchLogic,
    ModelInfo,
    Provider,
)

ROUTER = "litellm"  # sends usage of other providers' models
PROVIDERS_KEPT_MAX = 1_000
# A date that is written as one number: lists have it with dashes.
_COMPACT_DATE = re.compile(r"-(20\d\d)(\d\d)(\d\d)(?=-|:|$)")


class PriceLists:
    """The models of every provider, by what their names may be."""

    def __init__(self, snapshot: DataSnapshot) -> None:
        self.providers = snapshot.providers
        self._provider = lru_cache(PROVIDERS_KEPT_MAX)(partial(find_provider_by_id, self.providers))
        self._names: dict[str, Names] = {}

    def find(self, provider: str, model: str) -> ModelInfo | None:
        """The model that a provider's list has by this name; where several fit, its first."""
        text = model.lower()
        listed = self._provider(provider)
        if listed is None and provider.lower() == ROUTER:
            before, slash, after = text.partition("/")
            listed = self._provider(before) if before and slash else None
            text = after if listed else text
            listed = listed or next((p for p in self.providers if p.model_match and p.model_match.is_match(text)), None)
        if listed is None:
            return None
        if listed.id not in self._names:
            self._names[listed.id] = Names(self._models(listed))
        names = self._names[listed.id]
        found, dashed = names.first(text), _COMPACT_DATE.sub(_dashed, text)
        return names.first(dashed) if found is None and dashed != text else found

    def _models(self, provider: Provider) -> Iterator[ModelInfo]:
        """The provider's own models, then those of the providers whose models it serves."""
        yield from provider.models
        by_id = {each.id: each for each in self.providers}
        for other in provider.fallback_model_providers or ():
            yield from by_id[other].models if other in by_id else ()


class Names:
    """The names that models go by, by the way in which they are compared."""

    def __init__(self, models: Iterable[ModelInfo]) -> None:
        self._models = list(models)
        # Each name or clause with the place of its model.
        self._equal: dict[str, int] = {}
        self._starts: list[tuple[str, int]] = []
        self._ends: list[tuple[str, int]] = []
        self._parts: list[tuple[str, int]] = []
        self._patterns: list[tuple[re.Pattern[str], int]] = []
        self._others: list[tuple[Callable[[str], object], int]] = []
        for place, model in enumerate(self._models):
            for clause in _alternatives(model.match):
                self._add(clause, place)
        self._any_start = tuple(text for text, _ in self._starts)
        self._any_end = tuple(text for text, _ in self._ends)
        self._any_part = _any_of(re.escape(text) for text, _ in self._parts)
        self._any_pattern = _any_of(pattern.pattern for pattern, _ in self._patterns)

    def _add(self, clause: MatchLogic, place: int) -> None:
        if isinstance(clause, ClauseEquals):
            self._equal.setdefault(clause.equals.lower(), place)
        elif isinstance(clause, ClauseStartsWith):
            self._starts.append((clause.starts_with.lower(), place))
        elif isinstance(clause, ClauseEndsWith):
            self._ends.append((clause.ends_with.lower(), place))
        elif isinstance(clause, ClauseContains):
            self._parts.append((clause.contains.lower(), place))
        elif isinstance(clause, ClauseRegex):
            self._add_pattern(re.compile(clause.regex), place)
        else:
            self._others.append((clause.is_match, place))

    def _add_pattern(self, pattern: re.Pattern[str], place: int) -> None:
        if pattern.flags == re.UNICODE and not pattern.groups:  # else it may mean something else as one of several
            self._patterns.append((pattern, place))
        else:
            self._others.append((pattern.search, place))

    def first(self, text: str) -> ModelInfo | None:
        """The first model that has this name, in small letters."""
        places = [self._equal[text]] if text in self._equal else []
        if text.startswith(self._any_start):
            places += [place for start, place in self._starts if text.startswith(start)]
        if text.endswith(self._any_end):
            places += [place for end, place in self._ends if text.endswith(end)]
        if self._any_part.search(text):
            places += [place for part, place in self._parts if part in text]
        if self._any_pattern.search(text):
            places += [place for pattern, place in self._patterns if pattern.search(text)]
        places += [place for fits, place in self._others if fits(text)]
        return self._models[min(places)] if places else None


def _any_of(patterns: Iterable[str]) -> re.Pattern[str]:
    """Makes one pattern that fits where one of several does; nearly every name fits none of them."""
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns) or "(?!)")


def _alternatives(match: MatchLogic) -> Iterator[MatchLogic]:
    """The clauses of which one is enough."""
    for clause in match.or_ if isinstance(match, ClauseOr) else ():
        yield from _alternatives(clause)
    if not isinstance(match, ClauseOr):
        yield match


def _dashed(found: re.Match[str]) -> str:
    year, month, day = found.groups()
    try:
        date(int(year), int(month), int(day))
    except ValueError:
        return found[0]
    return f"-{year}-{month}-{day}"
