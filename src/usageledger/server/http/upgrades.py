"""uvicorn's HTTP/1.1 protocol, where a request that asks for another protocol is one that does not."""

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class UpgradesIgnored(HttpToolsProtocol):
    """A connection whose requests are read as HTTP/1.1 says, with or without `Upgrade`."""

    def data_received(self, data: bytes) -> None:
        """Parses the data."""
        self._unset_keepalive_if_required()
        self._parse(data)

    def _parse(self, data: bytes) -> None:
        """Reads on; a request that asks for another protocol is read as one that does not (RFC 9110, 7.8).

        The parser takes whatever comes after the head of such a request for the other protocol. Its body would be
        lost, or be read as a request. So a new parser is given that head without its `Upgrade`, and goes on.
        """
        unread = [memoryview(data)]  # the next piece stands last
        while unread:
            piece = unread.pop()
            try:
                self.parser.feed_data(piece)
            except httptools.HttpParserUpgrade as asked:
                unread += [piece[asked.args[0] :], memoryview(self._head_without_upgrade())]
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn sets it
            except httptools.HttpParserError as error:
                self.send_400_response(str(error))
                return

    def _head_without_upgrade(self) -> bytes:
        request_line = b"%s %s HTTP/%s\r\n" % (
            self.parser.get_method(),
            self.url,
            self.parser.get_http_version().encode(),
        )
        headers = (b"%s: %s\r\n" % header for header in self.headers if header[0] != b"upgrade")
        return b"".join([request_line, *headers, b"\r\n"])

    def on_headers_complete(self) -> None:
        """The end of a head that is not read once more."""
        if not self.parser.should_upgrade():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The last byte of a request whose head is not read once more."""
        if not self.parser.should_upgrade():
            super().on_message_complete()
