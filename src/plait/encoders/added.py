"""Encoders that plug-ins bring: how they are loaded, what they must give, and weights kept in a model folder.

Plait's own encoders are named by reference, because anybody can fetch the same weights again. One that is made by a
plug-in is ``stored`` unless its author says that its weights are the same on every machine: a model folder then holds
them, and needs the plug-in for its code alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from plait.encoders.base import ENCODERS, Encoder

FILE = "encoder.safetensors"


@dataclass(frozen=True)
class AddedEncoder:
    """How an encoder of a plug-in is loaded; stands among the loaders under its name.

    Attributes:
        name: What a user types, alone or before a colon ("chars", "chars:large").
        load: (kind of column, what stands behind the colon or "", :class:`plait.encoders.load.Reading`) to the encoder
            with its weights and the processor that feeds it.
        kinds: Kinds of columns it reads: "text", "image", "audio".
        stored: Whether a model folder holds its weights where it is frozen.
    """

    name: str
    load: Callable[[str, str, Any], tuple[Encoder, Any]]
    kinds: tuple[str, ...]
    stored: bool = True

    def __call__(self, reference: str, rest: str, kind: str, reading: Any) -> tuple[Encoder, Any]:
        """Load and look at what came.

        Raises:
            ValueError: It does not read such columns, or its author broke the contract; the message says how.
        """
        if kind not in self.kinds:
            raise ValueError(f"{reference} encodes {' and '.join(self.kinds)}, not {kind}; choose another encoder")
        made = self.load(kind, rest, reading)
        if not (isinstance(made, tuple) and len(made) == 2 and isinstance(made[0], Encoder)):
            self._refuse(f"must return (encoder, processor), an encoder of plait.encoders.Encoder; got {made!r:.200}")
        encoder, processor = made
        if encoder.description.get("type") != self.name:
            self._refuse(f'must return an encoder whose description has "type": {self.name!r}', encoder.description)
        try:
            json.dumps(encoder.description)
        except (TypeError, ValueError):
            self._refuse("must return an encoder whose description is JSON", encoder.description)
        width = getattr(encoder, "vector_dim", None)
        if not isinstance(width, int) or isinstance(width, bool) or width < 1:
            self._refuse("must return an encoder whose vector_dim is a whole number above 0", width)
        if not hasattr(encoder, "token_dim"):
            self._refuse("must return an encoder that sets token_dim, a whole number or None")
        if getattr(processor, "kind", None) != kind or not hasattr(processor, "process"):
            self._refuse(f"must return a processor of plait.processors whose kind is {kind!r}", processor)
        encoder.reference = reference
        return encoder, processor

    def _refuse(self, how: str, given: Any = None) -> None:
        raise ValueError(
            f"load of the encoder {self.name!r} {how}" + ("" if given is None else f"; got {given!r:.200}")
        )


def is_added(loader: object) -> bool:
    """Whether a loader is one of a plug-in, whose name may stand without a colon."""
    return isinstance(loader, AddedEncoder)


def save_weights(encoder: Encoder, folder: Path) -> None:
    """Write the weights of a frozen encoder beside its processor."""
    tensors = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in encoder.state_dict().items()}
    save_file(tensors, folder / FILE)


def load_stored(description: dict[str, Any], folder: Path) -> Encoder:
    """A frozen encoder from its description and the weights that ``save_weights`` wrote.

    Raises:
        ValueError: Its code is not here, or makes another network of the description.
    """
    with torch.random.fork_rng(devices=[]):  # what it draws before its weights come is nobody else's matter
        encoder = ENCODERS.get(str(description.get("type")))(dict(description))
    try:
        encoder.load_state_dict(load_file(folder / FILE))
    except RuntimeError as error:
        raise ValueError(
            f"the stored weights of the encoder {description.get('type')!r} do not fit what its code builds: {error}"
        ) from error
    return encoder
