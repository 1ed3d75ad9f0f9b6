"""Explain any model that answers rows of several modalities, whoever made it.

In: a function from modalities to probabilities (or numbers), rows, and their truth. Out: the same dictionary as
``Plait.explain`` gives for a model of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from plait.data.progress import Progress
from plait.explain.measure import Measure, Metric, measure_named, with_metric
from plait.explain.modality import explain_subject
from plait.explain.subject import Subject, check_modalities

Predict = Callable[[dict[str, Any]], Any]
OUTPUTS = ("probabilities", "logits")


def explain_modalities(
    predict: Predict,
    inputs: Mapping[str, Any],
    target: Any,
    *,
    task: str = "classification",
    outputs: str = "probabilities",
    classes: Sequence[str] | None = None,
    absence: str = "missing",
    constants: Mapping[str, Any] | None = None,
    prior: Sequence[float] | None = None,
    draws: int = 8,
    metric: Metric = None,
    groups: Sequence[Any] | None = None,
    examples: int | Sequence[int] = 8,
    permutations: int = 20,
    emap_evaluations: int = 100_000,
    resamples: int | None = None,
    batch_size: int = 1024,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Measure how a model uses its modalities: exact Shapley values, interactions, EMAP, perceptual score.

    Args:
        predict: Gets a dictionary of modality to a list of values (with None where the modality is absent), or to an
            array where ``inputs`` holds an array and ``absence`` is "marginal". Returns probabilities ``[B, C]``, or
            predicted numbers ``[B]`` for regression.
        inputs: Modality to its values, one a row, N in all, in the order of the target (an index of a pandas Series
            is not looked at); None where a row lacks the modality.
        target: Class numbers or names ``[N]``, 0/1 labels ``[N, C]`` or numbers ``[N]``. Whole numbers that all stand
            among ``classes`` are names; others are positions, from 0.
        task: "classification", "matching", "multilabel" or "regression".
        outputs: "probabilities" or "logits": what ``predict`` returns for classes and labels.
        classes: Names of the outputs; needed when the target holds names.
        absence: What "without a modality" means: "missing" (``predict`` gets None), "marginal" (the values of other
            rows, the answers averaged over ``draws`` of them) or "value" (the constant in ``constants``).
        constants: For "value": modality to the constant that stands for it; it also replaces None in ``inputs``.
        prior: For "missing": what is answered where nothing is left, as ``predict`` would: shares of the classes in
            training, or [mean]; None: what ``predict`` says to an empty row, which may be worse than guessing.
        draws: Other rows to average over for "marginal".
        metric: Another primary metric, by name or as a function of target and outputs; higher is better.
        groups: A group name per row; intervals then draw whole groups.
        examples: How many telling rows to explain one by one, or which (row numbers).
        permutations: Shufflings per modality for the perceptual score; 0 leaves it out.
        emap_evaluations: Rows to ask for EMAP, about; 0 leaves it out.
        resamples: Bootstrap draws; None chooses 100 to 1,000.
        batch_size: Rows per call of ``predict``.
        seed: Seed of everything random.
        progress: Called with (done, total, what).

    Returns:
        A dictionary that JSON can hold: ``verdict``; ``metric``, ``loss`` and ``absence`` (what was measured, and what
        absence meant); ``subsets`` (all 2^M, the empty one first, metric and loss with intervals); ``empty`` (the
        answer to nothing); ``shapley`` and ``interaction`` for metric and loss, with intervals, ``share`` being
        |phi| over the sum of all |phi|; ``gains``; ``unused``; ``emap``; ``perceptual``; ``examples``; ``cost``.

    Raises:
        ValueError: More than six modalities, columns of different lengths, an absence that cannot be used, or NaN
            among the answers; the message says what to do.

    Reference:
        Shapley 1953; Grabisch and Roubens 1999 (interaction index); Hessel and Lee 2020 (EMAP); Gat et al. 2021
        (perceptual score); Hu et al. 2022 (SHAPE: Shapley values of modalities on the metric).

    Example:
        >>> rows = {"a": [0, 0, 1, 1] * 8, "b": [0, 1, 0, 1] * 8}
        >>> def xor(given):
        ...     pairs = zip(given["a"], given["b"])
        ...     yes = [0.5 if a is None or b is None else float(a != b) for a, b in pairs]
        ...     return [[1 - y, y] for y in yes]
        >>> found = explain_modalities(xor, rows, [0, 1, 1, 0] * 8)
        >>> found["shapley"]["metric"]["a"]["value"], found["interaction"]["metric"][0]["value"]
        (0.25, 0.5)
    """
    if not isinstance(inputs, Mapping):
        raise ValueError(f"inputs is a {type(inputs).__name__}; expected a dictionary of modality -> values")
    names = tuple(str(n) for n in inputs)
    check_modalities(names)
    if outputs not in OUTPUTS:
        raise ValueError(f"outputs is {outputs!r}; expected one of {', '.join(OUTPUTS)}")
    lengths = {name: len(inputs[name]) for name in names}
    measure = with_metric(measure_named(task), metric)
    truth = measure.read_target(np.asarray(target), classes)
    if set(lengths.values()) != {len(truth)} or len(truth) == 0:
        counted = ", ".join(f"{n}: {c}" for n, c in lengths.items())
        raise ValueError(f"the modalities have {counted} rows and the target {len(truth)}; expected the same, above 0")
    fill = dict(constants or {})
    if absence == "value" and (lacking := [n for n in names if n not in fill]):
        raise ValueError(f"absence 'value' needs constants={{...}} for {', '.join(lacking)}")
    if fill and absence != "value":
        raise ValueError(f"constants go with absence='value', not with {absence!r}")
    columns = {name: _positional(name, inputs[name]) for name in names}
    reader = _Reader(predict, names, columns, absence, fill, measure, outputs, batch_size)
    first = reader(np.arange(1, dtype=np.int64)[:, None].repeat(len(names), axis=1))
    labelled = _names(classes, first.shape[1], measure, truth)
    subject = Subject(
        names, reader, reader.present_NM(len(truth)), truth, measure, labelled,
        None if groups is None else np.asarray([str(g) for g in groups]), reader.scale,
        prior=_checked_prior(prior, first.shape[1], absence),
    )  # fmt: skip
    found = explain_subject(
        subject, absence=absence, draws=draws, examples=examples, permutations=permutations,
        emap_evaluations=emap_evaluations, resamples=resamples, seed=seed, progress=progress,
    )  # fmt: skip
    for shown in found["examples"]:
        shown["row"] = shown["position"]
    return {"task": task, **found}


def _checked_prior(prior: Sequence[float] | None, num_outputs: int, absence: str) -> np.ndarray | None:
    if prior is None:
        return None
    if absence != "missing":
        raise ValueError(f"prior goes with absence='missing', not with {absence!r}")
    given = np.asarray(prior, dtype=np.float64)
    if given.shape != (num_outputs,) or not np.isfinite(given).all():
        raise ValueError(f"prior has shape {given.shape}; expected {num_outputs} finite numbers, one an output")
    return given


class _Reader:
    """Turns row numbers into what ``predict`` takes, and its answers into scores."""

    def __init__(
        self, predict: Predict, names: tuple[str, ...], inputs: dict[str, Any], absence: str, fill: dict[str, Any],
        measure: Measure, outputs: str, batch_size: int,
    ) -> None:  # fmt: skip
        self.predict, self.names, self.fill, self.measure = predict, names, fill, measure
        self.are_logits = outputs == "logits" or measure.is_number
        self.scale = "logits" if outputs == "logits" and not measure.is_number else measure.scale
        self.batch_size = max(1, batch_size)
        self.columns = [inputs[n] for n in names]
        self.as_array = [absence == "marginal" and isinstance(c, np.ndarray) for c in self.columns]

    def present_NM(self, num_rows: int) -> np.ndarray:  # noqa: N802
        """True where a row has the modality; a constant stands in for nobody."""
        return np.array([[c[i] is not None for c in self.columns] for i in range(num_rows)], dtype=bool)

    def __call__(self, rows_BM: np.ndarray) -> np.ndarray:
        starts = range(0, len(rows_BM), self.batch_size)
        return np.concatenate([self._answers(rows_BM[s : s + self.batch_size]) for s in starts])

    def _answers(self, rows_BM: np.ndarray) -> np.ndarray:
        given: dict[str, Any] = {}
        for m, name in enumerate(self.names):
            column, rows = self.columns[m], rows_BM[:, m]
            if self.as_array[m]:
                given[name] = column[rows]
                continue
            absent = self.fill.get(name)
            values = [column[int(i)] if i >= 0 else None for i in rows]
            given[name] = [absent if v is None else v for v in values]
        answers = np.asarray(self.predict(given), dtype=np.float64)
        if answers.ndim == 1 and self.measure.is_number:
            answers = answers[:, None]
        if answers.ndim != 2 or len(answers) != len(rows_BM):
            raise ValueError(
                f"predict answered {len(rows_BM)} rows with shape {answers.shape}; expected [rows, classes], one "
                "line a row (for two classes give both probabilities)"
            )
        if self.are_logits:
            return answers
        if np.isfinite(answers).all():  # what is not finite is given by the subject, with the subset
            if answers.min() < -1e-6 or answers.max() > 1 + 1e-6:
                raise ValueError(
                    f"predict answers from {answers.min():.4g} to {answers.max():.4g}; expected probabilities, or say "
                    "outputs='logits'"
                )
            sums = answers.sum(axis=1)
            if self.measure.exclusive and np.abs(sums - 1).max() > 1e-3:
                raise ValueError(
                    f"the probabilities of a row add up to {sums[np.abs(sums - 1).argmax()]:.4g}; expected 1 (for "
                    "labels that do not exclude each other say task='multilabel')"
                )
        return self.measure.scores(answers)


def _positional(name: str, column: Any) -> Any:
    """A column whose ``[i]`` is the value of row i: an array as it is, everything else as a list."""
    if isinstance(column, np.ndarray):
        return column
    if isinstance(column, Mapping) or getattr(column, "ndim", 1) == 0:
        raise ValueError(
            f"modality {name!r} is a {type(column).__name__}; expected a list or an array, one value a row"
        )
    if hasattr(column, "iloc") and column.ndim > 1:  # a pandas frame: a list of it would be its column names
        return list(column.to_numpy())
    return column.to_pylist() if hasattr(column, "to_pylist") else list(column)


def _names(classes: Sequence[str] | None, width: int, measure: Measure, truth: np.ndarray) -> tuple[str, ...]:
    if measure.is_number:
        return ()
    if classes is not None and len(classes) != width:
        raise ValueError(f"{len(classes)} classes are named but predict returns {width} columns")
    if measure.exclusive and (truth.min() < 0 or truth.max() >= width):
        raise ValueError(f"target holds class {int(truth.max())}, but predict returns {width} columns, from class 0")
    return tuple(str(c) for c in classes) if classes is not None else tuple(f"class {c}" for c in range(width))
