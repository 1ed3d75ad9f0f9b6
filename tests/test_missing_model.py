"""What is missing never changes an answer by one bit: every fusion, every head, both absences, live encoders."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from fixtures.encoded import patterns
from fixtures.fusion_variants import FOUR, count_for, every_variant
from fixtures.lazy import lazy
from plait.encoders.scratch import ScratchImageEncoder, ScratchTextEncoder
from plait.encoders.tabular import TabularEncoder
from plait.fusion import FUSIONS
from plait.fusion.absence import ABSENCES, LearnedAbsence
from plait.fusion.base import EncodedDims
from plait.heads import HEADS
from plait.heads.language.network import scratch_config

PlaitConfig, PlaitModel = lazy("plait.model", "PlaitConfig", "PlaitModel")

PRESENT = torch.tensor(list(product([True, False], repeat=2)))
FILLINGS = [float("nan"), float("inf"), -1e30, None]
DIMS = {"a": 5, "b": 6, "c": 7}
TASK_OF = {"towers": "retrieval", "generate": "captioning", "pair": "matching"}


def heads_of(fusion: str) -> list[str]:
    """The heads that go with a fusion: a late one answers itself, pairs and towers read unit vectors of two sides."""
    kind = FUSIONS.get(fusion)
    if kind.is_late:
        return ["label", "direct", "members"]
    return ["label", "generate", "members", *(["pair", "towers"] if kind.embeds else [])]


def make(fusion: str, head: str, absence: str, count: int = 2, **options: Any) -> PlaitModel:
    """A model with random parameters."""
    torch.manual_seed(3)
    decoder = scratch_config(12, width=8, layers=1, heads=2, dropout=0.0)
    language = {"hf": decoder, "tuning": "full", "start": 1, "prompt": [3], "pad": 0, "end": 2}
    config = PlaitConfig(
        modalities=[
            {"name": n, "kind": "text", "vector_dim": d, "token_dim": d + 1, "encoder": None}
            for n, d in list(DIMS.items())[:count]
        ],
        fusion={"name": fusion, "width": 8, "dropout": 0.0, "options": options, "absence": absence},
        head={"name": head, "dropout": 0.0, "options": {"language": language} if head == "generate" else {}},
        task=TASK_OF.get(head, "classification"),
        num_outputs=1 if head == "towers" else 2,
    )
    model = PlaitModel(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model.train(False)


def batch(seed: int = 0, rows: int = 4, count: int = 2) -> dict[str, dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    return {
        n: {
            "vector_BD": torch.randn(rows, d, generator=generator),
            "tokens_BTD": torch.randn(rows, 3, d + 1, generator=generator),
            "mask_BT": torch.tensor([[True, True, False]] * rows),
        }
        for n, d in list(DIMS.items())[:count]
    }


def spoilt(
    inputs: dict[str, dict[str, Tensor]], present: Tensor, filling: float | None
) -> dict[str, dict[str, Tensor]]:
    """The same batch with other content wherever it is missing; None: noise."""
    other = batch(9, *present.shape)
    made = {}
    for m, (name, tensors) in enumerate(inputs.items()):
        gone = ~present[:, m]
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


@every_variant
def test_content_of_a_missing_modality_changes_no_bit(name: str, options: dict[str, Any]) -> None:
    """Logits, weights and attention of every fusion with every option, every head it goes with and both absences."""
    for head, absence in product(heads_of(name), ABSENCES):
        count = 2 if head in ("pair", "towers") else count_for(name, options)
        present = patterns(count)
        inputs = batch(0, *present.shape)
        model = make(name, head, absence, count, **options)
        with torch.no_grad():
            clean = tensors(model(inputs, present))
            # A retrieval score needs both sides: NaN where there is no pair.
            answered = present.all(1) if head == "towers" else torch.ones(len(present), dtype=torch.bool)
            assert torch.equal(torch.isfinite(clean[0]).all(1), answered)
            for filling in FILLINGS:
                dirty = tensors(model(spoilt(inputs, present, filling), present))
                for x, y in zip(clean, dirty, strict=True):
                    assert torch.equal(x.view(torch.int32), y.view(torch.int32)), (head, absence, filling)


REFUSALS = {
    "pair": "the pair head reads the cosine of two sides.*type fusion='cosine'",
    "towers": "retrieval needs each modality as a unit vector.*type fusion='cosine'",
    "generate": "joins answers, and text is generated; type fusion='prefix'",
    "direct": "the direct head needs a late fusion.*use head 'label'",
}


def test_every_other_head_is_refused() -> None:
    for fusion in FUSIONS.names():
        refused = set(HEADS.names()) - set(heads_of(fusion))
        assert len(refused) == (1 if fusion == "cosine" else 3)
        for head in refused:
            with pytest.raises(ValueError, match=REFUSALS[head]):
                make(fusion, head, "mask")


@pytest.mark.parametrize("absence", ABSENCES)
@pytest.mark.parametrize("fusion", FOUR)
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
    assert model.absence is not None
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
    assert model.absence is not None
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
