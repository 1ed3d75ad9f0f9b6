"""The lines of progress where stderr is no terminal: what is left is counted from where a topic began."""

from __future__ import annotations

import time

import pytest

from fixtures.lazy import lazy

TerminalProgress = lazy("plait.api", "TerminalProgress")


def test_a_count_that_goes_on_under_another_name_is_not_taken_for_speed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter([0.0, 0.0, 10.0, 10.0, 20.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    progress = TerminalProgress()
    progress.bars = False
    for done, what in ((1, "image"), (2, "image"), (3, "text"), (4, "text")):
        progress(done, 6, what)
    said = capsys.readouterr().err.splitlines()
    assert said[1] == "image: 2/6 (10 s, about 40 s left)"
    assert said[2:] == ["text: 3/6 (0 s)", "text: 4/6 (10 s, about 20 s left)"]


def test_work_that_begins_again_is_timed_anew(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter([0.0, 0.0, 600.0, 610.0, 620.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    progress = TerminalProgress()
    progress.bars = False
    for done in (0, 9, 0, 3):
        progress(done, 9, "encoding images")
    assert capsys.readouterr().err.splitlines()[-1] == "encoding images: 3/9 (10 s, about 20 s left)"
