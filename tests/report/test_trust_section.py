"""The section on trust: every part with its numbers, parts that do not apply, escaped names, a chart that adds up."""

from __future__ import annotations

import re
from typing import Any

from plait.report import trust_charts
from plait.report.trust import section


def interval(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.01, "high": value + 0.01}


def trust() -> dict[str, Any]:
    bins = [{"rows": 5, "confidence": 0.25, "right": 0.5, "low": 0.3, "high": 0.7},
            {"rows": 9, "confidence": 1.0, "right": 1.0, "low": 0.7, "high": 1.0}]  # fmt: skip
    covered = {"rows": 50, "without_promise": 0, "covered": interval(0.913), "size": 1.234}
    return {
        "calibration": {
            "applicable": True, "metrics": {"ece": interval(0.0417)}, "before": {"ece": interval(0.1234)},
            "perfect": {"mean": 0.031, "high": 0.055}, "bins": bins, "bins_before": bins[:1],
            "why": "temperature 2.113",
        },
        "conformal": {
            "applicable": True, "kind": "classes", "rows": 120, "scoring_rows": 80, "rests_on": "As they came.",
            "patterns": [{"present": ["te<xt"], "rows": 7, "pooled": 80, "is_own": False}],
            "levels": [{"coverage": 0.9, "method": "lac", **covered, "patterns": [{"present": "te<xt", **covered}]}],
        },
        "selective": {
            "applicable": True, "risk": "share of wrong answers", "everything": 0.2, "aurc": interval(0.07),
            "excess_aurc": 0.03, "curve": {"coverage": [0.1, 0.5, 1.0], "risk": [0.0, 0.1, 0.2]},
            "at_coverage": [{"coverage": 0.5, "risk": 0.1, "estimated": 0.31}],
        },
    }  # fmt: skip


def test_every_part_shows_its_numbers() -> None:
    page = section({"evaluation": {"trust": trust()}})
    for shown in (
        "0.042",
        "0.123",
        "0.031",
        "Temperature 2.113",
        "0.913",
        "1.234",
        "lac",
        "0.31",
        "Only 7 with te&lt;xt",
        "0.913 (0.903 to 0.923)",
        "Area under the curve 0.070 (0.060 to 0.080), 0.030 above",
    ):
        assert shown in page, shown
    assert page.count("<svg") == 2 and page.count("<h3>") == 3 and "<xt" not in page


def test_what_does_not_apply_says_why() -> None:
    parts = {name: {"applicable": False, "why": "it writes text"} for name in ("calibration", "conformal", "selective")}
    page = section({"evaluation": {"trust": parts}})
    assert page.count("Not applicable: it writes text.") == 3 and "<svg" not in page
    assert section({}) == "" and section({"evaluation": {}}) == ""


def test_dots_stand_where_confidence_and_share_say() -> None:
    chart = trust_charts.reliability(trust()["calibration"]["bins"])
    dots = [tuple(map(float, found)) for found in re.findall(r'class="dot s0" cx="([\d.]+)" cy="([\d.]+)"', chart)]
    assert len(dots) == 2 and dots[1] == (390.0, 12.0)  # the upper right corner: sure, and always right
    assert dots[0][0] == 50 + 0.25 * 340 and dots[0][1] == 400 - 42 - 0.5 * 346
