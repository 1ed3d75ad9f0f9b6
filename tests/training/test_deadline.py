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


def test_a_step_can_leave_a_share_of_the_time_to_those_that_follow() -> None:
    clock = Clock()
    deadline = limits.Deadline(100, clock=clock)
    clock.now = 20.0  # 50 of 70 seconds are left
    with deadline.leaving(0.4):
        assert deadline.left == pytest.approx(30)
        clock.now = 51.0
        assert deadline.passed
    assert deadline.left == pytest.approx(19)
    with limits.Deadline().leaving(0.4):
        assert not limits.Deadline().passed


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
    deadline.plan_resamples(1000, 0.01, share=0.25)
    assert deadline.resamples(1000) == 1000
    now[0] = 85.0  # ten seconds before what is kept for saving; a quarter of them is 2.5
    deadline.plan_resamples(1000, 0.01, share=0.25)
    assert deadline.resamples(1000) == 250 and deadline.resamples(300) == 75
    now[0] = 200.0
    deadline.plan_resamples(1000, 0.01, share=0.25)
    assert deadline.resamples(1000) == 20
    endless = limits.Deadline(None, clock=lambda: now[0])
    endless.plan_resamples(1000, 9.0, share=0.25)
    assert endless.resamples(1000) == 1000


def test_time_is_kept_for_what_evaluation_needs_and_not_for_more_than_most_of_the_limit() -> None:
    deadline = limits.Deadline(100.0, clock=Clock())
    deadline.reserve(10.0)
    assert deadline.left == pytest.approx(70.0)  # the share that is kept anyway is larger
    deadline.reserve(35.0)
    assert deadline.left == pytest.approx(60.0)
    deadline.reserve(9000.0)
    assert deadline.left == pytest.approx(40.0)


def test_a_part_of_evaluation_that_does_not_fit_is_left_out_and_what_is_kept_for_saving_is_not_spent() -> None:
    clock = Clock()
    deadline = limits.Deadline(100.0, clock=clock)
    clock.now = 85.0
    assert deadline.can_evaluate("missing", 9.0) and not deadline.can_evaluate("missing", 11.0)
    assert [one["what"] for one in deadline.left_out] == ["missing"]
    assert limits.Deadline().can_evaluate("missing", 1e9)


def test_a_fit_that_is_stopped_is_named_once() -> None:
    clock = Clock()
    deadline = limits.Deadline(100.0, clock=clock)
    stops = deadline.stops("linear of text")
    assert not stops() and deadline.cut == []
    clock.now = 99.0
    assert stops() and stops() and deadline.cut == ["linear of text"]
