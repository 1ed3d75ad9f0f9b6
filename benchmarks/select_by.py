"""What the metric of ``task.select_by`` should choose of an ensemble: weights, whole members, or nothing.

Members are eight classifiers of scikit-learn, fitted on half of the rows of tables that come with it, some of them
drawn with rare classes. A small share of the other half chooses, the rest is measured; rows are dealt anew by seed.
Compared by macro-F1 and log loss on the measured rows: the weights of the proper loss (what Plait does), a member in
their place that is better by macro-F1 by more than one standard error (``by_metric.py``), the best member by macro-F1,
and weights that a greedy selection finds by macro-F1, ties to the smaller log loss.

Run: python benchmarks/select_by.py [--seeds 20]     (minutes)
"""

from __future__ import annotations

import argparse
import warnings
from dataclasses import replace

import numpy as np

from by_metric import choose_whole
from measure import line, table

ROUNDS = 30
WAYS = ("weights by log loss", "one standard error", "best member by F1", "greedy by F1")


def main() -> None:
    """Print a line a table and number of choosing rows: mean macro-F1, and differences to the first way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    seeds = parser.parse_args().seeds
    warnings.simplefilter("ignore")
    heads = [f"{way}: {what}" for way in WAYS[1:] for what in ("macro-F1", "log loss")]
    table(["table", "rows that choose", "macro-F1", "log loss", *heads, "a member answered"], [])
    for name, (X, y) in _tables().items():
        made = [_dealt(X, y, seed) for seed in range(seeds)]
        for rows in (40, 120):
            found = np.array([_measured(*one, rows, seed) for seed, one in enumerate(made)])
            base, cells = found[:, 0], []
            for way in range(1, len(WAYS)):
                for what in (0, 1):
                    gap = found[:, way, what] - base[:, what]
                    half = 1.96 * gap.std(ddof=1) / np.sqrt(seeds)
                    cells.append(f"{gap.mean():+.3f} ± {half:.3f}")
            swapped = int((np.abs(found[:, 1, 1] - base[:, 1]) > 1e-12).sum())
            line([name, str(rows), f"{base[:, 0].mean():.3f}", f"{base[:, 1].mean():.3f}", *cells,
                  f"{swapped} of {seeds}"])  # fmt: skip


def _tables() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    from sklearn.datasets import load_breast_cancer, load_digits, make_classification

    rare = make_classification(900, 12, n_informative=5, weights=[0.9], flip_y=0.08, class_sep=0.8, random_state=0)
    three = make_classification(
        900, 12, n_informative=6, n_classes=3, weights=[0.7, 0.2], flip_y=0.1, class_sep=0.7, random_state=1
    )  # fmt: skip
    rng = np.random.default_rng(0)
    digits = load_digits(return_X_y=True)
    noisy = digits[0][:900] + rng.normal(0, 8, (900, 64)), digits[1][:900]
    cancer = load_breast_cancer(return_X_y=True)
    return {"one in ten": rare, "three classes": three, "noisy digits": noisy, "breast cancer": cancer}


def _dealt(X: np.ndarray, y: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Outputs of each member on the half that it has not seen [K, N, C], and targets."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import train_test_split
    from sklearn.naive_bayes import GaussianNB
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.preprocessing import StandardScaler
    from sklearn.tree import DecisionTreeClassifier

    learn, rest, y_learn, y_rest = train_test_split(X, y, test_size=0.5, random_state=seed, stratify=y)
    scaler = StandardScaler().fit(learn)
    learn, rest = scaler.transform(learn), scaler.transform(rest)
    members = [
        LogisticRegression(max_iter=200), LogisticRegression(C=0.01, max_iter=200),
        LogisticRegression(class_weight="balanced", max_iter=200), GaussianNB(), KNeighborsClassifier(5),
        DecisionTreeClassifier(min_samples_leaf=5, random_state=seed),
        RandomForestClassifier(30, random_state=seed),
        RandomForestClassifier(30, class_weight="balanced", min_samples_leaf=5, random_state=seed),
    ]  # fmt: skip
    outputs = np.stack([m.fit(learn, y_learn).predict_proba(rest) for m in members])
    outputs = np.clip(outputs, 1e-3, 1)
    return outputs / outputs.sum(-1, keepdims=True), y_rest.astype(np.int64)


def _measured(outputs: np.ndarray, target: np.ndarray, rows: int, seed: int) -> list[list[float]]:
    """Macro-F1 and log loss of each way on the rows that did not choose."""
    from plait.ensemble.averaging import Average, settle, tempered
    from plait.ensemble.scale import SCALES
    from plait.ensemble.selection import select_steadily
    from plait.tasks import TASKS

    scale, task = SCALES.get("classes"), replace(TASKS.get("classification"), selects="f1_macro")
    shuffled = np.random.default_rng(seed).permutation(len(target))
    chooses, judged = shuffled[:rows], shuffled[rows:]
    given, truth, order = outputs[:, chooses], target[chooses], np.arange(len(outputs))
    groups = np.arange(rows)

    def losses(o: np.ndarray, at: object = slice(None)) -> np.ndarray:
        return np.asarray(scale.loss(o, truth[at]))

    def f1(o: np.ndarray) -> float:
        return float(task.metrics(truth, o)["f1_macro"])

    def rank(o: np.ndarray) -> tuple[float, float]:
        return -round(f1(o), 12), float(losses(o).mean())

    weights = select_steadily(given, losses, list(order), groups, seed)
    usual = settle(weights, given, losses, scale, order, groups)
    whole = choose_whole(usual, given, losses, scale, task, truth, order, groups, seed)
    best = min(order, key=lambda k: rank(given[k]))
    alone = Average(np.eye(len(outputs))[best], tempered(given[best], losses, scale)[0], int(best))
    counts = np.eye(len(outputs))[best]
    kept, kept_rank = counts.copy(), rank(given[best])
    for _ in range(ROUNDS - 1):
        tried = [(counts + one) / (counts.sum() + 1) for one in np.eye(len(outputs))]
        ranks = [rank(np.einsum("k,knc->nc", t, given)) for t in tried]
        add = min(order, key=lambda k: ranks[k])
        counts = counts + np.eye(len(outputs))[add]
        if ranks[add] < kept_rank:
            kept, kept_rank = counts.copy(), ranks[add]
    share = kept / kept.sum()
    greedy = Average(share, tempered(np.einsum("k,knc->nc", share, given), losses, scale)[0], int(best))
    found = []
    for one in (usual, whole, alone, greedy):
        mixed = np.einsum("k,knc->nc", one.weights, outputs[:, judged])
        answers = scale.temper(mixed, np.full((len(judged), 1), one.temperature))
        measured = task.metrics(target[judged], answers)
        found.append([float(measured["f1_macro"]), float(scale.loss(answers, target[judged]).mean())])
    return found


if __name__ == "__main__":
    main()
