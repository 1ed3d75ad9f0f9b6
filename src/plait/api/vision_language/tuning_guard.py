"""The guard of tuning: validation rows are answered before and after, and what is better is kept.

By the task's own metric, of equal ones by the loss of the true answers; what is equal leaves the model as it was.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from plait.api.vision_language.answers import label_scores
from plait.api.vision_language.asking import Asking
from plait.api.vision_language.tuning_rows import TuningRows, answers_of, evenly
from plait.data.progress import Progress
from plait.evaluation.texts import READABLE, row_scores
from plait.heads.language import DecodeOptions
from plait.inference.vision_language import VisionLanguageNetwork
from plait.training.deadline import Deadline
from plait.training.text_scores import FEWEST_CAPTIONED, merged_references
from plait.training.vision_language import AnswerBatches, mean_loss

PASSES = 5  # times that the judged rows are asked: as they are, untuned, with three inputs replaced
BEFORE = "the untuned model"


@dataclass
class TuningGuard:
    """Whether the tuned model is kept: validation rows answered before and after.

    Attributes:
        name: The metric that decides, "loss" or the task's own; "" where there are no validation rows.
        untuned: Before: the metric, the larger the better, and the loss.
        tuned: After.
        seconds: That an answer takes, about.
        verdict: What is said where nothing is kept.
    """

    name: str
    untuned: tuple[float, float] | None = None
    tuned: tuple[float, float] | None = None
    seconds: float = 0.0
    verdict: str | None = None

    @classmethod
    def before(
        cls, network: VisionLanguageNetwork, asking: Asking, run: TuningRows, validation: AnswerBatches | None,
        deadline: Deadline, progress: Progress | None,
    ) -> TuningGuard:  # fmt: skip
        """The untuned model on validation rows; how long that takes says what judging will take."""
        if validation is None:
            return cls("")
        began = time.monotonic()
        with network.untuned():
            name, value, asked = _metric(network, asking, run, progress, f"judging {BEFORE}")
            seconds = (time.monotonic() - began) / max(1, asked)
            guard = cls(name, (value, mean_loss(network, validation)), seconds=seconds)
        tests = len(run.positions("test")) or len(run.positions("val"))
        deadline.reserve(seconds * (PASSES * tests + asked))
        return guard

    def keeps(
        self, network: VisionLanguageNetwork, asking: Asking, run: TuningRows, validation: AnswerBatches | None,
        progress: Progress | None,
    ) -> bool:  # fmt: skip
        """Whether validation rows are answered better, or as well with a smaller loss; said among the notes."""
        if validation is None or self.untuned is None:
            run.notes.append("there are no validation rows, so nothing says whether the untuned model is better")
            return True
        value = _metric(network, asking, run, progress, "judging what was learned")[1]
        self.tuned = value, mean_loss(network, validation)
        better = self.tuned[0] > self.untuned[0] or (
            self.tuned[0] == self.untuned[0] and self.tuned[1] < self.untuned[1]
        )
        told = (
            f"{READABLE.get(self.name, self.name)} {self._shown(self.tuned)}, before tuning {self._shown(self.untuned)}"
        )
        run.notes.append(f"on validation rows: {told}; loss of their answers {self.tuned[1]:.3f}, before tuning "
                         f"{self.untuned[1]:.3f}")  # fmt: skip
        if not better:
            self.verdict = f"Tuning did not pay on validation rows ({told}), so the untuned model is kept."
        return better

    def _shown(self, one: tuple[float, float]) -> str:
        return f"{one[1] if self.name == 'loss' else one[0]:.3f}"

    def to_json(self) -> dict[str, Any] | None:
        """For the report."""
        if self.untuned is None or self.tuned is None:
            return None
        both = {"untuned": self.untuned, "tuned": self.tuned}
        return {"metric": self.name, **{k: {"value": v[0], "loss": v[1]} for k, v in both.items()}}


def _metric(
    network: VisionLanguageNetwork, asking: Asking, run: TuningRows, progress: Progress | None, what: str
) -> tuple[str, float, int]:
    """The task's own metric of answers to validation rows, its name first, and how many were asked; of few captions,
    which CIDEr-D cannot judge, the loss decides and all are equal here.
    """
    positions = run.positions("val")
    first, references = merged_references(
        run.asked.rows.index_NM[positions], [answers_of(run, int(i)) for i in positions]
    )
    chosen = evenly(len(first))
    requests = run.requests(positions[first[chosen]])
    truths = [references[int(i)] for i in chosen]
    if asking.classes:
        scores = label_scores(network, asking, requests, asking.classes, progress, what)
        right = [asking.classes[int(k)] == truth[0] for k, truth in zip(scores.argmax(1), truths, strict=True)]
        return run.task.primary, float(np.mean(right)), len(requests)
    if run.task.primary == "cider_d" and len(requests) < FEWEST_CAPTIONED:
        return "loss", 0.0, len(requests)
    options = DecodeOptions(max_new_tokens=asking.max_tokens)
    guesses = [a.text for a in network.write(requests, options, progress=progress, what=what)]
    return (
        run.task.primary,
        float(row_scores(run.task.primary, guesses, truths)[run.task.primary].mean()),
        len(requests),
    )
