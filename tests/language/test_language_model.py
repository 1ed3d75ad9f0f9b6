"""Causal language models: GGUF becomes an ordinary folder once, and the folder computes the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from plait.weights import RECORDS, load_language_model, locate
from plait.weights.converters.from_gguf import gguf_to_folder

WIDTH, INNER, HEADS, KV_HEADS, LAYERS = 64, 96, 4, 2, 2
TEMPLATE = "{% for message in messages %}{{ message['content'] }}{% endfor %}"


def write_gguf(path: Path) -> None:
    """A Llama of two layers with 4-bit weights and a byte-level tokenizer of 259 tokens."""
    gguf = pytest.importorskip("gguf", reason="extra lm")
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(128)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    from tokenizers.pre_tokenizers import ByteLevel

    tokens = ["<end>", "<go>", *sorted(ByteLevel.alphabet()), "he"]
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([3, 3] + [1] * (len(tokens) - 2))
    writer.add_token_merges(["h e"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(0)
    writer.add_pad_token_id(0)
    writer.add_chat_template(TEMPLATE)
    random = np.random.default_rng(0)
    quantized = gguf.GGMLQuantizationType.Q4_1

    def add(name: str, *shape: int) -> None:
        values = random.normal(0, 0.3, shape).astype(np.float32)
        if len(shape) == 1:
            writer.add_tensor(name, np.abs(values) + 0.5)
        else:
            writer.add_tensor(name, gguf.quants.quantize(values, quantized), raw_dtype=quantized)

    add("token_embd.weight", len(tokens), WIDTH)
    add("output_norm.weight", WIDTH)
    kv_width = WIDTH // HEADS * KV_HEADS
    for i in range(LAYERS):
        for name, shape in {
            "attn_norm": (WIDTH,), "ffn_norm": (WIDTH,), "attn_q": (WIDTH, WIDTH), "attn_k": (kv_width, WIDTH),
            "attn_v": (kv_width, WIDTH), "attn_output": (WIDTH, WIDTH), "ffn_gate": (INNER, WIDTH),
            "ffn_up": (INNER, WIDTH), "ffn_down": (WIDTH, INNER),
        }.items():  # fmt: skip
            add(f"blk.{i}.{name}.weight", *shape)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The GGUF file and the folder it became."""
    folder = tmp_path_factory.mktemp("gguf")
    write_gguf(folder / "tiny.gguf")
    out = folder / "out"
    out.mkdir()
    gguf_to_folder(folder / "tiny.gguf", out)
    return folder / "tiny.gguf", out


@pytest.mark.oracle
def test_the_folder_computes_what_the_gguf_file_computes(tiny: tuple[Path, Path]) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    path, folder = tiny
    where: dict[str, Any] = {"gguf_file": path.name, "local_files_only": True}
    direct = AutoModelForCausalLM.from_pretrained(str(path.parent), dtype="float32", **where).eval()
    direct_tokenizer = AutoTokenizer.from_pretrained(str(path.parent), **where)
    model, tokenizer = load_language_model(f"hf:{folder}")
    text = "hello 12\n<end>世界"
    ids = tokenizer(text, return_tensors="pt")["input_ids"]
    assert ids[0].tolist() == direct_tokenizer(text)["input_ids"]
    with torch.no_grad():
        given, expected = model(input_ids=ids).logits, direct(input_ids=ids).logits
    assert torch.equal(given, expected) and expected.std() > 0.1
    assert tokenizer.decode(ids[0]) == text
    assert tokenizer.chat_template == TEMPLATE
    assert (tokenizer.pad_token_id, model.generation_config.eos_token_id) == (0, 0)


def test_the_folder_is_ordinary_and_can_be_trained(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    folder = tiny[1]
    config = json.loads((folder / "config.json").read_text())
    assert config["architectures"] == ["LlamaForCausalLM"] and "quantization_config" not in config
    assert str(tiny[0].parent) not in "".join(p.read_text() for p in folder.glob("*.json"))
    model, tokenizer = load_language_model(f"hf:{folder}")
    ids = tokenizer("hehehehe", return_tensors="pt")["input_ids"]
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses = []
    for _ in range(5):
        loss = model(input_ids=ids, labels=ids).loss
        losses.append(float(loss.detach()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < losses[0] - 0.5, losses
    model.save_pretrained(tmp_path / "tuned")
    tokenizer.save_pretrained(tmp_path / "tuned")
    again, _ = load_language_model(f"hf:{tmp_path / 'tuned'}")
    with torch.no_grad():
        assert torch.equal(again(input_ids=ids).logits, model.eval()(input_ids=ids).logits)


def test_what_is_no_language_model_is_refused(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    for reference in ("minilm", "smollm", "timm:resnet18"):
        with pytest.raises(ValueError, match="not a language model; expected one of smollm2-135m, or hf:"):
            load_language_model(reference)
    with pytest.raises(ValueError, match="expected one of float32"):
        load_language_model(f"hf:{tiny[1]}", dtype="int8")
    from transformers import ResNetConfig, ResNetModel

    ResNetModel(ResNetConfig(embedding_size=8, hidden_sizes=[8], depths=[1])).save_pretrained(tmp_path / "vision")
    with pytest.raises(ValueError, match="no language model could be loaded"):
        load_language_model(f"hf:{tmp_path / 'vision'}")


def test_without_the_package_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"needs the package gguf.*pip install 'plait\[lm\]'"):
        gguf_to_folder(tmp_path / "x.gguf", tmp_path)


@pytest.mark.real
def test_smollm_answers_english() -> None:
    try:
        folder = locate("smollm2-135m")
    except ValueError as error:
        pytest.skip(str(error))
    # The hash of what transformers' own reader of the GGUF file gives, tensor by tensor in float32.
    receipt = json.loads((folder / "plait-source.json").read_text())
    assert receipt["files"]["model.safetensors"].startswith("dd7fdc71150b856c")
    assert RECORDS.get("smollm2-135m").kind == "language"
    model, tokenizer = load_language_model("smollm2-135m")
    chat = [{"role": "user", "content": "What is the capital of France?"}]
    ids = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    answer = model.generate(**ids, max_new_tokens=12, do_sample=False)[0, ids["input_ids"].shape[1] :]
    assert tokenizer.decode(answer, skip_special_tokens=True) == "The capital of France is Paris."
