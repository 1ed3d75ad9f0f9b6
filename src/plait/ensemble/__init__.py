"""Ensembles: several models that answer together, chosen on validation rows for every pattern of what is there.

In: a plan of training and trained networks. Out: an :class:`Ensemble`, which stands where a network stands. Members are
networks, linear models, n-gram models and trees; nothing is pickled.
"""

from __future__ import annotations

from plait.ensemble.base import Member, MemberFacts
from plait.ensemble.ensemble import Ensemble
from plait.ensemble.files import load_ensemble, save_ensemble
from plait.ensemble.fit import can_average, fit_ensemble
from plait.ensemble.networks import NetworkFits

__all__ = [
    "Ensemble",
    "Member",
    "MemberFacts",
    "NetworkFits",
    "can_average",
    "fit_ensemble",
    "load_ensemble",
    "save_ensemble",
]
