"""What the values of ``calibration.json`` must be before they answer rows: a wrong one would answer quietly."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from plait.settings.json_values import JsonObject, is_mapping, is_name, is_number, is_numbers, or_none

FILE = "calibration.json"
SCORE_NAMES = {"classes": {"lac", "aps", "raps"}, "labels": {"lac"}, "number": {"residual", "predicted"}}
LARGEST_FACTOR = 1e6  # of a logit; a temperature lies in exp(-5) to exp(5)


def check_values(values: Any) -> None:
    """Refuse what no calibration writes.

    Raises:
        ValueError: The message names the key, what stands there and what was expected.
    """
    file = JsonObject(FILE, values)
    kind = file.need("kind", lambda v: v in SCORE_NAMES, f"one of {', '.join(SCORE_NAMES)}", hashable=True)
    names = file.need("names", lambda v: isinstance(v, list) and bool(v) and all(map(is_name, v)), "a list of names")
    patterns = file.need("patterns", _is_patterns, "a list of different lists of true and false")
    if any(len(p) != len(names) for p in patterns):
        raise ValueError(f"{FILE}: a pattern is not as long as its list of modalities, {', '.join(names)}")
    pattern = file.need("pattern", _is_whole, "a list of whole numbers")
    file.need("class", lambda v: _is_whole(v) and len(v) == len(pattern), f"a list of {len(pattern)} whole numbers")
    if any(not 0 <= number < len(patterns) for number in pattern):
        raise ValueError(f"{FILE}: it names a pattern that it does not hold")
    scores = JsonObject(FILE, file.need("scores", is_mapping, "lists of scores by name"), "scores")
    if set(scores.values) != SCORE_NAMES[kind]:
        raise ValueError(f"{FILE}: scores are {', '.join(scores.values)}; expected {', '.join(SCORE_NAMES[kind])}")
    for name in scores.values:
        listed = scores.need(
            name, lambda v: isinstance(v, list) and all(map(or_none(is_number), v)), "a list of numbers"
        )
        if len(listed) != len(pattern):
            raise ValueError(f"{FILE}: its lists are of different lengths")
        if kind != "number" and any(one is not None and one < -1e-6 for one in listed):
            raise ValueError(f"{FILE}: scores.{name} holds a number below 0; expected numbers of 0 and more")
    if file.need("calibrator", or_none(is_mapping), "a calibrator or null") is not None:
        _check_calibrator(JsonObject(FILE, values["calibrator"], "calibrator"))
    if file.need("curves", or_none(is_mapping), "curves or null") is not None:
        curves = JsonObject(FILE, values["curves"], "curves")
        at = curves.need("predicted", lambda v: _is_rising(v, strictly=False), "a list of numbers, rising")
        curves.need("residual", lambda v: is_numbers(v) and len(v) == len(at), f"a list of {len(at)} numbers")
    file.need("thresholds", is_numbers, "a list of numbers")
    file.need("facts", is_mapping, "an object with named values")


def _check_calibrator(made: JsonObject) -> None:
    name = made.need("name", is_name, "the name of a calibrator")
    if name == "temperature":
        made.need("temperature", lambda v: is_number(v) and 1e-3 < v < 1e3, "a number from exp(-5) to exp(5)")
    if name == "vector":
        factors = made.need("factors", _is_moderate, "a list of numbers")
        made.need("offsets", lambda v: _is_moderate(v) and len(v) == len(factors), f"a list of {len(factors)} numbers")
    if name == "isotonic":
        at = made.need("at", _is_rising, "a list of numbers, rising")
        made.need(
            "proba", lambda v: _is_rising(v, strictly=False) and len(v) == len(at) and 0 < v[0] <= v[-1] < 1,
            f"a list of {len(at)} probabilities between 0 and 1, rising",
        )  # fmt: skip


def _is_patterns(value: Any) -> bool:
    lists = isinstance(value, list) and all(isinstance(p, list) and all(type(v) is bool for v in p) for p in value)
    return lists and len({tuple(p) for p in value}) == len(value)


def _is_whole(value: Any) -> bool:
    return isinstance(value, list) and all(type(v) is int and abs(v) < 2**31 for v in value)


def _is_moderate(value: Any) -> bool:
    return is_numbers(value) and all(abs(v) < LARGEST_FACTOR for v in value)


def _is_rising(value: Any, *, strictly: bool = True) -> bool:
    if not is_numbers(value) or not value:
        return False
    return all(one < other if strictly else one <= other for one, other in pairwise(value))
