"""OpenVINO answers as PyTorch does, whatever the number and length of items, or it is refused with the reason."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_architectures import ARCHITECTURES

from fixtures.media import noise_png
from plait.encoders import Encoder, engine, image, load_encoder
from plait.weights.quiet import quiet_transformers

pytest.importorskip("openvino", reason="extra openvino")
pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning:transformers.*"), pytest.mark.usefixtures("fresh_engine"),
]  # fmt: skip

TEXT_FAMILIES = ["bert", "roberta", "distilbert", "modernbert", "electra", "albert", "deberta", "mpnet", "gpt2", "t5"]
WORDS = "two brown dogs run over the green grass a man in blue".split()


def tiny(name: str, kind: str, folder: Path) -> tuple[Encoder, Any]:
    with quiet_transformers():
        return load_encoder(f"hf:{ARCHITECTURES[name].save(folder)}", kind, max_length=24)


def texts(count: int) -> list[str]:
    return [" ".join(WORDS[: 1 + (7 * i) % 10]) for i in range(count)]


def off(encoder: Encoder, inputs: dict[str, torch.Tensor], forward: Any, with_tokens: bool) -> float:
    """The largest difference, over the length of the vector, or of all real tokens of an item."""
    with torch.inference_mode():
        wanted, got = encoder(**inputs), forward(inputs)
    found = (got.vector_BD - wanted.vector_BD).norm(dim=1) / wanted.vector_BD.norm(dim=1)
    if with_tokens:
        assert torch.equal(got.mask_BT, wanted.mask_BT)
        rest = (got.tokens_BTD - wanted.tokens_BTD)[wanted.mask_BT]
        return max(float(found.max()), float(rest.norm() / wanted.tokens_BTD[wanted.mask_BT].norm()))
    return float(found.max())


@pytest.mark.parametrize("name", TEXT_FAMILIES)
def test_texts_of_all_lengths(name: str, tmp_path: Path) -> None:
    encoder, processor = tiny(name, "text", tmp_path)
    for with_tokens in (False, True):
        forward = engine.OpenVinoForward(encoder, with_tokens)
        for count in (3, 1, 32):
            assert off(encoder, processor.process(texts(count)), forward, with_tokens) < 1e-5
        for length in range(1, 11):
            assert off(encoder, processor.process([" ".join(WORDS[:length])]), forward, with_tokens) < 1e-5
        assert len(engine.compiled_networks) == 1 + with_tokens  # one network for every number and length


@pytest.mark.parametrize("name", ["vit", "resnet", "convnext", "swin", "dinov2"])
def test_pictures(name: str, tmp_path: Path) -> None:
    encoder, processor = tiny(name, "image", tmp_path)
    forward = engine.OpenVinoForward(encoder, True)
    for count in (1, 3, 32):
        inputs = processor.process([noise_png(seed) for seed in range(count)])
        assert off(encoder, inputs, forward, True) < 1e-5


def named(name: str, resizes: bool = False) -> Encoder:
    torch.manual_seed(0)
    kind, _, network = name.partition(":")
    described = {"type": kind, "reference": name, "name": network}
    if kind == "timm":
        return image.TimmEncoder({**described, "resizes": resizes}).eval()
    return image.TorchvisionEncoder(described).eval()


@pytest.mark.parametrize("name", ["timm:resnet18", "torchvision:mobilenet_v3_small"])
def test_pictures_of_two_sizes_and_with_crops(name: str) -> None:
    encoder = named(name)
    forward = engine.OpenVinoForward(encoder, False)
    for shape in ((2, 3, 64, 64), (5, 3, 96, 96), (3, 2, 3, 64, 64)):
        assert off(encoder, {"pixel_values": torch.randn(shape)}, forward, False) < 1e-5
    assert len(engine.compiled_networks) == 3


def test_a_transformer_at_its_own_size_and_refused_where_its_positions_are_resized() -> None:
    """OpenVINO spreads positions over another grid a little otherwise: 2e-4 of a vector's length."""
    encoder = named("timm:vit_tiny_patch16_224")
    pictures = {"pixel_values": torch.randn(2, 3, 224, 224)}
    assert off(encoder, pictures, engine.OpenVinoForward(encoder, True), True) < 1e-5
    encoder = named("timm:vit_tiny_patch16_224", resizes=True)
    with pytest.raises(engine.EngineError, match="1e-04 is allowed"):
        engine.OpenVinoForward(encoder, False)({"pixel_values": torch.randn(2, 3, 64, 64)})


def test_the_same_twice_and_after_the_encoder_is_gone(tmp_path: Path) -> None:
    encoder, processor = tiny("bert", "text", tmp_path)
    inputs = processor.process(texts(9))
    forward = engine.OpenVinoForward(encoder, False)
    with torch.inference_mode():
        first, wanted = forward(inputs).vector_BD, encoder(**inputs).vector_BD
        assert torch.equal(first, forward(inputs).vector_BD)
        compiled = next(iter(engine.compiled_networks.values()))
        del encoder, forward
        gc.collect()
        torch.full((500_000,), 7.0)  # what is free is written over
        again = torch.from_numpy(compiled([value.numpy() for value in inputs.values()])[0])
    assert torch.equal(first, again) and torch.allclose(again, wanted, atol=1e-5)


def test_threads_of_pytorch_are_those_of_openvino(tmp_path: Path) -> None:
    encoder, processor = tiny("bert", "text", tmp_path)
    inputs, before = processor.process(texts(3)), torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            engine.OpenVinoForward(encoder, False)(inputs)
            compiled = next(reversed(engine.compiled_networks.values()))
            assert compiled.get_property("INFERENCE_NUM_THREADS") == threads
            assert compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name() == "f32"
    finally:
        torch.set_num_threads(before)
    assert len(engine.compiled_networks) == 2


def test_changed_weights_are_compiled_anew(tmp_path: Path) -> None:
    encoder, processor = tiny("bert", "text", tmp_path)
    inputs = processor.process(texts(3))
    assert off(encoder, inputs, engine.OpenVinoForward(encoder, False), False) < 1e-5
    with torch.no_grad():
        encoder.model.embeddings.word_embeddings.weight.mul_(3)
    assert off(encoder, inputs, engine.OpenVinoForward(encoder, False), False) < 1e-5
    assert len(engine.compiled_networks) == 2


def test_another_answer_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, processor = tiny("bert", "text", tmp_path)
    inputs, infer = processor.process(texts(3)), engine._infer

    def astray(*given: Any) -> Any:
        answer = infer(*given)
        answer.vector_BD = answer.vector_BD * 1.001
        return answer

    monkeypatch.setattr("plait.encoders.engine._infer", astray)
    with pytest.raises(engine.EngineError, match=r"made-up batch of 1: vectors differ by 1\.0e-03 of their length"):
        engine.OpenVinoForward(encoder, False)(inputs)
    assert "differ" in engine.refusal(encoder, False) and engine.refusal(encoder, True) is None


def test_a_later_batch_that_fails_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, processor = tiny("bert", "text", tmp_path)
    forward = engine.OpenVinoForward(encoder, False)
    forward(processor.process(texts(3)))

    def fails(*_: Any) -> Any:
        raise RuntimeError("Exception from src/inference\nno memory for this shape")

    monkeypatch.setattr("plait.encoders.engine._infer", fails)
    with pytest.raises(engine.EngineError, match="^a batch could not be encoded: no memory for this shape$"):
        forward(processor.process(texts(5)))
    assert "no memory" in engine.refusal(encoder, False)


class Branching(torch.nn.Module):
    """Goes another way for long texts, which a trace cannot."""

    fingerprint, reference, vector_dim = "branching", "branching", 2

    def __init__(self) -> None:
        super().__init__()
        self.model = torch.nn.Linear(2, 2)

    def forward(self, values: torch.Tensor) -> Any:
        from plait.encoders.base import Encoded

        sign = -1.0 if values.sum() > 0 else 1.0
        return Encoded(self.model(torch.stack([values.mean(1), values.std(1)], 1)) * sign, None, None)


def test_a_branch_on_values_is_caught_and_no_tokens_is_said() -> None:
    torch.manual_seed(0)
    encoder = Branching().eval()
    values = torch.linspace(-1.0, 1.0, 40).reshape(4, 10) - 0.001
    with pytest.raises(engine.EngineError, match="differ by"):
        engine.OpenVinoForward(encoder, False)({"values": values})
    with pytest.raises(engine.EngineError, match="no tokens"):
        engine.OpenVinoForward(encoder, True)({"values": values})


def test_a_forked_process_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, processor = tiny("bert", "text", tmp_path)
    engine.OpenVinoForward(encoder, False)(processor.process(texts(3)))
    assert engine.refusal(encoder, False) is None
    parent = os.getpid()
    monkeypatch.setattr("plait.encoders.engine.os.getpid", lambda: parent + 1)
    assert "forked" in engine.refusal(encoder, False)


def test_what_may_be_chosen_unasked(tmp_path: Path) -> None:
    assert engine.is_proven(tiny("bert", "text", tmp_path / "a")[0])
    assert engine.is_proven(tiny("vit", "image", tmp_path / "b")[0])
    assert not engine.is_proven(tiny("gpt2", "text", tmp_path / "c")[0])
    assert not engine.is_proven(Branching())


@pytest.mark.real
@pytest.mark.parametrize(("name", "kind"), [("minilm", "text"), ("efficientnet-lite0", "image")])
def test_real_weights(name: str, kind: str) -> None:
    try:
        encoder, processor = load_encoder(name, kind)
    except ValueError as error:
        pytest.skip(f"real weights absent: {error}")
    items = ["A man is eating food.", "sky", *texts(5)] if kind == "text" else [noise_png(s) for s in range(5)]
    for with_tokens in (False, True):
        forward = engine.OpenVinoForward(encoder, with_tokens)
        for count in (1, 3, len(items)):
            assert off(encoder, processor.process(items[:count]), forward, with_tokens) < 1e-5


def test_made_up_batches_are_the_same_each_time() -> None:
    ids = torch.arange(12).reshape(2, 6)
    real = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "values": torch.randn(2, 6, 3)}
    first, again = list(engine.made_up(real)), list(engine.made_up(real))
    assert [list(one["input_ids"].shape) for _, one in first] == [[1, 6], [3, 6], [3, 3]]
    assert first[2][1]["attention_mask"].sum(1).tolist() == [1, 2, 3]
    for (_, one), (_, other) in zip(first, again, strict=True):
        assert all(np.array_equal(one[name], other[name]) for name in real)
