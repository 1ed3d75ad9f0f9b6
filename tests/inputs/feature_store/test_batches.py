"""Batches under a budget of bytes: like lengths together, few decoded items waiting, nothing lost or reordered."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from fixtures.fake_features import FakeText, key_of
from plait.inputs.feature_store import FeatureStore, encode_items
from plait.inputs.feature_store.batches import Batch, media_batches, text_batches
from plait.processors.tensors import join_clips

UNIT = 4 * 4  # bytes of one frame of four numbers


class FakeSound:
    """A clip is a list of numbers, four times each; an empty one is broken."""

    kind = "audio"
    fingerprint = "fake-sound-1"

    def process(self, clips: list[list[float]]) -> dict[str, torch.Tensor]:
        (clip,) = clips
        if not clip:
            raise ValueError("the sound is empty")
        values = torch.tensor(clip)[None, :, None].repeat(1, 1, 4)
        return {"values": values, "mask_BT": torch.ones(1, len(clip), dtype=torch.bool)}

    def join(self, parts: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
        return join_clips(parts)


class Ear(torch.nn.Module):
    """Sum and length of a clip; notes the shape of each batch."""

    fingerprint = "ear-1"
    vector_dim, token_dim = 2, None

    def __init__(self) -> None:
        super().__init__()
        self.shapes: list[tuple[int, int]] = []

    def forward(self, values: torch.Tensor, mask_BT: torch.Tensor) -> SimpleNamespace:
        self.shapes.append(tuple(values.shape[:2]))
        vector = torch.stack([values[..., 0].sum(1), mask_BT.sum(1).float()], dim=1)
        return SimpleNamespace(vector_BD=vector, tokens_BTD=None, mask_BT=None)


def collect(batches: Iterator[Batch]) -> tuple[list[Batch], dict[int, str]]:
    found = list(batches)
    return found, {i: reason for batch in found for i, reason in batch.failures.items()}


@pytest.mark.parametrize("batch_mb", [8.0, 40 * UNIT / 2**20, 1e-6])
def test_one_long_clip_among_short_ones(tmp_path: object, batch_mb: float) -> None:
    clips = [[float(n)] * (30 if n == 11 else 1 + n % 3) for n in range(1, 66)]
    clips[20] = []
    encoder = Ear()
    encoder.batch_mb = batch_mb
    keys = [key_of(str(clip)) for clip in clips]
    features, failures = encode_items(
        FeatureStore(tmp_path), encoder, FakeSound(), keys, clips.__getitem__, on_error="collect"
    )
    assert failures == {20: "the sound is empty"}
    wanted = [[float(sum(clip)), float(len(clip))] for clip in clips]
    assert features.take(np.arange(65))["vector_BD"].tolist() == wanted
    assert sum(count for count, _ in encoder.shapes) == 64
    limit = batch_mb * 2**20 / UNIT
    assert all(count == 1 or count * length <= limit for count, length in encoder.shapes)
    assert max(count for count, _ in encoder.shapes) == (32 if batch_mb == 8 else 1 if batch_mb < 1e-5 else 13)


@pytest.mark.timeout(30)
@pytest.mark.parametrize("in_turns", [False, True])
@pytest.mark.parametrize("budget_clips", [0.5, 2])
def test_few_decoded_items_wait(budget_clips: float, in_turns: bool) -> None:
    """Decoded but not handed out: the window, and at most one more for each thread, in turns one that waits too."""
    alive = most = 0
    lock = threading.Lock()

    class Tracked(FakeSound):
        def process(self, clips: list) -> dict[str, torch.Tensor]:
            nonlocal alive, most
            made = super().process(clips)
            with lock:
                alive += 1
                most = max(most, alive)
            return made

    budget = int(budget_clips * 100 * UNIT)
    order = []
    load = lambda i: [float(i)] * 100  # noqa: E731
    for batch in media_batches(Tracked(), iter(range(200)), load, 32, 2, budget, in_turns=in_turns):
        order += batch.indices
        time.sleep(0.001)
        with lock:
            alive -= len(batch.indices)
    assert order == list(range(200)) and alive == 0
    assert most <= 4 * budget_clips + 2 + max(1, budget_clips) * 2 + 2 * in_turns


def test_beside_an_accelerator_decoding_runs_ahead() -> None:
    """While a batch is worked on, later ones are decoded: the batch itself and two more, not the whole table."""
    num_begun, lock = 0, threading.Lock()

    def load(number: int) -> list[float]:
        nonlocal num_begun
        with lock:
            num_begun += 1
        return [float(number)]

    seen = []
    for batch in media_batches(FakeSound(), iter(range(24)), load, 4, 2, 10**9):
        time.sleep(0.05)
        seen.append((batch.indices[0], num_begun))
    assert seen[0] == (0, 12) and seen[-1] == (20, 24)


@pytest.mark.parametrize("in_turns", [False, True])
def test_leaving_early_ends_the_threads(in_turns: bool) -> None:
    num_threads = threading.active_count()
    batches = media_batches(FakeSound(), iter(range(500)), lambda i: [1.0] * 1000, 4, 2, 100, in_turns=in_turns)
    next(batches)
    batches.close()
    assert threading.active_count() == num_threads


def test_a_broken_item_fails_alone_in_a_batch_of_any_size() -> None:
    clips = [[1.0], [], [2.0, 2.0], []]
    for budget in (1, 10**9):
        found, failures = collect(media_batches(FakeSound(), iter(range(4)), clips.__getitem__, 2, 1, budget))
        assert sorted(i for batch in found for i in batch.indices) == [0, 2]
        assert failures == {1: "the sound is empty", 3: "the sound is empty"}


def test_long_texts_share_a_batch_with_fewer() -> None:
    texts = {0: "a" * 98, 1: "b" * 98, 2: "c" * 98, 3: "dd", 4: "ee", 5: "ff"}
    found, _ = collect(text_batches(FakeText(), iter(texts), texts, 3, 200 * 1024))
    assert [batch.indices for batch in found] == [[0, 1], [2, 3], [4, 5]]
