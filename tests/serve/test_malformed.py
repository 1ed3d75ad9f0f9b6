"""Two thousand malformed requests from fixed seeds, and requests made from the schema: no 500, no hang, no growth."""

from __future__ import annotations

import base64
import io
import itertools
import json
import random
import struct
import time
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fixtures.media import noise_png, png_claiming
from fixtures.served import Client

pytest.importorskip("fastapi", reason="extra serve")
pytestmark = pytest.mark.slow

REQUESTS, LOOK_AFTER = 2000, 500
MOST_GROWTH_MB = 60
MOST_SECONDS = 20.0
BOUNDARY = "xYzXyZ"


def resident_mb() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    pytest.skip("the system does not tell the memory of a process")


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(side: int) -> bytes:
    """A small PNG of many black pixels."""
    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((side // 8 + 2) * side), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def damaged(draw: random.Random, data: bytes) -> bytes:
    """Bytes cut short, changed, doubled, or with other bytes before or behind."""
    place = draw.randrange(1, len(data))
    return draw.choice([
        data[:place], data[:place] + bytes([draw.randrange(256)]) + data[place + 1 :], data + data, data[place:],
        draw.randbytes(8) + data, data + b"<script>alert(1)</script>%PDF-1.4 PK\x03\x04" + draw.randbytes(64), b"",
    ])  # fmt: skip


HEADS = [
    b"RIFF\xff\xff\xff\x7fWAVEfmt ", b"GIF89a", b"\xff\xd8\xff\xe0", b"%PDF-1.7", b"PK\x03\x04", b"BM", b"<svg>",
    b"II*\x00", b"\x00\x00\x00\x18ftypheic", b"fLaC", b"OggS", b"\x1f\x8b\x08", b"#!/bin/sh\n", b"\x7fELF",
]  # fmt: skip
PATHS = [
    "../../etc/passwd", "/etc/passwd", "file:///etc/shadow", "http://169.254.169.254/", "\\\\host\\share", "C:\\x",
    "data:image/png;base64,../../", "data:,x", "/proc/self/mem", "a\x00.png", "%2e%2e%2f", "~/.ssh/id_rsa",
]  # fmt: skip
ODD = [None, True, -1, 0.5, 10**400, "", " ", "x", "\ud800", "\u202e", [], {}, [[]], [None], {"bytes": None}, "1e999"]


def value(draw: random.Random, depth: int = 0) -> Any:
    """Any JSON value, some of them far too deep or too long."""
    kind = draw.randrange(8)
    if kind == 0 and depth < 4:
        return [value(draw, depth + 1) for _ in range(draw.randrange(4))]
    if kind == 1 and depth < 4:
        return {
            draw.choice(["text", "image", "size", "a", ""]): value(draw, depth + 1) for _ in range(draw.randrange(4))
        }
    if kind == 2:
        return draw.choice(PATHS)
    if kind == 3:
        return b64(damaged(draw, noise_png()))
    if kind == 4:
        return b64(draw.choice(HEADS) + draw.randbytes(draw.randrange(200)))
    return draw.choice(ODD)


def rows(draw: random.Random) -> bytes:
    names = ["text", "image", "size", "grade", "label", "rows"]
    made = [{name: value(draw) for name in draw.sample(names, draw.randrange(1, 4))} for _ in range(draw.randrange(3))]
    return json.dumps({"rows": made, **({"coverage": value(draw)} if draw.random() < 0.2 else {})}).encode()


def giant(draw: random.Random) -> bytes:
    """JSON that is large, deep, or no JSON at all."""
    return draw.choice([
        b"[" * draw.randrange(1000, 200_000), b'{"rows":' * draw.randrange(1000, 50_000),
        b'{"rows": [{"size": ' + b"9" * draw.randrange(5000, 500_000) + b"}]}",
        b'{"rows": [' + b'{"text": "a"},' * 5000 + b'{"text": "a"}]}',
        b'{"rows": [{"size": NaN}]}', b'{"rows": [{"size": Infinity}]}', b'{"rows": [{"text": "a", "text": "b"}]}',
        b'{"rows": [{"text": "' + b"x" * draw.randrange(10_000, 3_000_000) + b'"}]}',
        b'{"rows": [{"image": "' + b64(bomb(draw.choice([5000, 20_000]))).encode() + b'"}]}',
        b'{"rows": [{"image": "' + b64(png_claiming(draw.randrange(1, 2**31), 9)).encode() + b'"}]}',
        b"\xff\xfe" + draw.randbytes(40), draw.randbytes(draw.randrange(300)), b"", b"null", b'"rows"',
    ])  # fmt: skip


def form(draw: random.Random) -> bytes:
    """A form whose parts, headers or end are broken."""
    names = ["text", "image", "size", "grade", "odd", "", 'te"xt', "image\r\nX: y", "../image"]
    parts = []
    for _ in range(draw.randrange(5)):
        name, body = draw.choice(names), draw.choice([damaged(draw, noise_png()), b"text", b" ", draw.randbytes(99),
                                                      bomb(3000), draw.choice(PATHS).encode()])  # fmt: skip
        file = draw.choice(["", f'; filename="{draw.choice(PATHS)}"', '; filename=""', "; filename*=utf-8''%00"])
        head = f'Content-Disposition: form-data; name="{name}"{file}\r\n' + draw.choice(["", "Content-Type: x/y\r\n"])
        parts.append(f"--{BOUNDARY}\r\n{head}\r\n".encode("utf-8", "replace") + body + b"\r\n")
    whole = b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()
    return whole if draw.random() < 0.6 or len(whole) < 3 else damaged(draw, whole)


def send(client: Client, draw: random.Random) -> Any:
    """One request."""
    routes = ["/v1/predict"] * 6 + ["/v1/explain"] * 3 + ["/v1/search", "/v1/../etc", "/%00"]
    path = draw.choice(routes)
    kind: Callable[[random.Random], bytes] = draw.choice([rows, rows, giant, form, form])
    types = ["application/json", "multipart/form-data", "text/html", "application/x-www-form-urlencoded", ""]
    own = f"multipart/form-data; boundary={BOUNDARY}" if kind is form else "application/json"
    sent = draw.choice([own] * 9 + types)
    return client.post(path, content=kind(draw), headers={"content-type": sent} if sent else {})


@pytest.mark.timeout(1200)
def test_two_thousand_malformed_requests(client: Client, limited: Any, capsys: pytest.CaptureFixture[str]) -> None:
    limited(max_body_mb=4, deadline=15)
    log = io.StringIO()
    client.log(log)
    statuses: Counter[int] = Counter()
    memory: dict[int, float] = {}
    slowest = 0.0
    for number in range(1, REQUESTS + 1):
        started = time.monotonic()
        answer = send(client, random.Random(number))
        slowest = max(slowest, time.monotonic() - started)
        statuses[answer.status_code] += 1
        assert answer.status_code < 500, f"seed {number}: {answer.status_code} {answer.text[:300]}"
        if answer.status_code != 200:
            assert set(answer.json()) == {"error", "request_id"}, f"seed {number}"
        if number % LOOK_AFTER == 0:
            memory[number] = resident_mb()
            client.log(io.StringIO())  # the log is kept in memory here
    told = {number: round(mb) for number, mb in memory.items()}
    with capsys.disabled():
        print(f"\n{dict(sorted(statuses.items()))}; resident MB {told}; slowest {slowest:.2f} s")
    assert memory[REQUESTS] - memory[LOOK_AFTER] < MOST_GROWTH_MB and slowest < MOST_SECONDS
    assert statuses[200] < REQUESTS / 4 and len(statuses) >= 4
    good = client.post("/v1/predict", json={"rows": [{"text": "it was sunny", "size": 3}]})
    assert good.status_code == 200 and good.json()["predictions"][0]["problem"] is None


@pytest.mark.timeout(1200)
def test_requests_made_from_the_schema(fitted: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """schemathesis: valid and invalid requests of every route; answers must be as the schema says, and never a 5xx."""
    schemathesis = pytest.importorskip("schemathesis", reason="extra dev")
    from hypothesis import HealthCheck, Phase, given, settings
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

    from plait.serve.app import make_app
    from plait.serve.log import Log
    from plait.serve.options import ServeOptions
    from plait.serve.server import Server
    from plait.serve.work import ServedModel

    server = Server(ServedModel(fitted, None), ServeOptions(), Log(io.StringIO()))  # schemathesis starts it and ends it
    schema = schemathesis.openapi.from_asgi("/openapi.json", make_app(server), headers={"host": "127.0.0.1:8000"})
    while not server.is_ready:
        time.sleep(0.05)
    statuses: Counter[int] = Counter()
    checks = [not_a_server_error, response_schema_conformance, status_code_conformance]
    operations = [found.ok() for found in schema.get_all_operations()]
    for operation, mode in itertools.product(operations, schemathesis.GenerationMode):
        if mode.is_negative and operation.method == "get":
            continue  # nothing of it can be wrong

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(max_examples=150, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
                  suppress_health_check=list(HealthCheck))  # fmt: skip
        def asked(case: Any) -> None:
            answer = case.call(base_url="http://127.0.0.1:8000")
            statuses[answer.status_code] += 1
            case.validate_response(answer, checks=checks)

        asked()
    with capsys.disabled():
        print(f"\n{sum(statuses.values())} requests made from the schema: {dict(sorted(statuses.items()))}")
    assert sum(statuses.values()) >= 100 and statuses[200] and not [code for code in statuses if code >= 500]
