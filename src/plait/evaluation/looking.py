"""Judging a vision-language model: its metrics with intervals, and the proof that it looks at the picture.

The same rows are asked again with a grey picture in place of each picture, with another row's picture, and without the
question; a model that answers as well does not look, or does not read. A model that was tuned stands beside itself as
it was before. What is learned from nothing is measured on all rows that are given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from plait.evaluation.base import shown_row
from plait.inference.vision_language import Request
from plait.inputs.prepare import Prepared
from plait.metrics.intervals import paired_metric_difference
from plait.metrics.looking_verdict import Replaced, looking_notes, looking_verdict
from plait.metrics.tuning_verdict import tuning_verdict

if TYPE_CHECKING:
    from PIL import Image

Intervals = dict[str, dict[str, Any]]
Answered = tuple[list[str], Any]  # the answers, and what a measure takes of them
RESAMPLES, NUM_EXAMPLES, GREY = 500, 12, (128, 128, 128)
UNTUNED = "the untuned model"
ANOTHER, NO_PICTURE, NO_QUESTION = "another row's picture", "a grey picture", "no question"


@dataclass
class Judged:
    """What is judged, and how.

    Attributes:
        prepared: The rows of the table.
        positions: Positions of the judged rows.
        requests: What each of them asks.
        unasked: The same without its question; None: there are none.
        truths: The true answers of each, in words.
        answer: From requests and what to call the work to their answers.
        measure: From what ``answer`` gave to metrics with intervals, scores of each row by metric [N], and notes.
        primary: The metric that heads the report.
        readable: Its name in sentences.
        seed: Of resamples and of which row gets which picture.
        notes: What else must be said of the rows.
        split: Which rows of their table these are.
        untuned: As ``answer``, of the model before it was tuned; None: it was not.
        answers: The answers, once they are there.
    """

    prepared: Prepared
    positions: np.ndarray
    requests: list[Request]
    unasked: list[Request] | None
    truths: list[list[str]]
    answer: Callable[[Sequence[Request], str], Answered]
    measure: Callable[[Any], tuple[Intervals, dict[str, np.ndarray], list[str]]]
    primary: str
    readable: str
    seed: int = 0
    notes: list[str] = field(default_factory=list)
    split: str = "all"
    untuned: Callable[[Sequence[Request], str], Answered] | None = None
    answers: list[str] = field(default_factory=list)

    @property
    def group(self) -> np.ndarray:
        """Number of each row's picture: rows of one picture are drawn together."""
        return self.prepared.rows.index_NM[self.positions][:, 0]


def evaluate_looking(given: Judged) -> tuple[dict[str, Any], str]:
    """Metrics, those with inputs replaced, examples, and the verdict; the ``evaluation`` part of a report."""
    answers, outputs = given.answer(given.requests, "judging")
    given.answers = answers
    metrics, per_row, notes = given.measure(outputs)
    notes = [*given.notes, *notes]
    scores = per_row[given.primary]
    value = metrics[given.primary]["value"]
    replaced: dict[str, Replaced] = {}
    measured: dict[str, Intervals] = {}
    for by, kind, requests in _replacements(given):
        others, theirs = given.answer(requests, f"judging with {by}")
        measured[by], own, _ = given.measure(theirs)
        found = measured[by][given.primary]["value"]
        if found is None or value is None:
            continue
        gap = _difference(given, scores, own[given.primary])
        changed = float(np.mean([a != b for a, b in zip(answers, others, strict=True)]))
        replaced[by] = Replaced(kind, by, float(found), gap, changed)
    before, paid = _untuned(given, answers, scores, value)
    if NO_PICTURE in replaced and ANOTHER not in replaced:
        notes = [*notes, "all rows show one picture, so none could get another row's"]
    without = {name: measured[by] for name, by in _left_out(given) if by in measured}
    evaluation: dict[str, Any] = {
        "rows": len(scores), "split": given.split, "metrics": metrics, "chance": None, "confusion": None,
        "scatter": None, "notes": [*notes, *looking_notes(given.readable, replaced)], "slices": [], "alone": {},
        "without": without,
        "replaced": {
            by: {
                "input": one.kind, "metrics": measured[by], "changed": one.changed,
                "difference": dict(zip(("value", "low", "high"), one.difference, strict=True)),
            }
            for by, one in replaced.items()
        },
        "examples": _examples(given, answers, scores),
    }  # fmt: skip
    if before is not None:
        evaluation["untuned"] = before
    if value is None:
        return evaluation, f"{given.readable} cannot be measured on these rows; see the notes."
    telling = [replaced[by] for by in (ANOTHER, NO_PICTURE) if by in replaced][:1]
    telling += [replaced[NO_QUESTION]] if NO_QUESTION in replaced else []
    return evaluation, " ".join([*paid, *(looking_verdict(given.readable, float(value), one) for one in telling)])


def _untuned(
    given: Judged, answers: list[str], scores: np.ndarray, value: float | None
) -> tuple[dict[str, Any] | None, list[str]]:
    """The same rows answered by the model as it was published, and whether tuning paid; nothing where it has none."""
    if given.untuned is None:
        return None, []
    others, outputs = given.untuned(given.requests, f"judging with {UNTUNED}")
    metrics, own, _ = given.measure(outputs)
    found = metrics[given.primary]["value"]
    if found is None or value is None:
        return {"metrics": metrics}, []
    gap = _difference(given, scores, own[given.primary])
    changed = float(np.mean([a != b for a, b in zip(answers, others, strict=True)]))
    difference = dict(zip(("value", "low", "high"), gap, strict=True))
    told = {"metrics": metrics, "changed": changed, "difference": difference}
    return told, [tuning_verdict(given.readable, float(value), float(found), gap)]


def _left_out(given: Judged) -> list[tuple[str, str]]:
    """Columns and what stands in their place where they are hidden."""
    return list(zip(given.prepared.rows.items, (NO_PICTURE, NO_QUESTION), strict=False))


def _replacements(given: Judged) -> list[tuple[str, str, list[Request]]]:
    """What stands in place of which input, and the requests then."""
    made = [(NO_PICTURE, "image", [_grey(one) for one in given.requests])]
    others = other_pictures([one.key for one in given.requests], given.seed)
    if others is not None:
        swapped = [
            replace(one, key=given.requests[other].key, open=given.requests[other].open)
            for one, other in zip(given.requests, others, strict=True)
        ]
        made.insert(0, (ANOTHER, "image", swapped))
    if given.unasked is not None:
        made.append((NO_QUESTION, "question", given.unasked))
    return made


def other_pictures(keys: Sequence[str], seed: int = 0) -> list[int] | None:
    """For every row a row that shows another picture, drawn from all of those; None where all show the same one."""
    if len(set(keys)) < 2:
        return None
    rng, found = np.random.default_rng(seed), []
    for key in keys:
        other = int(rng.integers(len(keys)))
        while keys[other] == key:
            other = int(rng.integers(len(keys)))
        found.append(other)
    return found


def _grey(request: Request) -> Request:
    return replace(request, key=f"grey:{request.key}", open=lambda: grey_like(request.open()))


def grey_like(picture: Image.Image) -> Image.Image:
    """A picture of one grey, as large as another."""
    from PIL import Image

    return Image.new("RGB", picture.size, GREY)


def _difference(
    given: Judged, ours: np.ndarray, theirs: np.ndarray
) -> tuple[float, float | None, float | None]:  # fmt: skip
    gap, low, high = paired_metric_difference(
        lambda rows: float(ours[rows].mean()), lambda rows: float(theirs[rows].mean()), len(ours),
        groups=given.group, resamples=RESAMPLES, seed=given.seed,
    )  # fmt: skip
    return float(gap or 0.0), low, high


def _examples(given: Judged, answers: list[str], scores: np.ndarray) -> list[dict[str, Any]]:
    """The best and the worst rows, six each."""
    half = min(NUM_EXAMPLES // 2, len(answers) // 2)
    order = np.argsort(-scores, kind="stable")
    best, worst = order[: NUM_EXAMPLES - half], order[::-1][:half]
    best = [i for i in best if i not in set(worst.tolist())][: NUM_EXAMPLES - half]
    table = given.prepared.rows.table
    return [
        {
            "row": table.row_number(int(given.positions[i])),
            "inputs": shown_row(given.prepared, int(given.positions[i])),
            "truth": " | ".join(dict.fromkeys(given.truths[i])), "references": list(dict.fromkeys(given.truths[i])),
            "prediction": answers[i], "probability": None, "score": float(scores[i]), "correct": None, "group": group,
        }
        for i, group in [*((i, "Best") for i in best), *((i, "Worst") for i in worst)]
    ]  # fmt: skip
