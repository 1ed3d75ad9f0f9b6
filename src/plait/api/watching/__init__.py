"""Progress bars by default where a person watches: in a terminal and in a notebook; nothing is shown elsewhere."""

from __future__ import annotations

from plait.api.watching.watched import Progress, WatchedBy, watched

__all__ = ["Progress", "WatchedBy", "watched"]
