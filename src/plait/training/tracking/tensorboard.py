"""TensorBoard: event files in ``logs/`` of the model's folder, or ``runs/NAME`` for a model without one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from plait.training.tracking.base import OPENERS, RunFacts


class TensorBoardRun:
    """Event files; the Trainer's callback writes its own and this writes those of the evaluation beside them.

    Args:
        facts: What it is told.
    """

    def __init__(self, facts: RunFacts) -> None:
        named = os.environ.get("TENSORBOARD_LOGGING_DIR")
        usual = Path("runs") / facts.name if facts.folder is None else facts.folder / "logs"
        self.folder = Path(named).expanduser() if named else usual.absolute()
        self.environment: Mapping[str, str] = {"TENSORBOARD_LOGGING_DIR": str(self.folder)}
        self.name, self.place = facts.name, str(self.folder)

    def finish(self, numbers: Mapping[str, float], texts: Mapping[str, str]) -> None:
        """Write the numbers and sentences."""
        from torch.utils.tensorboard import SummaryWriter

        with SummaryWriter(str(self.folder)) as writer:
            for name, number in numbers.items():
                writer.add_scalar(name.replace("_", "/", 1), number, 0)
            for name, text in texts.items():
                writer.add_text(name, text)

    def fail(self) -> None:
        """Nothing is open."""


OPENERS.add("tensorboard", TensorBoardRun)
