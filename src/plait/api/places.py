"""What a model folder says of where it was made: names of files, and none of this machine's folders.

A folder may be given away or uploaded. Settings, facts and notes name the tables of a run as they were typed; where
that is a path from the root of the file system, only the name of the file is saved.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

_FROM_THE_ROOT = re.compile(r"(?<![\w./\\])(?:/|[A-Za-z]:[\\/])[^\s'\"<>|;,()]+")


def without_places(value: Any, source: str | None, *, others: bool = False) -> Any:
    """JSON values in whose texts files of this machine have their names alone.

    Args:
        value: JSON values.
        source: The table of the run, whose folder is cut wherever it stands; None: there is none.
        others: Cut other paths from the root too, where a file of that name is on this machine.

    Example:
        >>> without_places({"source": "/home/a/my table.csv", "rows": 3}, "/home/a/my table.csv")
        {'source': 'my table.csv', 'rows': 3}
        >>> without_places("rows of /no/such/file.csv and of data/t.csv", None, others=True)
        'rows of /no/such/file.csv and of data/t.csv'
    """
    if isinstance(value, str):
        folder = os.path.dirname(source or "")
        if os.path.isabs(folder) and os.path.dirname(folder) != folder:  # else it is the root
            value = value.replace(folder + os.sep, "")
        return _FROM_THE_ROOT.sub(_cut, value) if others else value
    if isinstance(value, Mapping):
        return {key: without_places(inner, source, others=others) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [without_places(inner, source, others=others) for inner in value]
    return value


def name_of(path: str) -> str:
    """The name of a file without its folders; a path that does not begin at the root stays as it is."""
    return PurePath(path).name if os.path.isabs(path) else path


def _cut(found: re.Match[str]) -> str:
    path = found.group().rstrip(".:")
    return name_of(path) + found.group()[len(path) :] if os.path.exists(path) else found.group()
