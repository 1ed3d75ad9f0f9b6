"""How encoders of each source are read, and the processors that feed them: ``hf:``, ``timm:``, ``scratch:`` and so on.

Imported by the first encoder that is read (:mod:`plait.encoders.load`), with the encoders and processors of all kinds.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from plait.data.memory import require_weights
from plait.encoders.audio import audio_processor, load_hf_audio
from plait.encoders.base import Encoder
from plait.encoders.dual_encoder import load_dual_encoder
from plait.encoders.image import (
    load_timm,
    load_torchvision,
    timm_settings,
    torchvision_settings,
)
from plait.encoders.joint import load_joint
from plait.encoders.load import Reading
from plait.encoders.probe import probed_widths, refuse_neighbours
from plait.encoders.routes import route_of
from plait.encoders.scratch import ScratchImageEncoder, ScratchTextEncoder
from plait.encoders.scratch_audio import ScratchAudioEncoder
from plait.encoders.sentence import declared_prefix, follow, listed_modules, network_folder
from plait.encoders.text import load_hf_text, position_limit
from plait.encoders.vision import load_hf_image, takes_patches
from plait.processors import (
    AudioProcessor,
    HashedTextProcessor,
    ImageProcessor,
    PillowImageProcessor,
    Processor,
    TextProcessor,
)
from plait.processors.library_image import read_library_processor
from plait.weights import WEIGHT_FILE, as_safetensors, locate
from plait.weights.converters.from_open_clip import PROCESSORS_FILE
from plait.weights.torchvision_names import check_torchvision

USUAL_SIZE = 224
SCRATCH_SIZE = 64
IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}  # of folders without a processor file


def load_hf(reference: str, rest: str, kind: str, reading: Reading) -> tuple[Encoder, Processor]:
    """``hf:ID_or_folder``, and names of records."""
    folder = locate(reference)
    require_weights(folder.glob("*.safetensors"), reference)
    return HF_LOADERS[kind](folder, reference, reading)


def _hf_text(folder: Path, reference: str, reading: Reading) -> tuple[Encoder, Processor]:
    tokens = network_folder(folder)
    text = load_hf_text(folder, reference)
    limit = position_limit(text)
    length = reading.max_length if limit is None else min(reading.max_length, limit)
    return text, TextProcessor(tokens, length, declared_prefix(folder))


def _hf_image(folder: Path, reference: str, reading: Reading) -> tuple[Encoder, Processor]:
    vision = load_hf_image(folder, reference)
    return vision, _hf_image_processor(folder, vision, reading)


def _hf_audio(folder: Path, reference: str, reading: Reading) -> tuple[Encoder, Processor]:
    return load_hf_audio(folder, reference, reading.audio_seconds)


def load_joint_side(reference: str, rest: str, kind: str, reading: Reading) -> tuple[Encoder, Processor]:
    """``two-tower:ID_or_folder``: one side of a joint model."""
    encoder, processor = _load_side(reference, rest, kind, reading)
    if kind == "text":
        made: Any = processor
        refuse_neighbours(encoder, *(made.process(texts) for texts in (["a"], ["a", "a b c d e f g h"])))
    return encoder, processor


def _load_side(reference: str, rest: str, kind: str, reading: Reading) -> tuple[Encoder, Processor]:
    folder = locate(f"hf:{rest}")
    require_weights(folder.rglob("*.safetensors"), reference)
    route = route_of(folder, kind)
    if route is None:
        if listed_modules(folder):
            raise ValueError(f"{reference} makes no vectors of {kind}: its modules.json names nothing for it")
        tower, network = load_dual_encoder(folder, reference, kind), folder
    elif not route.is_projected:
        return load_joint(
            folder, route, reference, kind, prompt=declared_prefix(folder), max_length=reading.max_length,
            max_seconds=reading.audio_seconds,
        )  # fmt: skip
    else:
        _, steps, weights = follow(folder, list(route.behind), None)
        tower, network = load_dual_encoder(route.network, reference, kind, steps, weights), route.network
    declared = _declared_processors(network)
    if kind == "text":
        limit = int(tower.model.config.text_config.max_position_embeddings)  # type: ignore[union-attr, arg-type]
        spelling = declared.get("text", {}).get("spelling", "none")
        prefix = declared_prefix(folder)
        return tower, TextProcessor(network, min(reading.max_length, limit), prefix, spelling=spelling)
    if kind == "audio":
        return tower, audio_processor(network, tower.model.audio_model, reading.audio_seconds)  # type: ignore[arg-type]
    if "image" in declared:
        own = PillowImageProcessor.from_json(declared["image"])
        if reading.image_size in (None, own.side):
            return tower, own
        return tower, ImageProcessor(reading.image_size, mode="squash", **own.statistics)  # type: ignore[arg-type]
    return tower, _hf_image_processor(network, tower, reading)


def _declared_processors(folder: Path) -> dict[str, Any]:
    """What a converted folder says about its inputs."""
    path = folder / PROCESSORS_FILE
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def load_timm_image(reference: str, rest: str, kind: str, reading: Reading) -> tuple[Encoder, Processor]:
    """``timm:NAME[@FILE]``."""
    import timm

    image_size = reading.image_size
    name, _, file = rest.partition("@")
    _image_only(reference, kind)
    if not timm.is_model(name):
        near = ", ".join(timm.list_models(f"*{name.split('.')[0][:8]}*")[:5]) or "see timm.list_models()"
        raise ValueError(f"timm knows no model {name!r}; near: {near}")
    settings = timm_settings(name)
    path = as_safetensors(Path(file).expanduser()) if file else _one_file(locate(reference))
    resizes = image_size not in (None, settings["size"]) and bool(timm.get_pretrained_cfg(name).fixed_input_size)
    try:
        encoder = load_timm(name, reference, path, resizes)
    except TypeError as error:
        raise ValueError(f"timm:{name} takes images of {settings['size']} px only; leave image_size out") from error
    return encoder, _image_processor(settings, image_size)


def load_torchvision_image(reference: str, rest: str, kind: str, reading: Reading) -> tuple[Encoder, Processor]:
    """``torchvision:NAME[@FILE]``."""
    name, _, file = rest.partition("@")
    _image_only(reference, kind)
    check_torchvision(name)
    path = as_safetensors(Path(file).expanduser()) if file else _one_file(locate(reference))
    return load_torchvision(name, reference, path), _image_processor(torchvision_settings(name), reading.image_size)


def load_scratch(reference: str, rest: str, kind: str, reading: Reading) -> tuple[Encoder, Processor]:
    """``scratch:text``, ``scratch:image`` or ``scratch:audio``."""
    if rest != kind:
        raise ValueError(f"{reference!r} does not encode {kind}; type scratch:{kind}")
    return SCRATCH_LOADERS[kind](reading)


def _scratch_text(reading: Reading) -> tuple[Encoder, Processor]:
    hashed = HashedTextProcessor(max_length=reading.max_length)
    return ScratchTextEncoder(hashed.num_buckets, reading.max_length), hashed


def _scratch_image(reading: Reading) -> tuple[Encoder, Processor]:
    size = SCRATCH_SIZE if reading.image_size is None else reading.image_size
    return ScratchImageEncoder(), ImageProcessor(size, mode="squash")


def _scratch_audio(reading: Reading) -> tuple[Encoder, Processor]:
    processor = AudioProcessor(max_seconds=reading.audio_seconds)
    return ScratchAudioEncoder(processor.num_mels, spec_augment=reading.spec_augment), processor


def _image_processor(settings: dict[str, Any], image_size: int | None) -> ImageProcessor:
    if image_size is None:
        return ImageProcessor(**settings)
    return ImageProcessor(**{**settings, "size": image_size, "mode": "squash"})


def _hf_image_processor(folder: Path, encoder: Encoder, reading: Reading) -> Processor:
    """The folder's own processor; for another size its statistics, and the whole picture squashed."""
    library = read_library_processor(folder)
    if takes_patches(encoder):
        if library is None or reading.image_size is not None:
            raise ValueError(
                f"{encoder.reference} sees patches of any aspect: it needs the processor file of its folder, and no "
                "image size (encoders.image_size)"
            )
        probed_widths(encoder, **library.example)
        return library
    if library is None:
        network: Any = encoder.model
        size = getattr(getattr(network.config, "vision_config", network.config), "image_size", None) or USUAL_SIZE
        side = int(size[0]) if isinstance(size, list | tuple) else int(size)
        return _image_processor({"size": side, **IMAGENET}, reading.image_size)
    if reading.image_size is None or library.side == reading.image_size:
        probed_widths(encoder, **library.example)
        return library
    return ImageProcessor(reading.image_size, mode="squash", **library.statistics)


def _image_only(reference: str, kind: str) -> None:
    if kind != "image":
        near = {"text": "a text encoder such as minilm", "audio": "a sound encoder such as scratch:audio"}
        raise ValueError(f"{reference} encodes images, not {kind}; choose {near.get(kind, 'another one')}")


def _one_file(folder: Path) -> Path:
    path = folder / WEIGHT_FILE
    return path if path.is_file() else sorted(folder.glob("*.safetensors"))[0]


HF_LOADERS: dict[str, Callable[[Path, str, Reading], tuple[Encoder, Processor]]] = {
    "text": _hf_text, "image": _hf_image, "audio": _hf_audio,
}  # fmt: skip
SCRATCH_LOADERS: dict[str, Callable[[Reading], tuple[Encoder, Processor]]] = {
    "text": _scratch_text, "image": _scratch_image, "audio": _scratch_audio,
}  # fmt: skip
