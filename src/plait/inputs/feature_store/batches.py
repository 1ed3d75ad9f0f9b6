"""Batches for the encoder, made ready in threads.

Numbers of items and a function that loads one come in; batches of processed inputs come out, with the reasons of
items that could not be loaded or processed: one broken item never takes its batch with it. Images and sounds are
decoded one by one in parallel (:mod:`~plait.inputs.feature_store.decoding`); texts come sorted by length. A
batch is full at so many items, or where its padded inputs reach a budget of bytes; items of like length share one.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from plait.encoders.batching import TOKEN_BYTES, forward_bytes
from plait.inputs.feature_store.decoding import ByteWindow, decoded_ahead, decoded_in_turns, num_bytes

PREFETCH_BATCHES = 2
WINDOW_BATCHES = 8  # of small items, which a window of bytes would hold thousands of
WINDOW_BUDGETS = 4  # decoded items that wait may hold so many times the budget of a batch

Load = Callable[[int], Any]


@dataclass
class Batch:
    """Inputs of the items that could be processed, and the reasons of the others."""

    indices: list[int]
    inputs: dict[str, Tensor]
    failures: dict[int, str] = field(default_factory=dict)


def reason_of(error: Exception) -> str:
    """Why one item cannot be used, in words; a lack of memory is no fault of the item."""
    if isinstance(error, MemoryError):
        return "preparing it needs more memory than was free (that is no fault of the item)"
    text = str(error)
    return text if text and isinstance(error, ValueError | OSError) else f"{type(error).__name__}: {text}"


def media_batches(
    processor: Any, walk: Iterator[int], load: Load, batch_size: int, workers: int, budget: int, *,
    in_turns: bool = False,
) -> Generator[Batch]:  # fmt: skip
    """Each image or sound is loaded and decoded by itself in a thread, so that a broken one fails alone.

    Args:
        processor: ``process`` of a list, and ``join`` where items differ in length.
        walk: Numbers of the items; asked for a window at a time.
        load: Gives item i.
        batch_size: Most items of a batch.
        workers: Threads.
        budget: Most bytes of a batch, as ``forward_bytes`` reckons; an item past it is a batch of its own.
        in_turns: Decode a window while nothing is encoded, on a CPU, where both want the same cores; else ahead, while
            the encoder works on the batch before.
    """

    def decode(index: int) -> dict[str, Tensor]:
        made: dict[str, Tensor] = processor.process([load(index)])
        return made

    window = WINDOW_BUDGETS * budget
    gate = ByteWindow(window)
    if in_turns:
        decoded = decoded_in_turns(walk, decode, workers, window, WINDOW_BATCHES * batch_size)
    else:
        decoded = decoded_ahead(walk, decode, workers, gate, PREFETCH_BATCHES * batch_size)
    with contextlib.closing(decoded) as results:
        parts: dict[int, dict[str, Tensor]] = {}
        failures: dict[int, str] = {}
        size = 0
        for index, result in results:
            cost = 0 if isinstance(result, Exception) else forward_bytes(result)
            if parts and size + cost > budget:
                yield from _by_length(processor, parts, failures, budget)
                gate.free(sum(map(num_bytes, parts.values())))
                parts, failures, size = {}, {}, 0
            if isinstance(result, Exception):
                failures[index] = reason_of(result)
            else:
                parts[index] = result
                size += cost
            if len(parts) + len(failures) >= batch_size or size + cost > budget:  # one more of its size is too many
                yield from _by_length(processor, parts, failures, budget)
                gate.free(sum(map(num_bytes, parts.values())))
                parts, failures, size = {}, {}, 0
        if parts or failures:
            yield from _by_length(processor, parts, failures, budget)


def _by_length(
    processor: Any, parts: dict[int, dict[str, Tensor]], failures: dict[int, str], budget: int
) -> Iterator[Batch]:
    """Items processed one by one as batches under the budget, the largest first; reasons come with the first batch."""
    costs = {index: forward_bytes(part) for index, part in parts.items()}
    order = sorted(parts, key=lambda index: (-costs[index], index))
    while order or failures:
        most = max(1, budget // max(1, costs[order[0]])) if order else 0
        group, order = order[:most], order[most:]
        yield Batch(group, _joined(processor, [parts[index] for index in group]), failures)
        failures = {}


def _joined(processor: Any, parts: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Items processed one by one as a batch; a processor whose items differ in length joins them itself."""
    if not parts:
        return {}
    if hasattr(processor, "join"):
        return processor.join(parts)  # type: ignore[no-any-return]
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def readable_texts(missing: list[int], load: Load, processor: Any) -> tuple[dict[int, str], dict[int, str]]:
    """Texts, longest first, so that a batch pads little and a lack of memory shows at once; and reasons.

    Long is what has many tokens, where the processor counts them (``count_tokens``), else many letters: addresses and
    tags have several times the tokens of words with as many letters.
    """
    texts: dict[int, str] = {}
    failures: dict[int, str] = {}
    for index in missing:
        try:
            text = load(index)
            if not isinstance(text, str):
                raise TypeError(f"expected a text, got {type(text).__name__}")
            texts[index] = text
        except Exception as error:  # whatever the loader raises; the reason is handed on
            failures[index] = reason_of(error)
    count = getattr(processor, "count_tokens", lambda every: [len(text) for text in every])
    lengths = dict(zip(texts, count(list(texts.values())), strict=True))
    order = sorted(texts, key=lambda index: (-lengths[index], -len(texts[index]), index))
    return {index: texts[index] for index in order}, failures


def text_batches(
    processor: Any, walk: Iterator[int], texts: dict[int, str], batch_size: int, budget: int
) -> Generator[Batch]:
    """Batches of texts, tokenised in a thread.

    Args:
        processor: ``process`` of a list.
        walk: Numbers of the texts, longest first.
        texts: The texts.
        batch_size: Most texts of a batch.
        budget: Most bytes of a batch, as ``forward_bytes`` reckons with a token for each letter.
    """
    executor = ThreadPoolExecutor(1, thread_name_prefix="plait-tokenize")  # one: processors count truncations

    def tokenize(group: list[int]) -> Batch:
        try:
            return Batch(group, processor.process([texts[index] for index in group]))
        except Exception:  # find which texts fail; the others still go on
            bad = {}
            for index in group:
                try:
                    processor.process([texts[index]])
                except Exception as error:
                    bad[index] = reason_of(error)
            if not bad:
                raise
            good = [index for index in group if index not in bad]
            return Batch(good, processor.process([texts[index] for index in good]) if good else {}, bad)

    waiting: deque[Future] = deque()
    try:
        for group in _text_groups(processor, walk, texts, batch_size, budget):
            waiting.append(executor.submit(tokenize, group))
            if len(waiting) > PREFETCH_BATCHES:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _text_groups(
    processor: Any, walk: Iterator[int], texts: dict[int, str], batch_size: int, budget: int
) -> Iterator[list[int]]:
    longest = getattr(processor, "max_length", None)
    group: list[int] = []
    most = 0
    for index in walk:
        if not group:
            length = len(texts[index]) + 2 if longest is None else min(len(texts[index]) + 2, longest)
            most = min(batch_size, max(1, budget // (length * TOKEN_BYTES)))
        group.append(index)
        if len(group) == most:
            yield group
            group = []
    if group:
        yield group
