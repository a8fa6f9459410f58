"""HTTP/1.1 as uvicorn reads it, with the API's error body for what cannot be read."""

from uuid import uuid4

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from usageledger.errors import InvalidRequestError

LONGEST_URL_BYTES = 65_535  # as the parser has it


class Protocol(HttpToolsProtocol):
    """A connection."""

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's own text says less
        """Answers what is not a request that the application could answer, and ends the connection."""
        error = InvalidRequestError(f"This is no HTTP request, or its URL is longer than {LONGEST_URL_BYTES} bytes.")
        body = msgspec.json.encode(error.body())
        headers = [
            *self.server_state.default_headers,
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
            (b"x-request-id", f"req_{uuid4().hex}".encode()),
            (b"openai-processing-ms", b"0"),
        ]
        lines = [b"HTTP/1.1 400 Bad Request", *(b"%s: %s" % header for header in headers)]
        self.transport.write(b"\r\n".join([*lines, b"", body]))
        self.transport.close()
