"""What a user says of a source and its columns: the arguments that ``plait.fit`` and ``plait.compare`` share.

Arguments come in as they are typed, a column's name alone or several; settings by their path go out.
"""

from __future__ import annotations

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

    def given(self) -> dict[str, Any]:
        """The settings they stand for: "data.text" -> ["caption"]; a name alone becomes a list of one."""
        lists = {name: _names(getattr(self, name)) for name in COLUMN_LISTS}
        return {f"data.{name}": value for name, value in {**vars(self), **lists}.items()}


COLUMN_LISTS = tuple(field.name for field in fields(DataOptions) if field.default == ())
SINGLE_OPTIONS = tuple(field.name for field in fields(DataOptions) if field.default is None)


def _names(value: Names) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
