"""Crops of pictures: the vector is the mean over the views, tokens are the whole picture's, and only frozen ones do."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from plait.data.modality import Modality
from plait.inputs.inputs import load_inputs
from plait.processors import ImageProcessor
from plait.settings import EncoderSettings


@pytest.mark.parametrize("case", ["timm:test_resnet", "torchvision:resnet18", "hf:vit", "hf:clip-image"])
def test_the_vector_is_the_mean_over_the_views(
    case: str, folders: dict[str, Path], tmp_path: Path, cache: Path, load: Any
) -> None:
    encoder, processor, items = load(case, folders, tmp_path)
    if not isinstance(processor, ImageProcessor):
        processor = ImageProcessor(processor.side, mode="squash", **processor.statistics)
    processor.crops = "corners"
    with torch.inference_mode():
        values = processor.process(items)["pixel_values"]
        made = encoder(pixel_values=values)
        views = [encoder(pixel_values=values[:, view]) for view in range(5)]
    assert values.shape[:2] == (3, 5)
    torch.testing.assert_close(made.vector_BD, torch.stack([v.vector_BD for v in views]).mean(0))
    assert not torch.allclose(made.vector_BD, views[0].vector_BD)
    if made.tokens_BTD is not None:
        torch.testing.assert_close(made.tokens_BTD, views[0].tokens_BTD)
        assert torch.equal(made.mask_BT, views[0].mask_BT)


def test_crops_are_for_frozen_encoders() -> None:
    photo = (Modality("photo", "image", ("photo",)),)
    settings = EncoderSettings(image="scratch:image", image_crops="diagonal")
    with pytest.raises(
        ValueError, match=r"image_crops=diagonal averages what a frozen encoder sees.*image_crops=whole"
    ):
        load_inputs(photo, settings, with_tokens=False, max_pixels=10**6)


def test_a_processor_file_of_its_own_cuts_no_crops(folders: dict[str, Path], tmp_path: Path) -> None:
    photo = (Modality("photo", "image", ("photo",)),)
    own = shutil.copytree(folders["vit"], tmp_path / "own")
    described = {
        "image_processor_type": "ViTImageProcessor", "size": {"height": 32, "width": 32}, "do_resize": True,
        "do_rescale": True, "do_normalize": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3,
    }  # fmt: skip
    (own / "preprocessor_config.json").write_text(json.dumps(described), encoding="utf-8")
    reference = f"hf:{own}"
    with pytest.raises(ValueError, match=r"comes with a processor file.*encoders.image_size=224"):
        load_inputs(
            photo, EncoderSettings(image=reference, image_crops="six"), with_tokens=False, max_pixels=10**6
        )  # fmt: skip
    inputs = load_inputs(
        photo, EncoderSettings(image=reference, image_crops="six", image_size=64), with_tokens=False, max_pixels=10**6
    )
    assert inputs.processors["photo"].crops == "six"
