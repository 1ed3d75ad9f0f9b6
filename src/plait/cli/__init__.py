"""The command line: one file a verb; ``start`` is what ``plait`` runs. It reaches the API and nothing under it."""

from __future__ import annotations

import time

STARTED = time.monotonic()  # before all that takes time to import, which a time limit counts too

from plait.cli.main import main, start  # noqa: E402

__all__ = ["STARTED", "main", "start"]
