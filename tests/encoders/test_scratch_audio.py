"""``scratch:audio`` tells sounds apart: planted tones; padding, silence, one sample and other rates change nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fixtures.media import sound
from fixtures.settings import QUICK
from plait.encoders import load_encoder
from plait.encoders.scratch_audio import masked_group_norm

pytest.importorskip("soundfile", reason="extra audio")
pytest.importorskip("soxr", reason="extra audio")

RATE, SPANS, LENGTH = 16_000, 4, 5120  # 0.32 s


def tones(rows: int, seed: int = 0) -> tuple[list[bytes], list[str]]:
    """Soft noise, and in one of four spans a low or a high tone."""
    rng = np.random.default_rng(seed)
    time_T = np.arange(LENGTH // SPANS) / RATE
    sounds, labels = [], []
    for _ in range(rows):
        high, place = int(rng.integers(2)), int(rng.integers(SPANS)) * len(time_T)
        samples = 0.02 * rng.standard_normal(LENGTH)
        samples[place : place + len(time_T)] += 0.5 * np.sin(2 * np.pi * (400, 2500)[high] * time_T)
        sounds.append(sound(samples.astype(np.float32)))
        labels.append(["low", "high"][high])
    return sounds, labels


def test_a_model_learns_planted_tones() -> None:
    """It stayed at chance while every place was normalised over its channels: all clips had nearly one vector."""
    import plait

    sounds, labels = tones(80)
    split = ["train"] * 48 + ["val"] * 12 + ["test"] * 20
    settings = [*QUICK, "encoders.audio=scratch:audio", "train.learning_rate=0.001", "train.batch_size=8"]
    model = plait.fit(
        {"sound": sounds, "label": labels, "split": split}, "label", audio="sound", split="split", preset="single",
        epochs=5, set=settings,
    )  # fmt: skip
    answers = model.predict({"sound": sounds}).column("prediction").to_pylist()
    right = np.array(answers) == np.array(labels)
    assert right[:48].mean() >= 0.95 and right[60:].mean() >= 0.9


def test_untrained_vectors_tell_sounds_apart() -> None:
    """Low and high tones differ in direction from the start, not by a hair around one common vector."""
    torch.manual_seed(0)
    encoder, processor = load_encoder("scratch:audio", "audio")
    sounds, labels = tones(40)
    with torch.inference_mode():
        vector_BD = encoder(**processor.process(sounds)).vector_BD
    unit = torch.nn.functional.layer_norm(vector_BD, vector_BD.shape[1:])  # as fusions read it
    high = torch.tensor([label == "high" for label in labels])
    apart = (unit[high].mean(0) - unit[~high].mean(0)).norm() / unit.norm(dim=1).mean()
    assert apart > 0.15  # .27 here, .06 with the normalisation of each place, which learned nothing


def test_padding_silence_one_sample_and_other_rates() -> None:
    torch.manual_seed(0)
    encoder, processor = load_encoder("scratch:audio", "audio")
    (tone,), _ = tones(1)
    rng = np.random.default_rng(1)
    long = sound(rng.normal(0, 0.1, 3 * RATE).astype(np.float32))
    odd = [sound(np.zeros(RATE, np.float32)), sound(np.float32([0.3])), sound(np.float32([0.0])),
           sound(rng.normal(0, 0.1, 4000).astype(np.float32), rate=8000)]  # fmt: skip
    clips = [tone, *odd, long]
    with torch.inference_mode():
        batch = encoder(**processor.process(clips))
        for i, clip in enumerate(clips):
            alone = encoder(**processor.process([clip]))
            assert torch.isfinite(alone.vector_BD).all() and torch.isfinite(alone.tokens_BTD).all()
            assert (batch.vector_BD[i] - alone.vector_BD[0]).abs().max() <= 1e-5
            tokens_TD = batch.tokens_BTD[i][batch.mask_BT[i]]
            assert (tokens_TD - alone.tokens_BTD[0][alone.mask_BT[0]]).abs().max() <= 1e-5
    assert torch.isfinite(batch.tokens_BTD).all()
    encoder.train()
    encoder(**processor.process(odd)).vector_BD.square().sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in encoder.parameters() if p.grad is not None)


def test_masked_group_norm_is_group_norm_of_the_real_places() -> None:
    torch.manual_seed(0)
    norm = torch.nn.GroupNorm(2, 6)
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    map_BCTF = torch.randn(3, 6, 7, 5)
    mask_BT = torch.arange(7) < torch.tensor([7, 4, 0])[:, None]
    made = masked_group_norm(norm, map_BCTF, mask_BT[:, None, :, None])
    assert torch.allclose(made[0], norm(map_BCTF[:1])[0], atol=1e-6)
    assert torch.allclose(made[1, :, :4], norm(map_BCTF[1:2, :, :4])[0], atol=1e-6)
    assert torch.isfinite(made).all()
