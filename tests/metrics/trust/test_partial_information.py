"""Redundancy, unique shares and synergy of tables whose shares are known."""

from __future__ import annotations

import numpy as np
import pytest

from plait.metrics.trust.partial_information import information, joint_counts, partial_information


def joint(rows: list[tuple[int, int, int]]) -> np.ndarray:
    return joint_counts(*np.array(rows).T)


BITS = [(a, b) for a in (0, 1) for b in (0, 1)]
KNOWN = {
    "xor": ([(a, b, a ^ b) for a, b in BITS], (0.0, 0.0, 0.0, 1.0)),
    "and": ([(a, b, a & b) for a, b in BITS], (0.3113, 0.0, 0.0, 0.5)),  # Bertschinger et al. 2014, table 1
    "copy": ([(a, a, a) for a in (0, 1)], (1.0, 0.0, 0.0, 0.0)),
    "first": ([(a, b, a) for a, b in BITS], (0.0, 1.0, 0.0, 0.0)),
    "second": ([(a, b, b) for a, b in BITS], (0.0, 0.0, 1.0, 0.0)),
    "both": ([(a, b, 2 * a + b) for a, b in BITS], (0.0, 1.0, 1.0, 0.0)),
}


@pytest.mark.parametrize("name", KNOWN)
def test_known_shares(name: str) -> None:
    rows, shares = KNOWN[name]
    assert partial_information(joint(rows)) == pytest.approx(shares, abs=2e-4)


def test_the_shares_add_up_to_what_both_say() -> None:
    for seed in range(5):
        made = np.random.default_rng(seed).dirichlet(np.ones(36)).reshape(4, 3, 3)
        found = partial_information(made)
        assert found.total == pytest.approx(information(made.reshape(-1, 3)), abs=1e-3) and min(found) >= 0
        assert found.redundancy + found.unique_1 == pytest.approx(information(made.sum(axis=1)), abs=1e-6)


def test_what_is_no_joint_distribution_is_refused() -> None:
    with pytest.raises(ValueError, match="adding up to 1"):
        partial_information(np.ones((2, 2, 2)))
