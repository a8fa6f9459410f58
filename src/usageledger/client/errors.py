"""Every exception that the client raises, by the names that OpenAI's own Python client has for them.

UsageLedgerError
├── SettingsError                        an API key, an address or another argument of the client that cannot be used
├── MissingExtraError                    an optional library is not installed; also an ImportError
└── APIError                             a request that did not get what it asked for
    ├── APIConnectionError               no answer: refused, cut off, not resolved
    │   └── APITimeoutError              no answer in time
    ├── APIResponseValidationError       an answer that is not what the API answers
    └── APIStatusError                   an answer with an error
        ├── BadRequestError              400, a parameter or a body
        ├── AuthenticationError          401, no key or a wrong one
        ├── PermissionDeniedError        403, the key lacks a scope
        ├── NotFoundError                404
        ├── ConflictError                409
        ├── RequestTooLargeError         413
        ├── UnprocessableEntityError     422
        ├── RateLimitError               429
        └── InternalServerError          500 and above

The server's own exceptions, in `usageledger.errors`, are another tree below the same root: a client raises none of them
but `SettingsError`. An argument of the wrong type is a `TypeError`, a value that can select nothing a `ValueError`.
"""

from typing import Any

from usageledger.errors import SettingsError, UsageLedgerError

__all__ = [
    "APIConnectionError",
    "APIError",
    "APIResponseValidationError",
    "APIStatusError",
    "APITimeoutError",
    "AuthenticationError",
    "BadRequestError",
    "ConflictError",
    "InternalServerError",
    "MissingExtraError",
    "NotFoundError",
    "PermissionDeniedError",
    "RateLimitError",
    "RequestTooLargeError",
    "SettingsError",
    "UnprocessableEntityError",
    "UsageLedgerError",
]


class MissingExtraError(UsageLedgerError, ImportError):
    """An optional library is not installed; the message has the command that installs it."""


class APIError(UsageLedgerError):
    """A failed request. No exception of the client ever holds the API key.

    Attributes:
        message: what went wrong, in one line.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class APIConnectionError(APIError):
    """No answer came: the connection was refused or cut off, or the name was not resolved.

    Attributes:
        may_have_arrived: whether the server may have the request, since it was the answer that was lost.
    """

    def __init__(self, message: str, *, may_have_arrived: bool = True) -> None:
        super().__init__(message)
        self.may_have_arrived = may_have_arrived


class APITimeoutError(APIConnectionError):
    """No answer came in time."""


class APIResponseValidationError(APIError):
    """An answer that does not have the API's form, so that no number can be read from it."""


class APIStatusError(APIError):
    """An answer that is an error.

    Attributes:
        status_code: the HTTP status.
        message: the server's own words, or the name of the status where it gave none.
        code: the API's machine-readable reason, or None.
        param: the parameter at fault, or None.
        type: the API's sort of error, or None.
        request_id: names the request in the server's log, or None.
        retry_after: seconds after which the server wants to be asked again, or None.
        is_final: the server said that the same request is not to be sent again, whatever its status.
        body: the answer as it came, JSON where it is that.
    """

    def __init__(  # noqa: PLR0913 - an attribute each
        self,
        message: str,
        *,
        status_code: int,
        code: str | None = None,
        param: str | None = None,
        type: str | None = None,  # noqa: A002 - its name in the API
        request_id: str | None = None,
        retry_after: float | None = None,
        is_final: bool = False,
        body: Any = None,
    ) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.code = code
        self.param = param
        self.type = type
        self.request_id = request_id
        self.retry_after = retry_after
        self.is_final = is_final
        self.body = body

    def __str__(self) -> str:
        request = f" (request {self.request_id})" if self.request_id else ""
        return f"{self.status_code}: {self.message}{request}"


class BadRequestError(APIStatusError):
    """400: a parameter or a body that the server cannot read."""


class AuthenticationError(APIStatusError):
    """401: no key, or one that is unknown, expired or revoked."""


class PermissionDeniedError(APIStatusError):
    """403: the key lacks a scope."""


class NotFoundError(APIStatusError):
    """404: no such resource or address."""


class ConflictError(APIStatusError):
    """409: another request was in the way."""


class RequestTooLargeError(APIStatusError):
    """413: more bytes or more events than one request may carry."""


class UnprocessableEntityError(APIStatusError):
    """422: a body that is well-formed and makes no sense to the server."""


class RateLimitError(APIStatusError):
    """429: too many requests; `retry_after` is the wait that the server asks for, if it does."""


class InternalServerError(APIStatusError):
    """500 and above: the server, or something before it, failed."""


CLASS_OF_STATUS: dict[int, type[APIStatusError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    413: RequestTooLargeError,
    422: UnprocessableEntityError,
    429: RateLimitError,
}


def class_of_status(status: int) -> type[APIStatusError]:
    """The class for an HTTP status; `APIStatusError` itself where there is none of its own."""
    if status >= 500:  # noqa: PLR2004 - where HTTP's server errors begin
        return InternalServerError
    return CLASS_OF_STATUS.get(status, APIStatusError)
