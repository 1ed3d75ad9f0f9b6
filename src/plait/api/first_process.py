"""Whether this process is the one that writes and speaks, where ``torchrun`` started several."""

from __future__ import annotations

import os


def is_first() -> bool:
    """True for the first of the processes of ``torchrun``, and for one that was started alone."""
    return int(os.environ.get("WORLD_SIZE", "1")) < 2 or os.environ.get("RANK", "0") == "0"
