"""A network that transformers saves and reads, and that does not import ``transformers.PreTrainedModel`` to answer.

The module of that class takes longer to import than all that answering ten rows takes (docs/performance.md). So a
network of ours is a plain module, and ``pretrained_class`` makes the class that is a ``PreTrainedModel`` too where a
network is trained, saved or read in the library's own way.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import Any, TypeVar, cast

import torch
from torch import nn

from plait.weights.network_config import as_pretrained, pretrained_config

PREFIX = "Trained"
Network = TypeVar("Network", bound="SavedNetwork")


class SavedNetwork(nn.Module):
    """Base of a network with a ``config``; its ``__init__`` calls ``_begin`` first and ``_complete`` last.

    The module of a subclass hands on ``Trained<its name>`` by :func:`named_class`, so that copies and pickles find it.
    """

    config: Any

    def _begin(self, config: Any) -> None:
        """Before the parts are made."""
        super().__init__()
        self.config = config

    def _complete(self) -> None:
        """After the parts are made."""

    @classmethod
    def from_pretrained(cls, *arguments: Any, **options: Any) -> Any:
        """Load a network as transformers does, and the weights that it names by reference."""
        made = cast(Any, super(SavedNetwork, pretrained_class(cls))).from_pretrained(*arguments, **options)
        (made[0] if isinstance(made, tuple) else made).read_outside_weights()
        return made

    def read_outside_weights(self) -> None:
        """Read the weights that the network names by reference instead of holding them, if there are any."""

    def save_pretrained(self, folder: Any, **options: Any) -> None:
        """Write ``config.json`` and ``model.safetensors`` as transformers does, under the names that the network has.

        Transformers would write the names that its own published files of an architecture have; what reads them here,
        and compares what was written with what is held, goes by the network's.
        """
        options.setdefault("save_original_format", False)
        kind, whole = pretrained_class(type(self)), self
        if type(self) is not kind:
            whole = kind.__new__(kind)
            with torch.device("meta"):  # nothing is drawn anew
                whole._begin(self.config)
                config = whole.config
                vars(whole).update(vars(self))  # the same parts, not copies
                whole.config = config
                whole._complete()
        cast(Any, super(SavedNetwork, whole)).save_pretrained(folder, **options)


def pretrained_class(kind: type[Network]) -> type[Network]:
    """The class of networks of a kind that are ``transformers.PreTrainedModel`` as well; itself where it is one."""
    return cast(type[Network], _pretrained_class(kind))


@cache
def _pretrained_class(kind: Any) -> Any:
    from transformers import PreTrainedModel
    from transformers.utils import logging as hf_logging

    hf_logging.disable_progress_bar()  # a bar of its own for each small file; Plait shows one bar for the whole work
    if issubclass(kind, PreTrainedModel):
        return kind

    def begin(self: Any, config: Any) -> None:
        PreTrainedModel.__init__(self, as_pretrained(config))

    body = {
        "_begin": begin, "_complete": PreTrainedModel.post_init, "config_class": pretrained_config(),
        "__doc__": kind.__doc__,
    }  # fmt: skip
    made = type(kind.__name__, (kind, PreTrainedModel), body | {"__module__": kind.__module__})
    made.__qualname__ = PREFIX + kind.__name__
    return made


def named_class(module: str, name: str) -> Any:
    """The class that a module of ours hands on under ``Trained<name of a network>``.

    Raises:
        AttributeError: It has no such network.
    """
    kind = vars(sys.modules[module]).get(name.removeprefix(PREFIX)) if name.startswith(PREFIX) else None
    if isinstance(kind, type) and issubclass(kind, SavedNetwork):
        return pretrained_class(kind)
    raise AttributeError(f"module {module!r} has no attribute {name!r}")
