"""Class means: worked by hand, one row a class, missing modalities, saved and loaded, and whole runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import plait
from fixtures.lazy import lazy

fit_prototypes = lazy("plait.ensemble.prototypes", "fit_prototypes")
PrototypeMember = lazy("plait.ensemble.prototypes", "PrototypeMember")
RowFeatures = lazy("plait.ensemble.linear", "RowFeatures")
VECTORS = {"plain": lambda tensors: tensors["vector_BD"]}


def fitted(parts: dict[int, np.ndarray], present: np.ndarray, target: list[int], classes: int) -> Any:
    names = tuple("ab"[m] for m in parts)
    member, details = fit_prototypes(RowFeatures(parts, present, np.array(target)), tuple(parts), names, classes)
    member.plain = tuple(VECTORS["plain"] for _ in parts)
    return member, details


def ask(member: Any, parts: dict[str, Any], present: list[list[bool]]) -> np.ndarray:
    inputs = {name: {"vector_BD": torch.tensor(rows, dtype=torch.float32)} for name, rows in parts.items()}
    return np.asarray(member.outputs(inputs, None, torch.tensor(present)))


def test_one_row_a_class_by_hand() -> None:
    rows = np.array([[4.0, 0.0], [0.0, 4.0]])
    member, details = fitted({0: rows}, np.ones((2, 1), dtype=bool), [0, 1], 2)
    assert details["chosen by"] == "fixed: one row a class" and details["shrinkage"] == 0.5
    unit = np.array([1.0, -1.0]) / np.sqrt(2)  # of the first row about the mean (2, 2); its class stands at unit / 1.5
    assert member.prototype_CD.numpy() == pytest.approx(np.stack([unit, -unit]) / 1.5, abs=1e-6)
    score = 4.0 * 2.0 * np.array([1.0, -1.0]) / 1.5  # the squared length of both prototypes is the same
    expected = np.exp(score) / np.exp(score).sum()
    assert ask(member, {"a": [[6.0, -2.0]]}, [[True]])[0] == pytest.approx(expected, abs=1e-6)


def test_rows_are_left_out_one_at_a_time() -> None:
    """A modality of noise gets no say, one that tells classes does; in-sample both would look right."""
    rng = np.random.default_rng(0)
    target = np.repeat(np.arange(4), 4)
    told = np.eye(4)[target] * 6 + rng.normal(size=(16, 4))
    noise = rng.normal(size=(16, 200))
    member, details = fitted({0: told, 1: noise}, np.ones((16, 2), dtype=bool), target.tolist(), 4)
    assert details["sharpness"]["a"] > 2 and details["sharpness"]["b"] == 0.0
    assert details["chosen by"] == "one training row at a time was left out"
    fresh = np.eye(4) * 6
    answers = ask(member, {"a": fresh.tolist(), "b": rng.normal(size=(4, 200)).tolist()}, [[True, True]] * 4)
    assert answers.argmax(1).tolist() == [0, 1, 2, 3] and answers.sum(1) == pytest.approx(np.ones(4))


def test_what_lies_in_a_missing_cell_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    target = np.repeat(np.arange(3), 3)
    parts = {m: np.eye(3)[target] * 5 + rng.normal(size=(9, 3)) for m in (0, 1)}
    present = np.ones((9, 2), dtype=bool)
    present[::4, 1] = False
    member, _ = fitted(parts, present, target.tolist(), 3)
    same = {m: np.where(present[:, m, None], part, 99.0) for m, part in parts.items()}
    again, _ = fitted(same, present, target.tolist(), 3)
    for name, values in member.state_dict().items():
        assert torch.equal(values, again.state_dict()[name]), name
    row = [[5.0, 0.0, 0.0]]
    seen = [ask(member, {"a": row, "b": b}, [[True, False]]) for b in ([[0.0, 5.0, 0.0]], [[9.0, 9.0, -9.0]])]
    assert (seen[0] == seen[1]).all() and seen[0][0].argmax() == 0
    assert ask(member, {"a": row, "b": row}, [[False, False]])[0] == pytest.approx(np.full(3, 1 / 3))


def test_a_class_that_never_has_a_modality_is_neither_near_nor_far_in_it() -> None:
    rows = np.array([[4.0, 0.0], [0.0, 4.0], [1.0, 1.0]])
    present = np.array([[True, True], [True, True], [True, False]])
    member, _ = fitted({0: rows, 1: rows}, present, [0, 1, 2], 3)
    answers = ask(member, {"a": [[0.0, 0.0]], "b": [[4.0, 0.0]]}, [[False, True]])[0]
    assert answers[0] > answers[2] > answers[1]


def words(counts: dict[str, int]) -> list[dict[str, str]]:
    """Rows whose class follows a word of their own."""
    return [
        {"text": f"{name} thing {i} here", "label": name} for name, count in counts.items() for i in range(count)
    ]  # fmt: skip


SETS = ["encoders.text=scratch:text", "train.threads=1"]


def test_a_run_with_one_row_a_class(tmp_path: Path) -> None:
    """No validation row is left: class means answer, which is said, and the model comes back bit for bit."""
    rows = words(dict.fromkeys(("red", "green", "blue", "grey"), 1))
    rows = [{**r, "vector": (np.eye(4)[i] * 3).tolist()} for i, r in enumerate(rows)]
    model = plait.fit(rows, "label", vector="vector", preset="prototypes", epochs=1, set=SETS)
    assert model.report["splits"] == {"train": 4, "val": 0, "test": 0}
    notes = model.report["evaluation"]["notes"]
    assert any("no validation row is left to choose by: class means" in n for n in notes)
    assert any("there are no held-out rows" in n for n in notes)
    assert {m["name"]: m["weight"] for m in model.leaderboard()} == {"fused": 0.0, "prototypes of everything": 1.0}
    asked = [{"vector": [0.1, 2.0, 0.0, 0.3]}, {"text": "anything"}]
    answers = model.predict(asked)
    assert answers.column("prediction")[0].as_py() == "green"
    model.save(tmp_path / "model")
    assert plait.load(tmp_path / "model").predict(asked).equals(answers)


def test_a_run_chooses_among_class_means_and_others() -> None:
    rng = np.random.default_rng(0)
    rows = [
        {"vector": (np.eye(5)[c] * 2 + 0.4 * rng.normal(size=5)).tolist(), "label": f"class {c}"}
        for c in range(5) for _ in range(8)
    ]  # fmt: skip
    model = plait.fit(rows, "label", vector="vector", preset="prototypes", epochs=1, set=["train.threads=1"])
    kinds = {m["name"]: m["kind"] for m in model.leaderboard()}
    assert kinds["prototypes of everything"] == "prototypes" and "linear of vector" in kinds
    assert model.settings.ensemble.folds == 5
    assert model.predict([{"vector": [0, 0, 2, 0, 0]}]).column("prediction")[0].as_py() == "class 2"


def test_a_number_has_no_class_means() -> None:
    rows = [{"size": float(i), "label": i * 2.5} for i in range(40)]
    model = plait.fit(rows, "label", preset="prototypes", epochs=1, set=["train.threads=1"])
    assert "prototypes" not in {m["kind"] for m in model.leaderboard()}
