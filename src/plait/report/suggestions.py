"""The page of rows to label next: each with its inputs, what the model answers, and why it is wanted."""

from __future__ import annotations

from typing import Any

from plait.report.languages import ENGLISH, spoken, tr
from plait.report.page import document
from plait.report.template import fill

TEMPLATE = "report/suggestions.html.jinja"
MOST_SHOWN = 200  # rows on the page; all of them stand in the JSON file


def render(found: dict[str, Any], lang: str = ENGLISH) -> str:
    """The HTML of suggestions.

    Args:
        found: ``suggestions`` (``row``, ``inputs``, ``reason``, ``score``, ``prediction``), ``source``, ``rows``,
            ``strategy`` with what it ``does``, ``seed``, ``target``, ``left_out``, ``passed_over`` and ``notes``.
        lang: As for :func:`plait.report.page.render`.

    Raises:
        ValueError: There is no such language.
    """
    names = {i["name"] for row in found["suggestions"] for i in row["inputs"]} | {found["target"]}
    with spoken(lang, names):
        return _render(found)


def _render(found: dict[str, Any]) -> str:
    shown = found["suggestions"][:MOST_SHOWN]
    total = len(found["suggestions"])
    lead = f"The first {len(shown)} of {total:,} rows." if total > len(shown) else ""
    left = [f"{number:,} rows of the pool {why}: left out" for why, number in (found.get("left_out") or {}).items()]
    if found.get("passed_over"):
        left.append(f"{found['passed_over']:,} rows show nearly the same as one that is suggested: passed over")
    main = fill(TEMPLATE, "rows", rows=shown, lead=lead, notes=[*left, *found.get("notes", [])])
    about = [
        tr(f"{total:,} of {found['rows']:,} rows of {found['source']}"), tr(f"to fill in: {found['target']}"),
        tr(f"{found['strategy']}: {found['does']}"), tr(f"seed {found['seed']}"),
    ]  # fmt: skip
    foot = "Written by Plait. The same rows stand in the JSON file beside this page."
    return document("What to label next", about, main, foot)
