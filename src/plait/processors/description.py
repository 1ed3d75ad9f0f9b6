"""What a processor says about itself.

JSON settings, their hash, one file in a folder. Every processor uses these.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any


def settings_sha256(settings: dict[str, Any]) -> str:
    """Hash of settings that does not depend on the order of their keys.

    Example:
        >>> settings_sha256({"a": 1, "b": 2}) == settings_sha256({"b": 2, "a": 1})
        True
    """
    text = json.dumps(settings, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def write_settings(settings: dict[str, Any], folder: str | Path) -> None:
    """Write ``processor.json`` into a folder, which is made if need be."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    text = json.dumps(settings, indent=1, allow_nan=False, ensure_ascii=False)
    (Path(folder) / "processor.json").write_text(text, encoding="utf-8")


def check_texts(texts: list[str]) -> None:
    """Refuse anything but strings, with the position of the first other value.

    Raises:
        ValueError: A value is not a string, or a single string stands where a list is expected.
    """
    if isinstance(texts, str):
        raise ValueError(f"a list of texts was expected, but one text was given: {texts[:40]!r}; write [text]")
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise ValueError(
                f"text {position} is {type(text).__name__} ({text!r:.60}), expected str; "
                "mark a missing text as absent instead of encoding it"
            )
