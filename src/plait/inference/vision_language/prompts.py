"""What a vision-language model reads: a picture and a text, worded and cut by the checkpoint's own processor.

Where the processor has a chat template for pictures it words the request, image tokens included, and opens the answer;
without one (PaliGemma) the text stands behind the processor's image token. Pictures reach the processor as they are
and are resized by nobody else.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image

ANSWER = "answer"


class Prompter:
    """Words requests for one checkpoint.

    Args:
        processor: Its processor, which pads on the left.
        most_tokens: Positions that the language model has; None: no limit is known.

    Raises:
        ValueError: It has neither a chat template that takes pictures nor an image token.
    """

    def __init__(self, processor: Any, most_tokens: int | None = None) -> None:
        self.processor, self.tokenizer, self.most_tokens = processor, processor.tokenizer, most_tokens
        self.template = _template(processor)
        self.image_token = getattr(processor, "image_token", None) or getattr(self.tokenizer, "image_token", None)
        if self.template is None and not self.image_token:
            raise ValueError(
                f"{type(processor).__name__} has neither a chat template that takes pictures nor an image token; copy "
                "the checkpoint's chat_template.jinja beside its weights"
            )
        self.opening, self.ending = self._around()

    def batch(self, pictures: Sequence[Image.Image], texts: Sequence[str]) -> dict[str, Any]:
        """Model inputs of some requests, padded on the left: ``input_ids`` [B, S], pixels and what else there is."""
        if self.template is not None:
            made = self.processor.apply_chat_template(
                [[_asked(text, picture)] for picture, text in zip(pictures, texts, strict=True)],
                chat_template=self.template, add_generation_prompt=True, tokenize=True, return_dict=True,
                **_named(self.processor.apply_chat_template, return_tensors="pt", padding=True),
            )  # fmt: skip
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # PaliGemma's makes an array of a tensor
                made = self.processor(
                    images=[[picture] for picture in pictures], text=[f"{self.image_token}{text}" for text in texts],
                    return_tensors="pt", padding=True,
                )  # fmt: skip
        return {name: value for name, value in made.items() if name != "labels"}

    def control_token(self, text: str) -> str | None:
        """The first control token of the model that stands in a text, which would count as one; None: it is plain."""
        added = self.tokenizer.added_tokens_decoder.values()  # those of pictures are special, and not always listed so
        known = {*self.tokenizer.all_special_tokens, *(token.content for token in added if token.special)}
        return next((token for token in sorted(known, key=len, reverse=True) if token and token in text), None)

    def refusal(self, text: str) -> str | None:
        """Why a text cannot be asked: it holds a control token, or has more tokens than the model has positions."""
        if (token := self.control_token(text)) is not None:
            return f"holds {token!r}, a control token of this model, so it cannot be asked"
        if self.most_tokens is None or len(text.encode("utf-8", "replace")) < self.most_tokens:  # a token has a byte
            return None
        count = len(self.tokenizer(text, add_special_tokens=False)["input_ids"])
        if count < self.most_tokens:
            return None
        most = f"{self.most_tokens:,}"
        return f"has {count:,} tokens, and this model takes {most} with its picture, so it cannot be asked"

    def answer_ids(self, answer: str) -> list[int]:
        """Tokens of an answer as it follows a request, without an end.

        Raises:
            ValueError: It has none, or holds a control token of the model.
        """
        if (token := self.control_token(answer)) is not None:
            raise ValueError(
                f"the answer {answer!r} holds {token!r}, a control token of this model; name another answer"
            )
        ids = self.tokenizer(self.opening + answer, add_special_tokens=False)["input_ids"]
        if not answer.strip() or not ids:
            raise ValueError(f"the answer {answer!r} is empty; give a text")
        return [int(number) for number in ids]

    def ending_ids(self, ends: Collection[int]) -> list[int]:
        """Tokens that close an answer: what the template puts behind it up to the first end token, else the first end.

        Args:
            ends: End tokens of the model, one at least.
        """
        ids = [int(number) for number in self.tokenizer(self.ending, add_special_tokens=False)["input_ids"]]
        place = next((place for place, number in enumerate(ids) if number in ends), None)
        return [next(iter(ends))] if place is None else ids[: place + 1]

    def _around(self) -> tuple[str, str]:
        """What the template puts between a request and its answer, such as a space, and behind the answer."""
        if self.template is None:
            return "", ""
        asked = [_asked("x")]
        before = self._rendered(asked, add_generation_prompt=True)
        answered = [*asked, {"role": "assistant", "content": [{"type": "text", "text": ANSWER}]}]
        after = self._rendered(answered, add_generation_prompt=False)
        behind = after[len(before) :] if after.startswith(before) else ""
        opening, answer, ending = behind.partition(ANSWER)
        return (opening, ending) if answer else ("", "")

    def _rendered(self, messages: list[dict[str, Any]], *, add_generation_prompt: bool) -> str:
        return _rendered(self.processor, self.template, messages, add_generation_prompt)


def _named(function: Any, **options: Any) -> dict[str, Any]:
    """Options of a template: by name where it takes them so, else among those that it hands to the processor."""
    taken = inspect.signature(function).parameters
    if "processor_kwargs" not in taken:
        return options
    named = {name: value for name, value in options.items() if name in taken}
    return {**named, "processor_kwargs": {name: value for name, value in options.items() if name not in named}}


def _asked(text: str, picture: Image.Image | None = None) -> dict[str, Any]:
    """One turn of a user: a picture, and a text where there is one."""
    shown: dict[str, Any] = {"type": "image"} if picture is None else {"type": "image", "image": picture}
    return {"role": "user", "content": [shown, *([{"type": "text", "text": text}] if text else [])]}


def _rendered(processor: Any, template: str | None, messages: list[dict[str, Any]], opened: bool) -> str:
    made = processor.apply_chat_template(messages, chat_template=template, add_generation_prompt=opened, tokenize=False)
    return str(made)


def _template(processor: Any) -> str | None:
    """The chat template that says something where a picture stands; that of the tokenizer where it is alone."""
    from jinja2 import TemplateError

    for owner in (processor, processor.tokenizer):
        found = getattr(owner, "chat_template", None)
        found = found.get("default") if isinstance(found, dict) else found
        if not isinstance(found, str):
            continue
        plain = {"role": "user", "content": [{"type": "text", "text": "x"}]}
        try:
            shown = [_rendered(processor, found, [message], True) for message in (_asked("x"), plain)]
        except (TemplateError, TypeError, ValueError, KeyError):
            continue  # it is of texts alone
        if shown[0] != shown[1]:
            return found
    return None
