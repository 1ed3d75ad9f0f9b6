"""One Python value as a table can hold it: what people have in memory, turned into text, numbers, bytes and lists.

Pictures (PIL images, arrays of pixels) become PNG bytes, decoded sounds WAV bytes, tensors arrays, paths text. What
stands for nothing else stays as it is; the caller knows column and row, and says them with the ``ValueError`` of here.
"""

from __future__ import annotations

import enum
import sys
import uuid
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import numpy as np

from plait.data.pixels import is_grey_picture, is_picture_shape, is_pil_image, picture_bytes
from plait.data.samples import as_decoded_sound, decoded_bytes, is_decoded_sound, is_decoder, sound_bytes

_PLAIN = frozenset({str, int, float, bool, bytes, type(None)})
_FILE_KEYS = frozenset({"bytes", "path"})


def plain_value(value: Any) -> Any:
    r"""The value as text, number, bytes, list or dictionary of these.

    Raises:
        ValueError: It could mean two things, or is of a type that a table cannot hold; says what to write.

    Example:
        >>> plain_value(PurePath("a.jpg")), plain_value(np.zeros((2, 2, 3), np.uint8))[:4]
        ('a.jpg', b'\x89PNG')
    """
    if type(value) in _PLAIN:
        return value
    if isinstance(value, PurePath | uuid.UUID):
        return str(value)
    if isinstance(value, enum.Enum):
        if isinstance(value, str | int | float):
            return value.value
        raise ValueError(f"the member {value} of an Enum; write its name ({value.name!r}) or its value")
    if isinstance(value, Mapping):
        return _plain_mapping(value)
    if is_pil_image(value):
        return picture_bytes(value)
    if is_decoder(value):
        return {"bytes": decoded_bytes(value), "path": None}
    if isinstance(value, np.generic):
        return _plain_scalar(value)
    if value is np.ma.masked or _is_pandas_missing(value):
        return None
    array = as_array(value)
    if array is not None:
        return _plain_array(array, channels_first=is_tensor(value))
    if (decoded := as_decoded_sound(value)) is not None:
        return _plain_mapping(decoded)
    if isinstance(value, list | tuple):
        return _plain_list(value)
    if isinstance(value, complex):
        raise ValueError(f"the complex number {value}; write its parts (value.real, value.imag) as two columns")
    return value


def is_tensor(value: object) -> bool:
    """Whether a value is a torch tensor; does not import torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def as_array(value: Any) -> np.ndarray[Any, Any] | None:
    """An array of numpy, torch or any library that speaks numpy's protocol, in the byte order of this machine.

    Raises:
        ValueError: A type of numbers that numpy or a table lacks.
    """
    if is_tensor(value):
        if value.layout != sys.modules["torch"].strided:
            raise ValueError(f"a tensor of the layout {value.layout}; write tensor.to_dense()")
        value = value.detach().cpu()
        value = (value.float() if str(value.dtype) == "torch.bfloat16" else value).resolve_conj().numpy()
    elif not isinstance(value, np.ndarray):
        if not hasattr(value, "__array__") or isinstance(value, type):
            return None
        value = np.asarray(value)
    if value.dtype.byteorder in "<>" and not value.dtype.isnative:
        value = value.astype(value.dtype.newbyteorder("="))
    if value.dtype.kind == "f" and value.dtype.itemsize > 8:
        value = value.astype(np.float64)
    if value.dtype.kind == "c":
        raise ValueError(f"an array of {value.dtype}; write its parts (array.real, array.imag) as two columns")
    if value.dtype.kind == "V":
        raise ValueError(f"an array of {value.dtype}; write each of its fields as a column of its own")
    made: np.ndarray[Any, Any] = value
    return made


def as_files(values: list[Any]) -> list[Any]:
    """Contents and names of files in one column as dictionaries of ``bytes`` and ``path``; other columns unchanged."""
    kinds = {_file_kind(value) for value in values} - {None}
    if len(kinds) < 2 or "other" in kinds:
        return values
    return [_as_file(value) for value in values]


def _file_kind(value: object) -> str | None:
    if value is None or (isinstance(value, float) and value != value):
        return None
    if isinstance(value, dict):
        return "file" if value.keys() <= _FILE_KEYS else "other"
    return "bytes" if isinstance(value, bytes) else "path" if isinstance(value, str) else "other"


def _as_file(value: Any) -> dict[str, Any] | None:
    if isinstance(value, bytes):
        return {"bytes": value, "path": None}
    if isinstance(value, str):
        return {"bytes": None, "path": value}
    return {"bytes": value.get("bytes"), "path": value.get("path")} if isinstance(value, dict) else None


def _plain_mapping(value: Mapping[Any, Any]) -> dict[Any, Any] | None:
    if is_decoded_sound(value):
        path = value.get("path")
        return {"bytes": sound_bytes(value), "path": str(path) if path is not None else None}
    if "array" in value and "sampling_rate" in value:  # nothing decoded: what is left is the file, if any
        path = value.get("path")
        return {"bytes": value.get("bytes"), "path": str(path)} if path or value.get("bytes") else None
    return {key: plain_value(one) for key, one in value.items()}


def _plain_scalar(value: Any) -> Any:
    if isinstance(value, np.datetime64 | np.timedelta64):
        if np.isnat(value):
            return None
        kind = "M8[us]" if isinstance(value, np.datetime64) else "m8[us]"
        held = value.item()
        return value.astype(kind).item() if isinstance(held, int) else held  # Python holds microseconds
    if isinstance(value, np.complexfloating):
        raise ValueError(f"the complex number {value}; write its parts (value.real, value.imag) as two columns")
    if isinstance(value, np.void):
        raise ValueError(f"a record of {value.dtype}; write each of its fields as a column of its own")
    if isinstance(value, np.longdouble):
        return float(value)
    return value.item() if isinstance(value, np.str_ | np.bytes_ | np.bool_) else value


def _plain_array(array: np.ndarray[Any, Any], *, channels_first: bool) -> Any:
    if isinstance(array, np.ma.MaskedArray):
        return array.tolist()
    if array.ndim == 0:
        return plain_value(array[()])
    if array.dtype.kind == "O":
        return _plain_list(array.tolist())
    if array.dtype.kind in "USMm":
        return _plain_list(array.tolist() if array.dtype.kind in "US" else list(array))
    if is_grey_picture(array) or is_picture_shape(array.shape):
        return picture_bytes(array, channels_first=channels_first)
    if array.ndim == 4 and all(is_picture_shape(one.shape) for one in array):
        return [picture_bytes(one, channels_first=channels_first) for one in array]
    return array if array.ndim == 1 else list(array) if array.ndim == 2 else array.tolist()


def _plain_list(values: Any) -> list[Any]:
    """A list, whose pictures (of a set) and paths are turned; two arrays of one dimension stay a sequence."""
    if isinstance(values, tuple) and len(values) == 2 and _is_sound_pair(values):
        raise ValueError(
            "a pair of samples and a rate; write {'array': samples, 'sampling_rate': rate} so that it counts as a sound"
        )
    if all(type(one) in _PLAIN for one in values):
        return list(values)
    return as_files([plain_value(one) for one in values])


def _is_sound_pair(pair: tuple[Any, ...]) -> bool:
    arrays = [hasattr(one, "__array__") and getattr(one, "ndim", 0) >= 1 for one in pair]
    return sum(arrays) == 1 and any(isinstance(one, int) for one in pair)


def _is_pandas_missing(value: object) -> bool:
    return type(value).__name__ in ("NAType", "NaTType") and type(value).__module__.startswith("pandas")
