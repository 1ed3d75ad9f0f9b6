"""What ``plait.compare`` returns: the report, its sentence, its table in plain text, and how it is saved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from plait.comparison.page import render
from plait.files import given_path, write_text
from plait.report.languages import spoken, tr
from plait.report.plain import plain
from plait.report.shown import ShownReport
from plait.report.words import columns

KIND_WORDS = {"fusion": "", "late": "late", "single": "baseline", "ensemble": "baseline"}


class Comparison(ShownReport):
    """Fusion methods compared on one table: a dictionary of everything, as in ``compare.json``.

    It shows itself in a notebook and has ``frame()`` (one row a method) and ``plot()``.

    Args:
        report: The dictionary, as :func:`plait.compare` makes it.
        lang: Language in which it shows itself, "en" or "zh".
    """

    def __init__(self, report: dict[str, Any], lang: str = "en") -> None:
        super().__init__(plain(report, "comparison"), "comparison", lang)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (dict(self), self.lang)

    def __repr__(self) -> str:
        ran = [m for m in self.report["methods"] if m["status"] == "ok"]
        return f"Comparison({len(ran)} lines on {self.report['target']!r}; selected {self.selected})"

    @property
    def report(self) -> dict[str, Any]:
        """Everything, as in ``compare.json``: the comparison itself."""
        return self

    @property
    def verdict(self) -> str:
        """What was found, in words."""
        return str(self.report["verdict"])

    @property
    def selected(self) -> str | None:
        """The fusing method that validation rows choose."""
        name: str | None = self.report["selected"]
        return name

    def method(self, name: str) -> dict[str, Any]:
        """The part of the report about one method.

        Args:
            name: Of the method, as in ``report["methods"]``.

        Raises:
            ValueError: No such method was compared.
        """
        for entry in self.report["methods"]:
            if entry["name"] == name:
                found: dict[str, Any] = entry
                return found
        known = ", ".join(m["name"] for m in self.report["methods"])
        raise ValueError(f"no method {name!r} was compared; there are {known}")

    def table(self, lang: str = "en") -> str:
        """The ranks as lines of text, then what could not be ranked.

        Args:
            lang: Its language, "en" or "zh".
        """
        with spoken(lang, [str(n) for m in self.report["methods"] for n in m.get("modalities") or ()]):
            return self._table()

    def _table(self) -> str:
        metric = tr(self.report["metric"]["name"], "metric")
        told = ("method", "95% interval", "spread", "rank", "val", "parameters", "train s")
        method, interval, spread, rank_, val, parameters, seconds = (tr(word, "column") for word in told)
        rows = [[method, "", metric, interval, spread, rank_, val, parameters, seconds, "MB", "ms/1k"]]
        for m in self.report["methods"]:
            if m["status"] != "ok":
                continue
            score, cost, rank = m["metric"], m["cost"], m["rank"]
            word = "selected" if m["name"] == self.selected else KIND_WORDS[m["kind"]]
            rows.append(
                [
                    tr(m["name"]), tr(word, "column"), _number(score["value"]), _span(score, 3),
                    _number(score["spread"]), f"{rank['value']:g}{_places(rank)}", _number(m["validation"]["value"]),
                    f"{cost['parameters']:,}", _number(cost["train_seconds"], 1),
                    _number(cost["memory_bytes"] / 1e6, 1), _number(cost["inference_ms_per_1000"], 1),
                ]
            )  # fmt: skip
        widths = [max(columns(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines = [
            "  ".join(_filled(c, w, left=i < 2) for i, (c, w) in enumerate(zip(row, widths, strict=True)))
            for row in rows
        ]
        absent = [m for m in self.report["methods"] if m["status"] != "ok"]
        lines += [f"{tr(m['name'])}: {tr(m['status'], 'column')}: {tr(m['reason'])}" for m in absent]
        for m in self.report["methods"]:
            if m["status"] == "ok" and m["failures"]:
                failed = tr(f"{len(m['failures'])} run(s) failed")
                lines.append(f"{tr(m['name'])}: {failed}: {tr(m['failures'][0]['reason'])}")
        return "\n".join(line.rstrip() for line in lines)

    def save(self, folder: str | Path, lang: str = "en") -> Path:
        """Write ``compare.json`` and ``compare.html`` (``lang``: "en" or "zh") into ``folder``, each as a whole."""
        place = given_path(folder, "folder", example="comparison")
        if place.exists() and not place.is_dir():
            raise ValueError(f"{place} is a file; choose a folder for the comparison")
        place.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.report, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
        for name, content in (("compare.json", text), ("compare.html", render(self.report, lang))):
            write_text(place / name, content)
        return place


def _filled(text: str, width: int, *, left: bool) -> str:
    """A text in a column of a width, a Chinese character counting two."""
    space = " " * (width - columns(text))
    return text + space if left else space + text


def _number(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def _span(score: dict[str, Any], digits: int) -> str:
    low, high = score["low"], score["high"]
    return "" if low is None or high is None else str(tr(f"{low:.{digits}f} to {high:.{digits}f}"))


def _places(rank: dict[str, Any]) -> str:
    return "" if rank["low"] is None else f" ({round(rank['low'], 1):g}-{round(rank['high'], 1):g})"
