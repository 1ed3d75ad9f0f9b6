"""What a numpy file claims to hold, read from its header before a byte of it is unpacked or memory is taken."""

from __future__ import annotations

import math
import zipfile
from typing import IO, Any

import numpy as np

_V1, _V2 = (1, 0), (2, 0)


def claimed_bytes(file: IO[bytes]) -> int:
    """The bytes of the array behind the header at the place of a file.

    Raises:
        ValueError: No header of numpy, or one of a version or type that holds no numbers.
    """
    version = np.lib.format.read_magic(file)
    if version not in (_V1, _V2):
        raise ValueError(f"a numpy file of version {version[0]}.{version[1]}; expected arrays of numbers or texts")
    read: Any = np.lib.format.read_array_header_1_0 if version == _V1 else np.lib.format.read_array_header_2_0
    shape, _, kind = read(file)
    if any(size < 0 for size in shape):
        raise ValueError(f"its header claims the shape {list(shape)}")
    return int(math.prod(shape) * kind.itemsize)


def claimed_in_archive(archive: zipfile.ZipFile) -> dict[str, int]:
    """By name the bytes of each array of an ``.npz`` archive.

    Raises:
        ValueError: An array's header claims more than lies behind it.
    """
    claimed = {}
    for member in archive.infolist():
        with archive.open(member) as file:
            size = claimed_bytes(file)
        if size > member.file_size:
            raise ValueError(f"{member.filename} claims {size:,} bytes and holds {member.file_size:,}")
        claimed[member.filename.removesuffix(".npy")] = size
    return claimed
