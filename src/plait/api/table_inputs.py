"""What reads a table before anything is trained on it: the encoders that a fit of it would take.

Recipes choose how large pictures are read, how texts are cleaned and whether tokens are kept, by task and size of the
table. Whoever only looks at a table asks the same recipes, so that the feature store of a fit is found again.
"""

from __future__ import annotations

from plait.data.schema import Schema, guess_task
from plait.data.split import read_split
from plait.data.table import Table
from plait.inputs.inputs import Inputs, load_inputs
from plait.settings import RunSettings
from plait.tasks import TASKS
from plait.training.build import needs_tokens
from plait.training.recipes import resolve
from plait.training.recipes.facts import facts_of

USUAL_TASK = "classification"  # where nothing tells the task
USUAL_SHARE = 0.8  # of the rows that train, where no column splits them


def table_inputs(
    table: Table, schema: Schema, settings: RunSettings, *, task: str | None = None, rows: Table | None = None
) -> Inputs:
    """Load the encoders that ``plait.fit`` with these settings would.

    Args:
        table: The whole table.
        schema: Its columns.
        settings: As far as they were given; the recipe fills the others.
        task: The task, where it is known; None: guessed from the target, as ``plait.fit`` does.
        rows: Those that are read, where they are not all of the table.

    Raises:
        ValueError: Weights of an encoder are not on this machine, or settings do not go together.
    """
    name = task or settings.task.name or _guessed(table, schema)
    resolved = resolve(settings, facts_of(name, table, schema, _num_train(table, schema, name)))
    return load_inputs(
        schema.modalities, resolved.encoders, with_tokens=needs_tokens(resolved),
        max_pixels=settings.data.max_pixels, table=table if rows is None else rows,
    )  # fmt: skip


def _guessed(table: Table, schema: Schema) -> str:
    """The task of the target; the usual one where there is no target, or none that can be learned."""
    try:
        return guess_task(table, schema)[0]
    except ValueError:
        return USUAL_TASK


def _num_train(table: Table, schema: Schema, task: str) -> int:
    """How many rows would train, as nearly as can be told without dealing them."""
    needed = schema.target if TASKS.get(task).needs_target else None
    usable = [True] * len(table) if needed is None else [cell is not None for cell in table.column(needed)]
    if schema.split is None:
        return int(USUAL_SHARE * sum(usable))
    parts = read_split(table.column(schema.split)).tolist()
    return sum(there and part == "train" for there, part in zip(usable, parts, strict=True))
