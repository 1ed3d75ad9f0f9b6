"""Who may ask: tokens, names of the server, pages of other sites; and the headers of its own pages."""

from __future__ import annotations

import re
from typing import Any

import pytest

from fixtures.served import Client, client_of
from plait.serve.auth import Doorkeeper
from plait.serve.options import ServeOptions
from plait.serve.refusal import Refusal

pytest.importorskip("fastapi", reason="extra serve")
TOKEN = "0123456789abcdef-token"


def test_a_token_is_asked_for_everywhere_but_on_empty_pages(fitted: Any) -> None:
    with client_of(fitted, token=TOKEN) as client:
        for path in ("/health", "/ready", "/", "/docs"):
            assert client.get(path).status_code == 200, path
        for path in ("/v1/model", "/metrics", "/openapi.json", "/nothing"):
            answer = client.get(path)
            assert answer.status_code == 401 and answer.headers["www-authenticate"] == "Bearer", path
        right = {"Authorization": f"Bearer {TOKEN}"}
        body = {"rows": [{"text": "a"}]}
        for wrong in ("", "Bearer", "Bearer ", f"Basic {TOKEN}", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", TOKEN):
            answer = client.post("/v1/predict", json=body, headers={"Authorization": wrong})
            assert answer.status_code == 401 and TOKEN not in answer.text, wrong
        assert client.post("/v1/predict", json=body, headers=right).status_code == 200
        assert client.get("/openapi.json", headers=right).json()["security"] == [{"bearer": []}]


def test_pages_of_other_sites_get_nothing(client: Client) -> None:
    body = {"rows": [{"text": "a"}]}
    assert client.post("/v1/predict", json=body, headers={"Origin": "http://127.0.0.1:8000"}).status_code == 200
    for origin in ("https://evil.example", "null", "http://127.0.0.1:9999"):
        answer = client.post("/v1/predict", json=body, headers={"Origin": origin})
        assert answer.status_code == 403 and "access-control-allow-origin" not in answer.headers
    answer = client.http.options("/v1/predict", headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403
    for host in ("evil.example", "127.0.0.1.evil.example:8000", "192.168.0.1"):
        assert client.get("/v1/model", headers={"Host": host}).status_code == 421
    for host in ("localhost:8000", "[::1]:8000", "127.0.0.1"):
        assert client.get("/v1/model", headers={"Host": host}).status_code == 200


def test_names_are_free_where_a_token_or_an_open_address_is_chosen() -> None:
    headers = {"host": "models.example", "authorization": f"Bearer {TOKEN}"}
    Doorkeeper(ServeOptions(host="0.0.0.0")).check(headers, needs_token=True)
    Doorkeeper(ServeOptions(token=TOKEN)).check(headers, needs_token=True)
    Doorkeeper(ServeOptions(allowed_hosts=("Models.example",))).check(headers, needs_token=True)
    with pytest.raises(Refusal):
        Doorkeeper(ServeOptions()).check(headers, needs_token=True)


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_pages_are_one_file_and_run_their_own_script_only(client: Client, path: str) -> None:
    answer = client.get(path)
    policy = answer.headers["content-security-policy"]
    (nonce,) = re.findall(r"script-src 'nonce-([\w-]+)'", policy)
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert nonce != re.findall(r"script-src 'nonce-([\w-]+)'", client.get(path).headers["content-security-policy"])[0]
    scripts = re.findall(r"<(?:script|style)[^>]*>", answer.text)
    assert scripts and all(f'nonce="{nonce}"' in tag for tag in scripts)
    assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", answer.text)
    assert "innerHTML" not in answer.text and "NONCE" not in answer.text
    assert not re.search(r'\son\w+="', answer.text) and not re.search(r'\sstyle="', answer.text)


@pytest.mark.parametrize(
    ("values", "said"),
    [({"port": 70_000}, "port is 70000"), ({"batch_size": 0}, "batch_size is 0"), ({"deadline": 0}, "deadline is 0"),
     ({"token": "short"}, "16 characters"), ({"host": " "}, "host is empty"), ({"max_body_mb": float("nan")}, "nan")],
)  # fmt: skip
def test_options_out_of_range_are_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ServeOptions(**values)
    assert TOKEN not in repr(ServeOptions(token=TOKEN))
