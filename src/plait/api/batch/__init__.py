"""Predictions of a table too large for one file or one process: a folder of parts, written part by part.

In: a model folder, a table (a Parquet file is read piece by piece). Out: ``part-00000.parquet`` and so on, and
``manifest.json``, written last. A run that was killed goes on after its last whole part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from plait.registry import late_names

if TYPE_CHECKING:
    from plait.api.batch.encode import EncodeResult, encode_to_store
    from plait.api.batch.run import BatchResult, predict_to_folder


__all__ = ["BatchResult", "EncodeResult", "encode_to_store", "predict_to_folder"]

__getattr__, __dir__ = late_names(
    __name__,
    {
        "BatchResult": "run",
        "EncodeResult": "encode",
        "encode_to_store": "encode",
        "predict_to_folder": "run",
    },
)
