"""Encoders turn what processors give into tokens and one vector an item.

Pretrained or from scratch, frozen or tuned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from plait.encoders.base import ENCODERS, Encoded, Encoder
from plait.registry import late_names

if TYPE_CHECKING:
    from plait.encoders.load import build_encoder, load_encoder
    from plait.encoders.tabular import TabularEncoder
    from plait.encoders.tuning import set_tuning
    from plait.encoders.vector import VectorEncoder


__all__ = [
    "ENCODERS",
    "Encoded",
    "Encoder",
    "TabularEncoder",
    "VectorEncoder",
    "build_encoder",
    "load_encoder",
    "set_tuning",
]

__getattr__, __dir__ = late_names(
    __name__,
    {
        "TabularEncoder": "tabular",
        "VectorEncoder": "vector",
        "build_encoder": "load",
        "load_encoder": "load",
        "set_tuning": "tuning",
    },
)
