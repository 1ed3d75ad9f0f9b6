"""A model used without training: the one evaluation loop, embedding, generation."""

from __future__ import annotations
