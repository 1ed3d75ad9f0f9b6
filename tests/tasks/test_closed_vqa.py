"""Closed answers: spellings of one answer are one class, at fit and when rows are read."""

from __future__ import annotations

from plait.tasks.base import TASKS
from plait.tasks.closed_vqa import fit_answers
from plait.tasks.labels import LabelState

ENCODE = TASKS.get("vqa").encode


def test_spellings_of_one_answer_are_one_class_shown_as_most_wrote_it() -> None:
    rows = [("Red.",), ("the red",), ("red",), ("YES",), ("yes",), ("yes",), ("Two",), ("Two",), ("2",)]
    state = fit_answers(rows, 10)
    assert sorted(state.classes) == ["Two", "red", "yes"]  # of equally frequent spellings the clean one
    found = [state.classes[i] for i in ENCODE([("RED!",), ("Yes",), ("2",), ("yes", "a red", "red.")], state)]
    assert found == ["red", "yes", "Two", "red"]
    assert ENCODE([("blue",), ()], state).tolist() == [-1, -1]


def test_a_model_that_learned_two_spellings_keeps_them_apart() -> None:
    assert ENCODE([("Red",), ("red",), ("RED",)], LabelState(classes=("red", "Red"))).tolist() == [1, 0, 0]
