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
from plait.api.profiling.points import DECODE_PICTURES, ENCODE, IMPORTS, OPTIMIZER, STEP, UNITS, timed
from plait.api.profiling.spans import Clock, Spent
from plait.report.languages import spoken, tr
from plait.report.words import columns, listed

BEFORE = "start of Python and of the command line"
REST = "everything else"
MOSTLY = 0.4  # of the whole, from which imports are worth a word
_RUNNING = threading.Lock()


@dataclass
class Profile:
    """Where the time went.

    Attributes:
        seconds: Of the whole work, as a watch shows them.
        processor_seconds: Of all threads of this process; processes that it started are not counted.
        phases: What each took, the longest first; their ``seconds`` add up to those of the whole.
        limits: What the machine can do; None where PyTorch was not used.
        precision: In which encoding and training multiplied, by phase, where operations were counted.
    """

    seconds: float = 0.0
    processor_seconds: float = 0.0
    phases: dict[str, Spent] = field(default_factory=dict)
    limits: Limits | None = None
    precision: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As plain values; ``unit`` says of what ``amount`` is."""
        phases = [
            {"phase": name, **asdict(spent), "flops": spent.all_flops, "unit": UNITS.get(name, "calls")}
            for name, spent in self.phases.items()
        ]
        return {
            "seconds": self.seconds, "processor_seconds": self.processor_seconds, "phases": phases,
            "limits": None if self.limits is None else asdict(self.limits),
            "encoding_gflops": self.encoding_gflops, "encoding_share": self._share(self.encoding_gflops, ENCODE),
            "training_gflops": self.training_gflops, "training_share": self.training_share,
            "training_precision": self.precision.get(STEP),
        }  # fmt: skip

    @property
    def encoding_gflops(self) -> float | None:
        """Billions of operations a second of the encoders' forward passes; None where nothing was encoded."""
        spent = self.phases.get(ENCODE)
        took = 0.0 if spent is None else spent.seconds + spent.in_threads
        return spent.all_flops / took / 1e9 if spent is not None and spent.flops and took else None

    @property
    def training_gflops(self) -> float | None:
        """Billions of operations a second of the steps of training: forward and backward, over their time and the
        optimizer's; None where nothing was trained. What gradient checkpointing computes again is counted.
        """
        spent, optimizer = self.phases.get(STEP), self.phases.get(OPTIMIZER, Spent())
        if spent is None or not spent.flops:
            return None
        return spent.all_flops / max(1e-9, spent.uncounted_seconds + optimizer.seconds) / 1e9

    @property
    def training_share(self) -> float | None:
        """These by what a matrix product reaches in the same precision on the same device: the utilisation of its
        operations (Chowdhery et al. 2022, appendix B), with a measured peak; None where one of them is not known.
        """
        return self._share(self.training_gflops, STEP)

    def _share(self, gflops: float | None, phase: str) -> float | None:
        if gflops is None or self.limits is None:
            return None
        most = self.limits.product(self.precision.get(phase, "float32"))
        return gflops / most if most else None

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
        if limits.device != "cpu":
            shown = ", ".join(f"{name} {value:.0f} GFLOP/s" for name, value in limits.products.items())
            lines.append(f"{limits.device}: matrix product {shown}" if shown else f"{limits.device}: not used")
        elif "bfloat16" in limits.products:
            lines.append(f"matrix product in bfloat16: {limits.products['bfloat16']:.0f} GFLOP/s")
        imports = self.phases.get(IMPORTS, Spent()).seconds
        if self.seconds and imports > MOSTLY * self.seconds:
            lines.append(
                f"imports took {imports / self.seconds:.0%} of it: a process that stays pays them once, plait serve or "
                "Python that keeps the model"
            )
        encoded, trained = self._share(self.encoding_gflops, ENCODE), self.training_share
        if self.encoding_gflops is not None and encoded is not None:
            rate, kind = _rate(self.encoding_gflops), self.precision.get(ENCODE, "float32")
            lines.append(f"encoders ran at {rate} GFLOP/s, {encoded:.0%} of the matrix product in {kind}")
        if self.training_gflops is not None and trained is not None:
            rate, kind = _rate(self.training_gflops), self.precision.get(STEP, "float32")
            lines.append(f"training steps ran at {rate} GFLOP/s, {trained:.0%} of the matrix product in {kind}")
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
        flops: Count the operations of encoders and of training, which slows their small operations down a little.
        since_start: Count the time of the process until now, as imports of the command line.

    Yields:
        The profile, which is filled when the block ends, by an error too.

    Raises:
        RuntimeError: A profile is running already.

    Example:
        >>> with profile() as found:
        ...     _ = sum(range(10))
        >>> sorted(found.to_json())[:4]
        ['encoding_gflops', 'encoding_share', 'limits', 'phases']
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
            found.precision = dict(clock.precision)
            found.limits = measure_limits(clock.precision.values()) if "torch" in sys.modules else None
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


def _rate(gflops: float) -> str:
    """With digits where it is small, as of small heads."""
    return f"{gflops:.0f}" if gflops >= 10 else f"{gflops:.2g}"
