"""What augmentation is worth at 10 % and 100 % of the labels, by frozen encoders, on rows that choose nothing.

Rows are dealt as in ``training_choices.py`` (60 % train, 20 % choose the epoch, 20 % are judged); of the training rows
a share keeps its labels, the others are left out. Each option is paired with the default by seed: same rows, same
initial weights. Views are encoded once for all seeds.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import Any

import numpy as np

from measure import arguments, kept_or_made, quiet, table
from plait.api.preparing import words_of_target
from plait.data.table import read_table
from plait.inputs.views import add_views
from plait.settings import RunSettings, set_values
from plait.training import Plan
from training_choices import TABLES, dealt, difference, one, prepared, with_options

OPTIONS: dict[str, list[str]] = {
    "default": [],
    "views": ["augment.views=4"],
    "views, half strength": ["augment.views=4", "augment.strength=0.5"],
    "mirrored only": ["augment.views=4", "augment.image=flip", "augment.text=0", "augment.numbers=0"],
    "mixup": ["train.mixup=0.2"],
    "views + mixup": ["augment.views=4", "augment.strength=0.5", "train.mixup=0.2"],
}


def with_views(plan: Plan, values: list[Any], assignments: list[str]) -> Plan:
    """The plan with views of all rows that may train; none where the options ask for none."""
    settings = set_values(RunSettings(), assignments)
    rows = np.sort(np.concatenate([plan.train, plan.val]))
    assert plan.settings.train.epochs is not None
    views = add_views(
        plan.inputs, plan.prepared, rows, lambda row: words_of_target(values[row]), settings.augment, seed=0,
        epochs=plan.settings.train.epochs, max_seconds=plan.settings.encoders.audio_seconds, progress=quiet,
    )  # fmt: skip
    return replace(plan, views=views)


def fewer(plan: Plan, share: float, seed: int) -> Plan:
    """The plan with a share of its training rows, every class kept."""
    if share >= 1:
        return plan
    order = np.random.default_rng([seed, 16]).permutation(plan.train)
    kept = order[: max(2, round(share * len(order)))]
    if plan.task.output_kind == "classes":
        first = [next(row for row in order if plan.target[row] == c) for c in np.unique(plan.target[plan.train])]
        kept = np.concatenate([first, kept])
    return replace(plan, train=np.unique(kept))


def main() -> None:
    """Run and print."""
    given = arguments(
        __doc__ or "", data=".", seeds=5,
        options={"--only": "posts,houses,stamps,easy-vqa", "--options": ",".join(OPTIONS), "--shares": "0.1,1",
                 "--kept": ""},
    )  # fmt: skip
    chosen = ["default", *(o for o in given.options.split(",") if o in OPTIONS and o != "default")]
    for name in given.only.split(","):
        source, how = TABLES[name](given.data)
        values = read_table(source).column(how["target"])
        plans = {option: with_views(prepared(name, given.data).plan, values, OPTIONS[option]) for option in chosen}
        for share in map(float, given.shares.split(",")):
            found: dict[str, list[dict[str, float]]] = {option: [] for option in chosen}
            for seed in range(given.seeds):
                for option in chosen:
                    part, judged = dealt(plans[option], seed)
                    asked = [o for o in OPTIONS[option] if o.startswith("train.")]
                    part = with_options(fewer(part, share, seed), asked)
                    run = {"table": name, "share": share, "option": option, "seed": seed}
                    found[option].append(
                        kept_or_made(given.kept, run, lambda part=part, judged=judged: one(part, judged))
                    )
            _show(name, share, plans["default"], found)


def _show(name: str, share: float, plan: Plan, found: dict[str, list[dict[str, float]]]) -> None:
    """One table: each option beside the default."""
    loss = "rmse / std" if plan.task.output_kind == "number" else "log loss"
    print(f"\n{name}, {share:.0%} of the labels, {len(found['default'])} seeds\n")
    base, body = found["default"], []
    for option, runs in found.items():
        cells = [f"{np.mean([r[k] for r in runs]):.3f}" for k in ("metric", "loss")]
        gaps = [
            "" if option == "default" else difference([r[k] for r in runs], [b[k] for b in base])
            for k in ("metric", "loss")
        ]
        body.append([option, cells[0], gaps[0], cells[1], gaps[1]])
    table(["option", plan.task.primary, "difference", loss, "difference"], body)
    print(json.dumps({"table": name, "share": share}), file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
