"""Evaluating embeddings: every side searched by every other, intervals over groups, chance, searches to look at.

The gallery of a side are the different items of the evaluated rows (an item that two groups show counts once for each).
An item is right for a query if both are of one group: the group column, or the picture where several rows show it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from plait.data.progress import Progress
from plait.evaluation.base import EVALUATORS, Evaluated, EvaluationInputs, shown_modality
from plait.evaluation.caveats import caveats
from plait.inference.embedding import embed_rows
from plait.inputs.dataset import RowBatches
from plait.metrics.intervals import metric_intervals
from plait.metrics.ranking import KS, query_metrics
from plait.metrics.retrieval import retrieval_intervals, retrieval_summary
from plait.metrics.retrieval_directions import (
    Direction,
    directions_of,
    distinct_items,
    measure_direction,
)
from plait.metrics.retrieval_verdict import retrieval_verdict

HEADLINES = ("hit_rate@1", "hit_rate@10", "median_rank")
RESAMPLES = 1000
SHOWN_HITS = 5
SHOWN_SEARCHES = 3
COLLAPSED = 0.999


def evaluate_embeddings(given: EvaluationInputs, *, progress: Progress | None = None, seed: int = 0) -> Evaluated:
    """Evaluate the rows: ranking metrics in every direction, their intervals and chance, searches, a verdict."""
    names = given.model.config.modality_names
    index_NM = given.prepared.rows.index_NM[given.positions]
    group_N = np.arange(len(index_NM)) if given.group is None else np.asarray(given.group)
    unit_NMD = embed_rows(given.model, RowBatches(given.prepared.sources, index_NM), progress=progress, what="judging")
    notes = [*given.notes, *_collapse_notes(names, unit_NMD, index_NM, group_N)]
    measured: list[dict[str, Any]] = []
    searches: list[dict[str, Any]] = []
    headlines: dict[str, Any] = {}
    hits: list[np.ndarray] = []
    queries_of: list[np.ndarray] = []
    for direction in directions_of(names, index_NM, group_N):
        queries, where = direction.queries, f"{direction.query} to {direction.gallery}"
        if direction.num_unanswered:
            asked = len(queries) + direction.num_unanswered
            notes.append(f"{where}: {direction.num_unanswered} of {asked} queries have nothing to find; left out")
        if not direction.is_measurable:
            notes.append(
                f"{where}: not measured, for there are fewer than two groups of {direction.gallery} to tell apart"
            )
            continue
        found = measure_direction(direction, unit_NMD, group_N)
        metrics = retrieval_intervals(found, groups=group_N[queries], resamples=RESAMPLES, seed=seed)
        measured.append(
            {
                "query": direction.query, "gallery": direction.gallery,
                "queries": len(queries), "items": len(direction.items), "metrics": metrics,
                "chance": chance_of(found["num_relevant"], len(direction.items)),
            }
        )  # fmt: skip
        headlines |= {f"{direction.name}_{name}": metrics[name] for name in HEADLINES}
        hits.append(np.stack([found[f"hit_rate@{k}"] for k in KS], axis=1).mean(1))
        queries_of.append(group_N[queries])
        searches += _searches(given, direction, unit_NMD, group_N, found["first_rank"], seed)
    primary = _mean_hit_rate(hits, queries_of, seed)
    chances = [np.mean([d["chance"][f"hit_rate@{k}"] for k in KS]) for d in measured]
    evaluation: dict[str, Any] = {
        "rows": len(index_NM),
        "split": given.split,
        "metrics": {given.task.primary: primary, **headlines},
        "notes": notes,
        "chance": float(np.mean(chances)) if chances else None,
        "directions": measured,
        "searches": searches,
        "alone": {},
        "without": {},
        "examples": [],
    }
    return Evaluated(unit_NMD, evaluation, " ".join([*caveats(given), retrieval_verdict(measured)]))


def chance_of(num_relevant_Q: np.ndarray, num_items: int) -> dict[str, float]:
    """Each metric of queries whose gallery stands in random order.

    Args:
        num_relevant_Q: How many items are right for each query.
        num_items: Size of the gallery.
    """
    counts, repeats = np.unique(num_relevant_Q.astype(np.int64), return_counts=True)
    relevant = np.arange(num_items)[None] < counts[:, None]
    found = query_metrics(np.zeros(relevant.shape), relevant)
    repeated = {name: np.repeat(values, repeats) for name, values in found.items()}
    summary = retrieval_summary(repeated)
    return {k: float(v) for k, v in summary.items() if k not in ("queries", "no_relevant")}


def _mean_hit_rate(hits: list[np.ndarray], groups: list[np.ndarray], seed: int) -> dict[str, float | None]:
    """Mean over directions and depths, with its interval from drawing groups with all their queries."""
    if not hits:
        return {"value": None, "low": None, "high": None}
    known, place = np.unique(np.concatenate(groups), return_inverse=True)
    starts = np.cumsum([0, *(len(g) for g in groups)])
    places = [place[a:b] for a, b in zip(starts[:-1], starts[1:], strict=True)]
    totals = np.stack([np.bincount(p, h, len(known)) for p, h in zip(places, hits, strict=True)])
    counts = np.stack([np.bincount(p, minlength=len(known)) for p in places])

    def measure(rows: np.ndarray) -> dict[str, float | None]:
        drawn = counts[:, rows].sum(1)
        return {"rate": float((totals[:, rows].sum(1) / drawn).mean()) if (drawn > 0).all() else None}

    return metric_intervals(measure, len(known), resamples=RESAMPLES, seed=seed)["rate"]


def _collapse_notes(names: list[str], unit_NMD: np.ndarray, index_NM: np.ndarray, group_N: np.ndarray) -> list[str]:
    """Sides whose vectors all point one way: such a model ranks by noise."""
    notes = []
    for m, name in enumerate(names):
        items = distinct_items(index_NM[:, m], group_N)
        mean_D = unit_NMD[items, m].astype(np.float64).mean(0) if len(items) > 1 else np.zeros(1)
        if float(mean_D @ mean_D) > COLLAPSED:
            notes.append(f"COLLAPSED: all vectors of {name} are nearly the same (mean cosine {mean_D @ mean_D:.4f})")
    return notes


def _searches(
    given: EvaluationInputs, direction: Direction, unit_NMD: np.ndarray, group_N: np.ndarray, first_rank_Q: np.ndarray,
    seed: int,
) -> list[dict[str, Any]]:  # fmt: skip
    """Searches with their first hits: some whose first hit is right and some whose is wrong, drawn at random."""
    (a, b), queries, gallery = direction.sides, direction.queries, direction.items
    generator = np.random.default_rng(seed)
    drawn = generator.permutation(len(queries))
    right = first_rank_Q[drawn] <= 1
    chosen = [*drawn[right][:SHOWN_SEARCHES], *drawn[~right][:SHOWN_SEARCHES]]
    table = given.prepared.rows.table
    made = []
    for q in chosen:
        position = queries[q]
        score_M = unit_NMD[gallery, b] @ unit_NMD[position, a]
        best = np.argsort(-score_M, kind="stable")[:SHOWN_HITS]
        made.append(
            {
                "row": table.row_number(int(given.positions[position])),
                "query": direction.query,
                "gallery": direction.gallery,
                "inputs": shown_modality(given, direction.query, int(given.positions[position])),
                "rank": float(first_rank_Q[q]),
                "correct": bool(first_rank_Q[q] <= 1),
                "hits": [
                    {
                        "row": table.row_number(int(given.positions[gallery[i]])),
                        "inputs": shown_modality(given, direction.gallery, int(given.positions[gallery[i]])),
                        "score": float(score_M[i]),
                        "right": bool(group_N[gallery[i]] == group_N[position]),
                    }
                    for i in best
                ],
            }
        )
    return made


EVALUATORS.add("embeddings", evaluate_embeddings)
