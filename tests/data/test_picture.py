"""The picture that a person would see: turns, depths, ranges, and what a picture may cost."""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fixtures.media import encoded
from plait.data import picture
from plait.data.checks.check import check_table
from plait.data.items import read_rows
from plait.data.media import CellError
from plait.data.modality import Modality
from plait.data.picture import check_image, decode_image, doubtful_depth
from plait.data.table import read_table

BACK = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the transposition that EXIF undoes
TWELVE_BITS = np.arange(0, 4096, 65, dtype=np.uint16).reshape(8, 8)


def with_chunk(png: bytes, name: bytes, body: bytes) -> bytes:
    chunk = struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    place = png.index(b"IDAT") - 4
    return png[:place] + chunk + png[place:]


def deep_png(values: np.ndarray[Any, Any]) -> bytes:
    """A PNG of 16 bits and 3 or 4 channels, which Pillow does not write."""
    height, width, channels = values.shape
    header = struct.pack(">IIBBBBB", width, height, 16, {3: 2, 4: 6}[channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    png = b"\x89PNG\r\n\x1a\n"
    for name, body in ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
        png += struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    return png


def grey(data: bytes) -> list[int]:
    return np.asarray(decode_image(data))[..., 0].ravel().tolist()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("format", "options"),
    [
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("PNG", {}),
        ("WEBP", {"lossless": True}),
        ("JPEG", {"quality": 100, "subsampling": 0}),
        ("MPO", {"quality": 100, "subsampling": 0, "save_all": True}),
    ],
)
def test_a_turn_is_applied_once_in_every_format(format: str, options: dict[str, Any], orientation: int) -> None:
    upright = Image.new("RGB", (40, 20), "white")
    upright.paste((255, 0, 0), (0, 0, 16, 8))  # red at the top left
    back = BACK[orientation]
    stored = upright if back is None else upright.transpose(Image.Transpose(back))
    exif = Image.Exif()
    exif[0x0112] = orientation
    seen = decode_image(encoded(stored, format, exif=exif, **options))
    assert seen.size == (40, 20)
    assert seen.getpixel((4, 4))[1] < 40 and min(seen.getpixel((35, 4))[1], seen.getpixel((4, 15))[1]) > 215


def test_the_first_frame_counts_and_keeps_its_turn() -> None:
    frames = [Image.new("RGB", (20, 40), "red"), Image.new("RGB", (5, 5), "blue")]
    several = encoded(frames[0], "TIFF", save_all=True, append_images=frames[1:], tiffinfo={274: 6})
    assert decode_image(several).size == (40, 20)
    moving = encoded(
        frames[0], "WEBP", save_all=True, append_images=[Image.new("RGB", (20, 40), "blue")], lossless=True
    )
    assert decode_image(moving).getpixel((1, 1)) == (255, 0, 0)


def test_twelve_bits_are_seen_by_the_declared_depth() -> None:
    image, wanted = Image.fromarray(TWELVE_BITS), np.round(TWELVE_BITS * (255 / 4095)).ravel().tolist()
    assert grey(with_chunk(encoded(image), b"sBIT", b"\x0c")) == wanted
    assert grey(encoded(image, "TIFF", tiffinfo={281: 4095})) == wanted
    assert max(grey(encoded(image))) == 16  # nothing is guessed from the values


def test_twelve_bits_that_fill_sixteen_are_left_alone() -> None:
    full = Image.fromarray(TWELVE_BITS << 4 | TWELVE_BITS >> 8)
    assert max(grey(with_chunk(encoded(full), b"sBIT", b"\x0c"))) == 255
    dark = Image.fromarray((TWELVE_BITS >> 4) << 4)  # 255 of 4095 at most, scaled
    assert max(grey(with_chunk(encoded(dark), b"sBIT", b"\x0c"))) == 16
    statistic = encoded(Image.fromarray(TWELVE_BITS), "TIFF", tiffinfo={281: 4033})  # its own maximum, no depth
    assert max(grey(statistic)) == 16


@pytest.mark.parametrize("channels", [3, 4])
def test_colour_of_twelve_bits_keeps_its_low_bytes(channels: int) -> None:
    values = np.stack([TWELVE_BITS, TWELVE_BITS[::-1], np.full_like(TWELVE_BITS, 2000)], axis=-1)
    alpha = np.full((*TWELVE_BITS.shape, 1), 4095, np.uint16)
    stored = deep_png(np.concatenate([values, alpha], axis=-1)[..., :channels])
    seen = np.asarray(decode_image(with_chunk(stored, b"sBIT", b"\x0c" * channels)))
    assert np.array_equal(seen, np.round(values * (255 / 4095)))
    assert "12 at most" in (doubtful_depth(stored) or "")


def test_few_bits_without_a_declared_depth_are_said_by_row(tmp_path: Any) -> None:
    (tmp_path / "dark.png").write_bytes(encoded(Image.fromarray(TWELVE_BITS)))
    (tmp_path / "full.png").write_bytes(encoded(Image.fromarray(TWELVE_BITS * 16)))
    (tmp_path / "said.png").write_bytes(with_chunk(encoded(Image.fromarray(TWELVE_BITS)), b"sBIT", b"\x0c"))
    (tmp_path / "t.csv").write_text("image,y\nfull.png,a\ndark.png,b\nsaid.png,a\n")
    table = read_table(tmp_path / "t.csv")
    rows = read_rows(table, [Modality("image", "image", ("image",))])
    (note,) = rows.doubts
    assert "1 of 3 rows (row 1)" in note and "MaxSampleValue 4095" in note and not rows.bad
    assert [told.row for told in rows.unknown] == [1]  # which a table of predictions names
    finding = check_table(table, target="y").finding("P039")
    assert (finding.severity, finding.rows) == ("warning", [1])


def test_eight_bits_in_a_tiff_of_thirty_two_are_said() -> None:
    """White of 255 was seen as black, without a note."""
    image = Image.fromarray(np.arange(256, dtype=np.int32).reshape(16, 16))
    said = doubtful_depth(encoded(image, "TIFF")) or ""
    assert said.startswith("32 bits, of which the values use 8 at most") and "MaxSampleValue 255" in said
    assert grey(encoded(image, "TIFF", tiffinfo={281: 255}))[-1] == 255
    assert doubtful_depth(encoded(Image.fromarray(np.full((4, 4), 60_000, np.int32)), "TIFF")) is None


def test_ranges_of_deep_pictures() -> None:
    signed = encoded(Image.fromarray(np.array([[-1000, 0, 1000]], dtype=np.int32)), "TIFF")
    assert grey(signed) == [0, 128, 255]
    whole = Image.frombytes("I", (3, 1), np.array([0, 2**31, 2**32 - 1], dtype=np.uint32).tobytes())
    entry = struct.pack("<HHIHH", 339, 3, 1, 2, 0)
    unsigned = encoded(whole, "TIFF").replace(entry, struct.pack("<HHIHH", 339, 3, 1, 1, 0))
    assert grey(unsigned) == [0, 128, 255]
    for odd in (np.nan, np.inf, -np.inf):
        with pytest.raises(CellError, match="not numbers"):
            check_image(encoded(Image.fromarray(np.array([[0, odd]], dtype=np.float32)), "TIFF"))


def test_lab_and_palettes_with_several_transparencies() -> None:
    lab = encoded(Image.new("LAB", (2, 2), (255, 128, 128)), "TIFF")
    assert min(decode_image(lab).getpixel((0, 0))) > 250
    palette = Image.new("P", (3, 1))
    palette.putpalette([1, 2, 3, 40, 50, 60, 7, 8, 9])
    palette.putdata([0, 1, 2])
    seen = decode_image(encoded(palette, transparency=b"\x00\xff\x80"))
    assert [seen.getpixel((x, 0)) for x in (0, 1)] == [(255, 255, 255), (40, 50, 60)]
    assert 125 < seen.getpixel((2, 0))[0] < 135


def test_a_lack_of_memory_is_no_fault_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(picture, "to_rgb", no_memory)
    with pytest.raises(CellError, match=r"needs about 0\.1 GB of memory.*no fault of the file"):
        decode_image(encoded(Image.new("RGB", (9, 9))))


def test_reasons_quote_nothing_of_a_file() -> None:
    for content in (b"root:x:0:0:root:/root:/bin/sh\n", b"%PDF-1.7 secret", b"\x00\x01\x02secret\xff\xfe"):
        with pytest.raises(CellError) as caught:
            check_image(content)
        assert "root" not in str(caught.value) and "secret" not in str(caught.value)
    with pytest.raises(CellError, match="it is text"):
        check_image("Grüße aus Köln, ".encode() * 40)


def test_decoders_write_nothing_to_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    data = encoded(Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)), "TIFF",
                   compression="jpeg")  # fmt: skip
    for cut in (2, len(data) // 3):
        with pytest.raises(CellError):
            decode_image(data[:-cut])
    assert capfd.readouterr().err == ""


PEAK = """
import resource, sys, zlib, struct
from plait.data.picture import decode_image
rows = b"".join(b"\\0" + bytes(10000) for _ in range(4000))
png = b"\\x89PNG\\r\\n\\x1a\\n"
header = struct.pack(">IIBBBBB", 5000, 4000, 16, 0, 0, 0, 0)
for name, body in ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 1)), (b"IEND", b"")):
    png += struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
decode_image(png)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_sixteen_bits_cost_little_more_than_eight() -> None:
    found = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, check=True)
    assert int(found.stdout) < 3 * 80_000  # kilobytes; 20 million pixels of RGB take 80 MB
