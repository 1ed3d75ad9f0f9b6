"""Images, and sets of them, whose members the same encoders read."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import numpy as np

from plait.data.media import read_media
from plait.data.rows import Items
from plait.inputs.dataset import LiveSource, Source
from plait.inputs.modality_kinds import Load, ModalityKind
from plait.processors import Processor
from plait.processors.augment.image import ImageView, draw_image
from plait.processors.augment.views import ItemViews, ViewMaker


def _live(processor: Processor, items: Items, load: Load) -> Source:
    from PIL import Image

    blank = io.BytesIO()
    Image.new("RGB", (32, 32)).save(blank, "PNG")
    return LiveSource(processor, load, blank.getvalue())


def _examine(data: Any, processor: Any, max_pixels: int) -> None:
    processor.process([data])


def _draw(views: ItemViews, item: int, generator: np.random.Generator, flip: bool) -> ImageView:
    given = views.settings
    return draw_image(
        generator, given.image, views.allowed[item], flip=flip, strength=given.strength, max_pixels=views.max_pixels
    )


IMAGE = ModalityKind(
    encoder="image", load=read_media, live=_live, examine=_examine, plural="images",
    views=ViewMaker(lambda settings: settings.image != "none", _draw, is_picture=True),
)  # fmt: skip
IMAGE_SET = replace(IMAGE, is_set=True)
