"""What cannot be served is refused before anything slow; what is happening is said, for machines and for people."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from plait.serve.first_look import address_of, bind, check_names, listen
from plait.serve.log import Log
from plait.serve.options import ServeOptions

ROOT = Path(__file__).resolve().parent.parent.parent
TRY = """
import sys
from plait.cli import main
try:
    main()
except SystemExit as end:
    print(end.code, sorted({"torch", "fastapi", "uvicorn", "transformers", "plait.api"} & set(sys.modules)))
"""


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


def test_a_port_in_use_is_told_before_anything_is_imported(tmp_path: Path, taken: int) -> None:
    command = [sys.executable, "-c", TRY, "serve", str(tmp_path), "--port", str(taken)]
    found = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT / "src")}, timeout=120
    )
    assert found.stdout.strip() == "2 []", found.stdout + found.stderr
    assert f"cannot listen on 127.0.0.1 port {taken}" in found.stderr and "name another with --port" in found.stderr


def test_folders_of_the_wrong_kind_are_told_apart(tmp_path: Path) -> None:
    index, model = tmp_path / "index", tmp_path / "model"
    for folder, name in ((index, "index.json"), (model, "inputs.json")):
        folder.mkdir()
        (folder / name).write_text("{}")
    check_names(model, index)
    for given, said in (
        ((index, None), f"{index} is an index, and a model is served: type plait serve MODEL {index}"),
        ((model, model), "is a model, and an index was expected"),
        ((tmp_path / "no", None), "does not exist; plait.fit"),
        ((model / "inputs.json", None), "is a file, and a model is a folder"),
    ):
        with pytest.raises((ValueError, FileNotFoundError), match=r".") as refused:
            check_names(*given)
        assert said in str(refused.value)


def test_a_model_that_cannot_search_is_refused_an_index(served_model: Path, tmp_path: Path, run: Any) -> None:
    (tmp_path / "index.json").write_text("{}")
    code, _, err = run("serve", served_model, tmp_path, "--port", 0)
    assert code == 2 and "a model of classification, and only a retrieval model searches" in err


def test_an_address_is_taken_before_it_is_listened_on() -> None:
    bound = bind(ServeOptions(port=0))
    port = bound.getsockname()[1]
    try:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)
        listen(bound, ServeOptions(port=port))
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
        assert address_of(bound, ServeOptions()) == f"http://127.0.0.1:{port}"
        with pytest.raises(OSError, match="cannot listen on 127.0.0.1"):
            bind(ServeOptions(port=port))
    finally:
        bound.close()


def test_the_log_speaks_json_to_machines_and_words_on_a_terminal() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    facts = {"seconds": 9.5, "open": "http://127.0.0.1:8000", "answers": ["predict"]}
    shown = Terminal()
    log = Log(shown)
    log.write("loading", model="m")
    log.write("ready", **facts)
    log.write("request", method="POST", route="/v1/predict", status=200, ms=12.5, rows=1, request_id="a", bytes=7)
    log.write("worker_died", code=-9)
    log.fault(KeyError("my secret"), request_id="a")
    lines = [line[9:] for line in shown.getvalue().splitlines()]  # without the time
    assert lines[:4] == [
        "loading m ...", "open http://127.0.0.1:8000  (ready after 9.5 s; Ctrl-C stops it)",
        "POST /v1/predict 200 in 12.5 ms, 1 row", "worker_died code=-9",
    ]  # fmt: skip
    assert lines[4].startswith("fault error=KeyError") and "secret" not in shown.getvalue()
    file = io.StringIO()
    Log(file).write("ready", **facts)
    made = json.loads(file.getvalue())
    assert made["event"] == "ready" and made["open"] == "http://127.0.0.1:8000" and made["time"].endswith("Z")
