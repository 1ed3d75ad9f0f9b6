"""Rows a model has seen are known again by their contents, whatever their order: refused, or counted and left out."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plait
from fixtures.lazy import lazy
from fixtures.settings import QUICK
from plait.data.modality import Modality
from plait.data.rows import Items, Rows
from plait.data.table import read_table

SeenInputs = lazy("plait.training.seen_rows", "SeenInputs")
Columns = dict[str, list[Any]]


def numbers(seed: int, count: int = 200) -> Columns:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=count)
    return {"x": x.tolist(), "y": ["up" if v + rng.normal() > 0 else "down" for v in x]}


def categories(seed: int, count: int = 200) -> Columns:
    """Two categories with three values each: nine kinds of rows."""
    rng = np.random.default_rng(seed)
    a, b = rng.choice(["red", "green", "blue"], (2, count)).tolist()
    return {"a": a, "b": b, "y": ["up" if (v == "red") != (rng.random() < 0.2) else "down" for v in a]}


def taken(columns: Columns, order: Any) -> Columns:
    return {name: [cells[int(i)] for i in order] for name, cells in columns.items()}


def fit(columns: Columns, folder: Path) -> Path:
    plait.fit(columns, "y", epochs=1, preset="single", set=[*QUICK, "judge.missing_rows=0"], output=folder)
    return folder


@pytest.fixture(scope="module")
def of_numbers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fit(numbers(0), tmp_path_factory.mktemp("seen") / "m")


@pytest.fixture(scope="module")
def of_categories(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fit(categories(0), tmp_path_factory.mktemp("seen") / "m")


def test_a_shuffled_copy_is_refused(of_numbers: Path) -> None:
    order = np.random.default_rng(1).permutation(200)
    for chosen in (order, order[:100]):
        with pytest.raises(ValueError, match=r"of (200|100) rows of .* trained the model or chose its epoch: .*Give"):
            plait.load(of_numbers).calibrate(taken(numbers(0), chosen))


def test_a_few_shared_rows_are_named_and_left_out(of_numbers: Path) -> None:
    model, known, fresh = plait.load(of_numbers), numbers(0), numbers(7)
    split = plait.fit(known, "y", epochs=1, preset="single", set=[*QUICK, "judge.missing_rows=0"]).seen
    assert split is not None and np.array_equal(split.hashes, model.seen.hashes) and model.seen.rows == 180
    mixed = {name: [*fresh[name], *known[name][:20]] for name in fresh}
    seen_N, _ = model.seen.found_in(_rows(mixed, model))
    assert 10 <= seen_N.sum() <= 20 and not seen_N[:200].any()  # the others were test rows, which trained nothing
    found = model.calibrate(mixed)
    assert found["rows"] == 220 - seen_N.sum()
    (note,) = [n for n in found["notes"] if "left out" in n]
    assert note.startswith(f"{seen_N.sum()} of 220 rows of ") and f"rows {np.flatnonzero(seen_N)[0]}, " in note
    assert not any("cannot be told" in n for n in model.calibrate(fresh)["notes"])


def test_rows_that_repeat_by_chance_are_no_proof(of_categories: Path) -> None:
    model = plait.load(of_categories)
    found = model.calibrate(categories(5))
    assert found["rows"] == 200 and any("cannot be told" in n and "twin" in n for n in found["notes"])
    with pytest.raises(ValueError, match="every row that trained the model or chose its epoch, in another order"):
        model.calibrate(taken(categories(0), np.random.default_rng(2).permutation(200)))


def test_hashes_are_of_contents_and_of_a_sample_where_there_are_very_many(monkeypatch: pytest.MonkeyPatch) -> None:
    model = _Reader((Modality("tabular", "tabular", ("x",)),))
    whole = SeenInputs.of(_rows({"x": list(range(1000))}, model), np.arange(1000))
    again = SeenInputs.of(_rows({"x": [float(i) for i in reversed(range(1000))]}, model), np.arange(1000))
    assert np.array_equal(whole.hashes, again.hashes) and whole.tells and whole.is_whole and whole.chance == 0
    monkeypatch.setattr("plait.training.seen_rows.MOST_KEPT", 250)
    part = SeenInputs.of(_rows({"x": list(range(1000))}, model), np.arange(1000))
    seen_N, told_N = part.found_in(_rows({"x": list(range(500, 1500))}, model))
    assert (part.rows, len(part.hashes), part.is_whole) == (1000, 250, False)
    assert seen_N[:500].sum() == told_N[:500].sum() and not seen_N[500:].any() and 80 < told_N[500:].sum() < 170


def test_a_damaged_file_is_named(of_numbers: Path, tmp_path: Path) -> None:
    seen = plait.load(of_numbers).seen
    assert seen is not None
    seen.save(tmp_path / "seen.safetensors")
    assert np.array_equal(SeenInputs.load(tmp_path / "seen.safetensors").hashes, seen.hashes)
    SeenInputs(seen.hashes[::-1].copy(), seen.rows).save(tmp_path / "seen.safetensors")
    with pytest.raises(ValueError, match="no sorted hashes"):
        SeenInputs.load(tmp_path / "seen.safetensors")
    (tmp_path / "seen.safetensors").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="no hashes of rows"):
        SeenInputs.load(tmp_path / "seen.safetensors")


class _Reader:
    """What reads rows, as far as these tests need it."""

    def __init__(self, modalities: tuple[Modality, ...]) -> None:
        self.inputs = type("Inputs", (), {"modalities": modalities})


def _rows(columns: Columns, model: Any) -> Rows:
    from plait.data.items import read_rows

    return read_rows(read_table(columns), model.inputs.modalities)


def test_a_row_with_nothing_in_it_is_never_known() -> None:
    modality = Modality("text", "text", ("t",))
    rows = Rows(read_table({"t": ["a", None]}), {"text": Items(modality, ["k"], ["a"], np.array([0, -1]))})
    seen = SeenInputs.of(rows, np.array([0, 1]))
    assert seen.rows == 1 and seen.found_in(rows)[0].tolist() == [True, False]


def test_a_shuffled_copy_without_its_split_is_evaluated_and_told(of_numbers: Path) -> None:
    table = numbers(0)
    model = plait.load(of_numbers)
    shuffled = taken(table, np.random.default_rng(1).permutation(200)[:100])
    notes = model.evaluate(shuffled)["evaluation"]["notes"]
    assert [n for n in notes if n.startswith("SEEN IN TRAINING") and "of 100 judged rows" in n]
    assert not [n for n in model.evaluate(numbers(7))["evaluation"]["notes"] if "SEEN" in n]
    assert not [n for n in model.evaluate(table)["evaluation"]["notes"] if "SEEN" in n]  # its own test rows


def test_rows_test_of_a_shuffled_copy_judges_the_held_out_rows(of_numbers: Path, of_categories: Path) -> None:
    table, model = numbers(0), plait.load(of_numbers)
    own = model.evaluate(table, rows="test")["evaluation"]
    found = model.evaluate(taken(table, np.random.default_rng(1).permutation(200)), rows="test")["evaluation"]
    assert found["rows"] == own["rows"] == 20 and found["split"] == "test"
    assert found["metrics"]["accuracy"]["value"] == own["metrics"]["accuracy"]["value"]
    assert any(n.startswith("180 of 200 rows, known again by their contents, trained") for n in found["notes"])
    with pytest.raises(ValueError, match=r"none of its rows trained the model, so all are held out; type rows='all'"):
        model.evaluate(numbers(7), rows="test")
    with pytest.raises(ValueError, match=r"rows='val' cannot be chosen: .* type rows='test'"):
        model.evaluate(taken(table, range(100)), rows="val")
    with pytest.raises(ValueError, match=r"% of the model's rows have a twin .*; type rows='all', or name"):
        plait.load(of_categories).evaluate(taken(categories(0), range(100)), rows="test")


def test_rows_that_calibrated_are_known_again(tmp_path: Path) -> None:
    table = numbers(3)
    quick = [*QUICK, "judge.missing_rows=0"]
    plait.fit(table, "y", epochs=1, preset="single", calibration=0.2, set=quick, output=tmp_path / "m")
    model = plait.load(tmp_path / "m")
    shuffled = taken(table, np.random.default_rng(1).permutation(200))
    assert model.evaluate(shuffled, rows="test")["evaluation"]["rows"] == 20  # neither train and val nor calibration
    told = [n for n in model.evaluate(shuffled)["evaluation"]["notes"] if "calibrated the model" in n]
    assert [n.split(" judged")[0] for n in told] == ["40 of 200"]
    with pytest.warns(UserWarning, match="of 200 predicted rows.* 140 trained the model .* and 40 calibrated it: no "):
        model.predict(shuffled, coverage=0.9)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict(numbers(7), coverage=0.9)
        model.predict(shuffled)
    (note,) = [n for n in model.calibrate(table)["notes"] if "is the table the model was trained on" in n]
    assert "the 40 rows of its part 'calibration', which have calibrated the model before" in note
