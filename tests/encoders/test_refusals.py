"""What cannot be encoded as its authors do is refused at load, in one sentence; what is unused may be missing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from tiny_architectures import ARCHITECTURES

from fixtures.media import encoded
from plait.encoders import load_encoder
from plait.encoders.sources import read_library_processor
from plait.weights.quiet import quiet_transformers

NAMES = ("bert", "gpt2", "vit", "vit-unnormalised", "mobilevit", "whisper", "clap", "blip", "siglip", "siglip2")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    with quiet_transformers():
        return {name: ARCHITECTURES[name].save(tmp_path_factory.mktemp(name)) for name in NAMES}


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("bert", "image", "sees no pictures: its model type is 'bert'"),
        ("gpt2", "image", "sees no pictures"),
        ("whisper", "text", "reads no text: its model type is 'whisper'"),
        ("vit", "text", "reads no text"),
        ("bert", "audio", "audio"),
    ],
)
def test_a_wrong_kind_of_model_is_refused(name: str, kind: str, words: str, folders: dict[str, Path]) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        load_encoder(f"hf:{folders[name]}", kind)
    assert "\n" not in str(caught.value)


def test_names_of_torchvision_are_refused_before_weights_are_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plait.encoders.sources.locate", lambda name: pytest.fail("weights were looked for"))
    for name in ("vit_b_16", "swin_t", "maxvit_t", "nothing"):
        with pytest.raises(ValueError, match="not a CNN that Plait can cut|knows no model"):
            load_encoder(f"torchvision:{name}", "image")


def without(folder: Path, to: Path, part: str) -> Path:
    """A copy of a folder whose file lacks the weights of a part."""
    shutil.copytree(folder, to)
    state = load_file(to / "model.safetensors")
    kept = {key: tensor for key, tensor in state.items() if part not in key}
    assert len(kept) < len(state)
    save_file(kept, to / "model.safetensors", {"format": "pt"})
    return to


@pytest.mark.parametrize(
    ("name", "kind", "part"),
    [("clap", "text", "text_model.pooler."), ("blip", "text", "text_model.pooler."), ("siglip", "image", ".head.")],
)
def test_missing_weights_that_are_used_are_refused(
    name: str, kind: str, part: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    broken = without(folders[name], tmp_path / "broken", part)
    for prefix in ("hf", "two-tower"):
        with pytest.raises(ValueError, match="lacks weights that the encoder uses|does not hold all weights"):
            load_encoder(f"{prefix}:{broken}", kind)


def test_missing_weights_that_are_unused_change_nothing(folders: dict[str, Path], tmp_path: Path) -> None:
    for name, kind in (("bert", "text"), ("vit", "image")):
        whole = load_encoder(f"hf:{folders[name]}", kind)[0].fingerprint
        less = without(folders[name], tmp_path / name, "pooler.")
        assert load_encoder(f"hf:{less}", kind)[0].fingerprint == whole


def photo(width: int, height: int) -> bytes:
    values = np.random.default_rng(5).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return encoded(Image.fromarray(values))


def test_another_size_keeps_the_statistics_of_the_folder(folders: dict[str, Path]) -> None:
    square = photo(64, 64)
    for name in ("vit", "vit-unnormalised", "mobilevit"):
        _, processor = load_encoder(f"hf:{folders[name]}", "image", image_size=64)
        found = processor.process([square])["pixel_values"]  # type: ignore[list-item]
        library: Any = read_library_processor(folders[name])
        settings = {**library.settings, "size": {"height": 64, "width": 64}, "do_center_crop": False}
        expected = type(library)(settings | {"do_resize": False}).process([square])["pixel_values"]
        assert torch.allclose(found, expected, atol=1e-6), name
        _, own = load_encoder(f"hf:{folders[name]}", "image", image_size=32)
        assert own.fingerprint == load_encoder(f"hf:{folders[name]}", "image")[1].fingerprint
        again = type(processor).from_json(processor.to_json())  # type: ignore[arg-type]
        assert again.fingerprint == processor.fingerprint


def test_patches_of_any_aspect_need_the_processor_file_and_no_size(folders: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="patches of any aspect.*no image size"):
        load_encoder(f"hf:{folders['siglip2']}", "image", image_size=32)
    bare = shutil.copytree(folders["siglip2"], tmp_path / "bare")
    (bare / "preprocessor_config.json").unlink()
    with pytest.raises(ValueError, match="needs the processor file"):
        load_encoder(f"hf:{bare}", "image")


def test_pictures_that_keep_their_shape_need_a_size(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(folders["vit"], tmp_path / "free")
    settings = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").write_text(json.dumps(settings | {"do_resize": False}))
    with pytest.raises(ValueError, match="different shapes.*give an image size"):
        load_encoder(f"hf:{folder}", "image")
    encoder, processor = load_encoder(f"hf:{folder}", "image", image_size=32)
    assert encoder(**processor.process([photo(50, 90)])).vector_BD.shape == (1, 32)  # type: ignore[list-item]


def test_pictures_come_through_one_at_a_time(folders: dict[str, Path]) -> None:
    _, processor = load_encoder(f"hf:{folders['vit']}", "image")
    items = [photo(50 + i, 90 - 3 * i) for i in range(5)]
    together = processor.process(items)["pixel_values"]  # type: ignore[arg-type]
    alone = torch.cat([processor.process([item])["pixel_values"] for item in items])  # type: ignore[list-item]
    assert torch.equal(together, alone) and processor.process([])["pixel_values"].shape == (0, 3, 32, 32)
    with pytest.raises(ValueError, match="not an image") as caught:
        processor.process([*items, b"no"])  # type: ignore[list-item]
    assert "image 5 of the batch" in caught.value.__notes__
