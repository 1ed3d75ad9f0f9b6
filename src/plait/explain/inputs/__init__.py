"""What inside one row an answer rests on: words, image regions, time spans, columns, each explanation with its checks.

``explain_inputs`` is what ``Plait.explain`` calls for rows; how an item of each kind is cut into parts stands in
``CUTTERS`` (:mod:`plait.explain.inputs.cutters`).
"""

from __future__ import annotations

from plait.explain.inputs.explained_rows import explain_inputs
from plait.explain.inputs.options import InputOptions

__all__ = ["InputOptions", "explain_inputs"]
