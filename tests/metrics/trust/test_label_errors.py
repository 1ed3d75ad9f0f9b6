"""Confident learning: worked by hand, against numbers of cleanlab, and on flips that were planted."""

from __future__ import annotations

import numpy as np
import pytest

from plait.metrics.trust.label_errors import (
    confident_joint,
    counted_as,
    hardest_rows,
    label_errors,
    most_ambiguous_rows,
)

# Thresholds .8 and .6: rows 0 and 1 count as class 0, row 2 as 1, row 3 as 0, row 4 as 1; row 5 as none.
PROBABILITY = [[0.9, 0.1], [0.8, 0.2], [0.2, 0.8], [0.9, 0.1], [0.1, 0.9], [0.7, 0.3]]
LABEL = [0, 0, 1, 1, 1, 0]
GOLDEN = [[95, 3, 5, 0], [3, 94, 4, 1], [1, 2, 98, 4], [0, 1, 2, 104]]


def test_worked_by_hand() -> None:
    assert counted_as(PROBABILITY, LABEL).tolist() == [0, 0, 1, 0, 1, -1]
    # label 0: two rows count as 0, scaled to three; label 1: one counts as 0 and two as 1
    assert np.allclose(confident_joint(PROBABILITY, LABEL), [[0.5, 0.0], [1 / 6, 1 / 3]])
    found = label_errors(PROBABILITY, LABEL)
    assert found.rows.tolist() == [3] and found.suggested.tolist() == [0]
    assert found.margin[0] == pytest.approx(0.8) and found.noise == pytest.approx(1 / 6)


def planted(seed: int, rows: int = 600, classes: int = 4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities that know the truth, labels of which one in ten is another class, and which."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, rows)
    logits = rng.normal(size=(rows, classes))
    logits[np.arange(rows), truth] += 3
    probability = np.exp(logits)
    is_wrong = rng.random(rows) < 0.1
    label = np.where(is_wrong, (truth + rng.integers(1, classes, rows)) % classes, truth)
    return probability / probability.sum(axis=1, keepdims=True), label, is_wrong


def test_as_cleanlab_counts() -> None:
    """Golden: ``compute_confident_joint(label, probability, calibrate=False)`` of cleanlab 2.9.0 on these rows."""
    probability, label, _ = planted(0)
    place = counted_as(probability, label)
    counts = np.zeros((4, 4), dtype=int)
    np.add.at(counts, (label[place >= 0], place[place >= 0]), 1)
    assert counts.tolist() == GOLDEN


def test_planted_flips_are_found() -> None:
    precision, recall = [], []
    for seed in range(5):
        probability, label, is_wrong = planted(seed)
        rows = label_errors(probability, label).rows
        precision.append(is_wrong[rows].mean())
        recall.append(is_wrong[rows].sum() / is_wrong.sum())
    assert min(precision) > 0.85 and min(recall) > 0.55


def test_the_surest_stand_first() -> None:
    probability, label, _ = planted(1)
    found = label_errors(probability, label)
    assert (np.diff(found.margin) <= 0).all() and (found.suggested != label[found.rows]).all()
    assert hardest_rows(probability, label, 3)[0] == probability[np.arange(600), label].argmin()
    top = np.sort(probability, axis=1)
    assert most_ambiguous_rows(probability, 1)[0] == (top[:, -1] - top[:, -2]).argmin()


def test_a_class_without_rows_is_never_suggested() -> None:
    found = label_errors([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7], [0.2, 0.7, 0.1]], [0, 1, 1])
    assert 2 not in found.suggested.tolist() and np.isfinite(found.joint_CC).all()


@pytest.mark.parametrize(
    ("probability", "label", "said"),
    [
        ([[0.5, 0.4]], [0], "add up to 1"),
        ([[1.0, 0.0]], [2], "0 to 1"),
        ([[1.0, 0.0]], [0.5], "whole numbers"),
        ([[1.0]], [0], "two classes"),
    ],
)
def test_what_is_no_probability_is_refused(probability: list, label: list, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        label_errors(probability, label)
