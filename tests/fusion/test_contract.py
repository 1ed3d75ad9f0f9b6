"""Every registered fusion through one contract."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
import torch

from fixtures.encoded import WIDTH, dims, make_encoded, make_fusion, patterns, take
from fixtures.fusion_variants import FOUR, VARIANTS, count_for, every_variant
from fixtures.tiny_models import build_model
from plait.encoders.base import Encoded
from plait.fusion import FUSIONS, OutputSpec

NAMES = FUSIONS.names()
BESIDE = {("prefix", "num_queries"): {"projector": "query"}, ("prefix", "heads"): {"projector": "query"}}
SHARED_OPTIONS = {"normalise": False, "dropout": 0.5}
GUARDS = {("tensor", "max_size")}  # refuses, and changes nothing else
GUARDS |= {("cosine", "project")}  # off, it takes modalities of one width only: test_cosine.py
GUARDS |= {("cosine", "canonical")}  # maps that training rows fill: test_canonical.py
# Options of what is learned, not of the output: test_late.py shows each in the gradient or the loss.
LEARNING = {(name, "joint") for name in NAMES if FUSIONS.get(name).is_late}
LEARNING |= {
    ("evidential", "annealing"),
    ("rcml", "annealing"),
    ("dbf", "annealing"),
    ("mixture_of_experts", "balance"),
}
LEARNING |= {("rcml", "conflict"), ("qmf", "ranking"), ("flex_moe", "balance")}
LEARNING |= {("reconboost", "rounds"), ("reconboost", "reconcile")}  # in files of their own
# Methods in which one number says how much each modality counts.
WITH_WEIGHTS = {"weighted_sum", "gated", "mixture_of_experts", "late_mean", "late_weighted", "pdf"}


def test_the_families_of_the_design_are_there() -> None:
    assert set(NAMES) >= {"weighted_sum", "concat", "gated", "product", "co_attention"}
    assert set(NAMES) >= {"self_attention", "cross_attention", "bottleneck", "perceiver", "mixture_of_experts"}
    late = {"late_mean", "late_weighted", "late_stacking", "product_of_experts", "evidential", "rcml", "dbf"}
    late |= {"qmf", "pdf", "reconboost"}
    assert {name for name in NAMES if FUSIONS.get(name).is_late} == late
    for name in NAMES:
        assert FUSIONS.get(name).info.name == name


@pytest.mark.parametrize("name", FOUR)
def test_content_of_a_missing_modality_changes_no_bit(name: str) -> None:
    """Fused vector, weights and attention alone; tests/test_missing_model.py shows it for every fusion in a model."""
    fusion = make_fusion(name, 3)
    present_BM = patterns(3)
    clean = make_encoded(3, len(present_BM))
    a = fusion(clean, present_BM)
    assert torch.isfinite(a.fused_BD).all()
    for filling in (0.0, 1e30, float("nan"), float("inf")):
        dirty = [Encoded(e.vector_BD.clone(), e.tokens_BTD.clone(), e.mask_BT.clone()) for e in clean]
        for m, item in enumerate(dirty):
            item.vector_BD[~present_BM[:, m]] = filling
            item.tokens_BTD[~present_BM[:, m]] = filling
            item.mask_BT[~present_BM[:, m]] = ~item.mask_BT[~present_BM[:, m]]
        b = fusion(dirty, present_BM)
        assert torch.equal(a.fused_BD, b.fused_BD)
        if a.weights_BM is not None:
            assert torch.equal(a.weights_BM, b.weights_BM)
        for left, right in zip(a.attention or [], b.attention or [], strict=True):
            assert torch.equal(left, right)


@every_variant
def test_gradient_ignores_what_is_missing_and_stays_finite(name: str, options: dict[str, object]) -> None:
    count = count_for(name, options)
    fusion = make_fusion(name, count, **options)
    present_BM = patterns(count)
    encoded = make_encoded(count, len(present_BM))
    for m, item in enumerate(encoded):
        item.vector_BD[~present_BM[:, m]] = float("nan")
        item.tokens_BTD[~present_BM[:, m]] = float("nan")
        item.vector_BD.requires_grad_()
    fusion(encoded, present_BM).fused_BD.pow(2).sum().backward()
    for parameter in fusion.parameters():
        assert torch.isfinite(parameter.grad).all()
    for m, item in enumerate(encoded):
        assert torch.equal(item.vector_BD.grad[~present_BM[:, m]], torch.zeros_like(item.vector_BD[~present_BM[:, m]]))


@every_variant
def test_gradient_reaches_every_parameter_and_every_modality(name: str, options: dict[str, object]) -> None:
    count = count_for(name, options)
    fusion = make_fusion(name, count, **options)
    present_BM = patterns(count)
    encoded = make_encoded(count, len(present_BM))
    for item in encoded:
        item.vector_BD.requires_grad_()
        item.tokens_BTD.requires_grad_()
    readout_D = torch.linspace(-1.0, 1.3, WIDTH)
    (fusion(encoded, present_BM).fused_BD @ readout_D).pow(2).sum().backward()
    dead = [n for n, p in fusion.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert dead == []
    for m, item in enumerate(encoded):
        assert (item.vector_BD.grad[present_BM[:, m]].abs().sum(1) > 0).all()
        if fusion.info.needs_tokens:
            assert (item.tokens_BTD.grad[present_BM[:, m]].abs().sum((1, 2)) > 0).all()


@every_variant
def test_batch_permutation_permutes_the_output(name: str, options: dict[str, object]) -> None:
    count = count_for(name, options)
    fusion = make_fusion(name, count, torch.float64, **options)
    present_BM = patterns(count)
    encoded = make_encoded(count, len(present_BM), dtype=torch.float64)
    order = torch.randperm(len(present_BM), generator=torch.Generator().manual_seed(3))
    whole = fusion(encoded, present_BM).fused_BD
    shuffled = fusion(take(encoded, order), present_BM[order]).fused_BD
    torch.testing.assert_close(shuffled, whole[order], rtol=1e-12, atol=1e-13)
    one = fusion(take(encoded, torch.tensor([2])), present_BM[2:3]).fused_BD
    torch.testing.assert_close(one[0], whole[2], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", NAMES)
def test_padding_changes_nothing(name: str) -> None:
    fusion = make_fusion(name, 2, torch.float64)
    present_BM = patterns(2)
    encoded = make_encoded(2, len(present_BM), dtype=torch.float64)
    padded = []
    for e in encoded:
        junk = torch.full((len(present_BM), 5, e.tokens_BTD.shape[2]), 1e6, dtype=torch.float64)
        tokens_BTD = torch.cat([torch.where(e.mask_BT[..., None], e.tokens_BTD, -1e6), junk], dim=1)
        mask_BT = torch.cat([e.mask_BT, torch.zeros(len(present_BM), 5, dtype=torch.bool)], dim=1)
        padded.append(Encoded(e.vector_BD, tokens_BTD, mask_BT))
    a, b = fusion(encoded, present_BM), fusion(padded, present_BM)
    torch.testing.assert_close(a.fused_BD, b.fused_BD, rtol=0, atol=1e-13)
    for before, after in zip(a.attention or [], b.attention or [], strict=True):
        torch.testing.assert_close(after[:, : before.shape[1]], before, rtol=0, atol=1e-13)
        assert torch.equal(after[:, before.shape[1] :], torch.zeros(len(present_BM), 5, dtype=torch.float64))


@every_variant
def test_weights_sum_to_one_over_what_is_present(name: str, options: dict[str, object]) -> None:
    count = count_for(name, options)
    fusion = make_fusion(name, count, torch.float64, **options)
    present_BM = patterns(count)
    weights_BM = fusion(make_encoded(count, len(present_BM), dtype=torch.float64), present_BM).weights_BM
    assert (weights_BM is not None) == (name in WITH_WEIGHTS)
    if weights_BM is None:
        return
    there_B = present_BM.any(1)
    torch.testing.assert_close(weights_BM.sum(1)[there_B], torch.ones(int(there_B.sum()), dtype=torch.float64))
    assert torch.equal(weights_BM[~present_BM], torch.zeros(int((~present_BM).sum()), dtype=torch.float64))
    alone_B = present_BM.sum(1) == 1
    assert torch.equal(weights_BM[alone_B], present_BM[alone_B].double())


def own_options(name: str) -> list[str]:
    """Names of the options that a fusion takes; ``outputs`` is the task's, not an option."""
    signature = inspect.signature(FUSIONS.get(name)).parameters.values()
    return [p.name for p in signature if p.default is not inspect.Parameter.empty and p.name != "outputs"]


OPTIONS = [(name, option) for name in NAMES for option in own_options(name) if (name, option) not in GUARDS | LEARNING]


@pytest.mark.parametrize(("name", "option"), OPTIONS, ids=[f"{name}-{option}" for name, option in OPTIONS])
def test_every_option_changes_the_output(name: str, option: str) -> None:
    values = [o[option] for n, o in VARIANTS if n == name and option in o]
    values += [SHARED_OPTIONS[option]] if option in SHARED_OPTIONS else []
    assert values, f"VARIANTS has no other value of {name}'s option {option}"
    present_BM = patterns(2)
    encoded = make_encoded(2, len(present_BM))
    beside = BESIDE.get((name, option), {})  # an option that counts only beside another one
    plain = make_fusion(name, 2, **beside)
    other = make_fusion(name, 2, **beside, **{option: values[0]})
    # Other parameters are a change: that the output depends on each of them is shown above, for every variant.
    changed = [p.shape for p in plain.parameters()] != [p.shape for p in other.parameters()]
    if not changed:
        torch.manual_seed(0)
        before = plain.train()(encoded, present_BM).fused_BD
        torch.manual_seed(0)
        changed = not torch.allclose(other.train()(encoded, present_BM).fused_BD, before)
    assert changed


@every_variant
def test_one_two_and_three_modalities(name: str, options: dict[str, object]) -> None:
    for count in range(1, count_for(name, options) + 1):
        fusion = make_fusion(name, count, **options)
        present_BM = torch.ones(2, count, dtype=torch.bool)
        fused_BD = fusion(make_encoded(count, 2), present_BM).fused_BD
        assert fused_BD.shape == (2, WIDTH)
        for m in range(count):  # every modality speaks
            other = make_encoded(count, 2)
            other[m] = make_encoded(count, 2, seed=9)[m]
            assert not torch.allclose(fusion(other, present_BM).fused_BD, fused_BD)


@pytest.mark.parametrize("name", NAMES)
def test_attention_is_a_distribution_over_real_tokens(name: str) -> None:
    fusion = make_fusion(name, 2, torch.float64)
    present_BM = patterns(2)
    encoded = make_encoded(2, len(present_BM), dtype=torch.float64)
    attention = fusion(encoded, present_BM).attention
    assert (attention is not None) == fusion.info.needs_tokens
    for m, attention_BT in enumerate(attention or []):
        torch.testing.assert_close(attention_BT.sum(1), present_BM[:, m].double())
        assert (attention_BT[~encoded[m].mask_BT] == 0).all()


@pytest.mark.parametrize("name", [name for name in NAMES if FUSIONS.get(name).info.needs_tokens])
def test_a_row_whose_tokens_are_all_masked_is_finite(name: str) -> None:
    fusion = make_fusion(name, 2)
    encoded, there = make_encoded(2, 3), torch.ones(3, 2, dtype=torch.bool)
    before = fusion(encoded, there).fused_BD
    encoded[0].mask_BT[1] = False
    after = fusion(encoded, there).fused_BD
    assert torch.isfinite(after).all() and not torch.allclose(after[1], before[1])
    torch.testing.assert_close(after[[0, 2]], before[[0, 2]])


def test_no_modality_and_bad_options_are_refused() -> None:
    for name in NAMES:
        with pytest.raises(ValueError, match="at least one modality"):
            FUSIONS.get(name)([], WIDTH, **({"outputs": OutputSpec(2)} if FUSIONS.get(name).is_late else {}))
    with pytest.raises(ValueError, match="two modalities, got 3"):
        make_fusion("weighted_sum", 3, raw=True)
    for name in ("co_attention", "self_attention", "cross_attention", "bottleneck", "perceiver"):
        with pytest.raises(ValueError, match="multiple of heads, got width=8 and heads=3"):
            make_fusion(name, 2, heads=3)
    with pytest.raises(ValueError, match="hidden_layers must be a whole number, 0 or more; got -1"):
        make_fusion("concat", 2, hidden_layers=-1)
    for name, option, value, least in [
        ("self_attention", "layers", 0, 1),
        ("cross_attention", "layers", 0, 1),
        ("cross_attention", "memory_layers", -1, 0),
        ("bottleneck", "layers", 1, 2),
        ("bottleneck", "num_bottlenecks", 0, 1),
        ("perceiver", "layers", -1, 0),
        ("perceiver", "num_latents", 0, 1),
        ("late_mean", "hidden_layers", -1, 0),
    ]:
        with pytest.raises(ValueError, match=f"{option} must be a whole number, {least} or more; got {value}"):
            make_fusion(name, 2, **{option: value})
    with pytest.raises(ValueError, match="'mixture_of_experts' takes at most 6 modalities, got 7"):
        make_fusion("mixture_of_experts", 7)


@every_variant
def test_saved_model_answers_bit_equal(name: str, options: dict[str, object], tmp_path: Path) -> None:
    count = count_for(name, options)
    torch.manual_seed(1)
    modalities = [
        {"name": f"m{m}", "kind": "text", "vector_dim": d.vector_dim, "token_dim": d.token_dim, "encoder": None}
        for m, d in enumerate(dims(count))
    ]
    model = build_model(modalities, name, dropout=0.1, options=options, num_outputs=3).eval()
    model.save_pretrained(tmp_path)
    again = type(model).from_pretrained(tmp_path).eval()
    present_BM = patterns(count)
    inputs = {
        f"m{m}": {"vector_BD": e.vector_BD, "tokens_BTD": e.tokens_BTD, "mask_BT": e.mask_BT}
        for m, e in enumerate(make_encoded(count, len(present_BM)))
    }
    assert torch.equal(model(inputs, present_BM)["logits"], again(inputs, present_BM)["logits"])
    assert model.state_dict().keys() == again.state_dict().keys()
    assert all(torch.equal(v, again.state_dict()[k]) for k, v in model.state_dict().items())


COUNTS = [
    (name, parameter.name)
    for name in NAMES
    for parameter in inspect.signature(FUSIONS.get(name)).parameters.values()
    if isinstance(parameter.default, int) and not isinstance(parameter.default, bool)
]


@pytest.mark.parametrize(("name", "option"), COUNTS)
def test_options_that_count_are_whole_numbers(name: str, option: str) -> None:
    for value in (1.5, 2.0, True, "2", -1):
        with pytest.raises(ValueError, match=f"{option} must be a whole number, . or more; got {value!r}"):
            make_fusion(name, 2, **{option: value})
