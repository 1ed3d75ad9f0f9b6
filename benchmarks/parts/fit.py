"""Fit and report on a store that has all features, beside scikit-learn on the same stored features.

Of posts where they are there: that is the goal in seconds. Else of planted rows (text, picture, number). The peer opens
and reads the same table, takes the same features from the store and fits a logistic regression, its penalty chosen on
validation rows: no network, no intervals, no report.
"""

from __future__ import annotations

import shutil
import time
from typing import Any

import numpy as np

import plait
from measure import metric
from parts.part import Asked, Goal, Measured
from peers import CLASSES, fit_linear, linear_features, losses, rows_of
from plait.data.synthetic import make_synthetic
from training_choices import prepared_table
from turns import in_turns

QUICK = ["encoders.image_size=32"]


def fit(asked: Asked) -> list[Measured]:
    """One line; the first fit, which encodes, is not measured and its seconds are in the notes."""
    if asked.posts is not None and not asked.quick:
        source: Any = asked.posts
        how: dict[str, Any] = {"target": "sentiment", "split": "split"}
        data, goal = "posts-sentiment, 1,500 rows", Goal("seconds", "fit + report of posts in at most 15 s", at_most=15)
    else:
        source = make_synthetic("additive", 80 if asked.quick else 240, seed=asked.seed, image_size=64)
        how, goal = {"target": "label", "split": "split", "set": QUICK}, None
        data = f"{len(source)} planted rows, pictures at 32 px"

    def ours() -> float:
        shutil.rmtree(asked.folder / "model", ignore_errors=True)
        fitted = plait.fit(source, **how, seed=asked.seed, output=asked.folder / "model", progress=False)
        assert (asked.folder / "model" / "report.html").exists()
        return metric(fitted.report, "accuracy")

    began = time.perf_counter()
    ours()
    first = time.perf_counter() - began
    sides = {"Plait fit + report": ours, "scikit-learn on stored features": lambda: logistic(source, how)}
    own, peer = sides
    sides[peer]()  # imports
    turns = in_turns(sides, 1 if asked.quick else max(2, asked.repeats // 2), warm=False)
    accuracies = {f"accuracy, {side}": turns.results[side] for side in sides}
    notes = [f"the fit before, which encodes what the store lacks, took {first:.0f} s"]
    return [Measured("fit", own, peer, data, f"{asked.threads} threads", turns, accuracies, goal, notes)]


def logistic(source: Any, how: dict[str, Any]) -> float:
    """Test accuracy of a logistic regression on the features of every column."""
    run = prepared_table(source, how)
    rows = rows_of(run.plan, run.usable)
    features = linear_features(rows, rows.train)
    fits = [fit_linear(rows, features, rows.train, penalty, False) for penalty in CLASSES]
    best = min(fits, key=lambda predict: losses(predict(rows.val), rows.target[rows.val]).mean())
    return float((np.argmax(best(rows.test), axis=1) == rows.target[rows.test]).mean())
