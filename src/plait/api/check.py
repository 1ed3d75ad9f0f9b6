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
    """

    def __init__(self, found: CheckReport) -> None:
        super().__init__(found.to_json(), "check")
        self.found, self.source, self.num_rows, self.schema = found, found.source, found.num_rows, found.schema

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.found,)

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

    def text(self) -> str:
        """The findings for people: what is wrong first, what is in order in one line at the end."""
        return self.found.text()

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
    from plait.data.checks.check import check_table
    from plait.data.column_kind import Hints
    from plait.data.sources import open_source
    from plait.registry import unknown_name
    from plait.settings import RunSettings, merge_values
    from plait.settings.names import TASK_NAMES

    given = {
        "format": format, "encoding": encoding, "delimiter": delimiter, "decimal": decimal, "date_order": date_order,
        "target": target, "columns": list(columns), "allow_outside": allow_outside, "allow_remote": allow_remote,
    }  # fmt: skip
    data = merge_values(RunSettings(), {f"data.{name}": value for name, value in given.items()}).data
    if task is not None and task not in TASK_NAMES:
        raise ValueError(unknown_name("task", task, list(TASK_NAMES), where="task="))
    opened = open_source(table, data, task=task, annotations=annotations)
    hints = Hints(decimal, date_order)
    found = check_table(opened.table, target=opened.data.target, hints=hints)
    if not interactions:
        return CheckedTable(found)
    from plait.api.interactions import interactions_finding
    from plait.data.schema import guess_schema

    schema = guess_schema(opened.table, target=opened.data.target, hints=hints)
    more = interactions_finding(opened.table, schema, opened.task)
    return CheckedTable(replace(found, findings=(*found.findings, more)))
