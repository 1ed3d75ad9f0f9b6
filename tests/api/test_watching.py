"""Bars where a person watches, silence elsewhere: terminals, notebooks, pipes, work inside work."""

from __future__ import annotations

import io
import sys
import time
import types
from typing import Any

import pytest

from plait.api.watching import notebook, watched
from plait.api.watching.watched import who_watches
from plait.data.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


@watched
def work(given: list[Any], *, progress: Progress | None = None) -> None:
    given.append(progress)


def long_work(clock: list[float], seconds: float) -> None:
    @watched
    def run(*, progress: Progress | None = None) -> None:
        for done in range(1, 4):
            clock[0] += seconds
            if progress is not None:
                progress(done, 3, "encoding")

    run()


def test_nobody_watches_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    given: list[Any] = []
    work(given)
    work(given, progress=True)
    assert given == [None, None] and who_watches() is None


@pytest.mark.parametrize("stream", [None, object()])
def test_a_process_without_stderr(stream: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    assert who_watches() is None


def test_a_terminal_has_bars_after_a_second(monkeypatch: pytest.MonkeyPatch, clock: list[float]) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", Terminal())
    long_work(clock, 0.2)
    assert sys.stderr.getvalue() == "", "what is over within a second shows nothing"
    long_work(clock, 1.5)
    assert "encoding" in sys.stderr.getvalue() and "3/3" in sys.stderr.getvalue()


def test_false_is_silence_and_a_function_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    given: list[Any] = []
    work(given, progress=False)
    work(given, progress=print)
    assert given == [None, print]
    with pytest.raises(TypeError, match="progress is 'yes'; expected a function"):
        work(given, progress="yes")


def test_work_inside_work_has_no_bars_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    given: list[Any] = []

    @watched
    def outer(*, progress: Progress | None = None) -> None:
        work(given)

    outer()
    outer(progress=False)
    assert given == [None, None]
    work(given)
    assert given[-1] is not None, "the next one outside is watched again"


class Shown:
    """Stands for IPython: what a cell displayed, as it was redrawn."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def update(self, text: str) -> None:
        self.texts.append(text)


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Shown:
    shown = Shown()
    ipython, display = types.ModuleType("IPython"), types.ModuleType("IPython.display")
    ipython.get_ipython = lambda: types.SimpleNamespace(kernel=object())  # type: ignore[attr-defined]
    display.HTML, display.display = str, lambda text, display_id: shown  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    return shown


def test_a_notebook_has_one_line_that_goes_at_the_end(kernel: Shown, clock: list[float]) -> None:
    long_work(clock, 1.5)
    assert kernel.texts[-2:] == ['<div><progress value="3" max="3"></progress> encoding: 3/3, 3 s</div>', ""]
    assert "about 2 s left" in kernel.texts[1]


def test_ipython_in_a_terminal_is_no_notebook(kernel: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["IPython"], "get_ipython", lambda: types.SimpleNamespace(), raising=False)
    assert notebook.notebook_shell() is None
    monkeypatch.delattr(sys.modules["IPython"], "get_ipython")
    assert notebook.notebook_shell() is None


def test_what_is_done_is_escaped() -> None:
    assert "<b>" not in notebook.line(1, 0, "<b>", 0.0, 0) and "1, 0 s" in notebook.line(1, 0, "<b>", 0.0, 0)
