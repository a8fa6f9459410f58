"""Objects of a body → responses: pieces of streams put together, lines of batches and events opened."""

import hashlib
from collections.abc import Iterable
from typing import Any

from msgspec import Raw

from usageledger.sources.bodies import END, check_items
from usageledger.sources.readings import Emitter, Reading, Readings, Reason
from usageledger.sources.vendors import answers
from usageledger.sources.vendors.answers import Answer, has, inner
from usageledger.sources.vendors.responses import Response, take_response

_NOTHING = Answer()
DEPTH_MAX = 3  # of answers inside of lines and events
_DONE = {"response.completed", "response.incomplete", "response.failed", "response.cancelled", "response.done"}


class Collector:
    """The responses of one body.

    Attributes:
        readings: those that ended.
    """

    def __init__(self, provider: str, now: int, model: str | None, items_max: int) -> None:
        self.readings = Readings()
        self._provider = provider
        self._now = now
        self._model = model
        self._items_max = items_max
        self._items = 0
        self._open: dict[str, Response] = {}  # by the name of their stream
        self._repeated: dict[bytes, int] = {}

    def take(self, text: bytes | Raw, fields: dict[str, Any] | None = None, depth: int = 0) -> None:
        """Takes an object of the body, or one inside of it with what is known of its event from around it."""
        fields = fields or {}
        answer = answers.answer_of(text) if depth <= DEPTH_MAX else None
        if answer is None:
            self._leave(Reason.REFUSED, str(fields.get("id") or hashlib.sha256(text).hexdigest()))
        elif (answer.type or "").startswith("response."):
            self._response_event(answer, fields, depth)
        elif answers.is_batch_line(answer):
            self._batch_line(answer, fields, depth)
        elif not self._piece(answer, text, fields) and not self._is_content(answer):
            response = Response(fields)
            response.add(answer, text)
            self._end(response)

    def take_all(self, texts: Iterable[bytes]) -> None:
        """Takes objects of the body, and ends of its streams."""
        for text in texts:
            if text == END:
                self.end()
            else:
                self.take(text)

    def end(self) -> None:
        """Ends the streams that are open."""
        for name in list(self._open):
            self._close(name)

    def _is_content(self, answer: Answer) -> bool:
        """Returns true for events of streams that say nothing of usage."""
        if answer == _NOTHING:
            return "converse" in self._open
        typed = answer.type not in {None, "message"} and answer.object is None
        return answer.object == "" or (typed and not has(answer.usage) and not has(answer.error))

    def _response_event(self, event: Answer, fields: dict[str, Any], depth: int) -> None:
        """Takes an event of a stream of OpenAI's responses, or of a realtime session."""
        response = inner(event.response)
        if response is None:
            return  # content
        name = f"response {response.id}"
        if event.type in _DONE:
            self._open.pop(name, None)
            self.take(event.response, fields, depth + 1)
        else:
            self._stream(name).add(response, b"")

    def _batch_line(self, line: Answer, fields: dict[str, Any], depth: int) -> None:
        """Takes a line of the results of a batch."""
        text = answers.answer_in_line(line)
        name = line.id or line.custom_id or line.record_id or ""
        if text is None:
            self._leave(Reason.FAILED_CALL, name)
        else:
            own = {"id": line.id} if line.id else {}
            self.take(text, {**fields, **own, "batch": True}, depth + 1)

    def _piece(self, answer: Answer, text: bytes | Raw, fields: dict[str, Any]) -> bool:
        """Takes a piece of a stream; False for what is none."""
        name = answers.stream_of(answer)
        if name is None:
            return False
        if answers.is_first(answer):
            self._close(name)
        elif answers.needs_first(answer) and name not in self._open:
            self._leave(Reason.NO_USAGE, hashlib.sha256(text).hexdigest())
            return True
        stream = self._stream(name)
        stream.fields |= fields
        stream.add(answers.said_by(answer), text)
        stream.partial = stream.partial or answers.is_first(answer)
        if answers.is_last(answer):
            self._close(name)
        return True

    def _stream(self, name: str) -> Response:
        check_items(self._items + len(self._open), self._items_max)
        return self._open.setdefault(name, Response())

    def _close(self, name: str) -> None:
        if response := self._open.pop(name, None):
            self._end(response)

    def _end(self, response: Response) -> None:
        """Takes the events of a response of which no more will come."""
        digest = response.digest.digest()
        response.repeated = self._repeated[digest] = self._repeated.get(digest, -1) + 1
        self._count()
        take_response(response, self._provider, self._model, self._now, self._reading())

    def _leave(self, reason: Reason, example: str) -> None:
        self._count()
        self._reading().leave(reason, example)

    def _reading(self) -> Reading:
        return self.readings.of(Emitter(f"{self._provider} answers"))

    def _count(self) -> None:
        self._items += 1
        check_items(self._items, self._items_max)
