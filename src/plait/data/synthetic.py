"""Tables with a planted signal: pictures, text and a number whose true relation to the label we chose.

In comes a mode and a number of rows; out comes a `Table` with PNG bytes. The picture is a red or blue square
on grey, the text is a sentence with "sunny" or "rainy" among idle words, the number is above or below zero.
Every combination of these three bits comes equally often in each split (to one row), so what one modality alone
can reach is known:

* ``xor``: yes where exactly one of "red" and "sunny" holds. Each modality alone, and any additive model, is
  at chance (0.5); both together reach 1. The number is idle.
* ``additive``: yes where at least two of "red", "sunny" and "above zero" hold. One modality alone reaches
  0.75, two reach 0.75, an additive model of all three reaches 1.
* ``dead``: yes where "sunny" holds. The picture is noise and the number is idle: text alone reaches 1.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from plait.data.table import Table
from plait.registry import Registry

Bits = npt.NDArray[np.bool_]
Pixels = npt.NDArray[np.uint8]

WORDS = {True: "sunny", False: "rainy"}
COLOURS = {True: (205, 45, 40), False: (40, 70, 205)}
_PEOPLE = [
    "the farmer",
    "a neighbour",
    "my sister",
    "the postman",
    "an old friend",
    "the captain",
    "our teacher",
]
_DEEDS = [
    "walked home",
    "waited for the bus",
    "read the paper",
    "sold three boats",
    "slept late",
    "wrote a letter",
]
_FORMS = [
    "{who} {did} on a {word} day",
    "it was {word} when {who} {did}",
    "on that {word} morning {who} {did}",
]


def _xor(red: Bits, sunny: Bits, above: Bits) -> Bits:
    return red ^ sunny


def _majority(red: Bits, sunny: Bits, above: Bits) -> Bits:
    return red.astype(np.int64) + sunny + above >= 2


def _text_only(red: Bits, sunny: Bits, above: Bits) -> Bits:
    return sunny


Rule = Callable[[Bits, Bits, Bits], Bits]

MODES: Registry[Rule] = Registry("mode of planted data")
for _name, _rule in (("xor", _xor), ("additive", _majority), ("dead", _text_only)):
    MODES.add(_name, _rule)


def make_synthetic(
    mode: str,
    num_rows: int = 400,
    *,
    seed: int = 0,
    image_size: int = 32,
    label_noise: float = 0.0,
    fractions: tuple[float, float, float] = (0.6, 0.2, 0.2),
) -> Table:
    """Make a table in memory.

    Args:
        mode: "xor", "additive" or "dead".
        num_rows: Number of rows, all splits together.
        seed: Same arguments, same bytes.
        image_size: Width and height of the pictures in pixels, 8 to 512.
        label_noise: Share of the labels of each split that are turned round, 0 to 1.
        fractions: Shares of train, val and test; they add up to 1.

    Returns:
        Columns id, image (PNG bytes), text, number, label ("yes" or "no"), split.

    Raises:
        ValueError: An unknown mode or a number out of range.

    Example:
        >>> make_synthetic("xor", 10).column("split").count("train")
        6
    """
    rule = MODES.get(mode)
    if isinstance(num_rows, bool) or not isinstance(num_rows, int | np.integer) or num_rows < 1:
        raise ValueError(f"num_rows is {num_rows!r}; expected a whole number of 1 or more")
    if isinstance(image_size, bool) or not isinstance(image_size, int | np.integer) or not 8 <= image_size <= 512:
        raise ValueError(f"image_size is {image_size!r}; expected a whole number from 8 to 512")
    if not 0.0 <= label_noise <= 1.0:
        raise ValueError(f"label_noise is {label_noise!r}; expected a share from 0 to 1")
    if len(fractions) != 3 or not all(share >= 0 for share in fractions) or abs(sum(fractions) - 1) > 1e-9:
        raise ValueError(f"fractions are {fractions!r}; expected three shares of 0 or more that add up to 1")
    rng = np.random.default_rng(seed)
    ends = np.rint(np.cumsum(fractions) * num_rows).astype(int)
    cells, split, flip = [], [], []
    for name, count in zip(("train", "val", "test"), np.diff(ends, prepend=0), strict=True):
        cells.append(rng.permutation(np.arange(count) % 8))
        split += [name] * int(count)
        flip.append(rng.permutation(np.arange(count) < round(label_noise * count)))
    cell = np.concatenate(cells)
    red, sunny, above = (cell & 1) > 0, (cell & 2) > 0, (cell & 4) > 0
    yes = rule(red, sunny, above) ^ np.concatenate(flip)
    number = np.where(above, 1.0, -1.0) * rng.uniform(0.2, 2.0, num_rows)
    columns = {
        "id": pa.array([f"{mode}-{row}" for row in range(num_rows)], pa.string()),
        "image": pa.array([_png(_picture(rng, image_size, None if mode == "dead" else bool(r))) for r in red]),
        "text": pa.array([_sentence(rng, bool(bit)) for bit in sunny], pa.string()),
        "number": pa.array(np.round(number, 4)),
        "label": pa.array(np.where(yes, "yes", "no").tolist(), pa.string()),
        "split": pa.array(split, pa.string()),
    }
    return Table(arrow=pa.table(columns), root=None, source=f"planted data {mode!r}, seed {seed}")


def _sentence(rng: np.random.Generator, sunny: bool) -> str:
    form = _FORMS[rng.integers(len(_FORMS))]
    who, did = _PEOPLE[rng.integers(len(_PEOPLE))], _DEEDS[rng.integers(len(_DEEDS))]
    return form.format(who=who, did=did, word=WORDS[sunny])


def _picture(rng: np.random.Generator, size: int, red: bool | None) -> Pixels:
    """A square somewhere on grey, or noise alone where `red` is None [size, size, 3]."""
    if red is None:
        return rng.integers(0, 256, (size, size, 3), dtype=np.uint8)
    picture = np.full((size, size, 3), rng.integers(90, 166), np.int64)
    side = int(rng.integers(size // 3, size * 2 // 3 + 1))
    top, left = rng.integers(0, size - side + 1, 2)
    picture[top : top + side, left : left + side] = COLOURS[red]
    noisy: Pixels = np.clip(picture + rng.integers(-12, 13, picture.shape), 0, 255).astype(np.uint8)
    return noisy


def _png(pixels: Pixels) -> bytes:
    """Encode 8-bit RGB pixels [H, W, 3] as PNG, the same bytes on every machine with one zlib."""
    height, width, _ = pixels.shape
    lines = b"".join(b"\x00" + pixels[row].tobytes() for row in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(lines, 6)), (b"IEND", b""))
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + body
