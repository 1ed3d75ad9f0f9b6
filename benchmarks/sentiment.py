"""Sentiment of social-media posts: the default recipe against the sentiment recipe, plain and with ordered classes."""

from __future__ import annotations

import plait
from measure import arguments, metric, quiet, spread, table

VARIANTS = {
    "default": ("default", []),
    "default, classes ordered": ("default", ["task.ordinal=true"]),
    "default, text cleaned": ("default", ["encoders.text_cleaning=social"]),
    "default, classes weighed": ("default", ["task.class_weights=true", "task.select_by=f1_macro"]),
    "sentiment": ("sentiment", []),
    "sentiment, classes ordered": ("sentiment", ["task.ordinal=true"]),
}


def main() -> None:
    """Run and print."""
    given = arguments(__doc__ or "", data="posts-sentiment")
    body, classes = [], []
    for name, (recipe, changes) in VARIANTS.items():
        reports = [
            plait.fit(
                given.data / "posts.csv", "sentiment", split="split", seed=seed, recipe=recipe, progress=quiet,
                set=["train.baselines=false", *changes],
            ).report
            for seed in range(given.seeds)
        ]  # fmt: skip
        shown = [
            spread([metric(r, wanted) for r in reports]) for wanted in ("accuracy", "balanced_accuracy", "f1_macro")
        ]
        ordered = "task.ordinal=true" in changes
        shown += [spread([metric(r, wanted) for r in reports]) if ordered else "" for wanted in ORDERED]
        body.append([name, *shown])
        for row in reports[0]["evaluation"]["per_class"]:
            cells = [_with_interval(row[wanted]) for wanted in ("precision", "recall", "f1")]
            classes.append([name, row["label"], str(row["support"]), *cells])
    head = ["accuracy", "balanced accuracy", "macro-F1", "error in ranks", "quadratic kappa"]
    table(["recipe", *(f"{h}, mean of {given.seeds} seeds (range)" for h in head)], body)
    print()
    table(["recipe (seed 0)", "class", "rows", "precision", "recall", "F1"], classes)


ORDERED = ("rank_mae", "quadratic_kappa")


def _with_interval(entry: dict) -> str:
    if entry["value"] is None:
        return "none"
    return f"{entry['value']:.3f} [{entry['low']:.3f}, {entry['high']:.3f}]"


if __name__ == "__main__":
    main()
