"""``with plait.profile() as found:`` and ``plait profile VERB ...``: seconds by phase, beside the machine's limits."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from plait.api.profiling.limits import Limits, measure_limits
from plait.api.profiling.points import DECODE_PICTURES, ENCODE, UNITS, timed
from plait.api.profiling.spans import Clock, Spent
from plait.report.languages import spoken, tr
from plait.report.words import columns, listed

BEFORE = "start of Python and of the command line"
REST = "everything else"
_RUNNING = threading.Lock()


@dataclass
class Profile:
    """Where the time went.

    Attributes:
        seconds: Of the whole work, as a watch shows them.
        processor_seconds: Of all threads of this process; processes that it started are not counted.
        phases: What each took, the longest first; their ``seconds`` add up to those of the whole.
        limits: What the machine can do; None where PyTorch was not used.
    """

    seconds: float = 0.0
    processor_seconds: float = 0.0
    phases: dict[str, Spent] = field(default_factory=dict)
    limits: Limits | None = None

    def to_json(self) -> dict[str, Any]:
        """As plain values; ``unit`` says of what ``amount`` is."""
        phases = [
            {"phase": name, **asdict(spent), "unit": UNITS.get(name, "calls")} for name, spent in self.phases.items()
        ]
        return {
            "seconds": self.seconds, "processor_seconds": self.processor_seconds, "phases": phases,
            "limits": None if self.limits is None else asdict(self.limits),
            "encoding_gflops": self.encoding_gflops,
        }  # fmt: skip

    @property
    def encoding_gflops(self) -> float | None:
        """Billions of operations a second of the encoders' forward passes; None where nothing was encoded."""
        spent = self.phases.get(ENCODE)
        took = 0.0 if spent is None else spent.seconds + spent.in_threads
        return spent.flops / took / 1e9 if spent is not None and spent.flops and took else None

    def table(self, lang: str = "en") -> str:
        """Lines for a terminal, in "en" or "zh"."""
        with spoken(lang):
            seconds, used = f"{self.seconds:.1f} s", f"{self.processor_seconds:.1f} s of processor time"
            width = max([columns(_phase(n)) for n in self.phases], default=5)
            head = [tr(word, "profile") for word in ("phase", "seconds", "share", "in threads", "done")]
            lines = [
                str(tr(f"{seconds} ({used})")),
                f"{_filled(head[0], width)}  {_filled(head[1], 7, left=True)}  {_filled(head[2], 5, left=True)}  "
                f"{_filled(head[3], 10, left=True)}  {head[4]}",
            ]
            for name, spent in self.phases.items():
                if max(spent.seconds, spent.in_threads) < 0.005:
                    continue
                threads = f"{spent.in_threads:.2f}" if spent.in_threads >= 0.005 else ""
                share = spent.seconds / self.seconds if self.seconds else 0.0
                line = f"{_filled(_phase(name), width)}  {spent.seconds:7.2f}  {share:5.1%}  {threads:>10}  "
                lines.append((line + _done(name, spent)).rstrip())
            return "\n".join([*lines, *map(str, map(tr, self._against_limits()))])

    def _against_limits(self) -> list[str]:
        if self.limits is None:
            return []
        limits, lines = self.limits, []
        threads = "1 thread" if limits.threads == 1 else f"{limits.threads} threads"
        lines.append(
            f"this machine, measured just now: matrix product {limits.gflops:.0f} GFLOP/s ({threads}), copy "
            f"{limits.copy_gb:.1f} GB/s, JPEG {limits.jpeg_megapixels:.0f} megapixels/s"
        )
        if self.encoding_gflops is not None:
            share = self.encoding_gflops / limits.gflops if limits.gflops else 0.0
            lines.append(f"encoders ran at {self.encoding_gflops:.0f} GFLOP/s, {share:.0%} of the matrix product")
        decoded = self.phases.get(DECODE_PICTURES)
        if decoded is not None and decoded.amount:
            rate = decoded.amount / max(1e-9, decoded.seconds + decoded.in_threads)
            lines.append(
                f"pictures were decoded at {rate:.0f} megapixels/s a thread, after any reduction while decoding"
            )
        return lines

    def __str__(self) -> str:
        return self.table()


@contextlib.contextmanager
def profile(*, flops: bool = True, since_start: bool = False) -> Iterator[Profile]:
    """Time what is done inside, phase by phase: imports, reading, decoding, encoding, training, judging, writing.

    Each second belongs to the innermost phase. Functions of Plait are wrapped while it runs and restored afterwards;
    answers do not change. Only this process is timed, and the thread that opens the block; other threads beside it.

    Args:
        flops: Count the operations of encoders, which slows their small operations down a little.
        since_start: Count the time of the process until now, as imports of the command line.

    Yields:
        The profile, which is filled when the block ends, by an error too.

    Raises:
        RuntimeError: A profile is running already.

    Example:
        >>> with profile() as found:
        ...     _ = sum(range(10))
        >>> sorted(found.to_json())
        ['encoding_gflops', 'limits', 'phases', 'processor_seconds', 'seconds']
    """
    if not _RUNNING.acquire(blocking=False):
        raise RuntimeError("a profile is running already; end it before another begins")
    try:
        found, clock = Profile(), Clock()
        processor = time.process_time()
        began = clock.now()
        try:
            with timed(clock, flops):
                yield found
        finally:
            before = processor if since_start else 0.0
            inside = clock.now() - began
            found.processor_seconds = time.process_time() - processor + before
            found.seconds = inside + before
            spent = dict(clock.spent)
            if before:
                spent[BEFORE] = Spent(before, calls=1)
            spent[REST] = Spent(max(0.0, inside - sum(s.seconds for s in clock.spent.values())))
            found.phases = dict(sorted(spent.items(), key=lambda one: -one[1].seconds))
            found.limits = measure_limits() if "torch" in sys.modules else None
    finally:
        _RUNNING.release()


def _done(name: str, spent: Spent) -> str:
    if name not in UNITS:
        return ""
    took = spent.seconds + spent.in_threads
    done = f"{spent.amount:,.0f}" if spent.amount >= 10 else f"{spent.amount:.1f}".removesuffix(".0")
    counted = f"{done} {tr(UNITS[name], 'unit')}"
    return listed([counted, tr(f"{spent.amount / took:,.0f} a second")] if took > 0 else [counted])


def _phase(name: str) -> str:
    """A phase in the language that is spoken."""
    return str(tr(name, "phase"))


def _filled(text: str, width: int, *, left: bool = False) -> str:
    """A text in a column of a width, a Chinese character counting two."""
    space = " " * (width - columns(text))
    return space + text if left else text + space
