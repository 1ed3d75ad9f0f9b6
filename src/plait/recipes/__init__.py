"""Recipes: named answers to every setting the user leaves open; a recipe never overrides what the user set."""

from __future__ import annotations

from plait.recipes.base import RECIPES, TASK_CHOICES, Facts, small_batch
from plait.recipes.classic import classic
from plait.recipes.default import default
from plait.recipes.resolve import resolve
from plait.recipes.retrieval import find_each_other
from plait.recipes.sentiment import sentiment
from plait.recipes.writing import write_text

__all__ = [
    "RECIPES",
    "TASK_CHOICES",
    "Facts",
    "classic",
    "default",
    "find_each_other",
    "resolve",
    "sentiment",
    "small_batch",
    "write_text",
]
