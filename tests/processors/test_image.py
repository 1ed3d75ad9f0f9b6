"""Images as a person sees them: rotation, transparency, depth, colour spaces, hostile files."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fixtures.media import encoded, png_claiming
from plait.data.media import CellError
from plait.processors import ImageProcessor, decode_image, load_processor


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_gives_the_upright_picture(orientation: int) -> None:
    upright = Image.new("RGB", (40, 20), "white")
    upright.paste((255, 0, 0), (0, 0, 20, 10))  # red at the top left
    back = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]
    stored = upright if back is None else upright.transpose(Image.Transpose(back))
    exif = Image.Exif()
    exif[0x0112] = orientation
    seen = decode_image(encoded(stored, exif=exif.tobytes()))
    assert np.array_equal(np.asarray(seen), np.asarray(upright))


def test_transparency_lies_on_white() -> None:
    rgba = Image.new("RGBA", (2, 1), (200, 0, 0, 0))  # hidden colour under full transparency
    rgba.putpixel((1, 0), (200, 0, 0, 255))
    assert [decode_image(encoded(rgba)).getpixel((x, 0)) for x in (0, 1)] == [(255, 255, 255), (200, 0, 0)]
    half = Image.new("LA", (1, 1), (0, 128))
    assert decode_image(encoded(half)).getpixel((0, 0))[0] in (127, 128)
    palette = Image.new("P", (2, 1), 0)
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.putpixel((1, 0), 1)
    assert decode_image(encoded(palette)).getpixel((0, 0)) == (10, 20, 30)
    seen = decode_image(encoded(palette, transparency=0))
    assert [seen.getpixel((x, 0)) for x in (0, 1)] == [(255, 255, 255), (40, 50, 60)]


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    values = np.array([[0, 257, 32768, 65535]], dtype=np.uint16)
    for format in ("PNG", "TIFF"):
        seen = np.asarray(decode_image(encoded(Image.fromarray(values), format)))[0, :, 0]
        assert seen.tolist() == [0, 1, 128, 255]
    deep = Image.fromarray(np.array([[-1000, 0, 1000]], dtype=np.int32))
    assert np.asarray(decode_image(encoded(deep, "TIFF")))[0, :, 0].tolist() == [0, 128, 255]
    shares = Image.fromarray(np.array([[0, 0.5, 1]], dtype=np.float32))
    assert np.asarray(decode_image(encoded(shares, "TIFF")))[0, :, 0].tolist() == [0, 128, 255]
    with pytest.raises(CellError, match="not numbers"):
        decode_image(encoded(Image.fromarray(np.array([[np.nan]], dtype=np.float32)), "TIFF"))


def test_colour_spaces_and_first_frame() -> None:
    cmyk = encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=100)
    red, green, blue = decode_image(cmyk).getpixel((4, 4))
    assert red > 240 and green < 15 and blue < 15
    assert decode_image(encoded(Image.new("L", (2, 2), 77))).getpixel((0, 0)) == (77, 77, 77)
    assert decode_image(encoded(Image.new("1", (2, 2), 1))).getpixel((0, 0)) == (255, 255, 255)
    frames = [Image.new("RGB", (4, 4), c) for c in ("red", "blue")]
    assert decode_image(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])).getpixel((0, 0)) == (
        255,
        0,
        0,
    )


def noise(width: int = 64, height: int = 64) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def test_broken_images_are_a_clear_error() -> None:
    for format in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"):
        data = encoded(noise(), format)
        with pytest.raises(CellError):
            decode_image(data[: len(data) // 2])
    for data in (b"", b"hello", b"%PDF-1.4", encoded(noise(), "ICO")):
        with pytest.raises(CellError):
            decode_image(data)
    damaged = bytearray(encoded(noise()))
    damaged[len(damaged) // 2] ^= 0xFF
    with pytest.raises(CellError):
        decode_image(bytes(damaged))


def test_bombs_are_refused_before_decoding() -> None:
    for side in (9_000, 12_000, 60_000):  # Pillow would pass, warn, and raise
        data = png_claiming(side, side)
        with pytest.raises(CellError, match="pixels"):
            decode_image(data)


def test_fuzzed_files_raise_nothing_but_cell_errors(capfd: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(1)
    processor, refused = ImageProcessor(16), 0
    for format in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"):
        whole = encoded(noise(24, 24), format)
        for _ in range(40):
            data = bytearray(whole)
            for place in rng.integers(0, len(data), 5):
                data[place] = rng.integers(0, 256)
            try:
                assert processor.process([bytes(data)])["pixel_values"].isfinite().all()
            except CellError as error:
                assert str(error)
                refused += 1
    assert 24 < refused < 216  # of 240: both ends are reached
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(("mode", "theirs", "share"), [
    ("crop", "center", 0.875), ("squash", "squash", 1.0), ("squash_crop", "squash", 0.9),
])  # fmt: skip
def test_pixels_equal_timms_transform(mode: str, theirs: str, share: float) -> None:
    from timm.data import create_transform

    for size in ((100, 70), (50, 133)):
        image = noise(*size)
        transform = create_transform(
            (3, 32, 32), interpolation="bicubic", crop_pct=share, crop_mode=theirs, mean=(0.5,) * 3, std=(0.5,) * 3
        )
        ours = ImageProcessor(32, crop_pct=share, mode=mode).process([encoded(image)])["pixel_values"][0]
        assert torch.allclose(ours, transform(image), atol=1e-6)


def test_modes_extremes_draft_and_threads() -> None:
    wide = Image.new("RGB", (20_000, 2), "red")
    assert ImageProcessor(16).process([encoded(wide)])["pixel_values"].shape == (1, 3, 16, 16)
    marked = Image.new("RGB", (300, 100), "black")
    marked.paste((255, 255, 255), (0, 0, 60, 100))
    cropped = ImageProcessor(20, mode="crop").process([encoded(marked)])["pixel_values"]
    squashed = ImageProcessor(20, mode="squash").process([encoded(marked)])["pixel_values"]
    assert cropped.max() == -1 and squashed[0, 0, 10, 0] == 1  # the crop loses the left edge, the squash keeps it
    smooth = Image.linear_gradient("L").convert("RGB").resize((2000, 1500))
    drafted = ImageProcessor(32).process([encoded(smooth, "JPEG", quality=95)])["pixel_values"]
    exact = ImageProcessor(32).process([encoded(smooth)])["pixel_values"]
    assert (drafted - exact).abs().max() < 0.05
    items = [encoded(Image.new("RGB", (9, 9), (i * 10, 0, 0))) for i in range(20)]
    together = ImageProcessor(8).process(items)["pixel_values"]
    alone = torch.cat([ImageProcessor(8).process([item])["pixel_values"] for item in items])
    assert torch.equal(together, alone)
    with pytest.raises(CellError) as caught:
        ImageProcessor(8).process([*items, b"no"])
    assert caught.value.__notes__ == ["image 20 of the batch"]


def test_json_round_trip_and_settings() -> None:
    processor = ImageProcessor(96, (0.1, 0.2, 0.3), (1, 2, 3), "bilinear", 0.9, "squash")
    again = ImageProcessor.from_json(processor.to_json())
    assert again.to_json() == processor.to_json() and again.fingerprint == processor.fingerprint
    assert ImageProcessor(95).fingerprint != ImageProcessor(96).fingerprint
    for bad in (
        {"size": 0},
        {"size": 8, "mode": "fit"},
        {"size": 8, "std": (0, 1, 1)},
        {"size": 8, "crop_pct": 2},
    ):
        with pytest.raises(ValueError):
            ImageProcessor(**bad)


def _four_colours(side: int = 100) -> bytes:
    colours = np.zeros((side, side, 3), dtype=np.uint8)
    half = side // 2
    colours[:half, :half], colours[:half, half:] = (255, 0, 0), (0, 255, 0)
    colours[half:, :half], colours[half:, half:] = (0, 0, 255), (255, 255, 0)
    out = io.BytesIO()
    Image.fromarray(colours).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize(("crops", "views"), [("diagonal", 3), ("corners", 5), ("six", 6)])
def test_crops_are_corners_of_seven_tenths_and_the_whole_comes_first(crops: str, views: int) -> None:
    plain = ImageProcessor(40, mode="squash", interpolation="nearest", mean=(0, 0, 0), std=(1, 1, 1))
    processor = ImageProcessor(
        40, mode="squash", interpolation="nearest", mean=(0, 0, 0), std=(1, 1, 1), crops=crops
    )  # fmt: skip
    data = _four_colours()
    values = processor.process([data, data])["pixel_values"]
    assert values.shape == (2, views, 3, 40, 40)
    assert torch.equal(values[:, 0], plain.process([data, data])["pixel_values"])
    first, last = values[0, 1], values[0, 2 if crops == "diagonal" else 4]
    assert first[:, 0, 0].tolist() == [1, 0, 0]
    assert last[:, -1, -1].tolist() == [1, 1, 0]
    # the middle of the picture lies at 5/7 of the crop's side, and at 2/7 of that of the other corner
    assert first[:, 27, 27].tolist() == [1, 0, 0] and first[:, 29, 29].tolist() == [1, 1, 0]
    assert last[:, 10, 10].tolist() == [1, 0, 0] and last[:, 12, 12].tolist() == [1, 1, 0]
    if crops == "six":
        assert torch.equal(values[0, 5], values[0, 0].flip(2))


def test_crops_change_the_fingerprint_and_survive_saving_and_whole_pictures_keep_theirs(tmp_path: Path) -> None:
    plain, crops = ImageProcessor(32), ImageProcessor(32, crops="six")
    assert "crops" not in plain.to_json() and plain.fingerprint != crops.fingerprint
    crops.save(tmp_path)
    loaded = load_processor(tmp_path)
    assert isinstance(loaded, ImageProcessor)
    assert loaded.crops == "six" and loaded.fingerprint == crops.fingerprint
    assert crops.process([])["pixel_values"].shape == (0, 6, 3, 32, 32)
    with pytest.raises(ValueError, match="crops is 'nine'; expected one of whole, diagonal"):
        ImageProcessor(32, crops="nine")


@pytest.mark.parametrize("size", [(1, 1), (2, 900), (900, 2), (3, 3)])
def test_crops_of_tiny_and_narrow_pictures(size: tuple[int, int]) -> None:
    out = io.BytesIO()
    Image.new("RGB", size, (255, 0, 0)).save(out, "PNG")
    for mode in ("crop", "squash"):
        values = ImageProcessor(32, mode=mode, crops="six").process([out.getvalue()])["pixel_values"]
        assert values.shape == (1, 6, 3, 32, 32) and torch.isfinite(values).all()
