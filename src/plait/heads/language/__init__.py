"""Language: answers as tokens, the causal language model that writes them, and how it is made to write."""

from __future__ import annotations

from plait.heads.language.answers import Trie
from plait.heads.language.decoding import DecodeOptions, Written, write_answers
from plait.heads.language.network import build_language_model, describe_language_model, read_outside_weights
from plait.heads.language.tokens import AnswerTokens, fit_tokens

__all__ = [
    "AnswerTokens",
    "DecodeOptions",
    "Trie",
    "Written",
    "build_language_model",
    "describe_language_model",
    "fit_tokens",
    "read_outside_weights",
    "write_answers",
]
