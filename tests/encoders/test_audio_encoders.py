"""Sound encoders: padding changes nothing, a rebuild is bit-equal, SpecAugment hides and only in training.

And the small encoders of vectors and sets.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fixtures.lazy import lazy
from fixtures.media import sound
from plait.encoders import VectorEncoder, build_encoder, load_encoder
from plait.encoders.checkpoint import quiet_transformers
from plait.encoders.scratch_audio import spec_augment
from plait.encoders.sets import encode_sets, pool_set

hf = lazy("transformers")

pytest.importorskip("soundfile", reason="extra audio")
pytest.importorskip("soxr", reason="extra audio")

SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
CONV = {"conv_dim": (8, 8), "conv_stride": (5, 4), "conv_kernel": (10, 8), "num_feat_extract_layers": 2,
        "num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 2}  # fmt: skip


def _whisper() -> Any:
    return hf.WhisperModel(hf.WhisperConfig(
        vocab_size=20, d_model=16, encoder_layers=2, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, max_source_positions=50,
        max_target_positions=10, pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1,
    ))  # fmt: skip


def _clap() -> Any:
    audio = {"patch_embeds_hidden_size": 8, "hidden_size": 64, "depths": [1, 1, 1, 1],
             "num_attention_heads": [2, 2, 2, 2], "spec_size": 256, "num_mel_bins": 64, "enable_fusion": False,
             "projection_dim": 8}  # fmt: skip
    text = {**SMALL, "vocab_size": 20, "projection_dim": 8}
    return hf.ClapModel(hf.ClapConfig(audio_config=audio, text_config=text, projection_dim=8))


MODELS: dict[str, Any] = {
    "whisper": _whisper,
    "ast": lambda: hf.ASTModel(hf.ASTConfig(**SMALL, max_length=100, num_mel_bins=64)),
    "wav2vec2": lambda: hf.Wav2Vec2Model(hf.Wav2Vec2Config(**SMALL, **CONV)),
    "hubert": lambda: hf.HubertModel(hf.HubertConfig(**SMALL, **CONV)),
    "clap": _clap,
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = {}
    for name, make in MODELS.items():
        made[name] = tmp_path_factory.mktemp(name)
        torch.manual_seed(0)
        with quiet_transformers():
            make().save_pretrained(made[name])
    return made


def clip(num: int, seed: int) -> bytes:
    return sound(np.random.default_rng(seed).normal(0, 0.1, num).astype(np.float32))


CLIPS = [clip(12_000, 0), clip(4000, 1), clip(1, 2), clip(4000, 3)]
CASES = ["scratch", *MODELS]


@pytest.mark.parametrize("case", CASES)
def test_contract(case: str, folders: dict[str, Path], capfd: Any) -> None:
    torch.manual_seed(0)
    reference = "scratch:audio" if case == "scratch" else f"hf:{folders[case]}"
    encoder, processor = load_encoder(reference, "audio")
    assert not encoder.training and processor.kind == "audio"
    with torch.inference_mode():
        batch = encoder(**processor.process(CLIPS))
        alone = [encoder(**processor.process([one])) for one in CLIPS]
        nothing = encoder(**processor.process([CLIPS[0], None]))  # type: ignore[list-item]
    assert batch.vector_BD.shape == (4, encoder.vector_dim) and batch.tokens_BTD.shape[2] == encoder.token_dim
    for i, one in enumerate(alone):  # padding and neighbours do not matter
        assert torch.allclose(batch.vector_BD[i], one.vector_BD[0], atol=1e-5)
        real, own = batch.tokens_BTD[i][batch.mask_BT[i]], one.tokens_BTD[0][one.mask_BT[0]]
        assert len(own) >= 1 and torch.allclose(real, own, atol=1e-5)
    assert not torch.allclose(batch.vector_BD[1], batch.vector_BD[3])
    assert torch.isfinite(nothing.vector_BD).all() and not nothing.mask_BT[1].any()
    rebuilt = build_encoder(json.loads(json.dumps(encoder.config())))
    rebuilt.load_state_dict(encoder.state_dict())
    with torch.inference_mode():
        assert torch.equal(rebuilt(**processor.process(CLIPS)).vector_BD, batch.vector_BD)
    assert rebuilt.fingerprint == encoder.fingerprint and capfd.readouterr() == ("", "")


def test_a_named_record_of_kind_audio_is_a_folder_of_transformers(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from plait.weights import RECORDS, WeightRecord

    named = WeightRecord("tiny-whisper", "audio", "MIT", "Whisper", "0" * 64, "model.safetensors", 1, "w==1", "model")
    monkeypatch.setitem(RECORDS._records, "tiny-whisper", named)
    monkeypatch.setattr("plait.encoders.sources.locate", lambda name: folders["whisper"])
    encoder, _ = load_encoder("tiny-whisper", "audio")
    assert encoder.reference == "tiny-whisper" and encoder.vector_dim == 16
    with pytest.raises(ValueError, match="encodes audio, not text"):
        load_encoder("tiny-whisper", "text")


@pytest.mark.oracle
def test_whisper_hears_what_transformers_hears(folders: dict[str, Path]) -> None:
    encoder, _ = load_encoder(f"hf:{folders['whisper']}", "audio")
    samples = np.frombuffer(CLIPS[1][-16_000:], dtype=np.float32)
    extractor = hf.WhisperFeatureExtractor(chunk_length=1)
    theirs = extractor(samples, sampling_rate=16_000, return_tensors="pt")["input_features"]
    with quiet_transformers():
        whole = hf.WhisperModel.from_pretrained(folders["whisper"]).eval()
    _, processor = load_encoder(f"hf:{folders['whisper']}", "audio")
    with torch.inference_mode():
        expected = whole.encoder(theirs).last_hidden_state
        assert torch.allclose(encoder(**processor.process([CLIPS[1]])).tokens_BTD, expected, atol=1e-4)


@pytest.mark.oracle
def test_a_short_window_of_whisper_is_a_whisper_with_fewer_positions(folders: dict[str, Path]) -> None:
    encoder, processor = load_encoder(f"hf:{folders['whisper']}", "audio", audio_seconds=0.5)
    assert processor.pad_frames == 50 and processor.max_seconds == 0.5
    inputs = processor.process(CLIPS)
    assert inputs["values"].shape[1] == 50
    with quiet_transformers():
        whole = hf.WhisperModel.from_pretrained(folders["whisper"]).eval()
        config = copy.deepcopy(whole.config)
        config.max_source_positions = 25
        short = hf.WhisperModel(config).eval()
    weights = whole.state_dict()
    weights["encoder.embed_positions.weight"] = weights["encoder.embed_positions.weight"][:25]
    short.load_state_dict(weights)
    with torch.inference_mode():
        wanted = short.encoder(inputs["values"].transpose(1, 2)).last_hidden_state
        made = encoder(**inputs)
    assert torch.allclose(made.tokens_BTD, wanted, atol=1e-6)
    assert load_encoder(f"hf:{folders['whisper']}", "audio", audio_seconds=30)[1].pad_frames > 50


def test_whisper_vector_is_the_mean_of_what_was_said(folders: dict[str, Path]) -> None:
    encoder, processor = load_encoder(f"hf:{folders['whisper']}", "audio")
    with torch.inference_mode():
        out = encoder(**processor.process([CLIPS[1]]))
    assert int(out.mask_BT.sum()) == 13  # 4000 samples, 25 frames, every second one
    assert torch.allclose(out.vector_BD[0], out.tokens_BTD[0, :13].mean(0), atol=1e-6)


def test_spec_augment_hides_a_little_and_only_in_training() -> None:
    torch.manual_seed(0)
    values = torch.arange(2 * 100 * 80, dtype=torch.float32).view(2, 100, 80)
    mask_BT = torch.ones(2, 100, dtype=torch.bool)
    mask_BT[1, 50:] = False
    changed = torch.stack([spec_augment(values, mask_BT) != values for _ in range(200)])
    whole_bands = changed[:, 0].all(1).sum(1)
    assert whole_bands.max() <= 32 and 8 < whole_bands.float().mean() < 24  # two masks of 0 to 16 mels
    whole_spans = changed.all(3).sum(2)
    assert whole_spans[:, 0].max() <= 20 and whole_spans[:, 1].max() <= 10 and whole_spans[:, 0].float().mean() > 4
    hidden = spec_augment(values, mask_BT)[0]
    assert set(hidden[hidden != values[0]].tolist()) == {values[0].mean().item()}
    encoder, processor = load_encoder("scratch:audio", "audio")
    inputs = processor.process(CLIPS[:1])
    first = encoder(**inputs).vector_BD
    assert torch.equal(first, encoder(**inputs).vector_BD)
    encoder.train()
    assert not torch.equal(encoder(**inputs).vector_BD, encoder(**inputs).vector_BD)
    plain, _ = load_encoder("scratch:audio", "audio", spec_augment=False)
    plain.train()
    assert torch.equal(plain(**inputs).vector_BD, plain(**inputs).vector_BD)


@pytest.mark.parametrize(("reference", "kind", "message"), [
    ("scratch:audio", "text", "does not encode text"), ("timm:resnet18", "audio", "scratch:audio"),
])  # fmt: skip
def test_wrong_columns_are_told(reference: str, kind: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_encoder(reference, kind)


def test_a_text_model_is_no_audio_model(tmp_path: Path) -> None:
    with quiet_transformers():
        hf.BertModel(hf.BertConfig(**SMALL, vocab_size=9)).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="unknown kind of audio model 'bert'"):
        load_encoder(f"hf:{tmp_path}", "audio")


def test_vectors_are_standardised_by_hand() -> None:
    encoder = VectorEncoder(2)
    encoder.fit([np.float32([1, 7]), np.float32([[3, 7], [5, 7]])])
    assert encoder.mean_D.tolist() == [3, 7] and encoder.spread_D.tolist() == pytest.approx([(8 / 3) ** 0.5, 1])
    out = encoder(torch.tensor([[[3.0, 8.0], [5.0, 7.0]]]), torch.tensor([[True, False]]))
    assert out.tokens_BTD.tolist() == [[[0, 1, 0, -1, 1, -1], [0] * 6]] and out.vector_BD.tolist() == [
        [0, 1, 0, -1, 1, -1]
    ]
    rebuilt = build_encoder(encoder.config())
    rebuilt.load_state_dict(encoder.state_dict())
    assert torch.equal(rebuilt.spread_D, encoder.spread_D)


def test_narrow_vectors_survive_a_layer_norm() -> None:
    x = torch.tensor([[1.0, 2.0], [2.0, 4.0], [11.0, 12.0]])  # a plain layer norm makes these three the same
    out = VectorEncoder(2)(x[:, None], torch.ones(3, 1, dtype=torch.bool)).vector_BD
    normed = torch.nn.functional.layer_norm(out, (6,), eps=0)
    assert torch.allclose(normed[:, :2] / normed[:, 4:5], x, atol=1e-5)
    assert VectorEncoder(64).vector_dim == 64


def test_sets_by_hand() -> None:
    mask_BK = torch.tensor([[True, True], [True, False], [False, False]])
    vectors = torch.tensor([[[1.0], [3.0]], [[5.0], [9.0]], [[7.0], [7.0]]])
    assert pool_set(vectors, mask_BK).vector_BD.tolist() == [[2], [5], [0]]
    torch.manual_seed(0)
    encoder, _ = load_encoder("scratch:image", "image")
    pixels = torch.randn(3, 2, 3, 32, 32)
    out = encode_sets(encoder, mask_BK, pixel_values=pixels)
    one = encoder(pixel_values=pixels[1, :1]).vector_BD
    assert torch.allclose(out.vector_BD[1], one[0], atol=1e-6) and not out.vector_BD[2].any()
    empty = encode_sets(encoder, torch.zeros(1, 1, dtype=torch.bool), pixel_values=pixels[:1, :1])
    assert empty.vector_BD.shape == (1, encoder.vector_dim)
