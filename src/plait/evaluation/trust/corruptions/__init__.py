"""Content damaged on purpose, harder and harder, one file a kind of content."""

from __future__ import annotations

import plait.evaluation.trust.corruptions.numbers
import plait.evaluation.trust.corruptions.picture
import plait.evaluation.trust.corruptions.sound
import plait.evaluation.trust.corruptions.text  # noqa: F401  each adds its records
from plait.evaluation.trust.corruptions.base import CORRUPTIONS, SEVERITIES, Corruption, corrupt, corruptions_of

__all__ = ["CORRUPTIONS", "SEVERITIES", "Corruption", "corrupt", "corruptions_of"]
