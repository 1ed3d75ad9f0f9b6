"""Limits of a server, each with its status and a sentence; nothing sent makes a 500, nothing of it is logged."""

from __future__ import annotations

import base64
import io
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from fixtures.media import encoded, noise_png, png_claiming
from fixtures.served import Client

pytest.importorskip("fastapi", reason="extra serve")


ENCODED = "application/x-www-form-urlencoded"


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def refused(answer: Any, status: int, code: str) -> str:
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error["code"] == code and answer.json()["request_id"] == answer.headers["x-request-id"]
    message: str = error["message"]
    return message


BAD_ROWS = [
    ({"image": "../../etc/passwd"}, 422, "no_file"),
    ({"image": "file:///etc/passwd"}, 422, "no_file"),
    ({"image": "http://169.254.169.254/latest/meta-data"}, 422, "no_file"),
    ({"image": "/proc/self/environ"}, 422, "bad_image"),  # letters of base64, so bytes that are no picture
    ({"image": {"path": "/etc/passwd"}}, 422, "no_file"),
    ({"image": {"bytes": None, "path": "/etc/passwd"}}, 422, "no_file"),
    ({"image": ["a"]}, 422, "no_file"),
    ({"image": 7}, 422, "no_file"),
    ({"image": b64(b"%PDF-1.4 nothing")}, 422, "bad_image"),
    ({"image": "data:image/png;base64," + b64(noise_png())[:-3] + "!"}, 422, "no_file"),
    ({"image": b64(png_claiming(30_000, 30_000))}, 422, "bad_image"),  # a bomb by Pillow's own limit
    ({"image": b64(png_claiming(6_000, 6_000))}, 413, "too_many_pixels"),
    ({"text": "x" * 20_001}, 422, "text_too_long"),
    ({"text": 7}, 422, "no_text"),
    ({"text": ["a"]}, 422, "no_text"),
    ({"size": "many"}, 422, "no_number"),
    ({"size": "12.5"}, 422, "no_number"),
    ({"grade": 1}, 422, "no_category"),
    ({"size": True}, 422, "no_number"),
    ({"size": [1]}, 422, "no_number"),
    ({"size": "1e999"}, 422, "no_number"),
    ({"size": "NaN"}, 422, "no_number"),
    ({"size": 10**400}, 422, "no_number"),
    ({"grade": {}}, 422, "no_category"),
    ({"texte": "a"}, 422, "unknown_column"),
    ({"label": "yes"}, 422, "unknown_column"),
    ({}, 422, "empty_row"),
    ({"text": None}, 422, "empty_row"),
    ({"text": ""}, 422, "empty_row"),
    ({"text": " \t\u3000"}, 422, "empty_row"),
    ("text", 422, "no_row"),
    (None, 422, "no_row"),
]


@pytest.mark.parametrize(("row", "status", "code"), BAD_ROWS, ids=lambda value: str(value)[:40])
def test_rows_that_are_refused(client: Client, row: Any, status: int, code: str) -> None:
    message = refused(client.post("/v1/predict", json={"rows": [row]}), status, code)
    assert "root:" not in message and "/etc" not in message
    answer = client.post("/v1/predict", json={"rows": [{"text": "fine"}, row, {"text": "fine too"}]})
    good, bad, also = answer.json()["predictions"]  # a bad row among several costs no other row its answer
    assert answer.status_code == 200 and {good["prediction"], also["prediction"]} <= {"yes", "no"}
    assert (bad["error"]["code"], bad["error"]["row"], bad["error"]["message"]) == (code, 1, message)
    if isinstance(row, dict) and row and code not in ("empty_row", "unknown_column"):
        assert client.post("/v1/predict", json={"rows": [row]}).json()["error"]["column"] in row


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "bad_json"), (b"{", 400, "bad_json"), (b"\xff\xfe", 400, "bad_json"), (b"[]", 422, "no_object"),
        (b"null", 422, "no_object"), (b'{"rows": []}', 422, "no_rows"), (b'{"rows": {}}', 422, "no_rows"),
        (b'{"rows": [{"size": 1, "text": "a", "size": 2}]}', 422, "twice"), (b'{"rows": [], "rows": []}', 422, "twice"),
        (b'{"rows": [{"size": NaN}]}', 400, "bad_json"), (b'{"rows": [{"size": -Infinity}]}', 400, "bad_json"),
        (b'{"rows": ' + b"[" * 100_000, 400, "bad_json"), (b'{"a":' * 50_000, 400, "bad_json"),
        (b'{"rows": [{"size": ' + b"9" * 5000 + b"}]}", 400, "bad_json"),
        (b'{"rows": [{"text": "\\ud800"}]}', 422, "no_unicode"), (b'{"row": 1}', 422, "unknown_field"),
        (b'{"rows": [{"text": "a"}], "coverage": 2}', 422, "bad_number"),
        (b'{"rows": [{"text": "a"}], "coverage": 0}', 422, "bad_coverage"),
        (b'{"rows": [{"text": "a"}], "coverage": "x"}', 422, "bad_number"),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_bodies_that_are_refused(client: Client, body: bytes, status: int, code: str) -> None:
    refused(client.post("/v1/predict", content=body, headers={"content-type": "application/json"}), status, code)


def test_limits_of_rows_sizes_and_pixels(client: Client, limited: Callable[..., None]) -> None:
    limited(max_rows=2, max_body_mb=0.05, max_text=10)
    refused(client.post("/v1/predict", json={"rows": [{"text": "a"}] * 3}), 422, "too_many_rows")
    refused(client.post("/v1/predict", json={"rows": [{"text": "a" * 11}]}), 422, "text_too_long")
    refused(client.post("/v1/predict", json={"rows": [{"text": "a" * 60_000}]}), 413, "body_too_large")

    def pieces() -> Any:  # no length is declared
        yield b'{"rows": [{"text": "'
        for _ in range(100):
            yield b"a" * 1000

    answer = client.post("/v1/predict", content=pieces(), headers={"content-type": "application/json"})
    refused(answer, 413, "body_too_large")
    for length in ("-1", "1" * 30, "x"):
        answer = client.post("/v1/predict", content=b"{}", headers={"content-length": length})
        refused(answer, 413, "body_too_large")


def test_forms_that_are_refused(client: Client, limited: Callable[..., None]) -> None:
    png = noise_png()
    cases: list[tuple[dict[str, Any], int, str]] = [
        ({"files": {"image": ("../../etc/passwd", b"root", "image/png")}}, 422, "bad_image"),
        ({"files": {"image": ("a.png", png[:200], "image/png")}}, 422, "not_answered"),
        ({"files": {"image": ("a.png", b"", "image/png")}}, 422, "empty_row"),
        ({"data": {"image": "/etc/passwd"}, "files": {"text": ("t", b"x")}}, 422, "no_text"),
        ({"files": [("image", ("a", png)), ("image", ("b", png))]}, 422, "no_file"),
        ({"files": {"nope": ("a.png", png)}}, 422, "unknown_column"),
        ({"content": b"no form", "headers": {"content-type": "multipart/form-data"}}, 400, "bad_form"),
        ({"content": b"no form", "headers": {"content-type": "multipart/form-data; boundary=x"}}, 400, "bad_form"),
        ({"content": b"a=1", "headers": {"content-type": ENCODED}}, 422, "unknown_column"),
        ({"content": b"text=a&text=b", "headers": {"content-type": ENCODED}}, 422, "twice"),
        ({"content": b"text=%ff", "headers": {"content-type": ENCODED}}, 400, "bad_form"),
        ({"content": b"no form", "headers": {"content-type": ENCODED}}, 400, "bad_form"),
        ({"content": b'{"rows": []}', "headers": {"content-type": ENCODED}}, 415, "unknown_type"),
        ({"content": b"image=a", "headers": {"content-type": ENCODED}}, 422, "no_file"),
        ({"content": b"text=a" + b"&a=" * 2001, "headers": {"content-type": ENCODED}}, 400, "bad_form"),
        ({"content": b"text=" + b"a" * 2**22, "headers": {"content-type": ENCODED}}, 413, "body_too_large"),
        ({"content": b"{}", "headers": {"content-type": "text/plain"}}, 415, "unknown_type"),
        ({"content": b"{}"}, 415, "unknown_type"),
        ({"data": {f"field{i}": "1" for i in range(2001)}, "files": {"image": ("a", png)}}, 400, "bad_form"),
        ({"files": [("image", ("a", png))] * 200}, 400, "bad_form"),
    ]
    for how, status, code in cases:
        refused(client.post("/v1/predict", **how), status, code)
    twice = (
        b'--x\r\nContent-Disposition: form-data; name="text"\r\n\r\na\r\n'
        b'--x\r\nContent-Disposition: form-data; name="text"\r\n\r\nb\r\n--x--\r\n'
    )
    refused(
        client.post("/v1/predict", content=twice, headers={"content-type": "multipart/form-data; boundary=x"}),
        422, "twice",
    )  # fmt: skip


def test_a_form_without_files_may_be_of_the_plain_kind(client: Client) -> None:
    answer = client.post("/v1/predict", data={"text": "这是好天气 sunny & dry", "size": "12.5"})
    assert answer.request.headers["content-type"] == ENCODED and answer.status_code == 200
    same = client.post("/v1/predict", json={"rows": [{"text": "这是好天气 sunny & dry", "size": 12.5}]})
    assert answer.json()["predictions"] == same.json()["predictions"]


def test_what_is_left_of_a_refused_body_is_read_within_bounds(limited: Callable[..., None], client: Client) -> None:
    """The answer is sent first; then so much is read that a client which sends all before it reads gets it."""
    import asyncio

    from plait.serve import gate

    limited(max_body_mb=0.01)
    piece, sent = b"a" * 1000, []

    async def ask(pieces: int, header: tuple[bytes, bytes], *, stall: bool = False) -> int:
        given = iter([{"type": "http.request", "body": piece, "more_body": i < pieces - 1} for i in range(pieces)])
        read = 0

        async def receive() -> Any:
            nonlocal read
            if stall:
                await asyncio.sleep(60)
            read += 1
            return next(given)

        async def send(message: Any) -> None:
            sent.append((read, message))

        head = [(b"host", b"127.0.0.1"), (b"content-type", b"application/json"), header]
        scope = {"type": "http", "method": "POST", "path": "/v1/predict", "raw_path": b"/v1/predict", "headers": head,
                 "query_string": b"", "http_version": "1.1", "scheme": "http", "root_path": ""}  # fmt: skip
        sent.clear()
        await client.gate(scope, receive, send)
        return read

    declared = (b"content-length", b"20000")
    assert asyncio.run(ask(20, declared)) == 20  # all of it: twice the limit
    first = sent[0][1]
    assert first["status"] == 413 and (b"connection", b"close") in first["headers"] and sent[1][0] == 0
    assert json.loads(sent[1][1]["body"])["error"]["code"] == "body_too_large" and sent[1][1]["more_body"]
    assert sent[-1] == (20, {"type": "http.response.body", "body": b""})
    most = gate.DRAINED_BODIES * client.server.options.max_body // 1000
    assert asyncio.run(ask(1000, declared)) == most + 1  # and no more than that
    assert most < asyncio.run(ask(1000, (b"transfer-encoding", b"chunked"))) <= most + 12
    limited(max_body_mb=0.01, deadline=0.2)
    began = time.monotonic()
    assert asyncio.run(ask(20, declared, stall=True)) == 0 and 0.1 < time.monotonic() - began < 5
    client.gate.draining = gate.DRAINED_AT_ONCE
    try:
        assert asyncio.run(ask(20, declared)) == 0 and sent[0][1]["status"] == 413
    finally:
        client.gate.draining = 0


def test_forms_that_are_cut_short_or_not_utf8_are_not_answered_in_part(client: Client) -> None:
    def form(text: bytes) -> bytes:
        head = b"--x\r\nContent-Disposition: form-data; name="
        return head + b'"size"\r\n\r\n1.5\r\n' + head + b'"text"\r\n\r\n' + text + b"\r\n--x--\r\n"

    def post(content: bytes) -> Any:
        return client.post(
            "/v1/predict", content=content, headers={"content-type": 'multipart/form-data; boundary="x"'}
        )  # fmt: skip

    whole = form("这是好天气 sunny".encode())
    assert post(whole).status_code == 200 and post(whole.removesuffix(b"\r\n")).status_code == 200
    for cut in (5, 9, 15, 30):
        refused(post(whole[:-cut]), 400, "bad_form")
    for text in ("这是好天气".encode("gbk"), b"\xff\xfe", "café".encode("latin-1")):
        refused(post(form(text)), 400, "bad_form")


def test_sound_in_place_of_a_picture_and_strange_pictures(client: Client) -> None:
    from PIL import Image

    for mode in ("1", "L", "LA", "P", "CMYK", "I;16"):
        format = "TIFF" if mode == "CMYK" else "PNG"
        picture = encoded(Image.new(mode, (9, 7)), format)
        answer = client.post("/v1/predict", json={"rows": [{"image": b64(picture)}]})
        assert answer.status_code == 200, (mode, answer.text)
    wave = b"RIFF\x24\x00\x00\x00WAVEfmt "
    refused(client.post("/v1/predict", json={"rows": [{"image": b64(wave)}]}), 422, "bad_image")


def test_too_many_at_once(client: Client, limited: Callable[..., None]) -> None:
    limited(max_requests=1)
    client.gate.requests += 1
    try:
        answer = client.post("/v1/predict", json={"rows": [{"text": "a"}]})
        refused(answer, 429, "too_many_requests")
        assert answer.headers["retry-after"] == "1" and client.get("/health").status_code == 200
    finally:
        client.gate.requests -= 1


def test_a_deadline_that_passed(client: Client, limited: Callable[..., None]) -> None:
    answer = client.post("/v1/predict", json={"rows": [{"text": "a"}]}, headers={"X-Deadline-Seconds": "0.000001"})
    assert answer.status_code in (408, 504)
    for value in ("0", "-1", "nan", "x", "inf"):
        answer = client.post("/v1/predict", json={"rows": [{"text": "a"}]}, headers={"X-Deadline-Seconds": value})
        refused(answer, 422, "bad_deadline")
    limited(deadline=0.2)
    run = client.server.threads[0]._run
    slow = dict(run)
    try:
        run["predict"] = lambda options, rows: time.sleep(0.6) or slow["predict"](options, rows)
        began = time.monotonic()
        refused(client.post("/v1/predict", json={"rows": [{"text": "a"}]}), 504, "deadline")
        assert time.monotonic() - began < 0.55
    finally:
        run.update(slow)


def test_a_fault_is_told_without_its_words(client: Client) -> None:
    """An error that nobody foresaw is a 500 with a request id; neither answer nor log holds what was sent."""
    log = io.StringIO()
    client.log(log)
    run = client.server.threads[0]._run
    kept = run["predict"]

    def broken(options: Any, rows: list[Any]) -> list[Any]:
        raise KeyError(rows[0]["text"])

    try:
        run["predict"] = broken
        answer = client.post("/v1/predict", json={"rows": [{"text": "my secret"}]}, headers={"X-Request-ID": "abc-1"})
    finally:
        run["predict"] = kept
    assert refused(answer, 500, "fault") and answer.headers["x-request-id"] == "abc-1"
    assert "secret" not in answer.text + log.getvalue() and "KeyError" in log.getvalue()
    assert client.post("/v1/predict", json={"rows": [{"text": "a"}]}).status_code == 200


def test_a_fault_of_a_route_has_the_same_shape(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    log = io.StringIO()
    client.log(log)

    def broken(*given: Any) -> Any:
        raise KeyError("my secret")

    monkeypatch.setattr(client.server.threads[0], "submit", broken)
    answer = client.post("/v1/predict", json={"rows": [{"text": "a"}]})
    assert refused(answer, 500, "fault") and "secret" not in answer.text + log.getvalue()
    assert [json.loads(line)["event"] for line in log.getvalue().splitlines()] == ["fault", "request"]


def test_refusals_are_counted(client: Client) -> None:
    before = client.server.metrics.value("refused_total", reason="no_rows")
    refused(client.post("/v1/predict", json={"rows": []}), 422, "no_rows")
    assert client.server.metrics.value("refused_total", reason="no_rows") == before + 1


def test_logs_hold_no_user_content(client: Client) -> None:
    log = io.StringIO()
    client.log(log)
    picture = noise_png(5)
    client.post("/v1/predict?secretquery=1", json={"rows": [{"text": "secret words", "image": b64(picture)}]})
    client.post("/v1/predict", json={"rows": [{"grade": "secretgrade"}]}, headers={"X-Request-ID": "bad id\tsecret"})
    client.post("/v1/predict", json={"secretfield": 1})
    client.post("/v1/predict", data={"secret": "secret"}, files={"secretfile": ("secretname.png", picture)})
    client.get("/secretpath")
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert len(lines) == 5 and {line["event"] for line in lines} == {"request"}
    assert "secret" not in log.getvalue() and b64(picture)[:20] not in log.getvalue()
    assert [line["status"] for line in lines] == [200, 200, 422, 422, 404]
    assert lines[0]["rows"] == 1 and lines[0]["kind"] == "predict" and lines[0]["bytes"] > len(picture)
    told = client.get("/metrics").text
    assert "secret" not in told


def test_unready_and_stopping_servers_say_so(client: Client) -> None:
    server = client.server
    try:
        server.is_ready = False
        answer = client.get("/ready")
        assert answer.status_code == 503 and answer.json()["status"] == "warming up"
        answer = client.post("/v1/predict", json={"rows": [{"text": "a"}]})
        refused(answer, 503, "not_ready")
        assert answer.headers["retry-after"] == "1" and client.get("/health").status_code == 200
    finally:
        server.is_ready = True
    try:
        server.is_stopping = True
        assert client.get("/ready").json()["status"] == "stopping"
    finally:
        server.is_stopping = False


@pytest.mark.parametrize("text", ["many", "1,5", "NaN", "inf", "1_0", "1e999", "0x10", "1 2", "\u0661"])
def test_numbers_of_forms_that_are_refused(client: Client, text: str) -> None:
    answer = client.post("/v1/predict", data={"size": text}, files={"image": ("a.png", noise_png())})
    assert refused(answer, 422, "no_number") and answer.json()["error"]["column"] == "size"
