"""The file that a cell names: found in the folder of its table, and refused where it lies elsewhere.

A table may come from a stranger, and its cells could name any file of the machine. So a :class:`MediaFolder` takes
only files inside it, symbolic links followed, unless the user allows others. Only ordinary files that hold something
are ever opened: no device, pipe, socket or file of /proc. A name that is not there as it is written may be there in
another Unicode spelling (é as one letter or as two, zero-width characters): one such file is taken, two are an error.
"""

from __future__ import annotations

import functools
import os
import stat
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from plait.data.cell_error import CellError, short, shown
from plait.data.remote.address import FETCHED, is_remote, scheme_of

if TYPE_CHECKING:
    from plait.data.remote.objects import RemoteObjects

_ZERO_WIDTH = dict.fromkeys(map(ord, "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"))


@dataclass(frozen=True)
class MediaFolder:
    """Where the files lie that the cells of a table name.

    Attributes:
        path: The folder against which relative paths count; None: the current folder.
        allow_outside: Whether files outside it are taken.
        remote: What brings objects by their address; None: an address is refused.
    """

    path: Path | None
    allow_outside: bool = False
    remote: RemoteObjects | None = None


Root = MediaFolder | Path | None  # a path or None: relative paths count from there, and files may lie anywhere


def resolve(path: str | Path, root: Root) -> Path:
    """The place of a path: relative ones count from ``root`` (None: the current folder)."""
    folder = root.path if isinstance(root, MediaFolder) else root
    path = Path(path)
    return path if path.is_absolute() or folder is None else folder / path


def is_file(path: str | Path, root: Root = None) -> bool:
    """Whether a path names an ordinary file that may be read; False for names that no file system takes.

    Addresses of objects are none, whether they may be fetched or not.
    """
    if scheme_of(path) is not None:
        return False
    place = resolve(path, root)
    try:
        return _is_inside(place, root) and stat.S_ISREG(os.stat(place).st_mode)
    except (OSError, ValueError):
        return False


def find_file(path: str | Path, root: Root, max_bytes: int, *, named: str | None = None) -> Path:
    """The ordinary file that a path names, or the copy on this machine of the object that an address names.

    Args:
        path: The path or address.
        root: Where relative paths count from, and which files are taken.
        max_bytes: The largest file that is taken.
        named: What to call it in messages, if not by the path.

    Raises:
        CellError: It lies outside, is not there, is no ordinary file, is empty or too large; or an address that is not
            allowed or whose object cannot be had.
    """
    name = str(path) if named is None else named
    if scheme_of(path) is not None:
        return _found_object(str(path), root, max_bytes)
    place = resolve(path, root)
    try:
        _require_inside(place, root, name)
        try:
            os.lstat(place)
        except (FileNotFoundError, NotADirectoryError):
            place = _other_spelling(place, name)
            _require_inside(place, root, name)
        found = os.stat(place)
    except FileNotFoundError as error:
        raise CellError(f"no such file: {shown(name)} (a broken link)") from error
    except CellError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a NUL or a lone surrogate in the name
        raise CellError(f"cannot read {shown(name)} ({short(error)})") from error
    if not stat.S_ISREG(found.st_mode):
        what = "a folder" if stat.S_ISDIR(found.st_mode) else "not an ordinary file"
        raise CellError(f"{shown(name)} is {what}; expected an image or sound file")
    if found.st_size == 0:  # as files of /proc say, which may never end
        raise CellError(f"{shown(name)} is empty (0 bytes)")
    if found.st_size > max_bytes:
        raise CellError(f"{shown(name)} has {found.st_size:,} bytes; the limit is {max_bytes:,}")
    return place


def _found_object(address: str, root: Root, max_bytes: int) -> Path:
    """The place of an object, where the addresses of objects are allowed."""
    if not is_remote(address):
        kinds = ", ".join(f"{scheme}://" for scheme in FETCHED)
        raise CellError(f"{shown(address)} is an address that is never fetched; expected a path, or one of {kinds}")
    if not isinstance(root, MediaFolder) or root.remote is None:
        raise CellError(
            f"{shown(address)} is an address, and nothing is fetched unless you ask; if you trust this table, type "
            "allow_remote=True"
        )
    return root.remote.find(address, max_bytes)


def same_name(name: str) -> str:
    """What names have in common that differ in the Unicode spelling of a letter or in zero-width characters."""
    return unicodedata.normalize("NFC", name.translate(_ZERO_WIDTH))


def _is_inside(place: Path, root: Root) -> bool:
    if not isinstance(root, MediaFolder) or root.allow_outside:
        return True
    folder = os.path.realpath(root.path or os.curdir)
    real = os.path.realpath(place)
    return real == folder or real.startswith(folder.rstrip(os.sep) + os.sep)


def _require_inside(place: Path, root: Root, name: str) -> None:
    if not _is_inside(place, root):
        assert isinstance(root, MediaFolder)
        where = (
            "the current folder, where the files of a table in memory are looked for" if root.path is None
            else f"the folder of the table ({str(root.path)!r})"
        )  # fmt: skip
        raise CellError(f"{shown(name)} lies outside {where}; if you trust this table, type allow_outside=True")


def _other_spelling(place: Path, name: str) -> Path:
    """The file of another Unicode spelling.

    Raises:
        CellError: There is none, or more than one.
    """
    missing: list[str] = []
    folder = place
    while not os.path.lexists(folder) and folder != folder.parent:
        missing.append(folder.name)
        folder = folder.parent
    for part in reversed(missing):
        names = _listed(folder)
        same = [other for other in names if same_name(other) == same_name(part)]
        if len(same) > 1:
            raise CellError(
                f"no such file: {shown(name)}; {len(same)} names differ from it only in their Unicode spelling "
                f"({', '.join(ascii(one) for one in same[:3])})"
            )
        if not same:
            raise CellError(_no_such_file(place, name, part, names))
        folder = folder / same[0]
    return folder


def _no_such_file(place: Path, name: str, part: str, names: tuple[str, ...]) -> str:
    like = [other for other in names if _loosely(other) == _loosely(part)]
    if "\\" in name and os.sep == "/":
        hint = "; it has backslashes, write / between folders"
    else:
        hint = f"; did you mean {shown(like[0])}?" if len(like) == 1 else ""
    return f"no such file: {shown(name)} (looked in {str(place.parent)!r}){hint}"


def _loosely(name: str) -> str:
    return unicodedata.normalize("NFKC", name.translate(_ZERO_WIDTH)).casefold().strip()


def _listed(folder: Path) -> tuple[str, ...]:
    try:
        return _names_in(str(folder), os.stat(folder).st_mtime_ns)
    except OSError:
        return ()


@functools.lru_cache(maxsize=64)
def _names_in(folder: str, changed: int) -> tuple[str, ...]:
    return tuple(sorted(os.listdir(folder)))
