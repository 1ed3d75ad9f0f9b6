"""Tensor, low-rank and pairwise bilinear fusions against numpy transcriptions of their equations."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
import torch
from test_equations import affine, norm, parameters

from fixtures.encoded import WIDTH, make_encoded, make_fusion, patterns
from plait.encoders.base import Encoded
from plait.fusion import FUSIONS, EncodedDims
from plait.fusion.mcb import CompactPair
from plait.fusion.power import power_normalise

State = dict[str, np.ndarray]
Pair = Callable[[State, str, np.ndarray, np.ndarray, dict], np.ndarray]


def tensor_row(p: State, x: list[np.ndarray], there: list[int], options: dict) -> np.ndarray:
    cells = np.ones(())
    for m, vector in enumerate(x):
        small = affine(p, f"squeeze.{m}.linear", norm(vector)) if m in there else np.zeros(options["squeeze"])
        cells = np.multiply.outer(cells, np.append(small, 1.0))
    return affine(p, "out", cells.ravel())


def low_rank_row(p: State, x: list[np.ndarray], there: list[int], options: dict) -> np.ndarray:
    total = p["bias_D"].copy()
    for r in range(options["rank"]):
        product = p["weights_R"][r] * np.ones(WIDTH)
        for m, vector in enumerate(x):
            content = norm(vector) if m in there else np.zeros_like(vector)
            rows = slice(r * WIDTH, (r + 1) * WIDTH)
            factor = np.column_stack([p[f"factors.{m}.linear.weight"], p[f"factors.{m}.linear.bias"]])[rows]
            product = product * (factor @ np.append(content, 1.0))
        total = total + product
    return total


def power(z: np.ndarray) -> np.ndarray:
    u = np.sign(z) * np.abs(z) / np.sqrt(np.abs(z) + 1e-3)
    return u / np.sqrt((u**2).sum() / len(u) + 1e-5)


def mfb_pair(p: State, at: str, a: np.ndarray, b: np.ndarray, options: dict) -> np.ndarray:
    e, k = affine(p, f"{at}.left", a) * affine(p, f"{at}.right", b), options["factors"]
    return power(np.array([e[i * k : (i + 1) * k].sum() for i in range(WIDTH)]))


def mfh_pair(p: State, at: str, a: np.ndarray, b: np.ndarray, options: dict) -> np.ndarray:
    e, k, blocks = np.ones(WIDTH * options["factors"]), options["factors"], []
    for i in range(options["order"]):
        e = affine(p, f"{at}.blocks.{i}.left", a) * affine(p, f"{at}.blocks.{i}.right", b) * e
        blocks.append(power(np.array([e[j * k : (j + 1) * k].sum() for j in range(WIDTH)])))
    return affine(p, f"{at}.out", np.concatenate(blocks))


def tucker_pair(p: State, at: str, a: np.ndarray, b: np.ndarray, options: dict) -> np.ndarray:
    """The bilinear form written out with its full core tensor, chunk by chunk."""
    reduced_a, reduced_b = affine(p, f"{at}.left", a), affine(p, f"{at}.right", b)
    chunks, rank = options.get("chunks", 1), options["rank"]
    size = options["core"] // chunks
    z = np.zeros(options["core"])
    for c in range(chunks):
        part = slice(c * size, (c + 1) * size)
        left = np.vstack([p[f"{at}.left_CSE"][c], p[f"{at}.left_bias_CE"][c]])  # the bias is the row of a 1
        right = np.vstack([p[f"{at}.right_CSE"][c], p[f"{at}.right_bias_CE"][c]])
        for s in range(size):
            columns = [r * size + s for r in range(rank)]
            core = left[:, columns] @ right[:, columns].T
            z[c * size + s] = np.append(reduced_a[part], 1.0) @ core @ np.append(reduced_b[part], 1.0)
    return affine(p, f"{at}.out", z)


def explicit_sketch(a: np.ndarray, b: np.ndarray, p: State, at: str, size: int) -> np.ndarray:
    """Count sketch of the outer product: bucket (h_1(i) + h_2(j)) mod size, sign s_1(i) s_2(j)."""
    z = np.zeros(size)
    for i in range(len(a)):
        for j in range(len(b)):
            bucket = int(p[f"{at}left.bucket_D"][i] + p[f"{at}right.bucket_D"][j]) % size
            z[bucket] += p[f"{at}left.sign_D"][i] * p[f"{at}right.sign_D"][j] * a[i] * b[j]
    return z


def mcb_pair(p: State, at: str, a: np.ndarray, b: np.ndarray, options: dict) -> np.ndarray:
    return affine(p, f"{at}.out", power(explicit_sketch(a, b, p, f"{at}.", options["sketch"])))


def mean_over_pairs(pair: Pair) -> Callable:
    def row(p: State, x: list[np.ndarray], there: list[int], options: dict) -> np.ndarray:
        content = [norm(v) if m in there else p[f"pairwise.absent.{m}"] for m, v in enumerate(x)]
        members = [(0, 0)] if len(x) == 1 else list(combinations(range(len(x)), 2))
        fused = [pair(p, f"pairwise.methods.{i}", content[a], content[b], options) for i, (a, b) in enumerate(members)]
        held = [sum(m in there for m in set(pair)) for pair in members]
        counted = [f for f, h in zip(fused, held, strict=True) if h == max(held)]  # complete, else half, else all
        return sum(counted) / len(counted)

    return row


ROWS = {
    "tensor": tensor_row,
    "low_rank": low_rank_row,
    "mfb": mean_over_pairs(mfb_pair),
    "mfh": mean_over_pairs(mfh_pair),
    "mutan": mean_over_pairs(tucker_pair),
    "block": mean_over_pairs(tucker_pair),
    "mcb": mean_over_pairs(mcb_pair),
}
SMALL = {
    "tensor": {"squeeze": 3},
    "low_rank": {"rank": 3},
    "mfb": {"factors": 2},
    "mfh": {"order": 3, "factors": 2},
    "mutan": {"core": 6, "rank": 3},
    "block": {"core": 6, "chunks": 3, "rank": 2},
    "mcb": {"sketch": 37},
}


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("name", ROWS)
def test_equation(name: str, count: int) -> None:
    fusion = make_fusion(name, count, torch.float64, **SMALL[name])
    present_BM = patterns(count)
    encoded = make_encoded(count, len(present_BM), dtype=torch.float64)
    got_BD = fusion(encoded, present_BM).fused_BD.detach().numpy()
    p = parameters(fusion) | {k: v.numpy() for k, v in fusion.named_buffers()}
    for row, pattern in enumerate(present_BM.tolist()):
        there = [m for m in range(count) if pattern[m]]
        wanted_D = ROWS[name](p, [e.vector_BD[row].numpy() for e in encoded], there, SMALL[name])
        np.testing.assert_allclose(got_BD[row], wanted_D, rtol=1e-11, atol=1e-11)


def test_tensor_refuses_what_is_too_large_and_says_what_to_type() -> None:
    four = [EncodedDims(5)] * 4
    message = r"4 modalities with squeeze=16 has \(16 \+ 1\)\^4 = 83521 cells, more than max_size=16384; use squeeze=10"
    with pytest.raises(ValueError, match=message):
        FUSIONS.get("tensor")(four, WIDTH)
    FUSIONS.get("tensor")(four, WIDTH, squeeze=10)
    FUSIONS.get("tensor")([EncodedDims(5)] * 2, WIDTH, squeeze=4, max_size=25)
    with pytest.raises(ValueError, match=r"= 36 cells, more than max_size=25; use squeeze=4, or allow .* max_size=36"):
        FUSIONS.get("tensor")([EncodedDims(5)] * 2, WIDTH, squeeze=5, max_size=25)
    with pytest.raises(ValueError, match="use fusion 'low_rank', or allow it with max_size=8"):
        FUSIONS.get("tensor")([EncodedDims(5)] * 3, WIDTH, squeeze=1, max_size=7)


def test_tensor_without_a_modality_is_the_slice_of_its_one() -> None:
    """With weight on cells of the first two modalities alone, the third may come or go."""
    fusion = make_fusion("tensor", 3, torch.float64, squeeze=3)
    with torch.no_grad():
        fusion.out.weight.view(WIDTH, 4, 4, 4)[..., :3] = 0.0
    encoded = make_encoded(3, 5, dtype=torch.float64)
    all_there = torch.ones(5, 3, dtype=torch.bool)
    without = torch.tensor([[True, True, False]] * 5)
    assert torch.equal(fusion(encoded, all_there).fused_BD, fusion(encoded, without).fused_BD)


def test_low_rank_is_tensor_fusion_with_a_weight_of_that_rank() -> None:
    count, size, rank = 3, 4, 2
    same = [EncodedDims(size)] * count
    torch.manual_seed(3)
    low = FUSIONS.get("low_rank")(same, WIDTH, rank=rank, normalise=False).double()
    full = FUSIONS.get("tensor")(same, WIDTH, squeeze=size, normalise=False).double()
    factors = []  # each [R, h, d + 1], the 1 last
    with torch.no_grad():
        low.bias_D.normal_()
        low.weights_R.normal_()
        for factor, squeeze in zip(low.factors, full.squeeze, strict=True):
            squeeze.linear.weight.copy_(torch.eye(size))
            squeeze.linear.bias.zero_()
            joined = torch.cat([factor.linear.weight, factor.linear.bias[:, None]], dim=1)
            factors.append(joined.view(rank, WIDTH, size + 1))
        weight = torch.einsum("r,rhi,rhj,rhk->hijk", low.weights_R, *factors)
        full.out.weight.copy_(weight.flatten(1))
        full.out.bias.copy_(low.bias_D)
    present_BM = patterns(count)
    encoded = [Encoded(torch.randn(len(present_BM), size).double(), None, None) for _ in range(count)]
    torch.testing.assert_close(
        low(encoded, present_BM).fused_BD, full(encoded, present_BM).fused_BD, rtol=0, atol=1e-12
    )


def test_low_rank_product_neither_vanishes_nor_explodes() -> None:
    torch.manual_seed(0)
    for count in (1, 2, 4, 8):
        fusion = FUSIONS.get("low_rank")([EncodedDims(64)] * count, 256)
        encoded = [Encoded(torch.randn(256, 64), None, None) for _ in range(count)]
        scale = fusion(encoded, torch.ones(256, count, dtype=torch.bool)).fused_BD.pow(2).mean().sqrt()
        assert 0.5 < scale < 2.0, (count, scale)


@pytest.mark.parametrize("size", [16, 17])
def test_transform_is_the_count_sketch_of_the_outer_product(size: int) -> None:
    torch.manual_seed(2)
    pair = CompactPair(5, 6, WIDTH, size).double()
    a, b = torch.randn(3, 5).double(), torch.randn(3, 6).double()
    p = {k: v.numpy() for k, v in pair.named_buffers()}
    wanted = [explicit_sketch(a[i].numpy(), b[i].numpy(), p, "", size) for i in range(3)]
    np.testing.assert_allclose(pair.pool(a, b).numpy(), wanted, rtol=0, atol=1e-12)


def test_sketch_keeps_inner_products_on_average() -> None:
    """E <Psi x, Psi y> = <x, y> (Charikar et al. 2002), here for the outer product: <x, y>^2."""
    torch.manual_seed(0)
    x, y = torch.randn(2, 6).double()
    got = []
    for _ in range(3000):
        z = CompactPair(6, 6, 1, 32).double().pool(torch.stack([x, y]), torch.stack([x, y]))
        got.append(float(z[0] @ z[1]))
    error = np.std(got) / len(got) ** 0.5
    assert abs(np.mean(got) - float((x @ y) ** 2)) < 4 * error


def test_sketch_is_saved_and_differs_from_pair_to_pair() -> None:
    fusion = make_fusion("mcb", 3, sketch=64)
    saved = fusion.state_dict()
    buckets = {k: v for k, v in saved.items() if k.endswith("bucket_D")}
    signs = [v for k, v in saved.items() if k.endswith("sign_D")]
    assert len(buckets) == len(signs) == 6
    assert all(((s == 1) | (s == -1)).all() for s in signs)
    first, second = (buckets[f"pairwise.methods.{i}.left.bucket_D"] for i in (0, 1))  # both of modality 0
    assert not torch.equal(first, second)


def test_mutan_is_block_with_one_chunk() -> None:
    mutan = make_fusion("mutan", 2, torch.float64, core=6, rank=2)
    block = make_fusion("block", 2, torch.float64, core=6, rank=2, chunks=1)
    block.load_state_dict(mutan.state_dict())
    encoded, present_BM = make_encoded(2, 4, dtype=torch.float64), patterns(2)
    assert torch.equal(mutan(encoded, present_BM).fused_BD, block(encoded, present_BM).fused_BD)


def test_power_normalisation_has_a_bounded_slope_and_no_dead_zero() -> None:
    z = torch.tensor([[4.0, -9.0, 0.0, 1e-12, 16.0]], dtype=torch.float64, requires_grad=True)
    got = power_normalise(z)
    u = np.array([2.0, -3.0, 0.0, 0.0, 4.0])
    np.testing.assert_allclose(got.detach().numpy()[0], u / np.sqrt((u**2).mean()), atol=2e-4)
    got[0, 2].backward()
    assert 1.0 < z.grad[0, 2] < 32.0
    nothing = torch.zeros(2, 5, requires_grad=True)
    power_normalise(nothing).sum().backward()
    assert torch.isfinite(nothing.grad).all() and nothing.grad.abs().max() < 1e5


@pytest.mark.parametrize("name", ["mfb", "mfh", "mutan", "block", "mcb"])
def test_pairs_that_are_there_are_averaged_and_each_has_its_own_parameters(name: str) -> None:
    """Three modalities: the mean of the two-modality fusions that hold the same parameters and have both sides."""
    count = 3
    whole = make_fusion(name, count, torch.float64, **SMALL[name])
    encoded, present_BM = make_encoded(count, 8, dtype=torch.float64), patterns(count)
    total, count_B1 = torch.zeros(8, WIDTH, dtype=torch.float64), torch.zeros(8, 1)
    most_B1 = present_BM.sum(1, keepdim=True).clamp(max=2)
    for i, (a, b) in enumerate(combinations(range(count), 2)):
        two = FUSIONS.get(name)([whole.dims[a], whole.dims[b]], WIDTH, **SMALL[name]).double()
        two.pairwise.methods[0].load_state_dict(whole.pairwise.methods[i].state_dict())
        for here, there in enumerate((a, b)):
            two.pairwise.absent[here] = whole.pairwise.absent[there]
        counts_B1 = present_BM[:, [a, b]].sum(1, keepdim=True) == most_B1
        total = total + counts_B1 * two([encoded[a], encoded[b]], present_BM[:, [a, b]]).fused_BD
        count_B1 = count_B1 + counts_B1
    assert count_B1[:, 0].tolist() == [3, 1, 1, 2, 1, 2, 2, 3]
    torch.testing.assert_close(whole(encoded, present_BM).fused_BD, total / count_B1, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("tensor", {"squeeze": 0}, "squeeze must be a whole number, 1 or more; got 0"),
        ("low_rank", {"rank": 1.5}, "rank must be a whole number, 1 or more; got 1.5"),
        ("mfb", {"factors": True}, "factors must be a whole number, 1 or more; got True"),
        ("mfh", {"order": -1}, "order must be a whole number, 1 or more; got -1"),
        ("mutan", {"core": "8"}, "core must be a whole number, 1 or more; got '8'"),
        ("block", {"core": 10, "chunks": 4}, "multiple of chunks, got core=10 and chunks=4; use core=8"),
        ("mcb", {"sketch": 0}, "sketch must be a whole number, 1 or more; got 0"),
        ("mmtm", {"ratio": 0}, "ratio must be a whole number, 1 or more; got 0"),
    ],
)
def test_bad_options_are_refused(name: str, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_fusion(name, 2, **options)


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("name", [*ROWS, "film", "mmtm"])
def test_fused_vector_starts_with_a_scale_of_about_one(name: str, count: int) -> None:
    torch.manual_seed(0)
    widths = (384, 1280, 20)[:count]
    fusion = FUSIONS.get(name)([EncodedDims(w) for w in widths], 256).eval()
    encoded = [Encoded(torch.randn(64, w), None, None) for w in widths]
    with torch.no_grad():
        full_BD = fusion(encoded, torch.ones(64, count, dtype=torch.bool)).fused_BD
    assert 0.25 < full_BD.std(0).mean() < 2.0  # how much rows differ
    assert full_BD.abs().mean() < 3.0
