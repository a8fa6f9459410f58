"""The exception tree as its module draws it, and the one shape of an error body."""

import inspect
import re

import pytest

from usageledger import errors
from usageledger.errors import PageTokenError, RequestError, SpendLimitError, UsageLedgerError

CLASSES = [
    cls
    for _, cls in inspect.getmembers(errors, inspect.isclass)
    if issubclass(cls, Exception) and cls.__module__ == errors.__name__
]
REQUESTS = [cls for cls in CLASSES if issubclass(cls, RequestError)]


def name_of(cls: type) -> str:
    return cls.__name__


def make(cls: type[RequestError], **fields: object) -> RequestError:
    return cls() if cls is PageTokenError else cls("The message.", **fields)  # type: ignore[arg-type]


def drawn() -> dict[str, str | None]:
    """Class → the one above it, as the module's docstring draws them."""
    found: dict[str, str | None] = {}
    above: list[str] = []
    for indent, name in re.findall(r"^([│├└─ ]*)(\w+Error)\b", str(errors.__doc__), re.MULTILINE):
        depth = len(indent) // 4
        found[name] = above[depth - 1] if depth else None
        above = [*above[:depth], name]
    return found


def test_the_tree_is_the_one_drawn() -> None:
    tree = {cls.__name__: cls.__mro__[1].__name__ if cls is not UsageLedgerError else None for cls in CLASSES}
    assert drawn() == tree


@pytest.mark.parametrize("cls", REQUESTS, ids=name_of)
def test_the_drawn_status_is_the_status(cls: type[RequestError]) -> None:
    if cls is not RequestError:
        (status,) = re.findall(rf"{cls.__name__} +(\d+)", str(errors.__doc__))
        assert cls.status == int(status)
        assert str(cls.__doc__).startswith(f"{status}: ")


@pytest.mark.parametrize("cls", CLASSES, ids=name_of)
def test_everything_of_ours_is_caught_by_the_root(cls: type[Exception]) -> None:
    assert issubclass(cls, UsageLedgerError)
    assert cls.__doc__


@pytest.mark.parametrize("cls", REQUESTS, ids=name_of)
def test_a_body_has_all_four_keys(cls: type[RequestError]) -> None:
    error = make(cls)
    body = error.body()
    assert list(body) == ["error"]
    assert list(body["error"]) == ["message", "type", "param", "code"]
    assert body["error"]["message"] == str(error) == error.message
    assert body["error"]["param"] is None
    assert isinstance(body["error"]["type"], str)
    assert isinstance(body["error"]["code"], str)
    assert error.retry_after is None
    assert 400 <= error.status < 600


@pytest.mark.parametrize("cls", [cls for cls in REQUESTS if cls is not PageTokenError], ids=name_of)
def test_what_is_given_is_in_the_body(cls: type[RequestError]) -> None:
    error = make(cls, param="limit", code="too_many", retry_after=3)
    assert error.body() == {
        "error": {"message": "The message.", "type": cls.type, "param": "limit", "code": "too_many"}
    }
    assert error.retry_after == 3


@pytest.mark.parametrize("cls", REQUESTS, ids=name_of)
def test_whose_fault_it_is(cls: type[RequestError]) -> None:
    expected = {429: "requests", 500: "server_error", 503: "server_error"}.get(cls.status, "invalid_request_error")
    expected = "insufficient_quota" if cls is SpendLimitError else expected
    if cls is not RequestError:
        assert cls.type == expected
