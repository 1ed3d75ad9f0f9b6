"""Attention relevance: the equations by hand and on a tiny BERT, planted words, patches, and who is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import plait
from fixtures.lazy import lazy
from fixtures.planted_parts import FILLERS, words
from fixtures.settings import QUICK
from plait.explain.inputs.relevance import relevance, relevance_of_tokens
from plait.weights.quiet import quiet_transformers

hf = lazy("transformers")
attention_kept = lazy("plait.explain.inputs.attention", "attention_kept")
FEW: dict[str, Any] = {"permutations": 0, "emap_evaluations": 0}
SIGNS = ["awful", "gloomy", "lovely", "bright"]
SIZES = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
CASES = 20


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A BERT of two layers that knows the planted words, not trained, as a reference."""
    place = tmp_path_factory.mktemp("bert")
    known = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *SIGNS, *sorted(set(FILLERS))]
    (place / "vocab.txt").write_text("\n".join(known))
    hf.BertTokenizerFast(vocab=str(place / "vocab.txt")).save_pretrained(place)
    torch.manual_seed(0)
    with quiet_transformers():
        hf.BertModel(hf.BertConfig(vocab_size=len(known), **SIZES)).save_pretrained(place)
    return f"hf:{place}"


@pytest.fixture(scope="module")
def reader(bert: str) -> tuple[plait.Plait, dict[str, list[Any]], Any]:
    """A network whose BERT was trained on texts in which one word decides, the table, and which word it is."""
    planted = words(240 + 40 + 2 * CASES)
    count = len(planted.table["label"])
    table = {**planted.table, "split": ["train"] * 240 + ["val"] * 40 + ["test"] * (count - 280)}
    fitted = plait.fit(
        table, "label", split="split", text="text", preset="single", epochs=12,
        set=["encoders.tuning=full", f"encoders.text={bert}", "train.encoder_learning_rate=0.001",
             "train.learning_rate=0.001", "train.baselines=false", "train.threads=1", "train.min_steps=0"],
    )  # fmt: skip
    return fitted, table, planted


def test_two_layers_by_hand() -> None:
    first = torch.tensor([[[0.5, 0.5], [0.25, 0.75]], [[1.0, 0.0], [0.5, 0.5]]])
    slope = torch.tensor([[[2.0, -4.0], [4.0, 0.0]], [[1.0, 9.0], [-2.0, 2.0]]])
    # mean over heads of max(0, slope * attention): [[(1 + 1) / 2, 0], [(1 + 0) / 2, (0 + 1) / 2]]
    one = torch.tensor([[1.0, 0.0], [0.5, 0.5]])
    found = relevance([first], [slope])
    assert torch.equal(found, (torch.eye(2) + one).double())
    second, steep = torch.tensor([[[0.0, 1.0], [1.0, 0.0]]]), torch.tensor([[[5.0, 3.0], [1.0, 5.0]]])
    # R = I + A1, then R + A2 R with A2 = [[0, 3], [1, 0]]
    expected = torch.tensor([[2.0 + 3 * 0.5, 0.0 + 3 * 1.5], [0.5 + 2.0, 1.5 + 0.0]]).double()
    found = relevance([first, second], [slope, steep])
    assert torch.equal(found, expected)
    assert relevance_of_tokens(found, torch.tensor([1.0, 0.0])).tolist() == [2.5, 4.5]
    assert relevance_of_tokens(found, torch.tensor([0.5, 0.5])).tolist() == [2.5, 2.5]


def by_equations(network: Any, tensors: dict[str, Any], score_of: Any) -> np.ndarray:
    """R - I of the equations [T, T], from what transformers itself gives out; ``score_of`` takes its output."""
    before = network.config._attn_implementation
    network.set_attn_implementation("eager")
    tensors = {k: v.requires_grad_(True) if v.is_floating_point() else v for k, v in tensors.items()}
    output = network(**tensors, output_attentions=True)
    slopes = torch.autograd.grad(score_of(output), output.attentions)
    network.set_attn_implementation(before)
    together = np.eye(output.attentions[0].shape[-1])
    for maps, slope in zip(output.attentions, slopes, strict=True):
        together = together + np.maximum((maps * slope)[0].detach().numpy(), 0).mean(axis=0) @ together
    return together - np.eye(len(together))


def log_odds(fitted: Any, inputs: dict[str, Any], answer: str) -> torch.Tensor:
    present = torch.ones(1, len(inputs), dtype=torch.bool)
    logits = fitted.model.eval().answer(fitted.model.encode(inputs), present)[0]
    p = torch.softmax(logits, 0)[fitted.labels.classes.index(answer)]
    return torch.log(p / (1 - p))


def test_a_tiny_bert_gives_what_the_equations_say(reader: tuple[Any, Any, Any]) -> None:
    """The same numbers from transformers itself: output_attentions, gradients, numpy."""
    fitted, table, _ = reader
    found = fitted.explain(table, rows=[285], inputs={"method": "attention"}, **FEW)["inputs"]["rows"][0]
    tensors = fitted.inputs.processors["text"].process([table["text"][285]])
    real = tensors["attention_mask"].bool()

    def score(output: Any) -> torch.Tensor:
        vector = (output.last_hidden_state * real[..., None]).sum(1) / real.sum(1, keepdim=True)
        return log_odds(fitted, {"text": {"vector_BD": vector}}, found["prediction"])

    by_token = by_equations(fitted.model.encoder_of(0).model, tensors, score).mean(axis=0)
    parts = found["modalities"][0]["parts"]
    assert [p["text"] for p in parts] == table["text"][285].split()  # a word is a piece here
    # the log odds of a sure answer leave float32 three digits
    np.testing.assert_allclose([p["value"] for p in parts], by_token[1:-1], rtol=5e-3, atol=1e-7)


def test_the_word_that_decides_is_first_in_most_cases(reader: tuple[Any, Any, Any]) -> None:
    fitted, table, planted = reader
    rows = [i for i in range(280, len(table["label"])) if table["label"][i] != "c2"][:CASES]
    found = fitted.explain(table, rows=rows, inputs={"method": "attention", "orders": 2}, **FEW)["inputs"]
    hits = right = 0
    for row in found["rows"]:
        side = row["modalities"][0]
        assert side["method"] == "attention" and all(p["value"] >= 0 for p in side["parts"])
        assert side["checks"]["completeness"]["passes"] is None and "no share" in side["checks"]["completeness"]["why"]
        assert side["checks"]["curves"]["passes"] is not None and side["checks"]["new_heads"]["heads"] == 3
        hits += planted.is_it(row["row"], max(side["parts"], key=lambda p: p["value"]))
        right += row["truth"] == row["prediction"]
    assert len(rows) == CASES and right >= 0.9 * CASES
    assert hits >= 0.9 * CASES, hits


def test_the_encoder_is_left_as_it_was(reader: tuple[Any, Any, Any]) -> None:
    fitted, table, _ = reader
    encoder = fitted.model.encoder_of(0)
    before = fitted.predict_proba(table)
    with pytest.raises(RuntimeError, match="stop"), attention_kept(encoder):
        assert encoder.model.config._attn_implementation == "eager"
        raise RuntimeError("stop")
    assert encoder.model.config._attn_implementation == "sdpa" and not encoder.model.config.output_attentions
    np.testing.assert_array_equal(fitted.predict_proba(table), before)


def test_patches_of_a_frozen_vision_transformer_meet_their_regions(tmp_path: Path) -> None:
    from PIL import Image

    from fixtures.media import encoded

    with quiet_transformers():
        torch.manual_seed(0)
        hf.ViTModel(hf.ViTConfig(**SIZES, image_size=32, patch_size=8)).save_pretrained(tmp_path / "vit")
        hf.ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(tmp_path / "vit")
    rng = np.random.default_rng(0)
    pictures = [encoded(Image.fromarray(rng.integers(0, 255, (64, 64, 3)).astype(np.uint8))) for _ in range(24)]
    table = {
        "photo": pictures, "text": ["a b", "c d"] * 12, "label": ["x", "y"] * 12,
        "split": ["train"] * 12 + ["val"] * 6 + ["test"] * 6,
    }  # fmt: skip
    fitted = plait.fit(
        table, "label", split="split", text="text", image="photo", preset="single", epochs=2, fusion="self_attention",
        set=[*QUICK, f"encoders.image=hf:{tmp_path / 'vit'}"],
    )  # fmt: skip
    assert "photo" in fitted.inputs.frozen
    page = tmp_path / "why.html"
    found = fitted.explain(table, rows=1, inputs={"method": "attention", "grid": 4}, report=page, **FEW)
    photo, text = (
        next(m for m in found["inputs"]["rows"][0]["modalities"] if m["name"] == n) for n in ("photo", "text")
    )
    vit, from_text = fitted.inputs.frozen["photo"].model, fitted.model.encoder_of(1)
    assert fitted.model.config.modality_names == ["photo", "text"]
    words_given = fitted.inputs.processors["text"].process([table["text"][18]])
    with torch.no_grad():
        text_vector = from_text.eval()(**words_given).vector_BD

    def score(output: Any) -> torch.Tensor:
        inputs = {"text": {"vector_BD": text_vector}, "photo": {"vector_BD": output.last_hidden_state[:, 0]}}
        return log_odds(fitted, inputs, found["inputs"]["rows"][0]["prediction"])

    by_token = by_equations(vit, fitted.inputs.processors["photo"].process([pictures[18]]), score)[0]
    # four by four patches under a grid of four by four, behind the class token that is read
    np.testing.assert_allclose([p["value"] for p in photo["parts"]], by_token[1:], rtol=1e-3, atol=1e-9)
    assert min(p["value"] for p in photo["parts"]) >= 0 < max(p["value"] for p in photo["parts"])
    assert "scratch:text gives no attention weights" in text["skipped"] and text["skipped"].endswith("try occlusion")
    written = page.read_text("utf-8")
    assert "relevance is no share of the score" in written and "Attention relevance" in written


def test_attention_of_a_question_for_each_written_word(bert: str) -> None:
    from fixtures.planted_writing import TINY, asked_pictures

    table = asked_pictures("question", 36)
    table["question"] = [f"{FILLERS[i % 5]} lovely {FILLERS[i % 3]}" for i in range(36)]
    sets = [s for s in TINY if not s.startswith("encoders.text")]
    fitted = plait.fit(
        table, "answer", task="vqa", split="split", text="question", image="image", fusion="prefix", epochs=1,
        set=[*sets, f"encoders.text={bert}"],
    )  # fmt: skip
    found = fitted.explain(table, rows=1, inputs={"method": "attention", "orders": 1}, **FEW)["inputs"]["rows"][0]
    side = next(m for m in found["modalities"] if m["name"] == "question")
    assert side["read"] == "read from the mean of its tokens" and len(side["parts"]) == 3
    for part in side["parts"]:
        assert part["value"] >= 0 and len(part["words"]) == len(found["written"]) and min(part["words"]) >= 0
    assert max(p["value"] for p in side["parts"]) > 0
    assert side["full"] == pytest.approx(found["score"], abs=1e-3)


def test_who_has_no_attention_is_told_what_to_type(posts: Path, posts_model: Path) -> None:
    model = plait.load(posts_model)
    network = plait.Plait(**{**vars(model), "ensemble": None})
    said = r"needs an encoder that gives attention weights .*scratch:image.*no transformer.*method='occlusion' \(any"
    with pytest.raises(ValueError, match=said + r" encoder\) or method='gradients'"):
        network.explain(posts, rows=1, inputs={"method": "attention"}, **FEW)
    ensemble = plait.Plait(**{**vars(model), "ensemble": model.model})
    with pytest.raises(ValueError, match="method='attention' needs one network.*preset='single'"):
        ensemble.explain(posts, rows=1, inputs={"method": "attention"}, **FEW)
