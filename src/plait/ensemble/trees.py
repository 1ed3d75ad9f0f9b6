"""Gradient-boosted trees for numbers and categories, kept as plain arrays.

Fitted by scikit-learn's histogram gradient boosting, whose own file format is pickle: the trees are copied into
tensors instead, and refused if the copy does not answer the training rows as the original does. Numbers keep their
gaps, categories come as codes ordered by the target. The number of trees is chosen on validation rows; no more are
grown once fifty in a row have not lowered the loss.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from plait.ensemble.base import Inputs, Member
from plait.ensemble.glm import Stops, activate, never
from plait.ensemble.link import answer_config, outputs_of, scale_of
from plait.ensemble.scale import SMALLEST, AnswerScale
from plait.tasks.target_scale import TargetScale, transforms_for

ITERATIONS, STEP = 300, 100
PATIENCE = 50  # rounds that have not lowered the loss, after which no further step is made
MOST_OUTPUTS = 40  # more would take minutes


class TreeMember(Member):
    """See the module.

    Args:
        uses: Number of the modality of numbers and categories.
        name: Its name.
        num_outputs: Outputs, C.
        link: "softmax", "sigmoid" or "identity".
        sizes: "nodes": nodes in all; "trees"; "codes": entries of the table of category codes.
        cardinalities: Codes of each categorical column, missing and unknown included.
        scale: Of a number: how it is learned.
    """

    feature: Tensor
    left: Tensor
    right: Tensor
    threshold: Tensor
    value: Tensor
    is_leaf: Tensor
    gaps_left: Tensor
    root: Tensor
    output: Tensor
    depth: Tensor
    base_C: Tensor  # noqa: N815  shape letters
    codes: Tensor

    def __init__(
        self, uses: tuple[int, ...], name: str, num_outputs: int, link: str, sizes: dict[str, int],
        cardinalities: tuple[int, ...], scale: TargetScale | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.uses, self.name, self.link, self.scale = uses, name, link, scale
        self.num_outputs, self.sizes, self.cardinalities = num_outputs, dict(sizes), tuple(cardinalities)
        nodes, trees = sizes["nodes"], sizes["trees"]
        for field in ("feature", "left", "right"):
            self.register_buffer(field, torch.zeros(nodes, dtype=torch.int64))
        for field in ("threshold", "value"):
            self.register_buffer(field, torch.zeros(nodes, dtype=torch.float64))
        for field in ("is_leaf", "gaps_left"):
            self.register_buffer(field, torch.zeros(nodes, dtype=torch.bool))
        self.register_buffer("root", torch.zeros(trees, dtype=torch.int64))
        self.register_buffer("output", torch.zeros(trees, dtype=torch.int64))
        self.register_buffer("depth", torch.zeros(1, dtype=torch.int64))
        self.register_buffer("base_C", torch.zeros(num_outputs, dtype=torch.float64))
        self.register_buffer("codes", torch.zeros(sizes["codes"], dtype=torch.float64))

    def config(self) -> dict[str, Any]:
        """What ``from_config`` takes."""
        return {
            "uses": list(self.uses), "name": self.name, "sizes": self.sizes,
            "cardinalities": list(self.cardinalities), **answer_config(self.link, self.num_outputs, self.scale),
        }  # fmt: skip

    @classmethod
    def from_config(cls, facts: dict[str, Any]) -> TreeMember:
        """Rebuild without weights."""
        return cls(
            tuple(facts["uses"]), str(facts["name"]), int(facts["num_outputs"]), str(facts["link"]),
            {k: int(v) for k, v in facts["sizes"].items()}, tuple(facts["cardinalities"]), scale_of(facts),
        )  # fmt: skip

    def outputs(self, inputs: Inputs, encoded: Any, present_BM: Tensor) -> np.ndarray:
        """Outputs [B, C]; a row without the modality is one whose cells are all empty."""
        columns_BF = columns_of(inputs[self.name], self.codes.cpu().numpy(), self.cardinalities)
        columns_BF[~present_BM[:, self.uses[0]].cpu().numpy()] = np.nan
        return outputs_of(self.scores(columns_BF), self.link, self.scale)

    def scores(self, columns_BF: np.ndarray) -> np.ndarray:
        """Sums of the leaves [B, C]."""
        values = torch.from_numpy(columns_BF).to(self.value.device)
        rows = len(values)
        node_BT = self.root.expand(rows, -1).clone()
        for _ in range(int(self.depth)):
            value_BT = values.gather(1, self.feature[node_BT])
            gap_BT = torch.isnan(value_BT)
            goes_left = torch.where(gap_BT, self.gaps_left[node_BT], value_BT <= self.threshold[node_BT])
            child_BT = torch.where(goes_left, self.left[node_BT], self.right[node_BT])
            node_BT = torch.where(self.is_leaf[node_BT], node_BT, child_BT)
        scores_BC = self.base_C.expand(rows, -1).clone()
        scores_BC.index_add_(1, self.output, self.value[node_BT])
        return np.asarray(scores_BC.cpu().numpy())


def columns_of(tensors: dict[str, Tensor], codes: np.ndarray, cardinalities: tuple[int, ...]) -> np.ndarray:
    """Numbers, then categories as codes; NaN where a cell is missing [B, F] float64."""
    numbers = np.where(tensors["missing_BF"].cpu().numpy() > 0, np.nan, tensors["numeric_BF"].cpu().double().numpy())
    found, start = [numbers], 0
    categories = tensors["categorical_BK"].cpu().numpy()
    for k, size in enumerate(cardinalities):
        code_B = codes[start : start + size][categories[:, k]]
        found.append(np.where(categories[:, k] == 0, np.nan, code_B)[:, None])
        start += size
    return np.concatenate(found, axis=1)


def category_codes(categories_NK: np.ndarray, target_N: np.ndarray, cardinalities: tuple[int, ...]) -> np.ndarray:
    """A code for each category: its place in the order of the mean target, so that one split parts likes from unlikes.

    Means are drawn towards the overall mean as if ten rows of it were added: rare categories stand in the middle.
    """
    found = []
    overall = float(target_N.mean())
    for k, size in enumerate(cardinalities):
        count = np.bincount(categories_NK[:, k], minlength=size).astype(np.float64)
        total = np.bincount(categories_NK[:, k], weights=target_N, minlength=size)
        mean = (total + 10 * overall) / (count + 10)
        found.append(np.argsort(np.argsort(mean, kind="stable"), kind="stable").astype(np.float64))
    return np.concatenate(found) if found else np.zeros(0)


def fit_trees(
    train: dict[str, Tensor], train_target: np.ndarray, val: dict[str, Tensor], val_target: np.ndarray,
    uses: tuple[int, ...], name: str, cardinalities: tuple[int, ...], num_outputs: int, scale: AnswerScale, seed: int,
    stops: Stops = never,
) -> tuple[TreeMember, dict[str, Any]] | None:  # fmt: skip
    """The trees with the smallest validation loss, and what was chosen; None where there are too few rows.

    Args:
        train: The modality's tensors of training rows.
        train_target: Encoded targets, numbers in their unit.
        val: Those of validation rows.
        val_target: Their targets.
        uses: Number of the modality.
        name: Its name.
        cardinalities: Codes of each categorical column.
        num_outputs: Outputs, C.
        scale: The family's.
        seed: Of the binning's subsample.
        stops: Asked after each choice of rate and leaves; True: the best so far stands.
    """
    if len(train_target) < 40 or num_outputs > MOST_OUTPUTS:
        return None
    order = _ordering(train_target, scale.link)
    codes = category_codes(train["categorical_BK"].cpu().numpy(), order, cardinalities)
    inside, outside = columns_of(train, codes, cardinalities), columns_of(val, codes, cardinalities)
    leaf = int(np.clip(len(train_target) // 50, 5, 20))
    best: tuple[float, TreeMember, dict[str, Any]] | None = None
    for transform in transforms_for(train_target) if scale.link == "identity" else ("none",):
        target_scale = TargetScale.fit(train_target, transform) if scale.link == "identity" else None
        for rate, leaves in ((0.1, 8), (0.05, 31)):
            if best is not None and stops():
                break
            found = _fit_one(
                inside, train_target, outside, val_target, num_outputs, scale, target_scale, seed, rate, leaves, leaf
            )
            if found is not None and (best is None or found[0] < best[0]):
                loss, models, count = found
                member = _export(models, count, uses, name, num_outputs, scale, codes, cardinalities, target_scale)
                if _answers_alike(member, models, count, inside):
                    best = loss, member, {"trees": count, "learning rate": rate, "leaves": leaves, "target": transform}
    return None if best is None else (best[1], best[2])


def _ordering(target: np.ndarray, link: str) -> np.ndarray:
    """One number a row that categories are ordered by: the number, the number of labels, or how rare the class is."""
    if link == "identity":
        return np.asarray(target.reshape(-1), dtype=np.float64)
    if link == "sigmoid":
        return np.asarray(target.sum(1), dtype=np.float64)
    common = np.bincount(target.astype(np.int64)).argmax()
    return np.asarray(target != common, dtype=np.float64)


def _fit_one(
    inside: np.ndarray, train_target: np.ndarray, outside: np.ndarray, val_target: np.ndarray, num_outputs: int,
    scale: AnswerScale, target_scale: TargetScale | None, seed: int, rate: float, leaves: int, leaf: int,
) -> tuple[float, list[Any], int] | None:  # fmt: skip
    if scale.link == "softmax" and len(np.unique(train_target)) != num_outputs:
        return None
    if scale.link == "sigmoid" and any(len(np.unique(train_target[:, c])) < 2 for c in range(num_outputs)):
        return None
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingRegressor if scale.link == "identity" else HistGradientBoostingClassifier
    if scale.link == "identity":
        assert target_scale is not None
        targets = [target_scale.encode(train_target.reshape(-1))]
    elif scale.link == "softmax":
        targets = [train_target]
    else:
        targets = [train_target[:, c] >= 0.5 for c in range(num_outputs)]
    models = [
        kind(
            learning_rate=rate, max_leaf_nodes=leaves, min_samples_leaf=leaf, early_stopping=False, random_state=seed,
            l2_regularization=1.0, warm_start=True,
        )
        for _ in targets
    ]  # fmt: skip
    losses: list[float] = []
    for rounds in range(STEP, ITERATIONS + 1, STEP):
        for model, values in zip(models, targets, strict=True):
            model.set_params(max_iter=rounds).fit(inside, values)
        losses = [float(scale.loss(o, val_target).mean()) for o in _staged(models, outside, scale, target_scale)]
        if int(np.argmin(losses)) + 1 <= rounds - PATIENCE:
            break
    count = int(np.argmin(losses)) + 1
    return losses[count - 1], models, count


def _staged(
    models: list[Any], rows: np.ndarray, scale: AnswerScale, target_scale: TargetScale | None
) -> list[np.ndarray]:
    """Outputs [N, C] after each round."""
    if target_scale is not None:
        return [target_scale.decode(v)[:, None] for v in models[0].staged_predict(rows)]
    if scale.link == "softmax":
        return list(models[0].staged_predict_proba(rows))
    columns = [[p[:, 1] for p in m.staged_predict_proba(rows)] for m in models]
    return [np.stack(step, axis=1) for step in zip(*columns, strict=True)]


def _export(
    models: list[Any], count: int, uses: tuple[int, ...], name: str, num_outputs: int, scale: AnswerScale,
    codes: np.ndarray, cardinalities: tuple[int, ...], target_scale: TargetScale | None,
) -> TreeMember:  # fmt: skip
    """The first ``count`` rounds of fitted models as tensors."""
    pieces: list[Any] = []
    outputs, roots, start, depth = [], [], 0, 0
    binary = scale.link == "softmax" and num_outputs == 2
    base = np.zeros(num_outputs)
    for number, model in enumerate(models):
        first = np.asarray(model._baseline_prediction).reshape(-1)
        for place, value in enumerate(first):
            base[1 if binary else number + place] += value
        for rounds in model._predictors[:count]:
            for place, tree in enumerate(rounds):
                nodes = tree.nodes
                pieces.append((nodes, start))
                roots.append(start)
                outputs.append(1 if binary else number + place)
                start += len(nodes)
                depth = max(depth, int(nodes["depth"].max()))
    member = TreeMember(
        uses, name, num_outputs, scale.link, {"nodes": start, "trees": len(roots), "codes": len(codes)}, cardinalities,
        target_scale,
    )  # fmt: skip
    for field, key, offset in (
        ("feature", "feature_idx", False), ("threshold", "num_threshold", False), ("left", "left", True),
        ("right", "right", True), ("value", "value", False), ("is_leaf", "is_leaf", False),
        ("gaps_left", "missing_go_to_left", False),
    ):  # fmt: skip
        joined = np.concatenate([n[key].astype(np.float64) + (at if offset else 0) for n, at in pieces])
        buffer = getattr(member, field)
        buffer.copy_(torch.from_numpy(joined).to(buffer.dtype))
    member.root.copy_(torch.tensor(roots))
    member.output.copy_(torch.tensor(outputs))
    member.depth.fill_(depth)
    member.base_C.copy_(torch.from_numpy(base))
    member.codes.copy_(torch.from_numpy(codes))
    return member


def _answers_alike(member: TreeMember, models: list[Any], count: int, inside: np.ndarray) -> bool:
    """Whether the copied trees answer as the original does."""
    shown = inside[:500]
    scores = member.scores(shown)
    for number, model in enumerate(models):
        if member.link == "identity":
            expected = list(model.staged_predict(shown))[count - 1][:, None]
            mine = scores[:, [number]]
        elif member.link == "sigmoid":
            expected = list(model.staged_predict_proba(shown))[count - 1][:, [1]]
            expected, mine = _logit(np.clip(expected, SMALLEST, 1 - SMALLEST)), scores[:, [number]]
            mine = np.clip(mine, _logit(SMALLEST), _logit(1 - SMALLEST))
        else:
            expected = list(model.staged_predict_proba(shown))[count - 1]
            mine = activate(scores, member.link)
        if not np.allclose(mine, expected, rtol=1e-5, atol=1e-6):
            return False
    return True


def _logit(probability: Any) -> Any:
    return np.log(probability) - np.log1p(-probability)
