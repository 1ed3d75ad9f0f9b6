"""Recipes: named answers to every setting the user leaves open; a recipe never overrides what the user set."""

from __future__ import annotations

from plait.training.recipes.alternative import with_alternative
from plait.training.recipes.base import RECIPES, TASK_CHOICES, Facts, small_batch
from plait.training.recipes.classic import classic
from plait.training.recipes.default import default
from plait.training.recipes.resolve import resolve
from plait.training.recipes.retrieval import find_each_other
from plait.training.recipes.sentiment import sentiment
from plait.training.recipes.writing import write_text

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
    "with_alternative",
    "write_text",
]
