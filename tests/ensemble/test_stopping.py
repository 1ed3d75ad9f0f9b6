"""Members that end at a deadline: one penalty, one step of the solver, and the best so far stands."""

from __future__ import annotations

from typing import Any

import numpy as np

from fixtures.lazy import lazy

glm = lazy("plait.ensemble.glm")
linear = lazy("plait.ensemble.linear")
scales = lazy("plait.ensemble.scale")


def rows(count: int, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(count, 5))
    return linear.RowFeatures({0: features}, np.ones((count, 1), dtype=bool), (features[:, 0] > 0).astype(np.int64))


def fitted(**given: Any) -> Any:
    return linear.fit_linear([(rows(60, 0), rows(30, 1))], (0,), ("vector",), 2, scales.SCALES.get("classes"), **given)


def test_a_linear_model_that_is_stopped_has_the_strongest_penalty_and_answers() -> None:
    whole, stopped = fitted(), fitted(stops=lambda: True)
    assert stopped.details["penalty"] == max(linear.PENALTIES) > whole.details["penalty"]
    assert np.isfinite(stopped.loss) and stopped.loss > whole.loss
    assert fitted(stops=lambda: False).loss == whole.loss


def test_a_solver_that_is_stopped_gives_what_it_stands_at() -> None:
    data = rows(60, 0)
    features, target = data.parts[0], np.eye(2)[data.target]
    (_, early, _) = next(iter(glm.linear_path(features, target, "softmax", [0.01], lambda: True)))
    (_, late, _) = next(iter(glm.linear_path(features, target, "softmax", [0.01])))
    assert np.isfinite(early).all() and 0 < np.abs(early).sum() < np.abs(late).sum()
