"""One training run, from a source and settings to a judged and saved model. Behind ``plait.fit``."""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from plait.api.model_folder import guard_folder
from plait.api.predictor import Plait
from plait.data.bad_rows import apply_policy, bad_rows_message
from plait.data.column_kind import kind_of
from plait.data.items import Rows
from plait.data.media import CellError, check_image, read_media
from plait.data.schema import Schema, guess_schema, guess_task, without_loose_columns
from plait.data.sources import kinds_of_questions, open_source
from plait.data.table import BadRow, Table
from plait.inputs.prepare import fit_inputs, load_inputs, prepare
from plait.objectives import check_objectives, chosen_objectives
from plait.registry import unknown_name
from plait.settings import DataSettings, RunSettings, TaskSettings, from_dict, set_values, to_dict
from plait.tasks import ORDINAL, TASKS, Task, choose_answers, ordinal_task
from plait.training import (
    Plan,
    calibration_notes,
    check_build,
    check_pairs,
    needs_tokens,
)
from plait.training.fit import fit_model, fit_unimodal_baselines
from plait.training.recipes import Facts, resolve
from plait.training.splitting import (
    CHOSE_THE_EPOCH,
    count_splits,
    evaluation_units,
    leakage_notes,
    make_split,
    read_targets,
    split_fingerprint,
    table_fingerprint,
)

logger = logging.getLogger(__name__)
Progress = Callable[[int, int, str], None]
SAMPLED_PHOTOS = 12
FILLERS: dict[str, Any] = {"multilabel": (), "captioning": ("",), "vqa_open": ("",), "vqa": ()}  # rows not used


@dataclass
class OpenedRun:
    """A table opened, its columns told apart, its rows split and every setting resolved; nothing is encoded yet.

    Attributes:
        settings: Resolved settings.
        table: The rows.
        schema: Its columns.
        task: The task.
        values: Plain target of every row, None where there is no readable one.
        usable: Positions of rows with a target.
        split: "train", "val" or "test" for every usable row.
        notes: Sentences for the report.
        bad: Rows without a readable target.
        fresh_pairs: Whether wrong pairs are drawn anew every epoch.
    """

    settings: RunSettings
    table: Table
    schema: Schema
    task: Task
    values: list[Any]
    usable: np.ndarray
    split: np.ndarray
    notes: list[str]
    bad: list[BadRow]
    fresh_pairs: bool


@dataclass
class PreparedRun:
    """All of a run up to the first training step.

    Attributes:
        plan: What is trained on what.
        usable: Positions of rows with a target that are kept.
        known_N: Whether each row's class occurs in training (always, where there are no classes).
    """

    plan: Plan
    usable: np.ndarray
    known_N: np.ndarray  # noqa: N815  shape letters


def run_fit(
    source: Any,
    given: dict[str, Any],
    base: RunSettings,
    assignments: list[str],
    *,
    output: str | Path | None,
    annotations: str | None,
    resume: bool,
    overwrite: bool,
    progress: Progress | None,
) -> Plait:
    """Run everything; see :func:`plait.fit` for the arguments."""
    started = time.monotonic()
    if resume and overwrite:
        raise ValueError("--resume goes on with a run and --overwrite throws it away; type one of them")
    if resume and output is None:
        raise ValueError("resume=True needs output=, the folder of the run that was stopped")
    opened = open_run(source, given, base, assignments, annotations=annotations)
    if opened.settings.train.tensorboard and output is None:
        raise ValueError("TensorBoard logs go into the model's folder: name one with output= (-o on the command line)")
    settings, table, schema, split, notes = opened.settings, opened.table, opened.schema, opened.split, opened.notes
    with _working_folder(output, settings, table, resume, overwrite) as folder:
        ready = prepare_run(opened, with_tokens=needs_tokens(settings), progress=progress)
        plan, usable = ready.plan, ready.usable
        large = any(not encoder.is_exact for encoder in plan.inputs.live.values())
        if settings.train.precision != "float32" and not large and plan.task.output_kind != "text":
            notes.append(f"train.precision={settings.train.precision} changes nothing here: no encoder is trained")
        checkpoints = folder / "checkpoints"
        everything = [m.name for m in plan.inputs.modalities]
        model, history = fit_model(
            plan, everything, checkpoints / "fused", resume=resume, logs=folder / "logs", progress=progress
        )
        baselines = fit_unimodal_baselines(plan, checkpoints, resume=resume, progress=progress)
        fitted = Plait(model, baselines, plan.inputs, plan.labels, schema, settings)
        evaluated_split = next((s for s in ("test", "val", "train") if (split[usable] == s).any()), "train")
        fitted.report = {
            "splits": count_splits(split, usable),
            "history": history.epochs,
            "best_epoch": history.best_epoch,
            "facts": {
                "source": settings.data.source, "rows": len(table), "fingerprint": table_fingerprint(table),
                "split_fingerprint": split_fingerprint(split), "training_seconds": round(history.seconds, 2),
                "seconds": round(time.monotonic() - started, 1), "notes": notes,
            },
        }  # fmt: skip
        if evaluated_split == "train":
            notes.append("there are no held-out rows: the numbers are of the training rows and say little")
        if evaluated_split == "val":
            notes.append(CHOSE_THE_EPOCH)
        notes += calibration_notes(model, plan.labels)
        given = fitted.evaluation_inputs(plan.prepared, usable[split[usable] == evaluated_split], evaluated_split)
        fitted.report = fitted.report_of(given, plan.prepared, progress)
        fitted.report["evaluation"]["notes"] = [*notes, *fitted.report["evaluation"]["notes"]]
        if output is not None:
            fitted.save(output)
            history.write(Path(output) / "history.csv")
            shutil.rmtree(Path(output) / "checkpoints", ignore_errors=True)
            (Path(output) / "resume.json").unlink(missing_ok=True)
    return fitted


def open_run(
    source: Any, given: dict[str, Any], base: RunSettings, assignments: list[str], *, annotations: str | None
) -> OpenedRun:
    """Open the table, tell its columns and task, split its rows and resolve every setting.

    Raises:
        ValueError: Something about the table or the settings; the message says what to type.
    """
    settings = set_values(merge(base, given), assignments)
    if settings.task.name == ORDINAL:
        settings = replace(settings, task=replace(settings.task, name="classification", ordinal=True))
    if settings.train.threads is not None:
        torch.set_num_threads(settings.train.threads)
    opened = open_source(
        source, settings.data, task=settings.task.name, annotations=annotations, seed=settings.train.seed
    )
    table, data = opened.table, opened.data
    for name in settings.judge.by:
        if name not in table.column_names:
            raise ValueError(unknown_name("column in judge.by", name, table.column_names))
    if opened.task in ("vqa", "vqa_open"):
        data = replace(data, ignore=tuple(dict.fromkeys((*data.ignore, *kinds_of_questions(table, data)))))
        if not data.text and "question" in table.column_names and data.target != "question":
            data = replace(data, text=("question",))  # a few questions that return could pass for categories
    schema = guess_schema(
        table, target=data.target, text=data.text, image=data.image, audio=data.audio, image_set=data.image_set,
        vector=data.vector, numeric=data.numeric, categorical=data.categorical,
        ignore=data.ignore, split=data.split, group=data.group, id=data.id,
    )  # fmt: skip
    if schema.target is None and (opened.task is None or TASKS.get(opened.task).needs_target):
        raise ValueError(
            f"which column of {table.source} shall be predicted? Type --target COLUMN; it has "
            f"{', '.join(table.column_names)}. To search one column by another there is --task retrieval"
        )
    task_name, why = (opened.task, "given") if opened.task else guess_task(table, schema)
    task = _task(task_name, settings.task)
    notes = [f"task {task_name}: {why}", *opened.notes]
    if not task.needs_target:
        schema = searched_sides(table, schema, data, task, notes)
    if not schema.modalities:
        raise ValueError(f"{table.source} has no input column besides the target {schema.target!r}")
    if task.modalities is not None and len(schema.modalities) != task.modalities:
        names = ", ".join(m.name for m in schema.modalities)
        raise ValueError(
            f"{task.name} needs exactly {task.modalities} input columns, found {len(schema.modalities)} "
            f"({names}); leave the others out with --ignore COLUMN"
        )
    if task.needs_image and not any(m.kind == "image" for m in schema.modalities):
        raise ValueError(f"{task.name} needs an image column among the inputs; type --image COLUMN")
    values, without_target = read_targets(table, schema.target, task)
    if task.name == "vqa":
        task_name, why = choose_answers([v for v in values if v is not None], settings.task)
        task = TASKS.get(task_name)
        notes[0] = f"task {task_name}: {why}"
    if len(without_target) == len(table):
        raise ValueError(f"no row of {table.source} has {task.expects} in the target column {schema.target!r}")
    probe = Rows(table, {})
    for position in without_target:
        probe.report(position, schema.target or "", f"no {task.expects} in the target column")
    if settings.data.on_bad_row == "error" and (probe.bad or table.bad_rows):
        raise ValueError(bad_rows_message(probe.bad, table))
    usable = np.array([i for i in range(len(table)) if i not in without_target], dtype=np.int64)
    split, more = make_split(table, schema, usable, values, task, settings.train.seed)
    notes += more
    facts = Facts(
        task_name, tuple(m.kind for m in schema.modalities), int((split[usable] == "train").sum()),
        photo_side(table, schema),
    )  # fmt: skip
    settings = resolve(from_dict(RunSettings, {**to_dict(settings), "data": to_dict(data)}), facts)
    task = replace(task, selects=settings.task.select_by or task.selects)
    check_objectives(
        chosen_objectives(settings.train, pair_head=settings.task.head == "pair"),
        task=task_name, output_kind=task.output_kind, num_modalities=len(schema.modalities),
        num_validation=int((split[usable] == "val").sum()),
    )  # fmt: skip
    fresh_pairs = opened.random_pairs and settings.recipe != "classic"
    return OpenedRun(settings, table, schema, task, values, usable, split, notes, probe.bad, fresh_pairs)


def _task(name: str, settings: TaskSettings) -> Task:
    """The record of the task, with ordered classes where the settings say so."""
    if not settings.ordinal:
        return TASKS.get(name)
    if name != "classification":
        raise ValueError(
            f"task.ordinal is for classification; the task is {name}. Leave it out, or type --task classification"
        )
    return ordinal_task(settings.order)


def prepare_run(opened: OpenedRun, *, with_tokens: bool, progress: Progress | None = None) -> PreparedRun:
    """Load the encoders, encode every item once and lay out what is trained on what.

    Args:
        opened: What ``open_run`` returned; notes about leakage are added to it.
        with_tokens: Whether features keep their tokens beside the vector.
        progress: Called with (done, total, what).
    """
    settings, table, schema, task = opened.settings, opened.table, opened.schema, opened.task
    torch.manual_seed(settings.train.seed)  # encoders from scratch get their weights here
    inputs = load_inputs(
        schema.modalities, settings.encoders, with_tokens=with_tokens, max_pixels=settings.data.max_pixels, table=table
    )
    intended = opened.usable[opened.split[opened.usable] == "train"]
    check_build(settings, task, inputs, [opened.values[int(i)] for i in intended])
    prepared = prepare(table, inputs, progress=progress)
    prepared.rows.bad = [*opened.bad, *prepared.rows.bad]
    kept = set(apply_policy(prepared.rows, settings.data.on_bad_row).tolist())
    usable = np.array([i for i in opened.usable if int(i) in kept], dtype=np.int64)
    train, val = usable[opened.split[usable] == "train"], usable[opened.split[usable] == "val"]
    if len(train) == 0:
        raise ValueError(f"no readable training row is left in {table.source}")
    labels = task.labels_of([opened.values[int(i)] for i in train], settings)
    filler = FILLERS.get(task.name, labels.classes[0] if labels.classes else 0.0)
    target = task.encode([v if v is not None else filler for v in opened.values], labels)
    are_classes = target.ndim == 1 and bool(labels.classes)
    known_N = target >= 0 if are_classes else np.ones(len(table), dtype=bool)
    if not known_N[train].all():
        opened.notes.append(
            f"{int((~known_N[train]).sum())} of {len(train)} training rows have answers outside the "
            f"{len(labels.classes):,} kept (task.max_answers) and teach nothing"
        )
        train = train[known_N[train]]
    if labels.tokens is not None:
        cut = labels.tokens.num_cut([a for i in train for a in opened.values[int(i)]])
        opened.notes += (
            [f"{cut:,} training answer{'s were' if cut > 1 else ' was'} cut at {labels.tokens.max_tokens} tokens"]
            if cut
            else []
        )
    if not known_N[val].all():
        opened.notes.append(
            f"{int((~known_N[val]).sum())} of {len(val)} validation rows are of classes not seen in training and were "
            "left out of choosing the epoch"
        )
        val = val[known_N[val]]
    fit_inputs(inputs, prepared, train, {c.name: c.kind or "" for c in schema.columns})
    opened.notes += leakage_notes(prepared, opened.split, usable)
    if not task.needs_target:
        check_pairs(prepared, evaluation_units(prepared, schema), train, table.source)
    target = np.where(target < 0, 0, target) if are_classes else target
    plan = Plan(
        settings, task, labels, inputs, prepared, target, train, val,
        evaluation_units(prepared, schema), opened.fresh_pairs,
    )  # fmt: skip
    return PreparedRun(plan, usable, known_N)


def searched_sides(table: Table, schema: Schema, data: DataSettings, task: Task, notes: list[str]) -> Schema:
    """The schema of a task without a target: the columns that shall find each other; what is set aside is noted.

    Raises:
        ValueError: A target was named, or there are fewer than two modalities.
    """
    if schema.target is not None:
        raise ValueError(
            f"{task.name} learns which cells of a row belong together and predicts no column; leave --target "
            f"{schema.target} out (and type --ignore {schema.target} if it shall not be searched by)"
        )
    schema, loose = without_loose_columns(schema, [*data.numeric, *data.categorical])
    if loose:
        notes.append(f"not searched by, for they are numbers or categories: {', '.join(loose)}")
    if len(schema.modalities) < 2:
        found = ", ".join(m.name for m in schema.modalities) or "none"
        raise ValueError(
            f"{task.name} needs two or more input columns that find each other, such as an image and a text; found "
            f"{found}. Name them with --image COLUMN --text COLUMN"
        )
    return schema


def merge(base: RunSettings, given: dict[str, Any]) -> RunSettings:
    """Settings with the given "group.name" values laid over; None and empty ones change nothing."""
    values = to_dict(base)
    for path, value in given.items():
        if value is None or value == []:
            continue
        group, _, name = path.rpartition(".")
        (values[group] if group else values)[name] = value
    return from_dict(RunSettings, values)


def photo_side(table: Table, schema: Schema) -> int | None:
    """Median short side of the first photos, in pixels; None without readable photos."""
    sides = []
    for modality in schema.modalities:
        pictures = kind_of(modality).pictures
        if pictures is None:
            continue
        for cell in table.take(range(min(len(table), SAMPLED_PHOTOS))).column(modality.columns[0]):
            with contextlib.suppress(CellError):
                photos = pictures(cell, table.root)[:1]
                sides += [min(check_image(read_media(photo, table.root))) for photo in photos if photo is not None]
    return int(np.median(sides)) if sides else None


@contextlib.contextmanager
def _working_folder(
    output: str | Path | None, settings: RunSettings, table: Table, resume: bool, overwrite: bool
) -> Iterator[Path]:
    """The folder a run works in: the output folder, guarded, or a temporary one."""
    if output is None:
        with tempfile.TemporaryDirectory() as temporary:
            yield Path(temporary)
        return
    folder = Path(output)
    stamp = {"settings": to_dict(settings), "table": table_fingerprint(table)}
    record = folder / "resume.json"
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; choose a folder for the model")
    if folder.exists() and any(folder.iterdir()):
        guard_folder(folder, record, stamp, resume, overwrite)
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part = record.with_name("resume.json.part")
        part.write_text(json.dumps(stamp), encoding="utf-8")
        part.replace(record)
    except OSError as error:
        raise ValueError(f"cannot write to {folder}: {error.strerror or error}") from error
    try:
        yield folder
    except BaseException:
        if not any((folder / "checkpoints").rglob("checkpoint-*")):  # nothing to resume: leave no trace
            shutil.rmtree(folder / "checkpoints", ignore_errors=True)
            record.unlink(missing_ok=True)
            if is_new and not any(folder.iterdir()):
                folder.rmdir()
        raise
