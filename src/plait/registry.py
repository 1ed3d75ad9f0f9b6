"""Named tables of records: how Plait dispatches without ladders of ``if name == ...``; and words that messages share.

A registry maps a short name to a record (a class, a function or a frozen dataclass). A miss is loud: the error lists
the nearest names and every name there is.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Registry(Generic[T]):
    """A table of records under unique names.

    Args:
        what: What one record is, in the singular, for messages ("fusion", "task").

    Example:
        >>> colours: Registry[int] = Registry("colour")
        >>> colours.add("red", 1)
        1
        >>> colours.get("red")
        1
    """

    def __init__(self, what: str) -> None:
        self.what = what
        self._records: dict[str, T] = {}

    def add(self, name: str, record: T) -> T:
        """Store a record and return it.

        Raises:
            ValueError: The name is taken.
        """
        if name in self._records:
            raise ValueError(f"the {self.what} {name!r} is registered already; choose another name")
        self._records[name] = record
        return record

    def get(self, name: str) -> T:
        """Return the record of that name.

        Raises:
            ValueError: No such name; the message lists the nearest names and all names.
        """
        if name not in self._records:
            raise ValueError(unknown_name(self.what, name, self.names()))
        return self._records[name]

    def names(self) -> list[str]:
        """All names, in the order in which they were added."""
        return list(self._records)

    def __iter__(self) -> Iterator[str]:
        return iter(self._records)

    def __contains__(self, name: object) -> bool:
        return name in self._records

    def __len__(self) -> int:
        return len(self._records)


def unknown_name(what: str, name: object, known: list[str], where: str = "") -> str:
    """The one sentence said for an unknown name: what was given, where, what is near, what there is.

    Example:
        >>> unknown_name("fusion", "gatd", ["gated", "film"], where="fusion=")
        "unknown fusion 'gatd' (fusion=). Did you mean 'gated'? Known: gated, film"
    """
    near = difflib.get_close_matches(str(name), known, n=3, cutoff=0.5)
    hint = f" Did you mean {', '.join(repr(n) for n in near)}?" if near else ""
    listed = ", ".join(known) if known else "none"
    shown = repr(name)
    place = f" ({where})" if where else ""
    return f"unknown {what} {shown if len(shown) <= 200 else shown[:197] + '...'}{place}.{hint} Known: {listed}"


def counted(number: int, one: str, many: str | None = None) -> str:
    """A count with its noun in the right number.

    Args:
        number: How many.
        one: The noun of one.
        many: The noun of several; None: with an s.

    Example:
        >>> counted(1, "row"), counted(2_000, "row"), counted(0, "class", "classes")
        ('1 row', '2,000 rows', '0 classes')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def first_line(error: BaseException) -> str:
    r"""The first line of an error's message, or its type where it has none.

    Example:
        >>> first_line(ValueError("too long\nin many lines")), first_line(KeyError())
        ('too long', 'KeyError')
    """
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
