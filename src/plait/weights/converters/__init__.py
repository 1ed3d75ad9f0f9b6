"""Weights of foreign formats as safetensors, converted once while they are fetched."""

from __future__ import annotations
