"""Missing modalities: masked or with a learned absence, with and without modality dropout, on every pattern.

Houses with 0 to 4 photos missing, numbers there or not; posts with text or photo missing. Each way is trained on whole
rows, and on rows of which two in five modalities are missing at random; all are judged on the same whole test rows.
"""

from __future__ import annotations

import json
import os
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import plait
from measure import ROOT, arguments, quiet, spread, table
from plait.data.missingness import hide_at_random
from plait.data.table import Table, read_table
from plait.evaluate.intervals import metric_intervals
from plait.evaluate.label import classification_metrics, regression_metrics

PHOTOS = ("bathroom", "bedroom", "frontal", "kitchen")
NUMBERS = ("bedrooms", "bathrooms", "area", "zipcode")
WAYS = {
    "mask (default)": [],
    "learned absence": ["fusion.absence=learned"],
    "mask, no modality dropout": ["train.modality_dropout=0.0"],
    "learned, modality dropout 0.3": ["fusion.absence=learned", "train.modality_dropout=0.3"],
    "mask, modality dropout 0.3": ["train.modality_dropout=0.3"],
    "mask, 0.3, linear": ["train.modality_dropout=0.3", "train.modality_dropout_schedule=linear"],
}
HIDDEN_IN_TRAINING = 0.4


def houses_patterns() -> dict[str, list[tuple[str, ...]]]:
    """Name of a line -> the sets of columns that are left out for it; the score is the mean over them."""
    found = {}
    for numbers in (True, False):
        for missing in range(5 if numbers else 4):
            gone = [g + (() if numbers else NUMBERS) for g in combinations(PHOTOS, missing)]
            found[f"{'numbers' if numbers else 'no numbers'}, {missing} photos missing"] = gone
    return found


def posts_patterns() -> dict[str, list[tuple[str, ...]]]:
    """As for houses."""
    return {"text + photo": [()], "text alone": [("image",)], "photo alone": [("text",)]}


DATA: dict[str, dict[str, Any]] = {
    "posts-sentiment": {
        "file": "posts.csv", "target": "sentiment", "metric": "accuracy", "patterns": posts_patterns(),
        "groups": ["text", "image"], "kinds": {},
    },
    "houses": {
        "file": "houses.csv", "target": "price", "metric": "r2", "patterns": houses_patterns(),
        "groups": [*PHOTOS, NUMBERS], "kinds": {"categorical": "zipcode"},
    },
}  # fmt: skip


def without(rows: Table, columns: tuple[str, ...]) -> Table:
    """The table without whole columns."""
    return Table(rows.arrow.drop_columns(list(columns)), rows.root, rows.source)


def measure(fitted: plait.Plait, rows: Table, facts: dict[str, Any], seed: int) -> dict[str, dict[str, float | None]]:
    """The metric with its interval for every line: the mean over the sets of columns that are left out."""
    answers, measured = rows.column(facts["target"]), {}
    labels = fitted.labels.classes
    truth = np.array([labels.index(str(a)) for a in answers] if labels else answers)
    for line, sets in facts["patterns"].items():
        predicted = []
        for gone in sets:
            if labels:
                predicted.append(fitted.predict_proba(without(rows, gone)))
            else:
                predicted.append(np.array(fitted.predict(without(rows, gone)).column("prediction").to_pylist()))
        judge = classification_metrics if labels else regression_metrics

        def mean(chosen: np.ndarray, predicted: list[np.ndarray] = predicted) -> dict[str, float]:
            return {"mean": float(np.mean([judge(truth[chosen], p[chosen])[facts["metric"]] for p in predicted]))}

        measured[line] = metric_intervals(mean, len(truth), resamples=500, seed=seed)["mean"]
    return measured


def main() -> None:
    """Run and print."""
    given = arguments(__doc__ or "", data=None)
    base = Path(os.environ.get("PLAIT_TEST_DATA", ROOT / ".." / "shared" / "data"))
    for name, facts in DATA.items():
        rows = read_table(base / name / facts["file"])
        split = rows.column("split")
        test = rows.take([i for i, s in enumerate(split) if s == "test"])
        learned_on = [i for i, s in enumerate(split) if s != "test"]
        for hidden in (0.0, HIDDEN_IN_TRAINING):
            print(f"\n## {name}, {facts['metric']}, {hidden:.0%} of modalities missing in training and validation rows")
            columns: dict[str, list[Any]] = {}
            for way, settings in WAYS.items():
                for seed in range(given.seeds):
                    rates = dict.fromkeys(facts["groups"], hidden)
                    source, _ = hide_at_random(rows, rates, seed=seed, rows=learned_on, keep_one=True)
                    fitted = plait.fit(
                        source,
                        facts["target"],
                        split="split",
                        seed=seed,
                        progress=quiet,
                        set=settings,
                        **facts["kinds"],
                    )
                    curve = fitted.report["evaluation"]["missing"]["curve"]
                    found = measure(fitted, test, facts, seed)
                    found |= {k: {"value": curve[k]} for k in ("relative_robustness", "effective_robustness")}
                    columns.setdefault(way, []).append(found)
                    print(json.dumps({"way": way, "seed": seed, "found": found}), flush=True)
            lines = []
            for line in columns["mask (default)"][0]:
                cells = []
                for found in columns.values():
                    values = [f[line]["value"] for f in found]
                    first = found[0][line]
                    low = f"; seed 0 [{first['low']:.3f}, {first['high']:.3f}]" if first.get("low") is not None else ""
                    cells.append("undefined" if None in values else spread(values) + low)
                lines.append([line, *cells])
            table([f"what is there (mean of {given.seeds} seeds, range)", *columns], lines)


if __name__ == "__main__":
    main()
