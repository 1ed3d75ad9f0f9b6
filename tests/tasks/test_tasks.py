"""Tasks: targets read, losses, decoding and metrics, worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from plait.tasks import TASKS, LabelState
from plait.tasks.labels import class_name, label_names, match_flag, number


@pytest.mark.parametrize(
    ("cell", "wanted"),
    [
        (1, "1"), (1.0, "1"), ("1", "1"), (np.float32(1.0), "1"), (np.int64(1), "1"), (" cat ", "cat"), (2.5, "2.5"),  # noqa: E501
        ("00501", "00501"), (True, "true"), (np.bool_(False), "false"),
        (None, None), (float("nan"), None), (np.float32("nan"), None), ("", None), ("  ", None),
    ],
)  # fmt: skip
def test_class_names(cell: object, wanted: str | None) -> None:
    assert class_name(cell) == wanted


@pytest.mark.parametrize(
    ("cell", "wanted"),
    [
        (["dog", "cat", "dog"], ("cat", "dog")),
        (np.array(["b", "a"]), ("a", "b")),
        ('["cat", "dog"]', ("cat", "dog")),
        ("['cat', 'dog']", ("cat", "dog")),
        ("dog; cat", ("cat", "dog")),
        ("dog|cat", ("cat", "dog")),
        ("dining table", ("dining table",)),
        ([], ()), ("", None), ("  ", None), ("[]", ()), (3, ("3",)), (None, None), (float("nan"), None),
    ],
)  # fmt: skip
def test_label_names(cell: object, wanted: tuple[str, ...] | None) -> None:
    assert label_names(cell) == wanted


@pytest.mark.parametrize(
    ("cell", "wanted"),
    [("1,234.5", 1234.5), (" 3 ", 3.0), (2, 2.0), ("1e-3", 0.001), ("n/a", None), ("", None), (None, None),
     (float("inf"), None), ("nan", None), (True, None), ([1], None)],
)  # fmt: skip
def test_numbers(cell: object, wanted: float | None) -> None:
    assert number(cell) == wanted


@pytest.mark.parametrize(
    ("cell", "wanted"),
    [(1, "1"), (0.0, "0"), (True, "1"), ("No", "0"), ("YES", "1"), ("match", "1"), ("mismatch", "0"), (2, None),  # noqa: E501
     ("maybe", None), (None, None)],
)  # fmt: skip
def test_match_flags(cell: object, wanted: str | None) -> None:
    assert match_flag(cell) == wanted


def test_classification_by_hand() -> None:
    task = TASKS.get("classification")
    state = task.fit(["10", "9", "b", "a", "9"])
    assert state.classes == ("9", "10", "a", "b")  # numbers by value, then words
    assert state.num_outputs == 4
    assert task.encode(["a", "9", "new"], state).tolist() == [2, 0, -1]
    logits = torch.tensor([[0.0, math.log(3)], [0.0, 0.0]])
    loss = task.loss(logits, torch.tensor([1, 0]), None)
    assert loss.tolist() == pytest.approx([math.log(4 / 3), math.log(2)])
    weighted = task.loss(logits, torch.tensor([1, 0]), torch.tensor([5.0, 2.0]))
    assert weighted.tolist() == pytest.approx([2 * math.log(4 / 3), 5 * math.log(2)])
    two = LabelState(classes=("no", "yes"))
    proba = task.activate(logits.numpy(), two)
    np.testing.assert_allclose(proba, [[0.25, 0.75], [0.5, 0.5]], atol=1e-7)
    assert task.decode(proba, two) == ["yes", "no"]
    assert task.metrics(np.array([1, 1]), proba)["accuracy"] == 0.5


def test_multilabel_by_hand() -> None:
    task = TASKS.get("multilabel")
    state = task.fit([("dog",), ("cat", "dog"), ()])
    assert state.classes == ("cat", "dog")
    assert task.encode([("dog",), (), ("cat", "unseen")], state).tolist() == [[0, 1], [0, 0], [1, 0]]
    logits = torch.tensor([[math.log(3), 0.0]])
    target = torch.tensor([[1.0, 0.0]])
    assert task.loss(logits, target, None).tolist() == pytest.approx([(math.log(4 / 3) + math.log(2)) / 2])
    heavy = task.loss(logits, target, torch.tensor([3.0, 9.0]))
    assert heavy.tolist() == pytest.approx([(3 * math.log(4 / 3) + math.log(2)) / 2])
    proba = task.activate(logits.numpy(), state)
    np.testing.assert_allclose(proba, [[0.75, 0.5]], atol=1e-7)
    assert task.decode(proba, state) == [["cat", "dog"]]
    assert task.decode(np.array([[0.4, 0.1]]), state) == [[]]


def test_regression_by_hand() -> None:
    task = TASKS.get("regression")
    state = task.fit([1.0, 3.0, 5.0])
    assert state.mean == 3.0
    assert state.std == pytest.approx(math.sqrt(8 / 3))
    coded = task.encode([3.0, 3.0 + 2 * state.std], state)
    assert coded.tolist() == pytest.approx([0.0, 2.0])
    assert task.loss(torch.tensor([[1.0], [0.5]]), torch.tensor([3.0, 0.0]), None).tolist() == [4.0, 0.25]
    values = task.activate(coded[:, None], state)
    assert task.decode(values, state) == pytest.approx([3.0, 3.0 + 2 * state.std])
    assert task.metrics(np.array([1.0, 2.0, 3.0]), np.array([[1.0], [2.0], [3.0]]))["r2"] == 1.0
    assert task.fit([4.0, 4.0]).std == 1.0


def test_matching_by_hand() -> None:
    task = TASKS.get("matching")
    state = task.fit(["1", "0"])
    assert (state.classes, task.modalities) == (("0", "1"), 2)
    assert task.encode(["1", "0"], state).tolist() == [1, 0]
    assert task.decode(np.array([[0.2, 0.8]]), state) == ["1"]


def test_targets_that_cannot_be_learned_are_refused() -> None:
    with pytest.raises(ValueError, match=r"hold 1 class \(a\)"):
        TASKS.get("classification").fit(["a", "a"])
    with pytest.raises(ValueError, match="no training row carries any label"):
        TASKS.get("multilabel").fit([(), ()])


def test_label_state_survives_json() -> None:
    import json

    state = LabelState(("b", "a"), 1.5, 0.1)
    assert LabelState.from_json(json.loads(json.dumps(state.to_json()))) == state


@pytest.mark.parametrize("name", [n for n in TASKS.names() if TASKS.get(n).output_kind not in ("text", "embeddings")])
def test_every_task_selects_by_a_metric_it_has(name: str) -> None:
    task = TASKS.get(name)
    state = LabelState(("0", "1"))
    raw = np.random.default_rng(0).normal(size=(40, 1 if name == "regression" else 2)).astype(np.float32)
    target = {
        "regression": raw[:, 0] + 0.1,
        "multilabel": (raw > 0).astype(np.float32),
    }.get(name, raw.argmax(1))
    metrics = task.metrics(target, task.activate(raw, state))
    assert metrics[task.primary] > 0.9


def test_tasks_are_listed_in_their_order() -> None:
    names = ["classification", "multilabel", "regression", "matching", "retrieval", "captioning", "vqa_open", "vqa"]
    assert [name for name in TASKS.names() if name != "count"] == [*names, "ordinal"]
