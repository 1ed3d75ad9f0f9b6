"""Progress in a notebook: one line of HTML that is redrawn in place. It needs IPython alone, no widgets."""

from __future__ import annotations

import html
import sys
import time
from types import TracebackType
from typing import Any

SECONDS_BETWEEN_DRAWINGS = 0.2


def notebook_shell() -> Any:
    """The running shell of a notebook (Jupyter, VS Code, Colab), or None: elsewhere, also in IPython in a terminal."""
    ipython = sys.modules.get("IPython")
    if ipython is None:
        return None
    try:
        shell = ipython.get_ipython()
    except AttributeError:  # while IPython itself is being imported
        return None
    return shell if getattr(shell, "kernel", None) is not None else None


class NotebookProgress:
    """Callable ``(done, total, what)``, as :class:`plait.api.watching.terminal.TerminalProgress`; gone at the end."""

    def __init__(self) -> None:
        self.handle: Any = None
        self.topic = ""
        self.started = self.drawn = time.monotonic()
        self.begun_at = self.done = 0

    def __enter__(self) -> NotebookProgress:
        from IPython.display import HTML, display

        self.handle = display(HTML(""), display_id=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._show("")

    def __call__(self, done: int, total: int, what: str) -> None:
        """Show that ``done`` of ``total`` is done."""
        now, topic = time.monotonic(), what.split(" epoch ")[0].split(": ")[0]
        is_new = topic != self.topic or done < self.done
        if is_new:
            self.started, self.begun_at = now, done
        self.topic, self.done = topic, done
        if not is_new and done != total and now - self.drawn < SECONDS_BETWEEN_DRAWINGS:
            return
        self.drawn = now
        self._show(line(done, total, what, now - self.started, done - self.begun_at))

    def _show(self, text: str) -> None:
        from IPython.display import HTML

        self.handle.update(HTML(text))


def line(done: int, total: int, what: str, seconds: float, new: int) -> str:
    """The HTML of one bar.

    Args:
        done: Steps done.
        total: Steps in all; 0: not known.
        what: What is done; escaped.
        seconds: How long.
        new: Steps done in these seconds, from which the rest is estimated.

    Example:
        >>> line(1, 4, "a<b", 2.0, 1)
        '<div><progress value="1" max="4"></progress> a&lt;b: 1/4, 2 s, about 6 s left</div>'
    """
    bar = f'<progress value="{done}" max="{total}"></progress> ' if total else "<progress></progress> "
    of = f"/{total:,}" if total else ""
    left = f", about {seconds / new * (total - done):.0f} s left" if new > 0 and done < total and seconds > 1 else ""
    return f"<div>{bar}{html.escape(what)}: {done:,}{of}, {seconds:.0f} s{left}</div>"
