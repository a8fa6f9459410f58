"""The dashboard's page and files, with a digest in their address: a browser keeps them until they change."""

import gzip
import mimetypes
from dataclasses import dataclass
from functools import cache, cached_property
from hashlib import sha256
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from usageledger import __version__

STATIC = Path(__file__).parent / "static"
PAGES = ("/", "/costs", "/usage/{kind}", "/spend", "/sources", "/unpriced", "/keys")
COMPRESSED_BYTES_MIN = 500
DIGEST_CHARACTERS = 16
YEAR_SECONDS = 365 * 86400
# Scripts and styles are files of ours alone; nothing may frame the page, and nothing leaves it.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
SECURITY_HEADERS = {
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


@dataclass(frozen=True)
class Asset:
    """A file as it is sent."""

    body: bytes
    media_type: str

    @cached_property
    def zipped(self) -> bytes | None:
        """The file in gzip; None where it is too small for that."""
        return gzip.compress(self.body, mtime=0) if len(self.body) >= COMPRESSED_BYTES_MIN else None

    def response(self, request: Request, headers: dict[str, str]) -> Response:
        """Makes the response, in gzip where the browser takes that."""
        headers = {**SECURITY_HEADERS, **headers}
        if "gzip" in request.headers.get("accept-encoding", "") and self.zipped is not None:
            return Response(self.zipped, headers=headers | {"content-encoding": "gzip"}, media_type=self.media_type)
        return Response(self.body, headers=headers, media_type=self.media_type)


def asset_routes() -> list[Route]:
    """The page, at every address that a view has, and the files that it is made of."""
    return [
        *(Route(path, _page, methods=["GET"]) for path in PAGES),
        Route("/dashboard/{digest}/{name:path}", _file, methods=["GET"]),
    ]


async def _page(request: Request) -> Response:
    page, tag = index()
    headers = {"cache-control": "no-cache", "etag": tag}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=SECURITY_HEADERS | headers)
    return page.response(request, headers)


async def _file(request: Request) -> Response:
    asset = files().get(request.path_params["name"])
    if asset is None or request.path_params["digest"] != digest():
        raise HTTPException(404)
    return asset.response(request, {"cache-control": f"public, max-age={YEAR_SECONDS}, immutable"})


@cache
def files() -> dict[str, Asset]:
    """Every file but the page itself, by its path."""
    paths = sorted(path for path in STATIC.rglob("*") if path.is_file() and path.name != "index.html")
    return {path.relative_to(STATIC).as_posix(): Asset(path.read_bytes(), _media_type(path)) for path in paths}


def _media_type(path: Path) -> str:
    kind = mimetypes.guess_type(path.name)[0] or "text/plain"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind


@cache
def digest() -> str:
    """Returns a digest of all files together: modules name each other by relative addresses."""
    text = b"".join(name.encode() + b"\0" + sha256(asset.body).digest() for name, asset in files().items())
    return sha256(text).hexdigest()[:DIGEST_CHARACTERS]


@cache
def index() -> tuple[Asset, str]:
    """The page with the addresses of its files, all of which it names, so that none waits for another; its ETag."""
    base = f"/dashboard/{digest()}"
    modules = [name for name in files() if name.endswith(".js") and not name.startswith("vendor/")]
    styles = [name for name in files() if name.endswith(".css")]
    links = [f'<link rel="stylesheet" href="{base}/{name}">' for name in styles]
    links += [f'<link rel="modulepreload" href="{base}/{name}">' for name in modules]
    text = (STATIC / "index.html").read_text("utf-8")
    text = text.replace("{links}", "\n    ".join(links)).replace("{base}", base).replace("{version}", __version__)
    body = text.encode()
    return Asset(body, "text/html; charset=utf-8"), f'"{sha256(body).hexdigest()[:DIGEST_CHARACTERS]}"'
