"""What an ensemble answers on the rows that chose it, each by models that have not seen the row."""

from __future__ import annotations

import numpy as np
import torch

from plait.ensemble.base import Bag
from plait.ensemble.ensemble import Ensemble
from plait.ensemble.folds import fold_plans
from plait.ensemble.held_out import held_out
from plait.training.plan import Plan


def answers_of(plan: Plan, ensemble: Ensemble, num_folds: int) -> tuple[np.ndarray, np.ndarray]:
    """Outputs [N, C] and positions [N] of the rows.

    Args:
        plan: What the ensemble was fitted on.
        ensemble: The ensemble, fitted just now.
        num_folds: As it was fitted with.
    """
    members = [member.parts if isinstance(member, Bag) else [member] for member in ensemble.listed]
    plans = fold_plans(plan, num_folds)[: len(members[0])]  # a time limit may have left some out
    everything = tuple([True] * len(ensemble.names))
    judges = np.concatenate([part.val for part in plans]) if ensemble.judges is None else ensemble.judges
    rows = [part.val[np.isin(part.val, judges)] for part in plans]
    answers = held_out(plans, members, rows, [everything])
    present_NM = torch.from_numpy(answers.present_NM)
    return ensemble.average(lambda k: answers.of(k, everything), present_NM), answers.rows
