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
from plait.data.modality import Modality

pytest.importorskip("onnx", reason="extra onnx")
pytest.importorskip("onnxruntime", reason="extra onnx")
pytest.importorskip("onnxscript", reason="extra onnx")

export_file, description, folder_file, parity, rows_file, onnx_file = (
    lazy(f"plait.api.exporting.{name}")
    for name in ("export", "description", "folder", "parity", "rows", "onnx_file")
)  # fmt: skip
reader = lazy("plait.api.exporting.reader")

WITHOUT_PYTORCH = """
import runpy, sys
class Refused:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "transformers", "timm", "plait", "pyarrow", "sklearn", "scipy"}:
            raise ImportError(f"{name} is not there")
sys.meta_path.insert(0, Refused())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


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


@pytest.mark.parametrize("task", ["captioning", "retrieval"])
def test_models_without_such_answers_are_refused(task: str) -> None:
    from plait.tasks import TASKS

    with pytest.raises(ValueError, match="export"):
        export_file.check_exportable(SimpleNamespace(task=TASKS.get(task)))


def test_cells_that_need_pytorch_are_refused() -> None:
    from plait.processors import AudioProcessor

    inputs = SimpleNamespace(
        modalities=(Modality("clip", "audio", ("clip",)),), processors={"clip": AudioProcessor()}
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"'clip' are prepared by .*ignore="):
        description.check_readable(inputs)


def test_a_difference_above_the_bound_is_refused() -> None:
    with pytest.raises(ValueError, match="so nothing was written"):
        parity.AnswerGap(2e-5, 1e-5, 9).require("random rows")
    with pytest.raises(ValueError, match="so nothing was written"):
        parity.AnswerGap(float("nan"), 1e-5, 9).require("random rows")
