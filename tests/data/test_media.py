"""Cells to bytes, and images that are really images."""

from __future__ import annotations

import base64
import io
import os
import random
from pathlib import Path

import pytest
from PIL import Image

from fixtures.media import png_claiming
from plait.data.media import (
    CellError,
    looks_like_image,
    looks_like_image_path,
    read_media,
)
from plait.data.picture import check_image, open_image


def encode(format: str = "PNG", size: tuple[int, int] = (20, 10), mode: str = "RGB") -> bytes:
    noise = random.Random(3).randbytes(size[0] * size[1] * len(Image.new(mode, (1, 1)).tobytes()))
    out = io.BytesIO()
    Image.frombytes(mode, size, noise).save(out, format)
    return out.getvalue()


def test_every_way_of_writing_one_photo_gives_one_key(tmp_path: Path) -> None:
    data = encode()
    (tmp_path / "a b.png").write_bytes(data)
    text = base64.b64encode(data).decode()
    cells: list[object] = [
        data,
        bytearray(data),
        "a b.png",
        Path("a b.png"),
        str(tmp_path / "a b.png"),
        f"file://{tmp_path}/a%20b.png",
        text,
        "\n".join(text[i : i + 76] for i in range(0, len(text), 76)),
        base64.urlsafe_b64encode(data).decode().rstrip("="),
        f"data:image/png;base64,{text}",
        {"bytes": data, "path": "gone.png"},
        {"bytes": None, "path": "a b.png"},
    ]
    for cell in cells:
        assert read_media(cell, tmp_path) == data, cell


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (None, "empty"),
        ("", "empty"),
        ("  ", "empty"),
        (float("nan"), "empty"),
        (b"", "0 bytes"),
        (3, "holds int"),
        ([1], "an array of 1 number.* or, for a sound, "),
        ({"bytes": None, "path": None}, "empty"),
        ({"url": "x"}, "the keys .*url.*; expected bytes or path, or array and sampling_rate"),
        ("https://example.org/a.jpg", "is an address, and nothing is fetched.*allow_remote=True"),
        ("S3://bucket/a.jpg", "is an address, and nothing is fetched.*allow_remote=True"),
        ("file://host/a.jpg", "names the host"),
        ("http://[broken", "an address that is never fetched; expected a path, or one of s3://"),
        ("file://[broken", "well-formed"),
        ("none.jpg", "no such file"),
        ("photos\\none.jpg", "backslashes"),
        ("folder", "is a folder"),
        ("a\x00b.jpg", "cannot read"),
        ("\ud800.jpg", "cannot read"),
        ("x" * 3000 + ".jpg", "cannot read"),
        ("data:image/png;base64", "not a data: address"),
        ("data:image/png;base64,@@@@", "base64 text is broken"),
        ("data:image/png;base64,é", "base64 text is broken"),
        ("data:image/png;base64,", "0 bytes"),
    ],
)
def test_cells_that_hold_no_media(tmp_path: Path, cell: object, message: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(CellError, match=message):
        read_media(cell, tmp_path)


def test_limits_and_odd_files(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"x" * 101)
    (tmp_path / "none").write_bytes(b"")
    for cell in ("big", b"x" * 101, "data:," + "x" * 101, "data:;base64," + "x" * 400):
        with pytest.raises(CellError, match="limit"):
            read_media(cell, tmp_path, max_bytes=100)
    with pytest.raises(CellError, match="0 bytes"):
        read_media("none", tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CellError, match="not an ordinary file"):
        read_media("pipe", tmp_path)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_allowed_formats_decode(format: str) -> None:
    assert check_image(encode(format, mode="L" if format == "GIF" else "RGB")) == (20, 10)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "RGBA", "I;16"])
def test_modes_decode(mode: str) -> None:
    out = io.BytesIO()
    Image.new(mode, (7, 5)).save(out, "PNG")
    assert check_image(out.getvalue()) == (7, 5)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "BMP"])
def test_truncated_images_are_broken(format: str) -> None:
    data = encode(format, (64, 64))
    for share in (0.02, 0.3, 0.6, 0.9):
        with pytest.raises(CellError):
            check_image(data[: int(len(data) * share)])


def test_corrupt_and_foreign_content() -> None:
    png = bytearray(encode("PNG", (64, 64)))
    png[len(png) // 2] ^= 0xFF
    with pytest.raises(CellError, match="broken"):
        check_image(bytes(png))
    for content in (b"", b"hello", b"<svg></svg>", b"%PDF-1.4", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"):
        with pytest.raises(CellError):
            check_image(content)
    out = io.BytesIO()
    Image.new("RGB", (4, 4)).save(out, "PPM")
    with pytest.raises(CellError, match="expected JPEG"):
        check_image(out.getvalue())


@pytest.mark.parametrize("size", [(9000, 9000), (10_000, 10_000), (60_000, 60_000), (2**31 - 1, 2**31 - 1)])
def test_bombs_are_refused_by_their_header(size: tuple[int, int]) -> None:
    with pytest.raises(CellError, match="pixels"):
        check_image(png_claiming(*size))


def test_pixel_limit_is_exact() -> None:
    data = encode(size=(20, 10))
    assert check_image(data, max_pixels=200) == (20, 10)
    assert open_image(data, max_pixels=200).size == (20, 10)
    with pytest.raises(CellError, match="limit is 199"):
        check_image(data, max_pixels=199)


def test_fuzzed_images_only_ever_raise_cell_errors() -> None:
    rng = random.Random(0)
    seeds = [encode(f, mode="L" if f == "GIF" else "RGB") for f in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")]
    refused = 0
    for trial in range(400):
        data = bytearray(seeds[trial % len(seeds)])
        for _ in range(rng.randrange(1, 8)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        try:
            width, height = check_image(bytes(data))
        except CellError as error:
            assert str(error)
            refused += 1
        else:
            assert width > 0 and height > 0
    assert 40 < refused < 360  # both ends are reached


def test_looks_like_image() -> None:
    assert looks_like_image_path("https://x.org/a.jpeg?w=3") and looks_like_image_path("a\\b.PNG")
    assert not looks_like_image_path("") and not looks_like_image_path("see\na.jpg")
    assert looks_like_image(encode("WEBP")) and looks_like_image(base64.b64encode(encode()).decode())
    assert looks_like_image({"bytes": None, "path": "a.jpg"}) and looks_like_image("data:image/png;base64,AA")
    assert not looks_like_image(b"text") and not looks_like_image("A" * 80) and not looks_like_image(4)
