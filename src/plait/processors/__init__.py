"""Processors turn the values of a column into tensors.

Text becomes token ids, image bytes become pixels, sounds become spectrograms, the cells of a row become numbers.

Each has ``process(values) -> dict of tensors``, a ``fingerprint`` of its settings, ``to_json`` and
``from_json``, and ``save(folder)``. ``processor_from_json`` and ``load_processor`` give back any of them.
They know no network.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plait.data.picture import decode_image
from plait.files import require_regular_file
from plait.processors.checks import check_description
from plait.registry import Registry, first_line, late_names
from plait.settings.json_values import check_same

if TYPE_CHECKING:
    from plait.processors.audio import AudioProcessor
    from plait.processors.hashed import HashedTextProcessor
    from plait.processors.image import ImageProcessor
    from plait.processors.joint import JointProcessor
    from plait.processors.library_image import LibraryImageProcessor
    from plait.processors.pillow_image import PillowImageProcessor
    from plait.processors.processor import Processor
    from plait.processors.tabular import TabularProcessor
    from plait.processors.text import TextProcessor
    from plait.processors.vector import VectorProcessor
    from plait.processors.waveform import WaveformProcessor

PROCESSORS: Registry[type[Processor]] = Registry("processor type")
PROCESSORS.expect("text", "plait.processors.text:TextProcessor")
PROCESSORS.expect("hashed-text", "plait.processors.hashed:HashedTextProcessor")
PROCESSORS.expect("image", "plait.processors.image:ImageProcessor")
PROCESSORS.expect("library-image", "plait.processors.library_image:LibraryImageProcessor")
PROCESSORS.expect("pillow-image", "plait.processors.pillow_image:PillowImageProcessor")
PROCESSORS.expect("joint", "plait.processors.joint:JointProcessor")
PROCESSORS.expect("audio", "plait.processors.audio:AudioProcessor")
PROCESSORS.expect("waveform", "plait.processors.waveform:WaveformProcessor")
PROCESSORS.expect("vector", "plait.processors.vector:VectorProcessor")
PROCESSORS.expect("tabular", "plait.processors.tabular:TabularProcessor")


def processor_from_json(description: dict[str, Any], folder: str | Path | None = None) -> Processor:
    """Rebuild a processor from its description.

    Args:
        description: What ``to_json`` returned.
        folder: The folder that ``save`` wrote; only a processor with files of its own (a tokenizer) needs it.

    Raises:
        ValueError: Unknown type, or the tokenizer's files are missing or others than those described.
    """
    kind = PROCESSORS.get(str(description.get("type")))
    if description["type"] in ("text", "joint"):
        return kind.from_json(description, folder)  # type: ignore[call-arg]
    return kind.from_json(description)  # type: ignore[call-arg]


def load_processor(folder: str | Path) -> Processor:
    """Load what ``processor.save(folder)`` wrote.

    Raises:
        ValueError: There is none, or its file is damaged: the message names it.
    """
    path = Path(folder) / "processor.json"
    if not path.exists():
        raise ValueError(
            f"{str(folder)!r} holds no processor.json; expected a folder that processor.save(folder) wrote"
        )
    require_regular_file(path, "processor's file")
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
        check_description(path.name, description)
        processor = processor_from_json(description, folder)
        check_same(path.name, description, processor.to_json())
    except Exception as error:  # a constructor that gets values of the wrong type fails in any way
        reason = first_line(error)
        raise ValueError(f"{path} cannot be used: {reason.removeprefix(f'{path.name}: ')}") from error
    return processor


__all__ = [
    "PROCESSORS",
    "AudioProcessor",
    "HashedTextProcessor",
    "ImageProcessor",
    "JointProcessor",
    "LibraryImageProcessor",
    "PillowImageProcessor",
    "Processor",
    "TabularProcessor",
    "TextProcessor",
    "VectorProcessor",
    "WaveformProcessor",
    "decode_image",
    "load_processor",
    "processor_from_json",
]

__getattr__, __dir__ = late_names(
    __name__,
    {
        "AudioProcessor": "audio",
        "HashedTextProcessor": "hashed",
        "ImageProcessor": "image",
        "JointProcessor": "joint",
        "LibraryImageProcessor": "library_image",
        "PillowImageProcessor": "pillow_image",
        "Processor": "processor",
        "TabularProcessor": "tabular",
        "TextProcessor": "text",
        "VectorProcessor": "vector",
        "WaveformProcessor": "waveform",
    },
)
