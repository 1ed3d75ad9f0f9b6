"""Reads rows and answers them with onnxruntime and numpy, without PyTorch and without the rest of Plait.

``plait.export`` copies this package into the exported folder under the name ``plait_onnx``, with those modules of
Plait beside it that read numbers, dates, texts and pictures, so that cells mean there what they meant in training.

    from plait_onnx import Model

    for answer in Model("folder").predict([{"text": "a sunny day", "image": "photo.jpg"}]):
        print(answer)

A model that searches is opened by ``SearchModel``, which has ``embed`` and ``rank``.
"""

from __future__ import annotations

from plait.api.exporting.reader.model import Model
from plait.api.exporting.reader.search import SearchModel

__all__ = ["Model", "SearchModel"]
