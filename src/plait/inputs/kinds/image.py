"""Images, and sets of them, whose members the same encoders read."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from plait.data.media import read_media
from plait.data.rows import Items
from plait.inputs.dataset import LiveSource, Source
from plait.inputs.modality_kinds import Load, ModalityKind
from plait.processors import ImageProcessor
from plait.processors.augment.image import ImageView, draw_image
from plait.processors.augment.views import ItemViews, ViewMaker
from plait.settings import EncoderSettings

if TYPE_CHECKING:
    from plait.processors import Processor

BLANK_SIDE = 32  # pixels of the picture that stands in for a missing one, which is masked


def _live(processor: Processor, items: Items, load: Load) -> Source:
    from PIL import Image

    blank = io.BytesIO()
    side = max(1, min(BLANK_SIDE, math.isqrt(getattr(processor, "max_pixels", BLANK_SIDE**2))))  # else it is refused
    Image.new("RGB", (side, side)).save(blank, "PNG")
    return LiveSource(processor, load, blank.getvalue())


def _set_crops(processor: Processor, settings: EncoderSettings, reference: str) -> None:
    crops = settings.image_crops or "whole"
    if isinstance(processor, ImageProcessor):
        processor.crops = crops
    elif crops != "whole":
        raise ValueError(
            f"the image encoder {reference!r} comes with a processor file of its own, which cuts no crops; type "
            "set=['encoders.image_size=224'] too, or leave encoders.image_crops out"
        )


def _examine(data: Any, processor: Any, max_pixels: int) -> None:
    processor.process([data])


def _draw(views: ItemViews, item: int, generator: np.random.Generator, flip: bool) -> ImageView:
    given = views.settings
    return draw_image(
        generator, given.image, views.allowed[item], flip=flip, strength=given.strength, max_pixels=views.max_pixels
    )


IMAGE = ModalityKind(
    encoder="image", load=read_media, live=_live, configure=_set_crops, examine=_examine, plural="images",
    views=ViewMaker(lambda settings: settings.image != "none", _draw, is_picture=True),
)  # fmt: skip
IMAGE_SET = replace(IMAGE, is_set=True)
