"""What a tuned vision-language model keeps in its folder beside ``vlm.json``: LoRA weights, and the rows it has seen.

The weights are those of the library ``peft``, whose ``PeftModel.from_pretrained`` reads this folder as well:
``adapter_model.safetensors`` and ``adapter_config.json``. ``vlm.json`` says what is in them and their sha256.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from plait.data.schema import Schema
from plait.files import file_sha256
from plait.inference.vision_language import LoraShape, LoraWeights
from plait.inference.vision_language.adapter import lora_config
from plait.settings.json_values import JsonObject
from plait.training.seen_rows import FILE as SEEN_FILE
from plait.training.seen_rows import SeenInputs

WEIGHTS_FILE, CONFIG_FILE = "adapter_model.safetensors", "adapter_config.json"
TUNED_FILES = (WEIGHTS_FILE, CONFIG_FILE, SEEN_FILE)


@dataclass(frozen=True)
class Tuning:
    """What was learned, and of which rows.

    Attributes:
        stored: The LoRA weights.
        schema: Columns of the training table.
        seed: Of the run, by which its rows were split.
        facts: Of the training table: ``rows``, ``fingerprint`` and ``split_fingerprint``.
        seen: Hashes of the rows that trained it or chose its epoch.
    """

    stored: LoraWeights
    schema: Schema
    seed: int
    facts: dict[str, Any]
    seen: SeenInputs

    def write(self, folder: Path, reference: str) -> dict[str, Any]:
        """Write the files, and return what ``vlm.json`` says of them.

        Args:
            folder: The folder, which exists.
            reference: ``hf:ID_or_folder`` of the checkpoint, for ``peft``.
        """
        shape = self.stored.shape
        save_file({k: v.contiguous() for k, v in self.stored.tensors.items()}, folder / WEIGHTS_FILE)
        config = lora_config(shape, reference.removeprefix("hf:"))
        config.inference_mode = True
        config.save_pretrained(str(folder))
        self.seen.save(folder / SEEN_FILE)
        return {
            "rank": shape.rank, "targets": list(shape.targets), "seed": self.seed, "facts": self.facts,
            "schema": self.schema.to_json(), "files": {name: file_sha256(folder / name) for name in TUNED_FILES},
        }  # fmt: skip

    @classmethod
    def read(cls, folder: Path, values: Any) -> Tuning:
        """What ``write`` wrote.

        Args:
            folder: Where the files lie.
            values: What ``vlm.json`` says of them.

        Raises:
            ValueError: A file is missing, or is not the one that was written.
        """
        of = JsonObject("vlm.json", values, "tuning")
        rank = of.need("rank", lambda v: isinstance(v, int) and v > 0, "a whole number, 1 or more")
        names = of.need("targets", lambda v: isinstance(v, list) and all(isinstance(n, str) for n in v), "names")
        seed = of.need("seed", lambda v: isinstance(v, int), "a whole number")
        facts = of.need("facts", lambda v: isinstance(v, dict), "facts of the training table")
        files = of.need("files", lambda v: isinstance(v, dict) and set(v) == {*TUNED_FILES}, "the sha256 of its files")
        for name, known in files.items():
            if not (folder / name).is_file() or file_sha256(folder / name) != known:
                what = "is damaged" if (folder / name).is_file() else "is missing"
                raise ValueError(f"{folder / name} {what}; copy the whole folder again, or fit the model anew")
        try:
            tensors = load_file(folder / WEIGHTS_FILE)
        except SafetensorError as error:
            raise ValueError(f"{folder / WEIGHTS_FILE} is no safetensors file: {error}") from error
        schema = Schema.from_json(of.need("schema", lambda v: isinstance(v, dict), "columns of the training table"))
        stored = LoraWeights(LoraShape(rank, tuple(names)), tensors)
        return cls(stored, schema, seed, json.loads(json.dumps(facts)), SeenInputs.load(folder / SEEN_FILE))
