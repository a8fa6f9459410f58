"""Answers for pages of other origins (CORS, as the Fetch standard has it), where the operator names these origins.

They ask with a key, like any program: never by the session of the dashboard, whose own addresses stay closed to them.
"""

from collections.abc import Iterable
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Scope

from usageledger.errors import SettingsError
from usageledger.server.http.auth import PAGE_HEADER

SHARED_PATHS = ("/v1/", "/openapi.json", "/healthz", "/readyz")
METHODS = "GET, HEAD, POST, DELETE"
HEADERS = ("authorization", "content-type", "content-encoding")
EXPOSED = ("openai-processing-ms", "retry-after", "x-request-id")
PREFLIGHT_SECONDS = 600  # for which a browser does not ask again
PREFLIGHT: ASGIApp = Response(status_code=HTTPStatus.NO_CONTENT)
ANY = "*"
DEFAULT_PORTS = {"http": 80, "https": 443}


class CrossOrigin:
    """The origins whose pages may ask, and the headers that tell browsers so.

    Args:
        origins: the setting `cors_origins`; None for no origin.
        exposed: headers of answers that pages may read beside `EXPOSED`.

    Raises:
        SettingsError: one of them is no origin.
    """

    def __init__(self, origins: str | None, exposed: Iterable[str] = ()) -> None:
        self._origins = frozenset() if origins is None else _origins(origins)
        self._exposed = ", ".join(dict.fromkeys((*EXPOSED, *exposed)))

    def is_preflight(self, scope: Scope) -> bool:
        """Returns true for the question, before a request, whether a page that may ask may send it."""
        return (
            scope["method"] == "OPTIONS"
            and "access-control-request-method" in Headers(scope=scope)
            and self._allowed(scope) is not None
        )

    def headers(self, scope: Scope) -> list[tuple[bytes, bytes]]:
        """The headers that an answer has beside its own."""
        if not self._origins or not scope["path"].startswith(SHARED_PATHS):
            return []
        allowed = self._allowed(scope)
        found = {} if ANY in self._origins else {"vary": "Origin"}
        if allowed is not None:
            found |= {"access-control-allow-origin": allowed, "access-control-expose-headers": self._exposed}
        if self.is_preflight(scope):
            asked = Headers(scope=scope).get("access-control-request-headers", "").split(",")
            names = dict.fromkeys((*HEADERS, *(name.strip().lower() for name in asked)))
            found |= {
                "access-control-allow-methods": METHODS,
                "access-control-allow-headers": ", ".join(name for name in names if name not in ("", PAGE_HEADER)),
                "access-control-max-age": str(PREFLIGHT_SECONDS),
            }
        return [(name.encode(), value.encode("latin-1")) for name, value in found.items()]

    def _allowed(self, scope: Scope) -> str | None:
        """The origin that may read the answer, or `*`; None where that of the request may not."""
        origin = Headers(scope=scope).get("origin")
        if origin is None or not scope["path"].startswith(SHARED_PATHS):
            return None
        return ANY if ANY in self._origins else origin if origin in self._origins else None


def _origins(text: str) -> frozenset[str]:
    given = [each.strip().lower() for each in text.split(",")]
    if given == [ANY]:
        return frozenset(given)
    for each in given:
        if not _is_origin(each):
            raise SettingsError(
                "cors_origins: expected origins such as https://tools.example.com or http://localhost:3000, separated "
                f"by commas, or * alone, got {each!r}"
            )
    return frozenset(given)


def _is_origin(text: str) -> bool:
    """Returns true for an origin as browsers write it: without a path, and without the port that goes unsaid."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    host = parts.netloc if port is None else parts.netloc.removesuffix(f":{port}")
    return (
        text == f"{parts.scheme}://{parts.netloc}"
        and port != DEFAULT_PORTS.get(parts.scheme, port)
        and bool(host)
        and text.isascii()
        and not set(host) & set(" @*:") - ({":"} if host.startswith("[") else set())
    )
