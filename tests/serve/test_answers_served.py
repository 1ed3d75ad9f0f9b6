"""What a server answers is what the model answers, whatever the way in and whoever shares the batch."""

from __future__ import annotations

import base64
import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from fixtures.lazy import lazy
from fixtures.served import Client, client_of

pytest.importorskip("fastapi", reason="extra serve")
plait = lazy("plait")


def as_json(row: dict[str, Any]) -> dict[str, Any]:
    return {k: base64.b64encode(v).decode() if isinstance(v, bytes) else v for k, v in row.items()}


def assert_same(served: dict[str, Any], offline: dict[str, Any]) -> None:
    assert served["prediction"] == offline["prediction"]
    for name, value in served["probabilities"].items():
        assert value == pytest.approx(offline[f"probability_{name}"], abs=1e-6)


def test_json_rows_get_the_offline_answers(client: Client, fitted: Any, rows: list[dict[str, Any]]) -> None:
    answer = client.post("/v1/predict", json={"rows": [as_json(row) for row in rows], "coverage": 0.9})
    assert answer.status_code == 200, answer.text
    made = answer.json()["predictions"]
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    offline = fitted.predict(rows, coverage=0.9).to_pylist()
    for one, expected in zip(made, offline, strict=True):
        assert_same(one, expected)
        assert one["set"] == expected["set"]
    assert len({round(one["probability"], 9) for one in made}) > 8  # rows differ, so a mix-up would show


def test_a_form_gets_the_same_answer_as_json(client: Client, fitted: Any, rows: list[dict[str, Any]]) -> None:
    row = rows[3]
    texts = {k: str(v) for k, v in row.items() if k != "image"}
    answer = client.post("/v1/predict?coverage=0.8", data=texts, files={"image": ("a.png", row["image"], "image/png")})
    assert answer.status_code == 200, answer.text
    assert_same(answer.json()["predictions"][0], fitted.predict([row]).to_pylist()[0])
    assert answer.json()["predictions"][0]["set"] == fitted.predict([row], coverage=0.8)["set"][0].as_py()


@pytest.mark.parametrize("kept", [("text",), ("image",), ("size",), ("grade", "text"), ("image", "size", "grade")])
def test_any_input_may_be_left_out(client: Client, fitted: Any, rows: list[dict[str, Any]], kept: Any) -> None:
    some = [{name: row[name] for name in kept} for row in rows[:3]]
    made = client.post("/v1/predict", json={"rows": [as_json(row) for row in some]}).json()["predictions"]
    for one, expected in zip(made, fitted.predict(some).to_pylist(), strict=True):
        assert_same(one, expected)


def test_32_clients_at_once_each_get_their_own_answer(client: Client, fitted: Any, rows: list[dict[str, Any]]) -> None:
    """Rows with other columns left out share batches; nobody gets a neighbour's answer."""
    asked = [{k: v for j, (k, v) in enumerate(row.items()) if j != i % 5} for i, row in enumerate(rows)]
    offline = fitted.predict(rows).to_pylist()
    alone = [fitted.predict([row]).to_pylist()[0] for row in asked]
    before = client.server.metrics.value("batches_total", kind="predict")
    with ThreadPoolExecutor(32) as pool:
        whole = list(pool.map(lambda row: client.post("/v1/predict", json={"rows": [as_json(row)]}), rows))
        parts = list(pool.map(lambda row: client.post("/v1/predict", json={"rows": [as_json(row)]}), asked))
    for answers, expected in ((whole, offline), (parts, alone)):
        for answer, one in zip(answers, expected, strict=True):
            assert_same(answer.json()["predictions"][0], one)
    batches = client.server.metrics.value("batches_total", kind="predict") - before
    assert batches < 64, "no two requests ever shared a batch"


def test_a_poisoned_row_fails_alone(client: Client, fitted: Any, rows: list[dict[str, Any]]) -> None:
    torn = {"text": rows[1]["text"], "image": base64.b64encode(rows[1]["image"][:60]).decode()}
    answer = client.post("/v1/predict", json={"rows": [as_json(rows[0]), torn, as_json(rows[2])]})
    assert answer.status_code == 200
    first, second, third = answer.json()["predictions"]
    assert second["error"]["row"] == 1 and "image" in second["error"]["message"]
    offline = fitted.predict([rows[0], rows[2]]).to_pylist()
    assert_same(first, offline[0])
    assert_same(third, offline[1])
    alone = client.post("/v1/predict", json={"rows": [torn]})
    assert alone.status_code == 422 and alone.json()["error"]["code"] == "not_answered"


def test_explain_says_what_an_answer_rests_on(client: Client, rows: list[dict[str, Any]]) -> None:
    found = client.post("/v1/explain", json={"row": as_json(rows[0])}).json()["explanation"]
    by_name = {m["name"]: m for m in found["modalities"]}
    assert set(by_name) == {"text", "image", "tabular"}
    assert sum(m["share"] for m in by_name.values()) == pytest.approx(1)
    total = sum(m["shapley"] for m in by_name.values())
    assert total == pytest.approx(found["with_everything"] - found["with_nothing"], abs=1e-6)
    words = by_name["text"]["parts"]
    assert [by_name["text"]["text"][w["start"] : w["end"]] for w in words] == rows[0]["text"].split()
    assert len(by_name["image"]["parts"]) == 36 and {p["column"] for p in by_name["tabular"]["parts"]} == {
        "size", "grade"
    }  # fmt: skip
    lacking = client.post("/v1/explain", json={"row": {"text": "sunny"}}).json()["explanation"]
    assert [m.get("skipped") for m in lacking["modalities"]][1:] == ["missing in this row"] * 2
    assert not any("column" in note for note in [*found["notes"], *lacking["notes"]]), "one row is no table"
    assert set(lacking["notes"]) - set(found["notes"]) == {
        "1 of 1 row lacks a modality from the start; there it counts 0"
    }


def test_explain_notes_nothing_of_columns_that_judge_whole_tables(fitted: Any, rows: list[dict[str, Any]]) -> None:
    from dataclasses import replace

    usual = fitted.settings
    try:
        fitted.settings = replace(usual, judge=replace(usual.judge, by=("city",)))
        with client_of(fitted) as alone:
            found = alone.post("/v1/explain", json={"row": as_json(rows[0])}).json()["explanation"]
    finally:
        fitted.settings = usual
    assert not any("column" in note for note in found["notes"])


def test_facts_health_readiness_and_metrics(client: Client) -> None:
    facts = client.get("/v1/model").json()
    assert facts["answers"] == ["explain", "predict"] and facts["classes"] == ["no", "yes"] and facts["calibrated"]
    assert [c["kind"] for c in facts["inputs"]] == ["text", "image", "numeric", "categorical"]
    assert client.get("/health").json() == {"status": "alive"} and client.get("/ready").status_code == 200
    told = client.get("/metrics").text
    assert "# TYPE plait_requests_total counter" in told and 'route="/health",status="200"' in told
    assert "plait_ready{" in told and 'plait_request_seconds_bucket{route="/health"' in told
    for line in told.splitlines():
        assert line.startswith("#") or float(line.rsplit(" ", 1)[1]) >= 0


def test_openapi_speaks_of_this_model(client: Client) -> None:
    spec = client.get("/openapi.json").json()
    assert set(spec["paths"]) == {"/v1/predict", "/v1/explain", "/v1/model", "/health", "/ready", "/metrics"}
    row = spec["components"]["schemas"]["Row"]["properties"]
    assert set(row) == {"text", "image", "size", "grade"} and row["size"]["type"] == ["number", "null"]
    assert row["grade"]["examples"] == ["a", "b", "c"]
    assert set(spec["components"]["schemas"]["Prediction"]["properties"]["probabilities"]["properties"]) == {
        "no",
        "yes",
    }
    body = spec["paths"]["/v1/predict"]["post"]["requestBody"]["content"]
    plain_form = "application/x-www-form-urlencoded"
    assert set(body) == {"application/json", "multipart/form-data", plain_form}
    assert set(body[plain_form]["schema"]["properties"]) == {"text", "size", "grade"}  # no file goes into one
    assert {"200", "401", "413", "422", "429", "504"} <= set(spec["paths"]["/v1/predict"]["post"]["responses"])
    named = json.dumps(spec).split('"#/components/schemas/')[1:]
    assert {ref.split('"')[0] for ref in named} <= set(spec["components"]["schemas"])


def test_what_the_model_cannot_do_is_said(client: Client) -> None:
    answer = client.post("/v1/caption", json={"image": "aaaa"})
    assert answer.status_code == 404 and "it answers explain, predict" in answer.json()["error"]["message"]


def test_paths_and_methods_that_are_not_there(client: Client) -> None:
    answer = client.get("/v1/nothing")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (404, "not_found")
    there = ["POST /v1/predict", "POST /v1/explain", "GET /health", "GET /v1/model", "GET /", "GET /docs"]
    assert set(there) <= set(error["paths"]) and "POST /v1/caption" not in error["paths"]
    assert all(path in error["message"] for path in error["paths"])
    for method, path, allowed in (
        ("GET", "/v1/predict", "POST"), ("HEAD", "/v1/predict", "POST"), ("OPTIONS", "/v1/predict", "POST"),
        ("POST", "/v1/model", "GET, HEAD"), ("PUT", "/", "GET, HEAD"), ("DELETE", "/health", "GET, HEAD"),
    ):  # fmt: skip
        answer = client.http.request(method, path)
        assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
        if method != "HEAD":
            assert answer.json()["error"]["code"] == "wrong_method"
            assert f"takes {allowed.replace(', ', ' and ')}," in answer.json()["error"]["message"]
    head, whole = client.http.head("/v1/model"), client.get("/v1/model")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(whole.content))
    assert client.http.head("/v1/nothing").content == b""


def test_an_explanation_holds_up_no_prediction(fitted: Any, served_model: Path, rows: list[dict[str, Any]]) -> None:
    beside = plait.load(served_model)
    with client_of(fitted, beside=beside, deadline=60) as client, ThreadPoolExecutor(1) as pool:
        begun, go_on, threads = threading.Event(), threading.Event(), client.server.threads
        assert len(threads) == 2 and set(threads[1]._run) == {"explain", "warm_up"}
        explain = threads[1]._run["explain"]

        def slow(options: Any, given: Any) -> Any:
            begun.set()
            assert go_on.wait(60)
            return explain(options, given)

        threads[1]._run["explain"] = slow
        waiting = pool.submit(client.post, "/v1/explain", json={"row": as_json(rows[0])})
        assert begun.wait(60)
        answers = client.post("/v1/predict", json={"rows": [as_json(row) for row in rows[:4]]}).json()["predictions"]
        assert not waiting.done() and client.server.is_busy
        go_on.set()
        assert [one["prediction"] for one in answers] == fitted.predict(rows[:4]).column("prediction").to_pylist()
        told = waiting.result(120).json()["explanation"]
    with client_of(fitted) as alone:
        assert told == alone.post("/v1/explain", json={"row": as_json(rows[0])}).json()["explanation"]


def test_blank_text_is_left_out_and_that_is_told(client: Client, rows: list[dict[str, Any]]) -> None:
    without = client.post("/v1/predict", files={"size": (None, "3")}).json()["predictions"][0]
    blank = client.post("/v1/predict", files={"size": (None, "3"), "text": (None, " \t ")}).json()["predictions"][0]
    assert blank == {**without, "left_out": ["text"]}
    row = {**as_json(rows[0]), "text": "\n", "grade": ""}
    made = client.post("/v1/predict", json={"rows": [row, as_json(rows[1])]}).json()["predictions"]
    assert made[0]["left_out"] == ["text"] and "left_out" not in made[1]
    assert client.post("/v1/explain", json={"row": row}).json()["explanation"]["left_out"] == ["text"]
    only = client.post("/v1/predict", files={"text": (None, "   ")})
    assert only.status_code == 422 and only.json()["error"]["code"] == "empty_row"


def test_what_the_model_is_worth_goes_with_its_answers(
    client: Client, fitted: Any, rows: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from plait.serve.work import ServedModel

    facts = client.get("/v1/model").json()
    measured = fitted.report["evaluation"]["metrics"]["accuracy"]
    assert facts["verdict"] == fitted.report["verdict"] and facts["judged"]["metric"] == "accuracy"
    assert [facts["judged"][k] for k in ("value", "low", "high")] == [measured[k] for k in ("value", "low", "high")]
    assert facts["judged"]["guessing"] == fitted.report["evaluation"]["chance"]
    assert re.search("[\u4e00-\u9fff]", facts["translations"]["zh"]["verdict"])
    weak = measured["low"] <= facts["judged"]["guessing"]
    answer = client.post("/v1/predict", json={"rows": [as_json(rows[0])]}).json()
    assert (facts["caution"] is not None) == weak and answer.get("caution") == facts["caution"]
    for value, low, is_weak in ((0.9, 0.8, False), (0.5, 0.4, True)):  # the same model, had it been judged so
        report = {**fitted.report, "evaluation": {**fitted.report["evaluation"], "chance": 0.5, "metrics": {
            "accuracy": {"value": value, "low": low, "high": 0.95}}}}  # fmt: skip
        monkeypatch.setattr(fitted, "report", report)
        assert (ServedModel(fitted).facts()["caution"] is not None) == is_weak
