"""The weights of the best epoch so far: kept on the CPU, written beside checkpoints, given back when training ends.

Of encoders that are sharded over processes each keeps its own part; the file is whole.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from plait.training.sharding import Sharding

BEST_FILE = "best.safetensors"


class BestWeights:
    """See the module.

    Args:
        model: Whose weights they are.
        sharding: How its encoders are sharded; None: they are not.
    """

    def __init__(self, model: Any, sharding: Sharding | None = None) -> None:
        self.model, self.sharding = model, sharding
        self.held: dict[str, Tensor] = {}

    def keep(self) -> None:
        """Keep the weights as they are now."""
        state = self.model.state_dict()
        if self.sharding is not None:
            self.held = self.sharding.own(state)
        else:
            self.held = {name: tensor.detach().cpu().clone() for name, tensor in state.items()}

    def save(self, folder: Path) -> None:
        """Write them into the folder of a checkpoint; under sharding the first process alone, with the others' help."""
        whole = self.held if self.sharding is None else self.sharding.gathered(self.held)
        if self.sharding is None or self.sharding.processes.is_first:
            save_file({name: tensor.contiguous() for name, tensor in whole.items()}, folder / BEST_FILE)

    def restore(self, folder: Path) -> None:
        """Take up what ``save`` wrote."""
        whole = load_file(folder / BEST_FILE)
        self.held = whole if self.sharding is None else self.sharding.cut(whole)

    def put(self) -> None:
        """Give them to the model, if any epoch was kept, and make its encoders whole."""
        if self.held:
            self.model.load_state_dict(self.held)
        if self.sharding is not None:
            self.sharding.end()
