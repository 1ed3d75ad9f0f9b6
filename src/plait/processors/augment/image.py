"""Views of a picture: mirrored, and changed by operations of TrivialAugment or RandAugment that its words allow.

In: the bytes of an image file. Out: the bytes of another (PNG), which any processor of images takes. Operations and
strengths are those of ``torchvision.transforms.v2``; they are drawn here, since a view must come out the same whenever
it is asked for. Shifts count in 224ths of the picture, corners that turn empty are grey.

Reference: Mueller and Hutter 2021 (TrivialAugment), the wide space: one operation, its strength uniform; Cubuk et al.
2020 (RandAugment): two operations at strength 9 of 30.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from plait.data.picture import MAX_PIXELS, decode_image
from plait.processors.augment.consistency import Allowed

if TYPE_CHECKING:
    from PIL import Image

LEAST_SIDE = 512  # a larger JPEG may be decoded at a reduced size above it
GREY = [128.0, 128.0, 128.0]
NUM_STRENGTHS = 30  # above none
RAND_OPERATIONS, RAND_STRENGTH = 2, 9

# Largest strength in the space of TrivialAugment and of RandAugment; None: no strength. Posterize takes bits off.
GEOMETRIC: dict[str, tuple[float | None, float | None]] = {
    "Identity": (None, None), "ShearX": (0.99, 0.3), "ShearY": (0.99, 0.3),
    "TranslateX": (32 / 224, 150 / 331), "TranslateY": (32 / 224, 150 / 331),
    "Rotate": (135.0, 30.0), "Sharpness": (0.99, 0.9),
}  # fmt: skip
COLOURING: dict[str, tuple[float | None, float | None]] = {
    "Brightness": (0.99, 0.9), "Color": (0.99, 0.9), "Contrast": (0.99, 0.9), "Posterize": (6.0, 4.0),
    "Solarize": (1.0, 1.0), "AutoContrast": (None, None), "Equalize": (None, None),
}  # fmt: skip
SIGNED = ("ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate", "Brightness", "Color", "Contrast", "Sharpness")


@dataclass(frozen=True)
class ImageView:
    """One way to change a picture.

    Attributes:
        flip: Left and right change places.
        operations: Names and strengths, in order.
        max_pixels: Larger pictures are refused.
    """

    flip: bool = False
    operations: tuple[tuple[str, float], ...] = ()
    max_pixels: int = MAX_PIXELS

    def __call__(self, data: bytes) -> bytes:
        """The changed picture as PNG.

        Raises:
            CellError: As :func:`plait.data.picture.decode_image`.
        """
        out = io.BytesIO()
        self.changed(decode_image(data, self.max_pixels, least_side=LEAST_SIDE)).save(out, "PNG", compress_level=1)
        return out.getvalue()

    def changed(self, picture: Image.Image) -> Image.Image:
        """The changed picture, of the same size."""
        from PIL import Image

        if self.flip:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        for name, strength in self.operations:
            picture = apply(picture, name, strength)
        return picture

    def to_json(self) -> list[Any]:
        """What tells it from other views; an empty list changes nothing."""
        return [*(["flip"] if self.flip else []), *([n, round(s, 6)] for n, s in self.operations if n != "Identity")]


def draw_image(
    generator: np.random.Generator, policy: str, allowed: Allowed, *, flip: bool, strength: float = 1.0,
    max_pixels: int = MAX_PIXELS,
) -> ImageView:  # fmt: skip
    """Draw a view.

    Args:
        generator: What is drawn from.
        policy: none, flip, trivial or rand; the first two draw no operation.
        allowed: What the words beside the picture allow.
        flip: Whether this view is a mirrored one, where that is allowed.
        strength: Share of the largest strengths, 0 to 1.
        max_pixels: Larger pictures are refused.
    """
    space = {**GEOMETRIC, **(COLOURING if allowed.recolour else {})}
    if not allowed.turn:
        del space["Rotate"]
    drawn = []
    for _ in range({"trivial": 1, "rand": RAND_OPERATIONS}.get(policy, 0)):
        name = str(generator.choice(list(space)))
        level = generator.integers(NUM_STRENGTHS + 1) if policy == "trivial" else RAND_STRENGTH
        sign = -1.0 if generator.random() < 0.5 and name in SIGNED else 1.0
        largest = space[name][policy == "rand"]
        drawn.append((name, 0.0 if largest is None else sign * strength * largest * int(level) / NUM_STRENGTHS))
    return ImageView(flip and allowed.flip, tuple(drawn), max_pixels)


def apply(picture: Image.Image, name: str, strength: float) -> Image.Image:
    """One operation on an RGB picture, as ``torchvision.transforms.v2`` does it."""
    from torchvision.transforms.v2 import functional  # type: ignore[import-untyped]

    if name == "Identity":
        return picture
    still: dict[str, Any] = {
        "angle": 0.0, "translate": [0, 0], "scale": 1.0, "shear": [0.0, 0.0],
        "fill": GREY, "interpolation": functional.InterpolationMode.BILINEAR,
    }  # fmt: skip
    if name in ("ShearX", "ShearY"):
        degrees = math.degrees(math.atan(strength))
        shear = [degrees, 0.0] if name == "ShearX" else [0.0, degrees]
        return _picture(functional.affine(picture, **{**still, "shear": shear, "center": [0, 0]}))
    if name in ("TranslateX", "TranslateY"):
        by = [int(strength * picture.width), 0] if name == "TranslateX" else [0, int(strength * picture.height)]
        return _picture(functional.affine(picture, **{**still, "translate": by}))
    if name == "Rotate":
        return _picture(functional.rotate(picture, strength, interpolation=still["interpolation"], fill=GREY))
    if name in ("AutoContrast", "Equalize"):
        return _picture(getattr(functional, name.lower())(picture))
    if name == "Posterize":
        return _picture(functional.posterize(picture, bits=8 - round(strength)))
    if name == "Solarize":
        return _picture(functional.solarize(picture, threshold=255.0 * (1.0 - strength)))
    adjust = {
        "Brightness": functional.adjust_brightness, "Color": functional.adjust_saturation,
        "Contrast": functional.adjust_contrast, "Sharpness": functional.adjust_sharpness,
    }[name]  # fmt: skip
    return _picture(adjust(picture, 1.0 + strength))


def _picture(made: Any) -> Image.Image:
    return made  # type: ignore[no-any-return]
