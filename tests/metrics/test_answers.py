"""Exact match and overlap of words, worked by hand."""

from __future__ import annotations

import pytest

from plait.metrics.answers import exact_match, token_f1


def test_exact_match_is_with_the_most_frequent_reference() -> None:
    guesses = ["Red ", "cat", "2", "\uff21", ""]
    truths = [["red"], ["dog", "dog", "cat"], ["2", "3"], ["a"], ["x"]]
    assert exact_match(guesses, truths).tolist() == [1.0, 0.0, 1.0, 1.0, 0.0]


def test_answers_are_cleaned_whether_one_person_gave_them_or_many() -> None:
    guesses = ["Red.", "the red", "YES", "two", "no", "?"]
    truths = [["red"], ["Red"], ["yes"], ["2", "2", "3"], ["yes"], ["."]]
    assert exact_match(guesses, truths).tolist() == [1.0, 1.0, 1.0, 1.0, 0.0, 0.0]


def test_token_f1_takes_the_nearest_reference() -> None:
    got = token_f1(["a red circle", "", "x", "red red"], [["red circle", "circle"], [""], ["y"], ["red"]])
    assert got.tolist() == pytest.approx([0.8, 1.0, 0.0, 2 / 3])  # 2*2/(3+2); both empty; none; 2*1/(2+1)


def test_faults_are_refused() -> None:
    with pytest.raises(ValueError, match="1 predictions but references of 2 rows"):
        exact_match(["a"], [["a"], ["b"]])
    with pytest.raises(ValueError, match=r"references\[0\] is 'a'; expected a list"):
        token_f1(["a"], ["a"])
    with pytest.raises(ValueError, match=r"references\[0\] is \[\]"):
        exact_match(["a"], [[]])
