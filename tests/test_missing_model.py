"""What is missing never changes an answer by one bit: every fusion, every head, both absences, live encoders."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
import torch
from torch import Tensor

from plait.encoders.scratch import ScratchImageEncoder, ScratchTextEncoder
from plait.encoders.tabular import TabularEncoder
from plait.fusion import FUSIONS
from plait.fusion.absence import ABSENCES, LearnedAbsence
from plait.fusion.base import EncodedDims
from plait.heads import HEADS
from plait.language.network import scratch_config
from plait.model import PlaitConfig, PlaitModel

PRESENT = torch.tensor(list(product([True, False], repeat=2)))
FILLINGS = [float("nan"), float("inf"), -1e30, None]


def make(fusion: str, head: str, absence: str, task: str = "classification") -> PlaitModel | None:
    """A model with random parameters, or None where the two do not go together (which must be said in words)."""
    torch.manual_seed(3)
    task = {"towers": "retrieval", "generate": "captioning"}.get(head, task)
    decoder = scratch_config(12, width=8, layers=1, heads=2, dropout=0.0)
    language = {"hf": decoder, "tuning": "full", "start": 1, "prompt": [3], "pad": 0, "end": 2}
    config = PlaitConfig(
        modalities=[
            {"name": n, "kind": "text", "vector_dim": d, "token_dim": d + 1, "encoder": None}
            for n, d in (("a", 5), ("b", 6))
        ],
        fusion={"name": fusion, "width": 8, "dropout": 0.0, "options": {}, "absence": absence},
        head={"name": head, "dropout": 0.0, "options": {"language": language} if head == "generate" else {}},
        task=task,
        num_outputs=1 if head == "towers" else 2,
    )
    try:
        model = PlaitModel(config)
    except ValueError as error:
        assert "head" in str(error) and "use" in str(error) or "type" in str(error), error
        return None
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model.train(False)


def batch(seed: int = 0) -> dict[str, dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    return {
        n: {
            "vector_BD": torch.randn(4, d, generator=generator),
            "tokens_BTD": torch.randn(4, 3, d + 1, generator=generator),
            "mask_BT": torch.tensor([[True, True, False]] * 4),
        }
        for n, d in (("a", 5), ("b", 6))
    }


def spoilt(inputs: dict[str, dict[str, Tensor]], filling: float | None) -> dict[str, dict[str, Tensor]]:
    """The same batch with other content wherever PRESENT says missing; None: noise."""
    other = batch(seed=9)
    made = {}
    for m, (name, tensors) in enumerate(inputs.items()):
        gone = ~PRESENT[:, m]
        made[name] = {k: t.clone() for k, t in tensors.items()}
        made[name]["mask_BT"][gone] = ~made[name]["mask_BT"][gone]
        for key in ("vector_BD", "tokens_BTD"):
            made[name][key][gone] = other[name][key][gone] if filling is None else filling
    return made


def tensors(output: dict[str, object]) -> list[Tensor]:
    """All tensors of an output, in order."""
    found = []
    for value in output.values():
        found += [v for v in (value if isinstance(value, list) else [value]) if isinstance(v, Tensor)]
    return found


@pytest.mark.parametrize("absence", ABSENCES)
@pytest.mark.parametrize("head", HEADS.names())
@pytest.mark.parametrize("fusion", FUSIONS.names())
def test_every_fusion_and_head(fusion: str, head: str, absence: str) -> None:
    model = make(fusion, head, absence)
    if model is None:
        kind = FUSIONS.get(fusion)
        assert head == "direct" or (kind.is_late if head == "generate" else head != "label" and not kind.embeds)
        return
    with torch.no_grad():
        clean = tensors(model(batch(), PRESENT))
        answered = PRESENT.all(1) if head == "towers" else torch.ones(4, dtype=torch.bool)  # NaN where there is no pair
        assert torch.equal(torch.isfinite(clean[0]).all(1), answered)
        for filling in FILLINGS:
            dirty = tensors(model(spoilt(batch(), filling), PRESENT))
            assert len(clean) == len(dirty)
            assert all(torch.equal(x.view(torch.int32), y.view(torch.int32)) for x, y in zip(clean, dirty, strict=True))


def test_pairs_go_with_cosine_and_only_there() -> None:
    """The test above would say nothing if every combination were refused."""
    made = {(f, h) for f in FUSIONS.names() for h in HEADS.names() if make(f, h, "learned") is not None}
    assert {f for f, h in made if h == "label"} == set(FUSIONS.names())
    assert ("cosine", "pair") in made and ("prefix", "generate") in made and ("gated", "generate") in made


@pytest.mark.parametrize("absence", ABSENCES)
@pytest.mark.parametrize("fusion", ["gated", "co_attention", "late_mean"])
def test_live_encoders(fusion: str, absence: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    text, image, table = ScratchTextEncoder(50, 8, 8, 1), ScratchImageEncoder(32), TabularEncoder(2, [3], 8)
    encoders = {"note": text, "photo": image, "tabular": table}
    modalities = [
        {"name": n, "kind": k, "vector_dim": e.vector_dim, "token_dim": e.token_dim, "encoder": e.config()}
        for (n, e), k in zip(encoders.items(), ("text", "image", "tabular"), strict=True)
    ]
    config = PlaitConfig(
        modalities=modalities,
        fusion={"name": fusion, "width": 8, "dropout": 0.0, "options": {}, "absence": absence},
        num_outputs=3,
    )
    model = PlaitModel.from_encoders(config, encoders).train(False)
    present = torch.tensor(list(product([True, False], repeat=3)))
    rows = len(present)
    generator = torch.Generator().manual_seed(1)
    inputs = {
        "note": {
            "input_ids": torch.randint(4, 50, (rows, 5), generator=generator),
            "attention_mask": torch.ones(rows, 5, dtype=torch.long),
        },
        "photo": {"pixel_values": torch.rand(rows, 3, 32, 32, generator=generator)},
        "tabular": {
            "numeric_BF": torch.randn(rows, 2, generator=generator),
            "missing_BF": torch.zeros(rows, 2),
            "categorical_BK": torch.randint(0, 3, (rows, 1), generator=generator),
        },
    }
    dirty = {n: {k: t.clone() for k, t in given.items()} for n, given in inputs.items()}
    for m, given in enumerate(dirty.values()):
        for tensor in given.values():
            tensor[~present[:, m]] = float("nan") if tensor.is_floating_point() else 1
    with torch.no_grad():
        a, b = tensors(model(inputs, present)), tensors(model(dirty, present))
    assert torch.isfinite(a[0]).all()
    assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))
    model.save_pretrained(tmp_path)
    again = PlaitModel.from_pretrained(tmp_path).train(False)
    assert (again.absence is not None) == (absence == "learned")
    with torch.no_grad():
        assert torch.equal(again(inputs, present)["logits"], a[0])


@pytest.mark.parametrize("fusion", FUSIONS.names())
def test_learned_absence_is_what_the_fusion_sees(fusion: str) -> None:
    """Against the fusion fed by hand with the learned vector and one learned token, both modalities there."""
    model = make(fusion, "label", "learned")
    assert model is not None and model.absence is not None
    inputs = batch()
    only_a = torch.tensor([[True, False]] * 4)
    by_hand = {n: dict(t) for n, t in inputs.items()}
    by_hand["b"]["vector_BD"] = model.absence.vectors[1].detach().expand(4, -1)
    if model.fusion.info.needs_tokens:
        by_hand["b"]["tokens_BTD"] = model.absence.tokens["1"].detach().expand(4, 1, -1)
        by_hand["b"]["mask_BT"] = torch.ones(4, 1, dtype=torch.bool)
    else:
        assert len(model.absence.tokens) == 0
    with torch.no_grad():
        encoded = model.encode(inputs, only_a)
        whole = model.encode(by_hand, torch.ones(4, 2, dtype=torch.bool))
        if fusion == "cosine":
            whole[1].vector_BD = by_hand["b"]["vector_BD"]  # learned behind the root that undoes an encoder's scale
        seen = model.fuse(encoded, only_a).fused_BD
        wanted = model.fusion(whole, torch.ones(4, 2, dtype=torch.bool)).fused_BD
        masked = model.fusion(encoded, only_a).fused_BD
    assert torch.allclose(seen, wanted, atol=1e-5)
    assert not torch.allclose(seen, masked, atol=1e-3)
    assert torch.equal(model.seen(only_a), torch.ones(4, 2, dtype=torch.bool))


@pytest.mark.parametrize("fusion", FUSIONS.names())
def test_absence_vectors_learn_and_rows_with_nothing_stay_masked(fusion: str) -> None:
    model = make(fusion, "label", "learned")
    assert model is not None and model.absence is not None
    for seed in range(6):
        model(batch(seed), PRESENT, torch.tensor([0, 1, 1, 0]))["loss"].backward()
    for vector in [*model.absence.vectors, *model.absence.tokens.values()]:
        assert vector.grad is not None and torch.isfinite(vector.grad).all()
    used = [*model.absence.vectors, *model.absence.tokens.values()]
    assert sum(float(v.grad.abs().sum()) > 0 for v in used) >= 2  # what reads tokens alone ignores the vectors
    nothing = torch.zeros(4, 2, dtype=torch.bool)
    with torch.no_grad():
        answer = model(batch(), nothing)["logits"]
        assert torch.equal(answer, model.head(model.fusion(model.encode(batch(), nothing), nothing), nothing))
    assert torch.equal(model.seen(nothing), nothing)


def test_one_modality_alone_has_no_absence_and_a_wrong_word_is_refused() -> None:
    one = [{"name": "a", "kind": "text", "vector_dim": 5, "token_dim": None, "encoder": None}]
    fusion = {"name": "concat", "width": 8, "dropout": 0.0, "options": {}}
    assert PlaitModel(PlaitConfig(modalities=one, fusion={**fusion, "absence": "learned"})).absence is None
    assert PlaitModel(PlaitConfig(modalities=one * 2, fusion=fusion)).absence is None  # configs of old have no word
    with pytest.raises(ValueError, match=r"unknown fusion.absence 'learnt'. Did you mean 'learned'"):
        PlaitModel(PlaitConfig(modalities=one, fusion={**fusion, "absence": "learnt"}))


def test_a_batch_in_which_every_token_is_missing_gets_one() -> None:
    absence = LearnedAbsence([EncodedDims(3, 2), EncodedDims(3, 2)], with_tokens=True)
    from plait.encoders.base import Encoded

    empty = Encoded(torch.zeros(2, 3), torch.zeros(2, 0, 2), torch.zeros(2, 0, dtype=torch.bool))
    full = Encoded(torch.ones(2, 3), torch.ones(2, 4, 2), torch.ones(2, 4, dtype=torch.bool))
    filled, seen = absence([empty, full], torch.tensor([[False, True], [False, True]]))
    assert torch.equal(filled[0].tokens_BTD, absence.tokens["0"].expand(2, 1, 2))
    assert filled[0].mask_BT.all() and seen.all()
    assert torch.equal(filled[1].tokens_BTD, full.tokens_BTD)
