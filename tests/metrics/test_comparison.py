"""Comparison of many methods: hand-worked cases, a brute-force bootstrap, the existing intervals as an oracle."""

from __future__ import annotations

import numpy as np
import pytest

from plait.metrics.comparison import (
    mean_average_precision_of_rows,
    mean_of_rows,
    mean_over_seeds,
    metric_of_rows,
    pairwise_differences,
    r2_of_rows,
    rank_intervals,
    resample_methods,
    variation_of_rows,
)
from plait.metrics.comparison import method_intervals as intervals
from plait.metrics.comparison_verdict import comparison_verdict
from plait.metrics.intervals import bootstrap_interval, paired_difference
from plait.metrics.label import multilabel_metrics, regression_metrics


def rights(n: int, share: float, seed: int) -> np.ndarray:
    return (np.random.default_rng(seed).random(n) < share).astype(float)


def test_points_by_hand() -> None:
    made = resample_methods({"a": mean_of_rows([1, 1, 1, 0]), "b": mean_of_rows([1, 0, 0, 0])}, 4, resamples=5)
    assert made.point_M.tolist() == [0.75, 0.25] and made.drawn_RM.shape == (5, 2) and made.num_units == 4
    ranks = rank_intervals(made, pairwise_differences(made))
    assert ranks["a"]["value"] == 1 and ranks["b"]["value"] == 2
    assert rank_intervals(made, pairwise_differences(made), higher_is_better=False)["b"]["value"] == 1


def test_against_a_brute_force_bootstrap() -> None:
    """Draw for draw: rows drawn by hand from the same generator, every number recomputed by its definition."""
    n, resamples = 30, 200
    a, b, c = rights(n, 0.8, 1), rights(n, 0.6, 2), rights(n, 0.6, 3)
    made = resample_methods({k: mean_of_rows(v) for k, v in (("a", a), ("b", b), ("c", c))}, n, resamples=resamples)
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(resamples):
        rows = rng.integers(0, n, size=n)
        drawn.append([a[rows].mean(), b[rows].mean(), c[rows].mean()])
    table = np.array(drawn)
    np.testing.assert_allclose(made.drawn_RM, table)
    pairs = [(0, 1), (0, 2), (1, 2)]
    gaps = np.array([table[:, i] - table[:, j] for i, j in pairs])
    point = np.array([a.mean() - b.mean(), a.mean() - c.mean(), b.mean() - c.mean()])
    error = gaps.std(axis=1, ddof=1)
    limit = np.quantile([max(abs(gaps[p, r] - point[p]) / error[p] for p in range(3)) for r in range(resamples)], 0.95)
    for p, d in enumerate(pairwise_differences(made)):
        assert d["difference"] == pytest.approx(point[p])
        assert (d["low"], d["high"]) == pytest.approx(tuple(np.quantile(gaps[p], [0.025, 0.975])))
        assert (d["wide_low"], d["wide_high"]) == pytest.approx(
            (point[p] - limit * error[p], point[p] + limit * error[p])
        )
        assert d["real"] == (not d["low"] <= 0 <= d["high"])
    place = rank_intervals(made, pairwise_differences(made))
    assert sum(p["first"] for p in place.values()) == pytest.approx(1.0)


def test_same_numbers_as_the_other_intervals() -> None:
    n = 60
    groups = (np.arange(n) // 3).tolist()
    a, b = rights(n, 0.8, 4), rights(n, 0.5, 5)
    for names in (None, groups):
        made = resample_methods({"a": mean_of_rows(a), "b": mean_of_rows(b)}, n, groups=names, seed=3)
        assert intervals(made)["a"] == pytest.approx(bootstrap_interval(a, n, groups=names, seed=3))
        gap = pairwise_differences(made)[0]
        expected = paired_difference(a, b, names, seed=3)
        assert (gap["difference"], gap["low"], gap["high"]) == pytest.approx(expected)


def test_groups_are_drawn_whole() -> None:
    """Rows that are copies of each other carry no more than one of them does."""
    a, b = rights(20, 0.7, 6), rights(20, 0.5, 7)
    one = resample_methods({"a": mean_of_rows(a), "b": mean_of_rows(b)}, 20)
    five = resample_methods(
        {"a": mean_of_rows(np.repeat(a, 5)), "b": mean_of_rows(np.repeat(b, 5))}, 100,
        groups=np.repeat(np.arange(20), 5).tolist(),
    )  # fmt: skip
    np.testing.assert_allclose(one.drawn_RM, five.drawn_RM)
    assert five.num_units == 20


def test_r2_and_any_metric_agree_with_their_definition() -> None:
    rng = np.random.default_rng(0)
    truth, seeds = rng.normal(50, 3, 40), [rng.normal(50, 3, 40) for _ in range(3)]

    def slow(pred: np.ndarray) -> object:
        return metric_of_rows(lambda rows: regression_metrics(truth[rows], pred[rows])["r2"])

    made = resample_methods(
        {
            "fast": mean_over_seeds([r2_of_rows(truth, (p - truth) ** 2) for p in seeds]),
            "slow": mean_over_seeds([slow(p) for p in seeds]),  # type: ignore[misc]
        },
        40, resamples=50,
    )  # fmt: skip
    np.testing.assert_allclose(made.drawn_RM[:, 0], made.drawn_RM[:, 1], rtol=1e-9)
    assert made.point_M[0] == pytest.approx(np.mean([regression_metrics(truth, p)["r2"] for p in seeds]))


def test_seeds_are_averaged_inside_each_draw() -> None:
    first, second = rights(25, 0.9, 1), rights(25, 0.4, 2)
    both = resample_methods({"m": mean_over_seeds([mean_of_rows(first), mean_of_rows(second)])}, 25, resamples=40)
    one = resample_methods({"a": mean_of_rows(first), "b": mean_of_rows(second)}, 25, resamples=40)
    np.testing.assert_allclose(both.drawn_RM[:, 0], one.drawn_RM.mean(axis=1))
    with pytest.raises(ValueError, match="at least one seed"):
        mean_over_seeds([])


def test_equal_methods_are_never_told_apart() -> None:
    a = rights(40, 0.7, 8)
    made = resample_methods({"a": mean_of_rows(a), "twin": mean_of_rows(a), "none": mean_of_rows(a * 0)}, 40)
    gaps = {(d["a"], d["b"]): d for d in pairwise_differences(made)}
    assert gaps["a", "twin"]["difference"] == 0 and not gaps["a", "twin"]["real"]
    assert gaps["a", "none"]["holds"] and gaps["a", "none"]["adjusted_p"] < 0.01
    ranks = rank_intervals(made, pairwise_differences(made))
    assert ranks["a"]["value"] == ranks["twin"]["value"] == 1.5 and ranks["none"]["low"] == 3
    assert (ranks["a"]["low"], ranks["a"]["high"]) == (1, 2)
    worst = rank_intervals(made, pairwise_differences(made), higher_is_better=False)
    assert (worst["none"]["low"], worst["none"]["high"], worst["a"]["low"]) == (1, 1, 2)


def test_places_cover_twenty_equal_methods() -> None:
    """All share place 10.5; the interval of every method at once must hold it in 95% of the tables."""
    covered = 0
    for trial in range(60):
        common = rights(120, 0.5, 7000 + trial)  # equal skill, and alike on half the rows, as methods are
        lines = {}
        for i in range(20):
            own, mine = rights(120, 0.7, 500_000 + 100 * trial + i), rights(120, 0.5, 900_000 + 100 * trial + i)
            lines[f"m{i}"] = mean_of_rows(np.where(mine > 0, own, common))
        made = resample_methods(lines, 120, resamples=300, seed=trial)
        places = rank_intervals(made, pairwise_differences(made)).values()
        covered += all(p["low"] <= 10.5 <= p["high"] for p in places)  # type: ignore[operator]
    assert covered >= 57


def test_places_cover_methods_in_steps() -> None:
    """Six methods, two each of three skills: the true places 1-2, 3-4 and 5-6 lie within the intervals."""
    covered = 0
    for trial in range(60):
        skills = (0.8, 0.8, 0.7, 0.7, 0.45, 0.45)
        lines = {f"m{i}": mean_of_rows(rights(200, share, 100 * trial + i)) for i, share in enumerate(skills)}
        made = resample_methods(lines, 200, resamples=300, seed=trial)
        places = rank_intervals(made, pairwise_differences(made))
        wanted = {f"m{i}": 1.5 + 2 * (i // 2) for i in range(6)}
        covered += all(places[n]["low"] <= w - 0.5 and w + 0.5 <= places[n]["high"] for n, w in wanted.items())  # type: ignore[operator]
    assert covered >= 55


def test_map_alone_agrees_with_its_definition() -> None:
    rng = np.random.default_rng(3)
    truth = (rng.random((25, 4)) < [0.5, 0.3, 0.04, 0.9]).astype(np.int64)
    scores = rng.random((25, 4)).round(1)  # with ties
    made = resample_methods(
        {
            "fast": mean_average_precision_of_rows(truth, scores),
            "slow": metric_of_rows(lambda rows: multilabel_metrics(truth[rows], scores[rows])["mAP"]),
        },
        25, resamples=60,
    )  # fmt: skip
    np.testing.assert_allclose(made.drawn_RM[:, 0], made.drawn_RM[:, 1])
    none = resample_methods({"none": mean_average_precision_of_rows(truth * 0, scores)}, 25, resamples=3)
    assert np.isnan(none.point_M).all()


def test_constant_truth_is_undefined_and_progress_is_told() -> None:
    told: list[tuple[int, int, str]] = []
    variation = variation_of_rows([1.0, 1.0, 1.0, 2.0])
    made = resample_methods(
        {k: r2_of_rows([1.0, 1.0, 1.0, 2.0], [e, 0, 0, 0], variation) for k, e in (("a", 0.1), ("b", 0.2))}, 4,
        resamples=50, progress=lambda *facts: told.append(facts),
    )  # fmt: skip
    assert 0 < np.isnan(made.drawn_RM[:, 0]).sum() < 50 and told[-1] == (100, 100, "resampling")
    assert made.point_M[1] == pytest.approx(1 - 0.2 / 0.75)


def test_the_correction_is_needed_and_works() -> None:
    """Twelve methods of one true skill: an interval a pair finds differences too often, all at once hardly ever."""
    own = wide = 0
    for trial in range(40):
        methods = {f"m{i}": mean_of_rows(rights(60, 0.7, 1000 * trial + i)) for i in range(12)}
        found = pairwise_differences(resample_methods(methods, 60, resamples=300, seed=trial))
        own += any(d["real"] for d in found)
        wide += any(d["holds"] for d in found)
    assert own > 15  # by themselves: in most tables something looks real
    assert wide <= 6  # all at once: 5% of 40 tables are 2


def test_one_row_and_undefined_metrics_give_no_interval() -> None:
    made = resample_methods({"a": mean_of_rows([1]), "b": mean_of_rows([0])}, 1)
    gap = pairwise_differences(made)[0]
    assert gap["difference"] == 1 and gap["low"] is None and not gap["real"] and not gap["holds"]
    assert rank_intervals(made, [gap])["a"] == {"value": 1.0, "low": None, "high": None, "first": None}
    rarely = metric_of_rows(lambda rows: None if 0 not in rows else 1.0)
    gap = pairwise_differences(resample_methods({"a": mean_of_rows([1, 0]), "b": rarely}, 2, resamples=20))[0]
    assert gap["difference"] == pytest.approx(-0.5)
    with pytest.raises(ValueError, match="no method"):
        resample_methods({}, 3)


def verdict(a: np.ndarray, b: np.ndarray, text: np.ndarray, mean: np.ndarray, **more: object) -> str:
    lines = {"gated": a, "sum": b, "text alone": text, "mean": mean}
    made = resample_methods({k: mean_of_rows(v) for k, v in lines.items()}, len(a))
    bounds = intervals(made)
    estimates = {k: (float(v.mean()), *bounds[k]) for k, v in lines.items()}
    options = {"selected": "gated", "single": "text alone", "ensemble": "mean", "joint": "gated", "rows": len(a)}
    return comparison_verdict(
        "accuracy", True, ["gated", "sum"], estimates, pairwise_differences(made), **{**options, **more}
    )  # type: ignore[arg-type]


def test_verdicts() -> None:
    n = 200
    good, chance, other = rights(n, 0.95, 1), rights(n, 0.5, 2), rights(n, 0.5, 3)
    text = verdict(good, chance, other, rights(n, 0.55, 4), chance=0.5)
    assert text.startswith("gated leads with accuracy 0.9") and "clearly ahead of sum" in text
    assert "Fusing helps: gated, chosen on validation rows" in text and "1 of 2 methods" in text
    assert "Joining features beats joining the answers of separate models: gated against mean" in text
    gap = {"low": 0.01, "high": 0.2, "real": True, "wide_low": -0.1, "wide_high": 0.3, "adjusted_p": 0.3}
    gaps = [
        {"a": a, "b": b, "difference": 0.1, **gap, "holds": a == "gated"}
        for a, b in (("gated", "sum"), ("gated", "text"), ("sum", "text"))
    ]
    text = comparison_verdict(
        "accuracy", True, ["gated", "sum"], dict.fromkeys(("gated", "sum", "text"), (0.7, 0.6, 0.8)),
        gaps, selected="gated", single="text", ensemble=None,  # type: ignore[arg-type]
    )  # fmt: skip
    assert "1 of 2 methods are clearly better" in text  # sum is so by its own interval alone, which many pairs void
    text = verdict(good, good, good, good)
    assert "cannot tell it from sum" in text and "Fusing does not help here" in text
    assert "is not shown to beat" in text
    text = verdict(chance, other, good, good, chance=0.5)
    assert "Fusing does harm here" in text and "Use text alone." in text
    assert "cannot be told from guessing, which gets 0.500" in text
    assert "Joining the answers of separate models is better" in text
    with pytest.raises(ValueError, match="selected method"):
        verdict(good, chance, other, other, selected="nothing")
