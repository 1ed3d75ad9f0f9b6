"""The data doctor as one call: ``plait.check`` opens a source as ``plait.fit`` does and examines the table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from plait.api.other_words import says_our_words
from plait.data.table_like import TableLike
from plait.report.shown import ShownReport

if TYPE_CHECKING:
    from plait.data.checks.check import CheckReport, Finding


class CheckedTable(ShownReport):
    """What was found in a table: a dictionary of its JSON that shows itself and has ``frame()``, one row a finding.

    Args:
        found: The findings.
        lang: Language in which it shows itself, "en" or "zh".
    """

    def __init__(self, found: CheckReport, lang: str = "en") -> None:
        super().__init__(found.to_json(), "check", lang)
        self.found, self.source, self.num_rows, self.schema = found, found.source, found.num_rows, found.schema

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.found, self.lang)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """One a check, in the order of their codes."""
        return self.found.findings

    @property
    def worst(self) -> str:
        """The worst severity found."""
        return self.found.worst

    def finding(self, code: str) -> Finding:
        """The finding of that code.

        Raises:
            ValueError: No such code.
        """
        return self.found.finding(code)

    def text(self, lang: str | None = None) -> str:
        """The findings for people, in "en" or "zh": what is wrong first, what is in order in one line at the end."""
        return self.found.text(lang or self.lang)

    def to_json(self) -> dict[str, Any]:
        """The findings as JSON values."""
        return self.found.to_json()

    def __repr__(self) -> str:
        return f"CheckedTable({self.found.source}; worst: {self.worst})"


@says_our_words
def check(
    table: TableLike,
    target: str | None = None,
    *,
    text: Sequence[str] | str = (),
    image: Sequence[str] | str = (),
    audio: Sequence[str] | str = (),
    image_set: Sequence[str] | str = (),
    vector: Sequence[str] | str = (),
    numeric: Sequence[str] | str = (),
    categorical: Sequence[str] | str = (),
    date: Sequence[str] | str = (),
    ignore: Sequence[str] | str = (),
    split: str | None = None,
    split_by_time: str | None = None,
    group: str | None = None,
    id: str | None = None,
    lang: str | None = None,
    format: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    decimal: str | None = None,
    date_order: str | None = None,
    columns: Sequence[str] = (),
    task: str | None = None,
    annotations: str | None = None,
    allow_outside: bool = False,
    allow_remote: bool = False,
    interactions: bool = False,
) -> CheckedTable:
    """Examine a table before training; nothing is changed.

    Args:
        table: Anything ``plait.fit`` takes.
        target: Column to predict.
        text: Columns to read as text, like ``image`` to ``ignore``, ``split``, ``split_by_time``, ``group`` and ``id``
            as for :func:`plait.fit`, so that both see the same table.
        lang: Language of the findings, "en" or "zh"; None: English.
        format: Format of the source when its name does not tell it; "coco".
        encoding: Encoding of a text file that is not UTF-8.
        delimiter: One character between the fields of a CSV file; None: found in its first rows.
        decimal: Decimal mark, "." or ",", of columns whose cells leave it open (1,234).
        date_order: "dmy" or "mdy", for dates whose column leaves it open (05/03/2024).
        columns: Names of the columns of a CSV or TSV file without a header line.
        task: For a COCO folder: matching, multilabel, captioning or retrieval.
        annotations: Folder of COCO annotations other than ``annotations``.
        allow_outside: Let cells name files outside the table's folder (of a table in memory: the current folder).
        allow_remote: Fetch cells that are addresses of objects (s3://, gs://, hf://, https://).
        interactions: Also say what each pair of modalities tells about the target alone, both alike and only together,
            from features of the frozen encoders that a fit would take (finding P060);
            it takes as long as encoding the table.

    Returns:
        The coded findings, each an error, a warning, an info, ok or not applicable: ``findings``, ``text()``,
        ``to_json()`` and ``frame()``; a dictionary with the keys of its JSON.

    Raises:
        ValueError: The source cannot be read, or the target is not there.

    Example:
        >>> import plait
        >>> plait.check({"text": ["a b c d", "e f g h"], "y": ["u", "u"]}, "y").finding("P002").severity
        'error'
    """
    from plait.api.known_letters import known_letters_finding
    from plait.data.checks.check import check_table
    from plait.data.checks.parts import parts_of_fit
    from plait.data.column_kind import Hints
    from plait.data.schema import guess_schema
    from plait.data.sources import open_source
    from plait.data.split_time import read_times, without_split
    from plait.registry import unknown_name
    from plait.settings import COLUMN_LISTS, DataOptions, RunSettings, TrainSettings, merge_values
    from plait.settings.names import PAGE_LANGUAGES, TASK_NAMES

    named = DataOptions(
        target, text, image, audio, image_set, vector, numeric, categorical, date, ignore, split=split,
        split_by_time=split_by_time, group=group,
        id=id, format=format, encoding=encoding, delimiter=delimiter, decimal=decimal, date_order=date_order,
        allow_outside=allow_outside or None, allow_remote=allow_remote or None,
    )  # fmt: skip
    data = merge_values(RunSettings(), {**named.given(), "data.columns": list(columns)}).data
    if lang is not None and lang not in PAGE_LANGUAGES:
        raise ValueError(unknown_name("language", lang, list(PAGE_LANGUAGES), where="lang="))
    if task is not None and task not in TASK_NAMES:
        raise ValueError(unknown_name("task", task, list(TASK_NAMES), where="task="))
    opened = open_source(table, data, task=task, annotations=annotations)
    hints = Hints(decimal, date_order)
    kinds = {name: getattr(opened.data, name) for name in COLUMN_LISTS}
    roles = {name: getattr(opened.data, name) for name in ("target", "split", "group", "id")}
    schema = guess_schema(opened.table, **kinds, **roles, hints=hints)
    schema = without_split(schema, opened.data)
    by_time = opened.data.split_by_time
    if by_time is not None:
        read_times(opened.table, by_time, hints)
    parts = parts_of_fit(opened.table, schema, opened.data, TrainSettings().seed)
    found = check_table(opened.table, schema, hints=hints, split_by_time=by_time, parts=parts)
    more = [known_letters_finding(opened.table, schema)]
    if interactions:
        from plait.api.interactions import interactions_finding

        more.insert(0, interactions_finding(opened.table, schema, opened.task))
    return CheckedTable(replace(found, findings=(*found.findings, *more)), lang or "en")
