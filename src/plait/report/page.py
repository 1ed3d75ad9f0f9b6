"""The page as a whole: the sections in their order, under one head that lets nothing be loaded from anywhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from plait.report import (
    budget,
    checks,
    classes,
    facts,
    fusion_weights,
    members,
    missing,
    results,
    searches,
    trust,
    trust_parts,
    unlabelled,
)
from plait.report.languages import ENGLISH, spoken, tr
from plait.report.style import CSS
from plait.report.template import fill
from plait.report.words import modality, names_of

Maker = Callable[[dict[str, Any]], str]
Sections = tuple[tuple[str, str, Maker], ...]

# (anchor, title, maker); a section whose maker returns nothing is left out.
SECTIONS: Sections = (
    ("checks", "What to know first", checks.section),
    ("numbers", "Key numbers", results.key_numbers),
    ("directions", "Every direction", searches.direction_table),
    ("modalities", "Together and alone", results.modalities),
    ("members", "Models that answer together", members.section),
    ("unlabelled", "Unlabelled rows", unlabelled.section),
    ("budget", "Time and search", budget.section),
    ("missing", "With modalities missing", missing.section),
    ("trust", "Can it be trusted?", trust.section),
    ("trusted", "Damaged, foreign and doubtful rows", trust_parts.section),
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
    ("fusion-weights", "Weights of the fusion", fusion_weights.section),
    ("settings", "Settings", facts.settings),
    ("versions", "Versions", facts.versions),
)
TEMPLATE = "report/page.html.jinja"


def render(
    report: dict[str, Any], title: str, *, sections: Sections = SECTIONS, headline: Maker = results.headline,
    lang: str = ENGLISH,
) -> str:  # fmt: skip
    """Return the HTML of a plain report.

    Args:
        report: What ``plain`` returned.
        title: Heading of the page.
        sections: Which sections, in which order.
        headline: What opens the page.
        lang: Language of the page, one of ``plait.report.languages.LANGUAGES``.

    Raises:
        ValueError: There is no such language.
    """
    with spoken(lang, names_of(report)):
        return _render(report, title, sections, headline)


def _render(report: dict[str, Any], title: str, sections: Sections, headline: Maker) -> str:
    about = [
        tr(report.get("task"), "task"),
        tr(f"target: {report['target']}") if report.get("target") else None,
        str(report["created"])[:19].replace("T", " ") if report.get("created") else None,
        *(f"{modality(name)}{tr(': ', 'stop')}{tr(meaning)}" for name, meaning in (report.get("terms") or {}).items()),
    ]
    made = [(anchor, name, maker(report)) for anchor, name, maker in sections]
    version = f" {report['plait']}" if report.get("plait") else ""
    foot = f"Written by Plait{version}. The same numbers stand in the JSON file beside this page."
    return document(title, about, in_sections(headline(report), made), foot)


def in_sections(headline: str, made: Sequence[tuple[str, str, str]]) -> str:
    """HTML of what opens the page, of links to its sections and of the sections; empty ones are left out.

    Args:
        headline: HTML.
        made: Anchor, title and HTML of each section.
    """
    return fill(TEMPLATE, "sections", headline=headline, made=[part for part in made if part[2]])


def document(title: str, about: Sequence[str | None], main: str, foot: str, *, style: str = "") -> str:
    """The frame of every page of ours: one file, nothing loaded, no script.

    Args:
        title: Heading.
        about: Facts for the line below it; None is left out.
        main: HTML from a template.
        foot: The last line.
        style: Style rules besides those of all pages.
    """
    line = " \u00b7 ".join(str(a) for a in about if a)
    return fill(TEMPLATE, "document", title=tr(title), about=line, main=main, foot=tr(foot), style=CSS + style) + "\n"
