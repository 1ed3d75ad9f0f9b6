"""The solver's own BLAS keeps to one thread, whose spinning would take the cores of NumPy's products."""

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from plait.ensemble.glm import linear_path


def test_solver_has_one_thread_of_scipys_blas_and_gives_the_others_back(monkeypatch: pytest.MonkeyPatch) -> None:
    import scipy.optimize

    minimize, seen = scipy.optimize.minimize, []

    def watched(*args: object, **options: object) -> object:
        seen.append(threads())
        return minimize(*args, **options)

    def threads() -> dict[str, int]:
        return {one["filepath"]: one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}

    monkeypatch.setattr(scipy.optimize, "minimize", watched)
    before = threads()
    draw = np.random.default_rng(0)
    features, target = draw.standard_normal((30, 4)), np.eye(2)[draw.integers(0, 2, 30)]
    assert len(list(linear_path(features, target, "softmax", [1.0, 0.1]))) == len(seen) == 2
    for inside in seen:
        assert inside == {path: 1 if "scipy.libs" in path else number for path, number in before.items()}
    assert threads() == before


@pytest.mark.parametrize(("link", "outputs"), [("softmax", 3), ("sigmoid", 2), ("identity", 1)])
@pytest.mark.parametrize("rows", [20, 200], ids=["fewer rows than features", "more"])
def test_slope_vanishes_at_every_solution(link: str, outputs: int, rows: int) -> None:
    draw = np.random.default_rng(1)
    features = draw.standard_normal((rows, 40))
    target = np.eye(3)[draw.integers(0, 3, rows)] if link == "softmax" else draw.random((rows, outputs)).round()
    for penalty, weight_DC, bias_C in linear_path(features, target, link, [1.0, 0.1]):
        scores = features @ weight_DC + bias_C
        made = {"identity": scores, "sigmoid": 1 / (1 + np.exp(-scores))}.get(link)
        if made is None:
            made = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
        error = (made - target) / rows
        assert np.abs(features.T @ error + penalty * weight_DC).max() < 1e-4
        assert np.abs(error.sum(0)).max() < 1e-4
