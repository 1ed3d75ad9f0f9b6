"""What a fitted model says of rows without targets: answers, those of its members and of each modality alone, vectors.

Rows are encoded once; only fusion, heads and members run again for each modality alone. A missing modality has no
answer of its own and zeros in the vectors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from plait.data.progress import Progress
from plait.ensemble import Ensemble
from plait.inference.forward import evaluation_batches, evaluation_mode
from plait.inputs.dataset import RowBatches
from plait.inputs.modality_kinds import MODALITY_KINDS
from plait.inputs.prepare import Prepared
from plait.training.fitted import FittedParts

ROWS_AT_ONCE = 512
KINDS = ("classes", "labels", "number")  # families of answers that rows can be suggested for


@dataclass
class Pool:
    """Rows of which some shall be labelled.

    Attributes:
        kind: "classes", "labels" or "number".
        classes: Names of classes or labels; empty for a number.
        names: Modalities, in model order.
        outputs_NC: Activated outputs, calibrated where the model is.
        alone_MNC: Outputs of each modality alone.
        there_NM: What each row has.
        members_KNC: Outputs of single models of an ensemble; K is 0 for one network.
        weight_KN: Their weight in the answer to each row.
        member_names: Their names.
        vectors: Vectors of each modality as they are encoded, [N, D] each.
        fused_ND: What the last layer reads; None for a fusion that joins answers.
        exact_M: Modalities whose rows are alike only where they are equal (numbers and categories).
        keys: What each row shows, by content, "" for a missing modality; None where the row shows nothing.
        group: Rows with an equal value belong to one group; None belongs to nobody.
        width_N: Width of a calibrated interval of a number; None where there is none.
    """

    kind: str
    classes: tuple[str, ...]
    names: tuple[str, ...]
    outputs_NC: np.ndarray  # noqa: N815  shape letters
    alone_MNC: np.ndarray  # noqa: N815
    there_NM: np.ndarray  # noqa: N815
    members_KNC: np.ndarray  # noqa: N815
    weight_KN: np.ndarray  # noqa: N815
    member_names: tuple[str, ...]
    vectors: list[np.ndarray]
    fused_ND: np.ndarray | None  # noqa: N815
    exact_M: tuple[bool, ...]  # noqa: N815
    keys: list[tuple[str, ...] | None]
    group: list[Any]
    width_N: np.ndarray | None = None  # noqa: N815

    def __len__(self) -> int:
        return len(self.outputs_NC)


def answer_pool(
    fitted: FittedParts, prepared: Prepared, *, group: list[Any] | None = None, progress: Progress | None = None
) -> Pool:
    """Ask the model about every row.

    Args:
        fitted: The model; its answers are classes, labels or a number.
        prepared: The rows.
        group: Group of each row.
        progress: Called with (done, total, what).
    """
    rows, answers = prepared.rows, fitted.uncalibrated
    count, names = len(rows), list(fitted.model.config.modality_names)
    asked = _members(answers)
    width = fitted.labels.num_outputs
    logits_PNC = np.zeros((1 + len(names), count, width), dtype=np.float32)
    members_KNC, weight_KN = np.zeros((len(asked), count, width)), np.zeros((len(asked), count))
    batches = RowBatches(prepared.sources, rows.index_NM)
    network = cast(Any, answers)
    with evaluation_mode(answers):
        walk = evaluation_batches(
            answers, batches, batch_size=ROWS_AT_ONCE, progress=progress, what="asking about the pool"
        )
        for places, batch in walk:
            inputs, present_BM = batch["inputs"], batch["present"]
            encoded = network.encode(inputs, present_BM)
            logits_PNC[0, places] = network.answer(encoded, present_BM).float().cpu().numpy()
            for m in range(len(names) if len(names) > 1 else 0):
                only_M = torch.arange(len(names), device=present_BM.device) == m
                logits_PNC[1 + m, places] = network.answer(encoded, present_BM & only_M).float().cpu().numpy()
            if asked:
                pattern_B = network.rows_of(present_BM.cpu().numpy())
                for place, (k, part, share) in enumerate(asked):
                    member, made = network.listed[k], encoded[1][k]
                    made = made[part] if len(member.parts) > 1 else made
                    members_KNC[place, places] = member.parts[part].outputs(inputs, made, present_BM)
                    weight_KN[place, places] = network.weights_PK[pattern_B, k] * share
    outputs = [fitted.task.activate(fitted.calibrate_logits(one), fitted.labels) for one in logits_PNC]
    if len(names) == 1:
        outputs[1] = outputs[0]
    vectors, fused_ND = vectors_of(fitted, prepared)
    return Pool(
        fitted.task.output_kind, fitted.labels.classes, tuple(names), np.asarray(outputs[0], dtype=np.float64),
        np.stack(outputs[1:]).astype(np.float64), rows.present_NM, members_KNC, weight_KN,
        tuple(network.facts[k].name for k, _, _ in asked), vectors, fused_ND,
        tuple(MODALITY_KINDS.get(m.kind).has_columns for m in fitted.inputs.modalities), content_keys(prepared),
        [None] * count if group is None else group, _interval_widths(fitted, outputs[0], rows.present_NM),
    )  # fmt: skip


def expected_pool(fitted: FittedParts) -> Pool:
    """What the model can say of a row that has everything, zeros for numbers: to check a strategy before any work.

    Args:
        fitted: The model; its answers are classes, labels or a number.
    """
    names, found = tuple(fitted.model.config.modality_names), fitted.calibration
    asked, width = _members(fitted.uncalibrated), fitted.labels.num_outputs
    has_widths = fitted.task.output_kind == "number" and found is not None and found.curves is not None
    return Pool(
        fitted.task.output_kind, fitted.labels.classes, names, np.zeros((1, width)), np.zeros((len(names), 1, width)),
        np.ones((1, len(names)), dtype=bool), np.zeros((len(asked), 1, width)), np.ones((len(asked), 1)),
        ("",) * len(asked), [], None, (False,) * len(names), [None], [None], np.zeros(1) if has_widths else None,
    )  # fmt: skip


def _members(answers: nn.Module) -> list[tuple[int, int, float]]:
    """Number of each member that has a weight, of each of its models, and that model's share of the weight."""
    if not isinstance(answers, Ensemble):
        return []
    used_K = np.asarray(answers.weights_PK).max(axis=0) > 0
    return [
        (k, part, 1.0 / len(member.parts))
        for k, member in enumerate(answers.listed) if used_K[k]
        for part in range(len(member.parts))
    ]  # fmt: skip


def vectors_of(fitted: FittedParts, prepared: Prepared) -> tuple[list[np.ndarray], np.ndarray | None]:
    """Vectors of each modality as the network encodes them, zeros where one is missing, and the fused vector [N, D]."""
    model, rows = fitted.model, prepared.rows
    batches = RowBatches(prepared.sources, rows.index_NM)
    parts: list[list[np.ndarray]] = []
    fused: list[np.ndarray] = []
    with evaluation_mode(model):
        for _, batch in evaluation_batches(model, batches, batch_size=ROWS_AT_ONCE):
            present_BM = batch["present"]
            encoded = model.encode(batch["inputs"], present_BM)
            there_BM = present_BM.cpu().numpy()
            parts.append([
                np.where(there_BM[:, m, None], one.vector_BD.float().cpu().numpy(), 0.0)
                for m, one in enumerate(encoded)
            ])  # fmt: skip
            if not model.fusion.is_late:
                fused.append(model.fuse(encoded, present_BM).fused_BD.float().cpu().numpy())
    vectors = [np.concatenate(of_one).astype(np.float64) for of_one in zip(*parts, strict=True)]
    return vectors, np.concatenate(fused).astype(np.float64) if fused else None


def content_keys(prepared: Prepared) -> list[tuple[str, ...] | None]:
    """What each row shows, by the hash of each modality's content; equal for rows that show the same."""
    columns = [
        [items.keys[i] if i >= 0 else "" for i in items.index_N.tolist()] for items in prepared.rows.items.values()
    ]
    return [cells if any(cells) else None for cells in zip(*columns, strict=True)]


def _interval_widths(fitted: FittedParts, outputs_NC: np.ndarray, present_NM: np.ndarray) -> np.ndarray | None:
    """Width of the 90 % interval of a calibrated number [N]; None where it says nothing of single rows."""
    found = fitted.calibration
    if fitted.task.output_kind != "number" or found is None or found.curves is None:
        return None
    low_N, high_N, _ = found.intervals(outputs_NC, present_NM.astype(bool), 0.9, None)
    width_N = np.asarray(high_N - low_N, dtype=np.float64)
    return width_N if np.isfinite(width_N).all() else None
