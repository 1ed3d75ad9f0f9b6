"""Values of a JSON file, checked one by one: a complaint names file, key, what stands there and what was expected."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

LARGEST = 2**31  # no width, count or length is larger; a loop over one would never end

Test = Callable[[Any], bool]


class JsonObject:
    """A JSON object of a file, and where in the file it stands."""

    def __init__(self, file: str, values: Any, where: str = "") -> None:
        if not isinstance(values, dict):
            raise ValueError(f"{file}: {where or 'it'} is {cut(values)}; expected an object with named values")
        self.file, self.values, self.where = file, values, where

    def need(self, key: str, test: Test, what: str, hashable: bool = False) -> Any:
        """A value that must be there."""
        name = f"{self.where}.{key}" if self.where else key
        if key not in self.values:
            raise ValueError(f"{self.file}: {name} is missing; expected {what}")
        value = self.values[key]
        if (hashable and not isinstance(value, str)) or not test(value):
            raise ValueError(f"{self.file}: {name} is {cut(value)}; expected {what}")
        return value

    def may(self, key: str, test: Test, what: str, hashable: bool = False) -> None:
        """A value that may be left out."""
        if key in self.values:
            self.need(key, test, what, hashable)


def check_same(path: str, given: Any, made: Any, where: str = "") -> None:
    """Compare parsed JSON with what saving the object that was made of it would write.

    Raises:
        ValueError: A value was read as another one than stands there, such as "224" as 224.
    """
    if isinstance(given, dict) and isinstance(made, dict):
        for key in given:
            check_same(path, given[key], made.get(key), f"{where}.{key}" if where else key)
    elif isinstance(given, list) and isinstance(made, list | tuple) and len(given) == len(made):
        for number, (one, other) in enumerate(zip(given, made, strict=True)):
            check_same(path, one, other, f"{where}[{number}]")
    elif given != made or isinstance(given, bool) != isinstance(made, bool):
        raise ValueError(f"{path}: {where or 'it'} is {cut(given)}, which is not what saving it would write")


def cut(value: Any) -> str:
    """A value for a message, not longer than a line."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def check_counts(file: str, value: Any, where: str = "") -> None:
    """Refuse whole numbers that no width or count can be, at any depth."""
    if isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else ((f"[{i}]", v) for i, v in enumerate(value))
        for key, inside in pairs:
            check_counts(file, inside, f"{where}.{key}".strip("."))
    elif isinstance(value, int) and abs(value) > LARGEST:
        raise ValueError(f"{file}: {where} is {cut(value)}; expected a smaller number")


def is_mapping(value: Any) -> bool:
    """An object."""
    return isinstance(value, dict)


def is_filled_list(value: Any) -> bool:
    """A list with something in it."""
    return isinstance(value, list) and bool(value)


def is_name(value: Any) -> bool:
    """A text that is not empty."""
    return isinstance(value, str) and bool(value)


def is_new_name(known: list[str]) -> Test:
    """A test for a name that is not among those known."""
    return lambda value: is_name(value) and value not in known


def is_count(value: Any) -> bool:
    """A whole number above 0."""
    return type(value) is int and 0 < value < LARGEST


def is_number(value: Any) -> bool:
    """A finite number that fits into a float."""
    return type(value) in (int, float) and abs(value) < 1e308 and math.isfinite(value)


def is_size(value: Any) -> bool:
    """A whole number above 0 that is a limit and no count, and so may be as large as one likes."""
    return type(value) is int and 0 < value < 2**63


def is_positive(value: Any) -> bool:
    """A finite number above 0."""
    return is_number(value) and bool(value > 0)


def is_share(value: Any) -> bool:
    """A number in [0, 1)."""
    return is_number(value) and bool(0 <= value < 1)


def is_numbers(value: Any) -> bool:
    """A list of finite numbers."""
    return isinstance(value, list) and all(map(is_number, value))


def is_rates(value: Any) -> bool:
    """An object of numbers in [0, 1)."""
    return isinstance(value, dict) and all(map(is_share, value.values()))


def or_none(test: Test) -> Test:
    """A test that null passes too."""
    return lambda value: value is None or test(value)
