"""Files on disk: written whole or not at all, hashed, locked, and where the cache lies.

Nothing here knows what a file holds. A file that is being written has another name until it is whole; a lock is held by
the system for a process and is free again when that process dies, on every system.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import hashlib
import os
import shutil
import socket
import stat
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

_NOT_REGULAR = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_MADE_UP = ("/proc/", "/sys/")  # called regular by the system, yet some wait or never end

HOST = hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def cache_root() -> Path:
    """The cache folder: ``$PLAIT_CACHE``, or ``~/.cache/plait``."""
    return Path(os.environ.get("PLAIT_CACHE") or Path.home() / ".cache" / "plait").expanduser()


def features_variable() -> str:
    """The variable that says where the feature store lies: PLAIT_FEATURES where it is set, else PLAIT_CACHE."""
    return "PLAIT_FEATURES" if os.environ.get("PLAIT_FEATURES") else "PLAIT_CACHE"


@contextlib.contextmanager
def whole_file(path: Path, *, lasting: bool = False, part_name: str | None = None) -> Iterator[Path]:
    """The place to write a file to; it takes the place of ``path`` when the block ends well, and goes when it does not.

    Args:
        path: The file to be.
        lasting: Flush it to the disk before and its folder after the exchange, so that it outlives a power cut.
        part_name: Name meanwhile; None: the file's own with ``.part`` behind.

    Who may read it is what the umask says, whatever the writer made of it (safetensors writes for the owner alone).

    Raises:
        OSError: The disk is full or read-only, or the folder is not there; what stood at ``path`` still stands.
    """
    part = path.with_name(part_name or f"{path.name}.part")
    mode = new_file_mode(part)
    try:
        yield part
        part.chmod(mode)
        if lasting:
            with part.open("rb+") as file:
                os.fsync(file.fileno())
        part.replace(path)
        if lasting:
            sync_folder(path.parent)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: Path, text: str, *, lasting: bool = False, part_name: str | None = None) -> None:
    """Write a text file in UTF-8 as :func:`whole_file` does; line ends stay as they are given."""
    with whole_file(path, lasting=lasting, part_name=part_name) as part:
        part.write_text(text, encoding="utf-8", newline="")


def new_file_mode(path: Path) -> int:
    """The permissions that the system gives a new file of this name; none is left there.

    Asked of the system: reading the umask means setting it for a moment, for every thread.
    """
    path.unlink(missing_ok=True)
    path.touch()
    mode = stat.S_IMODE(path.stat().st_mode)
    path.unlink()
    return mode


def sync_folder(path: Path) -> None:
    """Flush a folder's entries to the disk (a rename is lasting only after this)."""
    if os.name == "nt":  # Windows cannot open folders; its renames are journalled
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def temporary_name() -> str:
    """A name for what is being written or removed; the process and the machine in it tell what is left over."""
    return f"tmp-{os.getpid()}-{HOST}-{uuid.uuid4().hex}"


def file_sha256(path: Path) -> str:
    """The sha256 of a file, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def require_regular_file(path: Path, what: str) -> os.stat_result:
    """Make sure, without opening it, that a path names an ordinary file, which ends and never waits for a writer.

    Args:
        path: The path.
        what: What the file should be, for the message: "table", "image".

    Returns:
        The status of the file; its size is in ``st_size``.

    Raises:
        FileNotFoundError: Nothing lies there.
        ValueError: A folder, a pipe, a socket, a device, a file that the system makes up as it is read (``/proc``,
            ``/sys``), or a name that no file system takes.
        OSError: It may not be looked at.

    Example:
        >>> require_regular_file(Path("/dev/null"), "table")
        Traceback (most recent call last):
        ValueError: /dev/null: a device, no ordinary file; expected the table, saved as a file
    """
    try:
        found = os.stat(path)
    except FileNotFoundError as error:
        place = str(path.absolute().parent)
        raise FileNotFoundError(f"no such {what}: {str(path)!r} (looked in {place!r})") from error
    except ValueError as error:  # a null character or a lone surrogate
        raise ValueError(f"{str(path)[:100]!r} is no path of a {what} ({error})") from error
    kind = next((name for is_kind, name in _NOT_REGULAR if is_kind(found.st_mode)), None)
    if kind is None and not stat.S_ISREG(found.st_mode):
        kind = "of an unknown kind"
    if kind is None and os.path.realpath(path).startswith(_MADE_UP):
        kind = "made up by the system as it is read"
    if kind == "a folder":
        raise ValueError(f"{path}: a folder; expected the {what} itself, a file")
    if kind is not None:
        raise ValueError(f"{path}: {kind}, no ordinary file; expected the {what}, saved as a file")
    return found


@contextlib.contextmanager
def waiting_lock(path: Path) -> Iterator[None]:
    """Hold a lock between processes, after waiting for whoever holds it."""
    from filelock import FileLock

    with FileLock(path):
        yield


@contextlib.contextmanager
def sole_lock(path: Path, *, leave: bool = True) -> Iterator[None]:
    """Hold a lock between processes, or learn at once who holds it.

    Args:
        path: The file that stands for the lock.
        leave: Leave it there afterwards; a process that is killed leaves it in any case, which holds nobody up.

    Raises:
        HeldLockError: Another process holds it.
        OSError: The file cannot be made.
    """
    from filelock import FileLock, Timeout

    try:
        with FileLock(path, timeout=0):
            path.write_text(f"{os.getpid()} {datetime.datetime.now().isoformat(' ', 'seconds')}", encoding="utf-8")
            try:
                yield
            finally:
                if not leave and os.name != "nt":  # Windows takes an open file away by itself when it is let go
                    path.unlink(missing_ok=True)
    except Timeout as error:
        holder, _, since = _first_line(path).partition(" ")
        raise HeldLockError(holder or "unknown", since) from error


def _first_line(path: Path) -> str:
    """What the holder of a lock wrote; "" while it has not."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")[:40].partition("\n")[0].strip()
    except OSError:
        return ""


class HeldLockError(RuntimeError):
    """Another process holds a lock.

    Attributes:
        holder: Number of that process, or "unknown".
        since: When it took the lock, as a local date and time; "" where that is not known.
    """

    def __init__(self, holder: str, since: str = "") -> None:
        super().__init__(f"held by process {holder}" + (f" since {since}" if since else ""))
        self.holder, self.since = holder, since


class DiskFullError(OSError):
    """The disk is full (or a quota is used up); the message says where, what is needed and how to go on."""


@contextlib.contextmanager
def room_for(folder: Path, what: str, num_bytes: int, how_to_go_on: str) -> Iterator[None]:
    """Turn whatever a library raises on a full disk into one sentence.

    Args:
        folder: Where the block writes.
        what: What it writes, such as "the model".
        num_bytes: What that takes, about.
        how_to_go_on: A sentence.

    Raises:
        DiskFullError: The disk was full.
    """
    try:
        yield
    except Exception as error:
        if not is_disk_full(error):
            raise
        free = shutil.disk_usage(folder).free if folder.exists() else 0
        raise DiskFullError(
            f"the disk is full: no room to write {what} to {folder} (about {megabytes(num_bytes)} needed, "
            f"{megabytes(free)} free); {how_to_go_on}"
        ) from error


def is_disk_full(error: BaseException) -> bool:
    """Whether an error, or one behind it, says that the disk is full, in the words of the system or of a library."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, DiskFullError):
            return False  # told already
        if isinstance(seen, OSError) and seen.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        text = str(seen)
        if any(words in text for words in ("No space left on device", "Disk quota exceeded", "os error 28")):
            return True
        if "PytorchStreamWriter failed" in text or "unexpected pos" in text:  # torch.save says no more than this
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def megabytes(num_bytes: int) -> str:
    """A size for a sentence: "3.2 MB"."""
    return f"{num_bytes / 1e6:,.1f} MB" if num_bytes < 1e8 else f"{num_bytes / 1e6:,.0f} MB"


def check_writable(folder: Path) -> None:
    """Learn before the work that a folder cannot be made or written into; nothing is left behind.

    Raises:
        ValueError: It cannot.
    """
    made: list[Path] = []
    try:
        for path in (*reversed(folder.absolute().parents), folder.absolute()):
            if not path.exists():
                path.mkdir()
                made.append(path)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(f"cannot write to {folder}: {error.strerror or error}") from error
    finally:
        for path in reversed(made):
            path.rmdir()


def given_path(value: object, name: str, *, example: str = "model") -> Path:
    """A path that somebody gave as an argument.

    Args:
        value: What was given.
        name: Name of the argument.
        example: What might be typed.

    Raises:
        TypeError: It is no text and no path.
        ValueError: It is empty, or holds a null character.

    Example:
        >>> given_path(None, "folder")
        Traceback (most recent call last):
        TypeError: folder is None; expected a path as text or as pathlib.Path, such as folder='model'
    """
    typed = f"expected a path as text or as pathlib.Path, such as {name}={example!r}"
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if not isinstance(value, str):
        raise TypeError(f"{name} is {value!r:.80}; {typed}")
    if not value.strip() or "\0" in value:
        raise ValueError(f"{name} is {value!r:.80}; {typed}")
    return Path(value)
