"""How numbers and texts are written on the page: rounded for reading, cut where too long, escaped in charts."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable
from typing import Any

from plait.report.languages import tr

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069]")
_NAMES = {
    "auroc": "AUROC", "auroc_macro": "AUROC (macro)", "f1_macro": "F1 (macro)", "f1_micro": "F1 (micro)",
    "f1_weighted": "F1 (weighted)", "mAP": "mAP",
    "cider_d": "CIDEr-D", "rouge_l": "ROUGE-L", "meteor": "METEOR", **{f"bleu_{n}": f"BLEU-{n}" for n in range(1, 5)},
    "ece": "ECE", "ece_equal_mass": "ECE (equal mass)", "classwise_ece": "ECE (classwise)", "brier": "Brier score",
    "mrr": "MRR", "map": "mAP", "ndcg": "nDCG", "mae": "MAE", "rmse": "RMSE", "r2": "R\u00b2", "pearson": "Pearson r",
}  # fmt: skip


def visible(value: Any) -> str:
    """Text in which control and direction marks can be seen."""
    return _CONTROL.sub("\ufffd", str(value))


def esc(value: Any) -> str:
    """Visible text that is safe inside an element or a quoted attribute, for charts; templates escape by themselves."""
    return html.escape(visible(value), quote=True)


def svg(css: str, label: str, attributes: str, parts: list[str]) -> str:
    """A chart of parts that are safe already, and what it shows in words for those who do not see it."""
    named = esc(label)
    inside = f"<title>{named}</title>{''.join(parts)}"
    return f'<svg class="{css}" role="img" aria-label="{named}" {attributes}>{inside}</svg>'


def number(value: Any) -> str:
    """A number for reading: three decimals below 10, fewer above, a dash for None; anything else as it is."""
    if value is None:
        return "\u2013"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}".replace("-", "\u2212")
    size = abs(value)
    if size != 0 and size < 0.0005:
        text = f"{value:.1e}"
    else:
        text = f"{value:,.3f}" if size < 10 else f"{value:,.2f}" if size < 1000 else f"{value:,.0f}"
    return text.replace("-", "\u2212")


def signed(value: float) -> str:
    """A number with its sign, where it is above 0 too.

    Example:
        >>> signed(0.25), signed(0)
        ('+0.250', '0')
    """
    return f"+{number(value)}" if value > 0 else number(value)


def metric_name(name: str) -> str:
    """The readable name of a metric."""
    known = _NAMES.get(name)
    english = known if known is not None else name.replace("_", " ").capitalize()
    there = tr(name, "metric")
    return english if there == name else str(there)


def modality(name: Any) -> str:
    """The name of a modality, or of several that are there together, for people: a column's own, or what the joined
    columns of the table are called in the language that is spoken.
    """
    return " + ".join(str(tr(one, "modality")) for one in str(name).split(" + "))


def estimate(entry: Any) -> tuple[float | None, float | None, float | None]:
    """Value, low and high of a metric entry, which may be a bare number."""
    if isinstance(entry, dict):
        return entry.get("value"), entry.get("low"), entry.get("high")
    return (entry if isinstance(entry, int | float) and not isinstance(entry, bool) else None), None, None


def span(low: float | None, high: float | None) -> str:
    """An interval in words, or nothing."""
    if low is None or high is None:
        return ""
    return str(tr(f"{number(flat(low, low, high))} to {number(flat(high, low, high))}"))


def listed(items: Iterable[str]) -> str:
    """Items one after the other, with the comma of the language.

    Example:
        >>> listed(["train", "test"])
        'train, test'
    """
    comma = str(tr(",", "list"))
    return (", " if comma == "," else comma).join(items)


def bracketed(low: str, high: str) -> str:
    """An interval behind a number, in the brackets of the language.

    Example:
        >>> bracketed("0.8", "1.0")
        ' (0.8 to 1.0)'
    """
    said = str(tr(f"({low} to {high})"))
    return said if said.startswith("\uff08") else f" {said}"


def with_span(value: float | None, low: float | None, high: float | None) -> str:
    """A number with its interval in brackets, where it has one."""
    if low is None or high is None:
        return number(value)
    told, left, right = (number(flat(n, low, high)) for n in (value, low, high))
    return str(tr(f"{told} ({left} to {right})"))


def flat(value: Any, low: float | None, high: float | None) -> Any:
    """A number of an interval: 0 where it is nearly that beside a wide one, so that it is not written as a power of 10.

    Example:
        >>> flat(-1.1e-4, -0.436, 0.193), flat(1.1e-4, 1.0e-4, 1.2e-4)
        (0.0, 0.00011)
    """
    is_wide = low is not None and high is not None and high - low >= 0.01
    return 0.0 if is_wide and isinstance(value, float) and abs(value) < 0.0005 else value


def size(num_bytes: float) -> str:
    """Bytes in the unit that suits them."""
    for unit in ("B", "kB", "MB"):
        if num_bytes < 1000:
            return f"{num_bytes:.0f} {unit}" if unit == "B" else f"{num_bytes:.1f} {unit}"
        num_bytes /= 1000
    return f"{num_bytes:.1f} GB"


def columns(text: Any) -> int:
    """How wide a text is, a Chinese character counting two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in str(text))


def cut(text: str, width: int) -> str:
    """At most ``width`` columns of text, a Chinese character counting two."""
    used = 0
    for i, letter in enumerate(text):
        used += 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        if used > width:
            return text[: max(1, i - 1)] + "\u2026"
    return text


def names_of(report: dict[str, Any]) -> set[str]:
    """Names of columns and modalities, which stay as they are in every language."""
    encoders = (report.get("model") or {}).get("encoders")
    found = [c.get("name") for c in report.get("schema") or []] + [
        report.get("target"),
        *(report.get("modalities") or []),
    ]
    found += [e.get("modality") for e in encoders or []]
    return {str(name) for name in found if name}
