"""The runs of a comparison: what each of them is made of, and the key that it is kept under.

Nothing is trained or measured here. All runs share one prepared table; a run differs from another by its settings, by
the modalities it reads, by the seed of what begins from scratch, and by whether it is handed tokens.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from plait.comparison.archive import run_key
from plait.comparison.judging import judged_rows
from plait.comparison.plan import Configuration, Method, run_settings
from plait.encoders.load import build_encoder
from plait.fusion import FUSIONS
from plait.inputs.dataset import RowBatches
from plait.inputs.modality_kinds import MODALITY_KINDS
from plait.settings import RunSettings, to_dict
from plait.training import Plan


@dataclass(frozen=True)
class Run:
    """One training: a method, the number of its configuration, a seed."""

    method: Method
    number: int
    seed: int


class Runs:
    """All runs that a comparison can do.

    Args:
        plan: Prepared once, with tokens if any method reads them; its settings are the base of every run.
        test: Positions of the test rows; only ``evaluate_run`` reads them.
        configurations: Tried by every method alike.
        fingerprint: Of the table.
        align_all: Whether the alignment term is for every method, or for the pair head alone.
    """

    def __init__(
        self,
        plan: Plan,
        test: np.ndarray,
        configurations: list[Configuration],
        fingerprint: str,
        *,
        align_all: bool = False,
    ) -> None:
        self.plan, self.configurations = plan, configurations
        self.test, self.references = judged_rows(plan, test)
        self.fingerprint, self.align_all = fingerprint, align_all
        self._encoders = {n: e.fingerprint for n, e in plan.inputs.frozen.items()}
        self._vectors_only = plan.without_tokens()
        self._live: dict[int, dict[str, Any]] = {}

    def settings(self, run: Run) -> RunSettings:
        """The settings of a run."""
        configuration = self.configurations[run.number]
        return run_settings(self.plan.settings, run.method, configuration, run.seed, align_all=self.align_all)

    def key(self, run: Run) -> str:
        """Hash of all that decides the result of a run."""
        facts = {"settings": to_dict(self.settings(run)), "modalities": run.method.modalities}
        return run_key({**facts, "table": self.fingerprint, "encoders": self._encoders})

    def plan_of(self, run: Run) -> Plan:
        """The plan of one run: its settings, features without tokens unless it reads them, its seed's encoders."""
        needs_tokens = FUSIONS.get(run.method.fusion).info.needs_tokens
        plan = self.plan if needs_tokens else self._vectors_only
        return replace(plan, settings=self.settings(run), inputs=replace(plan.inputs, live=self._live_of(run.seed)))

    def _live_of(self, seed: int) -> dict[str, Any]:
        """Trained encoders of a seed; those that begin from scratch begin differently with each."""
        if seed not in self._live:
            torch.manual_seed(seed)
            shared: dict[int, Any] = {}
            for modality in self.plan.inputs.modalities:
                encoder = self.plan.inputs.live.get(modality.name)
                if encoder is None or id(encoder) in shared:
                    continue
                is_random = MODALITY_KINDS.get(modality.kind).is_random
                from_scratch = is_random or encoder.reference.startswith("scratch:")
                shared[id(encoder)] = build_encoder(encoder.config()) if from_scratch and seed else encoder
            self._live[seed] = {n: shared[id(e)] for n, e in self.plan.inputs.live.items()}
        return self._live[seed]


def rows_of(plan: Plan, method: Method, rows: np.ndarray, *, with_target: bool = False) -> RowBatches:
    """Rows of a plan at these positions, with the modalities that a method reads."""
    names = [m.name for m in plan.inputs.modalities]
    columns = [names.index(n) for n in method.modalities]
    sources = {n: plan.prepared.sources[n] for n in method.modalities}
    index_NM = plan.prepared.rows.index_NM[:, columns][rows]
    if not with_target:
        return RowBatches(sources, index_NM)
    return RowBatches(sources, index_NM, plan.target[rows], plan.group_N[rows])


def best_record(records: list[dict[str, Any]], *, higher_is_better: bool) -> int | None:
    """Number of the record with the best validation score; the first of equals; None where all failed."""
    best: int | None = None
    sign = 1.0 if higher_is_better else -1.0
    for number, record in enumerate(records):
        value = record.get("validation") if record.get("status") == "done" else None
        if value is not None and (best is None or sign * value > sign * records[best]["validation"]):
            best = number
    return best
