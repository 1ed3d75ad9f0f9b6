"""From any dict of results to strict JSON values, so that the page and the file show the same numbers.

numpy scalars and arrays become Python numbers and lists, NaN and infinities become None, paths and times
become text. What cannot stand in JSON raises; nothing is turned into its ``repr``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date
from pathlib import PurePath
from typing import Any

import numpy as np


def plain(value: Any, where: str = "report") -> Any:
    """Return the value as None, bool, int, float, str, list or dict, all the way down.

    Raises:
        TypeError: A value that JSON cannot hold, named by its place.

    Example:
        >>> plain({"a": float("nan"), 1: (2, 3)})
        {'a': None, '1': [2, 3]}
    """
    if value is None or isinstance(value, bool | np.bool_):
        return None if value is None else bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, str):
        # A lone surrogate cannot be written as UTF-8; it is shown by its number.
        return str(value).encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, date | PurePath):
        return value.isoformat() if isinstance(value, date) else str(value)
    if isinstance(value, Mapping):
        return {plain(str(k)): plain(v, f"{where}.{k}") for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist(), where)
    if isinstance(value, list | tuple):
        return [plain(v, f"{where}[{i}]") for i, v in enumerate(value)]
    if isinstance(value, set | frozenset):
        return sorted((plain(v, where) for v in value), key=str)
    raise TypeError(f"{where} is a {type(value).__name__}; expected numbers, text, lists or dicts")


def without_pictures(report: dict[str, Any]) -> dict[str, Any]:
    """Copy of a plain report in which the examples name their pictures but do not carry them."""
    report = {**report, **{part: _bare(report[part]) for part in ("examples", "suggestions") if report.get(part)}}
    if report.get("inputs"):
        report = {**report, "inputs": _without_pictures_of_parts(report["inputs"])}
    evaluation = report.get("evaluation")
    if not isinstance(evaluation, dict):
        return report
    bare = {part: _bare(evaluation[part]) for part in ("examples", "searches") if evaluation.get(part)}
    return {**report, "evaluation": {**evaluation, **bare}} if bare else report


def _bare(examples: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            **e,
            "inputs": [{k: v for k, v in i.items() if k != "image_jpeg_base64"} for i in e.get("inputs") or []],
            **({"hits": _bare(e["hits"])} if e.get("hits") else {}),
        }
        for e in examples
    ]


def _without_pictures_of_parts(inputs: dict[str, Any]) -> dict[str, Any]:
    """Rows explained down to their parts, without the pictures that the parts are drawn on."""
    pictured = ("image_jpeg_base64", "pictures")
    rows = [
        {
            **row,
            "modalities": [
                {**m, **({"shown": {k: v for k, v in m["shown"].items() if k not in pictured}} if "shown" in m else {})}
                for m in row["modalities"]
            ],
        }
        for row in inputs["rows"]
    ]
    return {**inputs, "rows": rows}
