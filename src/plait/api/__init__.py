"""The Python API: ``fit`` a table, ``load`` a model folder, and the class ``Plait`` that both return."""

from __future__ import annotations

from plait.api.fit import fit, load
from plait.api.predictor import Plait

__all__ = ["Plait", "fit", "load"]
