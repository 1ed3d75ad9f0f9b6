"""How a finished model finds the split of its training table again, and which rows it has seen before."""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from plait.data.items import read_rows
from plait.data.modality import Modality
from plait.data.schema import Schema
from plait.data.split import CALIBRATION, read_split
from plait.data.table import Table
from plait.registry import counted
from plait.settings import DataSettings
from plait.tasks import Task
from plait.training.seen_rows import SeenInputs
from plait.training.splitting import make_split, read_targets

_INSTEAD = "type rows='all', or name the training table itself"
CHOSE_THE_EPOCH = "the judged rows are the validation rows, which also chose the epoch: the numbers are optimistic"


def trained_in_folds(count: int, total: int) -> str:
    """The note on judged validation rows of a model whose members are a model a fold."""
    return (
        f"SEEN IN TRAINING: {count} of {total} judged rows are validation rows, which trained members of the ensemble, "
        "each in all folds but one: the numbers flatter it"
    )


def table_fingerprint(table: Table) -> str:
    """sha256 over column names and cells."""
    digest = hashlib.sha256()
    for name in table.column_names:
        digest.update(name.encode("utf-8", "surrogatepass") + b"\0")
        for cell in table.column(name):
            digest.update(repr(cell).encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()


def split_fingerprint(split: np.ndarray) -> str:
    """sha256 over the split of every row."""
    return hashlib.sha256("\0".join(str(s) for s in split).encode()).hexdigest()


def choose_rows(
    table: Table,
    rows: str | None,
    *,
    schema: Schema,
    task: Task,
    seed: int,
    facts: Mapping[str, Any],
    data: DataSettings | None = None,
    seen: SeenInputs | None = None,
    calibrated: SeenInputs | None = None,
    modalities: Sequence[Modality] = (),
    has_folds: bool = False,
) -> tuple[Table, str, list[str]]:
    """The rows to evaluate a finished model on, what to call them, and what must be reported about them.

    The training table is known by its fingerprint and gets the split of the training run again, also where that was
    dealt at random. Any other table is split by the model's split column, if it has one; without one, held-out rows
    ("test") are those of a copy of the training table, in any order, that show nothing that trained the model or chose
    its epoch.

    Args:
        table: The rows.
        rows: "test", "val", "train", "calibration" or "all"; None: test if there is one, else val, else all.
        schema: Columns of the training table.
        task: The task.
        seed: Seed of the training run.
        data: Data settings of the training run, which say whether its rows were split by time.
        facts: "rows", "fingerprint" and "split_fingerprint" of the training run; any may be absent.
        seen: Hashes of the rows that trained the model or chose its epoch; None: not known.
        calibrated: Hashes of the rows that calibrated it; None: there were none, or they are not known.
        modalities: What the model reads.
        has_folds: Whether validation rows trained members of its ensemble.

    Raises:
        ValueError: There are no such rows, or nothing to tell them by.
    """
    known = recognise(table, schema=schema, task=task, seed=seed, facts=facts, data=data)
    column, split, notes = known.column, known.split, list(known.notes)
    if split is None:
        if rows in (None, "all"):
            return table, "all", notes
        chosen, told = _held_out_by_contents(table, rows, seen, calibrated, modalities)
        return table.take(chosen), rows, [*notes, told]
    present = [s for s in ("test", "val", "train", CALIBRATION) if (split == s).any()]
    if rows is None:
        rows = next((s for s in ("test", "val") if s in present), "all")
    if rows != "all" and rows not in present:
        raise ValueError(f"{table.source} has no rows of split {rows!r}; it has {', '.join(present)}")
    chosen = np.arange(len(table)) if rows == "all" else np.flatnonzero(split == rows)
    without = read_targets(table, schema.target, task)[1] if schema.target in table.column_names else set()
    judged = np.array([i for i in chosen.tolist() if i not in without], dtype=np.int64)
    notes += _seen_notes(split[judged], None if known.is_split_known else column, "test" in present, has_folds)
    return table if rows == "all" else table.take(chosen), rows, notes


def _held_out_by_contents(
    table: Table, rows: str, seen: SeenInputs | None, calibrated: SeenInputs | None, modalities: Sequence[Modality]
) -> tuple[np.ndarray, str]:
    """Positions of the rows of a reordered or cut training table that the model has not seen, and what to say of them.

    Raises:
        ValueError: The rows cannot be told by their contents; the message says why, and what to type.
    """
    if rows != "test":
        raise _cannot(table, rows, "by their contents rows are only known as seen in training or not; type rows='test' "
                      "for those that are not, or rows='all'")  # fmt: skip
    if seen is None or len(seen.hashes) == 0:
        raise _cannot(table, rows, f"the model keeps no hashes of its rows; {_INSTEAD}")
    if not seen.tells:
        raise _cannot(table, rows, f"{seen.chance:.0%} of the model's rows have a twin with the same inputs, so "
                      f"contents do not tell them; {_INSTEAD}")  # fmt: skip
    if not seen.is_whole:
        raise _cannot(table, rows, f"of its {seen.rows:,} rows the model keeps the hashes of {len(seen.hashes):,}; "
                      f"{_INSTEAD}")  # fmt: skip
    read = read_rows(table, modalities)
    found_N, told_N = seen.found_in(read)
    number = int(found_N.sum())
    if number == 0:
        raise _cannot(table, rows, "none of its rows trained the model, so all are held out; type rows='all'")
    also_N = np.zeros(len(table), dtype=bool) if calibrated is None else calibrated.found_in(read)[0] & ~found_N
    chosen = np.flatnonzero(told_N & ~found_N & ~also_N)
    if len(chosen) == 0:
        raise _cannot(table, rows, "all of its rows trained the model, chose its epoch or calibrated it; give rows it "
                      "has not seen")  # fmt: skip
    empty = int((~told_N).sum())
    also = f"; {counted(empty, 'row')} that hold nothing the model reads are left out" if empty else ""
    return chosen, (
        f"{number:,} of {counted(len(table), 'row')}, known again by their contents, trained the model or chose its "
        f"epoch{f', {int(also_N.sum()):,} calibrated it' if also_N.any() else ''}; the other {len(chosen):,} are "
        f"judged{also}"
    )


def _cannot(table: Table, rows: str, why: str) -> ValueError:
    return ValueError(
        f"{table.source} has no split column and is not the table the model was trained on as it stood then, so "
        f"rows={rows!r} cannot be chosen: {why}"
    )


@dataclass(frozen=True)
class KnownSplit:
    """What a finished model knows of the rows of a table.

    Attributes:
        split: Part of each row; None where nothing tells.
        column: The split column, where the table has it.
        is_training_table: Whether the model was trained on this very table.
        is_split_known: Whether ``split`` is that of the training run for certain.
        notes: What must be reported.
    """

    split: np.ndarray | None
    column: str | None
    is_training_table: bool
    is_split_known: bool
    notes: tuple[str, ...] = ()


def recognise(
    table: Table, *, schema: Schema, task: Task, seed: int, facts: Mapping[str, Any], data: DataSettings | None = None
) -> KnownSplit:
    """Whether a table is the one a model was trained on, and the split of its rows; see :func:`choose_rows`."""
    notes: list[str] = []
    column = schema.split if schema.split in table.column_names else None
    is_training_table = facts.get("rows") == len(table) and facts.get("fingerprint") == table_fingerprint(table)
    split = None if column is None else np.asarray(read_split(table.column(column)), dtype=object)
    is_split_known = False
    if is_training_table:
        known = facts.get("split_fingerprint")
        again, how = _training_split(table, schema, task, seed, data)
        if known is not None and known != split_fingerprint(again):  # of a model from before contents were tied
            again, how = _training_split(table, schema, task, seed, data, tie_content=False)
        is_split_known = known is None or known == split_fingerprint(again)
        if not is_split_known:
            notes.append(
                "SEEN IN TRAINING: this is the table the model was trained on, but this version of Plait cannot deal "
                "its split again; most of these rows are training rows, and the numbers flatter the model"
            )
        elif split is None or ((split != again) & (again != "")).any():
            notes += ["this is the table the model was trained on; its rows are split as in training", *how]
            split = again
    return KnownSplit(split, column, is_training_table, is_split_known, tuple(notes))


def _training_split(
    table: Table, schema: Schema, task: Task, seed: int, data: DataSettings | None, *, tie_content: bool = True
) -> tuple[np.ndarray, list[str]]:
    """The split that the training run made of this table."""
    values, without = read_targets(table, schema.target, task)
    usable = np.array([i for i in range(len(table)) if i not in without], dtype=np.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # reported in training already
        return make_split(table, schema, usable, values, task, seed, data, tie_content=tie_content)


def seen_in(notes: Sequence[str]) -> tuple[str, str] | None:
    """How many of how many judged rows trained the model, as the first note that counts them says; None: none does.

    Example:
        >>> seen_in(["SEEN IN TRAINING: 3 of 9 judged rows show the same as rows that trained the model"])
        ('3', '9')
    """
    found = (re.search(r"^SEEN IN TRAINING: ([\d,]+) of ([\d,]+) judged rows? (?!are marked)", n) for n in notes)
    return next(((one[1], one[2]) for one in found if one is not None), None)


def _seen_notes(split: np.ndarray, column: str | None, has_test: bool, has_folds: bool) -> list[str]:
    """Warnings about evaluated rows that trained the model or chose its epoch; ``column`` only marks them as such."""
    notes = []
    count = {s: int((split == s).sum()) for s in ("train", "val", CALIBRATION)}
    advice = "; rows='test' judges rows it has not seen" if has_test else ""
    if count["train"]:
        known = "are training rows: the model has seen their answers, and"
        marked = f"are marked train in column {column!r}: if the model was trained on them,"
        notes.append(
            f"SEEN IN TRAINING: {count['train']} of {len(split)} judged rows {marked if column else known} the numbers "
            f"flatter it{advice}"
        )
    if count["val"] and has_folds and not column:
        notes.append(trained_in_folds(count["val"], len(split)) + advice)
    elif count["val"]:
        all_of_them = count["val"] == len(split)
        known = CHOSE_THE_EPOCH if all_of_them else (
            f"{count['val']} of {len(split)} judged rows are validation rows, which also chose the epoch: the numbers "
            "are optimistic"
        )  # fmt: skip
        marked = (
            f"{count['val']} of {len(split)} judged rows are marked val in column {column!r}: if they chose the epoch, "
            "the numbers are optimistic"
        )
        notes.append(marked if column else known)
    if count[CALIBRATION]:
        notes.append(
            f"{count[CALIBRATION]} of {len(split)} judged rows are calibration rows: what is said of calibration and "
            "coverage on them is optimistic"
        )
    return notes
