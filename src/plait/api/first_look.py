"""The first look at what a run is asked to do: names, settings, table and columns, in a second or two.

Everything that can be told wrong without the network is told here, before PyTorch and the trainer are imported; what
follows reads the table that was opened here. It may not import what imports torch (a test holds it).
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Any

from plait.data.column_kind import Hints
from plait.data.schema import claimed_columns, guess_schema
from plait.data.sources import Opened, open_source
from plait.data.split import read_split
from plait.data.split_time import read_times
from plait.data.table import Table
from plait.registry import Registry, has_plugins, unknown_name
from plait.settings import COLUMN_LISTS, EncoderSettings, RunSettings, merge_values, set_values
from plait.settings.names import (
    ENCODER_SOURCES,
    FUSION_NAMES,
    PRESET_NAMES,
    RECIPE_NAMES,
    TASK_NAMES,
    TASKS_WITHOUT_TARGET,
)
from plait.settings.options import argument_of
from plait.settings.trackers import check_trackers_there
from plait.weights.library import check_encoder_there
from plait.weights.records import RECORDS

REGISTRIES = {
    "fusion": ("plait.fusion", "FUSIONS", FUSION_NAMES),
    "task": ("plait.tasks", "TASKS", TASK_NAMES),
    "recipe": ("plait.training.recipes", "RECIPES", RECIPE_NAMES),
    "preset": ("plait.training.recipes.presets", "PRESETS", PRESET_NAMES),
}
ENCODED_AS = {"image_set": "image"}
PLUGGED = ". One of a plug-in: install its package here, or call plait.register_fusion in the program (docs/plugins.md)"
SPELLED_OUT = {"ordinal": "classification"}  # task names that stand for another task and a setting


def open_checked(
    source: Any,
    given: dict[str, Any],
    base: RunSettings,
    assignments: Sequence[str],
    *,
    annotations: str | None = None,
    fusions: Sequence[str] = (),
) -> Opened:
    """Check names and columns, and open the table.

    Args:
        source: Anything ``plait.fit`` takes.
        given: Settings by path.
        base: Settings to start from.
        assignments: Further settings as "a.b=c".
        annotations: Folder of COCO annotations other than ``annotations``.
        fusions: Names of fusions to check beside that of the settings.

    Raises:
        ValueError: A setting, name or column that does not exist (the nearest are named), or a table that cannot be
            read.
    """
    settings = set_values(merge_values(base, given), list(assignments))
    for name in fusions:
        _check_name("fusion", name, "fusion=")
    for what, path, name in (
        ("fusion", "fusion.name", settings.fusion.name), ("task", "task.name", settings.task.name),
        ("recipe", "recipe", settings.recipe), ("preset", "preset", settings.preset),
    ):  # fmt: skip
        _check_name(what, name, argument_of(path, given))
    _check_encoders(settings.encoders)
    check_trackers_there(settings.train.log_to)
    task = SPELLED_OUT.get(settings.task.name or "", settings.task.name)
    opened = open_source(source, settings.data, task=task, annotations=annotations, seed=settings.train.seed)
    _check_columns(opened.table, settings, given)
    _check_use(opened)
    _check_weights(opened, settings.encoders)
    return opened


def _check_name(what: str, name: str | None, where: str) -> None:
    module, registry, usual = REGISTRIES[what]
    if name is None or name in usual:
        return
    table = _table_of_others(module, registry)
    if table is None or name not in table:
        said = unknown_name(what, name, list(usual) if table is None else table.names(), where=where)
        raise ValueError(said + (PLUGGED if what == "fusion" else ""))


def _table_of_others(module: str, registry: str) -> Registry[Any] | None:
    """A registry that may hold names of others; None: it cannot, and importing it takes seconds."""
    if module not in sys.modules and not has_plugins():
        return None
    found: Registry[Any] = getattr(importlib.import_module(module), registry)
    return found


def _check_encoders(settings: EncoderSettings) -> None:
    """Refuse references that name no encoder; whether its weights are here is seen when it is loaded."""
    for reference in (settings.text, settings.image, settings.audio, *settings.columns.values()):
        if not isinstance(reference, str) or reference in RECORDS:
            continue
        prefix, colon, rest = reference.partition(":")
        if prefix in ENCODER_SOURCES and rest:
            continue
        table = None if prefix in ENCODER_SOURCES else _table_of_others("plait.encoders.load", "LOADERS")
        if table is None or prefix not in table or (colon and not rest):
            others = [] if table is None else [name for name in table if name not in ENCODER_SOURCES]
            known = [*RECORDS.names(), *(f"{s}:NAME" for s in ENCODER_SOURCES), *others]
            raise ValueError(unknown_name("encoder", reference, known))


def _check_columns(table: Table, settings: RunSettings, given: dict[str, Any]) -> None:
    data, known = settings.data, table.column_names
    for role in ("target", "split", "split_by_time", "group", "id", *COLUMN_LISTS):
        value = getattr(data, role)
        for name in [value] if isinstance(value, str) else value or ():
            if name not in known:
                where = argument_of(f"data.{role}", given)
                said = _several(name, known, role) or unknown_name("column", name, known, where=where)
                raise ValueError(f"{table.source}: {said}")


def _several(name: str, known: list[str], role: str) -> str | None:
    """What to type where several columns stand in one word; None where they do not."""
    parts = [part.strip() for part in name.split(",")]
    if len(parts) < 2 or not set(parts) <= set(known):
        return None
    if role not in COLUMN_LISTS:
        return f"{name!r} names {len(parts)} columns, and {role} is one column; name one of them"
    flag = "--" + role.replace("_", "-")
    typed = " ".join(f"{flag} {part}" for part in parts)
    return f"{name!r} is no column; name several one by one: {typed}, or {parts} in Python"


def _check_use(opened: Opened) -> None:
    """Refuse what columns are named as and cannot be, and a task without the target it needs."""
    table, data = opened.table, opened.data
    hints = Hints(data.decimal, data.date_order)
    kinds = {name: getattr(data, name) for name in COLUMN_LISTS if name != "ignore"}
    roles = {name: getattr(data, name) for name in ("target", "split", "group", "id")}
    claimed_columns(table, kinds, {**roles, "ignored": data.ignore}, hints)
    is_known = opened.task is None or opened.task in TASK_NAMES
    if data.target is None and is_known and opened.task not in TASKS_WITHOUT_TARGET:
        raise ValueError(no_target(table))
    if data.split is not None:
        read_split(table.column(data.split))
    if data.split_by_time is not None:
        read_times(table, data.split_by_time, hints)


def _check_weights(opened: Opened, settings: EncoderSettings) -> None:
    """Refuse columns whose encoder's weights are not on this machine.

    Raises:
        ValueError: So it is; the message says what to type.
    """
    absent: dict[str, ValueError] = {}
    for kind in ("text", "image", "audio"):
        for reference in {getattr(settings, kind), *settings.columns.values()}:
            if isinstance(reference, str) and reference not in absent:
                try:
                    check_encoder_there(reference)
                except ValueError as error:
                    absent[reference] = error
    if not absent:
        return
    data = opened.data
    kinds = {name: getattr(data, name) for name in COLUMN_LISTS}
    roles = {"target": data.target, "split": data.split, "group": data.group, "id": data.id}
    schema = guess_schema(opened.table, **kinds, **roles, hints=Hints(data.decimal, data.date_order))
    for modality in schema.modalities:
        kind = ENCODED_AS.get(modality.kind, modality.kind)
        reference = settings.columns.get(modality.columns[0], getattr(settings, kind, None))
        if reference in absent:
            raise ValueError(f"column {modality.name!r} is read as {modality.kind}, and {absent[reference]}")


def no_target(table: Table) -> str:
    """What to say where a target is needed and none is named."""
    return (
        f"which column of {table.source} shall be predicted? Name it with target=COLUMN; it has "
        f"{', '.join(table.column_names)}. To search one column by another there is task='retrieval'"
    )
