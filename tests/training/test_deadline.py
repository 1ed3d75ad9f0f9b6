"""The time of a run, on a clock of the test's own."""

from __future__ import annotations

import pytest

from fixtures.lazy import lazy

limits = lazy("plait.training.deadline")


class Clock:
    """Seconds that pass when the test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_without_a_limit_everything_fits() -> None:
    deadline = limits.Deadline()
    assert deadline.has_room("a year", 3e7) and deadline.room_for("years", 3e7, 5) == 5 and not deadline.passed
    assert deadline.to_json() is None


def test_a_share_is_kept_for_evaluation() -> None:
    clock = Clock()
    deadline = limits.Deadline(100, clock=clock)
    assert deadline.left == pytest.approx(100 * (1 - limits.RESERVED))
    clock.now = 100 * (1 - limits.RESERVED) + 1
    assert deadline.passed


def test_what_does_not_fit_is_written_down() -> None:
    clock = Clock()
    deadline = limits.Deadline(100, clock=clock)
    assert deadline.has_room("short", 10)
    assert not deadline.has_room("long", 90)
    clock.now = 50.0  # 20 of 70 seconds are left
    assert deadline.room_for("folds", 9, 4) == 2
    assert deadline.room_for("folds", 9, 4, share=0.5) == 1
    told = deadline.to_json()
    assert told is not None
    assert told["left_out"] == [
        {"what": "long", "needed": 90}, {"what": "folds (2 of 4)", "needed": 18},
        {"what": "folds (3 of 4)", "needed": 27},
    ]  # fmt: skip


def test_encoding_that_would_pass_the_limit_stops_early_and_says_what_to_type() -> None:
    clock, seen = Clock(), []
    watch = limits.Deadline(100, clock=clock).watch_encoding(lambda *told: seen.append(told))
    assert watch is not None
    watch(0, 1000, "encoding images")
    clock.now = 4.0
    watch(32, 1000, "encoding images")  # too early to tell: 4 of 100 seconds
    clock.now = 8.0
    with pytest.raises(
        limits.TimeLimitError, match=r"about 125 s here \(1,000 of them\).*time_limit=100s.*64 now"
    ) as stopped:
        watch(64, 1000, "encoding images")
    assert "time_limit=4m" in str(stopped.value)  # (8 + 125) / 0.7 seconds, and the next minute
    assert "encoders.image_size=96" in str(stopped.value) and len(seen) == 3


def test_encoding_that_fits_goes_on() -> None:
    clock = Clock()
    watch = limits.Deadline(100, clock=clock).watch_encoding(None)
    assert watch is not None
    for done in range(0, 101, 10):
        clock.now = done * 0.5
        watch(done, 100, "encoding texts")
    assert limits.Deadline().watch_encoding(None) is None


def test_resamples_shrink_to_what_is_left() -> None:
    now = [0.0]
    deadline = limits.Deadline(100.0, clock=lambda: now[0])
    assert deadline.resamples(1000, 0.01, share=0.25) == 1000
    now[0] = 85.0  # ten seconds before what is kept for saving; a quarter of them is 2.5
    assert deadline.resamples(1000, 0.01, share=0.25) == 250
    now[0] = 200.0
    assert deadline.resamples(1000, 0.01, share=0.25) == 20
    assert limits.Deadline(None, clock=lambda: now[0]).resamples(1000, 9.0, share=0.25) == 1000
