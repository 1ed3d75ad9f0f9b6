"""Gradient checkpointing: the same loss, gradients and statistics with fewer activations, and nothing left behind."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_architectures import ARCHITECTURES, CASES
from torch import Tensor, nn

from fixtures.media import noise_png, sound
from fixtures.tiny_language import fused_rows, target_of, tiny_head, tiny_tokens
from plait.encoders import Encoder, activations, load_encoder, set_tuning
from plait.encoders.activations import counted_activations
from plait.encoders.base import Encoded
from plait.encoders.batching import encode_by_bytes
from plait.encoders.gradient_checkpointing import can_checkpoint, gradient_checkpointing, learning_networks

DROPPED = 0.2


class Step:
    """What a step of a network gave: its loss, gradients, held bytes, and what is drawn after it."""

    def __init__(self, holder: nn.Module, loss_of: Any, *, is_on: bool) -> None:
        holder.zero_grad()
        torch.manual_seed(3)
        with gradient_checkpointing(holder, is_on):
            with counted_activations([*holder.parameters(), *holder.buffers()]) as held:
                loss = loss_of()
            self.held = sum(held.values())
            loss.backward()
        self.loss, self.drawn = float(loss.detach()), torch.rand(1)
        self.gradients = {n: p.grad.clone() for n, p in holder.named_parameters() if p.grad is not None}

    def check_like(self, other: Step) -> None:
        assert self.loss == pytest.approx(other.loss, rel=1e-6)
        assert self.gradients.keys() == other.gradients.keys() and self.gradients
        for name, gradient in self.gradients.items():
            wanted = other.gradients[name]
            assert torch.allclose(gradient, wanted, atol=1e-6 * max(1.0, float(wanted.abs().max())), rtol=0), name
        assert torch.equal(self.drawn, other.drawn)


def loss_of(encoder: Encoder, inputs: dict[str, Tensor]) -> Any:
    def loss() -> Tensor:
        made = encoder(**inputs)
        return made.vector_BD.square().mean() + made.tokens_BTD.pow(3).mean()

    return loss


def three_steps(holder: nn.Module, loss: Any) -> tuple[Step, Step, Step]:
    """Without, with, and without again, each from the same state."""
    state = {k: v.clone() for k, v in holder.state_dict().items()}
    ends, steps = [], []
    for is_on in (False, True, False):
        holder.load_state_dict(state)
        steps.append(Step(holder, loss, is_on=is_on))
        ends.append({k: v.clone() for k, v in holder.named_buffers()})
    for name, value in ends[0].items():
        assert torch.equal(value, ends[1][name]) and torch.equal(value, ends[2][name]), name
    return steps[0], steps[1], steps[2]


@pytest.mark.parametrize(
    ("case", "mode"),
    [
        ("hf:bert", "full"), ("hf:bert", "last_n"), ("hf:bert", "lora"), ("hf:resnet", "full"),
        ("hf:clip-text", "full"), ("hf:clip-image", "full"), ("timm:test_vit", "full"),
        ("timm:test_vit", "lora"), ("timm:test_resnet", "full"),
        ("timm:test_resnet", "last_n"), ("torchvision:mobilenet_v3_small", "full"), ("scratch:text", "full"),
        ("scratch:image", "full"),
    ],
)  # fmt: skip
def test_loss_gradients_and_statistics_are_those_without(
    case: str, mode: str, folders: dict[str, Path], tmp_path: Path, load: Any
) -> None:
    if mode == "lora":
        pytest.importorskip("peft", reason="extra peft")
    encoder, processor, items = load(case, folders, tmp_path)
    for module in encoder.modules():
        if isinstance(module, nn.Dropout):
            module.p = DROPPED
    set_tuning(encoder, mode, **({"n": 2} if mode == "last_n" else {}))
    assert can_checkpoint(encoder)
    holder = nn.ModuleList([encoder])
    holder.train()
    kept, again, after = three_steps(holder, loss_of(encoder, processor.process(items)))
    again.check_like(kept)
    assert again.held < kept.held == after.held
    assert after.gradients.keys() == kept.gradients.keys()


def test_batch_normalisation_would_count_a_batch_twice(
    folders: dict[str, Path], tmp_path: Path, load: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the test above would see without the guard."""
    from plait.encoders import gradient_checkpointing as room

    @contextmanager
    def unguarded(_: Encoder) -> Any:
        yield

    monkeypatch.setattr(room, "_counted_once", unguarded)
    encoder, processor, items = load("timm:test_resnet", folders, tmp_path)
    set_tuning(encoder, "full")
    holder = nn.ModuleList([encoder])
    holder.train()
    with pytest.raises(AssertionError, match=r"running_mean|running_var|num_batches"):
        three_steps(holder, loss_of(encoder, processor.process(items)))


@pytest.mark.parametrize("tuning", ["full", "frozen", "lora"])
def test_a_language_model_is_computed_again_whatever_of_it_learns(tuning: str) -> None:
    if tuning == "lora":
        pytest.importorskip("peft", reason="extra peft")
    tokens = tiny_tokens()
    head = tiny_head(tokens)
    head.language["tuning"] = tuning
    head.lm.requires_grad_(tuning == "full")
    if tuning == "lora":
        from plait.heads.language.network import _add_lora

        _add_lora(head.lm, 2)
    holder = nn.ModuleList([head])
    holder.train()
    assert head.lm.training is (tuning == "full") and learning_networks(holder) == [head.lm]
    fused, target = fused_rows(4), target_of(tokens, [["a red circle"], ["a blue square"], ["a red circle"], ["two"]])
    present = torch.ones(4, 1, dtype=torch.bool)
    kept, again, after = three_steps(holder, lambda: head.batch_loss(fused, present, target, None, None))
    again.check_like(kept)
    assert again.held < kept.held == after.held


def test_parts_of_a_batch_that_are_computed_again_whole_may_hold_blocks_that_are(
    monkeypatch: pytest.MonkeyPatch, folders: dict[str, Path], tmp_path: Path, load: Any
) -> None:
    monkeypatch.setattr(activations, "free_memory", lambda device: 0)
    encoder, processor, items = load("hf:bert", folders, tmp_path)
    set_tuning(encoder, "full")
    inputs = processor.process([*items, "car car", "dog blue"])
    encoder.batch_mb = 2 * 1024 * inputs["input_ids"].shape[1] / 2**20
    holder = nn.ModuleList([encoder])
    holder.train()
    kept, again, _ = three_steps(holder, lambda: encode_by_bytes(encoder, **inputs).vector_BD.square().sum())
    again.check_like(kept)


def test_who_has_no_blocks_and_who_learns_nothing() -> None:
    class Line(Encoder):
        def __init__(self) -> None:
            super().__init__({"type": "line"})
            self.model = nn.Sequential(nn.Linear(4, 4))

        def forward(self, values: Tensor) -> Encoded:
            return Encoded(self.model(values), None, None)

    encoder = Line()
    assert not can_checkpoint(encoder)
    assert learning_networks(nn.ModuleList([encoder])) == [encoder]
    encoder.requires_grad_(False)
    assert learning_networks(nn.ModuleList([encoder])) == []
    encoder.requires_grad_(True)
    with gradient_checkpointing(nn.ModuleList([encoder])):  # and is left as it is
        encoder(values=torch.ones(2, 4)).vector_BD.sum().backward()
    assert encoder.model[0].weight.grad is not None and not encoder._forward_hooks


@pytest.mark.slow
@pytest.mark.parametrize(("source", "name", "kind"), CASES, ids=[":".join(case) for case in CASES])
def test_every_architecture(source: str, name: str, kind: str, tmp_path: Path) -> None:
    if kind == "audio":
        pytest.importorskip("soundfile", reason="extra audio")
        pytest.importorskip("soxr", reason="extra audio")
    encoder, processor = load_encoder(f"{source}:{ARCHITECTURES[name].save(tmp_path / name)}", kind, audio_seconds=1.0)
    items: list[Any] = ["two dogs run", "a man in a red shirt sits", "rain"]
    if kind == "image":
        items = [noise_png(i) for i in range(3)]
    elif kind == "audio":
        items = [sound(np.random.default_rng(i).normal(0, 0.1, 16_000)) for i in range(2)]
    set_tuning(encoder, "full")
    for module in encoder.modules():
        if isinstance(module, nn.Dropout):
            module.p = DROPPED
    encoder.model.config.layerdrop = 0.0  # drawn by NumPy in some
    inputs, holder = processor.process(items), nn.ModuleList([encoder])
    holder.train()
    kept, again, after = three_steps(holder, lambda: encoder(**inputs).vector_BD.square().mean())
    again.check_like(kept)
    if can_checkpoint(encoder):
        assert again.held < 0.9 * kept.held and after.held == pytest.approx(kept.held, rel=0.01)
    else:
        assert name == "albert" and again.held == kept.held  # one layer, used over and over, in a list of another name
