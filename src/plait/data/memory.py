"""The memory that this process may hold, and what of it is left.

A bound is given (``memory="4GB"``, ``PLAIT_MEMORY=4GB``), or it is what the process holds when work begins and four
fifths of what is free then: of the machine, of its container and of the process's own limit. It is kept by asking
before memory is taken: tables, batches, pictures that are decoded, activations that are kept and features that are
copied all take shares of :func:`available_memory`; what cannot be kept under it is refused in words (:func:`require`).
Memory of an accelerator is not counted. The bound is one of the process, whichever of its threads asks.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import re
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

Given = ParamSpec("Given")
Made = TypeVar("Made")

VARIABLE = "PLAIT_MEMORY"
UNITS = {
    "": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12,
    "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40,
}  # fmt: skip
LEAST = 2**26  # bytes that are always reckoned as left: less makes nothing work
DEFAULT_SHARE = (4, 5)  # of what is free, where no bound is given
FORWARD_TIMES = 128  # a forward takes so many times the bytes of its padded inputs at most, or nearly (benchmarks)
SMALL = 1 << 24  # bytes of a picture that nobody asks for before it is decoded
KERNELS = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"  # oneDNN keeps a kernel for each new shape, 1,024 at most, some MB each
FEW_KERNELS = "64"
KEPT = 1 << 29  # bytes that the C library keeps at the end of its heap
MAPPED_FROM = 1 << 25  # bytes of an array that the system hands out and takes back by itself: the most that can be set
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h
_UNKNOWN_MEMORY = 8 * 2**30
_CONTROL_GROUPS = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"), Path("/sys/fs/cgroup/memory/memory.usage_in_bytes")),
)


@dataclass(frozen=True)
class Bound:
    """What the process may hold.

    Attributes:
        most: Bytes in all: Python, its libraries, the model and everything else that stays in memory.
        is_given: Whether someone gave it; otherwise it follows from what was free.
    """

    most: int
    is_given: bool


_BOUND: Bound | None = None
_BATCH: dict[Bound, int] = {}  # what a forward may take under a bound, told once: the same batches all the way


def memory_bytes(given: str | int, name: str = "memory") -> int:
    """A size of memory in bytes.

    Args:
        given: A number of bytes, or text: "4GB" (of 10^9 bytes), "4GiB" (of 2^30), "512MB", "1.5 GiB".
        name: Of the argument, for the message.

    Raises:
        ValueError: It is no size, or below 64 MiB.

    Example:
        >>> memory_bytes("4GB"), memory_bytes("1.5GiB"), memory_bytes(2_000_000_000)
        (4000000000, 1610612736, 2000000000)
    """
    found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*([A-Za-z]*)\s*", str(given).replace("_", ""))
    if isinstance(given, bool) or found is None or found[2].upper() not in UNITS or len(found[1]) > 18:
        raise ValueError(f"{name} is {given!r}; expected a size such as {name}=4GB, {name}=512MB or {name}=3GiB")
    size = int(float(found[1]) * UNITS[found[2].upper()])
    if size < LEAST:
        unit = "" if found[2] else " (a number alone is bytes)"
        raise ValueError(f"{name} is {given!r}, which is {size:,} bytes{unit}; Python alone takes more: try {name}=2GB")
    return size


def in_words(size: int) -> str:
    """A number of bytes for people.

    Example:
        >>> in_words(4_200_000_000), in_words(730_000_000)
        ('4.2 GB', '730 MB')
    """
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def resident() -> int:
    """Bytes that this process holds in memory now; 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError, IndexError):
        return peak()  # no less than it holds


def peak() -> int:
    """Most bytes that this process ever held; 0 where the system does not tell."""
    if sys.platform == "win32":
        return 0
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(most) * (1 if sys.platform == "darwin" else 1024)


def bound() -> Bound | None:
    """The bound that holds now: of the work under way, else of the environment; None outside of work.

    Raises:
        ValueError: ``PLAIT_MEMORY`` is no size.
    """
    if _BOUND is not None:
        return _BOUND
    given = os.environ.get(VARIABLE, "").strip()
    return _of_environment(given) if given else None


@functools.cache
def _of_environment(given: str) -> Bound:
    return Bound(memory_bytes(given, VARIABLE), True)


def default_bound() -> Bound:
    """The bound of work for which none is given."""
    share, of = DEFAULT_SHARE
    return Bound(resident() + available_memory() * share // of, False)


@contextlib.contextmanager
def memory_bound(given: str | int | None) -> Iterator[Bound]:
    """Keep to a bound until the block ends; None: to that which holds already, else to the default one.

    Raises:
        ValueError: It is no size, or the process holds as much already.

    Warns:
        UserWarning: The process held more all the same, with how much.
    """
    global _BOUND
    holds = bound()
    if holds is not None and (given is None or (holds.is_given and holds.most == memory_bytes(given))):
        yield holds
        return
    made = default_bound() if given is None else Bound(memory_bytes(given), True)
    if made.is_given:
        if made.most <= resident() + LEAST // 2:
            raise ValueError(
                f"memory={given} leaves no room: Python and its libraries hold {in_words(resident())} already; try "
                f"memory={-(-2 * resident() // 10**9)}GB"
            )
        os.environ.setdefault(KERNELS, FEW_KERNELS)  # read when the first kernel is made
    before, _BOUND, held = _BOUND, made, peak()
    try:
        yield made
    finally:
        _BOUND = before
        _BATCH.pop(made, None)
        if made.is_given and held <= made.most < peak():
            warnings.warn(
                f"memory={given} was passed: the process held {in_words(peak())} at its most; a smaller "
                "encoders.batch_mb or train.batch_size takes less",
                UserWarning,
                stacklevel=4,
            )


def bounded(function: Callable[Given, Made]) -> Callable[Given, Made]:
    """Let a function that takes ``memory=`` keep to that bound, or to the default one."""

    @functools.wraps(function)
    def kept(*arguments: Given.args, **named: Given.kwargs) -> Made:
        given: Any = named.pop("memory", None)
        with memory_bound(given):
            return function(*arguments, **named)

    return kept


def within_bound(given: str | int | None, work: Callable[[], Iterator[Made]]) -> Iterator[Made]:
    """What an iterator yields, made under a bound, which holds while the next thing is made and not in between."""
    with memory_bound(given):
        made = work()

    def kept() -> Iterator[Made]:
        while True:
            with memory_bound(given):
                try:
                    one = next(made)
                except StopIteration:
                    return
            yield one

    return kept()


def share_of_bound(parts: int) -> int | None:
    """What each of several further processes may hold of a bound that was given; None where none was."""
    holds = bound()
    return None if holds is None or not holds.is_given else max(LEAST, (holds.most - resident()) // parts)


def available_memory() -> int:
    """Bytes that this process can still take: of the machine, its container, its own limit and the bound."""
    holds = bound()
    left = _left_of_system()
    return max(LEAST, left if holds is None else min(left, holds.most - resident()))


def _left_of_system() -> int:
    found = [_of_machine(), _of_container(), _of_process()]
    return min((size for size in found if size is not None), default=_UNKNOWN_MEMORY)


def most_forward_bytes(wanted: int) -> int:
    """Bytes of padded inputs that a batch may have: those that are wanted, or less where the bound leaves little.

    The largest power of two that takes no more than half of what is left, reckoned once for all of the work.
    """
    holds = bound()
    if holds is None:
        return wanted
    if holds not in _BATCH:
        _BATCH[holds] = 1 << max(0, (available_memory() // (2 * FORWARD_TIMES)).bit_length() - 1)
    return min(wanted, _BATCH[holds])


def require(parts: Mapping[str, int], advice: str) -> None:
    """Make sure that work fits, before it begins.

    Args:
        parts: Bytes by what they are for, in words, beside those that the process holds already.
        advice: What takes less.

    Raises:
        ValueError: It does not; the message adds up the parts and says what to type.
    """
    here, holds = resident(), bound()
    needed = here + sum(parts.values())
    is_given = holds is not None and holds.is_given
    most = holds.most if holds is not None and is_given else here + _left_of_system()
    if needed <= most:
        return
    listed = ", ".join(f"{in_words(size)} for {what}" for what, size in parts.items() if size)
    allowed = f"the bound is {in_words(most)}" if is_given else f"there are {in_words(most)}"
    larger = f"give memory={-(-11 * needed // 10**10)}GB, or " if is_given else ""
    raise ValueError(
        f"this needs about {in_words(needed)} of memory: {in_words(here)} that the process holds already, {listed}; "
        f"{allowed}. To go on, {larger}{advice}"
    )


def require_weights(files: Iterable[Path], what: str) -> None:
    """Make sure that weights fit before they are read.

    Args:
        files: Those that hold them; what is not there counts nothing.
        what: Whose they are, for the message.

    Raises:
        ValueError: They do not fit.
    """
    size = sum(path.stat().st_size for path in files if path.suffix == ".safetensors" and path.is_file())
    require({f"the weights of {what}": size}, "take a smaller model")


class _Reservations:
    """Memory that threads have asked for and may not have taken yet."""

    def __init__(self) -> None:
        self._changed, self._held = threading.Condition(), 0

    @contextlib.contextmanager
    def of(self, size: int) -> Iterator[None]:
        if size < SMALL:
            yield
            return
        with self._changed:
            while True:
                free = available_memory()
                if size <= free - self._held:
                    break
                if self._held == 0:
                    raise MemoryError(f"{in_words(size)} are needed at once, and {in_words(free)} are left")
                self._changed.wait()
            self._held += size
        try:
            yield
        finally:
            with self._changed:
                self._held -= size
                self._changed.notify_all()


_RESERVED = _Reservations()


def reserved(size: int) -> contextlib.AbstractContextManager[None]:
    """Take so many bytes for a while: waits for other threads that have, and takes no more than is left.

    Raises:
        MemoryError: There is not as much, and nobody will give any back.
    """
    return _RESERVED.of(size)


def trim() -> None:
    """Give freed memory back to the system, where a bound was given; C libraries keep it for later otherwise."""
    holds = bound()
    if holds is None or not holds.is_given:
        return
    import pyarrow as pa

    pa.default_memory_pool().release_unused()
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError, OSError):  # another C library than GNU's
            ctypes.CDLL(None).malloc_trim(0)


def keep_freed() -> bool:
    """Let GNU's C library keep freed memory for the next batch; where a bound was given it goes back as before.

    By default it hands back what a forward frees, megabyte by megabyte, and the next one pays for every page again: a
    quarter of the time of a small CNN (``benchmarks/freed_memory.py``). The whole process keeps up to ``KEPT`` at the
    end of its heap from then on; whoever set ``MALLOC_*`` or ``GLIBC_TUNABLES`` in the environment decides instead.

    Returns:
        Whether it is kept.
    """
    holds = bound()
    is_set = any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ)
    if sys.platform != "linux" or is_set or (holds is not None and holds.is_given):
        return False
    with contextlib.suppress(AttributeError, OSError):  # another C library than GNU's
        library = ctypes.CDLL(None)
        return bool(library.mallopt(_M_MMAP_THRESHOLD, MAPPED_FROM) and library.mallopt(_M_TRIM_THRESHOLD, KEPT))
    return False


def _of_machine() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, OSError, ValueError):
        return None


def _of_container() -> int | None:
    for most, current in _CONTROL_GROUPS:
        try:
            return max(0, int(most.read_text()) - int(current.read_text()))
        except (OSError, ValueError):  # no such group, or "max"
            continue
    return None


def _of_process() -> int | None:
    """What ``ulimit -v`` leaves."""
    if sys.platform == "win32":
        return None
    import resource

    most = resource.getrlimit(resource.RLIMIT_AS)[0]
    if most == resource.RLIM_INFINITY:
        return None
    try:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        used = 0
    return max(0, most - used)
