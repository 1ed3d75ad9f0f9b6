"""What the columns of a table mean: their kind (text, image, ...) and role (input, target, id, ...).

:func:`guess_schema` guesses both, gives the reason for each guess, and obeys every name that the user
gives. The rules that look into the values are in :mod:`plait.data.guess` and in the kinds themselves. A modality is one
column of text, images, sounds, sets of images or vectors; all numeric, categorical and date input columns together are
one modality, ``tabular``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from plait.data.arrow_types import is_list
from plait.data.column_kind import COLUMN_KINDS, Hints, is_joined
from plait.data.guess import guess_column, guess_target_kind, is_group_name, is_id_name, is_split, kind_fault
from plait.data.label_lists import are_label_lists
from plait.data.modality import Modality
from plait.data.reads_like import reading_of
from plait.data.table import Table
from plait.data.values import DATE_ORDERS, DECIMAL_MARKS, HELD, ColumnReading
from plait.registry import counted, unknown_name

ROLES = ("input", "target", "id", "group", "split", "ignored")
NAMED = "named by the user"
_ONCE = ("target", "id", "group", "split")
_ALL_DIFFERENT = 20  # rows from which on a class for each of them is no class
_MATCH_NAMES = frozenset({"match", "matches", "matching", "is_match", "matched"})


@dataclass(frozen=True)
class Column:
    """One column: its kind (None where it is not used as a value), its role, and why."""

    name: str
    kind: str | None
    role: str
    reason: str
    reading: ColumnReading | None = None
    """What its cells were in the training table; None for what is neither text, number nor truth value."""

    @property
    def joined_as(self) -> str | None:
        """The modality that it makes with others of its kind; None where it is one by itself."""
        return COLUMN_KINDS.get(self.kind).joined_as if self.kind is not None else None

    @property
    def scale(self) -> str | None:
        """What its values measure: "class" or "number"; None: neither."""
        return COLUMN_KINDS.get(self.kind).scale if self.kind is not None else None


@dataclass(frozen=True)
class Schema:
    """The columns of a table in order, with kind and role.

    Raises:
        ValueError: A column twice, an unknown kind or role, an input without a kind, or two targets.
    """

    columns: tuple[Column, ...]

    def __post_init__(self) -> None:
        names = [column.name for column in self.columns]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"the schema has the columns {repeated} more than once; expected each once")
        for column in self.columns:
            if column.role not in ROLES:
                raise ValueError(f"column {column.name!r}: {unknown_name('role', column.role, list(ROLES))}")
            if column.kind is not None and column.kind not in COLUMN_KINDS:
                raise ValueError(f"column {column.name!r}: {unknown_name('kind', column.kind, COLUMN_KINDS.names())}")
            if column.role == "input" and column.kind is None:
                kinds = tuple(COLUMN_KINDS)
                raise ValueError(f"column {column.name!r} is an input without a kind; expected one of {kinds}")
        for role in _ONCE:
            holders = [column.name for column in self.columns if column.role == role]
            if len(holders) > 1:
                raise ValueError(f"the columns {holders} all have the role {role!r}; expected one at most")
        used = [(column.name, column.joined_as) for column in self.columns if column.role == "input"]
        for joined in {joined for _, joined in used if joined is not None}:
            if (joined, None) in used:
                raise ValueError(
                    f"a column of another kind is named {joined!r}, as all numbers together are; rename it"
                )

    def column(self, name: str) -> Column:
        """The column of that name.

        Raises:
            ValueError: No such column.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise ValueError(unknown_name("column", name, [column.name for column in self.columns]))

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the input columns, in table order."""
        return tuple(column.name for column in self.columns if column.role == "input")

    @property
    def target(self) -> str | None:
        """The column to be predicted."""
        return self._holder("target")

    @property
    def id(self) -> str | None:
        """The column that names rows."""
        return self._holder("id")

    @property
    def group(self) -> str | None:
        """The column whose equal values stay in one split."""
        return self._holder("group")

    @property
    def split(self) -> str | None:
        """The column that says train, val or test."""
        return self._holder("split")

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """Columns of their own kind in table order, then ``tabular`` if there are numbers or categories."""
        used = [column for column in self.columns if column.role == "input"]
        made = [Modality(c.name, c.kind, (c.name,)) for c in used if c.kind is not None and c.joined_as is None]
        joined: dict[str, list[str]] = {}
        for column in used:
            if column.joined_as is not None:
                joined.setdefault(column.joined_as, []).append(column.name)
        return (*made, *(Modality(name, name, tuple(columns)) for name, columns in joined.items()))

    def to_json(self) -> dict[str, Any]:
        """The schema as JSON values."""
        return {"columns": [_column_json(column) for column in self.columns]}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Schema:
        """The schema that :meth:`to_json` wrote.

        Raises:
            ValueError: Another shape.
        """
        keys, more = {"name", "kind", "role", "reason"}, {"held", "mark", "order", "zone", "missing"}
        rows = data.get("columns") if isinstance(data, dict) and set(data) == {"columns"} else None
        if not isinstance(rows, list) or not all(
            isinstance(row, dict) and keys <= set(row) <= keys | more for row in rows
        ):
            raise ValueError(f"not a schema; expected a list 'columns' of objects with the keys {sorted(keys)}")
        for row in rows:
            texts = [*(v for k, v in row.items() if k != "missing"), *row.get("missing", [])]
            if not all(isinstance(v, str) for v in texts if v is not row["kind"] or v is not None):
                raise ValueError(f"not a schema: {row!r}; expected texts")
            if row.get("order", "dmy") not in DATE_ORDERS:
                raise ValueError(f"not a schema: {row!r}; expected order among {DATE_ORDERS}")
            if row.get("held", "text") not in HELD or row.get("mark", ".") not in DECIMAL_MARKS:
                raise ValueError(f"not a schema: {row!r}; expected held among {HELD} and mark among {DECIMAL_MARKS}")
        made = []
        for row in rows:
            how = {k: row[k] for k in ("mark", "order", "zone") if k in row} | {
                "missing": tuple(row.get("missing", ()))
            }
            reading = ColumnReading(row["held"], **how) if "held" in row else None
            made.append(Column(row["name"], row["kind"], row["role"], row["reason"], reading))
        return cls(tuple(made))

    @property
    def readings(self) -> dict[str, ColumnReading]:
        """How each column was read, to be handed to the reader of every later table."""
        return {column.name: column.reading for column in self.columns if column.reading is not None}

    def describe(self) -> str:
        """One line a column: name, role, kind, reason."""
        width = max((len(column.name) for column in self.columns), default=0)
        lines = [f"{c.name:<{width}}  {c.role:<7}  {c.kind or '-':<11}  {c.reason}" for c in self.columns]
        return "\n".join(lines)

    def _holder(self, role: str) -> str | None:
        return next((column.name for column in self.columns if column.role == role), None)


Claims = Mapping[str, str | Sequence[str] | None]


def guess_schema(
    table: Table,
    *,
    target: str | None = None,
    text: str | Sequence[str] = (),
    image: str | Sequence[str] = (),
    audio: str | Sequence[str] = (),
    image_set: str | Sequence[str] = (),
    vector: str | Sequence[str] = (),
    numeric: str | Sequence[str] = (),
    categorical: str | Sequence[str] | None = None,
    date: str | Sequence[str] = (),
    ignore: str | Sequence[str] = (),
    split: str | None = None,
    group: str | None = None,
    id: str | None = None,
    hints: Hints | None = None,
) -> Schema:
    """Guess kind and role of each column, with a reason; named columns are what the user says.

    Args:
        table: The table.
        target: The column to be predicted; never guessed.
        text: Columns that are text.
        image: Columns that are images.
        audio: Columns that are sounds.
        image_set: Columns that are sets of images, any number in a cell.
        vector: Columns that are ready vectors, or sequences of them.
        numeric: Columns that are numbers (the target among them: a regression).
        categorical: Columns that are categories (the target among them: a classification).
        date: Columns that are dates, times of day or both.
        ignore: Columns to leave out.
        split: The column that says train, val or test.
        group: The column whose equal values stay in one split.
        id: The column that names rows.
        hints: How to read cells that could be read in two ways.

    Raises:
        ValueError: A column that is not there, one that is named as two things, or one whose values cannot be
            of the kind it is given.
    """
    hints = hints or Hints()
    named_kinds = {
        "text": text, "image": image, "audio": audio, "image_set": image_set, "vector": vector,
        "numeric": numeric, "categorical": categorical, "date": date,
    }  # fmt: skip
    named_roles = {"target": target, "split": split, "group": group, "id": id, "ignored": ignore}
    kinds, roles = claimed_columns(table, named_kinds, named_roles, hints)
    taken = set(roles.values())
    columns = []
    for name in table.column_names:
        column = _named(table, name, kinds.get(name), roles.get(name), hints)
        if column is None:
            column = _guessed(table, name, taken, hints)
            taken.add(column.role)
        columns.append(column)
    return Schema(tuple(replace(c, reading=reading_of(table, c.name, c.kind, hints)) for c in columns))


def claimed_columns(table: Table, kinds: Claims, roles: Claims, hints: Hints) -> tuple[dict[str, str], dict[str, str]]:
    """What the user says of columns, checked: kind and role of each column that is named.

    Args:
        table: The table.
        kinds: Names of columns by the kind they are given.
        roles: Names of columns by the role they are given.
        hints: How to read cells that could be read in two ways.

    Raises:
        ValueError: As of :func:`guess_schema`.
    """
    kind_of, role_of = _claims(table, kinds, "kind"), _claims(table, roles, "role")
    for name in kind_of:
        if role_of.get(name, "target") != "target":
            raise ValueError(f"column {name!r} is named as {kind_of[name]} and as {role_of[name]}; name it once")
    for name, kind in kind_of.items():
        fault = kind_fault(table, name, kind, role_of.get(name, "input"), hints)
        if fault is not None:
            raise ValueError(f"{table.source}: {fault}")
    return kind_of, role_of


def without_loose_columns(schema: Schema, named: Sequence[str]) -> tuple[Schema, list[str]]:
    """Set guessed numbers and categories aside where two or more texts or images are there to find each other.

    Args:
        schema: The guess.
        named: Columns that the user gave a kind; they stay.

    Returns:
        The schema, and the columns set aside.
    """
    if sum(not is_joined(m) for m in schema.modalities) < 2:
        return schema, []
    loose = [c.name for c in schema.columns if c.role == "input" and c.joined_as is not None and c.name not in named]
    why = "a number or category beside texts and images; name it (numeric=, categorical=) to search by it"
    columns = tuple(Column(c.name, None, "ignored", why, c.reading) if c.name in loose else c for c in schema.columns)
    return Schema(columns), loose


def left_out_columns(schema: Schema) -> list[Column]:
    """The columns that were left out without the user's saying so."""
    return [c for c in schema.columns if c.role == "ignored" and c.reason != NAMED]


def guess_task(table: Table, schema: Schema) -> tuple[str, str]:
    """The task that fits the target: "classification", "multilabel", "regression" or "matching", and why.

    Raises:
        ValueError: No target, a target without a value, or a target that is free text.
    """
    if schema.target is None:
        raise ValueError("the schema has no target; name the column to be predicted (target=COL)")
    target = schema.column(schema.target)
    if target.kind is None:
        raise ValueError(f"the target {target.name!r} cannot be learned: {target.reason}")
    if target.kind == "date":
        raise ValueError(
            f"the target {target.name!r} is named as dates, and Plait predicts classes and numbers; make a number of "
            f"it, such as the days since a day, or a class, such as its month"
        )
    if target.scale is None:
        raise ValueError(f"the target {target.name!r} is {target.kind}; expected classes or numbers")
    if is_list(table.arrow.schema.field(target.name).type):
        return "multilabel", f"{target.name!r} holds lists of labels"
    if target.scale == "class" and target.reason != NAMED and are_label_lists(table.column(target.name)):
        return "multilabel", f"{target.name!r} holds lists of labels, as text"
    if target.scale == "number":
        return "regression", f"{target.name!r} is a number: {target.reason}"
    filled = [v for v in table.column(target.name) if v is not None]
    distinct = set(filled)
    if target.reason != NAMED and len(filled) == len(distinct) >= _ALL_DIFFERENT:
        raise ValueError(
            f"the target {target.name!r} says something else in each of {len(filled):,} rows, so it names no classes; "
            "name another column with target=, or, where it holds texts to be written, task='captioning' or "
            f"task='vqa_open' (to take every one as a class: categorical={target.name!r})"
        )
    modalities = schema.modalities
    if (
        target.name.lower() in _MATCH_NAMES
        and distinct <= {0, 1}
        and len(modalities) == 2
        and not any(is_joined(m) for m in modalities)
    ):
        pair = f"{modalities[0].name!r} and {modalities[1].name!r}"
        return "matching", f"{target.name!r} says 0 or 1 of {pair}"
    return "classification", f"{target.name!r} has {counted(len(distinct), 'class', 'classes')}"


def _column_json(column: Column) -> dict[str, Any]:
    """A column as JSON values; the mark only where it is no point."""
    plain: dict[str, Any] = {"name": column.name, "kind": column.kind, "role": column.role, "reason": column.reason}
    if column.reading is not None:
        plain["held"] = column.reading.held
        if column.reading.mark != ".":
            plain["mark"] = column.reading.mark
        plain |= {k: v for k in ("order", "zone") if (v := getattr(column.reading, k))}
        if column.reading.missing:
            plain["missing"] = list(column.reading.missing)
    return plain


def _claims(table: Table, given: Claims, what: str) -> dict[str, str]:
    """Column -> the kind or role that the user gave it."""
    claims: dict[str, str] = {}
    for claim, names in given.items():
        for name in (names,) if isinstance(names, str) else names or ():
            if name not in table.column_names:
                raise ValueError(f"{table.source}: {unknown_name('column', name, table.column_names)}")
            if claims.get(name, claim) != claim:
                raise ValueError(f"column {name!r} is named as {claims[name]} and as {claim}; give it one {what}")
            claims[name] = claim
    return claims


def _named(table: Table, name: str, kind: str | None, role: str | None, hints: Hints) -> Column | None:
    if role == "target":
        if kind is not None:
            return Column(name, kind, "target", NAMED)
        guessed, reason = guess_target_kind(table, name, hints)
        return Column(name, guessed, "target", reason)
    if role is not None:
        return Column(name, None, role, NAMED)
    return Column(name, kind, "input", NAMED) if kind is not None else None


def _guessed(table: Table, name: str, taken: set[str], hints: Hints) -> Column:
    if "split" not in taken and is_split(table, name):
        return Column(name, None, "split", "is called 'split' and says train, val or test")
    if is_group_name(table, name):
        if "group" not in taken:
            return Column(name, None, "group", "its name says that its equal values belong together")
        return Column(name, None, "ignored", "names groups of rows; another column is the group")
    if is_id_name(table, name):
        if "id" not in taken:
            return Column(name, None, "id", "its name and its values say that it names rows")
        return Column(name, None, "ignored", "names rows; another column is the id")
    kind, reason = guess_column(table, name, hints)
    return Column(name, kind, "ignored" if kind is None else "input", reason)
