"""The sections of a retrieval report: every direction in one table, and searches with their first hits."""

from __future__ import annotations

from typing import Any

from plait.report.results import inputs_shown
from plait.report.words import esc, estimate, number, span

COLUMNS = (
    ("hit_rate@1", "Hit rate @1"), ("hit_rate@5", "@5"), ("hit_rate@10", "@10"), ("recall@10", "Recall @10"),
    ("median_rank", "Median rank"), ("mrr", "MRR"), ("map", "mAP"), ("ndcg", "nDCG"),
)  # fmt: skip


def direction_table(report: dict[str, Any]) -> str:
    """What is found in each direction, with intervals, beside what chance would find."""
    parts = (report.get("evaluation") or {}).get("directions") or []
    if not parts:
        return ""
    head = "<th>Query</th><th>Searched</th>" + "".join(f"<th class='n'>{esc(title)}</th>" for _, title in COLUMNS)
    body = []
    for part in parts:
        cells, chances = [], []
        for name, _ in COLUMNS:
            value, low, high = estimate((part.get("metrics") or {}).get(name))
            below = f"<br><small>{span(low, high)}</small>" if span(low, high) else ""
            cells.append(f"<td class='n'>{number(value)}{below}</td>")
            chances.append(f"<td class='n'><small>{number((part.get('chance') or {}).get(name))}</small></td>")
        query, gallery = esc(part.get("query", "")), esc(part.get("gallery", ""))
        body.append(
            f"<tr><td class='name'>{query}<br><small>{number(part.get('queries'))} queries</small></td>"
            f"<td class='name'>{gallery}<br><small>{number(part.get('items'))} items</small></td>{''.join(cells)}</tr>"
            f"<tr><td colspan='2'><small>by chance</small></td>{''.join(chances)}</tr>"
        )
    words = (
        "Hit rate @K: share of queries with a right item among the first K, which many papers call R@K. Recall @10: "
        "share of the right items found there. Ties count as a random order. The small numbers are 95% bootstrap "
        "intervals over groups."
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"
    return f'<p class="lead">{words}</p><div class="scroll">{table}</div>'


def searches(report: dict[str, Any]) -> str:
    """Queries drawn at random, each with its first hits; those whose first hit is wrong come first."""
    rows = (report.get("evaluation") or {}).get("searches") or []
    groups = (
        ("First hit wrong", "wrong", [r for r in rows if not r.get("correct")]),
        ("First hit right", "right", [r for r in rows if r.get("correct")]),
    )
    parts = []
    for title, css, members in groups:
        if members:
            parts.append(f"<h3>{title}</h3>{''.join(_search(r, css) for r in members)}")
    if not parts:
        return ""
    lead = (
        "Drawn at random among the queries of each kind. Left the query, right its hits; right ones have a green edge."
    )
    return f'<p class="lead">{lead}</p>{"".join(parts)}'


def _search(row: dict[str, Any], css: str) -> str:
    rank = f"first right item at rank {number(_whole(row.get('rank')))}"
    head = f'<span class="mark">Query by {esc(row.get("query", ""))} <small>row {number(row.get("row"))}</small></span>'
    query = f'<div class="example asked {css}">{head}{inputs_shown(row)}<dl><dt>{rank}</dt></dl></div>'
    hits = "".join(_hit(place, hit) for place, hit in enumerate(row.get("hits") or [], start=1))
    return f'<div class="search">{query}<div class="hits">{hits}</div></div>'


def _hit(place: int, hit: dict[str, Any]) -> str:
    css, word = ("right", "right") if hit.get("right") else ("wrong", "wrong")
    head = f'<span class="mark">{place} {word} <small>{number(hit.get("score"))}</small></span>'
    return f'<div class="example {css}">{head}{inputs_shown(hit)}</div>'


def _whole(rank: Any) -> Any:
    return int(rank) if isinstance(rank, float) and rank.is_integer() else rank
