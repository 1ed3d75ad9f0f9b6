"""Tasks whose answers are written: captioning, and open visual question answering.

A target cell holds one answer or a list of them (several captions of a photo, ten people's answers). Encoded targets
are token ids [N, R, L], -100 behind each end; how answers are cut and which network writes them is label state.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np

from plait.heads.language.network import describe_language_model, load_pretrained, scratch_config, weights_fingerprint
from plait.heads.language.tokens import clean, fit_tokens, pretrained_tokens
from plait.settings import RunSettings
from plait.tasks.base import TASKS, Task
from plait.tasks.labels import LabelState, class_name

IGNORED = -100
SCRATCH_DROPOUT = 0.1
QUESTION = "question"  # columns of the VQA data sets
ANSWER_TYPE = ("answer_type",)
ABOUT_QUESTIONS = ("question_type", *ANSWER_TYPE)


def references(value: object) -> tuple[str, ...] | None:
    """The answers of a target cell, in their order: of a list, a JSON list, or one text; None where there is none."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            parsed = json.loads(value)
        except json.JSONDecodeError:
            parsed = value
        value = parsed
    cells = value if isinstance(value, list | tuple | np.ndarray) else [value]
    found = [name for name in (class_name(cell) for cell in cells) if name is not None]
    return tuple(text for text in (clean(name) for name in found) if text) or None


def fit_language(values: list[Any], settings: RunSettings) -> LabelState:
    """Learn or load the tokenizer and describe the language model.

    Args:
        values: References of the training rows.
        settings: Resolved settings; ``language`` and the dropout count.

    Raises:
        ValueError: The language model is not on this machine, or a setting does not fit it.
    """
    chosen = settings.language
    assert chosen.model is not None and chosen.tuning is not None
    if chosen.model == "scratch":
        if chosen.tuning != "full":
            raise ValueError(f"a language model from scratch is trained: language.tuning=full, not {chosen.tuning}")
        answers = [answer for row in values for answer in row]
        tokens = fit_tokens(answers, vocabulary=chosen.vocabulary, prompt=chosen.prompt, max_tokens=chosen.max_tokens)
        config = scratch_config(
            tokens.num_tokens, width=chosen.width, layers=chosen.layers, heads=chosen.heads, dropout=SCRATCH_DROPOUT
        )
        return LabelState(tokens=tokens, language=describe_language_model(config, tokens, tuning="full"))
    model, tokenizer = load_pretrained(chosen.model)
    tokens = pretrained_tokens(tokenizer, prompt=chosen.prompt, max_tokens=chosen.max_tokens)
    outside = chosen.tuning != "full"
    config = model.config.to_dict()
    described = describe_language_model(
        config, tokens, tuning=chosen.tuning, rank=chosen.lora_rank, reference=chosen.model if outside else None,
        fingerprint=weights_fingerprint(model) if outside else None,
    )  # fmt: skip
    return LabelState(tokens=tokens, language={**described, "pretrained": True, "source": chosen.model})


def _encode(values: list[Any], state: LabelState) -> np.ndarray:
    assert state.tokens is not None
    flat = iter(state.tokens.encode([answer for row in values for answer in row]))
    rows = [[next(flat) for _ in row] for row in values]
    most = max((len(row) for row in rows), default=1)
    longest = max((len(ids) for row in rows for ids in row), default=1)
    coded = np.full((len(rows), most, longest), IGNORED, dtype=np.int32)
    for n, row in enumerate(rows):
        for r, ids in enumerate(row):
            coded[n, r, : len(ids)] = ids
    return coded


def _no_labels(values: list[Any]) -> LabelState:
    return LabelState()


def _not_here(*given: Any) -> Any:
    raise TypeError("answers that are generated have no logits of a row; use Plait.generate")


CAPTIONING = Task(
    "captioning", references, "text, or a list of texts", _no_labels, _encode, _not_here, _not_here, _not_here,
    _not_here, "cider_d", True, output_kind="text", fit_with=fit_language, needs_image=True,
    filler=("",),
)  # fmt: skip
TASKS.add("captioning", CAPTIONING)
TASKS.add(
    "vqa_open",
    replace(
        CAPTIONING, name="vqa_open", expects="an answer, or a list of answers", primary="accuracy", question=QUESTION,
        about_rows=ABOUT_QUESTIONS, slice_by=ANSWER_TYPE,
    ),
)  # fmt: skip
