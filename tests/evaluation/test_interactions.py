"""Should these be fused? On tables whose answer was planted: the same twice, one alone, exclusive or."""

from __future__ import annotations

import numpy as np
import pytest


def planted(how: str, rows: int = 400) -> tuple[dict[str, np.ndarray], np.ndarray]:
    draw = np.random.default_rng(0)
    a, b = draw.integers(0, 2, (2, rows))
    first, second, label = {"alike": (a, a, a), "first": (a, b, a), "xor": (a, b, a ^ b)}[how]
    noise = draw.normal(0, 0.3, (2, rows, 4))
    return {"one": noise[0] + first[:, None], "two": noise[1] + second[:, None]}, label


@pytest.mark.parametrize(("how", "share", "said"), [
    ("alike", "redundancy", "either is enough"),
    ("first", "unique", "one says all that both say"),
    ("xor", "synergy", "only in both together"),
])  # fmt: skip
def test_planted_tables(how: str, share: str, said: str) -> None:
    from plait.evaluation.interactions import interaction_shares

    features, label = planted(how)
    (found,) = interaction_shares(features, np.ones((400, 2), dtype=bool), label, 2)
    shares = {"redundancy": found["redundancy"], "unique": found["unique"]["one"], "synergy": found["synergy"]}
    assert max(shares, key=lambda name: shares[name]) == share and shares[share] > 0.7
    assert said in found["sentence"] and found["unique"]["two"] < 0.1


def test_pairs_are_ranked_in_a_table() -> None:
    from plait.evaluation.interactions import interaction_shares, interactions_table

    xor, label = planted("xor")
    noise = np.random.default_rng(3).normal(size=xor["one"].shape)
    features = {"one": xor["one"], "noise": noise, "two": xor["two"]}
    found = interaction_shares(features, np.ones((400, 3), dtype=bool), label, 2)
    assert found[0]["pair"] == ["one", "two"] and len(found) == 3
    assert [one["synergy"] for one in found] == sorted((one["synergy"] for one in found), reverse=True)
    lines = interactions_table(found).splitlines()
    assert len(lines) == 8 and lines[2].split()[:4] == ["one", "+", "two", "400"] and max(map(len, lines)) <= 120
    assert "fuse them" in lines[3]
