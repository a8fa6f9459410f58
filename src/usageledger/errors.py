"""Every exception that UsageLedger raises; the client's own are in `usageledger.client.errors`, below the same root.

UsageLedgerError
├── SettingsError                    a setting that cannot be used
├── PriceError                       a price that cannot be set
│   └── PriceFileError               a file of public prices that cannot be taken
├── LedgerError                      the event store
│   ├── LedgerLockedError            another process holds the file
│   ├── LedgerVersionError           the file was written by a newer version
│   └── LedgerUnavailableError       closed, failed, or not able to write
├── RegistryError                    the store of keys, projects and users
│   └── UnknownCursorError           a list was to go on after an entry that it does not have
└── RequestError                     has an HTTP status and the API's error body
    ├── InvalidRequestError          400, a parameter or a body
    │   └── PageTokenError           400, forged, expired, or of another query
    ├── AuthenticationError          401
    ├── PermissionDeniedError        403
    ├── NotFoundError                404
    ├── MethodNotAllowedError        405
    ├── RequestTimeoutError          408
    ├── ConflictError                409
    ├── BodyTooLargeError            413
    ├── UnsupportedMediaTypeError    415
    ├── RateLimitError               429, has retry_after
    ├── SpendLimitError              429, money that is not there
    ├── HeadersTooLargeError         431
    ├── InternalError                500, a defect of ours
    └── OverloadedError              503, has retry_after
"""

from typing import Any, ClassVar


class UsageLedgerError(Exception):
    """The root: `except UsageLedgerError` catches everything of ours."""


class SettingsError(UsageLedgerError):
    """A setting that cannot be used; the message names it, the value given and what is allowed."""


class PriceError(UsageLedgerError):
    """A price that cannot be set; the message names every field that is wrong, its value and what is allowed."""


class PriceFileError(PriceError):
    """A price file that cannot be taken; the message names the rows that are wrong, and why."""


class LedgerError(UsageLedgerError):
    """A failure of the event store."""


class LedgerLockedError(LedgerError):
    """Another process holds the ledger's file."""


class LedgerVersionError(LedgerError):
    """The ledger's schema is newer than this version of UsageLedger."""


class LedgerUnavailableError(LedgerError):
    """The ledger is closed, or its engine failed; nothing was acknowledged."""


class RegistryError(UsageLedgerError):
    """A failure of the store of keys, projects and users."""


class UnknownCursorError(RegistryError):
    """A list was to go on after an entry, or to end before one, that it does not have; `cursor` says which of both."""

    def __init__(self, message: str, cursor: str = "after") -> None:
        super().__init__(message)
        self.cursor = cursor


class RequestError(UsageLedgerError):
    """A request that is answered with an error.

    Attributes:
        status: the HTTP status.
        message: names the value given and the values allowed.
        param: the parameter or field at fault, or None.
        code: the API's machine-readable reason, or None.
        retry_after: whole seconds for the `Retry-After` header, or None.
    """

    status: ClassVar[int] = 500
    type: ClassVar[str] = "invalid_request_error"
    default_code: ClassVar[str | None] = "invalid_request_error"

    def __init__(
        self, message: str, *, param: str | None = None, code: str | None = None, retry_after: int | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code or self.default_code
        self.retry_after = retry_after

    @property
    def is_final(self) -> bool:
        """True if the same request must not be repeated although its status tells clients to."""
        return False

    def body(self) -> dict[str, Any]:
        """The API's error body: `{"error": {"message", "type", "param", "code"}}`, all four keys always."""
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}


class InvalidRequestError(RequestError):
    """400: a parameter or a body that cannot be read."""

    status = 400


class PageTokenError(InvalidRequestError):
    """400: the page token is forged, expired, or of another query."""

    def __init__(self) -> None:
        super().__init__("The page token is invalid, have you modified the query parameters?")


class AuthenticationError(RequestError):
    """401: no key, or one that is unknown, expired or revoked."""

    status = 401
    default_code = "invalid_api_key"


class PermissionDeniedError(RequestError):
    """403: the key lacks a scope."""

    status = 403
    default_code = "insufficient_permissions"


class NotFoundError(RequestError):
    """404: no such resource or address."""

    status = 404
    default_code = "not_found"


class MethodNotAllowedError(RequestError):
    """405: the address exists, with other methods."""

    status = 405
    default_code = "method_not_allowed"


class RequestTimeoutError(RequestError):
    """408: the client took too long to send its request."""

    status = 408
    default_code = "request_timeout"


class ConflictError(RequestError):
    """409: the state of what is named does not allow it."""

    status = 409
    default_code = "conflict"


class BodyTooLargeError(RequestError):
    """413: more bytes or more events than one request may carry."""

    status = 413
    default_code = "body_too_large"


class UnsupportedMediaTypeError(RequestError):
    """415: a content type or encoding that is not read here."""

    status = 415
    default_code = "unsupported_media_type"


class RateLimitError(RequestError):
    """429: the key has used up its requests for now."""

    status = 429
    type = "requests"
    default_code = "rate_limit_exceeded"


class SpendLimitError(RequestError):
    """429: a spend limit would be passed; final, but for money that other reservations hold.

    Source: OpenAI's error codes of spend limits; its type is the same for all of them.
    """

    status = 429
    type = "insufficient_quota"
    default_code = "insufficient_quota"

    @property
    def is_final(self) -> bool:
        """See `RequestError.is_final`."""
        return self.retry_after is None


class HeadersTooLargeError(RequestError):
    """431: more headers, or larger ones, than a request may have."""

    status = 431
    default_code = "headers_too_large"


class InternalError(RequestError):
    """500: a defect of ours; the message never shows its insides."""

    status = 500
    type = "server_error"
    default_code = "internal_error"


class OverloadedError(RequestError):
    """503: a queue is full or the ledger cannot write; the same request may be sent again."""

    status = 503
    type = "server_error"
    default_code = "overloaded"
