"""The JSON files of a converted folder: sorted keys, so that one source gives one folder, byte by byte."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def write_json(value: dict[str, Any], path: Path) -> None:
    """Write one."""
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")
