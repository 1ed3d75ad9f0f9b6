"""What a user says of a source and its columns: the arguments that ``plait.fit`` and ``plait.compare`` share.

Arguments come in as they are typed, a column's name alone or several; settings by their path go out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

Names = Sequence[str] | str


@dataclass(frozen=True)
class DataOptions:
    """Each stands for the setting of its name in :class:`plait.settings.DataSettings`; None and () leave it alone."""

    target: str | None = None
    text: Names = ()
    image: Names = ()
    audio: Names = ()
    image_set: Names = ()
    vector: Names = ()
    numeric: Names = ()
    categorical: Names = ()
    date: Names = ()
    ignore: Names = ()
    split: str | None = None
    split_by_time: str | None = None
    group: str | None = None
    id: str | None = None
    format: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    decimal: str | None = None
    date_order: str | None = None
    on_bad_row: str | None = None
    allow_outside: bool | None = None
    allow_remote: bool | None = None

    def given(self) -> dict[str, Any]:
        """The settings they stand for: "data.text" -> ["caption"]; a name alone becomes a list of one."""
        lists = {name: _names(getattr(self, name)) for name in COLUMN_LISTS}
        return {f"data.{name}": value for name, value in {**vars(self), **lists}.items()}


COLUMN_LISTS = tuple(field.name for field in fields(DataOptions) if field.default == ())
SINGLE_OPTIONS = tuple(field.name for field in fields(DataOptions) if field.default is None)

ARGUMENTS = {
    **{f"data.{field.name}": field.name for field in fields(DataOptions)},
    "data.calibration": "calibration", "recipe": "recipe", "preset": "preset", "task.name": "task",
    "fusion.name": "fusion", "judge.lang": "lang", "train.epochs": "epochs", "train.seed": "seed",
    "semi.method": "semi", "train.log_to": "log_to",
}  # fmt: skip


def argument_of(path: str, given: dict[str, Any]) -> str:
    """How a user wrote a setting: "epochs=", where it was given as an argument, else its path "train.epochs".

    Example:
        >>> argument_of("train.epochs", {"train.epochs": 0}), argument_of("train.epochs", {"train.epochs": None})
        ('epochs=', 'train.epochs')
    """
    return f"{ARGUMENTS[path]}=" if path in ARGUMENTS and given.get(path) not in (None, []) else path


def in_arguments(message: str, given: dict[str, Any]) -> str:
    """A message about settings in the words of those arguments that were given.

    Example:
        >>> in_arguments("train.epochs must be 1 or more, got 0", {"train.epochs": 0})
        'epochs= must be 1 or more, got 0'
    """
    for path in given:
        message = re.sub(rf"(?<![\w.'\"]){re.escape(path)}(?![\w='\"]|\.\w)", argument_of(path, given), message)
    return message


def _names(value: Names) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
