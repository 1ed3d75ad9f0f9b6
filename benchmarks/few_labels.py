"""What few labels are worth: shares of a table's labels, supervised, augmented, and with the other rows unlabelled.

Rows are dealt anew for every seed, whole groups of them: 60 % to train, 20 % to choose by, and the last 20 %, which
choose nothing and of which the numbers are. Of the training rows a share keeps its label (of every class at least two
rows); the others become unlabelled rows of the semi-supervised options, whose targets only tell how right their
pseudo-labels are. Validation rows are as many at every share. Differences are paired by seed; the interval is that of
Student's t over the seeds.

"chosen" spends as many labels otherwise: a fifth on rows drawn at random, the others in four rounds on rows that
``suggest`` names after a fit on what is labelled so far.

One JSON line a run goes to the file of ``--kept``; a run that is there already is not made again, so that a script
that was stopped goes on. ``val`` is the score by which the network was chosen.
"""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

import plait
from ensemble import TABLES as MIXED
from measure import arguments, kept_or_made, metric, spread, table
from plait.data.table import Table, read_table
from training_choices import difference

SHARES = (1.0, 5.0, 10.0, 25.0, 100.0)  # per cent of the training rows that keep their label
FEWEST = 2  # labelled rows of every class, whatever the share
TABLES = ("posts", "stamps", "easy-vqa", "houses")
AUGMENTED = ["augment.views=4"]
COMM = ["pretrain.objective=comm"]
QUICK = ["train.baselines=false", "judge.missing_rows=0"]  # what is judged besides the score is not needed here
ALIGNED = ["pretrain.objective=align"]
USUAL = "usual"  # what Plait takes where unlabelled rows are given and no method is named
# Settings, and the method by which unlabelled rows teach (None: they are not given; "none": pretraining alone).
OPTIONS: dict[str, tuple[list[str], str | None]] = {
    "supervised": ([], None),
    "augmented": (AUGMENTED, None),
    "aligned first": (ALIGNED, "none"),
    "unlabelled": ([], USUAL),
    "all": ([*AUGMENTED, *ALIGNED], USUAL),
    "comm first": (COMM, "none"),
    "masked first": (["pretrain.objective=masked"], "none"),
    "comm first + self_training": (COMM, "self_training"),
    "augmented + comm first + self_training": ([*AUGMENTED, *COMM], "self_training"),
    "self_training": ([], "self_training"),
    "co_training": ([], "co_training"),
    "propagation": ([], "propagation"),
    "knn": ([], "knn"),
    "fixmatch": ([], "fixmatch"),
    "flexmatch": ([], "flexmatch"),
    "mean_teacher": ([], "mean_teacher"),
    "noisy_student": ([], "noisy_student"),
    "augmented + noisy_student": (AUGMENTED, "noisy_student"),
    "augmented + self_training": (AUGMENTED, "self_training"),
    "augmented + fixmatch": (AUGMENTED, "fixmatch"),
    "chosen": ([], None),
    "chosen + augmented + noisy_student": (AUGMENTED, "noisy_student"),
}
CHOSEN = "chosen"  # begins the options of which `suggest` names the rows that get a label
CHOOSINGS = 4  # rounds in which it does, behind as large a share drawn at random
FIRST = "supervised,augmented,unlabelled,aligned first,all"


def learning_rows(name: str, folder: Path) -> tuple[Table, dict[str, Any]]:
    """The rows of a table that are not its own test rows, and how it is fitted."""
    source, how = MIXED[name](folder)
    rows = source if isinstance(source, Table) else read_table(source)
    split = how.pop("split")
    return rows.take(np.flatnonzero([str(s) != "test" for s in rows.column(split)])), how


def dealt(rows: Table, how: dict[str, Any], seed: int, share: float) -> tuple[Table, Table | None]:
    """The labelled rows with their part in a column ``split``, and the rows that lose their label."""
    names = rows.column(how["group"]) if "group" in how else list(range(len(rows)))
    groups = np.unique(np.array([str(n) for n in names]), return_inverse=True)[1]
    rng = np.random.default_rng([seed, 21])
    place = (rng.permutation(groups.max() + 1) / (groups.max() + 1))[groups]
    train, val, test = (np.flatnonzero(w) for w in (place < 0.6, (place >= 0.6) & (place < 0.8), place >= 0.8))
    train = rng.permutation(train)
    targets = [rows.column(how["target"])[i] for i in train]
    kept = labelled_rows(targets, share, not any(isinstance(t, str) for t in targets))
    own = np.concatenate([train[kept], val, test])
    parts = ["train"] * len(kept) + ["val"] * len(val) + ["test"] * len(test)
    others = np.setdiff1d(train, train[kept])
    return rows.take(own).with_column("split", parts), rows.take(others) if len(others) else None


def chosen_rows(rows: Table, how: dict[str, Any], seed: int, share: float, preset: str) -> tuple[Table, Table]:
    """The parts of :func:`dealt` with as many labels, of which ``suggest`` named the rows."""
    wanted = [str(s) for s in dealt(rows, how, seed, share)[0].column("split")].count("train")
    own, others = dealt(rows, how, seed, share / (CHOOSINGS + 1))
    assert others is not None
    given = {k: v for k, v in how.items() if k not in ("target", "set", "transform")}
    for number in range(CHOOSINGS):
        is_train = np.array([str(s) == "train" for s in own.column("split")])
        step = round((wanted - is_train.sum()) / (CHOOSINGS - number))
        fitted = plait.fit(
            own, how["target"], split="split", preset=preset, seed=seed, set=[*how.get("set", []), *QUICK], **given
        )
        bare = Table(others.arrow.drop_columns([how["target"]]), others.root, others.source)
        found = fitted.suggest(bare, step, labelled=own.take(np.flatnonzero(is_train)), seed=seed)
        places = np.array(found.column("row" if "row" in found.column_names else "suggested_row").to_pylist())
        new = others.take(places).with_column("split", ["train"] * len(places))
        joined = pa.concat_tables([new.arrow.select(own.arrow.column_names).cast(own.arrow.schema), own.arrow])
        own = Table(joined, own.root, own.source)
        others = others.take(np.setdiff1d(np.arange(len(others)), places))
    return own, others


def labelled_rows(targets: list[Any], share: float, is_number: bool) -> np.ndarray:
    """Places of the rows that keep their label: the first ``share`` per cent, and of every class the first two.

    Example:
        >>> labelled_rows(list("aaaabaaaab"), 10.0, False).tolist()
        [0, 1, 4, 9]
    """
    wanted = set(range(max(10 if is_number else 1, round(len(targets) * share / 100.0))))
    if not is_number:
        seen: dict[Any, int] = {}
        for i, value in enumerate(targets):
            seen[value] = seen.get(value, 0) + 1
            if seen[value] <= FEWEST:
                wanted.add(i)
    return np.array(sorted(i for i in wanted if i < len(targets)), dtype=np.int64)


def one(rows: Table, how: dict[str, Any], option: str, seed: int, share: float, preset: str) -> dict[str, Any]:
    """One run: the score on rows that chose nothing, and what became of the unlabelled rows."""
    settings, method = OPTIONS[option]
    own, others = (
        chosen_rows(rows, how, seed, share, preset) if option.startswith(CHOSEN) else dealt(rows, how, seed, share)
    )
    semi = method if others is not None and method != USUAL else None
    given = {k: v for k, v in how.items() if k not in ("target", "set", "transform")}
    began = time.monotonic()
    report = plait.fit(
        own, how["target"], split="split", preset=preset, seed=seed, unlabelled=others if method else None,
        semi=semi, set=[*how.get("set", []), *QUICK, *settings], **given,
    ).report  # fmt: skip
    name = report["metric"]["name"]
    best = report["history"][report["best_epoch"] - 1]
    made = {
        "metric": name, "test": metric(report, name), "val": best.get(f"val_{name}"),
        "labelled": report["splits"]["train"],
        "unlabelled": 0 if others is None else len(others), "seconds": round(time.monotonic() - began, 1),
    }  # fmt: skip
    semi = report.get("unlabelled") or {}
    told = {k: semi[k] for k in ("kept", "rows", "pseudo_labelled", "threshold", "precision", "mae") if k in semi}
    return made | ({"semi": {**told, "scores": semi["guard"].get("scores")}} if semi else {})


def main() -> None:
    """Run and print."""
    given = arguments(
        __doc__ or "", data=".", seeds=5,
        options={"--only": ",".join(TABLES), "--options": FIRST, "--kept": "", "--preset": "single",
                 "--shares": ",".join(f"{s:g}" for s in SHARES)},
    )  # fmt: skip
    options = ["supervised", *(o for o in given.options.split(",") if o != "supervised")]
    for name in given.only.split(","):
        rows, how = learning_rows(name, given.data)
        body = []
        for share in map(float, given.shares.split(",")):
            found: dict[str, list[dict[str, Any]]] = {option: [] for option in options}
            for seed in range(given.seeds):
                for option in options:
                    run = {"table": name, "option": option, "share": share, "seed": seed, "preset": given.preset}
                    make = partial(one, rows, how, option, seed, share, given.preset)
                    found[option].append(kept_or_made(given.kept, run, make))
            base = [r["test"] for r in found["supervised"]]
            for option, runs in found.items():
                scores = [r["test"] for r in runs]
                kept = [r["semi"]["kept"] != "supervised" for r in runs if "semi" in r]
                gap = "" if option == "supervised" or len(runs) < 2 else difference(scores, base)
                body.append([
                    f"{share:g} %", str(runs[0]["labelled"]), option, spread(scores), gap,
                    f"{sum(kept)} of {len(kept)}" if kept else "",
                ])  # fmt: skip
        print(f"\n{name}, preset {given.preset}, {given.seeds} seeds; {runs[0]['metric']}\n")
        table(["labels", "rows", "option", "score (lowest to highest)", "against supervised", "kept"], body)


if __name__ == "__main__":
    main()
