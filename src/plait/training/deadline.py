"""The time a run may take: what of it is left, what was done with it, and what was left out for lack of it.

Every step asks before it begins whether what it will take still fits, judged by what steps like it took; a network that
is being trained asks after every step. A share of the limit is kept for evaluating and saving.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from plait.data.progress import Progress
from plait.settings.durations import spoken

RESERVED, MOST_RESERVED = 0.3, 0.6  # share of the limit that is kept for evaluating and saving, and the most
LOOKS_AFTER = 0.05  # share of the limit after which the time that encoding takes is estimated
FOR_SAVING = 0.05  # share of the limit that evaluation leaves to saving
FEWEST_RESAMPLES = 20
FEWEST = 32  # items encoded before anything is estimated


SMALLER = {  # by what is encoded: settings under which it takes less
    "texts": "set=['encoders.max_length=32'], set=['encoders.text=scratch:text']",
    "images": "set=['encoders.image_size=96'], set=['encoders.image=scratch:image']",
    "audios": "set=['encoders.audio_seconds=5']",
}


class TimeLimitError(ValueError):
    """What cannot be left out does not fit into the time limit."""


class Deadline:
    """What is left of a run's time.

    Args:
        limit: Seconds; None: as long as it takes.
        started: ``clock()`` when the run began; None: now.
        clock: Seconds since any moment.

    Attributes:
        tried: Of each step: ``what`` and ``seconds``.
        left_out: Of each step that was not taken: ``what`` and ``needed``, the seconds that it would have taken.
        cut: Names of trainings that stopped at the deadline.
        thinned: Share of the bootstrap resamples of evaluation that there is time for.
    """

    def __init__(
        self, limit: float | None = None, started: float | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.limit, self.clock = limit, clock
        self.started = clock() if started is None else started
        self.tried: list[dict[str, Any]] = []
        self.left_out: list[dict[str, Any]] = []
        self.cut: list[str] = []
        self.thinned = 1.0
        self._for_evaluation = self._for_later = 0.0

    @property
    def left(self) -> float:
        """Seconds for trying models; what is kept for evaluating is not among them."""
        if self.limit is None:
            return math.inf
        kept = min(MOST_RESERVED, max(RESERVED, FOR_SAVING + self._for_evaluation / self.limit))
        return self.started + self.limit * (1 - kept) - self._for_later - self.clock()

    @property
    def passed(self) -> bool:
        """Whether nothing more may be begun, and training stops."""
        return self.left <= 0

    @property
    def seconds(self) -> float:
        """Seconds since the run began."""
        return self.clock() - self.started

    @property
    def left_for_evaluation(self) -> float:
        """Seconds until what is left is kept for saving."""
        if self.limit is None:
            return math.inf
        return self.started + self.limit * (1 - FOR_SAVING) - self.clock()

    @contextmanager
    def leaving(self, share: float) -> Iterator[None]:
        """Within, a share of what is left now is kept for the steps that follow."""
        before, self._for_later = self._for_later, 0.0 if self.limit is None else max(0.0, self.left) * share
        try:
            yield
        finally:
            self._for_later = before

    def reserve(self, seconds: float) -> None:
        """Keep so many seconds for evaluation, where they are more than the share that is kept anyway."""
        self._for_evaluation = max(self._for_evaluation, seconds)

    def can_evaluate(self, what: str, needed: float) -> bool:
        """Whether a part of evaluation that takes ``needed`` seconds still fits; if not, it is written as left out."""
        if needed < self.left_for_evaluation:
            return True
        self._leave_out(what, needed)
        return False

    def plan_resamples(self, number: int, each: float, share: float) -> None:
        """See that so many bootstrap resamples fit into a share of the time before saving, by having fewer of each.

        Args:
            number: Resamples of all intervals, where time does not matter.
            each: Seconds that one takes.
            share: Share of the time that is left.
        """
        if self.limit is not None:
            self.thinned = min(1.0, max(0.0, self.left_for_evaluation) * share / max(number * each, 1e-9))

    def resamples(self, wanted: int) -> int:
        """How many of so many resamples of an interval are made; at least 20."""
        return wanted if self.thinned >= 1 else min(wanted, max(FEWEST_RESAMPLES, int(wanted * self.thinned)))

    def stop(self, what: str) -> bool:
        """Whether a fit that can end here must; then it is written down as cut."""
        if not self.passed:
            return False
        if what not in self.cut:
            self.cut.append(what)
        return True

    def has_room(self, what: str, needed: float = 0.0) -> bool:
        """Whether a step that takes ``needed`` seconds may begin; if not, it is written down as left out."""
        if needed < self.left:
            return True
        self._leave_out(what, needed)
        return False

    def room_for(self, what: str, each: float, number: int, share: float = 1.0) -> int:
        """How many of ``number`` equal steps fit into a share of what is left; the others are left out."""
        fitting = number if self.limit is None else max(0, min(number, int(self.left * share / max(each, 1e-9))))
        if fitting < number:
            missing = number - fitting
            self._leave_out(f"{what} ({missing} of {number})", each * missing)
        return fitting

    def took(self, what: str, seconds: float) -> None:
        """Write down a step that was taken."""
        self.tried.append({"what": what, "seconds": round(seconds, 2)})

    def watch_encoding(self, progress: Progress | None) -> Progress | None:
        """The progress of encoding, which ends the run early where encoding alone would pass the limit.

        Raises:
            TimeLimitError: From the returned function, with the time that encoding would take and what to type.
        """
        if self.limit is None:
            return progress
        began: dict[str, float] = {}

        def told(done: int, total: int, what: str) -> None:
            if progress is not None:
                progress(done, total, what)
            assert self.limit is not None
            now = self.clock()
            spent = now - began.setdefault(what, now)
            if what.startswith("encoding") and 0 < done < total and done >= min(FEWEST, total // 4):
                rest = spent / done * (total - done)
                if spent > LOOKS_AFTER * self.limit and rest > self.left:
                    self._stop_encoding(what, done, total, spent + rest)

        return told

    def _stop_encoding(self, what: str, done: int, total: int, needed: float) -> None:
        assert self.limit is not None
        enough = (self.seconds + needed) / (1 - RESERVED)
        raise TimeLimitError(
            f"{what} takes about {spoken(needed)} here ({total:,} of them), which does not fit into "
            f"time_limit={self.limit:g}s. What is encoded stays stored ({done:,} now), so that the same command goes "
            f"further each time; or type time_limit={math.ceil(enough / 60)}m, a table of fewer rows, less to encode "
            f"of each ({SMALLER.get(what.removeprefix('encoding '), 'a smaller encoder')}), or leave the column out "
            "with ignore=COLUMN"
        )

    def stops(self, what: str) -> Callable[[], bool]:
        """``stop`` of one fit, for whoever knows nothing of deadlines."""
        return lambda: self.stop(what)

    def to_json(self) -> dict[str, Any] | None:
        """As plain values for a report; None without a limit."""
        if self.limit is None:
            return None
        return {
            "limit": self.limit, "seconds": round(self.seconds, 2), "tried": self.tried, "left_out": self.left_out,
            "cut": self.cut,
        }  # fmt: skip

    def _leave_out(self, what: str, needed: float) -> None:
        """Write a step down as left out, once: each fold may say so."""
        if all(one["what"] != what for one in self.left_out):
            self.left_out.append({"what": what, "needed": round(needed, 1)})
