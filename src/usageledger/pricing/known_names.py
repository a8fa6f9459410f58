"""The names that price lists know: which of them a price of the operator's is for, and what defaults make sense."""

from usageledger.parts import lifetime_of
from usageledger.pricing.book import PriceBook
from usageledger.pricing.cards import LIFETIME, Subject
from usageledger.pricing.names import fine_tuned_base, matching, provider_name
from usageledger.pricing.price_file import ANY


def listed_names(book: PriceBook, provider: str) -> list[str]:
    """The names of a provider's models that a list has, or that stand for one."""
    provider = provider_name(provider)
    models = {row.model for row in book.rows(provider) if row.model not in (None, ANY)}
    return sorted({*map(str, models), *book.aliases.names(provider)})


def is_listed(book: PriceBook, provider: str, model: str) -> bool:
    """Tell whether a list knows the model, or for a wild card such a model."""
    provider, name = book.name_of(provider, model)
    known, base = listed_names(book, provider), fine_tuned_base(name)
    return base in known or any(map(matching(name), known))


def names_held(book: PriceBook, provider: str, model: str, day: int) -> list[str]:
    """The listed names for which an own price for `model` holds on a day."""
    provider, name = book.name_of(provider, model)
    fits = matching(name)
    about = ((each, book.names_of(Subject(day, "", provider, each))) for each in listed_names(book, provider))
    return [each for each, same in about if any(other is not None and fits(other) for _, other in same)]


def default_values(book: PriceBook, provider: str, kind: str, name: str) -> list[str]:
    """The values of a field of events on which prices of a provider depend; of one kind, or of `ANY`."""
    rows = [row for row in book.rows(provider_name(provider)) if kind in (ANY, row.kind)]
    if name == LIFETIME:
        return sorted({lifetime for row in rows if (lifetime := lifetime_of(row.part))})
    return sorted({str(value) for row in rows if (value := getattr(row, name, None)) is not None})
