"""Encoders by reference.

``minilm``, ``efficientnet-lite0``, ``hf:``, ``timm:``, ``torchvision:``, ``scratch:``.

``load_encoder`` gives an encoder with its weights and the processor that feeds it; ``build_encoder`` gives
the bare architecture from a JSON config. Weights come from this machine only (``plait weights fetch``
brings them).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plait.encoders.added import is_added
from plait.encoders.base import ENCODERS, Encoder
from plait.encoders.tuning import set_tuning
from plait.registry import Registry, unknown_name
from plait.weights import RECORDS, locate

if TYPE_CHECKING:
    from plait.processors import Processor

KINDS = ("text", "image", "audio")
FROM_FILES = ("hf", "two-tower", "timm", "torchvision")


@dataclass(frozen=True)
class Reading:
    """How an encoder is fed.

    Attributes:
        image_size: Side of images in pixels, or None: the encoder's own.
        max_length: Most tokens of a text.
        audio_seconds: Longest sound in seconds.
        spec_augment: Whether a sound encoder from scratch hides bands of its input while training.
    """

    image_size: int | None = None
    max_length: int = 128
    audio_seconds: float = 30.0
    spec_augment: bool = True


Loader = Callable[[str, str, str, Reading], "tuple[Encoder, Processor]"]
LOADERS: Registry[Loader] = Registry("encoder source", is_open=True)
for _prefix, _name in {
    "hf": "load_hf", "two-tower": "load_joint_side", "timm": "load_timm_image",
    "torchvision": "load_torchvision_image", "scratch": "load_scratch",
}.items():  # fmt: skip
    LOADERS.expect(_prefix, f"plait.encoders.sources:{_name}")


def load_encoder(
    reference: str,
    kind: str,
    image_size: int | None = None,
    max_length: int = 128,
    audio_seconds: float = 30.0,
    spec_augment: bool = True,
) -> tuple[Encoder, Processor]:
    """Load an encoder with its weights, and its processor.

    Pretrained encoders come frozen, scratch ones ready to learn.

    Args:
        reference: ``minilm``, ``e5-small-multilingual``, ``efficientnet-lite0``, ``whisper-tiny-en``,
            ``hf:ID_or_folder``, ``timm:NAME[@FILE]``, ``torchvision:NAME[@FILE]``, ``scratch:text``,
            ``scratch:image`` or ``scratch:audio``.
        kind: "text", "image" or "audio": what the column holds.
        image_size: Side of the images fed, in pixels; below the network's own size the whole picture is
        squashed
            instead of cropped. None means the network's own size.
        max_length: Most tokens of a text.
        audio_seconds: Longest sound in seconds; longer ones are cut.
        spec_augment: Whether ``scratch:audio`` hides bands of its input while training.

    Raises:
        ValueError: Unknown reference, a kind that it does not encode, or weights that are not on this
        machine; the
            message says what to type.
    """
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}; expected one of {', '.join(KINDS)}")
    if reference in RECORDS:
        record = RECORDS.get(reference)
        if record.kind != kind:
            raise ValueError(f"{reference} encodes {record.kind}, not {kind}; choose another encoder for this column")
        prefix, rest = ("timm", record.architecture) if kind == "image" else ("hf", reference)
    else:
        prefix, colon, rest = reference.partition(":")
        if prefix not in LOADERS or (not rest and (colon or not is_added(LOADERS.get(prefix)))):
            known = [*RECORDS.names(), *(f"{n}:NAME" for n in LOADERS.own_names())]
            known += [name for name in LOADERS if LOADERS.origin(name) is not None]
            raise ValueError(unknown_name("encoder", reference, known))
    reading = Reading(image_size, max_length, audio_seconds, spec_augment)
    encoder, processor = LOADERS.get(prefix)(reference, rest, kind, reading)
    set_tuning(encoder, "full" if prefix == "scratch" else "frozen")
    encoder.eval()
    return encoder, processor


def build_encoder(config: dict[str, Any]) -> Encoder:
    """Build the architecture of an encoder from ``encoder.config()``, without reading any weight file."""
    encoder = ENCODERS.get(str(config.get("type")))(config)
    tuning = config.get("tuning", {"mode": "full"})
    options = {key: value for key, value in tuning.items() if key != "mode"}
    set_tuning(encoder, tuning["mode"], **options)
    return encoder.eval()


def files_of(reference: str) -> list[Path] | None:
    """Files and folders that an encoder of ours is read from; None: nobody can say (plug-ins), or there are none.

    Raises:
        ValueError: They are not on this machine.
    """
    if reference in RECORDS:
        return [locate(reference)]
    prefix, _, rest = reference.partition(":")
    if prefix not in FROM_FILES or LOADERS.origin(prefix) is not None:
        return None
    file = rest.partition("@")[2] if prefix in ("timm", "torchvision") else ""
    if file:
        return [Path(file).expanduser()]
    return [locate(f"hf:{rest}" if prefix == "two-tower" else reference)]
