"""Ready two-tower models of sounds and texts (CLAP): vectors equal those of transformers; words find sounds."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import plait
from fixtures.lazy import lazy
from plait import cli
from plait.encoders import load_encoder
from plait.encoders.checkpoint import quiet_transformers
from plait.index import build_index, open_index

hf = lazy("transformers")

sf = pytest.importorskip("soundfile", reason="extra audio")
pytest.importorskip("soxr", reason="extra audio")

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "this", "is", "a", "sound", "of", "dog", "rain", "bell"]
LABELS = ["dog", "rain", "bell"]
AUDIO = {
    "patch_embeds_hidden_size": 8, "hidden_size": 64, "depths": [1, 1, 1, 1], "num_attention_heads": [2, 2, 2, 2],
    "spec_size": 256, "num_mel_bins": 64, "enable_fusion": False,
}  # fmt: skip
TEXT = {
    "vocab_size": len(WORDS), "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1,
    "num_attention_heads": 2, "max_position_embeddings": 40, "pad_token_id": 0,
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("clap")
    torch.manual_seed(0)
    with quiet_transformers():
        network = hf.ClapModel(hf.ClapConfig(audio_config=AUDIO, text_config=TEXT, projection_dim=12))
        with torch.no_grad():
            network.logit_scale_a.fill_(2.0)
            network.logit_scale_t.fill_(1.0)
        network.save_pretrained(place)
    (place / "vocab.txt").write_text("\n".join(WORDS))
    hf.BertTokenizerFast(vocab=str(place / "vocab.txt")).save_pretrained(place)
    hf.ClapFeatureExtractor(truncation="rand_trunc", padding="repeatpad").save_pretrained(place)
    return place


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tone, noise and clicks, of different lengths and rates, and a file that is no sound."""
    place = tmp_path_factory.mktemp("sounds")
    rng = np.random.default_rng(0)
    clips = {
        "bell.wav": (np.sin(2 * np.pi * 880 * np.arange(24_000) / 16_000) * 0.3, 16_000),
        "rain.flac": (rng.normal(0, 0.1, 30_000), 48_000),
        "deep/dog.wav": (np.where(np.arange(9_000) % 900 < 9, 0.5, 0.0), 22_050),
    }
    for name, (samples, rate) in clips.items():
        (place / name).parent.mkdir(exist_ok=True)
        sf.write(place / name, samples.astype(np.float32), rate)
    (place / "readme.txt").write_text("no sound")
    return place


def rows(sounds: Path) -> list[dict[str, Any]]:
    names = ["deep/dog.wav", "rain.flac", "bell.wav"]
    return [{"audio": str(sounds / n), "caption": label} for n, label in zip(names, LABELS, strict=True)]


@pytest.mark.oracle
def test_vectors_are_those_of_transformers(folder: Path, sounds: Path, tmp_path: Path) -> None:
    fitted = plait.two_tower(f"hf:{folder}", output=tmp_path / "m")
    assert [(m.name, m.kind) for m in fitted.modalities] == [("audio", "audio"), ("caption", "text")]
    with quiet_transformers():
        network = hf.AutoModel.from_pretrained(folder, use_safetensors=True).eval()
    tokens = hf.AutoTokenizer.from_pretrained(folder)(LABELS, padding=True, return_tensors="pt")
    given = {k: tokens[k] for k in ("input_ids", "attention_mask")}
    extractor = hf.ClapFeatureExtractor.from_pretrained(folder)
    whole = []
    with torch.inference_mode():
        for row in rows(sounds):
            samples, rate = sf.read(row["audio"], dtype="float32")
            if rate != extractor.sampling_rate:
                samples = __import__("soxr").resample(samples, rate, extractor.sampling_rate)
            heard = extractor(samples, sampling_rate=extractor.sampling_rate, return_tensors="pt")
            whole.append(network(**given, input_features=heard["input_features"], is_longer=torch.tensor([[False]])))
    captions, bad = fitted.embed(rows(sounds), "caption")
    heard_ND, bad_sounds = fitted.embed(rows(sounds), "audio", allow_outside=True)
    assert not bad and not bad_sounds
    np.testing.assert_allclose(captions, whole[0].text_embeds.numpy(), atol=2e-5)
    np.testing.assert_allclose(heard_ND, torch.cat([w.audio_embeds for w in whole]).numpy(), atol=2e-4)
    assert np.abs(heard_ND[0] - heard_ND[1]).max() > 1e-3  # the oracle tells the sounds apart
    proba = fitted.classify(rows(sounds), LABELS, allow_outside=True, template="{}")
    wanted = torch.cat([w.logits_per_audio for w in whole]).softmax(1)
    np.testing.assert_allclose(proba, wanted.numpy(), atol=1e-3)


def test_a_saved_one_loads_and_tells_sounds_by_its_own_sentence(folder: Path, sounds: Path, tmp_path: Path) -> None:
    fitted = plait.two_tower(f"hf:{folder}", output=tmp_path / "m")
    again = plait.load(tmp_path / "m")
    assert again.fingerprint == fitted.fingerprint
    assert np.array_equal(
        again.embed(rows(sounds), "audio", allow_outside=True)[0],
        fitted.embed(rows(sounds), "audio", allow_outside=True)[0],
    )
    said = again.classify(rows(sounds), LABELS, allow_outside=True)
    assert np.array_equal(
        said, again.classify(rows(sounds), LABELS, allow_outside=True, template="this is a sound of {}")
    )
    assert not np.array_equal(said, again.classify(rows(sounds), LABELS, allow_outside=True, template="{}"))


def test_only_the_side_that_is_asked_for_is_kept(folder: Path) -> None:
    text, _ = load_encoder(f"two-tower:{folder}", "text")
    audio, processor = load_encoder(f"two-tower:{folder}", "audio")
    assert not any("audio" in name for name, _ in text.named_parameters())
    assert not any("text" in name for name, _ in audio.named_parameters())
    assert not any("logit_scale" in name for e in (text, audio) for name, _ in e.named_parameters())
    assert text.vector_dim == audio.vector_dim == 12 and processor.max_seconds == 10.0


def test_words_find_the_sounds_of_a_folder(
    folder: Path, sounds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["plait", "two-tower", f"hf:{folder}", "-o", str(tmp_path / "m"), "--json"])
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)  # main() replaces it
    with pytest.raises(SystemExit, match="0"):
        cli.main()
    assert json.loads(capsys.readouterr().out)["dim"] == 12
    fitted = plait.load(tmp_path / "m")
    _, report = build_index(fitted, sounds, tmp_path / "index")
    assert report.added == 3 and any("1 file that is no audio" in note for note in report.notes)
    hits = open_index(tmp_path / "index", fitted).search("rain", k=3)
    assert {hit.id for hit in hits} == {"bell.wav", "rain.flac", "deep/dog.wav"}
    word = fitted.embed([{"caption": "rain"}], "caption")[0][0]
    named = [{"audio": str(sounds / hit.id)} for hit in hits]
    cosines = fitted.embed(named, "audio", allow_outside=True)[0] @ word
    np.testing.assert_allclose([hit.score for hit in hits], cosines, atol=1e-5)
    assert (np.diff(cosines) <= 1e-6).all()


def test_columns_must_differ() -> None:
    with pytest.raises(ValueError, match="audio and text are both"):
        plait.two_tower("hf:x", audio="a", text="a")
