"""Opening what the user names: a table, or a COCO folder turned into the table of its task.

For COCO the folder's own splits are kept. Where it has training and validation photos only (the official
release), validation is the held-out part that is evaluated, so photos to select on are set aside from the
training ones first, before any pair is made.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from plait.data.coco.folder import read_coco_folder
from plait.data.coco.views import COCO_VIEWS, DEFAULT_TASK, VQA_TASKS
from plait.data.coco.vqa_json import is_vqa_folder, read_vqa_folder
from plait.data.pairs import make_pairs
from plait.data.split import carve_validation
from plait.data.table import Table, TextReading, read_table
from plait.data.values import ColumnReading
from plait.settings import DataSettings


@dataclass(frozen=True)
class Opened:
    """A table and what its source already tells about it.

    Attributes:
        table: The rows.
        data: Data settings with what the source tells filled in.
        task: Task the source was opened for, or None.
        random_pairs: Wrong pairs were drawn at random here, so training may draw them anew.
        notes: Decisions worth telling.
    """

    table: Table
    data: DataSettings
    task: str | None
    random_pairs: bool = False
    notes: tuple[str, ...] = ()


def open_source(
    source: Any, data: DataSettings, *, task: str | None = None, annotations: str | None = None, seed: int = 0,
    readings: Mapping[str, ColumnReading] | None = None,
) -> Opened:  # fmt: skip
    """Read the source.

    Args:
        source: Anything ``read_table`` takes, or a COCO folder with ``data.format == "coco"`` (a folder that
            holds ``annotations/`` is taken for one).
        data: Data settings.
        task: The task, which a COCO folder needs.
        annotations: Folder of the COCO annotations when it is not ``annotations``.
        seed: Seed of the pairs.
        readings: By column, how the training table was read; None: this is the training table.

    Raises:
        ValueError: The source cannot be read, or the task does not fit a COCO folder.
    """
    if data.format == "vqa" or (data.format is None and is_folder(source) and is_vqa_folder(source)):
        return _open_vqa(source, data, task, seed)
    is_coco = data.format == "coco" or (data.format is None and _looks_like_coco(source))
    if not is_coco:
        if annotations is not None:
            raise ValueError("annotations= goes with format='coco'")
        return Opened(
            read_table(
                source,
                format=data.format,
                encoding=data.encoding,
                columns=data.columns,
                text=TextReading(
                    data.delimiter if readings is None else None,
                    data.decimal,
                    readings or {},
                    data.text,
                    data.categorical,
                    usual=data.delimiter,
                ),  # fmt: skip
                allow_outside=data.allow_outside,
                allow_remote=data.allow_remote,
            ),
            replace(data, source=_shown(source)),
            task,
        )
    if data.encoding is not None:
        raise ValueError("encoding= is for text tables; COCO annotations are JSON in UTF-8")
    if not isinstance(source, str | Path):
        raise ValueError(f"format='coco' needs a folder, got a {type(source).__name__}")
    task = task or DEFAULT_TASK
    if task not in COCO_VIEWS:
        raise ValueError(f"a COCO folder can be opened for the tasks {', '.join(COCO_VIEWS)}; got {task!r}")
    view = COCO_VIEWS.get(task)
    read = read_coco_folder(Path(source), annotations=annotations, task=view.rows, seed=seed)
    read = read.opened_up(data.allow_outside, data.allow_remote)
    table, notes = hold_out(read, seed)
    if view.in_pairs:
        table = replace(make_pairs(table, seed=seed), root=table.root, source=table.source)
    known = replace(
        data, source=_shown(source), format="coco", split="split", group="image_id", image=("image",),
        text=view.text or data.text, target=data.target or view.target,
    )  # fmt: skip
    return Opened(table, known, task, view.in_pairs, notes)


def _open_vqa(source: Any, data: DataSettings, task: str | None, seed: int) -> Opened:
    """A folder of official VQA files: the answers of ten people are the target, the photo the group."""
    if not is_folder(source):
        raise ValueError("format='vqa' needs a folder with v2_OpenEnded_mscoco_<subset>_questions.json in it")
    if task not in (None, *VQA_TASKS):
        raise ValueError(f"a VQA folder can be opened for the task vqa, got {task!r}")
    table, notes = hold_out(read_vqa_folder(source).opened_up(data.allow_outside, data.allow_remote), seed)
    known = replace(
        data, source=_shown(source), format="vqa", split="split", group="image_id", id="question_id",
        image=("image",), text=("question",), target=data.target or "answers",
    )  # fmt: skip
    return Opened(table, known, task or VQA_TASKS[0], False, notes)


def hold_out(table: Table, seed: int) -> tuple[Table, tuple[str, ...]]:
    """Give a table with train and val but no test a validation part of its own; its val becomes the test."""
    split = np.array([str(s) for s in table.column("split")], dtype=object)
    present = set(split)
    if "train" not in present or "val" in present and "test" in present:
        return table, ()
    notes: tuple[str, ...] = ()
    if "val" in present and "test" not in present:
        split[split == "val"] = "test"
        notes = ("the val split is judged as the held-out part; validation photos were set aside from train",)
    if "val" not in set(split):
        split = carve_validation(split, group=table.column("image_id"), seed=seed)
        notes = notes or ("no val split; validation photos were set aside from train",)
    return table.with_column("split", list(split)), notes


def is_folder(source: Any) -> bool:
    """Whether the source names a folder that is there."""
    # os.path.isdir answers False where Path.is_dir raises: a name too long, or with a null character.
    return isinstance(source, str | Path) and os.path.isdir(source)


def _looks_like_coco(source: Any) -> bool:
    return is_folder(source) and (Path(source) / "annotations").is_dir()


def _shown(source: Any) -> str:
    return str(source) if isinstance(source, str | Path) else f"a {type(source).__name__} in memory"
