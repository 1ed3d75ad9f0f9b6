"""The command line: one file a verb; ``main`` is what ``plait`` starts. It reaches the API and nothing under it."""

from __future__ import annotations

from plait.cli.main import main

__all__ = ["main"]
