"""Answers written behind requests: greedy, by beams, drawn, or within a list, by ``generate`` of the model itself.

What a checkpoint's ``generation_config.json`` says of ends and penalties holds; whether tokens are drawn is asked here.
Probabilities are the model's own, whatever search found the answer.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from plait.heads.language import DecodeOptions, Trie
from plait.heads.language.decoding import seeded
from plait.inference.generation import Answer
from plait.inference.vision_language.prompts import Prompter
from plait.inference.vision_language.scoring import checked_scores, token_scores


def write_answers(
    model: Any, prompter: Prompter, inputs: dict[str, Any], options: DecodeOptions, answers: Sequence[str] | None = None
) -> list[Answer]:
    """Write an answer behind each request.

    Args:
        model: The network, in evaluation mode.
        prompter: How its answers are cut.
        inputs: What ``Prompter.batch`` gave, on the model's device.
        options: How to search.
        answers: The only answers allowed, or None.

    Raises:
        ValueError: An allowed answer is empty.
    """
    ends = end_tokens(model, prompter)
    start = inputs["input_ids"].shape[1]
    config, allowed = _search(model, prompter, options), None
    if answers is not None:
        end = next(iter(ends))
        cut = [[*prompter.answer_ids(answer), end] for answer in answers]
        trie = Trie(cut, end)
        config.max_new_tokens = max(options.max_new_tokens, *(len(ids) for ids in cut))
        allowed = _within(trie, start)
    with seeded(options.seed if options.samples else None), torch.inference_mode():
        made = model.generate(**inputs, generation_config=config, prefix_allowed_tokens_fn=allowed)
    rows = [_until(ids, ends) for ids in made.sequences[:, start:].tolist()]
    if options.beams == 1:
        logs_LB = [
            torch.log_softmax(logits_BV.float(), dim=1)
            .gather(1, made.sequences[:, start + number, None])[:, 0]
            .tolist()
            for number, logits_BV in enumerate(made.logits)
        ]
        logs = checked_scores([[logs_LB[place][row] for place in range(len(ids))] for row, ids in enumerate(rows)])
    else:
        logs = token_scores(model, inputs, rows)
    tokenizer = prompter.tokenizer
    return [
        Answer(
            tokenizer.decode(ids, skip_special_tokens=True).strip(),
            [tokenizer.decode([one]) for one in ids],
            scores,
            ids,
        )
        for ids, scores in zip(rows, logs, strict=True)
    ]


def _search(model: Any, prompter: Prompter, options: DecodeOptions) -> Any:
    """The checkpoint's own way to write, with the search that is asked for."""
    config = copy.deepcopy(model.generation_config)
    drawn = {"temperature": options.temperature or 1.0, "top_p": options.top_p or 1.0, "top_k": 0}
    config.update(
        max_new_tokens=options.max_new_tokens, max_length=None, num_beams=options.beams, do_sample=options.samples,
        num_return_sequences=1, return_dict_in_generate=True, output_logits=options.beams == 1,
        length_penalty=options.length_penalty if options.beams > 1 else None,
        **(drawn if options.samples else dict.fromkeys(("temperature", "top_p", "top_k", "min_p", "typical_p"))),
    )  # fmt: skip
    if config.pad_token_id is None:
        config.pad_token_id = prompter.tokenizer.pad_token_id
    return config


def end_tokens(model: Any, prompter: Prompter) -> dict[int, None]:
    """End tokens of a model, in their order.

    Raises:
        ValueError: The checkpoint names none.
    """
    found = model.generation_config.eos_token_id
    found = prompter.tokenizer.eos_token_id if found is None else found
    ends = {int(one): None for one in (found if isinstance(found, list | tuple) else [found]) if one is not None}
    if not ends:
        raise ValueError("the checkpoint names no end token, in generation_config.json or its tokenizer; add one")
    return ends


def _until(ids: list[int], ends: dict[int, None]) -> list[int]:
    """A row up to its first end, which is kept."""
    stop = next((place for place, one in enumerate(ids) if one in ends), len(ids) - 1)
    return ids[: stop + 1]


def _within(trie: Trie, start: int) -> Any:
    def allowed(row: int, ids: Tensor) -> list[int]:
        return trie.allowed(ids[start:].tolist())

    return allowed
