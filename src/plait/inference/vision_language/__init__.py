"""Vision-language models at work: prompts as their processor words them, answers written, given answers scored."""

from __future__ import annotations

from plait.inference.vision_language.adapter import LoraShape, LoraWeights
from plait.inference.vision_language.network import Request, VisionLanguageNetwork
from plait.inference.vision_language.prompts import Prompter
from plait.inference.vision_language.scoring import answer_scores, token_scores
from plait.inference.vision_language.writing import write_answers

__all__ = [
    "LoraShape", "Prompter", "Request", "LoraWeights", "VisionLanguageNetwork", "answer_scores", "token_scores",
    "write_answers",
]  # fmt: skip
