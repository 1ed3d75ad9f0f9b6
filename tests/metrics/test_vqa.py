"""VQA accuracy: the challenge's own arithmetic and cleaning, side effects included, in both modes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from plait.metrics import normalise_answer, vqa_accuracy, vqa_breakdown


def one(prediction: str, answers: list[str], mode: str = "official") -> float:
    value: float = vqa_accuracy([prediction], [answers], mode)["vqa_accuracy"]
    return value


@pytest.mark.parametrize(("matches", "expected"), [(0, 0.0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1.0), (9, 1.0)])
def test_matches_of_ten(matches: int, expected: float) -> None:
    answers = ["red"] * matches + [f"colour{i}" for i in range(10 - matches)]
    assert one("red", answers) == expected == one("red", answers, "always")


def test_leave_one_out_equals_the_mean_over_all_nine_of_ten() -> None:
    for matches in range(11):
        answers = ["x"] * matches + ["y"] * (10 - matches)
        nines = [min(1, list(nine).count("x") / 3) for nine in itertools.combinations(answers, 9)]
        assert one("x", answers) == pytest.approx(np.mean(nines), abs=1e-15)


@pytest.mark.parametrize(
    ("prediction", "answers", "official", "always"),
    [
        ("yes", ["yes"] * 10, 1.0, 1.0),
        ("Yes", ["yes"] * 10, 0.0, 1.0),
        ("2", ["two"] * 10, 0.0, 1.0),
        ("yes", ["YES"] * 6 + ["no"] * 4, 1.0, 1.0),
        ("two", ["two"] * 5 + ["2"] * 5, 1.0, 1.0),
        (" yes\n", ["yes\t"] * 10, 1.0, 1.0),
        ("", ["A."] * 5 + ["red"] * 5, 1.0, 1.0),  # "A." becomes nothing: so does an empty prediction
        ("", ["red"] * 10, 0.0, 0.0),
    ],
)
def test_modes(prediction: str, answers: list[str], official: float, always: float) -> None:
    assert one(prediction, answers) == official
    assert one(prediction, answers, "always") == always


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("The Dog", "dog"),
        ("none", "0"),
        ("ten", "10"),
        ("a/b", "b"),
        ("10-20", "10 20"),
        ("A-1", "1"),
        ("2,5 m", "25 m"),
        ("1,000-2,000", "10002000"),
        ("red, blue", "red blue"),
        ("red,blue", "red blue"),
        ("A.", ""),
        ("3.5", "3.5"),
        (".5", ".5"),
        ("U.S.", "us"),
        ("dont", "don't"),
        ("couldnt've", "couldn't've"),
        ("couldn'tve", "couldn't've"),
        ("couldntve", "couldntve"),
        ("somebody'd", "somebodyd"),
        ("shes", "shes"),
        ("twas", "'twas"),
        ("5 o'clock: 100%", "5 o'clock: 100%"),
        ("(left) [right]", "left right"),
        ("." * 34, ".."),
        ("  \t two\nmen ", "2 men"),
    ],
)
def test_cleaning_with_its_side_effects(raw: str, clean: str) -> None:
    assert normalise_answer(raw) == clean


def test_order_and_values_per_question() -> None:
    answers = [["a b"] * 10, ["x"] * 2 + ["y"] * 8, ["q"] * 10]
    found = vqa_accuracy(["a b", "x", "z"], answers)
    assert found["per_question"] == [1.0, 0.6, 0.0] and found["mode"] == "official" and found["notes"] == []
    assert found["vqa_accuracy"] == pytest.approx(1.6 / 3)
    turned = vqa_accuracy(["z", "x", "a b"], answers[::-1])
    assert turned["per_question"] == [0.0, 0.6, 1.0]


def test_breakdown_by_type() -> None:
    found = vqa_breakdown([1.0, 0.3, 0.6, 0.0], ["other", "yes/no", "other", "number"])
    assert list(found) == ["other", "number", "yes/no"]
    assert found["other"] == {"vqa_accuracy": pytest.approx(0.8), "count": 2}
    with pytest.raises(ValueError, match="2 accuracies but 1 types"):
        vqa_breakdown([1.0, 0.0], ["other"])


def test_fewer_than_ten_answers_are_noted() -> None:
    found = vqa_accuracy(["x", "x"], [["x"] * 3, ["x"] * 10])
    assert found["per_question"] == [pytest.approx(2 / 3), 1.0]
    assert "1 of 2 questions have not ten answers (from 3 to 3)" in found["notes"][0]


@pytest.mark.parametrize(
    ("predictions", "answers", "mode", "message"),
    [
        (["x"], [["x"] * 10], "both", "mode is 'both'; expected 'official'"),
        ([], [], "official", "there are no questions"),
        (["x"], [["x"] * 10] * 2, "official", "1 predictions but answers to 2 questions"),
        (["x", None], [["x"] * 10] * 2, "official", r"predictions\[1\] is None"),
        (["x"], ["x"], "official", r"answers\[0\] is the single string 'x'"),
        (["x", "x"], [["x"] * 10, ["x"]], "official", r"answers\[1\] holds 1 answers"),
        (["x"], [[{"answer": "x"}] * 10], "official", r"answers\[0\] holds {'answer': 'x'}; expected strings"),
        ("x", [["x"] * 10], "official", "one string was given"),
    ],
)
def test_errors(predictions: list[str], answers: list[list[str]], mode: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        vqa_accuracy(predictions, answers, mode)
