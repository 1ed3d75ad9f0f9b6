"""Batches past the budget are worked out in parts: the same answers and gradients, never more at once than allowed."""

from __future__ import annotations

import logging

import pytest
import torch
from torch import Tensor, nn

from plait.encoders import activations
from plait.encoders.base import Encoded, Encoder
from plait.encoders.batching import encode_by_bytes, forward_bytes
from plait.encoders.scratch_audio import ScratchAudioEncoder
from plait.encoders.sets import encode_sets

MIB = 2**20


def clips(lengths: list[int], seed: int = 0) -> dict[str, Tensor]:
    """Spectrograms of 8 mels, padded to the longest."""
    mask_BT = torch.arange(max(lengths))[None] < torch.tensor(lengths)[:, None]
    values = torch.randn(*mask_BT.shape, 8, generator=torch.Generator().manual_seed(seed))
    return {"values": values * mask_BT[..., None], "mask_BT": mask_BT}


def counted(encoder: Encoder) -> list[int]:
    """Sizes of the forwards to come."""
    sizes: list[int] = []
    encoder.register_forward_pre_hook(
        lambda _, args, kwargs: sizes.append(len(next(iter(kwargs.values())))), with_kwargs=True
    )
    return sizes


def gradients(encoder: Encoder, encoded: Encoded) -> list[Tensor]:
    encoder.zero_grad()
    (encoded.vector_BD.square().sum() + encoded.tokens_BTD.pow(3).sum()).backward()
    return [weight.grad.clone() for weight in encoder.parameters()]


def audio() -> ScratchAudioEncoder:
    torch.manual_seed(0)
    return ScratchAudioEncoder(num_mels=8, width=16, spec_augment=False)


def test_what_a_forward_is_reckoned_at() -> None:
    assert forward_bytes({"input_ids": torch.zeros(2, 5, dtype=torch.int64)}) == 10 * 1024
    assert forward_bytes({"values": torch.zeros(2, 100), "mask_BT": torch.ones(2, 100).bool()}) == 200 * 4 * 8
    assert forward_bytes({"pixel_values": torch.zeros(2, 3, 4, 4)}) == 96 * 4


@pytest.mark.parametrize(("free", "again"), [(0, [1, 2, 2]), (2**40, [])])
def test_parts_give_the_vectors_tokens_and_gradients_of_the_whole(
    free: int, again: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where memory is short, all but the first part are computed again on the way back; else none is."""
    monkeypatch.setattr(activations, "free_memory", lambda device: free)
    encoder, batch = audio().double(), clips([300, 40, 40, 17, 200, 5, 90])
    batch["values"] = batch["values"].double()
    whole = encoder(**batch)
    wanted = gradients(encoder, whole)
    encoder.batch_mb = 2 * 300 * 8 * 8 / MIB  # two clips
    sizes = counted(encoder)
    parts = encode_by_bytes(encoder, **batch)
    assert sizes == [2, 2, 2, 1]
    assert torch.allclose(parts.vector_BD, whole.vector_BD, atol=1e-12)
    assert torch.allclose(parts.tokens_BTD, whole.tokens_BTD, atol=1e-12)
    assert torch.equal(parts.mask_BT, whole.mask_BT)
    found = gradients(encoder, parts)
    assert all(torch.allclose(a, b, atol=1e-10) for a, b in zip(found, wanted, strict=True))
    assert sizes[:4] == [2, 2, 2, 1] and sorted(sizes[4:]) == again
    with torch.inference_mode():
        assert torch.allclose(encode_by_bytes(encoder, **batch).vector_BD, whole.vector_BD, atol=1e-12)
    assert len(sizes) == 8 + len(again)


def test_an_item_past_the_budget_is_a_batch_of_its_own() -> None:
    encoder, batch = audio(), clips([300, 40])
    encoder.batch_mb = 1e-6
    sizes = counted(encoder)
    assert encode_by_bytes(encoder, **batch).vector_BD.shape == (2, 16) and sizes == [1, 1]


def test_as_many_parts_are_kept_as_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A linear layer holds its inputs, an item 16 bytes: a quarter of 200 bytes has room for three of eight."""

    class Line(Encoder):
        def __init__(self) -> None:
            super().__init__({"type": "line"})
            self.model = nn.Linear(4, 4)

        def forward(self, values: Tensor) -> Encoded:
            return Encoded(self.model(values.clone())[:, 0], None, None)

    monkeypatch.setattr(activations, "free_memory", lambda device: 200)
    encoder = Line()
    encoder.batch_mb = 16 / MIB
    sizes = counted(encoder)
    encode_by_bytes(encoder, values=torch.ones(8, 1, 4)).vector_BD.sum().backward()
    assert len(sizes) == 8 + 5
    assert torch.equal(encoder.model.weight.grad, torch.full((4, 4), 8.0))


def test_workers_beside_each_other_keep_the_first_part_only(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    assert activations.free_memory(cpu) >= 2**26
    monkeypatch.setattr("multiprocessing.parent_process", lambda: "a process")
    assert activations.free_memory(cpu) == 0


def test_random_numbers_of_a_part_are_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dropout hides the same places on the way back as before."""

    class Dropping(Encoder):
        def __init__(self) -> None:
            super().__init__({"type": "dropping"})
            self.model = nn.Linear(4, 4)

        def forward(self, values: Tensor) -> Encoded:
            return Encoded(nn.functional.dropout(self.model(values), 0.5), None, None)

    monkeypatch.setattr(activations, "free_memory", lambda device: 0)
    encoder = Dropping()
    encoder.batch_mb = 16 / MIB
    made = encode_by_bytes(encoder, values=torch.ones(64, 1, 4)).vector_BD
    made.sum().backward()
    kept = (made != 0).sum((0, 1)) * 2.0
    assert torch.allclose(encoder.model.bias.grad, kept)


def test_sets_are_cut_as_well() -> None:
    class Sum(Encoder):
        def __init__(self) -> None:
            super().__init__({"type": "sum"})
            self.vector_dim = 1

        def forward(self, pixel_values: Tensor) -> Encoded:
            return Encoded(pixel_values.flatten(1).sum(1, keepdim=True), None, None)

    encoder = Sum()
    encoder.batch_mb = 2 * 12 * 4 / MIB
    sizes = counted(encoder)
    mask_BK = torch.tensor([[True, True, True], [True, False, False], [False, False, False]])
    made = encode_sets(encoder, mask_BK, pixel_values=torch.arange(9.0).view(3, 3, 1, 1, 1).expand(3, 3, 3, 2, 2))
    assert sizes == [2, 2] and made.vector_BD[:, 0].tolist() == [12.0, 36.0, 0.0]


def test_batch_normalisation_that_learns_gets_the_batch_whole_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    class Normed(Encoder):
        def __init__(self) -> None:
            super().__init__({"type": "normed"})
            self.model = nn.BatchNorm1d(3)

        def forward(self, pixel_values: Tensor) -> Encoded:
            return Encoded(self.model(pixel_values.flatten(1)), None, None)

    encoder = Normed()
    encoder.batch_mb = 1e-6
    sizes = counted(encoder)
    pixels = torch.arange(12.0).view(4, 3, 1, 1)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            encode_by_bytes(encoder, pixel_values=pixels)
    assert sizes == [4, 4] and len(caplog.records) == 1 and "train.batch_size" in caplog.text
    encoder.eval()
    with torch.inference_mode():
        encode_by_bytes(encoder, pixel_values=pixels)
    assert sizes == [4, 4, 1, 1, 1, 1]
