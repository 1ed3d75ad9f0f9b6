"""A folder of files that is replaced as one: at every instant it is the old whole thing or the new whole thing.

The new files are written into ``.plait-next.part`` inside the folder, read back and checked, and flushed to the disk;
then that folder is renamed to ``.plait-next``. This one rename is the exchange: whoever reads takes ``.plait-next``
where there is one (:func:`current`). What is left is tidying: its files are linked to their usual places, what the
old thing had beside them is removed, and ``.plait-next`` goes. A process that is killed on the way leaves nothing to
repair, and the next writer finishes the tidying.

It happens inside the folder because a folder is not always one that can be exchanged for another: it may be a mount
point, lie in a folder where one may not write, be where a shell stands, or hold files of others, which stay
untouched.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection
from pathlib import Path

from plait.files import new_file_mode, sync_folder, temporary_name

NEXT, PART = ".plait-next", ".plait-next.part"
OWN_NAMES = (NEXT, PART)


def current(folder: Path) -> Path:
    """Where the whole thing lies: the folder, or the one in it whose tidying was cut short."""
    return folder / NEXT if (folder / NEXT).is_dir() else folder


def swap_in(folder: Path, owned: Collection[str], write: Callable[[Path], None], last: str) -> None:
    """Replace what the folder holds under the owned names. To be called under a lock.

    Args:
        folder: The folder, which exists.
        owned: Names in it that belong to the thing; all others stay as they are.
        write: Writes the new thing into an empty folder and checks it; what it raises leaves the old one in place.
        last: The file that is moved to its place last, by which readers see a change.

    Raises:
        OSError: The folder cannot be written, or the disk is full; the old thing stands, or the new one.
    """
    tidy(folder, owned, last)
    part = folder / PART
    try:
        part.mkdir()
        write(part)
        _finish_files(part)
        part.rename(folder / NEXT)
        sync_folder(folder)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    tidy(folder, owned, last)


def tidy(folder: Path, owned: Collection[str], last: str) -> None:
    """Finish what an earlier process was killed in, and remove what it had begun. To be called under a lock."""
    waiting = folder / NEXT
    if waiting.is_dir():
        inside = sorted(path.relative_to(waiting) for path in waiting.rglob("*") if path.is_file())
        for name in sorted(inside, key=lambda path: path.as_posix() == last):
            _put(waiting, folder, name)
        for name in owned:
            _remove_others(folder / name, folder, {*inside})
        sync_folder(folder)
        gone = folder / f"{PART}-{temporary_name()}"
        waiting.rename(gone)
    for left in folder.glob(f"{PART}*"):
        shutil.rmtree(left, ignore_errors=True)


def _put(waiting: Path, folder: Path, name: Path) -> None:
    """Give a file its usual place; it stays in the waiting folder too, which is whole until all is done."""
    source, target = waiting / name, folder / name
    for parent in reversed(name.parents[:-1]):
        if (folder / parent).is_symlink() or (folder / parent).is_file():
            (folder / parent).unlink()
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    if target.is_file() and target.samefile(source):
        return
    part = target.with_name(f"{target.name}.part")
    part.unlink(missing_ok=True)
    try:
        os.link(source, part)
    except (OSError, NotImplementedError):  # file systems without hard links
        shutil.copy2(source, part)
    part.replace(target)


def _remove_others(place: Path, folder: Path, kept: Collection[Path]) -> None:
    """Remove what the old thing had at an owned name and the new one has not."""
    if place.is_dir() and not place.is_symlink():
        for path in sorted(place.rglob("*"), reverse=True):  # what lies in a folder comes before it
            if path.is_dir() and not path.is_symlink():
                if not any(path.iterdir()):
                    path.rmdir()
            elif path.relative_to(folder) not in kept:
                path.unlink()
        if not any(place.iterdir()):
            place.rmdir()
    elif place.relative_to(folder) not in kept:
        place.unlink(missing_ok=True)


def _finish_files(folder: Path) -> None:
    """Let the umask say who may read each file, and flush all to the disk."""
    mode = new_file_mode(folder / NEXT)
    for path in folder.rglob("*"):
        if path.is_dir():
            sync_folder(path)
            continue
        path.chmod(mode)
        with path.open("rb+") as file:
            os.fsync(file.fileno())
    sync_folder(folder)
