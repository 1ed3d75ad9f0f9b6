"""Comparing fusion methods on equal terms: one encoding, one budget, one choice rule, one set of test draws.

``plan`` says what is compared, ``runs`` what each run is made of, ``probe`` what can run at all. ``runner`` searches
and goes through the seeds, resumably: ``train_run`` does one run, ``evaluate_run`` measures a chosen one (``judging``
says how, ``halves`` splits validation rows, ``cost`` measures what a method takes), ``run_counter`` counts,
``workers`` add processes, ``archive`` keeps what is finished, ``method_outcome`` is what became of a method. ``result``
turns outcomes into the report (``shape``), ``page`` and ``figures`` draw it, ``usable`` says how to train what was
chosen, ``sweep`` holds the verb and ``outcome`` what it returns.
"""

from __future__ import annotations

from plait.comparison.outcome import Comparison
from plait.comparison.sweep import compare

__all__ = ["Comparison", "compare"]
