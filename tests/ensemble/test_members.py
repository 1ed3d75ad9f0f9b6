"""Members against scikit-learn, and the one-bit rule: what is missing changes nothing by its content."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from fixtures.lazy import lazy
from plait.ensemble.glm import activate, linear_path
from plait.ensemble.linear import RowFeatures, fit_linear
from plait.ensemble.ngrams import fit_ngrams
from plait.ensemble.scale import SCALES
from plait.ensemble.trees import fit_trees
from plait.processors.ngrams import NgramProcessor
from plait.tasks.labels import LabelState

LogisticRegression = lazy("sklearn.linear_model", "LogisticRegression")
Ridge = lazy("sklearn.linear_model", "Ridge")


def planted(rows: int = 200, width: int = 6, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(rows, width))
    return features, (features @ rng.normal(size=(width, 3)) + rng.gumbel(size=(rows, 3))).argmax(1)


def test_softmax_equals_scikit_learn() -> None:
    features, target = planted()
    penalty = 0.05
    ((_, weight, bias),) = linear_path(features, np.eye(3)[target], "softmax", [penalty])
    theirs = LogisticRegression(C=1 / (penalty * len(target)), tol=1e-10, max_iter=5000).fit(features, target)
    mine = activate(features @ weight + bias, "softmax")
    assert mine == pytest.approx(theirs.predict_proba(features), abs=2e-4)


def test_identity_equals_ridge() -> None:
    features, target = planted()
    penalty = 0.1
    ((_, weight, bias),) = linear_path(features, target[:, None].astype(float), "identity", [penalty])
    theirs = Ridge(alpha=penalty * len(target)).fit(features, target)
    assert (features @ weight + bias)[:, 0] == pytest.approx(theirs.predict(features), abs=1e-3)


def row_features(rows: int, seed: int) -> RowFeatures:
    features, target = planted(rows, seed=seed)
    present = np.random.default_rng(seed).random((rows, 2)) > 0.2
    return RowFeatures({0: features[:, :3], 1: features[:, 3:]}, present, target)


def test_linear_member_ignores_what_is_missing() -> None:
    made = fit_linear([(row_features(200, 0), row_features(60, 1))], (0, 1), ("a", "b"), 3, SCALES.get("classes"))
    assert made is not None
    made.members[0].plain = (lambda t: t["x"], lambda t: t["x"])
    inputs = {"a": {"x": torch.randn(4, 3)}, "b": {"x": torch.randn(4, 3)}}
    present = torch.tensor([[True, True], [True, False], [False, True], [False, False]])
    before = made.members[0].outputs(inputs, None, present)
    inputs["b"]["x"][1] = float("nan")
    inputs["a"]["x"][2] = 1e30
    inputs["a"]["x"][3] = inputs["b"]["x"][3] = float("inf")
    after = made.members[0].outputs(inputs, None, present)
    assert (before == after).all() and before.sum(1) == pytest.approx(1.0)


def test_square_roots_are_read_only_of_wide_vectors_without_negative_numbers() -> None:
    rng = np.random.default_rng(0)
    wide = rng.exponential(size=(150, 80))
    target = (np.sqrt(wide[:, :5]).sum(1) > np.median(np.sqrt(wide[:, :5]).sum(1))).astype(int)
    there = np.ones((150, 1), dtype=bool)
    train = RowFeatures({0: wide[:100]}, there[:100], target[:100])
    val = RowFeatures({0: wide[100:]}, there[100:], target[100:])
    made = fit_linear([(train, val)], (0,), ("a",), 2, SCALES.get("classes"))
    assert made is not None and len(made.members[0].rooted) == 1
    train.parts[0][0, 0] = -1.0
    made = fit_linear([(train, val)], (0,), ("a",), 2, SCALES.get("classes"))
    assert made is not None and made.members[0].rooted == (False,)


def test_trees_answer_as_scikit_learn_and_know_gaps() -> None:
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(300, 2))
    categories = rng.integers(0, 4, size=(300, 1))
    gaps = (rng.random((300, 2)) < 0.2).astype(float)
    target = np.where(gaps[:, 0] > 0, 5.0, numbers[:, 0] * (categories[:, 0] - 1.5))

    def tensors(rows: slice) -> dict[str, torch.Tensor]:
        return {
            "numeric_BF": torch.tensor(numbers[rows] * (1 - gaps[rows])).float(),
            "missing_BF": torch.tensor(gaps[rows]).float(), "categorical_BK": torch.tensor(categories[rows]),
        }  # fmt: skip

    made = fit_trees(
        tensors(slice(0, 220)), target[:220], tensors(slice(220, 300)), target[220:], (0,), "t", (4,), 1,
        SCALES.get("number"), 0,
    )  # fmt: skip
    assert made is not None  # the copy answered as the original, or there would be no member
    member = made[0]
    shown = torch.ones(80, 1, dtype=torch.bool)
    outputs = member.outputs({"t": tensors(slice(220, 300))}, None, shown)
    assert 1 - ((outputs[:, 0] - target[220:]) ** 2).mean() / target[220:].var() > 0.8
    hidden = member.outputs({"t": tensors(slice(220, 300))}, None, ~shown)
    assert (hidden == hidden[0]).all()


@pytest.mark.parametrize("classes", [2, 3])
def test_trees_of_classes(classes: int) -> None:
    rng = np.random.default_rng(1)
    numbers = rng.normal(size=(300, 2))
    target = (np.digitize(numbers[:, 0], [-0.5, 0.5]) if classes == 3 else (numbers[:, 0] > 0)).astype(int)
    tensors = {
        "numeric_BF": torch.tensor(numbers).float(), "missing_BF": torch.zeros(300, 2),
        "categorical_BK": torch.zeros(300, 0, dtype=torch.int64),
    }  # fmt: skip
    made = fit_trees(tensors, target, tensors, target, (0,), "t", (), classes, SCALES.get("classes"), 0)
    assert made is not None
    outputs = made[0].outputs({"t": tensors}, None, torch.ones(300, 1, dtype=torch.bool))
    assert outputs.sum(1) == pytest.approx(1.0) and (outputs.argmax(1) == target).mean() > 0.97


def test_trees_stop_growing_where_more_have_long_made_it_worse(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is chosen is what growing to the end chooses, in fewer rounds."""
    from plait.ensemble import trees

    grown: list[int] = []
    staged = trees._staged

    def counted(models: list[Any], *given: Any) -> list[np.ndarray]:
        found = staged(models, *given)
        grown.append(len(found))
        return found

    monkeypatch.setattr(trees, "_staged", counted)
    rng = np.random.default_rng(2)
    numbers = rng.normal(size=(160, 2))
    target = (numbers[:, 0] + rng.normal(size=160) > 0).astype(int)  # much is noise, which trees learn by heart

    def tensors(rows: slice) -> dict[str, torch.Tensor]:
        return {
            "numeric_BF": torch.tensor(numbers[rows]).float(), "missing_BF": torch.zeros(len(numbers[rows]), 2),
            "categorical_BK": torch.zeros(len(numbers[rows]), 0, dtype=torch.int64),
        }  # fmt: skip

    made, train, val = [], slice(0, 100), slice(100, 160)
    for step in (100, trees.ITERATIONS):
        monkeypatch.setattr(trees, "STEP", step)
        made.append(
            fit_trees(
                tensors(train), target[train], tensors(val), target[val], (0,), "t", (), 2, SCALES.get("classes"), 0
            )
        )
    assert grown == [100, 100, 200, 300, 300]  # of both choices of rate and leaves
    (first, what), (second, other) = (one for one in made if one is not None)
    assert what == other and what["trees"] <= 50
    assert all(
        torch.equal(a, b) for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )


TEXTS = ["a red car", "a red bus", "the blue car", "the blue bus", "red red car", "blue bus"] * 5


def test_ngrams_read_words_and_survive_their_file(tmp_path: object) -> None:
    processor = NgramProcessor.fit(TEXTS)
    assert processor is not None
    target = np.array(["red" in t for t in TEXTS]).astype(int)
    matrix = processor.matrix(TEXTS)
    (member,), _ = fit_ngrams([(matrix, target, matrix, target)], (0,), "t", 2, SCALES.get("classes"))
    shown = torch.tensor([[True], [True], [False]])
    tensors = processor.process(["a red thing", "a blue thing", "a red thing"])
    outputs = member.outputs({"t": tensors}, None, shown)
    assert outputs[:2].argmax(1).tolist() == [1, 0]
    nothing = member.outputs({"t": processor.process(["zzz", "", "zzz"])}, None, shown)
    assert (outputs[2] == nothing[2]).all()
    processor.save(tmp_path)  # type: ignore[arg-type]
    again = NgramProcessor.load(tmp_path)  # type: ignore[arg-type]
    for name, tensor in processor.process(TEXTS).items():
        assert torch.equal(tensor, again.process(TEXTS)[name])


@pytest.mark.parametrize(
    "texts",
    [[""], ["\U0001f600"] * 3, ["one two"], ["红色的车", "蓝色的车", "红色的房子"], ["سيارة حمراء", "سيارة زرقاء"]],
)
def test_ngrams_of_any_script_or_none(texts: list[str]) -> None:
    processor = NgramProcessor.fit(texts)
    if processor is None:
        assert len(set(texts)) < 2
        return
    rows = processor.process([*texts, "", "x" * 10_000])
    assert torch.isfinite(rows["ngram_weight_BG"]).all() and len(rows["ngram_BG"]) == len(texts) + 2


def test_logits_give_back_what_was_averaged() -> None:
    from plait.tasks import TASKS

    for name, outputs in (
        ("classes", np.array([[0.2, 0.8], [1.0, 0.0]])), ("labels", np.array([[0.2, 0.9]])),
        ("number", np.array([[3.5]])),
    ):  # fmt: skip
        task = {"classes": "classification", "labels": "multilabel", "number": "regression"}[name]
        state = LabelState(classes=("a", "b") if name != "number" else (), mean=1.0, std=2.0)
        record = TASKS.get(task)
        assert record.inverse is not None
        logits = record.inverse(outputs, state)
        assert record.activate(logits.astype(np.float32), state) == pytest.approx(outputs, abs=1e-6)
