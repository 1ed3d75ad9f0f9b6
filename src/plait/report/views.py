"""The contact sheet of augmentation: rows as training sees them, with what was changed and what words forbade.

In: the dictionary that ``plait.api.augment`` makes. Out: one HTML file and the same as JSON, without pictures.
"""

from __future__ import annotations

from typing import Any

from plait.report.languages import ENGLISH, spoken
from plait.report.page import document
from plait.report.template import fill

TEMPLATE = "report/views.html.jinja"


def sheet(found: dict[str, Any], title: str, lang: str = ENGLISH) -> str:
    """The page.

    Args:
        found: ``sentence``, ``notes`` and ``rows``: each with ``row``, ``target``, ``kept`` (what words forbid) and
            ``views``: each with its number ``view`` and ``cells`` (``name``, ``changes``, ``image_jpeg_base64`` or
            ``text``).
        title: Heading.
        lang: As for :func:`plait.report.page.render`.

    Raises:
        ValueError: There is no such language.
    """
    version = f" {found['plait']}" if found.get("plait") else ""
    with spoken(lang, {cell["name"] for row in found["rows"] for view in row["views"] for cell in view["cells"]}):
        main = fill(TEMPLATE, "sheet", lead=found["sentence"], notes=found["notes"], rows=found["rows"])
        return document(title, [found.get("source")], main, f"Written by Plait{version}.")
