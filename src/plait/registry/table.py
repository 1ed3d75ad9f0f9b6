"""A table of records under unique names: how Plait dispatches without ladders of ``if name == ...``.

A registry maps a short name to a record (a class, a function or a frozen dataclass). A miss is loud: the error lists
the nearest names and every name there is. A table that is ``open`` takes records of others too: before it says that
there is no such name it loads the installed plug-ins (:mod:`plait.registry.plugins`), and it knows who brought what.
A record of Plait's own may be expected: its name is known, and the first ``get`` imports the module that adds it.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from typing import Generic, TypeVar, cast

from plait.registry.plugins import Origin, forget_with, load_plugins
from plait.registry.words import unknown_name

T = TypeVar("T")


class _Expected:
    """Stands for a record until it is imported: from the module that adds it, or as its ``name`` there."""

    def __init__(self, place: str) -> None:
        self.module, _, self.name = place.partition(":")


class Registry(Generic[T]):
    """A table of records under unique names.

    Args:
        what: What one record is, in the singular, for messages ("fusion", "task").
        is_open: Whether plug-ins may bring records.

    Example:
        >>> colours: Registry[int] = Registry("colour")
        >>> colours.add("red", 1)
        1
        >>> colours.get("red")
        1
    """

    def __init__(self, what: str, *, is_open: bool = False) -> None:
        self.what = what
        self.is_open = is_open
        self._records: dict[str, T | _Expected] = {}
        self._origins: dict[str, Origin] = {}

    def add(self, name: str, record: T, origin: Origin | None = None) -> T:
        """Store a record and return it.

        Args:
            name: A name that is free.
            record: What it stands for.
            origin: Who brings it; None: Plait itself.

        Raises:
            ValueError: The name is taken; the message says by whom.
        """
        known = self._records.get(name)
        if known is not None and not _adds_itself(known):
            whose = self._origins.get(name)
            by = "" if whose is None else f" by {whose}"
            raise ValueError(f"the {self.what} {name!r} is registered already{by}; choose another name")
        self._records[name] = record
        if origin is not None:
            self._origins[name] = origin
            forget_with(lambda: self.discard(name))
        return record

    def expect(self, name: str, place: str) -> None:
        """Know the name of a record that the first ``get`` of it imports.

        Args:
            name: A name that is free.
            place: The module, which adds the record as it is imported; or ``module:name``, where the record is.

        Raises:
            ValueError: The name is taken.
        """
        if name in self._records:
            raise ValueError(f"the {self.what} {name!r} is registered already; choose another name")
        self._records[name] = _Expected(place)

    def discard(self, name: str) -> None:
        """Take out what others brought under that name, if it is there; what is Plait's own stays."""
        if self._origins.pop(name, None) is not None:
            del self._records[name]

    def get(self, name: str) -> T:
        """Return the record of that name.

        Raises:
            ValueError: No such name; the message lists the nearest names and all names.
        """
        if name not in self:
            raise ValueError(unknown_name(self.what, name, self.names()))
        if isinstance(expected := self._records[name], _Expected):
            module = importlib.import_module(expected.module)
            if expected.name:
                self._records[name] = getattr(module, expected.name)
        return cast(T, self._records[name])

    def origin(self, name: str) -> Origin | None:
        """Who brought the record of that name; None: Plait itself, or there is none."""
        return self._origins.get(name)

    def names(self) -> list[str]:
        """All names, in the order in which they were added."""
        return list(self._records)

    def own_names(self) -> list[str]:
        """The names of what is Plait's own."""
        return [name for name in self._records if name not in self._origins]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __contains__(self, name: object) -> bool:
        if name in self._records:
            return True
        if self.is_open and isinstance(name, str):
            load_plugins()
        return name in self._records

    def __len__(self) -> int:
        return len(self._records)


def _adds_itself(known: object) -> bool:
    """Whether what stands under a name waits for its own module, which is being imported right now."""
    return isinstance(known, _Expected) and not known.name and known.module in sys.modules
