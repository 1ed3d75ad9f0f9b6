"""The contract of encoders.

In: the tensors of a processor. Out: ``Encoded``, one vector and optional tokens per item.

An encoder knows its JSON ``config`` (enough to rebuild it without weights) and its ``fingerprint``: a hash
over config and every weight, which keys the feature store and proves that a model got the encoder it was
trained with.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from plait.registry import Registry
from plait.weights.tensor_file import hash_tensors

BATCH_MB = 4.0
NAMING_KEYS = ("reference",)  # keys of a config that name the encoder and do not change its output


@dataclass
class Encoded:
    """One encoded modality.

    Attributes:
        vector_BD: One vector an item [B, D].
        tokens_BTD: Words, image regions or columns [B, T, token_dim], or None.
        mask_BT: True where a token is real [B, T], or None when there are no tokens.
    """

    vector_BD: Tensor  # noqa: N815  shape letters
    tokens_BTD: Tensor | None  # noqa: N815
    mask_BT: Tensor | None  # noqa: N815


class Encoder(nn.Module):
    """Base of all encoders.

    A subclass sets ``vector_dim`` and ``token_dim``, puts its network into ``self.model`` and writes
    ``forward`` with
    the names that its processor gives.

    Attributes:
        reference: What the user typed ("minilm", "timm:resnet18").
        vector_dim: Width of the vector.
        token_dim: Width of a token, or None without tokens.
        tuning: "frozen", "last_n", "lora" or "full"; changed by ``set_tuning``.
        is_pretrained: Whether its weights were learned elsewhere, so that training moves them at the smaller
            ``train.encoder_learning_rate``.
        order: What the order of its tokens means where they do not tell their place themselves: "sequence", "grid" (row
            by row), or None: they carry it (positions of a transformer), or there is none (columns of a table).
        is_exact: Whether it computes in float32 whatever ``train.precision`` says; it is small, and numbers need it.
        batch_mb: Most megabytes (MiB) of padded inputs that it works on at once (:mod:`plait.encoders.batching`).
    """

    vector_dim: int
    token_dim: int | None
    model: nn.Module
    is_pretrained: ClassVar[bool] = True
    is_exact: ClassVar[bool] = False
    order: str | None = None
    batch_mb: float = BATCH_MB

    def __init__(self, description: dict[str, Any]) -> None:
        super().__init__()
        self.description = description
        self.reference = str(description.get("reference", description["type"]))
        self.tuning: dict[str, Any] = {"mode": "full"}
        self._fingerprint: tuple[Any, str] | None = None

    def forward(self, **inputs: Tensor) -> Encoded:
        """Encode a batch of what the processor gave."""
        raise NotImplementedError

    def config(self) -> dict[str, Any]:
        """Everything ``build_encoder`` needs, as JSON: type, settings, tuning."""
        return {**self.description, "tuning": dict(self.tuning)}

    @property
    def fingerprint(self) -> str:
        """sha256 over the config and all weights; computed anew only after a weight has changed."""
        state = self.state_dict()
        seal = tuple((key, tensor.data_ptr(), tensor._version) for key, tensor in state.items())
        if self._fingerprint is None or self._fingerprint[0] != seal:
            self._fingerprint = (seal, _weights_sha256(self.description, state))
        return self._fingerprint[1]

    @property
    def num_parameters(self) -> int:
        """How many weights it has."""
        return sum(parameter.numel() for parameter in self.parameters())

    def train(self, mode: bool = True) -> Encoder:
        """Switch to training mode, but leave what is frozen in evaluation mode.

        A frozen batch norm must not move its statistics, and frozen layers must not drop units at random.
        """
        super().train(mode)
        if mode:
            _rest_frozen(self)
        return self


ENCODERS: Registry[Callable[[dict[str, Any]], Encoder]] = Registry("encoder type", is_open=True)
for _type, _file in {  # of this room, which adds it
    "scratch-text": "scratch", "scratch-image": "scratch", "hf-audio": "audio", "two-tower": "dual_encoder",
    "timm": "image", "torchvision": "image", "joint": "joint", "hf-text": "text", "hf-image": "vision",
    "scratch-audio": "scratch_audio", "tabular": "tabular", "vector": "vector",
}.items():  # fmt: skip
    ENCODERS.expect(_type, f"plait.encoders.{_file}")


def _rest_frozen(module: nn.Module) -> bool:
    """Put every part without a trainable weight into evaluation mode; return whether this one has any.

    Parts without any weight (dropout, pooling) follow the parts beside them.
    """
    own = any(parameter.requires_grad for parameter in module.parameters(recurse=False))
    bare: list[nn.Module] = []
    trains = own
    for child in module.children():
        if next(child.parameters(), None) is None:
            bare.append(child)
        else:
            trains = _rest_frozen(child) or trains
    if not trains:
        module.eval()
    return trains


def _weights_sha256(description: dict[str, Any], state: dict[str, Tensor]) -> str:
    facts = {key: value for key, value in description.items() if key not in NAMING_KEYS}
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode("utf-8"))
    hash_tensors(digest, state)
    return digest.hexdigest()
