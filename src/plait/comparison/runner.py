"""Running a comparison: for each method the search, the choice on validation rows, then every seed; resumable.

Test rows are touched in one place only, ``evaluate_run``, which is called for the chosen configuration of a method
after its choice was made. A run that fails is recorded with its reason and the others go on; a method whose every
configuration refuses this table is "not applicable".
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from plait.comparison.archive import Archive
from plait.comparison.evaluate_run import cross_fitted, evaluate_kept, evaluate_run
from plait.comparison.method_outcome import Outcome, reason_of
from plait.comparison.plan import SEARCH_SEED, Configuration, Method
from plait.comparison.probe import count_missing, probe
from plait.comparison.run_counter import RunCounter
from plait.comparison.runs import Run, Runs, best_record
from plait.comparison.train_run import train_run
from plait.data.progress import Progress
from plait.training import Plan
from plait.training.collector import old_objects_set_aside

logger = logging.getLogger(__name__)


class Runner:
    """Runs methods on one prepared table.

    Args:
        plan: Prepared once, with tokens if any method reads them; its settings are the base of every run.
        test: Positions of the test rows.
        configurations: Tried by every method alike.
        num_seeds: Seeds 0 to this number minus one.
        archive: Where finished runs are kept.
        fingerprint: Of the table.
        progress: Called with steps done, steps in all, and what runs.
        align_all: Whether the alignment term is for every method, or for the pair head alone.
    """

    def __init__(
        self,
        plan: Plan,
        test: np.ndarray,
        configurations: list[Configuration],
        num_seeds: int,
        archive: Archive,
        fingerprint: str,
        progress: Progress | None = None,
        *,
        align_all: bool = False,
    ) -> None:
        self.runs = Runs(plan, test, configurations, fingerprint, align_all=align_all)
        self.num_seeds, self.archive = num_seeds, archive
        self.counter = RunCounter(plan, progress)

    def count_missing(self, methods: list[Method]) -> list[Outcome]:
        """See what can run, and count the runs that are still to be trained."""
        outcomes = [probe(self.runs, method) for method in methods]
        self.counter.in_all = self.counter.done + sum(
            count_missing(self.runs, self.archive, o, self.num_seeds) for o in outcomes if o.status == "ok"
        )
        return outcomes

    def run(self, methods: list[Method]) -> list[Outcome]:
        """Run them all, in order."""
        outcomes = self.count_missing(methods)
        with old_objects_set_aside():
            for outcome in outcomes:
                if outcome.status == "ok":
                    self._search(outcome)
                if outcome.status == "ok":
                    self._seeds(outcome)
        return outcomes

    def _search(self, outcome: Outcome) -> None:
        """Try every configuration with the first seed, choose by the validation score alone, evaluate the chosen."""
        records = self._try_configurations(outcome)
        outcome.chosen = self._best(records)
        if outcome.chosen is None:
            self._give_up(outcome, next(e["reason"] for e in outcome.search if e["status"] == "failed"))
            return
        run = Run(outcome.method, outcome.chosen, SEARCH_SEED)
        key = self.runs.key(run)
        record, outputs = records[outcome.chosen], self.archive.outputs(key)
        if outputs is None or "inference_ms_per_1000" not in record:
            try:
                record, outputs = evaluate_kept(self.runs, run, self.archive, record)
            except Exception as error:  # not replaced by the next best: that would let test rows choose
                logger.debug("evaluating %s failed", outcome.method.name, exc_info=True)
                outcome.note_failure(SEARCH_SEED, outcome.chosen, reason_of(error))
                self._give_up(outcome, reason_of(error))
                return
        self.archive.drop_weights(key)
        outcome.seeds[SEARCH_SEED], outcome.outputs[SEARCH_SEED] = record, outputs

    def _try_configurations(self, outcome: Outcome) -> list[dict[str, Any]]:
        """A record per configuration, empty where it is not applicable; the best one's weights lie in the archive."""
        kept: str | None = None
        records: list[dict[str, Any]] = []
        for number, entry in enumerate(outcome.search):
            if entry["status"] == "not applicable":
                records.append({})
                continue
            run = Run(outcome.method, number, SEARCH_SEED)
            key = self.runs.key(run)
            record = self.archive.record(key)
            if record is None:
                record, model = train_run(self.runs, run, self.counter)
                if model is not None and self._best([*records, record]) == number:
                    self.archive.store_weights(key, model.state_dict())
                self.archive.store(key, record)
            records.append(record)
            if self._best(records) == number:
                if kept is not None:
                    self.archive.drop_weights(kept)
                kept = key
            entry |= {k: record.get(k) for k in ("status", "validation", "reason")}
            if record["status"] == "failed":
                outcome.note_failure(SEARCH_SEED, number, record["reason"])
        return records

    def _seeds(self, outcome: Outcome) -> None:
        """Train the chosen configuration with every other seed."""
        assert outcome.chosen is not None
        for seed in range(1, self.num_seeds):
            run = Run(outcome.method, outcome.chosen, seed)
            key = self.runs.key(run)
            record, outputs = self.archive.record(key), self.archive.outputs(key)
            if record is None:
                record, model = train_run(self.runs, run, self.counter)
                if model is not None:
                    try:
                        record |= cross_fitted(model, self.runs.plan_of(run), outcome.method)
                        outputs = evaluate_run(self.runs, run, model)
                        self.archive.store_outputs(key, outputs)
                    except Exception as error:
                        logger.debug("evaluating %s failed", outcome.method.name, exc_info=True)
                        record |= {"status": "failed", "reason": reason_of(error)}
                self.archive.store(key, record)
            if record["status"] == "failed":
                outcome.note_failure(seed, outcome.chosen, record["reason"])
                continue
            assert outputs is not None
            outcome.seeds[seed], outcome.outputs[seed] = record, outputs

    def _best(self, records: list[dict[str, Any]]) -> int | None:
        return best_record(records, higher_is_better=self.runs.plan.task.higher_is_better)

    def _give_up(self, outcome: Outcome, reason: str) -> None:
        """The method has failed, and its other seeds will not be trained."""
        outcome.status, outcome.reason = "failed", reason
        self.counter.in_all -= self.num_seeds - 1
