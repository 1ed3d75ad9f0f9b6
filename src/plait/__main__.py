"""``python -m plait`` starts the command line, like ``plait``."""

from __future__ import annotations

from plait.cli import start

if __name__ == "__main__":
    start()
