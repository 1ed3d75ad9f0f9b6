"""Batches for the encoder, made ready in threads while it works on the batch before.

Positions of items and a function that loads one come in; batches of processed inputs come out, with
the reasons of the items that could not be loaded or processed: one broken item never takes its
batch with it. Images and sounds are decoded one by one in parallel, texts are sorted by length.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

PREFETCH_BATCHES = 2

Load = Callable[[int], Any]


@dataclass
class Batch:
    """Inputs of the items that could be processed, and the reasons of the others."""

    indices: list[int]
    inputs: dict[str, Tensor]
    failures: dict[int, str]


def reason_of(error: Exception) -> str:
    """Why one item cannot be used, in words; a lack of memory is no fault of the item."""
    if isinstance(error, MemoryError):
        return "preparing it needs more memory than was free (that is no fault of the item)"
    text = str(error)
    return text if text and isinstance(error, ValueError | OSError) else f"{type(error).__name__}: {text}"


def _prefetched(groups: Iterable[list], submit: Callable[[list], Any], executor: ThreadPoolExecutor) -> Generator[Any]:
    """Results of `submit` in order, with some batches always under way; threads end with the iterator."""
    waiting: deque[Any] = deque()
    try:
        for group in groups:
            waiting.append(submit(group))
            if len(waiting) > PREFETCH_BATCHES:
                yield waiting.popleft()
        while waiting:
            yield waiting.popleft()
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _chunks(items: list, size: int) -> Iterator[list]:
    return (items[start : start + size] for start in range(0, len(items), size))


def media_batches(processor: Any, missing: list[int], load: Load, batch_size: int, workers: int) -> Generator[Batch]:
    """Each image or sound is loaded and decoded by itself in a thread, so that a broken one fails alone."""
    executor = ThreadPoolExecutor(max(1, workers), thread_name_prefix="plait-decode")

    def decode(index: int) -> dict[str, Tensor]:
        return processor.process([load(index)])

    def submit(group: list[int]) -> list[tuple[int, Future]]:
        return [(index, executor.submit(decode, index)) for index in group]

    with contextlib.closing(_prefetched(_chunks(missing, batch_size), submit, executor)) as results:
        for result in results:
            inputs, failures = {}, {}
            for index, future in result:
                try:
                    inputs[index] = future.result()
                except Exception as error:  # a decoder may raise anything; the reason is handed on
                    failures[index] = reason_of(error)
            yield Batch(list(inputs), _joined(processor, list(inputs.values())), failures)


def _joined(processor: Any, parts: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Items processed one by one as a batch; a processor whose items differ in length joins them itself."""
    if not parts:
        return {}
    if hasattr(processor, "join"):
        return processor.join(parts)
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def text_batches(processor: Any, missing: list[int], load: Load, batch_size: int, workers: int) -> Generator[Batch]:
    """Longest texts first, so that a batch pads little and a lack of memory shows at once."""
    texts, failures = {}, {}
    for index in missing:
        try:
            texts[index] = load(index)
            if not isinstance(texts[index], str):
                raise TypeError(f"expected a text, got {type(texts.pop(index)).__name__}")
        except Exception as error:  # whatever the loader raises; the reason is handed on
            failures[index] = reason_of(error)
    if failures:
        yield Batch([], {}, failures)
    order = sorted(texts, key=lambda index: (-len(texts[index]), index))
    executor = ThreadPoolExecutor(1, thread_name_prefix="plait-tokenize")  # one: processors count truncations

    def tokenize(group: list[int]) -> Batch:
        try:
            return Batch(group, processor.process([texts[index] for index in group]), {})
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

    def submit(group: list[int]) -> Future:
        return executor.submit(tokenize, group)

    with contextlib.closing(_prefetched(_chunks(order, batch_size), submit, executor)) as results:
        for result in results:
            yield result.result()
