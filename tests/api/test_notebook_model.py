"""A model in a notebook: it shows itself, answers as a data frame, reads cells of every form, moves to a device."""

from __future__ import annotations

import base64
import io
import json
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fixtures.lazy import lazy
from fixtures.settings import QUICK
from plait.data.sound import decode_sound
from plait.data.table import read_table

plait, pd, torch = lazy("plait"), lazy("pandas"), lazy("torch")


@pytest.fixture(scope="module")
def model(posts: Path) -> Any:
    return plait.fit(posts, target="label", ignore="id", epochs=1, set=dict(one.split("=") for one in QUICK) | {
        "train.threads": 1, "train.baselines": True, "encoders.image_size": 32,
    })  # fmt: skip


def test_a_model_shows_itself(model: Any) -> None:
    assert "\n" not in repr(model) and repr(model).startswith("Plait(classification of 'label' from ")
    made = model._repr_html_()
    assert repr(model).split(";")[0].replace("'", "&#x27;") in made
    assert "Accuracy" in made and "95% interval" in made and "only text" in made
    assert model.report["verdict"].split(":")[0][:30] in re.sub(r"&#x27;", "'", made)


def test_the_line_names_who_answers_and_the_leaderboard_is_a_table(model: Any) -> None:
    models = model.leaderboard()
    assert isinstance(models, list) and len(models.frame()) == len(models)
    heaviest = max(models, key=lambda one: one["weight"] or 0.0)
    alone = heaviest["name"] == "fused" and heaviest["weight"] == 1.0
    who = (
        f"fusion {model.settings.fusion.name}" if alone else f"answered by {heaviest['name']} {heaviest['weight']:.2f}"
    )
    assert repr(model).endswith(f"; {who})") or f"; {who}, " in repr(model)
    head, *lines = repr(models).splitlines()
    assert head.split() == ["name", "validation", "weight", "seconds", "status"] and len(lines) == len(models)
    assert all(line.startswith(one["name"]) for line, one in zip(lines, models, strict=True))
    made = models._repr_html_()
    assert made.count("<tr>") == len(models) + 1 and "<th>validation</th>" in made


def test_a_loaded_model_shows_the_same(model: Any, tmp_path: Path) -> None:
    model.save(tmp_path / "model")
    loaded = plait.load(tmp_path / "model")
    assert loaded._repr_html_() == model._repr_html_() and loaded.report.frame().equals(model.report.frame())


def test_a_model_without_a_report_shows_its_line(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "report", {})
    assert model._repr_html_().startswith("<div>Plait(classification of &#x27;label&#x27;")


def test_results_are_mappings_that_show_themselves(model: Any, posts: Path) -> None:
    evaluation = model.evaluate(posts, rows="all", lang="zh")
    assert isinstance(evaluation, dict) and json.loads(json.dumps(evaluation)).keys() == evaluation.keys()
    assert "\u51c6\u786e\u7387" in evaluation._repr_html_() and len(evaluation.frame()) > 5
    explanation = model.explain(posts, rows="all", permutations=0, emap_evaluations=0, examples=1)
    assert isinstance(explanation, dict) and json.dumps(explanation)
    frame = explanation.frame()
    assert frame["modality"].tolist() == model.model.config.modality_names
    full = explanation["subsets"][-1]["metric"]["value"] - explanation["subsets"][0]["metric"]["value"]
    assert frame["shapley"].sum() == pytest.approx(full)
    found = plait.check(posts, "label")
    assert found["worst"] == found.worst and json.dumps(found) == json.dumps(found.to_json())
    assert found.frame()["code"].tolist() == [f.code for f in found.findings] and "ok" in found._repr_html_()


@pytest.mark.filterwarnings("ignore:.*has no column:UserWarning")  # a frame of texts only
def test_answers_as_a_frame(model: Any, posts: Path) -> None:
    table = model.predict(posts)
    frame = model.predict(posts, as_frame=True)
    assert isinstance(frame, pd.DataFrame) and frame["prediction"].tolist() == table["prediction"].to_pylist()
    asked = pd.DataFrame({"text": ["sunny", "grey"]}, index=["p", "q"])
    assert model.predict(asked, as_frame=True).index.tolist() == ["p", "q"]


def test_one_row_or_several(model: Any) -> None:
    pieces = list(model.predict_chunks([{"text": "rain"}] * 3, chunk_rows=2, progress=False))
    assert [piece.num_rows for piece in pieces] == [2, 1]
    one = model.predict({"text": "a sunny day"})
    assert one.num_rows == 1
    several = model.predict([{"text": "a sunny day"}, {"text": "rain"}])
    assert several.num_rows == 2
    assert several["probability"][0].as_py() == pytest.approx(one["probability"][0].as_py(), abs=1e-5)


def test_cells_of_every_form_are_the_same_picture(model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = Image.new("RGB", (24, 24), (200, 30, 30))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    (tmp_path / "a.png").write_bytes(buffer.getvalue())
    monkeypatch.chdir(tmp_path)
    text = base64.b64encode(buffer.getvalue()).decode()
    cells = [
        picture, np.asarray(picture), buffer.getvalue(), f"data:image/png;base64,{text}", text, "a.png",
        tmp_path / "a.png", {"bytes": buffer.getvalue(), "path": None}, torch.from_numpy(np.array(picture)),
    ]  # fmt: skip
    made = [model.predict([{"image": cell}]) for cell in cells] + [model.predict({"image": cells[0]})]
    assert {answer["problem"][0].as_py() for answer in made} == {None}
    values = [answer["probability"][0].as_py() for answer in made]
    assert values == pytest.approx([values[0]] * len(made), abs=1e-6)


@pytest.mark.parametrize("cell", [
    lambda s: {"array": s, "sampling_rate": 8000}, lambda s: (s, 8000), lambda s: (8000, s),
    lambda s: (np.stack([s, s]), np.int64(8000)),
])  # fmt: skip
def test_decoded_sound(cell: Any) -> None:
    pytest.importorskip("soundfile", reason="extra audio")
    samples = (0.5 * np.sin(np.arange(800) * 0.2)).astype(np.float32)
    held = read_table([{"call": cell(samples)}, {"call": None}]).column("call")[0]
    found = decode_sound(held["bytes"] if isinstance(held, dict) else held, max_seconds=1)
    assert found.rate == 8000 and np.allclose(found.samples, samples, atol=1e-6)


def test_a_pair_that_is_no_sound_stays_a_list() -> None:
    assert read_table([{"pair": (1.0, 2.0)}]).column("pair") == [[1.0, 2.0]]


def test_devices(model: Any) -> None:
    assert str(model.device) in ("cpu", "cuda:0")
    before = model.predict({"text": "a sunny day"})
    assert model.to("cpu") is model and model.device == torch.device("cpu") and model.inputs.device == "cpu"
    assert model.predict({"text": "a sunny day"}).equals(before)
    with pytest.raises(ValueError, match=r"device 'tpu-7' cannot be used here; there are cpu"):
        model.to("tpu-7")


def test_every_network_moves(model: Any) -> None:
    """Onto the device without memory, where every tensor of a copy must have gone."""
    copied = pickle.loads(pickle.dumps(model)).to("meta")
    networks = [copied.model, *copied.baselines.values(), *([copied.ensemble] if copied.ensemble is not None else [])]
    tensors = [t for network in networks for t in (*network.parameters(), *network.buffers())]
    assert len(networks) > 1 and {t.device.type for t in tensors} == {"meta"} and copied.device.type == "meta"
    assert copied.inputs.device == "meta" and model.device.type != "meta"
