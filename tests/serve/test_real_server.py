"""``plait serve`` as a process on loopback: started, used, told to stop under load; clients that go or dawdle."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

httpx = pytest.importorskip("httpx", reason="extra dev")
pytest.importorskip("fastapi", reason="extra serve")

ROOT = Path(__file__).resolve().parent.parent.parent
CUT_SHORT = (httpx.ConnectError, httpx.RemoteProtocolError, httpx.ReadError)


class Process:
    """A server in a process of its own."""

    def __init__(self, model: Path, *options: str) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "plait", "serve", str(model), "--port", "0", *options]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
        self.lines: list[dict[str, Any]] = []
        self.other: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.port = self.line("listening")["port"]
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=60)

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if line.startswith("{"):
                self.lines.append(json.loads(line))
            else:
                self.other.append(line)

    def line(self, event: str, count: int = 1) -> dict[str, Any]:
        """The line of the log that says this."""
        until = time.monotonic() + 120
        while time.monotonic() < until:
            found = [line for line in self.lines if line["event"] == event]
            if len(found) >= count:
                return found[count - 1]
            assert self.process.poll() is None or not self._reader.is_alive() or found, self.other
            time.sleep(0.05)
        raise AssertionError(f"no {event} within two minutes: {self.lines} {self.other}")

    def stop(self) -> int:
        self.http.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(90)
        self._reader.join(10)
        assert self.process.stderr is not None
        self.process.stderr.close()
        return code


@pytest.fixture
def server(served_model: Path) -> Iterator[Process]:
    process = Process(served_model, "--max-body-mb", "1", "--deadline", "20")
    yield process
    process.stop()


def shown(row: dict[str, Any]) -> dict[str, Any]:
    return {k: base64.b64encode(v).decode() if isinstance(v, bytes) else v for k, v in row.items()}


def all_of(sock: socket.socket) -> bytes:
    """What comes until the server closes the connection."""
    parts = []
    while part := sock.recv(65_536):
        parts.append(part)
    return b"".join(parts)


def raw(port: int, head: str, body: bytes = b"") -> socket.socket:
    made = socket.create_connection(("127.0.0.1", port), timeout=30)
    made.sendall(f"POST /v1/predict HTTP/1.1\r\nHost: 127.0.0.1\r\n{head}\r\n".encode() + body)
    return made


@pytest.mark.timeout(240)
def test_from_start_to_an_orderly_end(server: Process, fitted: Any, rows: list[dict[str, Any]]) -> None:
    server.line("ready")
    http = server.http
    assert http.get("/health").status_code == 200 and http.get("/ready").status_code == 200
    offline = fitted.predict(rows).to_pylist()
    answer = http.post("/v1/predict", json={"rows": [shown(row) for row in rows[:4]]})
    for one, expected in zip(answer.json()["predictions"], offline[:4], strict=True):
        assert one["probability"] == pytest.approx(expected["probability"], abs=1e-6)

    # A body that is longer than it may be, declared or not, is refused while it comes.
    with raw(server.port, "Content-Type: application/json\r\nContent-Length: 9999999\r\n") as sock:
        assert sock.recv(4096).startswith(b"HTTP/1.1 413")
    with raw(server.port, "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n") as sock:
        piece = b"10000\r\n" + b"a" * 0x10000 + b"\r\n"
        answered = b""
        for _ in range(40):
            try:
                sock.sendall(piece)
            except OSError:
                break
        answered = sock.recv(4096)
        assert answered.startswith(b"HTTP/1.1 413")
    # One that stops half way is given up at its deadline, and the server answers others meanwhile.
    with raw(server.port, "X-Deadline-Seconds: 1\r\nContent-Length: 100\r\nContent-Type: application/json\r\n") as sock:
        assert http.get("/health").status_code == 200
        assert sock.recv(4096).startswith(b"HTTP/1.1 408")

    # One that says in two ways where it ends is refused at once, whatever follows, and so is a body in broken pieces;
    # the connection is closed.
    both, chunked = "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding: chunked\r\n"
    unclear, whole = b'"code":"two_lengths"', b"5\r\nhello\r\n0\r\n\r\nGET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    for head, body, code in (
        (both, b"hello", unclear), (both, whole, unclear), (both, b"", unclear), (both, b"zz\r\nhello", unclear),
        (chunked, b"zz\r\nhello", b'"code":"bad_request"'),
    ):  # fmt: skip
        began_at = time.monotonic()
        with raw(server.port, head, body) as sock:
            answered = all_of(sock)
        assert answered.startswith(b"HTTP/1.1 400") and b"connection: close" in answered.lower(), answered
        assert code in answered.replace(b'": "', b'":"') and answered.count(b"HTTP/1.1") == 1
        assert time.monotonic() - began_at < 5
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as sock:
        sock.sendall(b"no http at all\r\n\r\n")
        head, _, body = all_of(sock).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400") and json.loads(body)["error"]["code"] == "bad_request"
    for path in ("/", "/docs", "/v1/model", "/health", "/metrics"):
        head, answer = http.head(path), http.get(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-type"] == answer.headers["content-type"]

    # Under load it is told to stop: every request that was taken is answered, and rightly.
    began, results = threading.Barrier(17), []

    def ask(number: int) -> None:
        with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=60) as mine:
            began.wait()
            for turn in range(40):
                row = rows[(number + turn) % len(rows)]
                try:
                    made = mine.post("/v1/predict", json={"rows": [shown(row)]})
                except CUT_SHORT as error:
                    results.append(type(error))
                    return
                results.append((made.status_code, made.json(), offline[(number + turn) % len(rows)]))

    clients = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
    for client in clients:
        client.start()
    began.wait()
    while len(results) < 30:
        time.sleep(0.005)
    server.process.send_signal(signal.SIGTERM)
    for client in clients:
        client.join(60)
    assert server.process.wait(60) == 0
    answers = [one for one in results if isinstance(one, tuple)]
    for status, body, expected in answers:
        assert status == 200 or (status == 503 and body["error"]["code"] == "stopping")
        if status == 200:
            assert body["predictions"][0]["probability"] == pytest.approx(expected["probability"], abs=1e-6)
    server._reader.join(10)
    told = [line for line in server.lines if line["event"] == "request" and line["route"] == "/v1/predict"]
    answered_200 = sum(line["status"] == 200 for line in told)
    assert answered_200 == 1 + sum(status == 200 for status, _, _ in answers)  # none was taken and then lost
    assert not [line for line in server.lines if line["event"] == "fault"] and not server.other
    assert server.line("stopped")["finished"] is True


@pytest.mark.timeout(240)
def test_clients_that_went_cost_no_work(served_model: Path) -> None:
    server = Process(served_model, "--batch-wait-ms", "1500", "--max-queue", "4")
    try:
        server.line("ready")
        body = json.dumps({"rows": [{"text": "gone"}]}).encode()
        head = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        gone = [raw(server.port, head, body) for _ in range(3)]
        time.sleep(0.3)
        for sock in gone:
            sock.close()
        kept = server.http.post("/v1/predict", json={"rows": [{"text": "kept"}]})
        assert kept.status_code == 200
        told = server.http.get("/metrics").text
        assert [line for line in told.splitlines() if 'dropped_total{reason="cancelled"' in line][0].endswith(" 3")
        assert [line for line in told.splitlines() if 'rows_total{kind="predict"' in line][0].endswith(" 1")
        # A full queue answers at once.
        waiting = [raw(server.port, head, body) for _ in range(4)]
        time.sleep(0.3)
        began = time.monotonic()
        refused = server.http.post("/v1/predict", json={"rows": [{"text": "more"}]})
        assert refused.status_code == 429 and int(refused.headers["retry-after"]) >= 1
        assert time.monotonic() - began < 1 and refused.json()["error"]["code"] == "queue_full"
        for sock in waiting:
            assert sock.recv(4096).startswith(b"HTTP/1.1 200")
            sock.close()
    finally:
        assert server.stop() == 0


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_connections_that_say_nothing_are_closed(server: Process) -> None:
    """A head that never ends is given up; a connection that is used is not."""
    server.line("ready")
    silent = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    slow = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    slow.sendall(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n")
    began, closed = time.monotonic(), None
    while closed is None and time.monotonic() - began < 25:
        time.sleep(0.5)
        assert server.http.get("/health").status_code == 200
        try:
            slow.sendall(b"X-A: b\r\n")
        except OSError:
            closed = time.monotonic() - began
    assert closed is not None and closed > 9
    assert silent.recv(100) == b""
    silent.close()
    slow.close()


@pytest.mark.slow
@pytest.mark.timeout(280)
@pytest.mark.skipif(os.name == "nt", reason="workers share a socket")
def test_workers_share_the_address_and_are_started_again(served_model: Path) -> None:
    server = Process(served_model, "--workers", "2")
    try:
        first, second = server.line("ready", 1), server.line("ready", 2)
        assert first and second
        seen = set()
        for _ in range(60):
            with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=60) as http:
                assert http.post("/v1/predict", json={"rows": [{"text": "a"}]}).status_code == 200
                time.sleep(0.05)
                text = http.get("/metrics").text
                seen.add(text.split('worker="')[1].split('"')[0])
        assert len(seen) == 2 and all(f'worker="{worker}"' in text for worker in seen)  # one of them tells of both
        os.kill(int(min(seen)), signal.SIGKILL)
        assert server.line("worker_died")["code"] == -signal.SIGKILL
        server.line("ready", 3)
        with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=60) as http:
            assert http.post("/v1/predict", json={"rows": [{"text": "a"}]}).status_code == 200
    finally:
        assert server.stop() == 0


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["no-such-model"], "no-such-model"),
        (["MODEL", "no-such-index"], "plait index build"),
        (["MODEL", "--port", "99999"], "--port"),
        (["MODEL", "--batch-size", "0"], "--batch-size"),
        (["MODEL", "--token-file", "no-such-token"], "no-such-token"),
        (["MODEL", "--token-file", "short.txt"], "16 characters"),
    ],
)
def test_what_cannot_be_served_is_said(
    served_model: Path, typed: list[str], said: str, run: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "short.txt").write_text("short\n")
    code, out, err = run("serve", *(str(served_model) if word == "MODEL" else word for word in typed))
    assert code == 2 and said in err and not out


def test_the_extra_is_named_where_it_is_missing(served_model: Path, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    code, _, err = run("serve", served_model)
    assert code == 2 and "pip install 'plait[serve]'" in err


def test_an_address_that_is_taken_is_said(served_model: Path, run: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, _, err = run("serve", served_model, "--port", taken.getsockname()[1])
    assert code == 2 and "cannot listen on 127.0.0.1 port" in err
