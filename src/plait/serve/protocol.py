"""Connections that are opened and then say nothing, or only a letter now and then, are closed after a while.

uvicorn limits how long a connection stays idle after an answer, but not how long the head of a request may take, so
that a few thousand connections without a request would hold all that a process may open. And what is no HTTP at all is
refused in the shape of every other refusal, also while a request is on its way.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from plait.serve.refusal import TWO_LENGTHS, Refusal, has_two_lengths

HEAD_SECONDS = 10.0
NO_HTTP = "this is no HTTP that can be read, or a body cut into broken pieces; the connection is closed"


class PatientProtocol(H11Protocol):
    """uvicorn's protocol with a limit on the time that the head of a request takes."""

    _head: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Wait for the first head."""
        super().connection_made(transport)
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        """Take some bytes; wait for what is left of a head."""
        super().data_received(data)
        if not self._is_between_requests():
            self._no_longer()
        elif self._head is None:
            self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the limit."""
        self._no_longer()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Refuse what cannot be read, unless an answer has begun already, and close the connection.

        Args:
            msg: uvicorn's own words, which are not used.
        """
        is_going = self.cycle is not None and not self.cycle.response_complete
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            is_unclear = is_going and has_two_lengths(name for name, _ in self.headers)
            refused = Refusal(400, "two_lengths", TWO_LENGTHS) if is_unclear else Refusal(400, "bad_request", NO_HTTP)
            request_id = uuid.uuid4().hex
            body = json.dumps(refused.to_json(request_id)).encode()
            headers = [
                (b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()),
                (b"x-request-id", request_id.encode()), (b"connection", b"close"),
            ]  # fmt: skip
            for event in (h11.Response(status_code=400, headers=headers), h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        if is_going:  # whoever answers this request finds nobody there
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.close()

    def _is_between_requests(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _wait_for_head(self) -> None:
        self._head = self.loop.call_later(HEAD_SECONDS, self._too_late)

    def _no_longer(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _too_late(self) -> None:
        self._head = None
        if self._is_between_requests() and not self.transport.is_closing():
            self.transport.close()
