"""Text to token ids with the tokenizer of a ``transformers`` model.

In: a list of strings. Out: ``input_ids`` and ``attention_mask`` [B, T], padded on the right to the longest
text of the call. Truncated texts are counted. The tokenizer's files travel with the model folder
(``save``), so a moved folder still loads. One that was read before is read when a text must be encoded
(:mod:`plait.weights.known_files`). No network, no remote code.
"""

from __future__ import annotations

import hashlib
import json
import logging
import tempfile
import threading
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from plait.processors.cleaning import clean_texts, cleaning_of
from plait.processors.description import check_texts, settings_sha256, write_settings
from plait.processors.spelling import SPELLINGS
from plait.registry import first_line
from plait.weights.known_files import KnownFiles

logger = logging.getLogger(__name__)
TOKENIZER_FOLDER = "tokenizer"
_READING = threading.RLock()  # threads of a server may ask at once
COUNTED_AT_ONCE = 1024  # texts, so that a large table is not held twice as ids


class TextProcessor:
    """A tokenizer with a length limit.

    Args:
        folder: Folder with the tokenizer's files.
        max_length: Most tokens of a text, special tokens included; lowered to the tokenizer's own limit.
        prefix: Put before every text, where the encoder was trained so ("passage: "); its tokens count.
        cleaning: What is done to a text first: a name of `plait.processors.cleaning.CLEANINGS`.
        spelling: What the model's own library does to a text: a name of `plait.processors.spelling.SPELLINGS`.

    Attributes:
        num_truncated: How many texts were cut since the processor was made.
    """

    kind = "text"

    def __init__(
        self, folder: str | Path, max_length: int = 128, prefix: str = "", cleaning: str = "none",
        spelling: str = "none",
    ) -> None:  # fmt: skip
        if max_length < 4:
            raise ValueError(f"max_length is {max_length}; expected at least 4 tokens")
        self._set(Path(folder), max_length, prefix, cleaning, spelling)
        limit = min(max_length, int(self.tokenizer.model_max_length))
        if limit < max_length:
            logger.warning("max_length %d lowered to %d, the most this tokenizer's model takes", max_length, limit)
        self.max_length = limit
        self.tokenizer_sha256 = tokenizer_sha256(self.tokenizer)

    def _set(self, folder: Path, max_length: int, prefix: str, cleaning: str, spelling: str) -> None:
        """Everything but the tokenizer and its hash."""
        self.folder, self.max_length, self.prefix = folder, max_length, prefix
        self.cleaning, self.spelling = cleaning, spelling
        self.spell = SPELLINGS.get(spelling)
        self.num_truncated = 0
        self.held: dict[str, bytes] = {}  # files of a tokenizer that is not read yet

    @cached_property
    def tokenizer(self) -> Any:
        """The tokenizer; of a model that was opened, made when it is needed, of the files of then."""
        with _READING:
            if "tokenizer" not in vars(self):  # else another thread was first
                vars(self)["tokenizer"] = self._made_of_held() if self.held else _read_tokenizer(self.folder)
                self.held = {}
        return vars(self)["tokenizer"]

    def _made_of_held(self) -> Any:
        with tempfile.TemporaryDirectory() as place:
            for name, content in self.held.items():
                (Path(place) / name).write_bytes(content)
            read = _read_tokenizer(Path(place))
        read.name_or_path = str(self.folder)
        if tokenizer_sha256(read) != self.tokenizer_sha256:
            raise ValueError(f"the tokenizer in {str(self.folder.parent)!r} reads otherwise than before; open it again")
        return read

    def process(self, texts: list[str]) -> dict[str, Tensor]:
        """Tokenize texts.

        Args:
            texts: One string an item; an empty string is a text (only special tokens).

        Returns:
            ``input_ids`` and ``attention_mask``, int64 [B, T].

        Raises:
            ValueError: A value is not a string.
        """
        check_texts(texts)
        texts, _ = clean_texts(texts, self.cleaning)
        if not texts:
            empty = torch.zeros((0, 1), dtype=torch.int64)
            return {"input_ids": empty, "attention_mask": empty.clone()}
        encoded = self._encode(texts)
        rows: list[list[int]] = encoded["input_ids"]
        if encoded.encodings is not None:
            self.num_truncated += sum(bool(encoding.overflowing) for encoding in encoded.encodings)
        else:
            self.num_truncated += sum(
                len(self.tokenizer(text, verbose=False)["input_ids"]) > self.max_length for text in self._clean(texts)
            )
        width = max(1, max(len(row) for row in rows))
        ids = torch.full((len(rows), width), int(self.tokenizer.pad_token_id), dtype=torch.int64)
        mask = torch.zeros((len(rows), width), dtype=torch.int64)
        for index, row in enumerate(rows):
            ids[index, : len(row)] = torch.tensor(row, dtype=torch.int64)
            mask[index, : len(row)] = 1
        return {"input_ids": ids, "attention_mask": mask}

    def count_tokens(self, texts: list[str]) -> list[int]:
        """Tokens of each text as ``process`` makes them; texts that are cut there are not counted as truncated."""
        counts: list[int] = []
        for start in range(0, len(texts), COUNTED_AT_ONCE):
            encoded = self._encode(clean_texts(texts[start : start + COUNTED_AT_ONCE], self.cleaning)[0])
            counts += [len(row) for row in encoded["input_ids"]]
        return counts

    def unknown_share(self, texts: list[str]) -> float:
        """Share of the tokens of some texts that the vocabulary lacks, in [0, 1]; 0 where it can spell everything."""
        unknown = self.tokenizer.unk_token_id
        if unknown is None or not texts:
            return 0.0
        rows = self._encode(clean_texts(texts, self.cleaning)[0])["input_ids"]
        around = set(self.tokenizer.all_special_ids) - {unknown}
        counted = [token for row in rows for token in row if token not in around]
        return sum(token == unknown for token in counted) / max(1, len(counted))

    def to_json(self) -> dict[str, Any]:
        """The settings; the tokenizer itself is named by its hash and lies in the saved folder."""
        description = {"type": "text", "max_length": self.max_length, "tokenizer_sha256": self.tokenizer_sha256}
        description |= {"prefix": self.prefix} if self.prefix else {}
        description |= {} if self.spelling == "none" else {"spelling": self.spelling}
        return description | ({} if self.cleaning == "none" else {"cleaning": self.cleaning})

    def _encode(self, texts: list[str]) -> Any:
        """Ids of cleaned texts, cut at the most tokens, not filled up."""
        return self.tokenizer(
            self._clean(texts),
            truncation=True,
            max_length=self.max_length,
            padding=False,
            return_token_type_ids=False,
            return_attention_mask=False,
        )

    def _clean(self, texts: list[str]) -> list[str]:
        """With the prefix, without lone surrogates, which break tokenizers."""
        return [self.prefix + self.spell(text).encode("utf-8", "replace").decode("utf-8") for text in texts]

    @property
    def fingerprint(self) -> str:
        """Hash of everything that changes the token ids."""
        return settings_sha256(self.to_json())

    def save(self, folder: str | Path) -> None:
        """Write ``processor.json`` and the tokenizer's files into a folder."""
        write_settings(self.to_json(), folder)
        self.tokenizer.save_pretrained(Path(folder) / TOKENIZER_FOLDER)

    @classmethod
    def from_json(cls, description: dict[str, Any], folder: str | Path | None = None) -> TextProcessor:
        """Rebuild from settings and the folder that ``save`` wrote.

        Raises:
            ValueError: No folder, no tokenizer in it, or another tokenizer than the one described.
        """
        if folder is None:
            raise ValueError("a text processor needs its tokenizer: pass the folder that processor.save(folder) wrote")
        place, wanted = Path(folder) / TOKENIZER_FOLDER, description["tokenizer_sha256"]
        how = (
            int(description["max_length"]), str(description.get("prefix", "")), cleaning_of(description),
            str(description.get("spelling", "none")),
        )  # fmt: skip
        held = _held(place)
        hashes = {name: hashlib.sha256(content).hexdigest() for name, content in held.items()}
        known = KnownFiles("tokenizers", f"{wanted} {how[0]}", lambda: hashes, ("plait", "transformers", "tokenizers"))
        facts = {"tokenizer_sha256": wanted, "max_length": how[0]}
        if "tokenizer.json" in held and known.facts() == facts:
            processor = cls.__new__(cls)
            processor._set(place, *how)
            processor.tokenizer_sha256, processor.held = wanted, held
            return processor
        processor = cls(place, *how)
        if processor.tokenizer_sha256 != wanted:
            raise ValueError(
                f"the tokenizer in {str(folder)!r} is not the one this model was made with "
                f"(sha256 {processor.tokenizer_sha256[:12]}, expected {wanted[:12]})"
            )
        if processor.max_length == how[0] and getattr(processor.tokenizer, "backend_tokenizer", None) is not None:
            known.note(facts, hashes)
        return processor

    @classmethod
    def load(cls, folder: str | Path) -> TextProcessor:
        """Load what ``save`` wrote."""
        return cls.from_json(json.loads((Path(folder) / "processor.json").read_text(encoding="utf-8")), folder)


def padding_of(folder: Path) -> tuple[int, str]:
    """The id that the tokenizer of a folder fills texts up with, and the side, "right" or "left"."""
    tokenizer = _read_tokenizer(folder)
    return int(tokenizer.pad_token_id), str(tokenizer.own_padding_side)


def _held(folder: Path) -> dict[str, bytes]:
    """The files of a folder by name, so that an opened model does not depend on it; {}: it is missing, or not flat."""
    paths = sorted(folder.glob("*")) if folder.is_dir() else []
    return {path.name: path.read_bytes() for path in paths} if all(path.is_file() for path in paths) else {}


def _read_tokenizer(folder: Path) -> Any:
    if not folder.is_dir():
        raise ValueError(f"there is no tokenizer folder {str(folder)!r}; expected a folder with tokenizer.json")
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError, TypeError, ImportError) as error:
        raise ValueError(f"no tokenizer could be read from {str(folder)!r}: {first_line(error)}") from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    if tokenizer.pad_token_id is None:
        raise ValueError(f"the tokenizer in {str(folder)!r} has neither a padding token nor an end token; add one")
    tokenizer.own_padding_side = tokenizer.padding_side
    tokenizer.padding_side = "right"
    return tokenizer


def tokenizer_sha256(tokenizer: Any) -> str:
    """Hash of everything in a tokenizer that changes its ids; cutting and filling up are switched off in it."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:
        backend.no_truncation()
        backend.no_padding()
        core = backend.to_str()
    else:
        core = json.dumps(tokenizer.get_vocab(), sort_keys=True) + type(tokenizer).__name__
    facts = f"{core}|{tokenizer.pad_token_id}|{tokenizer.truncation_side}|{sorted(tokenizer.all_special_ids)}"
    return hashlib.sha256(facts.encode("utf-8")).hexdigest()
