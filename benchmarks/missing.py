"""Missing modalities: masked or with a learned absence, with and without modality dropout, on every pattern.

Houses with 0 to 4 photos missing, numbers there or not; posts with text or photo missing. Each way is trained on whole
rows, and on rows of which two in five modalities are missing at random; all are judged on the same whole test rows.
"""

from __future__ import annotations

import argparse
import json
import os
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

import plait
from measure import ROOT, quiet, spread, table
from plait.data.missingness import hide_at_random
from plait.data.table import Table, read_table
from plait.metrics.intervals import metric_intervals
from plait.metrics.label import classification_metrics, regression_metrics
from plait.metrics.robustness import effective_robustness

PHOTOS = ("bathroom", "bedroom", "frontal", "kitchen")
NUMBERS = ("bedrooms", "bathrooms", "area", "zipcode")
WAYS = {
    "three in ten rows cut to subsets": ["train.modality_dropout=0.3", "train.modality_dropout_pattern=subset"],
    "hidden independently, 0.1": ["train.modality_dropout=0.1", "train.modality_dropout_pattern=independent"],
    "no modality dropout": ["train.modality_dropout=0.0"],
    "learned absence, modality dropout by default": ["fusion.absence=learned"],
}


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
    judge = classification_metrics if labels else regression_metrics
    for line, sets in facts["patterns"].items():
        predicted = []
        for gone in sets:
            if labels:
                predicted.append(fitted.predict_proba(without(rows, gone)))
            else:
                predicted.append(np.array(fitted.predict(without(rows, gone)).column("prediction").to_pylist()))

        def mean(chosen: np.ndarray, predicted: list[np.ndarray] = predicted) -> dict[str, float]:
            return {"mean": float(np.mean([judge(truth[chosen], p[chosen])[facts["metric"]] for p in predicted]))}

        measured[line] = metric_intervals(mean, len(truth), resamples=500, seed=seed)["mean"]
    return measured


def run(name: str, hidden: float, seeds: int) -> None:
    """Train and judge every way on one data set, and print a table; each finding is printed as it is made."""
    facts = DATA[name]
    base = Path(os.environ.get("PLAIT_TEST_DATA", ROOT / ".." / "shared" / "data"))
    rows = read_table(base / name / facts["file"])
    split = rows.column("split")
    test = rows.take([i for i, s in enumerate(split) if s == "test"])
    learned_on = [i for i, s in enumerate(split) if s != "test"]
    columns: dict[str, list[Any]] = {way: [] for way in WAYS}
    for seed in range(seeds):
        rates = dict.fromkeys(facts["groups"], hidden)
        source, _ = hide_at_random(rows, rates, seed=seed, rows=learned_on, keep_one=True)
        late: list[float] = []  # the models of one modality alone are the same whatever the way
        for way, settings in WAYS.items():
            fitted = plait.fit(
                source, facts["target"], split="split", seed=seed, progress=quiet,
                set=[*settings, f"train.baselines={'false' if late else 'true'}"], **facts["kinds"],
            )  # fmt: skip
            curve = fitted.report["evaluation"]["missing"]["curve"]
            late = late or curve["late"]
            found = measure(fitted, test, facts, seed)
            found["relative robustness"] = {"value": curve["relative_robustness"]}
            found["effective robustness"] = {"value": effective_robustness(curve["levels"], curve["scores"], late)}
            columns[way].append(found)
            print(json.dumps({"data": name, "hidden": hidden, "way": way, "seed": seed, "found": found}), flush=True)
    lines = []
    for line in columns[next(iter(WAYS))][0]:
        cells = []
        for several in columns.values():
            values, first = [f[line]["value"] for f in several], several[0][line]
            low = f"; seed 0 [{first['low']:.3f}, {first['high']:.3f}]" if first.get("low") is not None else ""
            cells.append("undefined" if None in values else spread(values) + low)
        lines.append([line, *cells])
    print(f"\n{name}, {facts['metric']}; {hidden:.0%} of modalities missing in training and validation rows\n")
    table([f"what is there (mean of {seeds} seeds, range)", *columns], lines)


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=list(DATA), help="one data set")
    parser.add_argument("--hidden", type=float, nargs="*", default=[0.0, 0.4], help="shares missing in training")
    parser.add_argument("--ways", type=int, default=len(WAYS), help="how many ways, from the first")
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args()
    for way in list(WAYS)[given.ways :]:
        del WAYS[way]
    for name in [given.only] if given.only else DATA:
        for hidden in given.hidden:
            run(name, hidden, given.seeds)


if __name__ == "__main__":
    main()
