"""Ready two-tower models as search models: vectors equal those of transformers, temperature and padding are theirs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import plait
from fixtures.lazy import lazy
from fixtures.media import noise_png
from plait.encoders import load_encoder
from plait.encoders.checkpoint import quiet_transformers

hf = lazy("transformers")

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "photo", "of", "red", "car", "blue", "dog"]
TEXT = {
    "vocab_size": len(WORDS), "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2,
    "num_attention_heads": 2, "max_position_embeddings": 20,
}  # fmt: skip
VISION = {
    "hidden_size": 24, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 32,
    "patch_size": 8,
}  # fmt: skip


def clip() -> hf.PreTrainedModel:
    text = {**TEXT, "eos_token_id": 3, "bos_token_id": 2}
    return hf.CLIPModel(hf.CLIPConfig(text_config=text, vision_config=VISION, projection_dim=12))


def siglip() -> hf.PreTrainedModel:
    return hf.SiglipModel(hf.SiglipConfig(text_config={**TEXT, "hidden_size": 24}, vision_config=VISION))


@pytest.fixture(scope="module", params=[clip, siglip], ids=["clip", "siglip"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp(request.param.__name__)
    torch.manual_seed(0)
    with quiet_transformers():
        network = request.param()
        with torch.no_grad():
            network.logit_scale.fill_(2.0)
            if hasattr(network, "logit_bias"):
                network.logit_bias.fill_(-3.0)
        network.save_pretrained(place)
    (place / "vocab.txt").write_text("\n".join(WORDS))
    hf.BertTokenizerFast(vocab=str(place / "vocab.txt")).save_pretrained(place)
    return place


TEXTS = ["a photo of a red car", "blue dog", "dog dog dog"]


def rows() -> list[dict[str, object]]:
    return [{"image": noise_png(i, 32), "caption": text} for i, text in enumerate(TEXTS)]


@pytest.mark.oracle
def test_vectors_are_those_of_transformers(folder: Path, tmp_path: Path) -> None:
    fitted = plait.two_tower(f"hf:{folder}", output=tmp_path / "m")
    with quiet_transformers():
        network = hf.AutoModel.from_pretrained(folder, use_safetensors=True).eval()
    tokenizer = hf.AutoTokenizer.from_pretrained(folder)
    is_siglip = network.config.model_type == "siglip"
    tokens = tokenizer(
        TEXTS, padding="max_length" if is_siglip else True, max_length=20, truncation=True, return_tensors="pt"
    )
    given = {"input_ids": tokens["input_ids"]} if is_siglip else {k: tokens[k] for k in ("input_ids", "attention_mask")}
    processor = fitted.inputs.processors["image"]
    with torch.inference_mode():
        pixels = processor.process([r["image"] for r in rows()])["pixel_values"]  # type: ignore[union-attr, call-arg, arg-type, misc]
        whole = network(pixel_values=pixels, **given)
    captions, _ = fitted.embed(rows(), "caption")
    images, _ = fitted.embed(rows(), "image")
    np.testing.assert_allclose(captions, whole.text_embeds.numpy(), atol=2e-5)
    np.testing.assert_allclose(images, whole.image_embeds.numpy(), atol=2e-5)
    head = fitted.model.head
    scaled = float(head.scale.detach()) * captions @ images.T + (float(head.bias.detach()) if is_siglip else 0.0)
    np.testing.assert_allclose(scaled, whole.logits_per_text.numpy(), atol=1e-3)
    proba = fitted.classify(rows(), ["red car", "blue dog"])
    prompts, _ = fitted.embed([{"caption": "a photo of a red car"}, {"caption": "a photo of a blue dog"}], "caption")
    logits = torch.from_numpy(np.exp(2.0) * images.astype(np.float64) @ prompts.astype(np.float64).T)
    np.testing.assert_allclose(proba, torch.softmax(logits, 1).numpy(), atol=1e-5)


def test_a_saved_one_loads_and_is_judged(folder: Path, tmp_path: Path) -> None:
    fitted = plait.two_tower(f"hf:{folder}", output=tmp_path / "m")
    again = plait.load(tmp_path / "m")
    assert again.fingerprint == fitted.fingerprint and again.dim == fitted.dim
    assert np.array_equal(again.embed(rows(), "image")[0], fitted.embed(rows(), "image")[0])
    found = again.evaluate(rows(), report=tmp_path / "r.html")
    assert [d["items"] for d in found["evaluation"]["directions"]] == [3, 3]
    assert json.loads((tmp_path / "r.json").read_text())["model"]["head"] == "towers"


def test_an_index_is_searched_with_plain_cosines(folder: Path, tmp_path: Path) -> None:
    fitted = plait.two_tower(f"hf:{folder}", output=tmp_path / "m")
    for i in range(4):
        (tmp_path / "p").mkdir(exist_ok=True)
        (tmp_path / "p" / f"{i}.png").write_bytes(noise_png(i, 32))
    index, report = plait.build_index(tmp_path / "m", tmp_path / "p", tmp_path / "i")
    assert report.embedded == 4 and index.manifest.plain_dim == index.manifest.dim == fitted.dim
    images, _ = fitted.embed([{"image": noise_png(i, 32)} for i in range(4)], "image")
    texts, _ = fitted.embed([{"caption": TEXTS[0]}], "caption")
    wanted = images @ texts[0]
    hits = index.search(TEXTS[0])
    assert [hit.id for hit in hits] == [f"{i}.png" for i in np.argsort(-wanted)]
    np.testing.assert_allclose([hit.score for hit in hits], np.sort(wanted)[::-1], atol=1e-5)
    assert index.query(TEXTS[0]).measure == "cosine"
    assert index.search(image=tmp_path / "p" / "2.png", k=1)[0].id == "2.png"


def test_only_the_side_that_is_asked_for_is_kept(folder: Path) -> None:
    text, _ = load_encoder(f"two-tower:{folder}", "text")
    assert not any("vision_model" in name or "visual" in name for name, _ in text.named_parameters())
    image, _ = load_encoder(f"two-tower:{folder}", "image")
    assert not any("text_model" in name or "text_projection" in name for name, _ in image.named_parameters())
    assert text.vector_dim == image.vector_dim


def test_padding_of_the_batch_changes_nothing(folder: Path) -> None:
    fitted = plait.two_tower(f"hf:{folder}")
    alone, _ = fitted.embed([{"caption": "blue dog"}], "caption")
    np.testing.assert_allclose(fitted.embed(rows(), "caption")[0][1], alone[0], atol=1e-6)


def test_what_is_no_two_tower_model_is_refused(tmp_path: Path) -> None:
    with quiet_transformers():
        hf.BertModel(hf.BertConfig(**TEXT)).save_pretrained(tmp_path / "bert")
    with pytest.raises(ValueError, match="no CLIP-like two-tower model"):
        plait.two_tower(f"hf:{tmp_path / 'bert'}")
    with pytest.raises(ValueError, match="is named hf:ID or hf:FOLDER"):
        plait.two_tower("minilm")
    with pytest.raises(ValueError, match="name two columns"):
        plait.two_tower("hf:x", image="a", text="a")
