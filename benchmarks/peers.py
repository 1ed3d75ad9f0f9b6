"""What scikit-learn and LightGBM make of the rows and the frozen features that Plait's presets read (``ensemble.py``).

Linear: logistic regression, or ridge on the number or its logarithm, on standardised vectors with a place a category;
its penalty by cross-validation on training and validation rows. Trees: scikit-learn's histogram gradient boosting and
LightGBM, each as they come, and 500 trees stopped early by validation rows; they read the same vectors, numbers with
their gaps, and categories as whole numbers. The best is the one with the smallest loss on validation rows (log loss,
squared error), where linear models are judged by the folds that hold them out; it then learns from both kinds of rows,
with what they chose. Test rows are only read for the numbers. All is deterministic, so there is one seed.

LightGBM is no dependency of Plait. Install it where this script can see it:
``uv pip install --target libraries --no-deps lightgbm``, then ``PYTHONPATH=libraries:$PYTHONPATH``.
With ``--kept`` of ``ensemble.py`` the best is compared, row by row, with the preset ``best`` of each seed.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold
from sklearn.preprocessing import StandardScaler

from ensemble import TABLES, WANTED
from measure import arguments, kept_or_made, table
from plait.ensemble.features import TableFeatures
from plait.ensemble.trees import columns_of
from plait.metrics.intervals import bootstrap_interval, paired_difference
from plait.metrics.label import classification_metrics, regression_metrics
from plait.training import Plan
from training_choices import prepared

INSTALL = "uv pip install --target libraries --no-deps lightgbm, then PYTHONPATH=libraries:$PYTHONPATH"
CLASSES, NUMBERS = (10.0, 1.0, 0.1, 0.01, 0.001, 1e-4), tuple(10.0**k for k in range(-1, 6))
FOLDS, TREES, PATIENCE = 5, 500, 30
Fitted = Callable[[Any], np.ndarray]


@dataclass
class Rows:
    """A table as the peers read it.

    Attributes:
        plain: Vectors, numbers and a place a category [N, D].
        is_place: Which of these are places of categories, mostly zero [D].
        columns: For trees: vectors, numbers with gaps, categories as whole numbers [N, F].
        target: Classes as numbers, or numbers in their unit [N].
        group: Rows with equal numbers stay together [N].
        train: Positions.
        val: Positions.
        test: Positions.
    """

    plain: np.ndarray
    is_place: np.ndarray
    columns: np.ndarray
    target: np.ndarray
    group: np.ndarray
    train: np.ndarray
    val: np.ndarray
    test: np.ndarray


def rows_of(plan: Plan, usable: np.ndarray) -> Rows:
    """The features that members of an ensemble read."""
    features = TableFeatures(plan)
    plain, places, columns = [], [], []
    for m, part in features.parts.items():
        modality, there = plan.inputs.modalities[m], features.present_NM[:, m]
        codes = getattr(plan.inputs.processors[modality.name], "cardinalities", None)
        plain.append(part)
        if codes is None:
            places.append(np.zeros(part.shape[1], dtype=bool))
            columns.append(np.where(there[:, None], part, np.nan))
        else:
            places.append(np.arange(part.shape[1]) >= part.shape[1] - sum(size - 1 for size in codes))
            read = plan.prepared.sources[modality.name].take(plan.prepared.rows.items[modality.name].index_N)
            whole = np.concatenate([np.arange(size, dtype=float) for size in codes]) if codes else np.zeros(0)
            columns.append(np.where(there[:, None], columns_of(read, whole, tuple(codes)), np.nan))
    test = np.setdiff1d(usable, np.concatenate([plan.train, plan.val]))
    return Rows(
        np.concatenate(plain, axis=1), np.concatenate(places), np.concatenate(columns, axis=1), features.target,
        plan.group_N, plan.train, plan.val, test,
    )  # fmt: skip


def losses(outputs: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Log loss or squared error of each row."""
    if outputs.ndim == 1:
        return (outputs - target) ** 2
    return -np.log(np.clip(outputs[np.arange(len(target)), target.astype(int)], 1e-12, None))


def linear(rows: Rows) -> tuple[float, Fitted, dict[str, Any]]:
    """Loss on validation rows, held out; the model of training and validation rows; what was chosen."""
    is_class, both = rows.target.dtype.kind in "iu", np.concatenate([rows.train, rows.val])
    cut = (StratifiedGroupKFold if is_class else GroupKFold)(FOLDS)
    folds = list(cut.split(both, rows.target[both], rows.group[both]))
    scaled = [(linear_features(rows, both[a]), a, b) for a, b in folds]
    best: tuple[float, Any] | None = None
    logs = (False,) if is_class or (rows.target[both] <= 0).any() else (False, True)
    for is_log in logs:
        for penalty in CLASSES if is_class else NUMBERS:
            held = np.zeros((len(both), rows.target.max() + 1) if is_class else len(both))
            for features, a, b in scaled:
                held[b] = fit_linear(rows, features, both[a], penalty, is_log)(both[b])
            loss = losses(held, rows.target[both])
            if best is None or loss.mean() < best[0]:
                best = (float(loss.mean()), (penalty, is_log, float(loss[len(rows.train) :].mean())))
    assert best is not None
    penalty, is_log, on_val = best[1]
    model = fit_linear(rows, linear_features(rows, both), both, penalty, is_log)
    return on_val, model, {"C" if is_class else "alpha": penalty, "log": is_log}


def linear_features(rows: Rows, learned: np.ndarray) -> Any:
    """Features of all rows, standardised on some; places of categories stay zeros and ones where they are many."""
    wide = int(rows.is_place.sum()) > 1000
    dense = rows.plain[:, ~rows.is_place] if wide else rows.plain
    made = StandardScaler().fit(dense[learned]).transform(dense).astype(np.float64)
    if not wide:
        return made
    return sparse.hstack([sparse.csr_matrix(made), sparse.csr_matrix(rows.plain[:, rows.is_place])], format="csr")


def fit_linear(rows: Rows, features: Any, learned: np.ndarray, penalty: float, is_log: bool) -> Fitted:
    """From positions to outputs."""
    target = rows.target[learned]
    if target.dtype.kind in "iu":
        model = LogisticRegression(C=penalty, max_iter=300).fit(features[learned], target)
        return lambda at: _spread(model.predict_proba(features[at]), model.classes_, rows)
    ridge = Ridge(alpha=penalty).fit(features[learned], np.log(target) if is_log else target)
    return lambda at: np.exp(ridge.predict(features[at])) if is_log else ridge.predict(features[at])


def _spread(outputs: np.ndarray, classes: np.ndarray, rows: Rows) -> np.ndarray:
    """Probabilities of the known classes at their places among all."""
    found = np.zeros((len(outputs), int(rows.target.max()) + 1))
    found[:, classes.astype(int)] = outputs
    return found


def trees(rows: Rows, make: Callable[[int | None], Any], is_stopped: bool) -> tuple[float, Fitted, dict[str, Any]]:
    """The same of a kind of trees: loss on validation rows, the model, what was chosen."""
    first = make(TREES if is_stopped else None)
    chosen: int | None = None
    if is_stopped:
        import lightgbm  # the caller saw that it is there

        first.fit(
            rows.columns[rows.train], rows.target[rows.train],
            eval_set=[(rows.columns[rows.val], rows.target[rows.val])],
            callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)],
        )  # fmt: skip
        chosen = max(1, int(first.best_iteration_))
    else:
        first.fit(rows.columns[rows.train], rows.target[rows.train])
    both = np.concatenate([rows.train, rows.val])
    model = make(chosen).fit(rows.columns[both], rows.target[both])
    on_val = float(losses(_answers(first, rows)(rows.val), rows.target[rows.val]).mean())
    return on_val, _answers(model, rows), {"trees": chosen} if chosen else {}


def _answers(model: Any, rows: Rows) -> Fitted:
    if rows.target.dtype.kind in "iu":
        return lambda at: _spread(model.predict_proba(rows.columns[at]), model.classes_, rows)
    return lambda at: np.asarray(model.predict(rows.columns[at]))


def peers(rows: Rows) -> dict[str, Callable[[], tuple[float, Fitted, dict[str, Any]]]]:
    """By name: what fits it."""
    is_class = rows.target.dtype.kind in "iu"
    hist = HistGradientBoostingClassifier if is_class else HistGradientBoostingRegressor
    found: dict[str, Any] = {
        "scikit-learn, linear": lambda: linear(rows),
        "scikit-learn, trees": lambda: trees(rows, lambda n: hist(random_state=0), False),
    }
    try:
        lightgbm = importlib.import_module("lightgbm")
    except ImportError:
        print(f"LightGBM is left out: it is not installed here. Type: {INSTALL}", file=sys.stderr)
        return found
    kind = lightgbm.LGBMClassifier if is_class else lightgbm.LGBMRegressor

    def make(count: int | None) -> Any:
        return kind(n_estimators=count or 100, random_state=0, n_jobs=1, verbose=-1)

    found["LightGBM"] = lambda: trees(rows, make, False)
    found[f"LightGBM, {TREES} trees stopped early"] = lambda: trees(rows, make, True)
    return found


def measured(outputs: np.ndarray, target: np.ndarray, group: np.ndarray) -> dict[str, Any]:
    """Metrics on test rows, the first with its interval, and what was answered."""
    if outputs.ndim == 1:
        found, right = regression_metrics(target, outputs), -np.abs(outputs - target)
    else:
        found, right = classification_metrics(target, outputs), (outputs.argmax(1) == target).astype(float)
    low, high = bootstrap_interval(right, len(right), groups=group)
    kept = [k for names in WANTED.values() for k in names]
    interval = sorted((abs(low or 0), abs(high or 0)))
    answers = outputs if outputs.ndim == 1 else outputs.argmax(1)
    return {k: float(found[k]) for k in kept if k in found} | {"interval": interval, "answers": answers.tolist()}


def against(best: dict[str, Any], ours: dict[str, Any], plan: Plan, rows: Rows) -> str:
    """Accuracy, or less absolute error, of the preset minus that of a peer, row by row with its 95 % interval."""
    target = rows.target[rows.test]
    if target.dtype.kind in "iu":
        classes = [str(c) for c in plan.labels.classes]
        mine = np.array([classes.index(str(a)) for a in ours["answers"]]) == target
        a, b = mine.astype(float), (np.array(best["answers"]) == target).astype(float)
    else:
        a, b = (np.abs(np.array(one["answers"]) - target) for one in (ours, best))
    gap, low, high = paired_difference(a, b, rows.group[rows.test])
    digits = 3 if target.dtype.kind in "iu" else 0
    return f"{gap:+.{digits}f} [{low:+.{digits}f}, {high:+.{digits}f}]"


def main() -> None:
    """Run and print."""
    given = arguments(
        __doc__ or "", data=".", seeds=1,
        options={"--only": ",".join(TABLES), "--peers": "scikit-learn,LightGBM", "--kept": "", "--ours": ""},
    )  # fmt: skip
    lines = [json.loads(t) for t in Path(given.ours).read_text().splitlines()] if given.ours else []
    for name in given.only.split(","):
        run = prepared(name, given.data)
        rows = rows_of(run.plan, run.usable)
        outcome = []
        wanted_peers = tuple(given.peers.split(","))
        for peer, fit in [entry for entry in peers(rows).items() if entry[0].startswith(wanted_peers)]:

            def made(fit: Any = fit, rows: Rows = rows) -> dict[str, Any]:
                started = time.monotonic()
                on_val, model, chosen = fit()
                seconds = time.monotonic() - started
                found = measured(model(rows.test), rows.target[rows.test], rows.group[rows.test])
                return {"validation": on_val, "seconds": seconds, "chosen": chosen, **found}

            outcome.append(kept_or_made(given.kept, {"table": name, "peer": peer}, made))
        wanted = [k for k in outcome[0] if k in (*WANTED["classification"], *WANTED["regression"])]
        best = {
            library: min((o for o in outcome if o["peer"].startswith(library)), key=lambda o: o["validation"])["peer"]
            for library in ("scikit-learn", "LightGBM")
            if any(o["peer"].startswith(library) for o in outcome)
        }
        print(f"\n{name}: {len(rows.train)}, {len(rows.val)} and {len(rows.test)} rows, {rows.plain.shape[1]} wide\n")
        body = []
        for one in outcome:
            line = [one["peer"] + (" (chosen)" if one["peer"] in best.values() else "")]
            line += [f"{one[k]:.{0 if k == 'mae' else 3}f}" for k in wanted]
            line += [f"{one['interval'][0]:.3f} to {one['interval'][1]:.3f}", f"{one['validation']:.3f}"]
            line += [json.dumps(one["chosen"]), f"{one['seconds']:.1f}"]
            mine = [o for o in lines if o["table"] == name and o.get("preset") == "best"]
            line.append("; ".join(against(one, o, run.plan, rows) for o in mine))
            body.append(line)
        head = ["95% interval", "loss on validation rows", "chosen", "seconds", "`best` minus it, by seed"]
        table(["what", *wanted, *head], body)


if __name__ == "__main__":
    main()
