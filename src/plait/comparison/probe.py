"""What can run on a table, and how many runs are still to be trained, before anything is."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from plait.comparison.archive import Archive
from plait.comparison.method_outcome import Outcome, reason_of
from plait.comparison.plan import SEARCH_SEED, Method
from plait.comparison.runs import Run, Runs, best_record
from plait.fusion.calibration import Calibrated
from plait.training import build_model


def probe(runs: Runs, method: Method) -> Outcome:
    """Whether the method can be built for this table; each configuration that cannot is noted."""
    outcome = Outcome(method)
    for number, configuration in enumerate(runs.configurations):
        entry: dict[str, Any] = {**asdict(configuration), "validation": None, "status": "open", "reason": None}
        try:
            model = build_model(runs.plan_of(Run(method, number, SEARCH_SEED)), list(method.modalities))
            outcome.interaction = model.fusion.interaction
            outcome.fits_on_val = any(isinstance(part, Calibrated) for part in (model.fusion, model.head))
        except (ValueError, NotImplementedError, MemoryError) as error:
            entry |= {"status": "not applicable", "reason": reason_of(error)}
        outcome.search.append(entry)
    if method.head == "pair" and not runs.plan.task.judges_pairs:
        for entry in outcome.search:
            entry |= {"status": "not applicable", "reason": "the pair head needs the matching task"}
    if all(e["status"] == "not applicable" for e in outcome.search):
        outcome.status, outcome.reason = "not applicable", outcome.search[0]["reason"]
    return outcome


def count_missing(runs: Runs, archive: Archive, outcome: Outcome, num_seeds: int) -> int:
    """How many runs of a method are still to be trained, as far as can be known before its search."""
    runnable = [n for n, e in enumerate(outcome.search) if e["status"] == "open"]
    records = [archive.record(runs.key(Run(outcome.method, n, SEARCH_SEED))) for n in runnable]
    missing = sum(record is None for record in records)
    if missing:
        return missing + num_seeds - 1
    best = best_record([r or {} for r in records], higher_is_better=runs.plan.task.higher_is_better)
    if best is None:
        return 0
    later = (runs.key(Run(outcome.method, runnable[best], seed)) for seed in range(1, num_seeds))
    return sum(archive.record(key) is None for key in later)
