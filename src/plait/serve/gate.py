"""What every request passes before a route sees it: names and tokens, sizes, numbers, times, and a line in the log.

Plain ASGI, so that the body is counted while it comes in: a length that is declared and bytes that are sent are both
held against the limit, and a body that comes too slowly is given up.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from plait.serve.auth import Doorkeeper
from plait.serve.log import Log
from plait.serve.metrics import Metrics
from plait.serve.options import ServeOptions
from plait.serve.refusal import TWO_LENGTHS, Refusal, has_two_lengths

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

OPEN_PATHS = ("/", "/docs", "/health", "/ready")  # hold nothing of the model
HELD_BODIES = 8  # as many of the largest size are held at once
DRAINED_BODIES = 4  # of the largest size: so much of a body that is refused is read and thrown away, ...
DRAINED_SECONDS = 10.0  # ... for so long, ...
DRAINED_AT_ONCE = 16  # ... of so many requests at once
CLIENT_GONE = 499  # of the log: nobody was there to be answered
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_HEADERS = (
    (b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer"), (b"cache-control", b"no-store"),
    (b"x-frame-options", b"DENY"), (b"cross-origin-resource-policy", b"same-origin"),
)  # fmt: skip


class ClientGoneError(Exception):
    """The client closed the connection before its answer."""


class Gate:
    """An ASGI application around another.

    Args:
        app: The routes.
        options: The limits.
        metrics: What is counted.
        log: Where a line of each request goes.
    """

    def __init__(self, app: Any, options: ServeOptions, metrics: Metrics, log: Log) -> None:
        self._app, self._options, self._metrics, self._log = app, options, metrics, log
        self._doorkeeper = Doorkeeper(options)
        self._most_held = HELD_BODIES * options.max_body
        self.requests = self.held = self.draining = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through, or answer it."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif scope["type"] != "http":
            await self._app(scope, receive, send)
        else:
            await _Passage(self, scope, receive, send).go()


class _Passage:
    """One request on its way."""

    def __init__(self, gate: Gate, scope: Scope, receive: Receive, send: Send) -> None:
        self.gate, self.scope, self._receive, self._send = gate, scope, receive, send
        self.headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
        self.is_unclear = has_two_lengths(self.headers)
        self.is_head = scope["method"] == "HEAD"
        self.routed = {**scope, "method": "GET"} if self.is_head else scope  # HEAD is GET without its body
        given = self.headers.get("x-request-id", "")
        self.request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        self.started = time.monotonic()
        self.status: int | None = None
        self.size, self.held, self.is_read = 0, 0, False

    async def go(self) -> None:
        """From its head to its answer."""
        gate, options = self.gate, self.gate._options
        self.routed["plait.request_id"] = self.request_id
        self.routed["plait.deadline"] = self.started + options.deadline
        gate.requests += 1
        try:
            self._check_head()
            await gate._app(self.routed, self.receive, self.send)
        except Refusal as refused:
            await self._refuse(refused)
        except ClientGoneError:
            self.status = CLIENT_GONE
        except asyncio.CancelledError:
            self.status = self.status or CLIENT_GONE
            raise
        except Exception as error:
            gate._log.fault(error, request_id=self.request_id)
            await self._refuse(Refusal(500, "fault", "a fault of the server; its log names this request"))
        finally:
            gate.requests -= 1
            gate.held -= self.held
            self._told()

    def _check_head(self) -> None:
        gate, options = self.gate, self.gate._options
        if self.is_unclear:
            raise Refusal(400, "two_lengths", TWO_LENGTHS)
        gate._doorkeeper.check(self.headers, needs_token=self.scope["path"] not in OPEN_PATHS)
        wanted = self.headers.get("x-deadline-seconds")
        if wanted is not None:
            try:
                seconds = float(wanted)
            except ValueError:
                seconds = -1.0
            if not 0 < seconds <= 86_400:
                raise Refusal(422, "bad_deadline", "X-Deadline-Seconds must be a number of seconds above 0")
            self.routed["plait.deadline"] = self.started + min(seconds, options.deadline)
        if self.scope["method"] != "POST":
            return
        if gate.requests > options.max_requests:
            raise Refusal(429, "too_many_requests", "too many requests at once; try again", retry_after=1)
        declared = self.headers.get("content-length", "0")
        if not (declared.isascii() and declared.isdigit()) or len(declared) > 18 or int(declared) > options.max_body:
            raise self._too_large()

    def _too_large(self) -> Refusal:
        return Refusal(413, "body_too_large", f"the body is larger than {self.gate._options.max_body_mb:g} MiB")

    async def receive(self) -> MutableMapping[str, Any]:
        """The next piece of the body, counted."""
        if self.is_read:
            return await self._receive()
        gate, left = self.gate, self.routed["plait.deadline"] - time.monotonic()
        try:
            message = await asyncio.wait_for(self._receive(), max(left, 0.001))
        except TimeoutError:
            raise Refusal(408, "too_slow", "the body did not come in time") from None
        if message["type"] == "http.request":
            length = len(message.get("body", b""))
            self.size += length
            self.is_read = not message.get("more_body", False)
            if self.size > gate._options.max_body:
                raise self._too_large()
            if gate.held + length > gate._most_held:
                raise Refusal(429, "too_many_bytes", "too many bodies at once; try again", retry_after=1)
            gate.held += length
            self.held += length
        return message

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """Send on, with the headers of every answer."""
        if self.is_head and message["type"] == "http.response.body":
            message = {**message, "body": b""}
        if message["type"] == "http.response.start":
            self.status = message["status"]
            more = [(b"x-request-id", self.request_id.encode("ascii")), *_HEADERS]
            if self._is_sending or self.is_unclear:
                more.append((b"connection", b"close"))
            message = {**message, "headers": [*message.get("headers", []), *more]}
        elif not message.get("more_body", False) and self._is_sending:
            # A client that sends its whole body before it reads gets the answer, and no broken pipe.
            await self._send({**message, "more_body": True})
            await self._drain()
            message = {"type": "http.response.body", "body": b""}
        await self._send(message)

    @property
    def _is_sending(self) -> bool:
        """Whether some of the body may still be on its way."""
        has_body = self.headers.get("content-length", "0") != "0" or "transfer-encoding" in self.headers
        return has_body and not self.is_read and not self.is_unclear  # nobody can tell how much is left of that

    async def _drain(self) -> None:
        """Read what is left of a body that was refused, within bounds, and keep nothing of it."""
        gate, left = self.gate, DRAINED_BODIES * self.gate._options.max_body
        if gate.draining >= DRAINED_AT_ONCE:
            return
        gate.draining += 1
        until = time.monotonic() + min(DRAINED_SECONDS, gate._options.deadline)
        try:
            while left > 0 and not self.is_read:
                message = await asyncio.wait_for(self._receive(), max(until - time.monotonic(), 0.001))
                left -= len(message.get("body", b""))
                self.is_read = message["type"] != "http.request" or not message.get("more_body", False)
        except TimeoutError:
            pass
        finally:
            gate.draining -= 1

    async def _refuse(self, refused: Refusal) -> None:
        if self.status is not None:  # an answer has begun
            return
        body = json.dumps(refused.to_json(self.request_id), ensure_ascii=False).encode("utf-8", "replace")
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        headers += [(k.lower().encode(), v.encode()) for k, v in refused.headers.items()]
        if refused.status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        self.gate._metrics.count("refused_total", reason=refused.code)
        await self.send({"type": "http.response.start", "status": refused.status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})

    def _told(self) -> None:
        seconds = time.monotonic() - self.started
        route = getattr(self.routed.get("route"), "path", None) or "other"
        status = self.status or 500
        self.gate._metrics.count("requests_total", route=route, status=str(status))
        self.gate._metrics.observe("request_seconds", seconds, route=route)
        method = self.scope["method"] if self.scope["method"] in _METHODS else "other"
        self.gate._log.write(
            "request", request_id=self.request_id, method=method, route=route, status=status,
            ms=round(seconds * 1000, 1), bytes=self.size, **self.routed.get("plait.told", {}),
        )  # fmt: skip


_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")
