"""Sound front ends: parity with Whisper's, a resampler that folds nothing, masks that tell clip from padding."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from fixtures.media import sound
from plait.processors import AudioProcessor, VectorProcessor, WaveformProcessor, processor_from_json
from plait.processors.clip import resample
from plait.processors.logmel import log_mel, mel_filters

pytest.importorskip("soundfile", reason="extra audio")
pytest.importorskip("soxr", reason="extra audio")


def noise(num: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, num).astype(np.float32)


@pytest.mark.oracle
@pytest.mark.parametrize(("num_mels", "num_samples"), [(80, 16_000), (128, 23_456), (80, 1), (80, 481_000)])
def test_log_mel_is_that_of_whisper(num_mels: int, num_samples: int) -> None:
    from transformers import WhisperFeatureExtractor

    samples = noise(num_samples)
    theirs = WhisperFeatureExtractor(feature_size=num_mels)(samples, sampling_rate=16_000, return_tensors="pt")
    ours = log_mel(samples, num_mels, pad_frames=3000)
    assert ours.shape == (3000, num_mels)
    assert np.abs(ours.T - theirs["input_features"][0].numpy()).max() < 1e-4


def test_filters_have_unit_area_and_silence_its_floor() -> None:
    filters_FK = mel_filters(40)
    inside = filters_FK[10:]  # the narrow ones are sampled too coarsely for a sum
    assert np.allclose(inside.sum(1) * 40.0, 1.0, atol=0.05)  # bins lie 40 Hz apart
    assert np.array_equal(log_mel(np.zeros(800, np.float32)), np.full((5, 80), np.float32((-10 + 4) / 4)))


@pytest.mark.oracle
@pytest.mark.parametrize("num_mels", [1, 40, 80, 128])
def test_filters_are_those_of_transformers(num_mels: int) -> None:
    from transformers.audio_utils import mel_filter_bank

    theirs = mel_filter_bank(201, num_mels, 0.0, 8000.0, 16_000, norm="slaney", mel_scale="slaney").T
    assert np.abs(mel_filters(num_mels) - theirs).max() < 1e-15


@pytest.mark.parametrize("blocks", [1, 3])
def test_frames_are_computed_alike_in_blocks(blocks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = log_mel(noise(16_000))
    monkeypatch.setattr("plait.processors.logmel.FRAMES_AT_ONCE", 100 // blocks)
    assert np.array_equal(whole, log_mel(noise(16_000)))


@pytest.mark.oracle
@pytest.mark.parametrize(("num", "normalises"), [(1, True), (799, True), (800, False), (30_001, True)])
def test_samples_are_those_of_transformers(num: int, normalises: bool) -> None:
    from transformers import Wav2Vec2FeatureExtractor

    clip = noise(num) + np.float32(0.3)
    theirs = Wav2Vec2FeatureExtractor(do_normalize=normalises)(clip, sampling_rate=16_000, return_tensors="np")
    extractor = {"feature_extractor_type": "Wav2Vec2FeatureExtractor", "do_normalize": normalises}
    ours = WaveformProcessor(extractor).process([sound(clip)])["values"].numpy()
    assert np.array_equal(ours, theirs["input_values"])


def test_short_front_end_is_the_start_of_the_padded_one() -> None:
    samples = noise(4000)
    assert np.allclose(log_mel(samples), log_mel(samples, pad_frames=100)[:25], atol=1e-6)


@pytest.mark.parametrize("rate", [8000, 22_050, 44_100, 48_000])
def test_resampling_keeps_what_fits_and_folds_nothing(rate: int) -> None:
    time = np.arange(rate) / rate
    kept = resample(np.sin(2 * np.pi * 1000 * time).astype(np.float32), rate, 16_000)
    wanted = np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000)
    assert len(kept) == 16_000 and np.abs(kept - wanted)[500:-500].max() < 1e-3
    if rate > 20_000:
        above = resample(np.sin(2 * np.pi * 10_000 * time).astype(np.float32), rate, 16_000)
        assert np.abs(above[500:-500]).max() < 1e-4  # 80 dB down
    assert resample(np.float32([0.5]), 44_100, 16_000).tolist() == [0.5]


def test_masks_and_cutting() -> None:
    processor = AudioProcessor(max_seconds=0.5)
    made = processor.process([sound(noise(1)), sound(noise(3200)), sound(noise(16_000)), None])
    assert made["mask_BT"].sum(1).tolist() == [1, 20, 50, 0] and made["values"].shape == (4, 50, 80)
    assert torch.equal(made["values"][1, :20], processor.process([sound(noise(3200))])["values"][0])
    assert not made["values"][1, 20:].any()
    whisper = AudioProcessor(max_seconds=30, pad_frames=100)
    assert whisper.max_seconds == 1.0 and whisper.process([sound(noise(1600))])["values"].shape == (1, 100, 80)


EXTRACTORS: dict[str, dict[str, Any]] = {
    "wav": {"feature_extractor_type": "Wav2Vec2FeatureExtractor"},
    "ast": {"feature_extractor_type": "ASTFeatureExtractor", "max_length": 64},
    "clap": {"feature_extractor_type": "ClapFeatureExtractor", "truncation": "rand_trunc", "max_length_s": 1},
}


@pytest.mark.parametrize("name", EXTRACTORS)
def test_other_front_ends_rebuild_bit_equal(name: str) -> None:
    first = WaveformProcessor(EXTRACTORS[name])
    again = processor_from_json(first.to_json())
    clips = [sound(noise(20_000, 1), 44_100), sound(noise(3000), 44_100)]
    made, other = first.process(clips), again.process(clips)  # type: ignore[arg-type]
    assert again.fingerprint == first.fingerprint
    assert all(torch.equal(made[k], other[k]) for k in made)
    assert not first.process([None])["mask_BT"].any()


def test_wave_is_normalised_and_masked_by_length() -> None:
    made = WaveformProcessor(EXTRACTORS["wav"], min_samples=400).process([sound(noise(800)), sound(noise(1))])
    assert made["mask_BT"].sum(1).tolist() == [800, 400]
    assert abs(float(made["values"][0].mean())) < 1e-6 and abs(float(made["values"][0].std()) - 1) < 1e-3


def test_ast_frames_are_counted() -> None:
    made = WaveformProcessor(EXTRACTORS["ast"]).process([sound(noise(4000))])
    assert made["values"].shape == (1, 64, 128) and int(made["mask_BT"].sum()) == 1 + (4000 - 400) // 160


def test_vectors_are_padded_and_checked() -> None:
    processor = VectorProcessor(2)
    made = processor.process([np.float32([1, 2]), None, np.float32([[3, 4], [5, 6]])])
    assert made["values_BTD"].tolist() == [[[1, 2], [0, 0]], [[0, 0], [0, 0]], [[3, 4], [5, 6]]]
    assert made["mask_BT"].tolist() == [[True, False], [False, False], [True, True]]
    with pytest.raises(ValueError, match="vector 0 has 3 numbers; expected 2"):
        processor.process([np.zeros(3)])


@pytest.mark.parametrize("make", [
    lambda: AudioProcessor(max_seconds=0), lambda: AudioProcessor(num_mels=0), lambda: VectorProcessor(0),
    lambda: WaveformProcessor({"feature_extractor_type": "Own"}), lambda: mel_filters(500),
])  # fmt: skip
def test_wrong_settings_are_refused(make: Any) -> None:
    with pytest.raises(ValueError, match="expected"):
        make()
