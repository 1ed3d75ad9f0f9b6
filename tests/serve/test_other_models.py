"""Models of every kind behind a server: search, vectors, captions, questions, numbers, labels, kinds of columns."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixtures.lazy import lazy
from fixtures.media import encoded, noise_png, red_or_blue, sound
from fixtures.served import Client, client_of
from fixtures.settings import QUICK

pytest.importorskip("fastapi", reason="extra serve")
plait = lazy("plait")


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def coloured(colour: tuple[int, int, int]) -> bytes:
    from PIL import Image

    return encoded(Image.new("RGB", (32, 32), colour))


@pytest.mark.timeout(200)
def test_search_and_vectors(coloured_model: Path, coloured_photos: Path, tmp_path: Path) -> None:
    from plait.index import build_index, open_index

    fitted = plait.load(coloured_model)
    build_index(fitted, coloured_photos, tmp_path / "index")
    index = open_index(tmp_path / "index", fitted)
    with client_of(fitted, index, max_hits=20) as client:
        facts = client.get("/v1/model").json()
        assert facts["answers"] == ["embed", "search"] and facts["index"]["items"] == len(index)
        found = client.post("/v1/search", json={"text": "a red square 0", "k": 5}).json()
        expected = index.search("a red square 0", k=5)
        assert [hit["id"] for hit in found["hits"]] == [hit.id for hit in expected]
        assert [hit["score"] for hit in found["hits"]] == pytest.approx([hit.score for hit in expected], abs=1e-6)
        assert all(hit["picture"].startswith("data:image/jpeg;base64,") for hit in found["hits"])
        assert str(coloured_photos.parent) not in str(found)
        picture = coloured((220, 30, 30))
        files = {"image": ("a.png", picture, "image/png")}
        by_picture = client.post("/v1/search", data={"k": "3", "weight": "0.3", "text": "red"}, files=files).json()
        expected = index.search("red", image=picture, weight=0.3, k=3)
        assert [hit["id"] for hit in by_picture["hits"]] == [hit.id for hit in expected]
        narrow = client.post("/v1/search", json={"text": "red", "where": "split = 'test'"})
        assert narrow.status_code == 200 and all(h["metadata"]["split"] == "test" for h in narrow.json()["hits"])
        for body, status, code in (
            ({}, 422, "no_query"), ({"text": "  "}, 422, "no_query"), ({"text": "a", "k": 0}, 422, "bad_number"),
            ({"text": "a", "k": 21}, 422, "bad_number"), ({"text": "a", "weight": 2}, 422, "bad_number"),
            ({"text": "a", "where": "no such"}, 422, "not_answered"), ({"text": 7}, 422, "no_text"),
            ({"image": "/etc/passwd"}, 422, "bad_image"), ({"text": "a", "source": "x"}, 422, "unknown_field"),
            ({"text": "a", "k": [1]}, 422, "bad_number"), ({"text": "a", "where": ["x"]}, 422, "no_text"),
        ):  # fmt: skip
            answer = client.post("/v1/search", json=body)
            assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), body
        rows = [{"image": b64(picture)}, {"caption": "no picture"}, {"image": b64(noise_png())}]
        vectors = client.post("/v1/embed", json={"modality": "image", "rows": rows}).json()["vectors"]
        offline, _ = fitted.embed([{"image": picture}, {"image": noise_png()}], "image")
        assert np.allclose([vectors[0]["vector"], vectors[2]["vector"]], offline, atol=1e-6)
        assert vectors[1]["error"]["row"] == 1
        answer = client.post("/v1/embed", json={"modality": "nothing", "rows": rows})
        assert answer.json()["error"]["code"] == "unknown_modality"
        paths = set(client.get("/openapi.json").json()["paths"])
        assert {"/v1/search", "/v1/embed"} <= paths and "/v1/predict" not in paths


@pytest.fixture(scope="module")
def pictures() -> list[bytes]:
    return [coloured((20 + i, 20, 20) if i % 2 else (200 + i, 220, 230)) for i in range(12)]


@pytest.mark.timeout(200)
def test_captions_and_questions(pictures: list[bytes]) -> None:
    base = {"photo": pictures}
    captioner = plait.fit(
        {**base, "caption": ["a bright one", "a dark one"] * 6}, "caption", task="captioning", epochs=1, set=QUICK
    )
    with client_of(captioner) as client:
        assert client.get("/v1/model").json()["answers"] == ["caption", "explain", "predict"]
        answer = client.post("/v1/caption", files={"image": ("a.png", pictures[0], "image/png")})
        offline = captioner.generate({"photo": [pictures[0]]}, beams=captioner.settings.language.beams or 1)
        assert answer.json()["answer"]["prediction"] == offline["prediction"][0].as_py()
        assert client.post("/v1/caption", json={"image": b64(b"none")}).status_code == 422
        assert client.post("/v1/caption", json={}).json()["error"]["code"] == "missing_field"
    answerer = plait.fit(
        {**base, "question": ["is it dark?", "is it dark at all?"] * 6, "answer": ["no", "yes"] * 6}, "answer",
        task="vqa", epochs=1, set=QUICK,
    )  # fmt: skip
    with client_of(answerer) as client:
        assert "ask" in client.get("/v1/model").json()["answers"]
        body = {"image": b64(pictures[1]), "question": "is it dark?"}
        answer = client.post("/v1/ask", json=body).json()["answer"]
        offline = answerer.predict({"photo": [pictures[1]], "question": ["is it dark?"]}).to_pylist()[0]
        assert answer["prediction"] == offline["prediction"]
        assert answer["probability"] == pytest.approx(offline["probability"], abs=1e-6)
        assert client.post("/v1/ask", json={"image": b64(pictures[1])}).json()["error"]["code"] == "missing_field"


def everything(number: int) -> dict[str, Any]:
    rng = np.random.default_rng(number)
    return {
        "photos": [red_or_blue(bool(number % 2), number), red_or_blue(bool(number % 2), 99 - number)],
        "call": sound(0.5 * np.sin(np.arange(1600) * (0.2 if number % 2 else 1.2)), 8000),
        "vector": [float(v) for v in rng.normal(number % 2, 1, 4)], "day": f"2024-0{number % 9 + 1}-1{number % 7}",
        "rooms": number % 4, "new": bool(number % 3), "price": 100.0 + 20 * (number % 2) + rng.normal(),
    }  # fmt: skip


def sent(row: dict[str, Any]) -> dict[str, Any]:
    made = {k: v for k, v in row.items() if k != "price"}
    return {**made, "photos": [b64(one) for one in row["photos"]], "call": b64(row["call"])}


@pytest.fixture(scope="module")
def priced() -> Any:
    return plait.fit(
        [everything(i) for i in range(60)], "price", epochs=2, image_set="photos", audio="call", vector="vector",
        date="day", categorical=["rooms", "new"], calibration=0.3,
        set=[*QUICK, "encoders.audio=scratch:audio", "encoders.audio_seconds=0.4"],
    )  # fmt: skip


@pytest.fixture(scope="module")
def prices(priced: Any) -> Any:
    with client_of(priced, max_seconds=1.0) as client:
        yield client


@pytest.mark.timeout(200)
def test_numbers_of_sets_of_pictures_sounds_vectors_dates_and_typed_categories(priced: Any, prices: Client) -> None:
    rows = [everything(i) for i in range(60, 66)]
    plain = [{k: v for k, v in row.items() if k != "price"} for row in rows]
    answer = prices.post("/v1/predict", json={"rows": [sent(row) for row in rows], "coverage": 0.5})
    assert answer.status_code == 200, answer.text
    offline = priced.predict(plain, coverage=0.5).to_pylist()
    for one, expected in zip(answer.json()["predictions"], offline, strict=True):
        for name in ("prediction", "low", "high"):
            assert one[name] == pytest.approx(expected[name], rel=1e-6)
    row = plain[0]
    texts = {"vector": str(row["vector"]), "day": row["day"], "rooms": str(row["rooms"]), "new": "false"}
    assert row["new"] is False
    files = [*(("photos", ("p.png", one, "image/png")) for one in row["photos"]), ("call", ("c.wav", row["call"]))]
    formed = prices.post("/v1/predict", data=texts, files=files)
    assert formed.status_code == 200, formed.text
    assert formed.json()["predictions"][0]["prediction"] == pytest.approx(offline[0]["prediction"], rel=1e-6)
    found = prices.post("/v1/explain", json={"row": sent(rows[0])})
    assert found.status_code == 200, found.text
    assert {m["name"] for m in found.json()["explanation"]["modalities"]} == {"photos", "call", "vector", "tabular"}


@pytest.mark.parametrize(
    ("cell", "status", "code"),
    [
        ({"call": b64(sound(np.zeros(20_000), 8000))}, 413, "sound_too_long"),
        ({"call": b64(b"RIFF")}, 422, "bad_audio"),
        ({"call": "../call.wav"}, 422, "no_file"), ({"photos": [b64(noise_png())] * 33}, 422, "too_many_pictures"),
        ({"photos": ["../a.png"]}, 422, "no_file"), ({"photos": "a.png;b.png"}, 422, "no_file"),
        ({"photos": [["x"]]}, 422, "no_file"), ({"vector": "/etc/passwd"}, 422, "no_vector"),
        ({"vector": "a.npy"}, 422, "no_vector"), ({"vector": [1, "x"]}, 422, "no_number"),
        ({"vector": [[1, 2], [3]]}, 422, "no_vector"), ({"vector": []}, 422, "no_vector"),
        ({"vector": [1.0, 2.0]}, 422, "not_answered"), ({"vector": {"a": 1}}, 422, "no_vector"),
        ({"day": 7}, 422, "no_text"), ({"day": "soon"}, 422, "not_answered"), ({"rooms": 1.5}, 422, "no_category"),
        ({"rooms": "many"}, 422, "no_number"), ({"new": "maybe"}, 422, "no_category"), ({"new": 3}, 422, "no_category"),
    ],
    ids=lambda value: str(value)[:30],
)  # fmt: skip
def test_cells_of_other_kinds_that_are_refused(prices: Client, cell: dict[str, Any], status: int, code: str) -> None:
    answer = prices.post("/v1/predict", json={"rows": [cell]})
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text


@pytest.mark.timeout(200)
def test_labels_and_pairs() -> None:
    rows = [{"text": f"{'red' if i % 2 else 'blue'} {'big' if i % 3 else 'small'} {i}",
             "labels": ["red"] * (i % 2) + ["big"] * bool(i % 3)} for i in range(40)]  # fmt: skip
    labelled = plait.fit(rows, "labels", task="multilabel", epochs=1, set=QUICK)
    with client_of(labelled) as client:
        answer = client.post("/v1/predict", json={"rows": [{"text": "red big"}]}).json()["predictions"][0]
        offline = labelled.predict({"text": "red big"}).to_pylist()[0]
        assert answer["prediction"] == offline["prediction"]
        assert answer["probabilities"]["red"] == pytest.approx(offline["probability_red"], abs=1e-6)
        found = client.post("/v1/explain", json={"row": {"text": "red big"}})
        assert found.status_code == 200, found.text
