"""A vision-language model over many requests: batches, equal requests once, answers and scores in order."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from plait.data.progress import Progress
from plait.heads.language import DecodeOptions
from plait.inference.generation import Answer
from plait.inference.vision_language.adapter import (
    LoraShape,
    LoraWeights,
    add_adapter,
    remove_adapter,
    set_adapter_tensors,
    untuned,
)
from plait.inference.vision_language.prompts import Prompter
from plait.inference.vision_language.scoring import answer_scores
from plait.inference.vision_language.writing import write_answers
from plait.weights.vision_language import load_vision_language

if TYPE_CHECKING:
    from PIL import Image

AT_ONCE = 8


@dataclass(frozen=True)
class Request:
    """One picture and what is asked of it.

    Attributes:
        key: Names the picture: equal keys show the same.
        open: Decodes it.
        text: What is asked.
    """

    key: str
    open: Callable[[], Image.Image]
    text: str


class VisionLanguageNetwork:
    """A checkpoint and its processor.

    Args:
        reference: ``hf:ID_or_folder``.
        dtype: As ``load_vision_language``.
        adapter: Trained additions to it; None: it is as it was published.

    Attributes:
        adapter: Shape of the additions that it has now; None: it has none.

    Raises:
        ValueError: As ``load_vision_language``, or the additions do not fit the checkpoint.
    """

    def __init__(self, reference: str, dtype: str = "auto", adapter: LoraWeights | None = None) -> None:
        self.model, processor = load_vision_language(reference, dtype)
        self.model.requires_grad_(False)  # torch may choose other kernels by it: with additions off all bits are these
        most = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        self.prompter = Prompter(processor, most if isinstance(most, int) else None)
        self.adapter: LoraShape | None = None
        if torch.cuda.is_available():
            self.model.to("cuda")
        if adapter is not None:
            self.add_adapter(adapter.shape)
            set_adapter_tensors(self.model, adapter.tensors)

    def add_adapter(self, shape: LoraShape, seed: int = 0) -> None:
        """Give the network additions that change nothing yet."""
        add_adapter(self.model, shape, seed)
        self.adapter = shape

    def remove_adapter(self) -> None:
        """Take the additions away: the network is the published one again."""
        remove_adapter(self.model)
        self.adapter = None

    @contextlib.contextmanager
    def untuned(self) -> Iterator[None]:
        """Within, the network answers as it was published."""
        with untuned(self.model):
            yield

    @property
    def device(self) -> torch.device:
        """Where the network works."""
        return next(iter(self.model.parameters())).device

    def write(
        self, requests: Sequence[Request], options: DecodeOptions, *, answers: Sequence[str] | None = None,
        progress: Progress | None = None, what: str = "writing",
    ) -> list[Answer]:  # fmt: skip
        """An answer for each request, in order; equal requests are answered once, unless answers are drawn.

        Args:
            requests: The requests.
            options: How to search.
            answers: The only answers allowed, or None.
            progress: Called with requests done, requests in all and ``what``.
            what: What to call the work.
        """
        made: list[Answer] = []
        place = _places(requests, each_its_own=options.samples)
        for number, inputs in enumerate(self._batches(requests, place, progress, what)):
            drawn = options if options.seed is None else replace(options, seed=options.seed + number)
            made += write_answers(self.model, self.prompter, inputs, drawn, answers)
        return [made[i] for i in place]

    def score(
        self, requests: Sequence[Request], answers: Sequence[str], *, progress: Progress | None = None,
        what: str = "scoring answers",
    ) -> np.ndarray:  # fmt: skip
        """Natural log-probability of each answer's tokens behind each request, summed and a mean a token, [2, N, A]."""
        place = _places(requests)
        made = [
            answer_scores(self.model, self.prompter, inputs, answers)
            for inputs in self._batches(requests, place, progress, what)
        ]
        scores = np.concatenate(made, axis=1) if made else np.zeros((2, 0, len(answers)))
        return scores[:, place]

    def _batches(
        self, requests: Sequence[Request], place: list[int], progress: Progress | None, what: str
    ) -> Iterator[dict[str, Any]]:
        """Model inputs of the different requests, some at a time."""
        known: dict[int, int] = {}
        for i, number in enumerate(place):
            known.setdefault(number, i)
        first = list(known.values())
        for start in range(0, len(first), AT_ONCE):
            part = [requests[i] for i in first[start : start + AT_ONCE]]
            inputs = self.prompter.batch([one.open() for one in part], [one.text for one in part])
            yield {name: self.moved(value) for name, value in inputs.items()}
            if progress is not None:
                progress(start + len(part), len(first), what)

    def moved(self, value: Any) -> Any:
        """A tensor on the network's device; pixels in its number type."""
        if not isinstance(value, torch.Tensor):
            return value
        return value.to(self.device, self.model.dtype) if value.is_floating_point() else value.to(self.device)


def _places(requests: Sequence[Request], each_its_own: bool = False) -> list[int]:
    """The number of each request among the different ones, in order of their first."""
    if each_its_own:
        return list(range(len(requests)))
    known: dict[tuple[str, str], int] = {}
    return [known.setdefault((one.key, one.text), len(known)) for one in requests]
