"""Cross-modal retrieval on Wikipedia articles by Plait's own towers: mAP beside CCA's and the published one.

Image: 128 counts of visual words; text: 10 topic shares; 2,173 articles to learn from (one in five chooses the epoch),
693 to search, 10 categories. A hit is right when it is of the query's category, but what is learned from is which image
stands with which text. The last way is told the categories while it learns, so it is no rival of the others. Which way
is best is to be read off the validation articles.

Reference: Rasiwasia et al. 2010 (A new approach to cross-modal multimedia retrieval), table 1: 0.249 and 0.196 by CCA.
"""

from __future__ import annotations

import json
import time

import numpy as np

import plait
from measure import arguments, quiet, spread, table
from plait.data.split import carve_validation
from plait.metrics.intervals import bootstrap_interval
from plait.metrics.ranking import embedding_query_metrics

CCA = {"image to text": (0.249, 0.243), "text to image": (0.196, 0.197)}
WAYS = {
    "default": [],
    "without correction for hubs": ["task.hubs=false"],
    "roots of the counts, both sides": ["task.hubs=false"],
    "default, told the categories": ["task.positives=group"],
}


def precisions(fitted: plait.Plait, rows: dict[str, list]) -> list[np.ndarray]:
    """Average precision of every query: images asking for texts, texts asking for images."""
    image, text = (fitted.embed(rows, side)[0] for side in ("image", "text"))
    classes = rows["category"]
    return [
        embedding_query_metrics(a, b, classes, classes)["average_precision"] for a, b in ((image, text), (text, image))
    ]


def main() -> None:
    """Run and print."""
    given = arguments(__doc__ or "", data="published/wiki_rasiwasia2010.npz", seeds=5)
    with np.load(given.data, allow_pickle=False) as parts:
        image, text, category = (np.concatenate([parts[f"{n}_tr"], parts[f"{n}_te"]]) for n in ("I", "T", "y"))
        split = ["train"] * len(parts["y_tr"]) + ["test"] * len(parts["y_te"])
    split = np.array(carve_validation(split, target=category.tolist(), fraction=0.2, seed=0))
    body = []
    for name, settings in WAYS.items():
        sides = [np.sqrt(np.maximum(v, 0)) if name.startswith("roots") else v for v in (image, text)]
        rows = {
            part: {"image": list(sides[0][s]), "text": list(sides[1][s]), "category": [f"c{c}" for c in category[s]]}
            for part, s in (("all", slice(None)), ("val", split == "val"), ("test", split == "test"))
        }
        told = name.endswith("categories")
        found, judged, seconds = [], [], []
        for seed in range(given.seeds):
            started = time.monotonic()
            fitted = plait.fit(
                {**rows["all"], "split": list(split)}, task="retrieval", vector=["image", "text"], split="split",
                group="category" if told else None, ignore=[] if told else "category", seed=seed, progress=quiet,
                set=settings,
            )  # fmt: skip
            seconds.append(time.monotonic() - started)
            judged.append(float(np.mean([side.mean() for side in precisions(fitted, rows["val"])])))
            found.append(precisions(fitted, rows["test"]))
            shown = [round(float(side.mean()), 4) for side in found[-1]]
            print(
                json.dumps({"way": name, "seed": seed, "val": judged[-1], "map": shown, "s": seconds[-1]}), flush=True
            )
        cells = []
        for side in range(2):
            low, high = bootstrap_interval(found[0][side], len(found[0][side]))
            cells += [
                spread([float(f[side].mean()) for f in found]),
                f"{found[0][side].mean():.3f} [{low:.3f}, {high:.3f}]",
            ]
        body.append([name, spread(judged), *cells, f"{np.median(seconds):.0f}"])
    print()
    head = ["way", "validation, both sides"]
    for side, (published, ours) in CCA.items():
        head += [
            f"mAP {side}, mean of {given.seeds} seeds (CCA {ours:.3f}, published {published:.3f})",
            "seed 0 with 95% interval",
        ]
    table([*head, "s a run"], body)


if __name__ == "__main__":
    main()
