"""What "tabular" means is said where a report and the terminal first speak of it."""

from __future__ import annotations

from plait.data.modality import Modality
from plait.report.page import render

SENTENCE = "numbers, categories and dates of the table, read together (size, city)"


def test_the_sentence_names_the_columns() -> None:
    from plait.api.describe import explained_terms

    made = (Modality("photo", "image", ("photo",)), Modality("tabular", "tabular", ("size", "city")))
    assert explained_terms(made) == {"tabular": SENTENCE} and explained_terms(made[:1]) == {}
    many = Modality("tabular", "tabular", tuple("abcdefghijk"))
    assert explained_terms([many])["tabular"].endswith("(a, b, c, d, e, f, g, h, ...)")


def test_the_page_and_the_terminal_say_it_first() -> None:
    from plait.cli.report import terms_of
    from plait.cli.speaking import Speaker

    page = render({"task": "classification", "terms": {"tabular": SENTENCE}, "verdict": "tabular decides"}, "A run")
    assert page.index(f"tabular: {SENTENCE}") < page.index("tabular decides")
    terms = {"terms": {"tabular": SENTENCE}}
    assert terms_of(terms, Speaker(None, terms)) == [f"  tabular: {SENTENCE}"] and terms_of({}, Speaker(None)) == []
    assert terms_of(terms, Speaker("zh", terms))[0].startswith("  表格列：")
