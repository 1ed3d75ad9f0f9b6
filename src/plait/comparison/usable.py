"""How to train a line of the comparison for use: the command line of ``plait fit``, and the same as arguments.

What the user asked of the comparison and the chosen configuration come in; options of ``plait.fit`` go out. All that
the comparison itself decided is spelled out (fusion, head, width, dropout, learning rate, epochs, no early stopping),
since a recipe would choose otherwise; the rest the recipe fills in as it did for the comparison.
"""

from __future__ import annotations

import inspect
import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from plait.comparison.method_outcome import Outcome
from plait.comparison.plan import Configuration, Method, objective_settings
from plait.data.modality import Modality
from plait.fusion import FUSIONS
from plait.settings import COLUMN_LISTS, SINGLE_OPTIONS, RunSettings, to_dict
from plait.tasks import TASKS

PLAIN = re.compile(r"[A-Za-z]([\w./:-]*\w)?")


@dataclass(frozen=True)
class Asked:
    """What the comparison was asked, as far as a fit must be asked the same.

    Attributes:
        table: The table as it was given.
        settings: Settings as the user gave them.
        resolved: The same with every None filled, and the budget every run got.
        modalities: Those of the table.
        target: Column to predict where it must be named; None where the source tells it.
        task: Name of the task.
        annotations: Folder of COCO annotations, or None.
    """

    table: Any
    settings: RunSettings
    resolved: RunSettings
    modalities: tuple[Modality, ...]
    target: str | None
    task: str
    annotations: str | None = None


def how_to_fit(asked: Asked, method: Method, configuration: Configuration | None) -> dict[str, Any] | None:
    """``command`` and ``options``, the arguments of ``plait.fit`` beside the table; None where one fit cannot train it.

    No fit trains the mean of single modalities, nor one modality alone for a task that joins two.
    """
    wanted = TASKS.get(asked.task).modalities
    if configuration is None or not method.fusion or wanted not in (None, len(method.modalities)):
        return None
    data = to_dict(asked.settings.data)
    others = [c for m in asked.modalities if m.name not in method.modalities for c in m.columns]
    options: dict[str, Any] = {n: data[n] for n in SINGLE_OPTIONS}
    options |= {n: [c for c in data[n] if c not in others] for n in COLUMN_LISTS}
    options["ignore"] = [*options["ignore"], *others]
    if options["on_bad_row"] == RunSettings().data.on_bad_row:
        options["on_bad_row"] = None
    for allowed in ("allow_outside", "allow_remote"):
        options[allowed] = options[allowed] or None
    options["target"] = options["target"] or asked.target
    options |= {
        "annotations": asked.annotations, "task": asked.task,
        "recipe": None if asked.settings.recipe == RunSettings().recipe else asked.settings.recipe,
        "fusion": method.fusion, "epochs": asked.resolved.train.epochs,
        "set": _assignments(asked, method, configuration),
    }  # fmt: skip
    options = {k: v for k, v in options.items() if v is not None and v != []}
    return {"command": command_line(asked.table, options), "options": options}


def command_line(table: Any, options: dict[str, Any]) -> str:
    """The command that ``plait.fit(table, **options)`` is; TABLE stands for a table that is no path."""
    words = ["plait", "fit", str(table) if isinstance(table, str | Path) else "TABLE"]
    for name, value in options.items():
        flag = "--" + name.replace("_", "-")
        if value is True:
            words.append(flag)
            continue
        for one in value if isinstance(value, list) else [value]:
            words += [f"{flag}={one}"] if str(one).startswith("-") else [flag, str(one)]
    return shlex.join([*words, "-o", "MODEL"])


def add_fits(
    measured: dict[str, Any], outcomes: list[Outcome], configurations: list[Configuration], asked: Asked
) -> None:
    """Put how to train it beside each method that ran, and beside the selected one."""
    by_name = {o.method.name: o for o in outcomes}
    for entry in measured["methods"]:
        if entry["status"] != "ok":
            continue
        outcome = by_name.get(entry["name"])
        chosen = None if outcome is None or outcome.chosen is None else configurations[outcome.chosen]
        entry["fit"] = None if outcome is None else how_to_fit(asked, outcome.method, chosen)
    measured["selected_fit"] = next((m["fit"] for m in measured["methods"] if m["name"] == measured["selected"]), None)


def _assignments(asked: Asked, method: Method, configuration: Configuration) -> list[str]:
    """The settings that have no option of their own, as "a.b=c": the user's, then those of the chosen configuration."""
    given, usual = to_dict(asked.settings), to_dict(RunSettings())
    named = {f"data.{n}" for n in (*SINGLE_OPTIONS, *COLUMN_LISTS, "source")}
    named |= {"task.name", "task.head", "train.epochs"}
    values: dict[str, Any] = {}
    for group in ("data", "encoders", "task", "language", "train"):
        for name, value in given[group].items():
            if value != usual[group][name] and f"{group}.{name}" not in named:
                values[f"{group}.{name}"] = value
    values |= {
        "task.head": method.head, "fusion.width": configuration.width, "fusion.dropout": configuration.dropout,
        "train.learning_rate": configuration.learning_rate, "train.patience": 0,
        **{f"train.{name}": value for name, value in objective_settings(method).items()},
    }  # fmt: skip
    if asked.resolved.fusion.name == method.fusion and asked.resolved.fusion.options:
        # The recipe has options for this fusion; the comparison takes every fusion as it comes.
        plain = inspect.signature(FUSIONS.get(method.fusion).__init__).parameters
        values["fusion.options"] = {n: plain[n].default for n in asked.resolved.fusion.options}
    return [f"{name}={_as_yaml(value)}" for name, value in values.items()]


def _as_yaml(value: Any) -> str:
    if isinstance(value, str) and PLAIN.fullmatch(value) and yaml.safe_load(value) == value:
        return value
    return json.dumps(value, ensure_ascii=False)
