"""Stacking: each modality answers alone, and a combiner that was fitted on validation rows reads all the answers.

The combiner must not see how well the predictors know their own training rows (they look better there than they
are), so it is fitted on validation rows after every epoch and lies in buffers. The validation score of an epoch is
therefore measured on the rows the combiner was fitted on, and is a little too good; a test score is not.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from plait.fusion.base import FUSIONS, FusionInfo
from plait.fusion.calibration import SeenRows
from plait.fusion.late import LateFusion
from plait.fusion.late_average import average_answers, even_weights

logger = logging.getLogger(__name__)
MIN_ROWS = 10
MOST_NAMED = 6


class LateStackingFusion(LateFusion):
    """h = W [z_1; ..; z_M; present] + c, z_m the log-probabilities of modality m, centred over the classes.

    Centred, so that a missing modality (zeros) is a uniform opinion. W and c: multinomial logistic regression for
    classes, one logistic regression a label on that label's log-odds, ridge regression for a number; all with the
    penalty ``1`` on features of unit standard deviation, rows weighed by the class weights where the task has them.
    Until they are fitted, and in training, the answer is that of ``late_mean``. It stays so where validation cannot
    tell: fewer than 10 rows, a label with one value only. A class without a validation row keeps its log-probability of
    ``late_mean``, and the classes that have rows share out what that leaves as the combiner says; the answer is then
    additive among those classes only. ``notes`` says what was not fitted.

    Args:
        dims: Widths of each modality.
        width: Width of hidden layers.
        outputs: What the task asks for; the model gives it.
        hidden_layers: Hidden layers of each modality's predictor; 0: linear.
        joint: Train the predictors on the mean of their answers as well as on their own.
        normalise: Layer-normalise vectors first.
        dropout: Feature dropout in training, in [0, 1).

    When to use: modalities of unequal worth, class by class, with some hundred validation rows.
    Relatives: ``late_weighted`` (one weight a modality, learned on training rows).
    Reference: Wolpert 1992.
    """

    info = FusionInfo(
        "late_stacking",
        "Wolpert 1992",
        "h = W [log p_1; ..; log p_M; present] + c, fitted on validation rows",
        needs_tokens=False,
    )
    weight_CF: Tensor  # noqa: N815  shape letters
    bias_C: Tensor  # noqa: N815
    is_fitted_C: Tensor  # noqa: N815

    def add_parts(self) -> None:
        """The combiner, not fitted yet."""
        count, num_outputs = len(self.dims), self.outputs.num_outputs
        self.register_buffer("weight_CF", torch.zeros(num_outputs, count * num_outputs + count))
        self.register_buffer("bias_C", torch.zeros(num_outputs))
        self.register_buffer("is_fitted_C", torch.zeros(num_outputs, dtype=torch.bool))
        self.class_weights: list[float] | None = None
        self._has_told = False

    def start_from(self, target: np.ndarray, class_weights: list[float] | None) -> None:
        """Keep the class weights, with which the combiner is fitted as well."""
        self.class_weights = class_weights

    def features(self, logits_BMC: Tensor, present_BM: Tensor) -> Tensor:
        """What the combiner reads [B, M C + M]: modality by modality, then presence bits."""
        if self.outputs.kind == "classes":
            logits_BMC = logits_BMC - logits_BMC.mean(2, keepdim=True)  # log softmax, centred, is just this
        return torch.cat([logits_BMC.flatten(1), present_BM.to(logits_BMC.dtype)], dim=1)

    def join(self, logits_BMC: Tensor, present_BM: Tensor) -> tuple[Tensor, None]:
        """Combine the answers."""
        even_BM = even_weights(present_BM, logits_BMC.dtype)
        fused_BC = average_answers(logits_BMC, even_BM, present_BM, self.outputs.kind)
        if not self.training:
            stacked_BC = self.features(logits_BMC, present_BM) @ self.weight_CF.T + self.bias_C
            if self.outputs.kind == "classes":  # chosen without a branch, which no exported graph could hold
                shared_BC = self._share_out(stacked_BC, fused_BC)
                stacked_BC = torch.where(self.is_fitted_C.all(), stacked_BC, shared_BC)
            fused_BC = torch.where(self.is_fitted_C, stacked_BC, fused_BC)
        return fused_BC, None

    def _share_out(self, stacked_BC: Tensor, mean_BC: Tensor) -> Tensor:
        """Log-probabilities in which the fitted classes have together what the mean gives them."""
        mean_BC, others_C = torch.log_softmax(mean_BC, dim=1), ~self.is_fitted_C
        among_BC = torch.log_softmax(stacked_BC.masked_fill(others_C, -1e9), dim=1)
        return among_BC + torch.logsumexp(mean_BC.masked_fill(others_C, -1e9), dim=1, keepdim=True)

    def calibrate_from(self, train: SeenRows, val: SeenRows) -> None:
        """Fit the combiner on validation rows."""
        parts = []
        for batch in val.batches():
            logits_BMC = batch.fuse().modality_logits_BMC
            assert logits_BMC is not None
            parts.append(self.features(logits_BMC, batch.present_BM).double().cpu().numpy())
        self.fit_combiner(np.concatenate(parts), val.target)

    def fit_combiner(self, features_NF: np.ndarray, target: np.ndarray) -> None:
        """Fit W and c on features and encoded targets; outputs that cannot be fitted go back to the mean."""
        num_outputs = self.outputs.num_outputs
        weight_CF, bias_C = np.zeros(self.weight_CF.shape), np.zeros(num_outputs)
        is_fitted_C = np.zeros(num_outputs, dtype=bool)
        std_F = features_NF.std(0)
        varies_F = std_F > 0  # the presence bit of what is never missing must stay without weight
        std_F[~varies_F] = 1.0
        scaled_NF = features_NF / std_F * varies_F
        if len(target) >= MIN_ROWS and self.outputs.kind == "number":
            from sklearn.linear_model import Ridge

            ridge = Ridge(alpha=1.0).fit(scaled_NF, np.asarray(target, dtype=np.float64).reshape(-1))
            weight_CF[0], bias_C[0], is_fitted_C[0] = ridge.coef_ / std_F, ridge.intercept_, True
        elif len(target) >= MIN_ROWS and self.outputs.kind == "labels":
            for c in range(num_outputs):
                if len(np.unique(target[:, c])) < 2:
                    continue
                columns = self._columns_of(c)
                weights_N = None
                if self.class_weights is not None:  # of a label: how much a row that has it counts
                    weights_N = np.where(target[:, c] > 0, self.class_weights[c], 1.0)
                weight_1F, bias_1 = logistic(scaled_NF[:, columns], target[:, c].astype(np.int64), weights_N)
                weight_CF[c, columns], bias_C[c] = weight_1F[0] / std_F[columns], bias_1[0]
                is_fitted_C[c] = True
        elif len(target) >= MIN_ROWS and self.outputs.kind == "classes":
            shown = [c for c in np.unique(target).tolist() if c >= 0]  # -1: a class that training does not hold
            if len(shown) > 1:
                known = target >= 0
                weights_N = None if self.class_weights is None else np.asarray(self.class_weights)[target[known]]
                weight_KF, bias_K = logistic(scaled_NF[known], target[known], weights_N)
                if len(shown) == 2:
                    weight_KF, bias_K = np.stack([-weight_KF[0], weight_KF[0]]) / 2, np.array([-1, 1]) * bias_K[0] / 2
                weight_CF[shown], bias_C[shown], is_fitted_C[shown] = weight_KF / std_F, bias_K, True
        self.weight_CF.copy_(torch.from_numpy(weight_CF))
        self.bias_C.copy_(torch.from_numpy(bias_C))
        self.is_fitted_C.copy_(torch.from_numpy(is_fitted_C))
        if not is_fitted_C.all() and not self._has_told:
            self._has_told = True
            logger.warning("%s", *self.notes([str(c) for c in range(num_outputs)]))

    def notes(self, outputs: Sequence[str]) -> list[str]:
        """What stays at the mean of the modalities, by the names of the outputs."""
        left = [name for name, is_fitted in zip(outputs, self.is_fitted_C.tolist(), strict=True) if not is_fitted]
        if not left:
            return []
        shown = ", ".join(left[:MOST_NAMED]) + (f" and {len(left) - MOST_NAMED} more" * (len(left) > MOST_NAMED))
        which = f"{len(left)} of {len(outputs)} outputs" + (f" ({shown})" if self.outputs.kind != "number" else "")
        return [
            f"late_stacking: {which} stay{'s' if len(left) == 1 else ''} at the plain mean of the modalities "
            f"(late_mean): validation shows no row of the class, one value of the label, or fewer than {MIN_ROWS} rows"
        ]

    def _columns_of(self, label: int) -> np.ndarray:
        """Features that one label's combiner reads: its log-odds from each modality, and presence."""
        count, num_outputs = len(self.dims), self.outputs.num_outputs
        return np.concatenate([np.arange(count) * num_outputs + label, count * num_outputs + np.arange(count)])


def logistic(
    features_NF: np.ndarray, target_N: np.ndarray, weights_N: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients [C, F] and intercepts [C] of a logistic regression; one row of each for two classes."""
    from sklearn.exceptions import ConvergenceWarning  # seconds to import, and only training needs it
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a combiner that is not quite at its optimum still serves
        fitted = LogisticRegression(C=1.0, max_iter=500).fit(features_NF, target_N, sample_weight=weights_N)
    return fitted.coef_, fitted.intercept_


FUSIONS.add("late_stacking", LateStackingFusion)
