"""Running a comparison: for each method the search, the choice on validation rows, then every seed; resumable.

Test rows are touched in one place only, :meth:`Runner._evaluate`, which is called for the chosen configuration of a
method after its choice was made. A run that fails is recorded with its reason and the others go on; a method whose
every configuration refuses this table is "not applicable".
"""

from __future__ import annotations

import gc
import logging
import math
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from plait.comparison.archive import Archive, run_key
from plait.comparison.cost import count_parameters, inference_ms, training_memory
from plait.comparison.halves import two_halves
from plait.comparison.plan import SEARCH_SEED, Configuration, Method, run_settings
from plait.encoders.load import build_encoder
from plait.fusion import FUSIONS
from plait.fusion.calibration import Calibrated
from plait.inference.forward import predict_logits
from plait.inputs.dataset import RowBatches, SetSource
from plait.inputs.feature_store import FeatureSet
from plait.inputs.modality_kinds import MODALITY_KINDS
from plait.model import PlaitModel
from plait.settings import RunSettings, to_dict
from plait.training import Plan, build_model, calibrate, calibration_notes, natural_target
from plait.training.fit import fit_model

logger = logging.getLogger(__name__)
Progress = Callable[[int, int, str], None]


@dataclass
class Outcome:
    """What became of a method.

    Attributes:
        method: The method.
        status: "ok", "failed" or "not applicable".
        reason: Why, where it is not "ok".
        search: A record per configuration, in the order of the list.
        chosen: Number of the chosen configuration, or None.
        seeds: Record of each seed of the chosen configuration that ended well.
        outputs: Per seed, activated outputs on "val" and "test" rows.
        failures: Runs that failed: seed, configuration, reason.
        interaction: What the fusion can express.
        fits_on_val: Part of the model is fitted on validation rows, so its score there is cross-fitted.
    """

    method: Method
    status: str = "ok"
    reason: str | None = None
    search: list[dict[str, Any]] = field(default_factory=list)
    chosen: int | None = None
    seeds: dict[int, dict[str, Any]] = field(default_factory=dict)
    outputs: dict[int, dict[str, np.ndarray]] = field(default_factory=dict)
    failures: list[dict[str, Any]] = field(default_factory=list)
    interaction: str | None = None
    fits_on_val: bool = False


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
        self.align_all = align_all
        self.plan, self.test, self.configurations = plan, test, configurations
        self.num_seeds, self.archive, self.progress = num_seeds, archive, progress
        self.vectors_only = _without_tokens(plan)
        self.encoders = {n: e.fingerprint for n, e in plan.inputs.frozen.items()}
        self.fingerprint = fingerprint
        self.live: dict[int, dict[str, Any]] = {}
        settings = plan.settings.train
        assert settings.epochs is not None and settings.batch_size is not None
        self.steps_a_run = math.ceil(len(plan.train) / settings.batch_size) * settings.epochs
        self.runs_done = self.runs_in_all = 0

    def count_missing(self, methods: list[Method]) -> list[Outcome]:
        """See what can run, and count the runs that are still to be trained."""
        outcomes = [self._probe(method) for method in methods]
        self.runs_in_all = self.runs_done + sum(self._missing(o) for o in outcomes if o.status == "ok")
        return outcomes

    def run(self, methods: list[Method]) -> list[Outcome]:
        """Run them all, in order."""
        outcomes = self.count_missing(methods)
        gc.collect()
        gc.freeze()  # each training ends in a full collection, which else walks the whole library every time
        try:
            for outcome in outcomes:
                if outcome.status == "ok":
                    self._search(outcome)
                if outcome.status == "ok":
                    self._seeds(outcome)
        finally:
            gc.unfreeze()
        return outcomes

    def _probe(self, method: Method) -> Outcome:
        """Whether the method can be built for this table; each configuration that cannot is noted."""
        outcome = Outcome(method)
        for number, configuration in enumerate(self.configurations):
            entry: dict[str, Any] = {**asdict(configuration), "validation": None, "status": "open", "reason": None}
            try:
                model = build_model(self._plan_of(method, number, SEARCH_SEED), list(method.modalities))
                outcome.interaction = model.fusion.interaction
                outcome.fits_on_val = any(isinstance(part, Calibrated) for part in (model.fusion, model.head))
            except (ValueError, NotImplementedError, MemoryError) as error:
                entry |= {"status": "not applicable", "reason": _reason(error)}
            outcome.search.append(entry)
        if method.head == "pair" and self.plan.task.name != "matching":
            outcome.search = [
                {**e, "status": "not applicable", "reason": "the pair head needs the matching task"}
                for e in outcome.search
            ]
        if all(e["status"] == "not applicable" for e in outcome.search):
            outcome.status, outcome.reason = "not applicable", outcome.search[0]["reason"]
        return outcome

    def _missing(self, outcome: Outcome) -> int:
        """How many runs of a method are still to be trained, as far as can be known before its search."""
        runnable = [n for n, e in enumerate(outcome.search) if e["status"] == "open"]
        keys = [self._key(outcome.method, n, SEARCH_SEED) for n in runnable]
        missing = sum(self.archive.record(k) is None for k in keys)
        if missing:
            return missing + self.num_seeds - 1
        best = self._best([self.archive.record(k) or {} for k in keys])
        if best is None:
            return 0
        later = (self._key(outcome.method, runnable[best], s) for s in range(1, self.num_seeds))
        return sum(self.archive.record(k) is None for k in later)

    def _search(self, outcome: Outcome) -> None:
        """Try every configuration with the first seed and choose by the validation score alone."""
        kept: str | None = None
        records: list[dict[str, Any]] = []
        for number, entry in enumerate(outcome.search):
            if entry["status"] == "not applicable":
                records.append({})
                continue
            key = self._key(outcome.method, number, SEARCH_SEED)
            record = self.archive.record(key)
            if record is None:
                record, model = self._train(outcome.method, number, SEARCH_SEED)
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
                outcome.failures.append({"seed": SEARCH_SEED, "configuration": number, "reason": record["reason"]})
        outcome.chosen = self._best(records)
        if outcome.chosen is None:
            outcome.status = "failed"
            outcome.reason = next(e["reason"] for e in outcome.search if e["status"] == "failed")
            self.runs_in_all -= self.num_seeds - 1
            return
        key = self._key(outcome.method, outcome.chosen, SEARCH_SEED)
        record, outputs = records[outcome.chosen], self.archive.outputs(key)
        if outputs is None or "inference_ms_per_1000" not in record:
            try:
                record, outputs = self._evaluate_kept(outcome.method, outcome.chosen, key, record)
            except Exception as error:  # not replaced by the next best: that would let test rows choose
                logger.debug("judging %s failed", outcome.method.name, exc_info=True)
                outcome.status, outcome.reason = "failed", _reason(error)
                outcome.failures.append(
                    {"seed": SEARCH_SEED, "configuration": outcome.chosen, "reason": outcome.reason}
                )
                self.runs_in_all -= self.num_seeds - 1
                return
        self.archive.drop_weights(key)
        outcome.seeds[SEARCH_SEED], outcome.outputs[SEARCH_SEED] = record, outputs

    def _seeds(self, outcome: Outcome) -> None:
        """Train the chosen configuration with every other seed."""
        assert outcome.chosen is not None
        for seed in range(1, self.num_seeds):
            key = self._key(outcome.method, outcome.chosen, seed)
            record, outputs = self.archive.record(key), self.archive.outputs(key)
            if record is None:
                record, model = self._train(outcome.method, outcome.chosen, seed)
                if model is not None:
                    try:
                        plan = self._plan_of(outcome.method, outcome.chosen, seed)
                        record |= self._cross_fitted(model, plan, outcome.method)
                        outputs = self._evaluate(model, plan, outcome.method)
                        self.archive.store_outputs(key, outputs)
                    except Exception as error:
                        logger.debug("judging %s failed", outcome.method.name, exc_info=True)
                        record |= {"status": "failed", "reason": _reason(error)}
                self.archive.store(key, record)
            if record["status"] == "failed":
                reason = record["reason"]
                outcome.failures.append({"seed": seed, "configuration": outcome.chosen, "reason": reason})
                continue
            assert outputs is not None
            outcome.seeds[seed], outcome.outputs[seed] = record, outputs

    def _train(self, method: Method, number: int, seed: int) -> tuple[dict[str, Any], PlaitModel | None]:
        """One run: its record, and the model where it ended well."""
        plan = self._plan_of(method, number, seed)
        record: dict[str, Any] = {
            "method": method.name, "configuration": asdict(self.configurations[number]), "seed": seed,
            "status": "done", "reason": None, "validation": None,
        }  # fmt: skip
        done = self.runs_done * self.steps_a_run
        total = max(self.runs_in_all, self.runs_done + 1) * self.steps_a_run

        def tell(step: int, steps: int, what: str) -> None:
            if self.progress is not None:
                self.progress(done + step, total, f"comparing: {method.name}, seed {seed}")

        model = None
        started = time.monotonic()
        try:
            with tempfile.TemporaryDirectory() as folder:
                model, history = fit_model(
                    plan, list(method.modalities), Path(folder) / "run", checkpoints=False, progress=tell
                )
            batch = plan.settings.train.batch_size
            assert batch is not None
            if history.best_score is None:
                raise ValueError("the validation score is undefined on these validation rows")
            record |= {
                "validation": history.best_score, "best_epoch": history.best_epoch,
                "epochs": len(history.epochs), "steps": len(history.epochs) * math.ceil(len(plan.train) / batch),
                "train_seconds": history.seconds, **count_parameters(model),
                "notes": calibration_notes(model, plan.labels),
            }  # fmt: skip
        except Exception as error:  # one method's fault must not end the comparison; it is listed with its reason
            logger.debug("run of %s failed", method.name, exc_info=True)
            record |= {"status": "failed", "reason": _reason(error)}
            record["train_seconds"] = time.monotonic() - started
            model = None
        self.runs_done += 1
        return record, model

    def _evaluate_kept(
        self, method: Method, number: int, key: str, record: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Outputs and cost of a search's chosen run, from the weights that were kept of it."""
        plan = self._plan_of(method, number, SEARCH_SEED)
        names = list(method.modalities)
        weights = self.archive.weights(key)
        if weights is None:
            raise ValueError(f"the weights of run {key} are missing in {self.archive.runs}; type --overwrite")
        torch.manual_seed(SEARCH_SEED)
        model = build_model(plan, names)
        model.load_state_dict(weights)
        torch.nn.Module.to(model, "cuda" if torch.cuda.is_available() else "cpu").train(False)
        record = {**record, **self._cross_fitted(model, plan, method)}
        outputs = self._evaluate(model, plan, method)
        self.archive.store_outputs(key, outputs)
        train = self._rows(plan, method, plan.train, with_target=True)
        memory, how = training_memory(model, plan, train)
        speed = inference_ms(model, self._rows(plan, method, self.test))
        record = {**record, "memory_bytes": memory, "memory_is": how, "inference_ms_per_1000": speed}
        self.archive.store(key, record)
        return record, outputs

    def _evaluate(self, model: PlaitModel, plan: Plan, method: Method) -> dict[str, np.ndarray]:
        """Activated outputs on validation and test rows. Nothing is chosen after this."""
        outputs = {}
        for split, rows in (("val", plan.val), ("test", self.test)):
            logits = predict_logits(model, self._rows(plan, method, rows))
            if not np.isfinite(logits).all():
                raise ValueError(f"{int((~np.isfinite(logits)).any(1).sum())} {split} rows have answers that are NaN")
            outputs[split] = plan.task.activate(logits, plan.labels)
        return outputs

    def _cross_fitted(self, model: PlaitModel, plan: Plan, method: Method) -> dict[str, float]:
        """The validation score where no row is judged by what was fitted on it; empty where nothing is fitted on them.

        A part that is fitted on validation rows (a stacking combiner, the pair head's calibration) would look too
        good on them beside methods that fit nothing there. It is fitted on one half and scored on the other, both
        ways, and then put back. Halves share out classes and keep groups whole.
        """
        if not any(isinstance(part, Calibrated) for part in (model.fusion, model.head)):
            return {}
        kept = {k: v.clone() for k, v in model.state_dict().items()}
        train = self._rows(plan, method, plan.train, with_target=True)
        halves = two_halves(plan.target[plan.val], plan.group_N[plan.val])
        logits: np.ndarray = np.zeros((len(plan.val), plan.labels.num_outputs), dtype=np.float32)
        for fitted, scored in (halves, halves[::-1]):
            model.load_state_dict(kept)
            calibrate(model, train, self._rows(plan, method, plan.val[fitted], with_target=True))
            logits[scored] = predict_logits(model, self._rows(plan, method, plan.val[scored]))
        model.load_state_dict(kept)
        truth = natural_target(plan.task, plan.target[plan.val], plan.labels)
        metrics = plan.task.metrics(truth, plan.task.activate(logits, plan.labels))
        score = metrics.get(plan.task.selects or plan.task.primary)
        return {} if score is None else {"validation_cross_fitted": float(score)}

    def _rows(self, plan: Plan, method: Method, rows: np.ndarray, *, with_target: bool = False) -> RowBatches:
        names = [m.name for m in plan.inputs.modalities]
        columns = [names.index(n) for n in method.modalities]
        sources = {n: plan.prepared.sources[n] for n in method.modalities}
        index_NM = plan.prepared.rows.index_NM[:, columns][rows]
        if not with_target:
            return RowBatches(sources, index_NM)
        return RowBatches(sources, index_NM, plan.target[rows], plan.group_N[rows])

    def _plan_of(self, method: Method, number: int, seed: int) -> Plan:
        """The plan of one run: its settings, features without tokens unless it reads them, its seed's encoders."""
        needs_tokens = FUSIONS.get(method.fusion).info.needs_tokens
        plan = self.plan if needs_tokens else self.vectors_only
        settings = self._settings(method, number, seed)
        return replace(plan, settings=settings, inputs=replace(plan.inputs, live=self._live(seed)))

    def _live(self, seed: int) -> dict[str, Any]:
        """Trained encoders of a seed; those that begin from scratch begin differently with each."""
        if seed not in self.live:
            torch.manual_seed(seed)
            shared: dict[int, Any] = {}
            for modality in self.plan.inputs.modalities:
                encoder = self.plan.inputs.live.get(modality.name)
                if encoder is None or id(encoder) in shared:
                    continue
                is_random = MODALITY_KINDS.get(modality.kind).is_random
                from_scratch = is_random or encoder.reference.startswith("scratch:")
                shared[id(encoder)] = build_encoder(encoder.config()) if from_scratch and seed else encoder
            self.live[seed] = {n: shared[id(e)] for n, e in self.plan.inputs.live.items()}
        return self.live[seed]

    def _settings(self, method: Method, number: int, seed: int) -> RunSettings:
        configuration = self.configurations[number]
        return run_settings(self.plan.settings, method, configuration, seed, align_all=self.align_all)

    def _key(self, method: Method, number: int, seed: int) -> str:
        settings = self._settings(method, number, seed)
        facts = {"settings": to_dict(settings), "modalities": method.modalities, "table": self.fingerprint}
        return run_key({**facts, "encoders": self.encoders})

    def _best(self, records: list[dict[str, Any]]) -> int | None:
        """Number of the record with the best validation score; the first of equals; None where all failed."""
        best: int | None = None
        sign = 1.0 if self.plan.task.higher_is_better else -1.0
        for number, record in enumerate(records):
            value = record.get("validation") if record.get("status") == "done" else None
            if value is not None and (best is None or sign * value > sign * records[best]["validation"]):
                best = number
        return best


def _without_tokens(plan: Plan) -> Plan:
    """The same rows with vectors only, so that a method that reads no tokens does not pay for them."""
    sources = {
        n: s.select(has_tokens=False) if isinstance(s, FeatureSet | SetSource) else s
        for n, s in plan.prepared.sources.items()
    }
    prepared = replace(plan.prepared, sources=sources)
    return replace(plan, inputs=replace(plan.inputs, with_tokens=False), prepared=prepared)


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    known = isinstance(error, ValueError | RuntimeError | MemoryError | NotImplementedError)
    return text if known else f"{type(error).__name__}: {text}"
