"""Comparing fusions over seeds, beside a plain loop of fits of the same networks, on features that are stored."""

from __future__ import annotations

from statistics import fmean
from typing import Any

import plait
from measure import metric
from parts.part import Asked, Measured
from plait.data.synthetic import make_synthetic
from turns import in_turns

FUSIONS = ("concat", "gated")


def compare(asked: Asked) -> list[Measured]:
    """One line."""
    rows, seeds = (80, 1) if asked.quick else (240, 2)
    source = make_synthetic("additive", rows, seed=asked.seed, image_size=64)
    how: dict[str, Any] = {"epochs": 3, "set": ["encoders.image_size=32"], "progress": False}

    def ours() -> dict[str, float]:
        report = plait.compare(source, "label", fusion=list(FUSIONS), seeds=seeds, search=1, **how).report
        return {m["name"]: m["metric"]["value"] for m in report["methods"] if m["name"] in FUSIONS}

    def loop() -> dict[str, float]:
        found = {}
        for fusion in FUSIONS:
            options = {**how, "set": [*how["set"], f"fusion.name={fusion}"]}
            fits = [plait.fit(source, "label", preset="single", seed=seed, **options) for seed in range(seeds)]
            found[fusion] = fmean(metric(fitted.report, "accuracy") for fitted in fits)
        return found

    own, peer = "Plait compare", "loop of plait.fit"
    plait.fit(source, "label", preset="single", **how)  # encodes; both sides then find all features
    turns = in_turns({own: ours, peer: loop}, 1 if asked.quick else max(2, asked.repeats // 2), warm=False)
    gaps = [abs(turns.results[own][fusion] - turns.results[peer][fusion]) for fusion in FUSIONS]
    setting = f"{len(FUSIONS)} fusions, {seeds} seeds, 3 epochs, {asked.threads} threads"
    note = "each fit of the loop makes a whole report, compare makes one"
    data = f"{rows} planted rows, pictures at 32 px"
    return [
        Measured(
            "compare", own, peer, data, setting, turns, {"largest difference of accuracy": max(gaps)}, None, [note]
        )
    ]
