"""Checkpoints of a training on the disk: room for them, and the newest whole one."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from torch import nn

from plait.files import DiskFullError, room_for

STATE_FILE = "plait_state.json"  # written last, so that it marks a checkpoint whole
KEPT = 3  # checkpoints on the disk at once: two, and the one being written


@contextlib.contextmanager
def room_for_checkpoints(folder: Path, model: nn.Module) -> Iterator[None]:
    """Say it when the disk is full, and take half a checkpoint away so that the next one finds more room."""
    held = sum(t.numel() * t.element_size() for t in model.state_dict().values())  # what a checkpoint writes
    trained = sum(p.numel() * p.element_size() for p in model.parameters() if p.requires_grad)
    size = KEPT * (2 * held + 2 * trained)  # weights, the best weights, two moments of each trained one
    try:
        with room_for(folder, "checkpoints", size, "make room, then do the same again"):
            yield
    except DiskFullError:
        for path in folder.glob("checkpoint-*"):
            if not (path / STATE_FILE).is_file():
                shutil.rmtree(path, ignore_errors=True)
        raise


def last_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that was written whole; our state file is written last and so marks it."""
    whole = [p for p in folder.glob("checkpoint-*") if (p / STATE_FILE).is_file()]
    return max(whole, key=lambda p: int(p.name.split("-")[1]), default=None)
