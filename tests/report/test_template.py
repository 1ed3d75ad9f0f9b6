"""Templates: text is escaped, only our own charts and style rules are not, and what is absent shows as nothing."""

from __future__ import annotations

import re
from pathlib import Path

import plait
from plait.report.page import render
from plait.report.template import PARTS, fill

FOLDER = Path(plait.__file__).parent


# charts of ours, and what a template of ours has filled (and escaped) already
DRAWN = {
    "chart",
    "card.chart",
    "style",
    "overlay",
    "side.drawn",
    "side.curves",
    "part.chart",
    "row.said",
    "entry.drawn",
}


def test_only_charts_and_style_rules_are_taken_as_html() -> None:
    templates = sorted(FOLDER.rglob("*.html.jinja"))
    assert {t.parent.name for t in templates} == {"report", "index", "comparison"}
    for template in templates:
        text = template.read_text("utf-8")
        assert set(re.findall(r"\{\{ (\S+) \| safe \}\}", text)) <= DRAWN, template.name
        assert text.count("safe }}") == text.count("| safe"), template.name
        assert "autoescape" not in text, template.name


def test_text_is_escaped_and_invisible_letters_are_shown() -> None:
    assert fill(PARTS, "notes", notes=["a < b\u202e\x00"]) == ('<ul class="notes"><li>a &lt; b\ufffd\ufffd</li></ul>')
    assert fill(PARTS, "notes", notes=[]) == fill(PARTS, "pairs") == ""
    assert fill(PARTS, "lead", text=None) == '<p class="lead"></p>'


def test_the_name_of_a_group_of_examples_is_text() -> None:
    rows = [{"row": 1, "group": "<script>alert(1)</script>", "references": [], "inputs": []}]
    page = render({"evaluation": {"examples": rows}}, "T")
    assert "<script" not in page and "<h3>&lt;script&gt;" in page
