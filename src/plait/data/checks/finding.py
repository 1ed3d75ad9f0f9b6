"""What the data doctor says: one finding a check, always all of them, with a code that stays the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from plait.registry import counted, one_line

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
        columns: The same apart: name, role, kind and reason of each.
    """

    source: str
    num_rows: int
    findings: tuple[Finding, ...]
    schema: str
    columns: tuple[tuple[str, str, str, str], ...] = ()

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

    def text(self, lang: str = "en") -> str:
        """The report for people: what is wrong first, what is in order in one line at the end.

        Args:
            lang: "en" or "zh".
        """
        from plait.report.languages import spoken

        with spoken(lang, [name for name, *_ in self.columns]):
            return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        from plait.report.languages import tr

        colon, comma = tr(": ", "stop"), tr(", ", "list")
        yield from (f"{self.source}{colon}{tr(counted(self.num_rows, 'row'))}", "")
        width = max((len(one_line(name)) for name, *_ in self.columns), default=0)
        for name, role, kind, reason in self.columns:
            yield f"{one_line(name):<{width}}  {tr(role, 'role'):<7}  {tr(kind, 'kind'):<11}  {one_line(tr(reason))}"
        yield from () if self.columns else (self.schema,)
        yield ""
        for finding in sorted(self.findings, key=lambda f: SEVERITIES.index(f.severity)):
            if finding.severity not in ("ok", "n/a"):
                severity = f"{tr(finding.severity, 'severity'):<7}"
                yield f"{severity} {finding.code} {tr(finding.title)}{colon}{one_line(tr(finding.detail))}"
        for severity, word in (("ok", "in order"), ("n/a", "does not apply")):
            codes = [f"{f.code} {tr(f.title)}" for f in self.findings if f.severity == severity]
            if codes:
                yield f"{tr(word)}{colon}{comma.join(codes)}"


def name_rows(rows: Iterable[int]) -> str:
    """Row numbers in words: the first few, and how many more.

    Example:
        >>> name_rows([3, 1])
        'rows 1, 3'
    """
    ordered = sorted(set(rows))
    more = f" and {len(ordered) - _SHOWN:,} more" if len(ordered) > _SHOWN else ""
    return f"row{'s' if len(ordered) != 1 else ''} {', '.join(map(str, ordered[:_SHOWN]))}{more}"
