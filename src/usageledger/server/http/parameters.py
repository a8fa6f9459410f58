"""Parameters of the query string: described once, which says which there are and what the document tells of them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from usageledger.errors import InvalidRequestError
from usageledger.questions.query_string import COMMA, bare_name, unknown_parameter, unsupported
from usageledger.server.json_schema import Schema

OF_SOME_LISTS = ("before", "order")  # which clients try on others as well


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the query string.

    Attributes:
        name: as it is written, without brackets.
        schema: of its value, or of each value where it is a list.
        doc: one or more sentences for the document.
        required: it has to be given.
        listed: it is a list, in any of the three encodings.
        values_max: most values of a list, where they are bounded.
    """

    name: str
    schema: Schema
    doc: str
    required: bool = False
    listed: bool = False
    values_max: int | None = None


def check_names(given: Iterable[tuple[str, str]], parameters: Sequence[Parameter]) -> None:
    """Refuses a parameter that is not among `parameters`; lists may be written with brackets.

    Raises:
        InvalidRequestError: names it, with a suggestion.
    """
    listed = {parameter.name: parameter.listed for parameter in parameters}
    for raw, value in given:
        if raw not in listed and not listed.get(bare_name(raw)):
            names = [parameter.name for parameter in parameters]
            raise unknown_parameter(raw, names, value if raw in OF_SOME_LISTS else None)


def collect(given: Iterable[tuple[str, str]], parameters: Sequence[Parameter]) -> dict[str, list[str]]:
    """Brings together the values of each parameter, once `check_names` found nothing.

    Raises:
        InvalidRequestError: one that is no list is given twice, or a value has NUL.
    """
    listed = {parameter.name for parameter in parameters if parameter.listed}
    found: dict[str, list[str]] = {}
    for raw, value in given:
        name = bare_name(raw)
        if name not in listed and name in found:
            raise refused(name, f"Parameter given twice: '{name}'.")
        if "\0" in value:
            raise refused(name, f"Invalid '{name}': expected text without NUL, got {value[:100]!r}.")
        # In brackets a value stands for itself, so that one with a comma can be asked for.
        found.setdefault(name, []).extend(COMMA.split(value) if raw in listed else [value])
    return found


def take_limit(given: Mapping[str, list[str]], default: int, most: int, least: int = 1) -> int:
    """Reads how many entries are listed at most."""
    text = given.get("limit", [str(default)])[0]
    if not re.fullmatch("-?[0-9]{1,18}", text):
        raise refused("limit", f"Invalid type for 'limit': expected an integer, got '{text[:100]}'.", "invalid_type")
    if not least <= int(text) <= most:
        raise refused("limit", f"Invalid 'limit': expected an integer from {least} to {most}, got {text}.")
    return int(text)


def one_of(name: str, value: str, allowed: Sequence[str]) -> str:
    """Gives back `value`, which has to be one of these."""
    if value not in allowed:
        raise unsupported(name, value, allowed)
    return value


def refused(param: str, message: str, code: str = "invalid_value") -> InvalidRequestError:
    """Makes the error of a parameter that cannot be taken."""
    return InvalidRequestError(message, param=param, code=code)
