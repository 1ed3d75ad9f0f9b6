"""What ``processor.json`` must hold, by the type of processor, so that an edited file is refused when it is read."""

from __future__ import annotations

from typing import Any

from plait.settings.json_values import (
    JsonObject,
    Test,
    check_counts,
    is_count,
    is_mapping,
    is_name,
    is_number,
    is_positive,
    is_size,
    or_none,
)  # fmt: skip

LARGEST_PIXEL = 1e4  # pixels are at most 1 before they are normalised; means and deviations beyond make only infinities


def _is_pixels(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(is_number(v) and abs(v) < LARGEST_PIXEL for v in value)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(v, str) for v in value)


COUNT: tuple[Test, str] = (is_count, "a whole number above 0")
SIZE: tuple[Test, str] = (is_size, "a whole number above 0")
NUMBER: tuple[Test, str] = (is_number, "a number")
POSITIVE: tuple[Test, str] = (is_positive, "a number above 0")
NAME: tuple[Test, str] = (is_name, "text")
PIXELS: tuple[Test, str] = (_is_pixels, "three numbers")
SETTINGS: tuple[Test, str] = (is_mapping, "settings")
ROWS: tuple[Test, str] = (lambda v: isinstance(v, list), "a list")

NEEDED: dict[str, dict[str, tuple[Test, str]]] = {
    "text": {"max_length": COUNT, "tokenizer_sha256": NAME},
    "hashed-text": {"num_buckets": COUNT, "max_length": COUNT},
    "image": {
        "size": COUNT, "mean": PIXELS, "std": PIXELS, "interpolation": NAME, "crop_pct": POSITIVE, "mode": NAME,
        "max_pixels": SIZE,
    },
    "library-image": {"settings": SETTINGS, "max_pixels": SIZE},
    "pillow-image": {
        "height": COUNT, "width": COUNT, "mean": PIXELS, "std": PIXELS, "interpolation": NAME, "mode": NAME,
        "max_pixels": SIZE,
    },
    "joint": {
        "kind": NAME, "prompt": (lambda v: isinstance(v, str), "text"), "options": SETTINGS, "max_length": COUNT,
        "max_seconds": POSITIVE, "max_pixels": SIZE, "library_sha256": NAME,
    },
    "audio": {
        "num_mels": COUNT, "max_seconds": POSITIVE,
        "pad_frames": (or_none(is_count), "a whole number above 0, or null"),
    },
    "waveform": {"extractor": SETTINGS, "max_seconds": POSITIVE, "min_samples": COUNT},
    "vector": {"width": COUNT},
    "tabular": {"numeric": ROWS, "categorical": ROWS},
}  # fmt: skip


def check_description(file: str, description: Any) -> None:
    """Check the description of a processor; of a type that is not listed here, that it is an object.

    Args:
        file: The name to call the file by.
        description: Its parsed values.

    Raises:
        ValueError: A value is missing, or of the wrong type or range.
    """
    of = JsonObject(file, description)
    kind = of.need("type", is_name, "the type of a processor")
    for key, (test, what) in NEEDED.get(kind, {}).items():
        of.need(key, test, what)
    of.may("prefix", lambda v: isinstance(v, str), "text")
    of.may("cleaning", *NAME)
    of.may("flip_channels", lambda v: isinstance(v, bool), "true or false")
    if kind == "tabular":
        for number, one in enumerate(description["numeric"]):
            entry = JsonObject(file, one, f"numeric[{number}]")
            entry.need("name", *NAME)
            entry.need("mean", *NUMBER)
            entry.need("spread", *POSITIVE)
        for number, one in enumerate(description["categorical"]):
            entry = JsonObject(file, one, f"categorical[{number}]")
            entry.need("name", *NAME)
            entry.need("values", _is_texts, "a list of texts")
    for key in ("settings", "extractor"):
        check_counts(file, description.get(key), key)
