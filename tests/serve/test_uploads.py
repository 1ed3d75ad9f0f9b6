"""The clients of the serving page, run as they stand against a real socket; and one that sends too much."""

from __future__ import annotations

import contextlib
import io
import json
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="extra serve")
pytest.importorskip("requests", reason="not a dependency of ours; its page names it")

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "serving.md"


@pytest.fixture(scope="module")
def address(fitted: Any) -> Iterator[str]:
    import uvicorn

    from plait.serve.app import make_app
    from plait.serve.log import Log
    from plait.serve.options import ServeOptions
    from plait.serve.server import Server
    from plait.serve.work import ServedModel

    server = Server(ServedModel(fitted), ServeOptions(max_body_mb=1), Log(io.StringIO()))
    config = uvicorn.Config(make_app(server), port=0, log_config=None, lifespan="on", ws="none")
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    while not server.is_ready:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{running.servers[0].sockets[0].getsockname()[1]}"
    running.should_exit = True
    thread.join(30)


@pytest.mark.parametrize("client", ["import requests", "import base64"])
def test_the_clients_of_the_page(
    client: str, address: str, fitted: Any, rows: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("photo.jpg").write_bytes(rows[0]["image"])
    (code,) = [
        c for c in re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL) if c.startswith(client)
    ]
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code.replace("http://127.0.0.1:8000", address), "page", "exec"), {})
    offline = fitted.predict({"text": "what a day", "image": rows[0]["image"]}).to_pylist()[0]
    assert f"'prediction': '{offline['prediction']}'" in out.getvalue()
    assert f"{offline['probability']:.6f}"[:7] in out.getvalue()


@pytest.mark.parametrize("megabytes", [1.5, 3.5])
def test_a_client_that_sends_all_before_it_reads_gets_its_413(address: str, megabytes: float) -> None:
    body = b'{"rows": [{"text": "' + b"a" * int(megabytes * 2**20) + b'"}]}'
    request = urllib.request.Request(f"{address}/v1/predict", body, {"Content-Type": "application/json"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=30)
    assert refused.value.code == 413
    assert json.load(refused.value)["error"]["code"] == "body_too_large"
    refused.value.close()
