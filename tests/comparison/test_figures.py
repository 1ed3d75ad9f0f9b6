"""The pictures: what is on the Pareto front, where names go, which ticks stand on a logarithmic axis."""

from __future__ import annotations

import re

import pytest

from fixtures.lazy import lazy

pairs, trade = lazy("plait.comparison.figures", "pairs", "trade")


def line(name: str, value: float, cost: float, kind: str = "fusion") -> dict[str, object]:
    return {
        "name": name, "kind": kind, "metric": {"value": value, "low": value - 0.1, "high": value + 0.1, "seeds": []},
        "rank": {"value": 1.0, "low": 1.0, "high": 2.0}, "cost": {"train_seconds": cost},
    }  # fmt: skip


LINES = [line("a", 0.9, 10), line("b", 0.8, 2), line("c", 0.7, 5), line("d", 0.8, 2), line("e", 0.6, 1)]


def seconds(m: dict[str, dict[str, float]]) -> float:
    return m["cost"]["train_seconds"]


def test_pareto_by_hand() -> None:
    from plait.comparison.figures import pareto

    assert pareto(LINES, seconds, higher=True) == ["a", "b", "d", "e"]  # c is beaten by b; b and d are alike
    assert pareto(LINES, seconds, higher=False) == ["e"]


def test_names_never_overlap() -> None:
    crowd = [line(f"method number {i}", 0.8 + 0.001 * (i % 5), 5 + 0.05 * i) for i in range(12)]
    drawn = trade(crowd, seconds, [], axis="seconds", higher=True, label="t")
    boxes = []
    for x, y, anchor, name in re.findall(r'label[^>]*x="([\d.]+)" y="([\d.]+)" text-anchor="(\w+)">([^<]+)', drawn):
        width = 6.9 * len(name)
        start = float(x) - {"start": 0.0, "end": width, "middle": width / 2}[anchor]
        boxes.append((start, float(y) - 10, start + width, float(y) + 2))
    assert len(boxes) >= 6
    for i, a in enumerate(boxes):
        for b in boxes[:i]:
            assert not (a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3])
    assert all(f"<title>method number {i}:" in drawn for i in range(12))  # a name without room is in the tip


def test_log_ticks() -> None:
    from plait.comparison.figures import log_ticks

    assert log_ticks(1, 9) == [1, 2, 5]
    assert log_ticks(8, 300) == [10, 30, 100, 300]
    assert log_ticks(0.5, 2e6) == pytest.approx([1, 10, 100, 1000, 1e4, 1e5, 1e6])


def test_one_line_and_equal_values_can_be_drawn() -> None:
    from plait.comparison.figures import forest

    alike = [line("a", 0.5, 1), line("b", 0.5, 1)]
    for svg in (
        forest(alike[:1], [("guessing", 0.5)], label="f"), trade(alike, seconds, [], axis="s", higher=True, label="t"),
        pairs(["a", "b"], [], higher=True, label="p"),
    ):  # fmt: skip
        assert svg.startswith("<svg") and "nan" not in svg.lower()


def test_cells_say_what_holds() -> None:
    gap = {"a": "x", "b": "y", "difference": 0.25, "low": 0.1, "high": 0.4, "real": True, "holds": True}
    drawn = pairs(["x", "y"], [gap], higher=True, label="p")
    assert 'class="better"' in drawn and 'class="worse"' in drawn
    assert "x minus y: 0.250 (95% 0.100 to 0.400); holds for all pairs" in drawn
    assert "y minus x: \u22120.250 (95% \u22120.400 to \u22120.100)" in drawn
    turned = pairs(["x", "y"], [gap], higher=False, label="p")
    assert turned.index('class="worse"') < turned.index('class="better"')
    assert 'class="maybe up"' in pairs(["x", "y"], [{**gap, "holds": False}], higher=True, label="p")
