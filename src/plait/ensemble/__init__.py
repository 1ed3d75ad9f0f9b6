"""Ensembles: several models that answer together, chosen on validation rows for every pattern of what is there.

In: a plan of training and trained networks. Out: an :class:`Ensemble`, which stands where a network stands. Members are
networks, linear models, n-gram models and trees; nothing is pickled. What fits them stands in ``fit``, ``networks`` and
``transform``, and is imported only where something is trained.
"""

from __future__ import annotations

from plait.ensemble.base import Member, MemberFacts
from plait.ensemble.ensemble import Ensemble
from plait.ensemble.files import load_ensemble, save_ensemble

__all__ = [
    "Ensemble",
    "Member",
    "MemberFacts",
    "load_ensemble",
    "save_ensemble",
]
