"""What was learned of files the first time they were read whole, noted in the cache for as long as they are the same.

A note is believed where the sha256 of every file, the versions of the libraries that read them and what was asked are
those of the note. So files that changed are read again, and a note that was changed or damaged is none.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from plait.files import cache_root, write_text

FORMAT = 2


class KnownFiles:
    """A note of files.

    Args:
        room: Folder of the cache that holds notes of this kind.
        key: What tells how the files are read.
        hashes: Gives the sha256 of every file by the name under which it is noted.
        libraries: Packages whose versions count.
    """

    def __init__(self, room: str, key: str, hashes: Callable[[], dict[str, str]], libraries: Iterable[str]) -> None:
        self.place = cache_root() / room / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"
        self.hashes = hashes
        self.asked = {"format": FORMAT, "key": key, "versions": {name: _version(name) for name in libraries}}

    def facts(self) -> dict[str, Any] | None:
        """What was noted of these very files; None: nothing that can be believed."""
        known = read_note(self.place)
        if known is None or any(known.get(name) != value for name, value in self.asked.items()):
            return None
        facts = known.get("facts")
        if not isinstance(facts, dict) or known.get("sum") != _sum(facts) or known.get("files") != self.hashes():
            return None
        return facts

    def note(self, facts: dict[str, Any], hashes: dict[str, str]) -> None:
        """Note facts of the files that had these hashes; where that cannot be done, they are read whole next time."""
        try:
            content = {**self.asked, "files": hashes, "facts": facts, "sum": _sum(facts)}
            self.place.parent.mkdir(parents=True, exist_ok=True)
            write_text(self.place, json.dumps(content, indent=1))
        except (OSError, TypeError):
            pass  # a cache that cannot be written, or facts that are no JSON


def read_note(path: Path) -> dict[str, Any] | None:
    """The object in a file; None: there is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _sum(facts: dict[str, Any]) -> str:
    """What shows that a note was changed or damaged after it was written."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


@cache
def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
