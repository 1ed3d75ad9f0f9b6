"""Active learning against random draws: how many labels each strategy needs for the same score.

Beginning with a few random rows, a model is fitted, ``suggest`` names the next ones of the pool, their labels are
looked up, and so on for five rounds; validation and test rows stay the same throughout (validation rows have labels
too, which are not counted). Under a seed every strategy begins with the same rows. "Saved" is the share of labels that
a strategy needs less than random draws to reach the score which these have after the last round, by straight lines
between rounds; -0.5 where it does not reach it.
"""

from __future__ import annotations

import statistics
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import numpy as np

import plait
from measure import arguments, kept_or_made, metric, table
from plait.data.catalog.datasets import fetch_dataset
from plait.data.table import Table, read_table

ROUNDS = 5
CHEAP = ["train.baselines=false", "judge.missing_rows=0", "train.threads=1", "data.on_bad_row=missing"]
T_975 = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57, 7: 2.45, 8: 2.36, 9: 2.31, 10: 2.26}  # by number of seeds
TABLES: dict[str, dict[str, Any]] = {
    "posts": {"target": "sentiment", "start": 60, "step": 60, "val": 100, "test": 300, "options": {}},
    "easy-vqa": {
        "target": "answer", "start": 150, "step": 150, "val": 150, "test": 600, "options": {"group": "image_id"},
    },
    "stamps": {
        "target": "category", "start": 48, "step": 48, "val": 100, "test": 200,
        "options": {"text": ["text_en"], "image": "image", "ignore": ["text_fr", "text_zh_CN", "audio", "sound"]},
    },
}  # fmt: skip


def rows_of(name: str, given: Any) -> Table:
    """All rows of a table."""
    if name == "posts":
        return read_table(given.data / "posts-sentiment" / "posts.csv")
    if name == "easy-vqa":
        return read_table(fetch_dataset("easy-vqa", Path(gettempdir()) / "plait-easy-vqa"))
    from tuxpaint_data import tuxpaint_table

    return read_table(tuxpaint_table(Path(gettempdir()) / "plait-stamps", ("fr", "en", "zh_CN")))


def dealt(rows: Table, plan: dict[str, Any], seed: int, pool: int) -> dict[str, np.ndarray]:
    """Test, validation and pool rows, whole groups of them, by seed."""
    rng = np.random.default_rng([seed, 7])
    group = plan["options"].get("group")
    values = np.array(list(range(len(rows))) if group is None else [str(v) for v in rows.column(group)], dtype=object)
    order = {g: i for i, g in enumerate(rng.permutation(np.unique(values.astype(str))))}
    by_group = np.argsort([order[str(v)] for v in values], kind="stable")
    test, val = plan["test"], plan["val"]
    return {
        "test": by_group[:test], "val": by_group[test : test + val],
        "pool": rng.permutation(by_group[test + val :])[:pool],
    }  # fmt: skip


def scores_of(rows: Table, plan: dict[str, Any], strategy: str, seed: int, pool: int, preset: str) -> dict[str, Any]:
    """Scores after each round."""
    parts, target = dealt(rows, plan, seed, pool), plan["target"]
    labelled, left = list(parts["pool"][: plan["start"]]), list(parts["pool"][plan["start"] :])
    scores, losses = [], []
    for number in range(ROUNDS + 1):
        chosen = np.concatenate([labelled, parts["val"], parts["test"]]).astype(int)
        names = ["train"] * len(labelled) + ["val"] * len(parts["val"]) + ["test"] * len(parts["test"])
        fitted = plait.fit(
            rows.take(chosen).with_column("split", names), target, split="split", seed=seed, preset=preset,
            set=CHEAP, **plan["options"],
        )  # fmt: skip
        scores.append(metric(fitted.report, "accuracy"))
        losses.append(metric(fitted.report, "log_loss"))
        if number < ROUNDS:
            places = np.array(left)
            bare = rows.take(places)
            index = bare.arrow.column_names.index(target)
            bare = Table(bare.arrow.remove_column(index), bare.root, bare.source)
            found = fitted.suggest(bare, plan["step"], strategy=strategy, labelled=rows.take(labelled), seed=seed)
            name = "row" if "row" in found.column_names else "suggested_row"
            new = places[found.column(name).to_pylist()].tolist()
            labelled += new
            left = [p for p in left if p not in set(new)]
    return {"accuracy": scores, "log_loss": losses, "labels": len(labelled)}


def _kept(given: Any, rows: Table, name: str, strategy: str, seed: int) -> dict[str, Any]:
    """A run that is kept already, or made now."""
    known = {"table": name, "strategy": strategy, "seed": seed, "preset": given.preset}
    return kept_or_made(
        given.kept, known, lambda: scores_of(rows, TABLES[name], strategy, seed, int(given.pool), given.preset)
    )


def saved(counts: np.ndarray, curve: list[float], drawn: list[float]) -> float:
    """Share of labels saved to reach what random draws reach at the end, as in the module; at least -0.5."""
    goal = drawn[-1]
    best = np.maximum.accumulate(curve)
    if best[-1] < goal:
        return -0.5
    place = int(np.argmax(best >= goal))
    if place == 0:
        return 1.0 - counts[0] / counts[-1]
    low, high = best[place - 1], best[place]
    needed = counts[place - 1] + (counts[place] - counts[place - 1]) * (goal - low) / (high - low)
    return float(1.0 - needed / counts[-1])


def with_interval(values: list[float], digits: int = 3) -> str:
    """Mean with its 95% interval over seeds (Student's t)."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return f"{mean:.{digits}f}"
    half = T_975.get(len(values), 2.0) * statistics.stdev(values) / len(values) ** 0.5
    return f"{mean:.{digits}f} [{mean - half:.{digits}f}, {mean + half:.{digits}f}]"


def main() -> None:
    """Run and print."""
    given = arguments(__doc__ or "", data="", options={
        "--tables": "posts", "--strategies": "random,margin,mixed", "--pool": "1000", "--kept": "", "--preset": "fast",
    })  # fmt: skip
    for name in given.tables.split(","):
        rows, plan = rows_of(name, given), TABLES[name]
        counts = plan["start"] + plan["step"] * np.arange(ROUNDS + 1)
        body, curves = [], {}
        for strategy in given.strategies.split(","):
            made = [_kept(given, rows, name, strategy, seed) for seed in range(given.seeds)]
            curves[strategy] = [m["accuracy"] for m in made]
            drawn = curves["random"]
            gaps = [float(np.mean(c[1:]) - np.mean(d[1:])) for c, d in zip(curves[strategy], drawn, strict=True)]
            shares = [saved(counts, c, d) for c, d in zip(curves[strategy], drawn, strict=True)]
            middle, last = ([c[i] for c in curves[strategy]] for i in (ROUNDS // 2, ROUNDS))
            body.append([
                strategy, with_interval(middle), with_interval(last), with_interval(gaps), with_interval(shares, 2),
            ])  # fmt: skip
        head = [
            f"{name}", f"accuracy, {counts[ROUNDS // 2]} labels", f"accuracy, {counts[-1]} labels",
            "mean gain over random, rounds 1 to 5", "labels saved",
        ]  # fmt: skip
        table(head, body)


if __name__ == "__main__":
    main()
