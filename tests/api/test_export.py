"""A model exported to ONNX: the folder's own reader and graph answer as the model does, without PyTorch and Plait."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import plait
from fixtures.lazy import lazy
from fixtures.without_pytorch import WITHOUT_PYTORCH

pytest.importorskip("onnx", reason="extra onnx")
pytest.importorskip("onnxruntime", reason="extra onnx")
pytest.importorskip("onnxscript", reason="extra onnx")

export_file, folder_file, parity, rows_file, onnx_file, check_rows = (
    lazy(f"plait.api.exporting.{name}")
    for name in ("export", "folder", "parity", "rows", "onnx_file", "check_rows")
)  # fmt: skip
reader = lazy("plait.api.exporting.reader")


@pytest.fixture(scope="module")
def fitted(posts_model: Path) -> plait.Plait:
    """All members answer, each alike: on so few rows the choice among them falls on one."""
    model = plait.load(posts_model)
    model.ensemble.weights_PK[:] = 1 / model.ensemble.weights_PK.shape[1]
    return model


@pytest.fixture(scope="module")
def exported(posts: Path, fitted: plait.Plait, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("exported") / "onnx"
    return folder, plait.export(fitted, folder, check=posts)


def cells(posts: Path) -> list[dict[str, str]]:
    with posts.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_what_is_told_of_the_export(exported: tuple[Path, dict[str, Any]]) -> None:
    folder, told = exported
    assert told["random"]["largest_difference"] <= told["random"]["bound"] == 1e-5
    assert told["check"]["rows"] == 48 and told["check"]["largest_difference"] <= 1e-5
    assert told["check"]["same_predictions"] == 1 and told["check"]["plait"] == told["check"]["onnx"]
    assert told["speed"]["onnx"] > 0 and told["speed"]["pytorch"] > 0
    facts = json.loads((folder / "plait.json").read_text("utf-8"))
    assert facts["classes"] == ["no", "yes"] and facts["parity"]["check"] == told["check"]
    assert {one["kind"] for one in told["members"]} >= {"network", "ngrams", "linear"}
    assert set(facts["sha256"]) >= {"model.onnx"} and facts["modalities"][0]["columns"] == ["text"]
    assert facts["modalities"][0]["inputs"]["text.input_ids"] == {"type": "int64", "shape": ["rows", "length"]}
    assert list(folder.parent.iterdir()) == [folder]  # nothing is left beside it


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_answers_equal_the_models(
    exported: tuple[Path, dict[str, Any]], fitted: plait.Plait, posts: Path, batch_size: int
) -> None:
    model = reader.Model(exported[0], root=posts.parent)
    found = model.outputs(cells(posts)[:11], batch_size=batch_size)
    assert np.abs(found - fitted.predict_proba(posts)[:11]).max() <= 1e-5


def test_every_pattern_of_missing_cells(
    exported: tuple[Path, dict[str, Any]], fitted: plait.Plait, posts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(posts.parent)
    whole = {key: cells(posts)[3][key] for key in ("text", "image", "size")} | {"size": 1.75}
    rows = [
        {key: value if there else None for (key, value), there in zip(whole.items(), pattern, strict=True)}
        for pattern in product([True, False], repeat=3)
    ]
    answers = reader.Model(exported[0], root=posts.parent).predict(rows)
    expected = fitted.predict_proba(rows)
    found = np.array([list(answer["probabilities"].values()) for answer in answers])
    assert np.abs(found - expected).max() <= 1e-5
    assert answers[-1]["problem"] == "nothing to read in this row" and answers[0]["problem"] is None


def test_what_is_missing_changes_no_bit(exported: tuple[Path, dict[str, Any]], fitted: plait.Plait) -> None:
    session = onnx_file.open_session(exported[0] / "model.onnx")
    inputs, present_BM = rows_file.random_rows(fitted.inputs, 6, 4, seed=5)
    spoiled = parity.spoil(inputs, present_BM)
    assert bool(spoiled["image"]["pixel_values"].isnan().any())
    clean = onnx_file.run_session(session, inputs, present_BM)
    assert np.array_equal(clean, onnx_file.run_session(session, spoiled, present_BM))
    seen = present_BM.clone()
    seen[0, 0] = not bool(seen[0, 0])
    assert not np.array_equal(clean, onnx_file.run_session(session, inputs, seen))


def test_unreadable_cells_are_told_and_count_as_missing(exported: tuple[Path, dict[str, Any]], posts: Path) -> None:
    model = reader.Model(exported[0], root=posts.parent)
    bad, empty = model.predict([{"text": "sunny", "image": "none.png", "size": "large"}, {"text": "sunny"}])
    assert "none.png" in bad["problem"] and "size: 'large' is no number" in bad["problem"]
    assert bad["probabilities"] == pytest.approx(empty["probabilities"], abs=1e-6)


def test_example_runs_without_pytorch_and_plait(
    exported: tuple[Path, dict[str, Any]], fitted: plait.Plait, posts: Path
) -> None:
    example = exported[0] / "example.py"
    code = [line for line in example.read_text("utf-8").splitlines() if line.strip()]
    assert len(code) <= 30
    command = [sys.executable, "-c", WITHOUT_PYTORCH, str(example)]
    alone = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, encoding="utf-8")
    assert json.loads(alone.stdout)["prediction"] in ("no", "yes")
    table = subprocess.run(
        [*command, str(posts)], capture_output=True, text=True, check=True, timeout=60, encoding="utf-8"
    )
    answers = [json.loads(line)["prediction"] for line in table.stdout.splitlines()]
    assert answers == fitted.predict(posts).column("prediction").to_pylist()


def test_a_changed_file_is_refused(exported: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    shutil.copytree(exported[0], tmp_path, dirs_exist_ok=True)
    with (tmp_path / "inputs" / "00" / "ngrams.json").open("ab") as file:
        file.write(b" ")
    with pytest.raises(ValueError, match="is not the file that was exported"):
        reader.Model(tmp_path)


def test_a_table_is_read_as_plait_reads_it(
    exported: tuple[Path, dict[str, Any]], fitted: plait.Plait, posts: Path, tmp_path: Path
) -> None:
    table = tmp_path / "later.csv"
    Path(tmp_path / "in.png").write_bytes((posts.parent / cells(posts)[0]["image"]).read_bytes())
    (tmp_path / "link.png").symlink_to(posts.parent / cells(posts)[0]["image"])
    rows = [("in.png", "3,75"), ("link.png", "1,5"), (str(posts.parent / cells(posts)[0]["image"]), "4,125")]
    lines = [f'a sunny day,{image},"{size}"\n' for image, size in rows]
    table.write_text("text,image,size\n" + "".join(lines) + "too,few\n", encoding="utf-8")
    with pytest.warns(UserWarning, match="decimal commas"):
        expected = fitted.predict(table, on_bad_row="missing").to_pylist()
    found = reader.Model(exported[0]).predict_csv(table)
    assert [row["problem"] for row in found[:3]] == [row["problem"] for row in expected[:3]]
    assert "(4125 or 4.125?)" in found[2]["problem"] and "lies outside" in found[1]["problem"]
    assert found[3] == {"prediction": None, "problem": "2 fields where the header has 3 (line 5)"}
    taken = reader.Model(exported[0], allow_outside=True).predict_csv(table)
    assert "image" not in taken[1]["problem"] and "image" not in taken[2]["problem"]
    assert taken[0]["probabilities"] == pytest.approx(found[0]["probabilities"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda facts: facts.update(classes=["no"]), "1 classes and .* the graph has 2 outputs"),
        (lambda facts: facts.update(thresholds=[0.5] * 3), "3 thresholds"),
        (lambda facts: facts.pop("columns"), "is not what was exported"),
        (lambda facts: facts["modalities"][0].update(kind="audio"), "is not what was exported"),
        (lambda facts: facts["sha256"].pop("plait_onnx/model.py"), "no sha256 of 'plait_onnx/model.py'"),
        (lambda facts: facts["sha256"].pop("model.onnx"), "no sha256 of 'model.onnx'"),
    ],
)
def test_changed_facts_are_refused(
    exported: tuple[Path, dict[str, Any]], tmp_path: Path, change: Callable[[dict[str, Any]], Any], message: str
) -> None:
    shutil.copytree(exported[0], tmp_path, dirs_exist_ok=True)
    facts = json.loads((tmp_path / "plait.json").read_text("utf-8"))
    assert {"example.png", "inputs/00/ngrams.json", "plait_onnx/data/values.py"} <= set(facts["sha256"])
    change(facts)
    (tmp_path / "plait.json").write_text(json.dumps(facts), encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        reader.Model(tmp_path)


def test_a_refusal_of_the_example_is_one_line(exported: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("text\n\u00e9".encode("utf-16"))
    command = [sys.executable, "-c", WITHOUT_PYTORCH, str(exported[0] / "example.py"), str(tmp_path / "t.csv")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, encoding="utf-8")
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1 and "is not UTF-8" in done.stderr


def test_a_row_may_differ_by_what_pytorch_is_inexact(
    exported: tuple[Path, dict[str, Any]], fitted: plait.Plait, posts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from PIL import Image

    rows = check_rows.open_check_rows(fitted, posts)
    model = check_rows.reader_of(exported[0], rows, "model.onnx", 1)
    assert "accepted" not in check_rows.compare_float(fitted, model, rows)
    rows.outputs[7] += 2e-5
    with pytest.raises(ValueError, match=r"by 2\.0e-05 on 48 rows of the table \(row 7\)"):
        check_rows.compare_float(fitted, model, rows)
    with monkeypatch.context() as patched:
        patched.setattr("plait.api.exporting.check_rows.accepted_of", lambda *given: np.full(len(given[2]), 3e-5))
        told = check_rows.compare_float(fitted, model, rows)
        assert told["rows_above_bound"] == 1 and told["accepted"] == 3e-5
    flat = [{"image": Image.new("RGB", (30, 20), (40 * i, 255 - 30 * i, 90))} for i in range(6)]
    inputs, present_BM = check_rows.nested_inputs(fitted, model, flat)
    before = parity.plait_outputs(fitted, inputs, present_BM)
    usual = parity.bound_of(fitted)
    accepted_B = parity.accepted_of(fitted, inputs, present_BM)
    assert bool(((accepted_B >= usual) & (accepted_B <= 100 * usual)).all())
    assert np.array_equal(before, parity.plait_outputs(fitted, inputs, present_BM))  # put back as it was
    monkeypatch.setattr("plait.api.exporting.parity.bound_of", lambda fitted: 1e-12)
    assert parity.accepted_of(fitted, inputs, present_BM).max() == pytest.approx(1e-10)  # normalisations are there


def test_the_verb_says_the_same(
    exported: tuple[Path, dict[str, Any]], posts_model: Path, run: Callable[..., tuple[int, str, str]]
) -> None:
    code, _, err = run("export", posts_model, "--onnx", exported[0], "--quiet")
    assert code == 2 and "--overwrite" in err and "holds an exported model" in err
    code, _, err = run("export", posts_model, "--onnx", exported[0].parent, "--quiet")
    assert code == 2 and "holds other files" in err
    code, _, err = run("export", posts_model, "--onnx", exported[0].parent / "new", "--int8", "--quiet")
    assert code == 2 and "--check TABLE" in err or "check=TABLE" in err


def test_a_folder_is_whole_or_not_there(tmp_path: Path) -> None:
    def fails(part: Path) -> None:
        (part / "model.onnx").write_text("half")
        raise ValueError("the graph's answers differ")

    with pytest.raises(ValueError, match="differ"):
        folder_file.write_whole(tmp_path / "new", fails)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "plait.json").write_text("old")
    with pytest.raises(ValueError, match="differ"):
        folder_file.write_whole(tmp_path / "old", fails)
    assert (tmp_path / "old" / "plait.json").read_text() == "old"
    folder_file.write_whole(tmp_path / "old", lambda part: (part / "new.json").write_text("new"))
    assert [path.name for path in (tmp_path / "old").iterdir()] == ["new.json"]


@pytest.mark.parametrize("task", ["captioning", "vqa_open"])
def test_models_without_such_answers_are_refused(task: str) -> None:
    from plait.tasks import TASKS

    with pytest.raises(ValueError, match="export"):
        export_file.check_exportable(SimpleNamespace(task=TASKS.get(task)))


def test_a_difference_above_the_bound_is_refused() -> None:
    with pytest.raises(ValueError, match="so nothing was written"):
        parity.AnswerGap(2e-5, 1e-5, 9).require("random rows")
    with pytest.raises(ValueError, match="so nothing was written"):
        parity.AnswerGap(float("nan"), 1e-5, 9).require("random rows")
