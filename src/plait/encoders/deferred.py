"""A frozen encoder of a model that is opened, read when it must encode and not before.

Rows whose features are stored ask an encoder only for its widths and its fingerprint. The first time an encoder of a
model is read whole, both are noted in the cache, beside the sha256 of every file that it was read from and the versions
of the libraries that built it. From then on those files are hashed again when the model is opened, and where all are
the same, so is the fingerprint: nothing is built. Any other file, version or record, and the encoder is read as ever
and its weights are compared. One that is read later must have the fingerprint that was noted.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from plait.encoders.base import Encoded, Encoder
from plait.files import file_sha256
from plait.weights.known_files import KnownFiles

_READING = threading.RLock()  # threads of a server may ask at once
LIBRARIES = ("plait", "torch", "transformers", "timm", "torchvision", "safetensors")
HOOKS = ("_hook", "_hooks", "_hooks_with_kwargs", "_hooks_always_called")  # how nn.Module names where it keeps them
FACTS = ("vector_dim", "token_dim", "order", "description", "tuning", "reference", "num_parameters", "fingerprint")


class DeferredEncoder(Encoder):
    """Stands where an encoder will; asked for anything but what is known of it, it reads and becomes that encoder.

    Args:
        known: ``FACTS`` of the encoder.
        read: Reads it.
    """

    def __init__(self, known: dict[str, Any], read: Callable[[], Encoder]) -> None:
        nn.Module.__init__(self)
        self.known, self.read, self.moves = known, read, []
        self.vector_dim, self.token_dim, self.order = known["vector_dim"], known["token_dim"], known["order"]
        self.description, self.tuning = dict(known["description"]), dict(known["tuning"])
        self.reference = str(known["reference"])
        self.training = False

    @property
    def fingerprint(self) -> str:
        """As it was noted when the encoder was read whole."""
        return str(self.known["fingerprint"])

    @property
    def num_parameters(self) -> int:
        """Weights, as noted."""
        return int(self.known["num_parameters"])

    def become(self) -> Encoder:
        """Read the encoder and be it.

        Raises:
            ValueError: It cannot be read, or is another one by now.
        """
        with _READING:
            if type(self) is not DeferredEncoder:  # another thread was first
                return self
            with torch.inference_mode(False):  # who asks may be in it, and weights made there bear no gradient later
                made = self.read()
            if made.fingerprint != self.fingerprint:
                raise ValueError(
                    f"the weights of {self.reference!r} changed after the model was opened (fingerprint "
                    f"{made.fingerprint[:12]}, expected {self.fingerprint[:12]}); open the model again"
                )
            made.batch_mb, moves = self.batch_mb, self.moves
            hooks = {name: value for name, value in vars(self).items() if name.endswith(HOOKS) and value}
            vars(self).update(vars(made))
            for name, registered in hooks.items():
                vars(self)[name] = _joined(registered, vars(made).get(name))
            self.__class__ = type(made)  # type: ignore[assignment]  # whoever holds this object holds the encoder
            for name in ("known", "read", "moves"):
                vars(self).pop(name)
            for arguments, options in moves:
                self.to(*arguments, **options)
        return self

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "known" not in vars(self):
            raise AttributeError(name)
        return getattr(self.become(), name)

    def forward(self, **inputs: Tensor) -> Encoded:
        """Encode a batch of what the processor gave."""
        return self.become().forward(**inputs)

    def to(self, *arguments: Any, **options: Any) -> Any:
        """Move it, once it is there."""
        self.moves.append((arguments, options))
        return self

    def train(self, mode: bool = True) -> Encoder:
        """Switch to training mode; it stands in evaluation mode."""
        return self.become().train(mode) if mode else self

    def _apply(self, *arguments: Any, **options: Any) -> Any:
        return self.become()._apply(*arguments, **options)

    def state_dict(self, *arguments: Any, **options: Any) -> Any:
        """Its weights by name."""
        return self.become().state_dict(*arguments, **options)

    def load_state_dict(self, *arguments: Any, **options: Any) -> Any:
        """Take other weights."""
        return self.become().load_state_dict(*arguments, **options)

    def named_children(self) -> Iterator[tuple[str, nn.Module]]:
        """Its parts by name."""
        return self.become().named_children()

    def named_modules(self, *arguments: Any, **options: Any) -> Any:
        """Itself and all parts by name."""
        return self.become().named_modules(*arguments, **options)

    def _named_members(self, *arguments: Any, **options: Any) -> Any:
        return self.become()._named_members(*arguments, **options)


def _joined(registered: Any, of_read: Any) -> Any:
    """Hooks that were registered while the encoder waited, with its own; the handles of the former stay good.

    A handle removes from the dictionary that it was made with, so that one is kept and the encoder's own go into it.
    """
    if isinstance(registered, dict):
        for key, value in (of_read or {}).items():
            registered[key] = value
        return registered
    return registered if of_read is None else of_read


def deferred_encoder(key: str, places: list[Path], fingerprint: str, read: Callable[[], Encoder]) -> Encoder:
    """An encoder that a model names: a deferred one where its files are those it was read from before, else itself.

    Args:
        key: What tells how it is read: reference, kind and lengths.
        places: Files and folders that it is read from.
        fingerprint: The one the model was trained with; a record of another is not used.
        read: Reads the encoder.

    Raises:
        ValueError: Of ``read``.
    """
    known = KnownFiles("encoders", key, partial(_hashes, places), LIBRARIES)
    facts = known.facts()
    if facts is not None and set(facts) == set(FACTS) and facts["fingerprint"] == fingerprint:
        return DeferredEncoder(facts, read)
    hashes = known.hashes()
    encoder = read()
    if encoder.fingerprint == fingerprint:
        known.note({name: getattr(encoder, name) for name in FACTS}, hashes)
    return encoder


def _hashes(places: list[Path]) -> dict[str, str]:
    """sha256 of every file by its path."""
    files = [f for place in places for f in (sorted(place.rglob("*")) if place.is_dir() else [place]) if f.is_file()]
    return {str(file.absolute()): file_sha256(file) for file in files}
