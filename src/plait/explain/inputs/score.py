"""What is explained of a row: one number made of the model's outputs, and its answers to a row with parts hidden.

For classes that is the log-odds of the explained class, log p - log(1 - p), in which evidence adds up and confident
answers do not saturate; for labels the log-odds of the label; for a number the number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from plait.evaluation import EvaluationInputs, shown_text
from plait.explain.fitted_model import measure_of
from plait.explain.inputs.cut import Cut
from plait.explain.inputs.live import changed_source
from plait.explain.measure import Measure
from plait.inference.forward import predict_logits
from plait.inputs.dataset import RowBatches, Source, TensorSource
from plait.inputs.inputs import Inputs

EPS = 1e-12
AT_ONCE = 64


def odds_of(measure: Measure, outputs_NC: np.ndarray, column: int) -> np.ndarray:
    """What is explained [N], from outputs [N, C]."""
    if measure.is_number:
        return outputs_NC[:, 0].astype(np.float64)
    p = np.clip(outputs_NC[:, column].astype(np.float64), EPS, 1 - EPS)
    rest = np.delete(outputs_NC, column, axis=1).astype(np.float64).sum(axis=1) if measure.exclusive else 1 - p
    odds: np.ndarray = np.log(p) - np.log(np.clip(rest, EPS, None))
    return odds


@contextmanager
def in_evaluation(network: nn.Module) -> Iterator[None]:
    """Evaluation mode with gradients; the network's own mode is restored."""
    was_training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(was_training)


@dataclass
class ExplainedRows:
    """The model and the rows that are explained.

    Attributes:
        given: Model, task and rows.
        inputs: What reads its modalities.
        sources: Per modality where the tensors of the rows come from, encoded already where a network answers.
        items_NM: Item of each modality in each explained row, -1 where missing.
        measure: How outputs are read.
        others: Networks with new heads.
    """

    given: EvaluationInputs
    inputs: Inputs
    sources: dict[str, Source]
    items_NM: np.ndarray  # noqa: N815
    measure: Measure
    others: Sequence[nn.Module] = ()

    def outputs(self, network: nn.Module, sources: dict[str, Source], items_BM: np.ndarray, row: int) -> np.ndarray:
        """Outputs [B, C] of variants of one of the explained rows, float64."""
        logits = predict_logits(network, RowBatches(sources, items_BM), batch_size=AT_ONCE)
        return np.asarray(self.given.task.activate(logits, self.given.labels), dtype=np.float64)

    def answer_of(self, row: int, place: int, outputs_1C: np.ndarray) -> dict[str, Any]:
        """True and given answer of an explained row, which stands at a place of the evaluated ones, in words."""
        decoded = self.given.task.decode(outputs_1C, self.given.labels)[0]
        return {"truth": shown_text(self.given.values[place]), "prediction": shown_text(decoded)}

    def unit_of(self, column: int) -> dict[str, Any]:
        """What the scores are, in words."""
        if self.measure.is_number:
            return {"explained": "predicted number", "unit": "in the unit of the target"}
        return {"explained": f"log-odds of {self.given.labels.classes[column]}", "unit": "log-odds"}

    def by_word(self, path: Any, kept_PP: np.ndarray) -> list[dict[str, Any]]:
        """What a part adds to each word of a written answer, for each part hidden alone; nothing where none is."""
        return [{} for _ in kept_PP]

    def others_of(self, row: int, number: int, device: torch.device) -> dict[str, dict[str, Tensor]]:
        """Tensors of what a row shows in every modality but one, by name, one row each."""
        index_M = self.items_NM[row]
        return {
            name: {k: v.to(device) for k, v in source.take(index_M[m : m + 1]).items()}
            for m, (name, source) in enumerate(self.sources.items())
            if m != number
        }

    def scores_with_gradient(
        self, network: Any, inputs: dict[str, dict[str, Tensor]], index_M: np.ndarray, row: int, column: int
    ) -> Tensor:
        """What is explained of one row, with its gradient [1]; further ones are of written words.

        Args:
            network: The model, or one with a new head.
            inputs: Encoded modalities, one row.
            index_M: Items of the row, -1 where missing.
            row: Which of the explained rows.
            column: Which output.
        """
        with in_evaluation(network):
            present_1M = torch.tensor(index_M >= 0, device=next(network.parameters()).device)[None]
            return self.log_odds(network.answer(network.encode(inputs, present_1M), present_1M).float(), column)

    def log_odds(self, logits_VC: Tensor, column: int) -> Tensor:
        """What is explained [V] of logits [V, C], with its gradient."""
        measure, labels = self.measure, self.given.labels
        if measure.is_number:
            return logits_VC[:, 0] * (labels.std if labels.scale is None else 1.0)
        if not measure.exclusive:
            return logits_VC[:, column]
        rest = torch.cat([logits_VC[:, :column], logits_VC[:, column + 1 :]], dim=1)
        return logits_VC[:, column] - torch.logsumexp(rest, dim=1)


def asked_of(given: EvaluationInputs, inputs: Inputs, places: Sequence[int], seed: int, count: int) -> ExplainedRows:
    """Prepare rows to be asked about; see ``ExplainedRows``."""
    from plait.explain.encoded import encode_once
    from plait.explain.inputs.randomised import with_new_head
    from plait.explain.inputs.written_words import WrittenRows

    index_NM = given.prepared.rows.index_NM[given.positions][list(places)]
    sources, items_NM = encode_once(given.uncalibrated, given.prepared.sources, index_NM)
    others: list[nn.Module] = []
    if given.ensemble is None:
        others = [with_new_head(given.model, seed + 1 + k) for k in range(count)]
    kind = WrittenRows if given.task.family.writes else ExplainedRows
    measure = measure_of(given.task, given.labels.thresholds)
    return kind(given, inputs, dict(sources), items_NM, measure, others)


class PartScores:
    """Scores of one row with parts of one modality hidden; each mask is asked once.

    Args:
        asked: Model and rows.
        row: Which of the explained rows.
        number: Which modality.
        cut: Its item in parts.
        column: Which output is explained.

    Attributes:
        num_answers: Answers that were asked for, draws counted, those of new heads not.
    """

    def __init__(self, asked: ExplainedRows, row: int, number: int, cut: Cut, column: int) -> None:
        self.asked, self.row, self.number, self.cut, self.column = asked, row, number, cut, column
        self.modality = asked.inputs.modalities[number]
        self.known: dict[bytes, np.ndarray] = {}
        self.outputs: dict[bytes, np.ndarray] = {}
        self.num_answers = 0

    def __call__(self, kept_VP: np.ndarray) -> np.ndarray:
        """Scores [V]; column 0 of :meth:`of_each`."""
        return self.of_each(kept_VP)[:, 0]

    def of_each(self, kept_VP: np.ndarray) -> np.ndarray:
        """Scores [V, 1 + K]: of the model, and of each network with a new head."""
        keys = [kept.tobytes() for kept in np.asarray(kept_VP, dtype=bool)]
        fresh = {key: kept for key, kept in zip(keys, kept_VP, strict=True) if key not in self.known}
        masks = list(fresh.values())
        for start in range(0, len(masks), AT_ONCE):
            part = np.asarray(masks[start : start + AT_ONCE], dtype=bool)
            for kept, scores, outputs in zip(part, *self._ask(part), strict=True):
                self.known[kept.tobytes()], self.outputs[kept.tobytes()] = scores, outputs
        return np.stack([self.known[key] for key in keys])

    def outputs_of(self, kept_VP: np.ndarray) -> np.ndarray:
        """The model's own outputs [V, C], mean over the draws; column 0 is the score where that is a number."""
        self.of_each(kept_VP)
        return np.stack([self.outputs[kept.tobytes()] for kept in np.asarray(kept_VP, dtype=bool)])

    def _ask(self, kept_VP: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        draws = self.cut.draws
        variants = [self.cut.hidden(kept, d) for kept in kept_VP for d in range(draws)]
        source = changed_source(self.asked.given, self.asked.inputs, self.modality, variants)
        items_BM = np.tile(self.asked.items_NM[self.row], (len(variants), 1))
        items_BM[:, self.number] = np.arange(len(variants))
        sources = {**self.asked.sources, self.modality.name: source}
        if self.asked.others:  # encoded once for all of them
            sources[self.modality.name] = TensorSource(source.take(np.arange(len(variants))))
        self.num_answers += len(variants)
        scored, means = [], []
        for network in (self.asked.given.answers, *self.asked.others):
            outputs_BC = self.asked.outputs(network, sources, items_BM, self.row)
            means.append(outputs_BC.reshape(len(kept_VP), draws, -1).mean(axis=1))
            scored.append(odds_of(self.asked.measure, means[-1], self.column))
        return np.stack(scored, axis=1), means[0]


def as_probability(measure: Measure, score: float) -> float | None:
    """The probability behind log-odds; None for a number."""
    return None if measure.is_number else float(1.0 / (1.0 + np.exp(-score)))
