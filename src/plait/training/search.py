"""Hyperparameter search by successive halving (Jamieson and Talwalkar 2016) on stored features.

Tries are drawn once with the run's seed; the first is the given settings. A rung trains each of its tries anew with its
share of the epochs, and one in ``eta`` goes on to the next rung, which trains ``eta`` times longer. Validation rows of
the plan choose; test rows are not part of a plan. Every finished training lies as JSON in a folder, so a search that
was stopped goes on where it stood and ends as it would have. What the user set is the same in every try.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from plait.data.progress import Progress
from plait.files import write_text
from plait.fusion import FUSIONS
from plait.objectives import check_objectives, chosen_objectives
from plait.settings import NO_PRETRAINING, RunSettings, merge_values, to_dict
from plait.training.fit import fit_model
from plait.training.plan import Plan

DRAWS = 200  # for each try, until one is new
RATES, WIDTHS = (1 / 3, 1.0, 3.0), (0.5, 1.0, 2.0)
DROPOUTS = (0.0, 0.1, 0.3, 0.5)
OBJECTIVES: tuple[dict[str, float], ...] = (
    {}, {}, {"train.modality_dropout": 0.2}, {"train.auxiliary": 0.3}, {"train.alignment": 0.1}, {"train.ogm": 0.5},
)  # fmt: skip


def draw_tries(plan: Plan, asked: RunSettings) -> list[dict[str, Any]]:
    """Changes to the plan's settings, by path: none for the first try; each differs from the others.

    Args:
        plan: Its settings say how many tries, and what is varied.
        asked: Settings as the user gave them; what is set there is not varied.

    Raises:
        ValueError: An unknown fusion.
    """
    rng = np.random.default_rng(plan.settings.train.seed)
    wanted, found = plan.settings.search.tries, [dict[str, Any]()]
    assert wanted is not None
    space = _space(plan, asked)
    for _ in range(DRAWS * wanted):
        if len(found) >= wanted:
            break
        drawn = {path: values[int(rng.integers(len(values)))] for path, values in space.items()}
        drawn |= drawn.pop("objective", {})
        drawn = {path: value for path, value in drawn.items() if value != _value(plan.settings, path)}
        if drawn not in found:
            found.append(drawn)
    return found[:wanted]


def _space(plan: Plan, asked: RunSettings) -> dict[str, list[Any]]:
    """By path the values that are drawn from."""
    settings, several = plan.settings, len(plan.inputs.modalities) > 1
    rate, width = settings.train.learning_rate, settings.fusion.width
    assert rate is not None and width is not None
    space: dict[str, list[Any]] = {
        "train.learning_rate": [float(f"{rate * f:.3g}") for f in RATES],
        "fusion.width": [max(8, int(width * f) // 8 * 8) for f in WIDTHS],
        "fusion.dropout": list(DROPOUTS),
    }
    space = {path: values for path, values in space.items() if _value(asked, path) is None}
    if several and (asked.fusion.name is None or settings.search.fusions):
        space["fusion.name"] = _fusions(plan)
    if several:
        objectives = [o for o in OBJECTIVES if all(_value(asked, path) is None for path in o)]
        space["objective"] = objectives
    return space


def _fusions(plan: Plan) -> list[str]:
    """Those of the settings, or the given one and all that read no more than one vector a modality."""
    if plan.settings.search.fusions:
        named = list(plan.settings.search.fusions)
        needy = [n for n in named if FUSIONS.get(n).info.needs_tokens and not plan.inputs.with_tokens]
        if needy:
            raise ValueError(
                f"search.fusions names {', '.join(needy)}, which need tokens that are not stored for "
                f"{plan.settings.fusion.name}; choose one that needs them with fusion={needy[0]}, or leave them out"
            )
        return named
    suited = [n for n in FUSIONS.own_names() if not FUSIONS.get(n).info.needs_tokens and not FUSIONS.get(n).is_late]
    return sorted({*suited, str(plan.settings.fusion.name)})


def _value(settings: RunSettings, path: str) -> Any:
    group, _, name = path.partition(".")
    return getattr(getattr(settings, group), name)


def tried_settings(settings: RunSettings, changes: Mapping[str, Any]) -> RunSettings:
    """The settings of a try; another fusion has its own options, and the label head; no try is pretrained."""
    changes = dict(changes)
    settings = replace(settings, pretrain=replace(settings.pretrain, objective=NO_PRETRAINING))
    if changes.get("fusion.name", settings.fusion.name) != settings.fusion.name:
        settings = replace(settings, fusion=replace(settings.fusion, options={}))
    return merge_values(settings, changes)


def search(
    plan: Plan, asked: RunSettings, folder: Path, *, seconds_an_epoch: float = 0.0, progress: Progress | None = None
) -> list[dict[str, Any]]:
    """Run the search.

    Args:
        plan: What is trained on what; its settings say how many tries, and ``eta``.
        asked: Settings as the user gave them.
        folder: Where finished trainings are kept as JSON, and found again.
        seconds_an_epoch: What an epoch takes, for the time limit, until a try has shown it.
        progress: Called with (done, total, what).

    Returns:
        A record of each try, in the order drawn: ``number``, ``settings`` (what differs from the given ones),
        ``validation`` of the last rung it trained in (None where there is none, and then a ``reason``), ``rungs``
        (``epochs``, ``validation`` and ``seconds`` of each), ``seconds``, and ``cut``: the number of the rung after
        which it did not go on, from 1; None for those that trained in full.
    """
    epochs, eta = plan.settings.train.epochs, plan.settings.search.eta
    assert epochs is not None
    records = [
        {"number": n, "settings": changes, "validation": None, "rungs": [], "seconds": 0.0, "cut": None}
        for n, changes in enumerate(draw_tries(plan, asked))
    ]
    last = int(math.log(len(records)) / math.log(eta) + 1e-9)
    going: list[dict[str, Any]] = records
    for rung in range(last + 1):
        length = max(1, math.ceil(epochs / eta ** (last - rung)))
        fits = plan.deadline.room_for(f"tries of rung {rung + 1}", seconds_an_epoch * length, len(going), share=0.5)
        for record in going[fits:]:
            record["reason"] = record.get("reason") or "no time was left"
        begun = going[:fits]
        for at, record in enumerate(begun):
            if progress is not None:
                progress(at, len(begun), f"searching, rung {rung + 1} of {last + 1}, {length} epochs")
            _train(plan, record, length, folder)
            if plan.deadline.limit is not None and record["rungs"]:
                seconds_an_epoch = max(seconds_an_epoch, record["rungs"][-1]["seconds"] / length)
        ranked = sorted((r for r in begun if len(r["rungs"]) == rung + 1), key=lambda r: -r["rungs"][-1]["validation"])
        kept = ranked[: max(1, len(going) // eta)] if rung < last else ranked
        for record in records:
            if record["cut"] is None and not any(record is k for k in kept):
                record["cut"] = rung + 1
        going = kept
        if not going:
            break
    return records


def best_tries(plan: Plan, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The best ``search.keep`` tries: the further one came the better, then the better on validation rows.

    The first is left out, as it is the network of the given settings, which is trained anyway.
    """
    known = [r for r in records if r["validation"] is not None and r["number"] > 0]
    known.sort(key=lambda r: (-len(r["rungs"]), -r["validation"], r["number"]))
    return known[: plan.settings.search.keep]


def _train(plan: Plan, record: dict[str, Any], epochs: int, folder: Path) -> None:
    """Train a try with so many epochs, or take up what is known of it; the record is completed in place."""
    try:
        settings = tried_settings(plan.settings, record["settings"])
        settings = replace(settings, train=replace(settings.train, epochs=epochs, log_to=()))
        path = folder / f"try-{record['number']:03d}-{epochs:03d}.json"
        key = hashlib.sha256(json.dumps(to_dict(settings), sort_keys=True).encode()).hexdigest()[:24]
        found = _known(path, key)
        if found is None:
            found = {"key": key, **_trained(replace(plan, settings=settings), epochs, folder / "network")}
            folder.mkdir(parents=True, exist_ok=True)
            write_text(path, json.dumps(found, allow_nan=False))
    except (ValueError, NotImplementedError, RuntimeError) as error:  # a fault of one try is told and ends that try
        record |= {"reason": str(error)}
        return
    record["rungs"].append({k: found[k] for k in ("epochs", "validation", "seconds")})
    record["validation"] = found["validation"]
    record["seconds"] = round(record["seconds"] + found["seconds"], 2)


def _known(path: Path, key: str) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found if found["key"] == key and found["validation"] is not None else None
    except (ValueError, KeyError, TypeError):
        return None  # half a file: the try is trained again


def _trained(plan: Plan, epochs: int, folder: Path) -> dict[str, Any]:
    names = [m.name for m in plan.inputs.modalities]
    check_objectives(
        chosen_objectives(plan.settings.train, pair_head=plan.settings.task.head == "pair"), task=plan.task,
        num_modalities=len(names), num_validation=len(plan.val),
    )  # fmt: skip
    _, history = fit_model(plan, names, folder, checkpoints=False)
    if history.best_score is None:
        raise ValueError("the validation score is undefined on these validation rows")
    return {"epochs": epochs, "validation": history.best_score, "seconds": round(history.seconds, 2)}
