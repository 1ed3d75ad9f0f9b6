"""Settings of the language model that writes answers; a group of a run's settings (``settings.py``)."""

from __future__ import annotations

from dataclasses import dataclass

LANGUAGE_TUNINGS = ("frozen", "lora", "full")


@dataclass(frozen=True)
class LanguageSettings:
    """The language model that writes answers, for tasks that generate."""

    model: str | None = None
    """scratch (a small decoder), smollm2-135m or hf:ID_or_folder, or None: the recipe's choice."""
    tuning: str | None = None
    """What of it is trained: frozen, lora or full, or None: full from scratch, else frozen."""
    lora_rank: int = 8
    """Rank of the additions under tuning=lora."""
    prompt: str = ""
    """Text between the inputs and every answer, such as "Caption:"."""
    max_tokens: int = 40
    """Longest answer, in tokens; what is cut is counted."""
    beams: int | None = None
    """Beams when answers are judged or written, or None: 3 for captions, 1 for answers to questions."""
    vocabulary: int = 8000
    """Most tokens that a decoder from scratch learns from the training answers."""
    width: int = 256
    """Width of a decoder from scratch."""
    layers: int = 4
    """Layers of a decoder from scratch."""
    heads: int = 4
    """Attention heads of a decoder from scratch."""
