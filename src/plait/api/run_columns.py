"""What the columns of a run's table are, and what is learned from them: the schema and the task."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from plait.api.first_look import no_target
from plait.data.arrow_types import is_text
from plait.data.column_kind import Hints, Sample
from plait.data.guess import sample_values
from plait.data.nearly_numeric import common_unit
from plait.data.partly_media import LOOKS, media_advice, partly_media
from plait.data.reads_like import unit_advice
from plait.data.schema import NAMED, Column, Schema, guess_schema, guess_task, left_out_columns, without_loose_columns
from plait.data.sources import Opened
from plait.data.split_time import without_split
from plait.data.table import Table
from plait.settings import DataSettings, TaskSettings
from plait.tasks import TASKS, Task, task_of

MOST_NAMED = 10  # columns that are named one by one where they are left out


@dataclass
class RunColumns:
    """The columns of a run.

    Attributes:
        data: Data settings, with what source and task tell filled in.
        schema: The columns.
        task: The task.
        why: Why it is this task.
        notes: Sentences for the report.
    """

    data: DataSettings
    schema: Schema
    task: Task
    why: str
    notes: list[str] = field(default_factory=list)


def tell_columns(opened: Opened, settings: TaskSettings) -> RunColumns:
    """Tell the kind and role of every column and the task, and check that they go together.

    Raises:
        ValueError: No target, no input, or inputs that the task cannot take.
    """
    table = opened.table
    data = _with_known_columns(table, opened.data, opened.task)
    schema = guess_schema(
        table, target=data.target, text=data.text, image=data.image, audio=data.audio, image_set=data.image_set,
        vector=data.vector, numeric=data.numeric, categorical=data.categorical, date=data.date,
        ignore=data.ignore, split=data.split, group=data.group, id=data.id,
        hints=Hints(data.decimal, data.date_order),
    )  # fmt: skip
    if schema.target is None and (opened.task is None or TASKS.get(opened.task).needs_target):
        raise ValueError(no_target(table))
    schema = without_split(schema, data)
    name, why = (opened.task, "given") if opened.task else guess_task(table, schema)
    found = RunColumns(data, schema, task_of(name, settings), why)
    if not found.task.needs_target:
        found.schema = _searched_sides(table, schema, data, found.task, found.notes)
    _check_inputs(table, found.schema, found.task)
    found.notes += _notes_on_columns(table, found.schema)
    return found


def _with_known_columns(table: Table, data: DataSettings, task: str | None) -> DataSettings:
    """Data settings with what is known of the columns of this task's data sets, unless the user names them."""
    if task is None or task not in TASKS:
        return data
    known = TASKS.get(task)
    named = {*data.ignore, *data.text, *data.categorical, data.target}
    about = [n for n in known.about_rows if n in table.column_names and n not in named]
    data = replace(data, ignore=tuple(dict.fromkeys((*data.ignore, *about)))) if known.about_rows else data
    if not data.text and known.question in table.column_names and data.target != known.question:
        data = replace(data, text=(known.question,))  # a few questions that return could pass for categories
    return data


def _searched_sides(table: Table, schema: Schema, data: DataSettings, task: Task, notes: list[str]) -> Schema:
    """The schema of a task without a target: the columns that shall find each other; what is set aside is noted.

    Raises:
        ValueError: A target was named, or there are fewer than two modalities.
    """
    if schema.target is not None:
        raise ValueError(
            f"{task.name} learns which cells of a row belong together and predicts no column; leave "
            f"target={schema.target!r} out (and type ignore={schema.target!r} if it shall not be searched by)"
        )
    schema, loose = without_loose_columns(schema, [*data.numeric, *data.categorical, *data.date])
    if loose:
        notes.append(f"not searched by, for they are numbers or categories: {', '.join(loose)}")
    if len(schema.modalities) < 2:
        found = ", ".join(m.name for m in schema.modalities) or "none"
        raise ValueError(
            f"{task.name} needs two or more input columns that find each other, such as an image and a text; found "
            f"{found}. Name them with image=COLUMN and text=COLUMN"
        )
    return schema


def _notes_on_columns(table: Table, schema: Schema) -> list[str]:
    """A sentence for every column that is left out, and for every one of which some cells count as missing."""
    left = left_out_columns(schema)
    notes = [f"column {c.name!r} is left out: {c.reason}" for c in left[:MOST_NAMED]]
    if len(left) > MOST_NAMED:
        names = ", ".join(repr(c.name) for c in left[MOST_NAMED : 2 * MOST_NAMED])
        notes.append(f"{len(left) - MOST_NAMED} more columns are left out, for reasons in the report ({names} ...)")
    for column in schema.columns:
        if column.reading is not None and column.reading.missing and column.role in ("input", "target"):
            notes.append(f"column {column.name!r}: {column.reason}")
        elif column.role == "input" and column.reason != NAMED and is_text(table.arrow.schema.field(column.name).type):
            sample = Sample(table.arrow.schema.field(column.name).type, sample_values(table, column.name))
            if partly_media(sample) is not None or media_advice(sample, column.name) is not None:
                notes += _note_on_media(column, sample)
                continue
            unit = common_unit(table.column(column.name)) if column.kind != "numeric" else None
            notes += [] if unit is None else [f"column {column.name!r} is read as {column.kind}: {unit_advice(unit)}"]
    return notes


def _note_on_media(column: Column, sample: Sample) -> list[str]:
    """A sentence for a column of which a part reads like media, unless nearly all of it does."""
    if column.kind in LOOKS and sample.most(LOOKS[column.kind]):
        return []
    return [f"column {column.name!r} is read as {column.kind}: {column.reason}"]


def _check_inputs(table: Table, schema: Schema, task: Task) -> None:
    if not schema.modalities:
        left = "; ".join(f"{c.name!r} is left out: {c.reason}" for c in left_out_columns(schema)[:MOST_NAMED])
        raise ValueError(
            f"{table.source} has no input column besides the target {schema.target!r}{left and '. Column '}{left}"
        )
    if task.modalities is not None and len(schema.modalities) != task.modalities:
        names = ", ".join(m.name for m in schema.modalities)
        raise ValueError(
            f"{task.name} needs exactly {task.modalities} input columns, found {len(schema.modalities)} "
            f"({names}); leave the others out with ignore=COLUMN"
        )
    if task.needs_image and not any(m.kind == "image" for m in schema.modalities):
        raise ValueError(f"{task.name} needs an image column among the inputs; type image=COLUMN")
