"""What the data doctor says: one finding a check, always all of them, with a code that stays the same."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from plait.registry import counted

SEVERITIES = ("error", "warning", "info", "ok", "n/a")
_SHOWN = 8


@dataclass(frozen=True)
class Finding:
    """The outcome of one check.

    Attributes:
        code: "P001" and so on; a code never changes its meaning.
        severity: "error" (training would fail or lie), "warning", "info", "ok", or "n/a" (does not apply).
        title: What was checked.
        detail: What was found, with counts and examples.
        rows: The rows concerned, as numbered in the user's source; in full.
    """

    code: str
    severity: str
    title: str
    detail: str
    rows: list[int]

    def __post_init__(self) -> None:
        if self.severity not in SEVERITIES:
            raise ValueError(f"severity {self.severity!r}; expected one of {SEVERITIES}")


@dataclass(frozen=True)
class CheckReport:
    """All findings about one table.

    Attributes:
        source: Where the table came from.
        num_rows: The rows that parsed.
        findings: One a check, in the order of their codes.
        schema: The columns as understood, one line a column.
    """

    source: str
    num_rows: int
    findings: tuple[Finding, ...]
    schema: str

    @property
    def worst(self) -> str:
        """The worst severity found."""
        return min((finding.severity for finding in self.findings), key=SEVERITIES.index, default="ok")

    def finding(self, code: str) -> Finding:
        """The finding of that code.

        Raises:
            ValueError: No such code.
        """
        for finding in self.findings:
            if finding.code == code:
                return finding
        raise ValueError(f"no check {code!r}; there are {', '.join(f.code for f in self.findings)}")

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values."""
        counts = {s: sum(f.severity == s for f in self.findings) for s in SEVERITIES}
        keys = ("code", "severity", "title", "detail", "rows")
        findings = [{key: getattr(f, key) for key in keys} for f in self.findings]
        return {
            "source": self.source,
            "num_rows": self.num_rows,
            "worst": self.worst,
            "counts": counts,
            "findings": findings,
            "schema": self.schema.splitlines(),
        }

    def text(self) -> str:
        """The report for people: what is wrong first, what is in order in one line at the end."""
        lines = [f"{self.source}: {counted(self.num_rows, 'row')}", "", self.schema, ""]
        for finding in sorted(self.findings, key=lambda f: SEVERITIES.index(f.severity)):
            if finding.severity not in ("ok", "n/a"):
                lines.append(f"{finding.severity:<7} {finding.code} {finding.title}: {finding.detail}")
        for severity, word in (("ok", "in order"), ("n/a", "does not apply")):
            codes = [f"{f.code} {f.title}" for f in self.findings if f.severity == severity]
            if codes:
                lines.append(f"{word}: {', '.join(codes)}")
        return "\n".join(lines)


def name_rows(rows: Iterable[int]) -> str:
    """Row numbers in words: the first few, and how many more.

    Example:
        >>> name_rows([3, 1])
        'rows 1, 3'
    """
    ordered = sorted(set(rows))
    more = f" and {len(ordered) - _SHOWN:,} more" if len(ordered) > _SHOWN else ""
    return f"row{'s' if len(ordered) != 1 else ''} {', '.join(map(str, ordered[:_SHOWN]))}{more}"
