"""The model file of CTranslate2 (``model.bin``): named arrays, and names that stand for others.

Layout, little-endian, version 6: the version; the name and revision of the model's kind; a count and that many
variables (name, rank, sizes, number type, bytes); a count and that many aliases. Names are stored with their length
and a closing zero. An int8 array ``x`` has its scales in ``x_scale``: value = stored / scale, one scale a row. In:
the path. Out: arrays by name, float32 where they are weights; nothing is executed.

Reference:
    CTranslate2's documented model specification, python/ctranslate2/specs/model_spec.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from plait.weights.converters.byte_reader import ByteReader

VERSION = 6
TYPES = {0: "<f4", 1: "<i1", 2: "<i2", 3: "<i4", 4: "<f2", 5: "bfloat16"}
MOST_DIMENSIONS = 4
SCALE = "_scale"
SMALLEST_SCALE = 1e-30  # below it a dequantised value leaves float32


@dataclass(frozen=True)
class CTranslate2Model:
    """What the file holds.

    Attributes:
        kind: Name of the model's kind, such as "WhisperSpec".
        revision: Its revision.
        arrays: Every array by name, aliases included. Floating and dequantised ones are float32, others are
            integers.
    """

    kind: str
    revision: int
    arrays: dict[str, np.ndarray]


def read_ctranslate2(path: Path) -> CTranslate2Model:
    """Read the whole file.

    Raises:
        ValueError: Another version, lengths that leave the file, or anything left over at its end.
    """
    reader = ByteReader(path)
    version = reader.number("I")
    if version != VERSION:
        raise ValueError(f"{path.name} is no CTranslate2 model of version {VERSION} (it says {version})")
    kind = reader.text(reader.number("H"))
    revision = reader.number("I")
    stored = dict(_variable(reader) for _ in range(reader.number("I")))
    for _ in range(reader.number("I")):
        alias = reader.text(reader.number("H"))
        target = reader.text(reader.number("H"))
        if target not in stored:
            raise ValueError(f"{path.name} is damaged: {alias!r} stands for {target!r}, which is not there")
        stored[alias] = stored[target]
    if reader.place != len(reader.data):
        raise ValueError(f"{path.name} is damaged: {len(reader.data) - reader.place} bytes are left over at its end")
    arrays = {name: _plain(stored, name, path.name) for name in stored if not name.endswith(SCALE)}
    return CTranslate2Model(kind, revision, arrays)


def _variable(reader: ByteReader) -> tuple[str, np.ndarray]:
    name = reader.text(reader.number("H"))
    rank = reader.number("B")
    if rank > MOST_DIMENSIONS:
        raise ValueError(f"{reader.name} is damaged: {name!r} claims {rank} dimensions")
    shape = reader.numbers(f"{rank}I")
    number, num_bytes = reader.numbers("BI")
    if number not in TYPES:
        raise ValueError(f"{reader.name} is damaged: {name!r} has the unknown number type {number}")
    stored_as = "<u2" if TYPES[number] == "bfloat16" else TYPES[number]
    count = prod(shape)
    if count * np.dtype(stored_as).itemsize != num_bytes:
        raise ValueError(f"{reader.name} is damaged: {name!r} has shape {shape} in {num_bytes} bytes")
    values = reader.array(stored_as, count).reshape(shape)
    if TYPES[number] == "bfloat16":
        values = (values.astype(np.uint32) << 16).view(np.float32)
    return name, values


def _plain(stored: dict[str, np.ndarray], name: str, file: str) -> np.ndarray:
    values, scale = stored[name], stored.get(name + SCALE)
    if values.dtype.kind == "f":
        return values.astype(np.float32)
    if scale is None:
        return values
    scale = np.asarray(scale, np.float32)
    fits = scale.size == 1 or (values.ndim > 0 and scale.shape == values.shape[:1])
    if values.dtype not in (np.int8, np.int16) or not fits or not (np.abs(scale) > SMALLEST_SCALE).all():
        raise ValueError(f"{file} is damaged: the scales of {name!r} do not fit ({scale.shape} for {values.shape})")
    rows = scale.reshape(-1, *[1] * (values.ndim - 1)) if scale.size > 1 else scale.reshape(())
    return values.astype(np.float32) / rows
