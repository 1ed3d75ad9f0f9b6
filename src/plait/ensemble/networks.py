"""The networks of an ensemble: of each fold the fused one and one a modality alone, trained as without an ensemble."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from plait.data.progress import Progress
from plait.model import PlaitModel
from plait.training.fit import fit_model, fit_unimodal_baselines
from plait.training.history import History
from plait.training.plan import Plan

FUSED = "fused"
SEED_STEP = 1000  # seeds of folds follow one another
MORE_SEEDS = 2


@dataclass
class NetworkFits:
    """Trains the networks of each fold and keeps those of the first.

    Args:
        folder: Where checkpoints live.
        resume: Go on from them.
        logs: Where TensorBoard logs go, if the settings ask for them.
        progress: Called with (done, total, what).
        alone: Whether one network a modality alone is trained too.
        seeds: How many fused networks of other seeds are trained too.

    Attributes:
        model: The fused network of the first fold.
        history: Its epochs.
        baselines: The networks of one modality each of the first fold.
    """

    folder: Path
    resume: bool = False
    logs: Path | None = None
    progress: Progress | None = None
    alone: bool = True
    seeds: int = 0
    model: PlaitModel | None = None
    history: History = field(default_factory=History)
    baselines: dict[str, PlaitModel] = field(default_factory=dict)

    def __call__(self, plan: Plan, fold: int) -> dict[str, tuple[PlaitModel, float]]:
        """Networks of a fold by name, with the seconds each took."""
        place = self.folder if fold == 0 else self.folder / f"fold-{fold:02d}"
        names = [m.name for m in plan.inputs.modalities]
        alone: dict[str, PlaitModel] = {}
        seconds = 0.0
        teach = bool(plan.settings.train.umt)
        if teach:
            alone, seconds = self._fit_alone(plan, place)
        model, history = fit_model(
            plan, names, place / FUSED, resume=self.resume, logs=self.logs if fold == 0 else None,
            progress=self.progress, teachers=alone,
        )  # fmt: skip
        found = {FUSED: (model, history.seconds)}
        for number in range(2, self.seeds + 2):
            other = _with_seed(plan, plan.settings.train.seed + number * SEED_STEP)
            again, told = fit_model(
                other, names, place / f"seed-{number}", resume=self.resume, progress=self.progress, teachers=alone,
            )  # fmt: skip
            found[f"{FUSED}, seed {number}"] = (again, told.seconds)
        if not teach:
            alone, seconds = self._fit_alone(plan, place)
        if fold == 0:
            self.model, self.history, self.baselines = model, history, alone
        return found | {f"{name} alone": (network, seconds) for name, network in alone.items()}

    def _fit_alone(self, plan: Plan, place: Path) -> tuple[dict[str, PlaitModel], float]:
        """One network a modality alone, if they are wanted, and the seconds each took."""
        started = time.monotonic()
        alone = fit_unimodal_baselines(plan, place, resume=self.resume, progress=self.progress) if self.alone else {}
        return alone, (time.monotonic() - started) / max(1, len(alone))


def _with_seed(plan: Plan, seed: int) -> Plan:
    return replace(plan, settings=replace(plan.settings, train=replace(plan.settings.train, seed=seed)))
