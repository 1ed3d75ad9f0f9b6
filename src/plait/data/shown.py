"""Values in words, for a report."""

from __future__ import annotations

import datetime
from typing import Any

from plait.data.values import date_text


def shown_text(value: Any) -> str:
    """A target, prediction or cell in words, for a report."""
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    if isinstance(value, list | tuple):
        return ", ".join(str(v) for v in value) or "(none)"
    if isinstance(value, datetime.date):
        return date_text(value)
    return "" if value is None else str(value)
