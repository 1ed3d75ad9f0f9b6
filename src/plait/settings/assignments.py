"""``set=`` of the API: settings as "a.b=c", or as a mapping of names to values, nested or dotted."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Assignments = Sequence[str] | Mapping[str, Any]


def assignments_of(given: Assignments) -> list[str]:
    """Settings as "a.b=c", as the command line types them.

    Args:
        given: Those, or one of them, or a mapping: ``{"train.epochs": 3}``, ``{"train": {"epochs": 3}}``.

    Raises:
        TypeError: Anything else, or a value that JSON cannot hold.

    Example:
        >>> assignments_of({"train": {"epochs": 3}, "fusion.name": "gated"})
        ['train.epochs=3', 'fusion.name="gated"']
    """
    if isinstance(given, str):
        return [given]
    if isinstance(given, Mapping):
        return list(_assigned(given, ""))
    if not isinstance(given, Sequence) or not all(isinstance(one, str) for one in given):
        raise TypeError(f"set is {given!r}; expected a mapping such as {{'train.epochs': 3}}, or ['train.epochs=3']")
    return list(given)


def _assigned(given: Mapping[str, Any], before: str) -> Iterator[str]:
    for name, value in given.items():
        path = f"{before}{name}"
        if isinstance(value, Mapping):
            yield from _assigned(value, f"{path}.")
            continue
        try:
            yield f"{path}={json.dumps(value, ensure_ascii=False)}"
        except TypeError as error:
            raise TypeError(
                f"set: {path} is {value!r}; expected text, a number, True, False, None or a list of them"
            ) from error
