"""The report: one self-contained HTML file and the same numbers as JSON.

A dict comes in (its shape is ``Report`` in ``shape.py``; every part is optional, and a part that is missing
leaves its section out), two files go out. The page loads nothing, runs no script, follows the reader's light
or dark setting and escapes every text of the data. The JSON is strict: NaN is null. Pictures of the examples
stand in the page only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from plait.files import given_path, write_text
from plait.report.languages import ENGLISH, check_language, tr_in
from plait.report.shape import Report
from plait.report.thumbnail import thumbnail

__all__ = [
    "Report", "check_language", "report_places", "thumbnail", "tr_in", "write_explanation", "write_report",
    "write_suggestions",
]  # fmt: skip


def write_report(
    path: str | Path, report: Report | Mapping[str, Any], *, title: str, lang: str = ENGLISH
) -> tuple[Path, Path]:
    """Write the page and the JSON.

    Args:
        path: A folder, which gets ``report.html`` and ``report.json``; or a name ending in .html, beside
            which the JSON gets the same stem.
        report: The dict described in ``shape.py``.
        title: Heading of the page.
        lang: Language of the page, "en" or "zh"; the JSON is the same in each.

    Returns:
        Paths of the HTML and of the JSON file. Each is replaced as a whole: a reader never sees half a file.

    Raises:
        TypeError: A value that JSON cannot hold.
        ValueError: No such language, or as :func:`report_places`.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     [p.name for p in write_report(folder, {"task": "classification"}, title="A run")]
        ['report.html', 'report.json']
    """
    from plait.report.checks import findings  # pages and their templates are imported by who writes one
    from plait.report.page import render
    from plait.report.plain import plain

    content = plain(report)
    found = findings(content)
    return _write(path, content | ({"checks": found} if found else {}), render(content, plain(title), lang=lang))


def write_explanation(
    path: str | Path, explanation: Mapping[str, Any], *, title: str, lang: str = ENGLISH
) -> tuple[Path, Path]:
    """Write the page and the JSON of an explanation (what ``plait.explain_modalities`` returns).

    Args:
        path: As for :func:`write_report`.
        explanation: The dictionary.
        title: Heading of the page.
        lang: As for :func:`write_report`.

    Returns:
        Paths of the HTML and of the JSON file.

    Raises:
        TypeError: A value that JSON cannot hold.
        ValueError: As :func:`report_places`.
    """
    from plait.report.explanation import SECTIONS, headline
    from plait.report.page import render
    from plait.report.plain import plain

    content = plain(explanation, "explanation")
    text = render(content, plain(title), sections=SECTIONS, headline=headline, lang=lang)
    return _write(path, content, text)


def write_suggestions(path: str | Path, found: Mapping[str, Any], *, lang: str = ENGLISH) -> tuple[Path, Path]:
    """Write the page and the JSON of rows to label next (:func:`plait.report.suggestions.render` says what they hold).

    Args:
        path: As for :func:`write_report`.
        found: The dictionary.
        lang: As for :func:`write_report`.

    Returns:
        Paths of the HTML and of the JSON file.

    Raises:
        TypeError: A value that JSON cannot hold.
        ValueError: As :func:`report_places`.
    """
    from plait.report.plain import plain
    from plait.report.suggestions import render

    content = plain(found, "suggestions")
    return _write(path, content, render(content, lang))


def report_places(path: str | Path) -> tuple[Path, Path]:
    """Where the page and the JSON of a report go; to be asked before the work of which it tells.

    Raises:
        ValueError: A path that is a file but does not end in .html; or a JSON file lies there that came without a page,
            such as a table.
    """
    path = given_path(path, "report", example="report.html")
    if path.suffix.lower() in (".html", ".htm"):
        page, numbers = path, path.with_suffix(".json")
    elif path.is_file():
        raise ValueError(f"{path} is a file; give a folder or a name that ends in .html")
    else:
        page, numbers = path / "report.html", path / "report.json"
    if numbers.exists() and not page.exists():
        raise ValueError(
            f"{numbers}, where the numbers of the report would go, is there already and belongs to no report; choose "
            "another name for the report"
        )
    return page, numbers


def _write(path: str | Path, content: dict[str, Any], text: str) -> tuple[Path, Path]:
    from plait.report.plain import without_pictures

    page, numbers = report_places(path)
    numbers_text = json.dumps(without_pictures(content), ensure_ascii=False, indent=1, allow_nan=False) + "\n"
    try:
        page.parent.mkdir(parents=True, exist_ok=True)
        write_text(page, text)
        write_text(numbers, numbers_text)
    except OSError as error:
        raise type(error)(error.errno, f"cannot write the report {page}: {error.strerror or error}") from error
    return page, numbers
