"""Calibrating and judging that is killed, or meets a full or read-only folder: the old model stays whole."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plait
from fixtures.small_model import contents


def rows(count: int = 160) -> dict[str, list[Any]]:
    """Rows that the small model has not seen."""
    draw = np.random.default_rng(0)
    return {
        "size": draw.uniform(100, 200, count).tolist(), "kind": draw.choice(["a", "b"], count).tolist(),
        "label": draw.choice(["up", "down"], count).tolist(),
    }  # fmt: skip


def forked(work: Any, seconds: float | None) -> bool:
    """Work in a forked process, killed after so many seconds; whether it was killed at work."""
    child = os.fork()
    if child == 0:
        for stream in (1, 2):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
        try:
            work()
        finally:
            os._exit(0)
    if seconds is None:
        os.waitpid(child, 0)
        return False
    time.sleep(seconds)
    done, _ = os.waitpid(child, os.WNOHANG)
    if not done:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    return not done


def test_a_kill_leaves_the_old_model_or_the_calibrated_one(place: Path) -> None:
    model, fresh = plait.load(place), rows()
    old = model.predict_proba(fresh)
    model.calibrate(fresh)
    new = model.predict_proba(fresh)
    scoring = len(model.calibration or [])
    started = time.monotonic()
    forked(lambda: plait.calibrate(place, fresh), None)
    whole = time.monotonic() - started
    assert len(plait.load(place).calibration or []) == scoring
    plain, killed = plait.load(place), 0
    plain.calibration = None
    for share in (0.2, 0.5, 0.7, 0.8, 0.85, 0.9, 0.95):
        plain.save(place, overwrite=True)
        killed += forked(lambda: plait.calibrate(place, fresh), share * whole)
        found = plait.load(place)  # every file is compared with its sha256
        assert len(found.calibration or []) in (0, scoring)
        assert np.array_equal(found.predict_proba(fresh), old if found.calibration is None else new)
    assert killed
    assert plait.calibrate(place, fresh)["rows"] == 160  # what the killed ones left holds nobody up
    assert not (place / ".plait-next.part").exists()


def test_a_kill_between_any_two_files_leaves_a_whole_model(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process dies at the first, second, ... file that is flushed to the disk, and at the rename itself."""
    fresh, real, plain = rows(), os.fsync, plait.load(place)
    ended = []
    for last in range(1, 60, 4):
        plain.save(place, overwrite=True)
        calls: list[int] = []

        def dies(number: int, last: int = last, calls: list[int] = calls) -> None:
            calls.append(number)
            if len(calls) == last:
                os.kill(os.getpid(), signal.SIGKILL)
            real(number)

        def work(dies: Any = dies) -> None:
            with monkeypatch.context() as patched:
                patched.setattr(os, "fsync", dies)
                plait.calibrate(place, fresh)

        forked(work, None)
        ended.append(plait.load(place).calibration is not None)
        if ended[-1]:
            break
    assert not ended[0] and ended[-1]


def test_a_full_disk_leaves_the_old_model(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = contents(place)
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match=r"disk is full.*the model that was there stands as it was"):
            plait.calibrate(place, rows())
    assert contents(place) == before and plait.load(place).calibration is None


def test_a_read_only_place_is_refused_before_the_work(place: Path, small_disk: Path) -> None:
    assert os.system(f"mount -o remount,size=4m {small_disk}") == 0
    kept = plait.load(place).save(small_disk / "model")
    before = contents(kept)
    assert os.system(f"mount -o remount,ro {small_disk}") == 0
    done: list[Any] = []
    for target in (None, small_disk / "new"):
        with pytest.raises(ValueError, match=r"(cannot write|read-only|Read-only)") as caught:
            plait.calibrate(kept, rows(), output=target, progress=lambda *told: done.append(told))
        assert str(small_disk) in str(caught.value) and not done
    with pytest.raises(ValueError, match=r"cannot write|Read-only|read-only"):
        plait.load(kept).evaluate(rows(), trust=True, report=small_disk / "report.html")
    assert contents(kept) == before
    assert plait.load(kept).evaluate(rows(), trust=True)["evaluation"]["trust"]["calibration"]["applicable"]
