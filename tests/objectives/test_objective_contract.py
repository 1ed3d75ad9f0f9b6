"""Every aid with every registered fusion: identity at the start, missing content, gradients, saving, refusals."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from fixtures.fusion_variants import FOUR, count_for
from fixtures.lazy import lazy
from fixtures.tiny_models import EACH, NUM_OUTPUTS, make_batch, make_model, shake
from plait.encoders.tabular import TabularEncoder
from plait.fusion import FUSIONS
from plait.objectives import OBJECTIVES, check_objectives, chosen_objectives
from plait.settings import TrainSettings
from plait.settings.groups import OPTIMIZERS
from plait.tasks import TASKS

PlaitModel = lazy("plait.model", "PlaitModel")
make_optimizer = lazy("plait.training.optimizer", "make_optimizer")

every_aid = pytest.mark.parametrize("aid", list(EACH))
every_fusion = pytest.mark.parametrize("fusion", FUSIONS.names())


def refusal(fusion: str, aid: str) -> str | None:
    """What is said of an objective that this fusion cannot have."""
    kind = FUSIONS.get(fusion)
    if aid in ("comm", "lemda") and kind.is_late:
        return f"train.{aid} .* vectors.*late fusion joins answers.*fusion='concat'.*train.{aid}=0"
    if aid == "lemda" and kind.info.needs_tokens:
        return "train.lemda changes vectors.*reads tokens.*fusion='gated'.*train.lemda=0"
    return None


# Several at once with every fusion, each alone with one fusion of each kind.
PAIRS = [
    (f, a) for f in FUSIONS.names() for a in EACH
    if (a == "several" or f in FOUR) and refusal(f, a) is None
]  # fmt: skip


def backward(model: PlaitModel, batch: dict[str, Any]) -> dict[str, torch.Tensor | None]:
    model.zero_grad()
    torch.manual_seed(0)
    model.train()(**batch)["loss"].backward()
    return {n: None if p.grad is None else p.grad.clone() for n, p in model.named_parameters()}


def step(model: PlaitModel, batch: dict[str, Any], optimizer: torch.optim.Optimizer) -> None:
    backward(model, batch)
    model.before_step()
    optimizer.step()
    model.after_step()


def reached(gradients: dict[str, torch.Tensor | None]) -> set[str]:
    return {n for n, g in gradients.items() if g is not None and bool((g != 0).any())}


def test_every_aid_is_a_setting_and_tested() -> None:
    fields = set(TrainSettings.__dataclass_fields__)
    assert set(OBJECTIVES) <= fields and set(OBJECTIVES) <= set(EACH)
    for name in OBJECTIVES:
        assert OBJECTIVES.get(name).name == name and OBJECTIVES.get(name).paper and OBJECTIVES.get(name).equation


@every_fusion
def test_fresh_adapters_change_no_answer(fusion: str) -> None:
    plain, aided = make_model({}, fusion).eval(), make_model(EACH["several"], fusion).eval()
    assert plain.aids is None and not any("aids" in k for k in plain.state_dict())
    batch = make_batch(count_for(fusion))
    first, second = plain(**batch), aided(**batch)
    assert torch.equal(first["logits"], second["logits"])
    assert torch.equal(first["loss"], second["loss"])  # aids count in training only


@every_aid
@pytest.mark.parametrize("fusion", FOUR)
def test_content_of_a_missing_modality_changes_no_bit_of_loss_and_gradient(fusion: str, aid: str) -> None:
    if (message := refusal(fusion, aid)) is not None:
        with pytest.raises(ValueError, match=message):
            make_model(EACH[aid], fusion)
        return
    model = shake(make_model(EACH[aid], fusion, modality_dropout=0.3))
    clean, dirty = (make_batch(count_for(fusion)) for _ in range(2))
    for m, tensors in enumerate(dirty["inputs"].values()):
        tensors["vector_BD"][~dirty["present"][:, m]] = float("nan")
        tensors["tokens_BTD"][~dirty["present"][:, m]] = float("inf")
    again = copy.deepcopy(model)  # some fusions count their training steps
    first, second = backward(model, clean), backward(again, dirty)
    for name, gradient in first.items():
        if gradient is not None:
            assert torch.isfinite(gradient).all(), name
            assert torch.equal(gradient, second[name]), name
    torch.manual_seed(0)
    loss = model(**clean)["loss"]
    torch.manual_seed(0)
    assert torch.equal(loss, again(**dirty)["loss"])
    assert torch.equal(model.eval()(**clean)["logits"], model(**dirty)["logits"])


@pytest.mark.parametrize(("fusion", "aid"), PAIRS)
def test_gradient_reaches_every_parameter(fusion: str, aid: str) -> None:
    batch = make_batch(count_for(fusion))
    plain = reached(backward(shake(make_model({}, fusion)), batch))
    for start in (make_model(EACH[aid], fusion), shake(make_model(EACH[aid], fusion))):
        got = reached(backward(start, batch))
        assert {n for n, _ in start.named_parameters() if n.startswith("aids.")} <= got
    assert plain <= got


@every_aid
def test_each_aid_changes_the_step(aid: str) -> None:
    batch = make_batch(3)
    plain, aided = shake(make_model({"auxiliary": 0.0})), shake(make_model(EACH[aid]))
    plain.load_state_dict(aided.state_dict(), strict=False)
    assert plain.aids is not None  # the same adapters and heads, of no weight
    stepped = []
    for model in (plain, aided):
        step(model, batch, torch.optim.SGD(model.parameters(), lr=0.05))
        stepped.append([p.detach() for p in model.aids.adapters.parameters()])
    assert not all(torch.equal(a, b) for a, b in zip(*stepped, strict=True))


def test_heads_of_ogm_alone_learn_without_touching_vectors_or_the_shown_loss() -> None:
    batch = make_batch(3)
    plain, aided = shake(make_model({"auxiliary": 0.0})), shake(make_model({"ogm": 0.5}))
    plain.load_state_dict(aided.state_dict())
    first, second = backward(plain, batch), backward(aided, batch)
    for name in first:
        if not name.startswith("aids.auxiliary."):
            assert torch.equal(first[name], second[name]), name
    assert torch.equal(plain(**batch)["loss"], aided(**batch)["loss"])


@pytest.mark.parametrize("task", list(NUM_OUTPUTS))
@every_aid
def test_every_task_takes_every_aid_it_can(aid: str, task: str) -> None:
    classes = task in ("classification", "matching")
    for name in {"ogm", "opm"} & set(EACH[aid]):
        if not classes:
            message = f"train.{name} needs one right class.*got task '{task}'.*train.{name}=0"
            with pytest.raises(ValueError, match=message):
                make_model(EACH[aid], task=task)
            return
    if aid == "umt" and task == "matching":
        with pytest.raises(ValueError, match="train.umt learns from one modality alone.*train.umt=0"):
            make_model(EACH[aid], task=task)
        return
    model = make_model(EACH[aid], task=task)
    batch = make_batch(len(model.config.modalities), task)
    losses = []
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for _ in range(5):
        step(model, batch, optimizer)
        losses.append(float(model.eval()(**batch)["loss"].detach()))
    assert losses[-1] < losses[0]


def test_what_makes_a_target_harder_needs_one() -> None:
    with pytest.raises(ValueError, match="train.lemda needs a target.*'retrieval' has none.*train.lemda=0"):
        check_objectives({"lemda": 0.1}, task=TASKS.get("retrieval"), num_modalities=2)


def test_the_pair_head_takes_aids_and_keeps_its_own_alignment() -> None:
    aids = {"auxiliary": 0.3, "ogm": 0.5, "orthogonality": 0.2}
    model = shake(make_model(aids, "cosine", "matching", head={"name": "pair", "dropout": 0.0}, alignment=0.5))
    gradients = backward(model, make_batch(2, "matching"))
    assert {n for n, _ in model.named_parameters() if n.startswith("aids.")} <= reached(gradients)
    train = TrainSettings(alignment=0.5, auxiliary=0.3, ogm=0.5, ogm_noise=True)
    assert chosen_objectives(train, pair_head=True) == {"auxiliary": 0.3, "ogm": 0.5, "ogm_noise": 1.0}
    assert chosen_objectives(train, pair_head=False) == {
        "auxiliary": 0.3,
        "ogm": 0.5,
        "ogm_noise": 1.0,
        "alignment": 0.5,
    }
    off = TrainSettings(alignment=0.0, auxiliary=0.0, gradient_blending=False, ogm=0.0, orthogonality=0.0)
    assert chosen_objectives(off, pair_head=False) == chosen_objectives(TrainSettings(), pair_head=False) == {}


def test_in_matching_only_right_pairs_are_aligned() -> None:
    model = shake(make_model({"alignment": 0.5}, "product", "matching"))
    batch = make_batch(2, "matching", repeat=4)
    batch["present"][:] = True
    batch["keys"] = torch.arange(len(batch["target"]))[:, None].repeat(1, 2)
    first = backward(model, batch)["aids.alignment.log_temperature"]
    for name in ("m0", "m1"):
        batch["inputs"][name]["vector_BD"][batch["target"] == 0] += 1.0
    assert torch.equal(first, backward(model, batch)["aids.alignment.log_temperature"])
    batch["inputs"]["m0"]["vector_BD"][batch["target"] == 1, 0] += 1.0
    assert not torch.equal(first, backward(model, batch)["aids.alignment.log_temperature"])


def test_group_mates_and_shared_items_are_no_negatives_in_the_model() -> None:
    model = shake(make_model({"alignment": 0.5}))
    batch = make_batch(3)
    batch["present"][:] = True
    batch["keys"] = torch.arange(len(batch["target"]))[:, None].repeat(1, 3)

    def loss(**changes: torch.Tensor) -> float:
        return float(model.train()(**{**batch, **changes})["loss"].detach())

    one_group = loss(group=torch.zeros_like(batch["group"]))
    one_item = loss(keys=torch.zeros_like(batch["keys"]))
    joint = float(model.eval()(**batch)["loss"].detach())
    assert one_group == pytest.approx(joint, abs=1e-6) and one_item == pytest.approx(joint, abs=1e-6)
    assert loss() > joint + 0.01
    assert loss(group=None) == pytest.approx(joint, abs=1e-6)  # type: ignore[arg-type]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_ogm_slows_the_steps_of_adapter_and_encoder_of_the_modality_that_leads(optimizer: str) -> None:
    torch.manual_seed(0)
    encoder = TabularEncoder(2, [3], 6)
    modalities = [
        {"name": "m0", "kind": "tabular", "vector_dim": 6, "token_dim": 6, "encoder": encoder.config()},
        {"name": "m1", "kind": "text", "vector_dim": 6, "token_dim": None, "encoder": None},
    ]
    model = shake(make_model({"ogm": 0.5}, modalities=modalities))
    with torch.no_grad():  # the first modality is right with certainty, the second guesses
        for m, size in enumerate((5.0, 0.0)):
            head = model.aids.auxiliary.heads[m].linear
            head.weight.zero_()
            head.bias.copy_(torch.tensor([size, 0.0, 0.0]))
    batch = {
        "inputs": {
            "m0": {
                "numeric_BF": torch.randn(4, 2),
                "missing_BF": torch.zeros(4, 2),
                "categorical_BK": torch.ones(4, 1, dtype=torch.long),
            },
            "m1": {"vector_BD": torch.randn(4, 6)},
        },
        "present": torch.ones(4, 2, dtype=torch.bool),
        "target": torch.zeros(4, dtype=torch.long),
    }
    plain = copy.deepcopy(model)
    settings = TrainSettings(optimizer=optimizer, learning_rate=0.02, encoder_learning_rate=0.02, weight_decay=0.1)
    optimizers = [make_optimizer(m, settings) for m in (plain, model)]
    backward(plain, batch)
    for _ in range(2):  # the second step has momentum
        optimizers[0].step()
    backward(model, batch)
    optimizers[1].step()
    old = {n: p.detach().clone() for n, p in model.named_parameters()}
    factor_M = model.aids.modulation.factor_M
    sure = torch.softmax(torch.tensor([5.0, 0.0, 0.0]), 0)[0]
    assert factor_M.tolist() == pytest.approx([float(1 - torch.tanh(0.5 * sure * 3)), 1.0])
    model.before_step()
    optimizers[1].step()
    model.after_step()
    whole = dict(plain.named_parameters())
    slowed = 0
    for name, parameter in model.named_parameters():
        own = name.startswith(("aids.adapters.0.", "encoders.0."))
        moved = whole[name] - old[name]
        slowed += own and bool(moved.abs().sum() > 0)
        torch.testing.assert_close(parameter - old[name], moved * (factor_M[0] if own else 1.0), rtol=1e-3, atol=1e-7)
    assert slowed > 4
    there = {n: p.detach().clone() for n, p in model.named_parameters()}
    model.after_step()  # factors are those of one step
    assert all(torch.equal(p, there[n]) for n, p in model.named_parameters())


@every_aid
def test_saved_model_answers_bit_equal(aid: str, tmp_path: Path) -> None:
    model = shake(make_model(EACH[aid])).eval()
    if model.aids.blending is not None:
        model.aids.blending.weights_K.copy_(torch.tensor([0.1, 0.2, 0.3, 0.4]))
    model.save_pretrained(tmp_path)
    again = PlaitModel.from_pretrained(tmp_path).eval()
    assert again.config.aids == EACH[aid]
    state = again.state_dict()
    assert state.keys() == model.state_dict().keys()
    assert all(torch.equal(v, state[k]) for k, v in model.state_dict().items())
    batch = make_batch(3)
    assert torch.equal(model(**batch)["logits"], again(**batch)["logits"])


def test_refusals_say_what_to_type() -> None:
    facts: dict[str, Any] = {"task": TASKS.get("classification"), "num_modalities": 2}
    check_objectives({"gradient_blending": 1.0}, **facts, num_validation=1)
    check_objectives({"gradient_blending": 1.0}, **facts)
    with pytest.raises(ValueError, match="no validation rows.*split=COLUMN.*train.gradient_blending=false"):
        check_objectives({"gradient_blending": 1.0}, **facts, num_validation=0)
    with pytest.raises(ValueError, match="train.auxiliary works between modalities.*got 1.*train.auxiliary=0"):
        check_objectives({"auxiliary": 0.3}, **{**facts, "num_modalities": 1})
    with pytest.raises(ValueError, match="gradient_blending sets the weights.*train.auxiliary=0"):
        check_objectives({"auxiliary": 0.3, "gradient_blending": 1.0}, **facts)
    with pytest.raises(ValueError, match="unknown training aid 'auxilary'. Did you mean 'auxiliary'"):
        make_model({"auxilary": 0.3})
