"""HTML from templates: one Jinja environment, in which everything is escaped that is not HTML of ours already.

A template lies beside the file that fills it (``results.html.jinja`` beside ``results.py``) and holds one macro for
each piece of a page. What is absent counts as nothing, also inside what is absent, since every part of a report is
optional. Charts come in as finished SVG, marked ``safe`` in the template.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import ChainableUndefined, Environment, PackageLoader, pass_context
from markupsafe import Markup

from plait.report.languages import language, tr
from plait.report.thumbnail import LARGE_SIDE, checked
from plait.report.words import cut, estimate, flat, metric_name, modality, number, span, visible

PARTS = "report/parts.html.jinja"


def fill(template: str, macro: str, **values: Any) -> str:
    """HTML of one macro.

    Args:
        template: Path of the template below the package, such as "report/results.html.jinja".
        macro: Its name in there.
        values: Its arguments.

    Example:
        >>> fill(PARTS, "notes", notes=["a < b"])
        Markup('<ul class="notes"><li>a &lt; b</li></ul>')
    """
    made: str = getattr(_environment().get_template(template).module, macro)(**values).strip()
    return made


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("plait", ""), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=ChainableUndefined, finalize=_written,
    )  # fmt: skip
    environment.filters |= {
        "cut": lambda value, width: cut(str(value), width), "jpeg": checked, "modality": modality,
        "large_jpeg": lambda text: checked(text, LARGE_SIDE),
        "metric_name": metric_name, "number": _number, "span": _span, "tr": _tr, "value": _value,
    }  # fmt: skip
    environment.globals["language"] = language
    return environment


def _written(value: Any) -> Any:
    """What a template writes of a value: nothing of None, and no invisible letters."""
    return value if isinstance(value, Markup | ChainableUndefined) else "" if value is None else visible(value)


@pass_context  # without which Jinja would translate constants once for all
def _tr(_: Any, text: Any, context: str = "") -> Any:
    return tr(text, context)


def _number(value: Any) -> str:
    return number(None if isinstance(value, ChainableUndefined) else value)


def _value(entry: Any) -> str:
    """The value of a metric entry."""
    value, low, high = estimate(entry)
    return number(flat(value, low, high))


def _span(entry: Any) -> str:
    """The interval of a metric entry in words, or nothing."""
    return span(*estimate(entry)[1:])
