"""Price of a house from four photos and its numbers: numbers alone, photos alone, all five modalities."""

from __future__ import annotations

import plait
from measure import arguments, interval, metric, quiet, spread, table

PHOTOS = ("bathroom", "bedroom", "frontal", "kitchen")
NUMBERS = ("bedrooms", "bathrooms", "area", "zipcode")
RUNS = {"numbers alone": PHOTOS, "four photos alone": NUMBERS, "photos + numbers": ()}


def main() -> None:
    """Run and print."""
    given = arguments(__doc__ or "", data="houses")
    body = []
    for name, ignored in RUNS.items():
        reports = [
            plait.fit(
                given.data / "houses.csv", "price", split="split", ignore=ignored,
                categorical=[] if "zipcode" in ignored else "zipcode",
                seed=seed, progress=quiet, set=["train.baselines=false"],
            ).report
            for seed in range(given.seeds)
        ]  # fmt: skip
        body.append(
            [
                name, spread([metric(r, "r2") for r in reports]), interval(reports[0], "r2"),
                spread([metric(r, "mae") for r in reports], 0), interval(reports[0], "mae", 0),
            ]
        )  # fmt: skip
    head = [f"mean of {given.seeds} seeds (range)", "seed 0 with 95% interval"]
    table(["inputs", f"R2, {head[0]}", head[1], f"MAE in dollars, {head[0]}", head[1]], body)


if __name__ == "__main__":
    main()
