"""Sentiment of social-media posts from text and photo: accuracy and macro-F1, each modality alone and fused."""

from __future__ import annotations

import plait
from measure import arguments, interval, metric, quiet, spread, table


def main() -> None:
    """Run and print."""
    given = arguments(__doc__ or "", data="posts-sentiment")
    reports = [
        plait.fit(given.data / "posts.csv", "sentiment", split="split", seed=seed, progress=quiet).report
        for seed in range(given.seeds)
    ]
    body = []
    for name in (None, *reports[0]["evaluation"]["alone"]):
        row = [f"{name} alone" if name else "text + image"]
        for wanted in ("accuracy", "f1_macro"):
            values = [r["evaluation"]["alone"][name][wanted]["value"] if name else metric(r, wanted) for r in reports]
            row += [spread(values), interval(reports[0], wanted, 3, name)]
        body.append(row)
    head = [f"mean of {given.seeds} seeds (range)", "seed 0 with 95% interval"]
    table(["inputs", f"accuracy, {head[0]}", head[1], f"macro-F1, {head[0]}", head[1]], body)
    print(f"\n- {reports[0]['verdict']}")


if __name__ == "__main__":
    main()
