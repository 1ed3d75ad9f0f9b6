"""How far our vision-language models are from their own library: the same requests worded, run and scored by hand.

The library's side uses ``AutoProcessor``, ``AutoModelForImageTextToText`` and nothing of ours; a request stands alone
there, so that nothing is padded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fixtures.lazy import lazy
from fixtures.tiny_vlm import pictures
from plait.heads.language import DecodeOptions
from plait.inference.vision_language import Request, VisionLanguageNetwork
from plait.weights.quiet import quiet_transformers

hf = lazy("transformers")

QUESTIONS = ["what colour is the circle?", "two dogs", "Describe the red cat on the grass in one sentence."]
LABELS = ["red", "blue square", "dog"]
STEPS = 8


@dataclass(frozen=True)
class VlmParity:
    """Differences between the library and ours.

    Attributes:
        tokens_equal: Whether every greedily written token is the same, in our batch and alone.
        written: Largest difference of the log-probability of a written token, in our batch.
        alone: The same, one request at a time.
        scores: Largest difference of a label's log-probability, summed and as a mean a token, in our batch.
        scores_alone: The same, one request at a time.
    """

    tokens_equal: bool
    written: float
    alone: float
    scores: float
    scores_alone: float

    @property
    def largest(self) -> float:
        """The largest of them."""
        return max(self.written, self.alone, self.scores, self.scores_alone)


class Library:
    """A checkpoint as its library uses it."""

    def __init__(self, folder: Path) -> None:
        with quiet_transformers():
            self.model = hf.AutoModelForImageTextToText.from_pretrained(folder, dtype="float32").eval()
            self.processor = hf.AutoProcessor.from_pretrained(folder)

    def inputs(self, picture: Any, question: str, label: str | None = None) -> dict[str, Any]:
        """A request through the processor; with a label, this written behind it as the library trains it."""
        if self.processor.chat_template is None:  # PaliGemma
            suffix = {} if label is None else {"suffix": label}
            made = self.processor(images=picture, text=f"<image>{question}", **suffix)
            rows = {name: torch.as_tensor(np.stack(value)) for name, value in made.items() if name != "labels"}
            if label is not None:  # the processor ends the suffix
                rows = {n: v[:, :-1] if v.ndim == 2 else v for n, v in rows.items()}
            return rows
        turn = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question}]}
        text = self.processor.apply_chat_template([turn], add_generation_prompt=True)
        if label is not None:
            answer = {"role": "assistant", "content": [{"type": "text", "text": label}]}
            whole = self.processor.apply_chat_template([turn, answer])
            text = whole[: whole.rindex(label) + len(label)]
        return dict(self.processor(images=[picture], text=[text], return_tensors="pt"))

    def write(self, picture: Any, question: str) -> tuple[list[int], list[float]]:
        """Tokens of greedy search, with their log-probabilities."""
        inputs = self.inputs(picture, question)
        config = {"do_sample": False, "max_new_tokens": STEPS, "output_logits": True, "return_dict_in_generate": True}
        with torch.inference_mode():
            made = self.model.generate(**inputs, **config)
        ids = made.sequences[0, inputs["input_ids"].shape[1] :].tolist()
        logs = [float(torch.log_softmax(row[0].float(), 0)[i]) for row, i in zip(made.logits, ids, strict=True)]
        return ids, logs

    def label(self, picture: Any, question: str, label: str) -> tuple[float, float]:
        """Log-probability of a label, summed over its tokens and their mean."""
        before = self.inputs(picture, question)["input_ids"].shape[1]
        inputs = self.inputs(picture, question, label)
        ids = inputs["input_ids"][0]
        with torch.inference_mode():
            logs = torch.log_softmax(self.model(**inputs).logits[0].float(), 1)
        found = [float(logs[place - 1, ids[place]]) for place in range(before, len(ids))]
        return sum(found), sum(found) / len(found)


def requests() -> list[Request]:
    """A wide, a tall and a small picture, each with a question of another length."""
    return [
        Request(str(i), lambda picture=picture: picture, text)  # type: ignore[misc]
        for i, (picture, text) in enumerate(zip(pictures(), QUESTIONS, strict=True))
    ]


def measure_vlm(folder: Path) -> VlmParity:
    """Hold a checkpoint against its library."""
    library, ours, asked = Library(folder), VisionLanguageNetwork(f"hf:{folder}"), requests()
    ours.model.to("cpu")
    options = DecodeOptions(max_new_tokens=STEPS)
    theirs = [library.write(one.open(), one.text) for one in asked]
    batch = ours.write(asked, options)
    alone = [ours.write([one], options)[0] for one in asked]
    same = all(a.ids == ids == b.ids for a, b, (ids, _) in zip(batch, alone, theirs, strict=True))
    scores = [[library.label(one.open(), one.text, label) for label in LABELS] for one in asked]
    wanted = torch.tensor(scores).double().permute(2, 0, 1)
    each = [torch.from_numpy(ours.score([one], LABELS)) for one in asked]
    return VlmParity(
        same,
        max(_apart(a.log_probabilities, logs) for a, (_, logs) in zip(batch, theirs, strict=True)),
        max(_apart(a.log_probabilities, logs) for a, (_, logs) in zip(alone, theirs, strict=True)),
        float((torch.from_numpy(ours.score(asked, LABELS)) - wanted).abs().max()),
        float((torch.cat(each, 1) - wanted).abs().max()),
    )


def _apart(ours: Sequence[float], theirs: Sequence[float]) -> float:
    if len(ours) != len(theirs):
        return float("inf")
    return max(abs(a - b) for a, b in zip(ours, theirs, strict=True))
