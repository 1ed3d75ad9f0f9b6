"""Whisper out of CTranslate2's format: every number of the file is kept, and the network hears the same."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from plait.weights import locate
from plait.weights.converters.ctranslate2_file import read_ctranslate2
from plait.weights.converters.from_ctranslate2 import whisper_to_folder

NAME = "whisper-tiny-en"
TOKENS = ["<|endoftext|>", "<|startoftranscript|>", "<|notimestamps|>", "<|startofprev|>"]


def tiny_whisper() -> torch.nn.Module:
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    torch.manual_seed(0)
    config = WhisperConfig(
        vocab_size=60, num_mel_bins=8, d_model=32, encoder_layers=2, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=48, decoder_ffn_dim=40, max_source_positions=50,
        max_target_positions=20, pad_token_id=0, bos_token_id=0, eos_token_id=0, decoder_start_token_id=1,
        suppress_tokens=None, begin_suppress_tokens=None,
    )  # fmt: skip
    model = WhisperForConditionalGeneration(config).eval()
    for parameter in model.parameters():  # biases and norms too, so that one in the wrong place is seen
        parameter.data += 0.1 * torch.randn_like(parameter)
    return model


def write_model(model: torch.nn.Module, folder: Path, quantization: str | None) -> Path:
    """``model.bin`` as CTranslate2's own converter writes it, and the files beside it."""
    pytest.importorskip("ctranslate2", reason="extra dev")
    from ctranslate2.converters.transformers import WhisperLoader

    folder.mkdir()
    spec = WhisperLoader().get_model_spec(model)
    spec.register_vocabulary([f"t{i}" for i in range(60)])
    spec.validate()
    spec.optimize(quantization=quantization)
    spec.save(str(folder))
    beside = {"suppress_ids": [5], "suppress_ids_begin": [6], "alignment_heads": [[0, 0]], "lang_ids": []}
    (folder / "config.json").write_text(json.dumps(beside))
    added = [{"id": i, "content": content} for i, content in enumerate(TOKENS)]
    (folder / "tokenizer.json").write_text(json.dumps({"added_tokens": added}))
    return folder / "model.bin"


def converted(path: Path, out: Path) -> torch.nn.Module:
    from transformers import WhisperForConditionalGeneration

    out.mkdir()
    whisper_to_folder(path, out)
    return WhisperForConditionalGeneration.from_pretrained(out, local_files_only=True).eval()


@pytest.mark.oracle
@pytest.mark.parametrize("quantization", [None, "float16", "bfloat16", "int8", "int16"])
def test_the_network_equals_the_one_ctranslate2_was_given(quantization: str | None, tmp_path: Path) -> None:
    """Bit-equal where the file keeps all bits, else within the file's own rounding; and it hears the same."""
    import ctranslate2

    given = tiny_whisper()
    expected = {name: tensor.clone() for name, tensor in given.state_dict().items()}  # its quantisation works in place
    path = write_model(given, tmp_path / "ct2", quantization)
    model = converted(path, tmp_path / "out")
    found = model.state_dict()
    assert expected.keys() == found.keys() and model.config.vocab_size == 60
    half_step = 0.5 * max(float(tensor.abs().max()) for tensor in expected.values())  # rows are scaled by their largest
    steps = {"int8": 127, "int16": 1024}
    for name, tensor in expected.items():
        if quantization in steps and tensor.ndim == 2 and "positions" not in name:
            assert (found[name] - tensor).abs().max() <= 1.01 * half_step / steps[quantization], name
        elif quantization not in steps:
            rounded = tensor if quantization is None else tensor.to(getattr(torch, quantization)).float()
            assert torch.equal(found[name], rounded), name
    features = np.random.default_rng(0).normal(0, 1, (1, 8, 100)).astype(np.float32)
    oracle = ctranslate2.models.Whisper(str(path.parent), compute_type="float32", intra_threads=1)
    heard = np.array(oracle.encode(ctranslate2.StorageView.from_array(features)))
    with torch.inference_mode():
        own = model.model.encoder(torch.from_numpy(features)).last_hidden_state.numpy()
    assert heard.shape == own.shape == (1, 50, 32) and heard.std() > 0.3
    assert np.abs(own - heard).max() < 1e-4


def test_a_file_by_hand(tmp_path: Path) -> None:
    """Two rows of int8 with one scale each, a float16 pair, an alias: 64 / 32 = 2, -3 / 4 = -0.75."""

    def text(value: str) -> bytes:
        return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"

    body = struct.pack("<I", 6) + text("Toy") + struct.pack("<II", 1, 3)
    body += text("w") + struct.pack("<BIIBI", 2, 2, 1, 1, 2) + struct.pack("<2b", 64, -3)
    body += text("w_scale") + struct.pack("<BIBI", 1, 2, 0, 8) + struct.pack("<2f", 32, 4)
    body += text("h") + struct.pack("<BIBI", 1, 2, 4, 4) + np.array([0.5, -2], "<f2").tobytes()
    body += struct.pack("<I", 1) + text("again") + text("h")
    path = tmp_path / "model.bin"
    path.write_bytes(body)
    model = read_ctranslate2(path)
    assert (model.kind, model.revision, sorted(model.arrays)) == ("Toy", 1, ["again", "h", "w"])
    assert model.arrays["w"].tolist() == [[2.0], [-0.75]] and model.arrays["again"].tolist() == [0.5, -2.0]
    for length in range(len(body)):  # cut anywhere: refused in words
        path.write_bytes(body[:length])
        with pytest.raises(ValueError, match=r"model\.bin"):
            read_ctranslate2(path)
    path.write_bytes(body + b"x")
    with pytest.raises(ValueError, match="1 bytes are left over"):
        read_ctranslate2(path)
    refused = 0
    for place in range(len(body)):
        for value in (0, 1, 127, 255):
            path.write_bytes(body[:place] + bytes([value]) + body[place + 1 :])
            try:
                read_ctranslate2(path)
            except ValueError:
                refused += 1
    assert len(body) < refused < 4 * len(body)


def test_what_is_no_whole_whisper_is_refused(tmp_path: Path) -> None:
    path = write_model(tiny_whisper(), tmp_path / "ct2", None)
    whole = path.read_bytes()
    (tmp_path / "out").mkdir()
    changes = {
        "expected a WhisperSpec": (b"WhisperSpec", b"WhisperSpam"),
        "does not hold a whole Whisper": (b"encoder/conv1/bias", b"encoder/conv9/bias"),
        "another make": (b"decoder/activation\0\0\x01\x01\0\0\0\x03", b"decoder/activation\0\0\x01\x01\0\0\0\x00"),
    }
    for message, (old, new) in changes.items():
        assert old in whole
        path.write_bytes(whole.replace(old, new))
        with pytest.raises(ValueError, match=message):
            whisper_to_folder(path, tmp_path / "out")
    (path.parent / "tokenizer.json").unlink()
    with pytest.raises(ValueError, match=r"there should lie tokenizer\.json"):
        whisper_to_folder(path, tmp_path / "out")


@pytest.fixture(scope="module")
def fetched() -> Path:
    try:
        return locate(NAME)
    except ValueError as error:
        pytest.skip(str(error))


@pytest.mark.real
@pytest.mark.oracle
def test_the_real_network_hears_what_ctranslate2_hears(fetched: Path) -> None:
    """Two seconds of a rising tone. The numbers are those of ctranslate2 4.8.5 on the published model.bin."""
    from transformers import WhisperFeatureExtractor, WhisperModel

    seconds = np.arange(32_000) / 16_000
    tone = (0.3 * np.sin(2 * np.pi * (300 + 200 * seconds) * seconds)).astype(np.float32)
    extractor = WhisperFeatureExtractor.from_pretrained(fetched, local_files_only=True)
    features = extractor(tone, sampling_rate=16_000, return_tensors="pt").input_features
    model, report = WhisperModel.from_pretrained(fetched, local_files_only=True, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"] and model.dtype == torch.float32
    with torch.inference_mode():
        heard = model.eval().encoder(features).last_hidden_state[0]
    expected = [
        [-0.2181, -0.1234, 0.7130, -0.7872],
        [0.5023, 0.3914, -0.1962, 0.4830],
        [-1.3701, 0.3086, -0.6389, -1.0306],
        [-0.1395, -0.0520, -3.2611, -0.5819],
    ]
    assert heard.shape == (1500, 384)
    assert torch.allclose(heard[[0, 50, 99, 700], :4], torch.tensor(expected), atol=1e-3)
    assert float(heard.std(unbiased=False)) == pytest.approx(1.09417, abs=1e-3)
