"""Late fusions: numpy transcriptions, numbers worked by hand, what is trained by what, and the fitted combiner."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fixtures.encoded import WIDTH, dims, make_encoded, make_fusion, patterns
from fixtures.numpy_steps import affine, gelu, norm, parameters, softmax
from fixtures.planted_xor import xor_accuracy
from plait.encoders.base import Encoded
from plait.fusion import FUSIONS, EncodedDims, Fusion, OutputSpec

COUNT = 3
LATE = [name for name in FUSIONS.names() if FUSIONS.get(name).is_late]
KINDS = {"classes": OutputSpec(WIDTH), "labels": OutputSpec(4, "labels"), "number": OutputSpec(1, "number")}
CLASSES_ONLY = ("evidential", "rcml", "dbf", "qmf", "pdf")
BY_EVIDENCE = ("evidential", "rcml", "dbf")
CASES = [(n, k, h) for n in LATE for k in KINDS for h in (0, 2) if n not in CLASSES_ONLY or k == "classes"]


def logits_of(p: dict, x: list[np.ndarray], m: int, hidden_layers: int) -> np.ndarray:
    hidden = norm(x[m])
    for i in range(hidden_layers):
        hidden = gelu(affine(p, f"predictors.networks.{m}.{2 + 3 * i}", hidden))
    return affine(p, f"predictors.networks.{m}.{2 + 3 * hidden_layers}", hidden)


def mean_row(p: dict, b: dict, logits: dict[int, np.ndarray], kind: str, *_: object) -> np.ndarray:
    return pooled(logits, {m: 1 / len(logits) for m in logits}, kind)


def weighted_row(p: dict, b: dict, logits: dict[int, np.ndarray], kind: str, *_: object) -> np.ndarray:
    share = softmax(p["logits_M"][list(logits)]) if logits else []
    return pooled(logits, dict(zip(logits, share, strict=True)), kind)


def pooled(logits: dict[int, np.ndarray], share: dict[int, float], kind: str) -> np.ndarray:
    if not logits:
        return np.zeros(KINDS[kind].num_outputs)
    if kind == "classes":
        return np.log(sum(share[m] * softmax(answer) for m, answer in logits.items()))
    return sum(share[m] * answer for m, answer in logits.items())


def product_row(p: dict, b: dict, logits: dict[int, np.ndarray], kind: str, *_: object) -> np.ndarray:
    if kind == "number":
        if not logits:
            return np.zeros(1)
        precision = {m: np.exp(p["log_precision_M"][m]) for m in logits}
        return sum(precision[m] * answer for m, answer in logits.items()) / sum(precision.values())
    terms = [np.log(softmax(answer)) if kind == "classes" else answer for answer in logits.values()]
    return sum(terms) - (len(terms) - 1) * b["log_prior_C"]


def stacking_row(p: dict, b: dict, logits: dict[int, np.ndarray], kind: str, *_: object) -> np.ndarray:
    if not b["is_fitted_C"].all():
        return mean_row(p, b, logits, kind)
    num_outputs = KINDS[kind].num_outputs
    seen = {m: np.log(softmax(answer)) if kind == "classes" else answer for m, answer in logits.items()}
    if kind == "classes":
        seen = {m: answer - answer.mean() for m, answer in seen.items()}
    blocks = [seen.get(m, np.zeros(num_outputs)) for m in range(COUNT)]
    return b["weight_CF"] @ np.concatenate([*blocks, [float(m in seen) for m in range(COUNT)]]) + b["bias_C"]


def evidential_row(p: dict, b: dict, logits: dict[int, np.ndarray], kind: str, *_: object) -> np.ndarray:
    """Dempster's rule as it is written, pair by pair, from the vacuous opinion on."""
    num_classes = KINDS[kind].num_outputs
    belief, doubt = np.zeros(num_classes), 1.0
    for answer in logits.values():
        alpha = np.log1p(np.exp(answer)) + 1
        belief, doubt = dempster(belief, doubt, (alpha - 1) / alpha.sum(), num_classes / alpha.sum())
    return np.log(belief * num_classes / doubt + 1)


def rcml_row(p: dict, b: dict, logits: dict[int, np.ndarray], kind: str, *_: object) -> np.ndarray:
    """The mean of the evidence, by belief and doubt for two opinions as the paper writes it."""
    evidence = [np.log1p(np.exp(answer)) for answer in logits.values()]
    return np.log(sum(evidence) / max(1, len(evidence)) + 1) if evidence else np.zeros(KINDS[kind].num_outputs)


def dbf_row(p: dict, b: dict, logits: dict[int, np.ndarray], kind: str, *_: object) -> np.ndarray:
    """Belief discounted by each conflict in turn, back to evidence, averaged."""
    num_classes = KINDS[kind].num_outputs
    if not logits:
        return np.zeros(num_classes)
    alpha = [np.log1p(np.exp(answer)) + 1 for answer in logits.values()]
    proba, doubt = [a / a.sum() for a in alpha], [num_classes / a.sum() for a in alpha]
    parts = []
    for m in range(len(alpha)):
        kept = 1.0
        for n in range(len(alpha)):
            kept *= 1 - np.abs(proba[m] - proba[n]).sum() / 2 * (1 - doubt[m]) * (1 - doubt[n])
        belief = (alpha[m] - 1) / alpha[m].sum() * kept
        parts.append(num_classes * belief / (1 - belief.sum()))
    return np.log(np.mean(parts, axis=0) + 1)


def qmf_row(p: dict, b: dict, logits: dict[int, np.ndarray], kind: str, *_: object) -> np.ndarray:
    return sum((np.log(np.exp(f).sum()) / 10 * f for f in logits.values()), np.zeros(KINDS[kind].num_outputs))


def reconboost_row(p: dict, b: dict, logits: dict[int, np.ndarray], kind: str, *_: object) -> np.ndarray:
    return sum(logits.values(), np.zeros(KINDS[kind].num_outputs))


def pdf_row(p: dict, b: dict, logits: dict[int, np.ndarray], kind: str, x: list[np.ndarray]) -> np.ndarray:
    num_classes = KINDS[kind].num_outputs
    if not logits:
        return np.zeros(num_classes)
    sure = {m: 1 / (1 + np.exp(-affine(p, f"confidences.{m}.linear", norm(x[m]))[0])) for m in logits}
    decided = {m: np.abs(softmax(f) - 1 / num_classes).mean() for m, f in logits.items()}
    score = {}
    for m in logits:
        rest = [n for n in logits if n != m]
        holo = sum(np.log(sure[n]) for n in rest) / sum(np.log(q) for q in sure.values())
        score[m] = (sure[m] + holo) * (min(1.0, decided[m] / np.mean([decided[n] for n in rest])) if rest else 1.0)
    share = softmax(np.array(list(score.values())))
    return sum(w * f for w, f in zip(share, logits.values(), strict=True))


def dempster(b1: np.ndarray, u1: float, b2: np.ndarray, u2: float) -> tuple[np.ndarray, float]:
    conflict = sum(b1[i] * b2[j] for i in range(len(b1)) for j in range(len(b2)) if i != j)
    return (b1 * b2 + b1 * u2 + b2 * u1) / (1 - conflict), u1 * u2 / (1 - conflict)


ROWS = {
    "late_mean": mean_row,
    "late_weighted": weighted_row,
    "product_of_experts": product_row,
    "late_stacking": stacking_row,
    "evidential": evidential_row,
    "rcml": rcml_row,
    "dbf": dbf_row,
    "qmf": qmf_row,
    "pdf": pdf_row,
    "reconboost": reconboost_row,
}


def made(name: str, kind: str, **options: object) -> Fusion:
    """A late fusion with random parameters and buffers that do something."""
    fusion = make_fusion(name, COUNT, torch.float64, outputs=KINDS[kind], **options)
    generator = torch.Generator().manual_seed(5)
    if name == "late_stacking":
        for buffer in (fusion.weight_CF, fusion.bias_C):
            buffer.copy_(torch.randn(buffer.shape, generator=generator))
        fusion.is_fitted_C.fill_(True)
    if name == "product_of_experts":
        fusion.log_prior_C.copy_(torch.randn(fusion.log_prior_C.shape, generator=generator))
    return fusion


@pytest.mark.parametrize(("name", "kind", "hidden_layers"), CASES)
def test_equation(name: str, kind: str, hidden_layers: int) -> None:
    fusion = made(name, kind, hidden_layers=hidden_layers)
    present_BM = patterns(COUNT)
    encoded = make_encoded(COUNT, len(present_BM), dtype=torch.float64)
    out = fusion(encoded, present_BM)
    p, b = parameters(fusion), {k: v.numpy() for k, v in fusion.named_buffers()}
    for row, pattern in enumerate(present_BM.tolist()):
        x = [e.vector_BD[row].numpy() for e in encoded]
        logits = {m: logits_of(p, x, m, hidden_layers) for m in range(COUNT) if pattern[m]}
        wanted = ROWS[name](p, b, logits, kind, x)
        atol = 1e-7 if name == "pdf" else 1e-11  # the small number beside a sum that may be 0
        np.testing.assert_allclose(out.fused_BD[row].detach().numpy(), wanted, rtol=0, atol=atol)
        for m in range(COUNT):
            alone = logits.get(m, np.zeros_like(wanted))
            if name in BY_EVIDENCE and m in logits:
                alone = np.log(np.log1p(np.exp(alone)) + 1)
            got = out.modality_logits_BMC[row, m].detach().numpy()
            np.testing.assert_allclose(got, alone, rtol=0, atol=1e-12)


def with_logits(name: str, logits: list[list[float]], outputs: OutputSpec) -> tuple[Fusion, list[Encoded]]:
    """A fusion whose modalities answer with these logits for a vector of ones."""
    fusion = FUSIONS.get(name)([EncodedDims(1)] * len(logits), 4, outputs=outputs, normalise=False).double().eval()
    with torch.no_grad():
        for network, answer in zip(fusion.predictors.networks, logits, strict=True):
            network[-1].weight.copy_(torch.tensor(answer)[:, None])
            network[-1].bias.zero_()
    return fusion, [Encoded(torch.ones(1, 1, dtype=torch.float64), None, None)] * len(logits)


def joint_answer(fusion: Fusion, encoded: list[Encoded], *present: bool) -> np.ndarray:
    return fusion(encoded, torch.tensor([present])).fused_BD[0].detach().numpy()


def test_late_mean_worked_by_hand() -> None:
    # 3 : 1 is (0.75, 0.25); 1 : 4 is (0.2, 0.8); their mean is (0.475, 0.525)
    logits = [[np.log(3.0), 0.0], [0.0, np.log(4.0)]]
    fusion, encoded = with_logits("late_mean", logits, OutputSpec(2))
    np.testing.assert_allclose(np.exp(joint_answer(fusion, encoded, True, True)), [0.475, 0.525], atol=1e-7)
    np.testing.assert_allclose(np.exp(joint_answer(fusion, encoded, True, False)), [0.75, 0.25], atol=1e-7)
    np.testing.assert_allclose(softmax(joint_answer(fusion, encoded, False, False)), [0.5, 0.5])
    fusion, encoded = with_logits("late_mean", [[2.0], [5.0]], OutputSpec(1, "number"))
    assert joint_answer(fusion, encoded, True, True) == pytest.approx([3.5])


def test_product_of_two_experts_worked_by_hand() -> None:
    # (0.75, 0.25) times (0.2, 0.8) over the prior (0.6, 0.4): 0.25 and 0.5, so (1/3, 2/3)
    logits = [[np.log(3.0), 0.0], [0.0, np.log(4.0)]]
    fusion, encoded = with_logits("product_of_experts", logits, OutputSpec(2))
    # uniform until told: 0.15 and 0.2
    np.testing.assert_allclose(softmax(joint_answer(fusion, encoded, True, True)), [3 / 7, 4 / 7], atol=1e-7)
    fusion.start_from(np.array([0] * 5 + [1] * 3), None)  # 6 and 4 with one row added to each
    np.testing.assert_allclose(softmax(joint_answer(fusion, encoded, True, True)), [1 / 3, 2 / 3], atol=1e-7)
    np.testing.assert_allclose(softmax(joint_answer(fusion, encoded, False, True)), [0.2, 0.8], atol=1e-7)
    np.testing.assert_allclose(softmax(joint_answer(fusion, encoded, False, False)), [0.6, 0.4], atol=1e-7)
    fusion.start_from(np.array([0] * 5 + [1] * 3), [0.5, 0.75])  # a loss with even classes teaches an even prior
    np.testing.assert_allclose(softmax(joint_answer(fusion, encoded, False, False)), [0.5, 0.5], atol=1e-7)


def test_product_of_experts_for_labels_and_numbers_worked_by_hand() -> None:
    fusion, encoded = with_logits("product_of_experts", [[np.log(3.0)], [np.log(2.0)]], OutputSpec(1, "labels"))
    fusion.start_from(np.array([[1.0]] * 3 + [[0.0]]), None)  # prior odds (3 + 1) : (1 + 1) = 2
    assert np.exp(joint_answer(fusion, encoded, True, True)) == pytest.approx([3.0 * 2.0 / 2.0])
    assert np.exp(joint_answer(fusion, encoded, False, False)) == pytest.approx([2.0])
    fusion, encoded = with_logits("product_of_experts", [[2.0], [6.0]], OutputSpec(1, "number"))
    fusion.start_from(np.array([1.0, 2.0]), None)  # a number has no prior
    with torch.no_grad():
        fusion.log_precision_M.copy_(torch.log(torch.tensor([3.0, 1.0])))
    assert joint_answer(fusion, encoded, True, True) == pytest.approx([3.0])  # (3 * 2 + 1 * 6) / 4
    assert joint_answer(fusion, encoded, False, True) == pytest.approx([6.0])
    assert fusion(encoded, torch.tensor([[True, True]])).weights_BM.tolist()[0] == pytest.approx([0.75, 0.25])


def test_dempsters_rule_worked_by_hand() -> None:
    # evidence (2, 0): S = 4, b = (.5, 0), u = .5; evidence (0, 6): S = 8, b = (0, .75), u = .25. K = .5 * .75 = .375
    # b = (.5 * .25, .75 * .5) / .625 = (.2, .6), u = .5 * .25 / .625 = .2; S = 2 / .2 = 10, alpha = (3, 7)
    far = -60.0  # softplus of it is zero
    logits = [[float(np.log(np.expm1(2.0))), far], [far, float(np.log(np.expm1(6.0)))]]
    fusion, encoded = with_logits("evidential", logits, OutputSpec(2))
    np.testing.assert_allclose(np.exp(joint_answer(fusion, encoded, True, True)), [3.0, 7.0], rtol=1e-6)
    np.testing.assert_allclose(np.exp(joint_answer(fusion, encoded, True, False)), [3.0, 1.0], rtol=1e-6)
    assert np.exp(joint_answer(fusion, encoded, False, False)).tolist() == [1.0, 1.0]
    doubt = fusion.uncertainty(fusion(encoded.copy(), torch.tensor([[True, True]])).fused_BD)
    assert float(doubt.detach()) == pytest.approx(0.2, rel=1e-6)
    b, u = dempster(np.array([0.5, 0.0]), 0.5, np.array([0.0, 0.75]), 0.25)
    np.testing.assert_allclose([*b, u], [0.2, 0.6, 0.2])


@pytest.mark.parametrize("value", [0, 1.5, 500, True, "0.1"])
def test_annealing_is_a_share_of_all_steps(value: object) -> None:
    with pytest.raises(ValueError, match=f"annealing must be a share of all training steps.*got {value!r}"):
        make_fusion("evidential", 2, annealing=value)


def test_evidential_loss_is_the_expected_cross_entropy_and_the_annealed_divergence() -> None:
    fusion = make_fusion("evidential", 2, torch.float64, outputs=OutputSpec(3), annealing=0.4)
    alpha = np.array([[3.0, 1.5, 2.0], [1.2, 1.0, 9.0]])
    logits_BC, target = torch.from_numpy(np.log(alpha)), torch.tensor([0, 1])
    generator = np.random.default_rng(0)
    drawn = [generator.dirichlet(a, size=400_000) for a in alpha]
    wanted = [-np.log(drawn[0][:, 0]).mean(), -np.log(drawn[1][:, 1]).mean()]  # E[-log p_y] under the Dirichlet
    fusion.progress = 0.0
    got = fusion.row_loss(logits_BC, target, None)
    np.testing.assert_allclose(got.numpy(), wanted, rtol=0.01)
    fusion.progress = 0.2  # of all training steps: half of the annealing
    half = fusion.row_loss(logits_BC, target, None) - got
    # KL of the evidence for wrong classes: Dirichlet(1, 1.5, 2) and Dirichlet(1.2, 1, 9) to Dirichlet(1, 1, 1)
    rest = [torch.tensor([1.0, 1.5, 2.0]).double(), torch.tensor([1.2, 1.0, 9.0]).double()]
    even = torch.distributions.Dirichlet(torch.ones(3).double())
    whole = [torch.distributions.kl_divergence(torch.distributions.Dirichlet(a), even) for a in rest]
    torch.testing.assert_close(half, torch.stack(whole) / 2)
    for done in (0.4, 1.0):
        fusion.progress = done
        torch.testing.assert_close(fusion.row_loss(logits_BC, target, None) - got, torch.stack(whole))
    weights = torch.tensor([1.0, 3.0, 1.0]).double()
    weighted = fusion.row_loss(logits_BC, target, weights)
    torch.testing.assert_close(weighted, fusion.row_loss(logits_BC, target, None) * torch.tensor([1.0, 3.0]))


@pytest.mark.parametrize("name", CLASSES_ONLY)
@pytest.mark.parametrize("kind", ["labels", "number"])
def test_some_take_classes_only(kind: str, name: str) -> None:
    message = (
        f"fusion '{name}' joins .* about classes, got outputs that are '{kind}'.*set=\\['fusion.name=late_mean'\\]"
    )
    with pytest.raises(ValueError, match=message):
        FUSIONS.get(name)(dims(2), WIDTH, outputs=KINDS[kind])


@pytest.mark.parametrize("name", [n for n in LATE if n != "reconboost"])  # it has turns: test_reconboost.py
def test_predictors_learn_from_the_joint_answer_only_when_told(name: str) -> None:
    encoded, present_BM = make_encoded(COUNT, 8), patterns(COUNT)
    for joint in (False, True):
        fusion = make_fusion(name, COUNT, joint=joint).train()
        out = fusion(encoded, present_BM)
        reached = out.fused_BD.requires_grad and any(
            g is not None and g.abs().sum() > 0
            for g in torch.autograd.grad(
                out.fused_BD.pow(2).sum(), list(fusion.predictors.parameters()), retain_graph=True, allow_unused=True
            )
        )
        assert reached == joint
        out.modality_logits_BMC.pow(2).sum().backward()  # their own answers teach them in any case
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in fusion.predictors.parameters())
    for extra in {"logits_M", "log_precision_M"} & {n for n, _ in fusion.named_parameters()}:
        plain = make_fusion(name, COUNT).train()
        plain(encoded, present_BM).fused_BD[:, 0].pow(2).sum().backward()
        assert plain.get_parameter(extra).grad.abs().sum() > 0  # learned from the joint answer


# What turns logits back into the sum: each is an increasing function, the same for every class.
SUMS = {
    "late_mean": torch.exp,
    "late_weighted": torch.exp,
    "product_of_experts": lambda h: h,
    "late_stacking": lambda h: h,
    "evidential": lambda h: torch.log1p((torch.exp(h) - 1) / h.shape[1]),
    "rcml": torch.expm1,
    "qmf": lambda h: h,
    "reconboost": lambda h: h,
}


def test_only_what_weighs_one_modality_by_another_is_not_additive() -> None:
    assert {name for name in LATE if FUSIONS.get(name).interaction != "additive"} == {"dbf", "pdf"} == {*LATE} - {*SUMS}


@pytest.mark.parametrize("name", list(SUMS))
def test_late_fusions_are_additive_on_their_scale_and_cannot_solve_xor(name: str) -> None:
    fusion = made(name, "classes", hidden_layers=1)
    assert fusion.interaction == "additive"
    a, b = (make_encoded(COUNT, 4, seed=s, dtype=torch.float64) for s in (1, 2))
    every = torch.ones(4, COUNT, dtype=torch.bool)

    def h(left: list[Encoded], right: list[Encoded]) -> torch.Tensor:
        return SUMS[name](fusion([left[0], right[1], left[2]], every).fused_BD)

    same_third = [b[0], b[1], a[2]]
    assert (h(a, a) - h(a, b) - h(same_third, a) + h(same_third, b)).abs().max() < 1e-12
    assert (h(a, a) - h(a, b)).abs().max() > 1e-3
    # A sum f(a) + g(b) gets at most three of the four cells right, whatever its predictors are and learn from.
    assert xor_accuracy(name, {"hidden_layers": 1} | ({} if name == "reconboost" else {"joint": True})) <= 0.76


@pytest.mark.parametrize("kind", ["labels", "number"])
@pytest.mark.parametrize("name", [n for n in LATE if n not in CLASSES_ONLY])
def test_other_outputs_are_exact_for_missing_modalities(name: str, kind: str) -> None:
    fusion = made(name, kind)
    present_BM = patterns(COUNT)
    clean = make_encoded(COUNT, len(present_BM), dtype=torch.float64)
    dirty = [Encoded(e.vector_BD.clone(), e.tokens_BTD, e.mask_BT) for e in clean]
    for m, item in enumerate(dirty):
        item.vector_BD[~present_BM[:, m]] = float("inf")
    a, b = fusion(clean, present_BM), fusion(dirty, present_BM)
    assert torch.isfinite(a.fused_BD).all() and torch.equal(a.fused_BD, b.fused_BD)
    assert torch.equal(a.modality_logits_BMC, b.modality_logits_BMC)
    a.fused_BD.pow(2).sum().backward()
    assert all(torch.isfinite(p.grad).all() and p.grad.abs().sum() > 0 for p in fusion.parameters())
