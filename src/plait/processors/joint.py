"""What the processor of ``transformers`` makes of one kind of input, for a network that takes several kinds.

In: texts, the bytes of image files, or sounds (bytes, a path, or None for a missing one). Out: every tensor that the
library's processor gives, [B, ...], an item at a time and then filled up to the longest of the batch, so that an item
gets the same beside any others. With ``message`` an item is first put into a chat message, as networks want it that
were made of a language model. The processor's files travel with the model folder (``save``).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from plait.data.cell_error import CellError
from plait.data.picture import MAX_PIXELS, decode_image
from plait.processors.clip import check_seconds, read_clip
from plait.processors.description import check_texts, settings_sha256, write_settings
from plait.processors.library_image import GIVEN_ANEW
from plait.processors.text import tokenizer_sha256
from plait.registry import first_line
from plait.weights.quiet import quiet_transformers

FOLDER = "processor"
ARGUMENTS = {"text": "text", "image": "images", "audio": "audio"}  # of a processor of several kinds
MESSAGES = ("structured", "flat")
PACKED = ("pixel_values",)  # patches of one picture [N, P], without a side for the batch
PLACES = "position_ids"  # -1 where there is none


class JointProcessor:
    """A processor of ``transformers``, asked for one kind of input, one item at a time: its tokenizer knows no threads.

    Args:
        folder: Folder with its files.
        kind: "text", "image" or "audio".
        message: None, "structured" or "flat": how an item is put into a chat message.
        prompt: Before every text; in a message it is what the system says.
        options: What the folder gives to the processor: by kind, "common" and "chat_template".
        max_length: Most tokens of a text, special tokens included.
        max_seconds: Longer sounds are cut.
        max_pixels: Larger pictures are refused.
        most_places: Rows and columns of patches that the network knows places for; thinner pictures are refused.

    Attributes:
        num_truncated: How many texts were cut since the processor was made.

    Raises:
        ValueError: No processor for this kind in the folder, or it does not run with the folder's settings.
    """

    def __init__(
        self, folder: str | Path, kind: str, *, message: str | None = None, prompt: str = "",
        options: dict[str, Any] | None = None, max_length: int = 512, max_seconds: float = 30.0,
        max_pixels: int = MAX_PIXELS, most_places: int | None = None,
    ) -> None:  # fmt: skip
        if kind not in ARGUMENTS or message not in (None, *MESSAGES):
            raise ValueError(
                f"expected kind in {', '.join(ARGUMENTS)} and message in {MESSAGES}; got {kind}, {message}"
            )
        self.kind, self.message, self.prompt = kind, message, prompt
        self.options = json.loads(json.dumps(options or {}, sort_keys=True))
        self.library = _read(Path(folder), kind)
        self.tokenizer = getattr(self.library, "tokenizer", self.library if kind == "text" else None)
        limit = getattr(self.tokenizer, "model_max_length", None)
        self.max_length = max_length if limit is None else min(int(max_length), int(limit))
        self.max_seconds, self.max_pixels = check_seconds(max_seconds), int(max_pixels)
        self.most_places = most_places
        self.num_truncated = 0
        self._end: Tensor | None = None
        extractor = getattr(self.library, "feature_extractor", self.library)
        self.rate = int(getattr(extractor, "sampling_rate", 16_000))
        self.library_sha256 = _sha256(self.library, self.tokenizer)

    def process(self, items: list[Any]) -> dict[str, Tensor]:
        """Prepare items of the processor's kind.

        Returns:
            What the network is fed, [B, ...]; zeros fill up, and False or 0 in masks.

        Raises:
            CellError: A picture or a sound is broken or of a size that the processor refuses.
            ValueError: A text is no string.
        """
        if self.kind == "text":
            check_texts(items)
        if not items:
            return {name: tensor[:0] for name, tensor in self.example.items()}
        return self.join([self._numbered(pair) for pair in enumerate(items)])

    @property
    def example(self) -> dict[str, Tensor]:
        """What is made of one item that says nothing."""
        return self._one({"text": "", "image": Image.new("RGB", (32, 32), "grey"), "audio": None}[self.kind])

    def join(self, parts: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        """One batch of items that were processed one by one."""
        joined = {}
        for name in parts[0]:
            tensors = [part[name] for part in parts]
            sides = [max(tensor.shape[d] for tensor in tensors) for d in range(1, tensors[0].ndim)]
            fill: float = -1 if name.endswith(PLACES) else 0
            if name == "input_ids":
                fill = int(self.tokenizer.pad_token_id)
            whole = tensors[0].new_full((len(tensors), *sides), fill)
            for row, tensor in enumerate(tensors):
                whole[(row, *(slice(0, side) for side in tensor.shape[1:]))] = tensor[0]
            joined[name] = whole
        return joined

    def to_json(self) -> dict[str, Any]:
        """The settings; the processor itself is named by its hash and lies in the saved folder."""
        return {
            "type": "joint", "kind": self.kind, "message": self.message, "prompt": self.prompt,
            "options": self.options, "max_length": self.max_length, "max_seconds": self.max_seconds,
            "max_pixels": self.max_pixels, "library_sha256": self.library_sha256,
            **({} if self.most_places is None else {"most_places": self.most_places}),
        }  # fmt: skip

    @property
    def fingerprint(self) -> str:
        """Hash of everything that changes what the network is fed (limits change nothing)."""
        limits = ("max_pixels", "most_places")
        return settings_sha256({key: value for key, value in self.to_json().items() if key not in limits})

    def save(self, folder: str | Path) -> None:
        """Write ``processor.json`` and the processor's files into a folder."""
        write_settings(self.to_json(), folder)
        self.library.save_pretrained(Path(folder) / FOLDER)

    @classmethod
    def from_json(cls, description: dict[str, Any], folder: str | Path | None = None) -> JointProcessor:
        """Rebuild from settings and the folder that ``save`` wrote.

        Raises:
            ValueError: No folder, no processor in it, or another one than described.
        """
        if folder is None:
            raise ValueError("this processor needs its files: pass the folder that processor.save(folder) wrote")
        settings = {key: value for key, value in description.items() if key not in ("type", "library_sha256")}
        made = cls(Path(folder) / FOLDER, **settings)
        if made.library_sha256 != description["library_sha256"]:
            raise ValueError(f"the processor in {str(folder)!r} is not the one this model was made with")
        return made

    def _numbered(self, pair: tuple[int, Any]) -> dict[str, Tensor]:
        position, item = pair
        try:
            return self._one(decode_image(item, self.max_pixels) if self.kind == "image" else item)
        except CellError as error:
            error.add_note(f"{self.kind} {position} of the batch")
            raise

    def _one(self, item: Any) -> dict[str, Tensor]:
        if self.kind == "text":
            item = item.encode("utf-8", "replace").decode("utf-8")  # lone surrogates break tokenizers
            made = self._ask(item, truncation=True, max_length=self.max_length)
            if made["input_ids"].shape[-1] >= self.max_length:
                whole = self._ask(item, truncation=False)["input_ids"]
                self.num_truncated += int(whole.shape[-1] > self.max_length)
                if self.message is not None and whole.shape[-1] > self.max_length:
                    self._close(made["input_ids"])
        else:
            if self.kind == "audio":
                item = np.zeros(self.rate, np.float32) if item is None else read_clip(item, self.rate, self.max_seconds)
            try:
                made = self._ask(item, truncation=False)
            except (ValueError, RuntimeError, TypeError) as error:
                raise CellError(f"refused by the processor of the encoder ({first_line(error)[:120]})") from error
        rows = {name: value for name, value in made.items() if isinstance(value, Tensor)}
        if self.kind == "image" and self.most_places is not None:
            farthest = max((int(t.max()) for name, t in rows.items() if name.endswith(PLACES)), default=0)
            if farthest >= self.most_places:
                raise CellError(
                    f"a picture of {item.width} x {item.height} pixels is too thin for the encoder: it becomes "
                    f"{farthest + 1:,} patches in a line, and the encoder knows {self.most_places:,} places"
                )
        return {name: t[None] if name in PACKED and t.ndim == 2 else t for name, t in rows.items()}

    def _ask(self, item: Any, **text: Any) -> Any:
        """What the library's processor makes of one item; ``text`` are settings of its tokenizer."""
        given = {f"{kind}_kwargs": dict(self.options.get(key, {})) for kind, key in NAMES.items()}
        given["text_kwargs"] = {**text, **given["text_kwargs"]}
        if self.kind == "audio":
            given["audio_kwargs"] = {"padding": True, **given["audio_kwargs"], "sampling_rate": self.rate}
        common = {**self.options.get("common", {}), "return_tensors": "pt"}
        is_whole = hasattr(self.library, "feature_extractor") or hasattr(self.library, "image_processor")
        if self.message is not None:
            return self._ask_in_message(item, given, common, is_whole)
        if is_whole:
            prompted = self.prompt + item if self.kind == "text" else item
            return self.library(**{ARGUMENTS[self.kind]: [prompted]}, **given, common_kwargs=common)
        own = given[f"{ARGUMENTS[self.kind]}_kwargs"]
        return self.library([self.prompt + item if self.kind == "text" else item], **{**own, **common})

    def _ask_in_message(self, item: Any, given: dict[str, Any], common: dict[str, Any], is_whole: bool) -> Any:
        said = [{"role": "user", "content": self._content(self.kind, item)}]
        if self.prompt:
            said.insert(0, {"role": "system", "content": self._content("text", self.prompt)})
        chat = {"tokenize": True, "return_dict": True, **self.options.get("chat_template", {})}
        if not is_whole:
            flat = {**given["text_kwargs"], **common}
            return self.library.apply_chat_template([said], **chat, **flat)
        return self.library.apply_chat_template(
            [said], return_tensors="pt", processor_kwargs={**given, "common_kwargs": common}, **chat
        )

    def _content(self, kind: str, item: Any) -> Any:
        return item if self.message == "flat" else [{"type": kind, kind: item}]

    def _close(self, ids_1T: Tensor) -> None:
        """Put the end of the message back, of which a cut has taken the last tokens."""
        if self._end is None:  # what two texts that differ end with alike
            first, second = (self._ask(text, truncation=False)["input_ids"][0].flip(0) for text in ("0", "1 2 3 4"))
            shared = min(len(first), len(second))
            same = int((first[:shared] == second[:shared]).long().cumprod(0).sum())
            self._end = first[:same].flip(0) if same < shared else first[:0]
        kept = min(len(self._end), ids_1T.shape[1])
        if kept:
            ids_1T[0, -kept:] = self._end[-kept:]


NAMES = {"text": "text", "images": "image", "audio": "audio", "videos": "video"}  # of settings here and there


def _read(folder: Path, kind: str) -> Any:
    from transformers import AutoFeatureExtractor, AutoImageProcessor, AutoProcessor, AutoTokenizer

    path = folder / "processor_config.json"
    stored = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    alone = {"text": AutoTokenizer, "image": AutoImageProcessor, "audio": AutoFeatureExtractor}[kind]
    library = AutoProcessor if "processor_class" in stored else alone
    with quiet_transformers():
        try:
            found = library.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
        except (OSError, ValueError, KeyError, TypeError, ImportError, AttributeError) as error:
            raise ValueError(f"no processor of {kind} in {str(folder)!r}: {first_line(error)[:200]}") from error
    tokenizer = getattr(found, "tokenizer", found if kind == "text" else None)
    if tokenizer is not None and tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    if tokenizer is not None:
        tokenizer.padding_side = "right"
        for name in ("max_length", "pad_to_multiple_of"):  # None, where its file names a padding: sounds would take it
            if tokenizer.init_kwargs.get(name, 0) is None:
                del tokenizer.init_kwargs[name]
    return found


def _sha256(library: Any, tokenizer: Any) -> str:
    """Hash of a processor's settings and of its tokenizer."""
    parts = [getattr(library, name, None) for name in ("image_processor", "feature_extractor")]
    alone = library if tokenizer is None else None
    facts = [
        {key: value for key, value in part.to_dict().items() if key not in GIVEN_ANEW}
        for part in (*parts, alone)
        if part is not None
    ]
    own = {} if library is tokenizer else vars(library)
    numbers = {key: value for key, value in own.items() if isinstance(value, int | str | bool)}
    template = getattr(library, "chat_template", None) or getattr(tokenizer, "chat_template", None)
    return settings_sha256(
        {
            "class": type(library).__name__,
            "parts": json.loads(json.dumps(facts, default=str)),
            "numbers": numbers,
            "tokenizer": None if tokenizer is None else tokenizer_sha256(tokenizer),
            "template": template,
        }  # fmt: skip
    )
