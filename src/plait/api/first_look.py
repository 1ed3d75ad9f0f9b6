"""The first look at what a run is asked to do: names, settings, table and columns, in a second or two.

Everything that can be told wrong without the network is told here, before PyTorch and the trainer are imported; what
follows reads the table that was opened here. It may not import what imports torch (a test holds it).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from plait.data.column_kind import Hints
from plait.data.schema import claimed_columns
from plait.data.sources import Opened, open_source
from plait.data.split import read_split
from plait.data.split_time import read_times
from plait.data.table import Table
from plait.registry import unknown_name
from plait.settings import COLUMN_LISTS, EncoderSettings, RunSettings, merge_values, set_values
from plait.settings.names import (
    ENCODER_SOURCES,
    FUSION_NAMES,
    PRESET_NAMES,
    RECIPE_NAMES,
    TASK_NAMES,
    TASKS_WITHOUT_TARGET,
)
from plait.weights.records import RECORDS

REGISTRIES = {
    "fusion": ("plait.fusion", "FUSIONS", FUSION_NAMES),
    "task": ("plait.tasks", "TASKS", TASK_NAMES),
    "recipe": ("plait.training.recipes", "RECIPES", RECIPE_NAMES),
    "preset": ("plait.training.recipes.presets", "PRESETS", PRESET_NAMES),
}
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
    for name in (settings.fusion.name, *fusions):
        _check_name("fusion", name)
    _check_name("task", settings.task.name)
    _check_name("recipe", settings.recipe)
    _check_name("preset", settings.preset)
    _check_encoders(settings.encoders)
    task = SPELLED_OUT.get(settings.task.name or "", settings.task.name)
    opened = open_source(source, settings.data, task=task, annotations=annotations, seed=settings.train.seed)
    _check_columns(opened.table, settings)
    _check_use(opened)
    return opened


def _check_name(what: str, name: str | None) -> None:
    module, registry, usual = REGISTRIES[what]
    if name is None or name in usual:
        return
    known = getattr(sys.modules[module], registry).names() if module in sys.modules else list(usual)
    if name not in known:
        raise ValueError(unknown_name(what, name, known))


def _check_encoders(settings: EncoderSettings) -> None:
    """Refuse references that name no encoder; whether its weights are here is seen when it is loaded."""
    loaders = sys.modules.get("plait.encoders.load")
    sources = ENCODER_SOURCES if loaders is None else tuple(loaders.LOADERS)
    for reference in (settings.text, settings.image, settings.audio, *settings.columns.values()):
        if not isinstance(reference, str) or reference in RECORDS:
            continue
        prefix, colon, rest = reference.partition(":")
        if not colon or not rest or prefix not in sources:
            raise ValueError(unknown_name("encoder", reference, [*RECORDS.names(), *(f"{s}:NAME" for s in sources)]))


def _check_columns(table: Table, settings: RunSettings) -> None:
    data = settings.data
    named = [
        data.target, data.split, data.split_by_time, data.group, data.id,
        *(n for one in COLUMN_LISTS for n in getattr(data, one)),
    ]  # fmt: skip
    for name in named:
        if name is not None and name not in table.column_names:
            raise ValueError(f"{table.source}: {unknown_name('column', name, table.column_names)}")


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


def no_target(table: Table) -> str:
    """What to say where a target is needed and none is named."""
    return (
        f"which column of {table.source} shall be predicted? Name it with target=COLUMN; it has "
        f"{', '.join(table.column_names)}. To search one column by another there is task='retrieval'"
    )
