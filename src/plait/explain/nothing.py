"""The answer to no modality at all, from which Shapley values are measured: the training prior, not the model's own.

A network that was never shown an empty row answers one at random: on one table with its rarest class, right on 7 % of
the rows where guessing is right on 62 %. Measured from there, every modality seems worth much. So wherever a subset
leaves a row nothing that the model reads, the prior answers in the model's place: shares of classes or labels in
training, or the mean of a number. (The base value of Lundberg and Lee 2017 is a mean of answers for the same reason.)
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from plait.explain.measure import likeliest
from plait.explain.subject import Subject


def with_prior(subject: Subject, scores_SNC: list[np.ndarray], unused: list[str]) -> list[np.ndarray]:
    """Scores of every subset, in bit order, the prior's where a subset leaves a row nothing.

    Modalities that a row lacks, and those that the model never uses, are nothing, so they go on counting exactly 0. A
    row that has nothing else keeps the model's answers, with and without them.

    Args:
        subject: The model and its rows; one without a prior is left as it is.
        scores_SNC: The model's own scores.
        unused: Modalities that never change an answer.
    """
    if subject.prior is None:
        return scores_SNC
    read_NM = subject.present_NM & np.array([name not in unused for name in subject.names])
    has_any_N = read_NM.any(axis=1)
    prior_C = subject.measure.scores(subject.prior[None])[0]
    made = []
    for subset, scores_NC in enumerate(scores_SNC):
        kept_M = np.array([bool(subset >> m & 1) for m in range(len(subject.names))])
        is_empty_N = has_any_N & ~(read_NM & kept_M).any(axis=1)
        made.append(np.where(is_empty_N[:, None], prior_C, scores_NC))
    return made


def told_nothing(subject: Subject, own_NC: np.ndarray, given_NC: np.ndarray) -> dict[str, object]:
    """What stands for the answer to nothing, and what the model itself answers then.

    Args:
        subject: The model and its rows.
        own_NC: The model's own scores of nothing.
        given_NC: Those that the game begins with.
    """
    own = _mean_answer(subject, own_NC)
    if subject.prior is None:
        return {**own, "by": "the model"}
    metric = subject.measure.metric_of(subject.target, subject.measure.activate(own_NC))
    return {
        **_mean_answer(subject, given_NC, likeliest),
        "by": "the training prior",
        "model": {**own, "metric": metric},
    }


def _mean_answer(
    subject: Subject, scores_NC: np.ndarray, decide: Callable[[np.ndarray], np.ndarray] | None = None
) -> dict[str, object]:  # fmt: skip
    mean = subject.measure.activate(scores_NC).mean(axis=0)
    if not subject.classes:
        named = {} if subject.measure.meaning is None else {"is": subject.measure.explained}
        return {"answer": float(mean[0]), "outputs": None, **named}
    return {
        "answer": subject.classes[int((decide or subject.measure.decide)(mean[None])[0])],
        "outputs": {name: float(v) for name, v in zip(subject.classes, mean, strict=True)},
    }
