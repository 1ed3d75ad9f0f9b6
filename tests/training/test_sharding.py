"""What ``train.fsdp`` refuses, and how an encoder is taken apart; that it learns the same is in test_together.py."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from fixtures.lazy import lazy
from plait.settings import RunSettings, merge_values

torch, nn = lazy("torch"), lazy("torch.nn")
sharding = lazy("plait.training.sharding")
scratch, tuning = lazy("plait.encoders.scratch"), lazy("plait.encoders.tuning")
Processes = lazy("plait.training.processes", "Processes")


def inputs(mode: str = "full", kind: str = "text") -> Any:
    """One text column whose encoder learns in some way, beside a frozen one."""
    encoder = scratch.ScratchTextEncoder(num_buckets=2000, width=8, num_layers=2)
    tuning.set_tuning(encoder, mode, **({"n": 1} if mode == "last_n" else {}))
    modalities = [
        SimpleNamespace(name="post", kind=kind, columns=("post",)),
        SimpleNamespace(name="photo", kind="image"),
    ]
    return SimpleNamespace(modalities=modalities, live={"post": encoder})


def settings(**given: Any) -> RunSettings:
    return merge_values(RunSettings(), {"train.fsdp": True, **given})


def test_without_it_nothing_is_asked() -> None:
    sharding.check_fsdp(RunSettings(), inputs("last_n"), None)
    sharding.check_fsdp(settings(), inputs(), Processes(0, 2))


def test_one_process_is_told_how_to_start_several() -> None:
    with pytest.raises(ValueError, match="this one trains alone: start two or more by torchrun"):
        sharding.check_fsdp(settings(), inputs(), None)


def test_an_encoder_must_learn_whole() -> None:
    with pytest.raises(
        ValueError, match=r"none does \(post: last_n, photo: frozen\); type set=\['encoders.tuning=full"
    ):
        sharding.check_fsdp(settings(), inputs("last_n"), Processes(0, 2))


def test_sets_of_items_are_refused() -> None:
    with pytest.raises(ValueError, match=r"column 'post' holds several.*tuning_of=\{post: lora\}"):
        sharding.check_fsdp(settings(), inputs(kind="image_set"), Processes(0, 2))


@pytest.mark.parametrize(("name", "value"), [
    ("train.ema", 0.99), ("train.ogm", 0.5), ("train.mmpareto", 1.5), ("train.umt", 1.0), ("train.lemda", 1e-4),
    ("train.gradient_blending", True), ("search.tries", 4), ("pretrain.objective", "align"),
    ("semi.method", "mean_teacher"),
])  # fmt: skip
def test_what_was_not_tried_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"not tried with {name}={value}.*leave {name} or train.fsdp out"):
        sharding.check_fsdp(settings(**{name: value}), inputs(), Processes(0, 2))


def test_blocks_and_vocabularies_are_gathered_one_by_one() -> None:
    encoder = inputs().live["post"]
    parts = sharding.separable_parts(encoder)
    assert parts == [*encoder.model["layers"], encoder.model["embed"]]  # positions stay with the rest
    encoder.model["layers"][1].linear1.weight = encoder.model["layers"][0].linear1.weight
    assert sharding.separable_parts(encoder) == []  # they share weights


def test_parts_of_a_tensor_are_dealt_as_torch_does() -> None:
    whole = torch.arange(10).reshape(5, 2)
    parts = []
    for rank in range(4):
        one = sharding.Sharding.__new__(sharding.Sharding)
        one.processes = Processes(rank, 4)
        parts.append(one._part(whole))
    assert [len(part) for part in parts] == [2, 2, 1, 0] and torch.equal(torch.cat(parts), whole)
    assert [part.tolist() for part in parts[:3]] == [part.tolist() for part in whole.chunk(4)]


def test_memory_that_training_needs_is_shared() -> None:
    from plait.training import fit

    asked: list[int] = []
    model = SimpleNamespace(encoders={"0": inputs().live["post"]}, device=torch.device("cpu"))
    head = nn.Linear(8, 2)
    model.parameters = lambda: [*model.encoders["0"].parameters(), *head.parameters()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit, "require", lambda parts, advice: asked.append(sum(parts.values())))
        fit.require_training(model)
        fit.require_training(model, 2)
    of_head = fit.COPIES * sum(weight.nbytes for weight in head.parameters())
    assert asked[1] - of_head == pytest.approx((asked[0] - of_head) / 2, abs=64)
