"""Encoders turn what processors give into tokens and one vector an item.

Pretrained or from scratch, frozen or tuned.
"""

from __future__ import annotations

from plait.encoders.base import ENCODERS, Encoded, Encoder
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
