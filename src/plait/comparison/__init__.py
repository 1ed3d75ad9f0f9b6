"""Comparing fusion methods on equal terms: one encoding, one budget, one choice rule, one set of test draws.

``plan`` says what runs, ``runner`` runs it and resumes, ``archive`` keeps finished runs, ``cost`` measures what a
method takes, ``result`` turns outputs into the report (``shape``), ``page`` and ``figures``
draw it, ``usable`` says how to train what was chosen, ``halves`` splits validation rows, ``sweep`` holds the verb.
"""

from __future__ import annotations

from plait.comparison.outcome import Comparison
from plait.comparison.sweep import compare

__all__ = ["Comparison", "compare"]
