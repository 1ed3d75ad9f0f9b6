"""Pretrained weights by name: records with sha256, sources in order, tensors read without unpickling."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plait.files import cache_root, file_sha256
from plait.registry import late_names

if TYPE_CHECKING:
    from plait.weights.language import load_language_model
    from plait.weights.library import fetch, list_weights, locate
    from plait.weights.records import RECORDS, WeightRecord
    from plait.weights.tensor_file import WEIGHT_FILE, as_safetensors, read_tensor_file


__all__ = [
    "RECORDS",
    "WEIGHT_FILE",
    "WeightRecord",
    "as_safetensors",
    "cache_root",
    "fetch",
    "file_sha256",
    "list_weights",
    "load_language_model",
    "locate",
    "read_tensor_file",
]

__getattr__, __dir__ = late_names(
    __name__,
    {
        "RECORDS": "records",
        "WEIGHT_FILE": "tensor_file",
        "WeightRecord": "records",
        "as_safetensors": "tensor_file",
        "fetch": "library",
        "list_weights": "library",
        "load_language_model": "language",
        "locate": "library",
        "read_tensor_file": "tensor_file",
    },
)
