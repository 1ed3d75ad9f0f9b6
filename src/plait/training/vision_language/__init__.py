"""Learning of a ready vision-language model: requests and answers in batches, LoRA through the one trainer."""

from __future__ import annotations

from plait.training.vision_language.batches import AnswerBatches, AnsweredRequest, request_lengths
from plait.training.vision_language.learner import mean_loss, train_adapter

__all__ = ["AnswerBatches", "AnsweredRequest", "mean_loss", "request_lengths", "train_adapter"]
