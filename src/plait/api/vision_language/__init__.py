"""Ready vision-language models (SmolVLM, Qwen-VL, LLaVA, PaliGemma, Gemma): asked, judged, or classifying by scores."""

from __future__ import annotations

from plait.api.vision_language.model import VisionLanguageModel, vlm

__all__ = ["VisionLanguageModel", "vlm"]
