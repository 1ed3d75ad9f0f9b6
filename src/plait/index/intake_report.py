"""What became of the rows of a source that was taken into an index."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from plait.registry import counted


@dataclass
class Intake:
    """What became of the rows of a source.

    Attributes:
        source: Which.
        num_rows: Rows in it.
        resumed_at: The row at which a stopped run went on.
        added: Items that are new.
        updated: Items whose content changed ("changed" in words).
        retold: Items whose metadata changed and whose content did not.
        unchanged: Items that were there already.
        embedded: Contents that the model embedded.
        shared: New or updated items whose content was known already (duplicates).
        deleted: Items that were gone from the source and were deleted.
        gone: Items that are gone from the source and were kept.
        missing: Rows with nothing in the modality.
        bad_rows: Rows that could not be read: number, reason.
        notes: What a person should know.
    """

    source: str
    num_rows: int
    resumed_at: int = 0
    added: int = 0
    updated: int = 0
    retold: int = 0
    unchanged: int = 0
    embedded: int = 0
    shared: int = 0
    deleted: int = 0
    gone: int = 0
    missing: int = 0
    bad_rows: list[tuple[int, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {**asdict(self), "bad_rows": [{"row": row, "reason": why} for row, why in self.bad_rows]}

    def text(self, lang: str = "en") -> str:
        """The report for people, in "en" or "zh"."""
        from plait.report.languages import spoken, tr

        with spoken(lang):
            colon, comma, more = tr(": ", "stop"), tr(", ", "list"), len(self.bad_rows) - 10
            rows = tr(counted(self.num_rows, "row"))
            lines = [f"{self.source}{colon}{rows}{colon}{comma.join(self._counts()) or tr('nothing to do')}"]
            lines += [f"  {tr(f'row {row}')}{colon}{_of_item(why)}" for row, why in self.bad_rows[:10]]
            lines += [f"  {tr(f'and {more:,} more')}"] if more > 0 else []
            return "\n".join(lines + [f"  {tr('note')}{colon}{tr(note)}" for note in self.notes])

    def _counts(self) -> list[str]:
        """What became of how many items, in the language that is spoken."""
        from plait.report.languages import tr

        return [
            f"{value:,} {tr(word, 'index')}"
            for value, word in (
                (self.added, "added"),
                (self.updated, "changed"),
                (self.retold, "with new metadata"),
                (self.unchanged, "unchanged"),
                (self.deleted, "deleted"),
                (self.gone, "gone from the source and kept (prune=True deletes them)"),
                (self.shared, "shared the content of another"),
                (self.missing, "empty"),
                (len(self.bad_rows), "unreadable"),
            )
            if value
        ]


def _of_item(why: str) -> str:
    """Why a row cannot be read, in the language that is spoken, behind the name of its item where that leads."""
    from plait.report.languages import tr

    name, colon, reason = why.partition(": ")
    return f"{name}{tr(colon, 'stop')}{tr(reason)}" if colon else str(tr(why))
