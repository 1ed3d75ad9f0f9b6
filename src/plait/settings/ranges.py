"""Ranges that stand beside a field of settings, and the check that every value lies within its own.

A field is declared with its default and its range (``choice``, ``at_least``, ``between``, ``share``, ``weight``);
:func:`check_fields` walks over a group and refuses what lies outside by name, with what is allowed. None is always
allowed where the field may be open.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

from plait.registry import Registry, unknown_name

RANGE, USUAL = "range", "usual"


def choice(default: str | None, allowed: tuple[str, ...], added: Registry[Any] | None = None) -> Any:
    """A field that holds one of some words, or a name of an open registry, which is asked where it is none of them."""

    def check(name: str, value: str) -> None:
        if value not in allowed and (added is None or value not in added):
            what, others = name.rpartition(".")[2].replace("_", " "), [] if added is None else added.names()
            raise ValueError(unknown_name(what, value, [*allowed, *others], where=name))

    return _field(default, check)


def choices(default: tuple[str, ...] | None, allowed: tuple[str, ...]) -> Any:
    """A field that holds any of some words, each once."""

    def check(name: str, values: tuple[str, ...]) -> None:
        for value in values:
            if value not in allowed:
                raise ValueError(unknown_name(f"one of {name}", value, list(allowed)))
            if list(values).count(value) > 1:
                raise ValueError(f"{name} names {value!r} twice")

    return _field(default, check)


def named_choices(allowed: tuple[str, ...]) -> Any:
    """A field that holds one of some words by name, such as {caption: last_n}."""

    def check(name: str, values: dict[str, Any]) -> None:
        for key, value in values.items():
            if value not in allowed:
                raise ValueError(unknown_name(f"value of {key}", str(value), list(allowed), where=f"{name}.{key}"))

    return dataclasses.field(default_factory=dict, metadata={RANGE: check})


def one_character(default: str | None) -> Any:
    """A field that holds a single character."""

    def check(name: str, value: str) -> None:
        if len(value) != 1 or value in '\r\n"':
            raise ValueError(f"{name} must be one character, got {value!r}")

    return _field(default, check)


def at_least(default: int | None, low: int) -> Any:
    """A field that holds a number not below ``low``."""

    def check(name: str, value: int) -> None:
        if value < low:
            raise ValueError(f"{name} must be {low} or more, got {value}")

    return _field(default, check)


def between(default: float, low: float, high: float) -> Any:
    """A field that holds a number from ``low`` to ``high``, both included."""

    def check(name: str, value: float) -> None:
        if not low <= value <= high:
            raise ValueError(f"{name} must be {low} to {high}, got {value}")

    return _field(default, check)


def inside_or(default: float | str | None, low: float, high: float, words: tuple[str, ...]) -> Any:
    """A field that holds a number between ``low`` and ``high``, neither included, or one of some words."""

    def check(name: str, value: float | str) -> None:
        if value not in words and not (not isinstance(value, str) and low < value < high):
            raise ValueError(
                f"{name} must be {' or '.join(words)}, or a number above {low:g} and below {high:g}, got {value!r}"
            )

    return _field(default, check)


def below_one(default: float | None, low: float) -> Any:
    """A field that holds a number from ``low``, included, to 1, not included."""

    def check(name: str, value: float) -> None:
        if not low <= value < 1:
            raise ValueError(f"{name} must be at least {low} and below 1, got {value}")

    return _field(default, check)


def above_zero(default: float | None) -> Any:
    """A field that holds a number above 0."""

    def check(name: str, value: float) -> None:
        if not value > 0:
            raise ValueError(f"{name} must be above 0, got {value}")

    return _field(default, check)


def up_to_one(default: float | None) -> Any:
    """A field that holds a number above 0, up to 1, which is included."""

    def check(name: str, value: float) -> None:
        if not 0 < value <= 1:
            raise ValueError(f"{name} must be above 0 and at most 1, got {value}")

    return _field(default, check)


def share(default: float | dict[str, Any] | None) -> Any:
    """A field that holds a share in [0, 1), or one by name."""

    def check(name: str, value: Any) -> None:
        named = {f"{name} of {key}": v for key, v in value.items()} if isinstance(value, dict) else {name: value}
        for what, one in named.items():
            if one is not None and not (isinstance(one, int | float) and 0 <= one < 1):
                raise ValueError(f"{what} must be at least 0 and below 1, got {one!r}")

    return _field(default, check)


def weight(default: float | None, usual: float | None = None) -> Any:
    """A field that holds the weight of a term: 0 or more, and finite; messages name its usual value."""

    def check(name: str, value: float) -> None:
        if not 0 <= value < math.inf:
            raise ValueError(f"{name} must be 0 or more, got {value}")

    return dataclasses.field(default=default, metadata={RANGE: check, USUAL: usual})


def check_fields(group: Any, name: str) -> None:
    """Refuse the first value of a group that lies outside its range.

    Args:
        group: A settings dataclass.
        name: Name of the group, which stands in front of the field's.

    Raises:
        ValueError: The message names the setting, the value and what is allowed.
    """
    for one in dataclasses.fields(group):
        check_field(group, one, f"{name}.{one.name}")


def check_field(group: Any, one: dataclasses.Field[Any], name: str) -> None:
    """Refuse the value of one field that lies outside its range; arguments and errors as of ``check_fields``."""
    check, value = one.metadata.get(RANGE), getattr(group, one.name)
    if check is not None and value is not None:
        check(name, value)


def _field(default: Any, check: Callable[[str, Any], None]) -> Any:
    return dataclasses.field(default=default, metadata={RANGE: check})
