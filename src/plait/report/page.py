"""The page as a whole: the sections in their order, under one head that lets nothing be loaded from
anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from plait.report import classes, facts, results, searches
from plait.report.style import CSS
from plait.report.words import esc

Maker = Callable[[dict[str, Any]], str]
Sections = tuple[tuple[str, str, Maker], ...]

# (anchor, title, maker); a section whose maker returns nothing is left out.
SECTIONS: Sections = (
    ("numbers", "Key numbers", results.key_numbers),
    ("directions", "Every direction", searches.direction_table),
    ("modalities", "Together and alone", results.modalities),
    ("training", "Training", results.training),
    ("errors", "Truth and prediction", results.errors),
    ("classes", "Class by class", classes.class_table),
    ("slices", "By column", results.slice_table),
    ("examples", "Examples", results.examples),
    ("searches", "Searches", searches.searches),
    ("cleaned", "Texts before and after cleaning", classes.cleaned),
    ("left-out", "Rows left out and counts", facts.left_out),
    ("data", "Data", facts.data),
    ("model", "Model", facts.model),
    ("settings", "Settings", facts.settings),
    ("versions", "Versions", facts.versions),
)
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def render(
    report: dict[str, Any], title: str, *, sections: Sections = SECTIONS, headline: Maker = results.headline
) -> str:
    """Return the HTML of a plain report.

    Args:
        report: What ``plain`` returned.
        title: Heading of the page.
        sections: Which sections, in which order.
        headline: What opens the page.
    """
    made = [(anchor, name, maker(report)) for anchor, name, maker in sections]
    made = [part for part in made if part[2]]
    about = [
        report.get("task"),
        f"target: {report['target']}" if report.get("target") else None,
        str(report["created"])[:19].replace("T", " ") if report.get("created") else None,
    ]
    links = "".join(f'<a href="#{anchor}">{name}</a>' for anchor, name, _ in made)
    body = "".join(f'<section id="{anchor}"><h2>{name}</h2>{inside}</section>' for anchor, name, inside in made)
    maker = f"Written by Plait {esc(report['plait'])}. " if report.get("plait") else "Written by Plait. "
    main = f"{headline(report)}<nav>{links}</nav>{body}"
    return document(title, about, main, f"{maker}The same numbers stand in the JSON file beside this page.")


def document(title: str, about: Sequence[str | None], main: str, foot: str, *, style: str = "") -> str:
    """The frame of every page of ours: one file, nothing loaded, no script.

    Args:
        title: Heading, escaped here.
        about: Facts for the line below it, escaped here; None is left out.
        main: HTML.
        foot: HTML of the last line.
        style: Style rules besides those of all pages.
    """
    facts_line = " \u00b7 ".join(esc(a) for a in about if a)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="referrer" content="no-referrer">'
        f'<title>{esc(title)}</title><style>{CSS}{style}</style></head>\n<body><div class="wrap">'
        f'<header><h1>{esc(title)}</h1><p class="meta">{facts_line}</p></header>'
        f"<main>{main}</main><footer>{foot}</footer></div></body></html>\n"
    )
