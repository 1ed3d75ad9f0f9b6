"""What a vision-language model is asked, and of which columns: plain values that its folder keeps as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from plait.settings.json_values import JsonObject

QUESTION = "question"
HOLE = "{question}"
DESCRIBE = "Describe the picture in one sentence."
SCORES = ("mean", "sum")
_TARGETS = {"classification": ("label",), "vqa_open": ("answer", "answers"), "captioning": ("caption", "captions")}


@dataclass(frozen=True)
class Asking:
    """How rows become requests.

    Attributes:
        image: Column of pictures.
        question: Column of questions; None: "question", where a table has it.
        target: Column of true answers; None: "label", "answer" or "caption", as the task is.
        prompt: What is asked of every picture, ``{question}`` standing for the row's question; None: the question as
            it stands, else for a description, or which of the classes it is.
        classes: The only answers, chosen by their scores; none: the model writes.
        score: What an answer scores: the "mean" log-probability of its tokens, or their "sum".
        max_tokens: Longest text, in tokens.

    Raises:
        ValueError: A value that cannot be, or values that do not go together.
    """

    image: str = "image"
    question: str | None = None
    target: str | None = None
    prompt: str | None = None
    classes: tuple[str, ...] = ()
    score: str = "mean"
    max_tokens: int = 64

    def __post_init__(self) -> None:
        if self.score not in SCORES:
            raise ValueError(f"score is {self.score!r}; expected 'mean' (over its tokens) or 'sum'")
        if isinstance(self.max_tokens, bool) or not isinstance(self.max_tokens, int) or self.max_tokens < 1:
            raise ValueError(f"max_tokens must be a whole number, 1 or more; got {self.max_tokens!r}")
        if len(self.classes) == 1 or len(set(self.classes)) < len(self.classes) or "" in map(str.strip, self.classes):
            raise ValueError(
                f"classes are {', '.join(map(repr, self.classes))}; expected two or more different names, none empty"
            )
        if self.prompt is not None and not self.prompt.strip():
            raise ValueError("prompt is empty; leave it out, or write what to ask of every picture")
        if self.question is not None and self.prompt is not None and HOLE not in self.prompt:
            raise ValueError(
                f"prompt {self.prompt!r} has no {HOLE}, so the column {self.question!r} would not be read; put "
                f"{HOLE} where the question belongs"
            )
        if len({self.image, self.question, self.target} - {None}) < sum(
            one is not None for one in (self.image, self.question, self.target)
        ):
            raise ValueError(f"image, question and target must be different columns; image is {self.image!r}")

    def question_of(self, columns: list[str]) -> str | None:
        """The column of questions of a table with these columns; None where none is read."""
        if self.question is not None:
            return self.question
        reads = self.prompt is None or HOLE in self.prompt
        return QUESTION if reads and (QUESTION in columns or self.prompt is not None) else None

    def text(self, question: str | None) -> str:
        """What is asked about a picture."""
        if self.prompt is not None:
            return self.prompt.replace(HOLE, question or "")
        if question is not None:
            return question
        if self.classes:
            return f"Which of these is it: {', '.join(self.classes[:-1])} or {self.classes[-1]}?"
        return DESCRIBE

    def task_of(self, columns: list[str]) -> str:
        """Name of the task of a table with these columns."""
        if self.classes:
            return "classification"
        return "captioning" if self.question_of(columns) is None else "vqa_open"

    def target_of(self, columns: list[str]) -> str:
        """The column of true answers of a table with these columns."""
        if self.target is not None:
            return self.target
        usual = _TARGETS[self.task_of(columns)]
        return next((name for name in usual if name in columns), usual[0])

    def to_json(self) -> dict[str, Any]:
        """As a folder keeps it."""
        return {**asdict(self), "classes": list(self.classes)}

    @classmethod
    def from_json(cls, values: Any) -> Asking:
        """What ``to_json`` gave.

        Raises:
            ValueError: A value is missing or cannot be.
        """
        of = JsonObject("vlm.json", values, "asking")
        texts = {
            key: of.need(key, lambda v: v is None or isinstance(v, str), "text, or null")
            for key in ("question", "target", "prompt")
        }
        image = of.need("image", lambda v: isinstance(v, str) and bool(v), "the name of a column")
        classes = of.need(
            "classes", lambda v: isinstance(v, list) and all(isinstance(c, str) for c in v), "a list of texts"
        )
        score = of.need("score", lambda v: isinstance(v, str), "text")
        most = of.need("max_tokens", lambda v: isinstance(v, int), "a whole number")
        return cls(image=image, classes=tuple(classes), score=score, max_tokens=most, **texts)
