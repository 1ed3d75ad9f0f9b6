"""Attention fusions and the mixture over subsets: numpy transcriptions, XOR, options, and what they look at."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fixtures.encoded import WIDTH, dims, make_encoded, make_fusion, patterns
from fixtures.numpy_steps import affine, gelu, norm, parameters, softmax
from fixtures.planted_xor import xor_accuracy
from plait.encoders.base import Encoded
from plait.fusion import FUSIONS, EncodedDims
from plait.fusion.mixture_of_experts import load_balance

VARIANTS = [
    ("self_attention", {"layers": 2, "heads": 4}, 3),
    ("self_attention", {"layers": 1, "heads": 1}, 1),
    ("cross_attention", {"layers": 1, "heads": 4, "memory_layers": 0}, 3),
    ("cross_attention", {"layers": 2, "heads": 2, "memory_layers": 2}, 2),
    ("cross_attention", {"layers": 1, "heads": 2, "memory_layers": 1}, 3),
    ("cross_attention", {"layers": 1, "heads": 2, "memory_layers": 0}, 1),
    ("bottleneck", {"layers": 2, "heads": 4, "num_bottlenecks": 4}, 3),
    ("bottleneck", {"layers": 3, "heads": 2, "num_bottlenecks": 1}, 2),
    ("perceiver", {"layers": 2, "heads": 4, "num_latents": 16}, 3),
    ("perceiver", {"layers": 0, "heads": 2, "num_latents": 3}, 2),
    ("mixture_of_experts", {}, 3),
    ("mixture_of_experts", {}, 1),
]
IDS = [f"{n}-{m}-{'-'.join(map(str, o.values()))}" for n, o, m in VARIANTS]
TOKEN_NAMES = ["cross_attention", "bottleneck", "perceiver"]


def scaled_norm(p: dict, name: str, x: np.ndarray) -> np.ndarray:
    return norm(x) * p[f"{name}.weight"] + p[f"{name}.bias"]


def layer(p: dict, name: str, heads: int, x_TD: np.ndarray, context_KD: np.ndarray | None = None) -> np.ndarray:
    """A pre-norm layer over real tokens only; an empty context adds nothing."""
    context_KD = x_TD if context_KD is None else context_KD
    if len(context_KD):
        q_TD = affine(p, f"{name}.attention.query", scaled_norm(p, f"{name}.norm_read", x_TD))
        source_KD = scaled_norm(p, f"{name}.norm_read", context_KD)
        k_KD, v_KD = affine(p, f"{name}.attention.key", source_KD), affine(p, f"{name}.attention.value", source_KD)
        size = q_TD.shape[1] // heads
        parts = []
        for h in range(heads):
            part = slice(h * size, (h + 1) * size)
            parts.append(softmax(q_TD[:, part] @ k_KD[:, part].T / np.sqrt(size), axis=1) @ v_KD[:, part])
        x_TD = x_TD + affine(p, f"{name}.attention.out", np.concatenate(parts, axis=1))
    hidden_TD = gelu(affine(p, f"{name}.feed.0", scaled_norm(p, f"{name}.norm_feed", x_TD)))
    return x_TD + affine(p, f"{name}.feed.2", hidden_TD)


def sequence(p: dict, m: int, x: np.ndarray, tokens_TD: np.ndarray) -> np.ndarray:
    vector_1D = affine(p, f"sequences.vectors.{m}.linear", norm(x))[None]
    return np.concatenate([vector_1D, affine(p, f"sequences.tokens.{m}.linear", norm(tokens_TD))])


def self_attention_row(p: dict, x: list, there: list[int], tokens: list, layers: int, heads: int) -> np.ndarray:
    rows = [affine(p, f"project.{m}.linear", norm(x[m])) + p["embedding_MD"][m] for m in there]
    state_TD = np.stack([p["summary_D"], *rows])
    for n in range(layers):
        state_TD = layer(p, f"layers.{n}", heads, state_TD)
    return scaled_norm(p, "norm", state_TD[0])


def cross_attention_row(
    p: dict, x: list, there: list[int], tokens: list, layers: int, heads: int, memory_layers: int
) -> np.ndarray:
    count = len(x)
    own = {m: sequence(p, m, x[m], tokens[m]) for m in there}
    summaries = []
    for a in range(count):
        if a not in there:
            summaries.append(np.zeros(WIDTH * max(count - 1, 1)))
            continue
        streams = [own[a]] if count == 1 else []
        for b in [b for b in range(count) if b != a]:
            z_TD = own[a]
            for n in range(layers):
                z_TD = layer(p, f"pairs.{a}_{b}.{n}", heads, z_TD, own.get(b, np.zeros((0, WIDTH))))
            streams.append(z_TD)
        z_TD = np.concatenate(streams, axis=1)
        for n in range(memory_layers):
            z_TD = layer(p, f"memory.{a}.{n}", heads, z_TD)
        summaries.append(scaled_norm(p, f"norms.{a}", z_TD.mean(0)))
    return affine(p, "out", np.concatenate(summaries))


def bottleneck_row(
    p: dict, x: list, there: list[int], tokens: list, layers: int, heads: int, num_bottlenecks: int
) -> np.ndarray:
    if not there:
        return np.zeros(WIDTH)
    streams = {m: sequence(p, m, x[m], tokens[m]) for m in there}
    shared_ND = p["bottleneck_ND"]
    for n in range(layers):
        joint = {m: layer(p, f"layers.{n}.{m}", heads, np.concatenate([shared_ND, streams[m]])) for m in there}
        shared_ND = np.mean([joint[m][:num_bottlenecks] for m in there], axis=0)
        streams = {m: joint[m][num_bottlenecks:] for m in there}
    return np.mean([scaled_norm(p, "norm", streams[m][0]) for m in there], axis=0)


def perceiver_row(
    p: dict, x: list, there: list[int], tokens: list, layers: int, heads: int, num_latents: int
) -> np.ndarray:
    parts = [sequence(p, m, x[m], tokens[m]) + p["sequences.embedding_MD"][m] for m in there]
    assert p["latent_ND"].shape == (num_latents, WIDTH)
    z_ND = layer(p, "read", heads, p["latent_ND"], np.concatenate([*parts, np.zeros((0, WIDTH))]))
    for n in range(layers):
        z_ND = layer(p, f"layers.{n}", heads, z_ND)
    return scaled_norm(p, "norm", z_ND).mean(0)


def subsets_of(count: int) -> list[list[int]]:
    every = [[m for m in range(count) if bits >> m & 1] for bits in range(1, 2**count)]
    return sorted(every, key=lambda s: (len(s), s))


def mixture_row(p: dict, x: list, there: list[int], tokens: list) -> np.ndarray:
    if not there:
        return p["absent_D"]
    subsets = subsets_of(len(x))
    blocks = [norm(v) if m in there else np.zeros_like(v) for m, v in enumerate(x)]
    seen = np.concatenate([*blocks, [float(m in there) for m in range(len(x))]])
    logits = affine(p, "gate", seen) if "gate.weight" in p else np.zeros(1)
    open_ones = [i for i, s in enumerate(subsets) if set(s) <= set(there)]
    total = np.zeros(WIDTH)
    for gate, i in zip(softmax(logits[open_ones]), open_ones, strict=True):
        joined = np.concatenate([blocks[m] for m in subsets[i]])
        total = total + gate * affine(p, f"experts.{i}.2", gelu(affine(p, f"experts.{i}.0", joined)))
    return total


ROWS = {
    "self_attention": self_attention_row,
    "cross_attention": cross_attention_row,
    "bottleneck": bottleneck_row,
    "perceiver": perceiver_row,
    "mixture_of_experts": mixture_row,
}


@pytest.mark.parametrize(("name", "options", "count"), VARIANTS, ids=IDS)
def test_equation(name: str, options: dict, count: int) -> None:
    fusion = make_fusion(name, count, torch.float64, **options)
    present_BM = patterns(count)
    encoded = make_encoded(count, len(present_BM), dtype=torch.float64)
    got_BD = fusion(encoded, present_BM).fused_BD.detach().numpy()
    p = parameters(fusion)
    for row, pattern in enumerate(present_BM.tolist()):
        there = [m for m in range(count) if pattern[m]]
        x = [e.vector_BD[row].numpy() for e in encoded]
        tokens = [e.tokens_BTD[row][e.mask_BT[row]].numpy() for e in encoded]
        np.testing.assert_allclose(got_BD[row], ROWS[name](p, x, there, tokens, **options), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ROWS)
def test_interacting_fusions_solve_xor(name: str) -> None:
    assert xor_accuracy(name, {}) > 0.97


@pytest.mark.parametrize("name", TOKEN_NAMES)
def test_a_modality_without_tokens_is_a_sequence_of_one(name: str) -> None:
    torch.manual_seed(0)
    both = dims(2)
    fusion = FUSIONS.get(name)([both[0], EncodedDims(both[1].vector_dim)], WIDTH).double()
    encoded = make_encoded(2, 4, dtype=torch.float64)
    present_BM = patterns(2)
    given = [encoded[0], Encoded(encoded[1].vector_BD, None, None)]
    out = fusion(given, present_BM)
    assert torch.isfinite(out.fused_BD).all()
    assert out.attention[1] is None and out.attention[0].shape == (4, 4)
    torch.testing.assert_close(fusion(encoded, present_BM).fused_BD, out.fused_BD)  # tokens it has no weights for
    # tokens that exist but are not there for once: the vector speaks alone
    assert torch.isfinite(fusion([Encoded(encoded[0].vector_BD, None, None), given[1]], present_BM).fused_BD).all()


@pytest.mark.parametrize("name", TOKEN_NAMES)
def test_a_missing_mask_means_that_all_tokens_are_real(name: str) -> None:
    fusion, present_BM = make_fusion(name, 2, torch.float64), patterns(2)
    encoded = make_encoded(2, 4, dtype=torch.float64)
    bare = [Encoded(e.vector_BD, e.tokens_BTD, None) for e in encoded]
    full = [Encoded(e.vector_BD, e.tokens_BTD, torch.ones_like(e.mask_BT)) for e in encoded]
    assert torch.equal(fusion(bare, present_BM).fused_BD, fusion(full, present_BM).fused_BD)


def test_attention_of_others_falls_on_the_token_that_answers_them() -> None:
    """Hand-made weights: queries and keys are the tokens, so the one that equals the query is looked at."""
    fusion = FUSIONS.get("cross_attention")([EncodedDims(2), EncodedDims(2, 2)], 2, heads=1, normalise=False).double()
    with torch.no_grad():
        for linear in [s.linear for s in [*fusion.sequences.vectors, *fusion.sequences.tokens.values()]]:
            linear.weight.copy_(torch.eye(2))
            linear.bias.zero_()
        attention = fusion.pairs["0_1"][0].attention
        for linear in (attention.query, attention.key):
            linear.weight.copy_(4 * torch.eye(2))
        attention.query.bias.zero_()
    question = torch.tensor([[1.0, -1.0], [-1.0, 1.0]], dtype=torch.float64)
    tokens_BTD = torch.tensor([[[1.0, -1.0], [-1.0, 1.0]]] * 2, dtype=torch.float64)
    encoded = [Encoded(question, None, None), Encoded(torch.zeros(2, 2).double(), tokens_BTD, None)]
    seen_BT = fusion(encoded, torch.ones(2, 2, dtype=torch.bool)).attention[1]
    assert seen_BT.argmax(1).tolist() == [0, 1] and (seen_BT.max(1).values > 0.99).all()
    alone_BT = fusion(encoded, torch.tensor([[False, True]] * 2)).attention[1]
    assert alone_BT.tolist() == [[0.5, 0.5]] * 2  # nobody asks


def test_mixture_weights_are_the_gate_mass_of_each_modality() -> None:
    fusion = make_fusion("mixture_of_experts", 2, torch.float64)
    encoded = make_encoded(2, 1, dtype=torch.float64)
    with torch.no_grad():
        fusion.gate.weight.zero_()
        fusion.gate.bias.copy_(torch.log(torch.tensor([0.5, 0.2, 0.3])))  # {0}, {1}, {0, 1}
    weights_BM = fusion(encoded, torch.ones(1, 2, dtype=torch.bool)).weights_BM
    # mass 0.5 + 0.3 and 0.2 + 0.3, over 1.3
    np.testing.assert_allclose(weights_BM.detach().numpy(), [[0.8 / 1.3, 0.5 / 1.3]], atol=1e-7)
    assert fusion.subsets == [(0,), (1,), (0, 1)]
    assert len(make_fusion("mixture_of_experts", 6).subsets) == 63


def test_load_balance_is_the_switch_loss_where_all_experts_are_open() -> None:
    gates_BS = torch.softmax(torch.randn(50, 7, generator=torch.Generator().manual_seed(0)).double(), 1)
    share = np.bincount(gates_BS.argmax(1).numpy(), minlength=7) / 50
    wanted = 7 * (share * gates_BS.numpy().mean(0)).sum()  # N sum_i f_i P_i
    assert load_balance(gates_BS, torch.ones(50, 7, dtype=torch.bool)).item() == pytest.approx(wanted, rel=1e-9)
    alone = torch.eye(7).double()[[3] * 50]
    assert load_balance(alone, torch.ones(50, 7, dtype=torch.bool)).item() == pytest.approx(7.0)


def test_rows_that_can_go_one_way_only_are_in_balance() -> None:
    open_BS = torch.tensor([[True, False, False]] * 5 + [[True, True, True]] * 3 + [[False] * 3] * 2)
    gates_BS = torch.zeros(10, 3).double()
    gates_BS[:5, 0] = 1.0
    gates_BS[[5, 6, 7], [0, 1, 2]] = 1.0
    assert load_balance(gates_BS, open_BS).item() == pytest.approx(1.0)
    gates_BS[5:8] = torch.tensor([1.0, 0.0, 0.0]).double()  # all to the expert that has the forced rows too
    assert load_balance(gates_BS, open_BS).item() == pytest.approx(8 / 8 * 1.0 / (6 / 8))


def test_balance_is_a_term_of_the_training_loss_alone_and_shares_the_work() -> None:
    from fixtures.tiny_models import build_model, encoded_modalities

    present, target = torch.ones(64, 2, dtype=torch.bool), torch.arange(64) % 2
    torch.manual_seed(0)
    inputs = {n: {"vector_BD": torch.randn(64, 4)} for n in ("a", "b")}
    for balance in (0.0, 0.5):
        torch.manual_seed(1)
        model = build_model(encoded_modalities({"a": 4, "b": 4}), "mixture_of_experts", options={"balance": balance})
        with torch.no_grad():
            model.fusion.gate.bias.copy_(torch.tensor([5.0, 0.0, 0.0]))  # collapsed on the first expert
        encoded = model.encode(inputs)
        assert model.eval().fusion(encoded, present).regulariser is None
        quiet = float(model(inputs, present, target)["loss"].detach())
        loud = float(model.train()(inputs, present, target)["loss"].detach())
        assert loud - quiet == pytest.approx(3 * balance, rel=0.1)  # N = 3 where one expert has it all
    optimizer = torch.optim.Adam(model.fusion.gate.parameters(), lr=0.1)
    for _ in range(100):
        optimizer.zero_grad()
        model.fusion(encoded, present).regulariser.backward()
        optimizer.step()
    assert float(model.fusion(encoded, present).regulariser.detach()) == pytest.approx(0.5, abs=0.05)  # even
    for value in (-0.1, float("nan"), True, "much"):
        with pytest.raises(ValueError, match="balance is the weight of a term of the loss, 0 or more; got"):
            make_fusion("mixture_of_experts", 2, balance=value)


@pytest.mark.parametrize("name", ROWS)
def test_normalise_and_dropout_change_what_comes_out(name: str) -> None:
    present_BM = torch.ones(4, 3, dtype=torch.bool)
    encoded = make_encoded(3, 4)
    plain, raw = make_fusion(name, 3), make_fusion(name, 3, normalise=False)
    raw.load_state_dict(plain.state_dict())
    assert not torch.allclose(plain(encoded, present_BM).fused_BD, raw(encoded, present_BM).fused_BD)
    loud = [Encoded(7 * e.vector_BD, 7 * e.tokens_BTD, e.mask_BT) for e in encoded]
    quiet_BD, loud_BD = plain(encoded, present_BM).fused_BD, plain(loud, present_BM).fused_BD
    torch.testing.assert_close(loud_BD, quiet_BD, rtol=0, atol=1e-3)  # the scale of an encoder does not matter
    dropping = make_fusion(name, 3, dropout=0.5).train()
    assert not torch.equal(dropping(encoded, present_BM).fused_BD, dropping(encoded, present_BM).fused_BD)
