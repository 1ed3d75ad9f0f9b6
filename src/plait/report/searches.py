"""The sections of a retrieval report: every direction in one table, and searches with their first hits."""

from __future__ import annotations

from typing import Any

from plait.report.template import fill

TEMPLATE = "report/searches.html.jinja"
COLUMNS = {
    "hit_rate@1": "Hit rate @1", "hit_rate@5": "@5", "hit_rate@10": "@10", "recall@10": "Recall @10",
    "median_rank": "Median rank", "mrr": "MRR", "map": "mAP", "ndcg": "nDCG",
}  # fmt: skip


def direction_table(report: dict[str, Any]) -> str:
    """What is found in each direction, with intervals, beside what chance would find."""
    parts = (report.get("evaluation") or {}).get("directions") or []
    return fill(TEMPLATE, "direction_table", directions=parts, columns=COLUMNS) if parts else ""


def searches(report: dict[str, Any]) -> str:
    """Queries drawn at random, each with its first hits; those whose first hit is wrong come first."""
    rows = (report.get("evaluation") or {}).get("searches") or []
    groups = (
        ("First hit wrong", "wrong", [r for r in rows if not r.get("correct")]),
        ("First hit right", "right", [r for r in rows if r.get("correct")]),
    )
    return fill(TEMPLATE, "searches", groups=[group for group in groups if group[2]]) if rows else ""
