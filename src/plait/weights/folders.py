"""What makes a folder one of a saved model, by its files alone.

Three layouts: transformers (``config.json`` and weights beside it), sentence-transformers (``modules.json`` and weights
in it or below it) and open_clip (``open_clip_config.json`` and ``open_clip_model.safetensors``).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

OPEN_CLIP_CONFIG = "open_clip_config.json"
OPEN_CLIP_WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "model.safetensors")
PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt")


def is_model_folder(folder: Path) -> bool:
    """Whether a folder holds a configuration and safetensors of one of the layouts."""
    if (folder / "config.json").is_file() and any(folder.glob("*.safetensors")):
        return True
    if (folder / "modules.json").is_file() and any(folder.glob("*/*.safetensors")):
        return True
    return is_open_clip(folder)


def module_folders(folder: Path) -> list[str]:
    """The folders below a sentence-transformers folder in which its modules lie, a Router's too, as relative paths."""
    found = []
    for entry in _listed(folder / "modules.json", list):
        name = str(entry.get("path", "")) if isinstance(entry, dict) else ""
        routed = _listed(folder / name / "router_config.json", dict) or _listed(folder / name / "config.json", dict)
        routes = routed.get("types") if isinstance(routed.get("types"), dict) else {}
        found += [name, *(f"{name}/{one}".lstrip("/") for one in routes)]
    inside = [name for name in found if name and not Path(name).is_absolute() and ".." not in Path(name).parts]
    return list(dict.fromkeys(name.strip("/") for name in inside if "\\" not in name))


def _listed(path: Path, kind: type) -> Any:
    """What a JSON file holds, or nothing where it holds no such thing."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return kind()
    return found if isinstance(found, kind) else kind()


def is_open_clip(folder: Path) -> bool:
    """Whether a folder is open_clip's alone, so that ``transformers`` cannot read it."""
    has_own = (folder / "config.json").is_file() or not (folder / OPEN_CLIP_CONFIG).is_file()
    return not has_own and open_clip_weights(folder) is not None


def open_clip_weights(folder: Path) -> Path | None:
    """The weight file of an open_clip folder, or None."""
    return next((folder / name for name in OPEN_CLIP_WEIGHTS if (folder / name).is_file()), None)


def not_a_model(folder: Path) -> str:
    """Why a folder is no saved model, and what to do where its weights are only pickled."""
    pickled = sorted(path for pattern in PICKLED for path in folder.glob(pattern))
    if not pickled:
        return f"the folder {str(folder)!r} is not a saved model: expected config.json and *.safetensors in it"
    name = OPEN_CLIP_WEIGHTS[0] if (folder / OPEN_CLIP_CONFIG).is_file() else "model.safetensors"
    return (
        f"the folder {str(folder)!r} holds its weights as {pickled[0].name} only, which is never unpickled here. "
        'Convert it once where you trust it: python -c "import sys, torch; from safetensors.torch import save_file; '
        "t = torch.load(sys.argv[1], weights_only=True, map_location='cpu'); t = t.get('state_dict', t); "
        f"save_file({{k.removeprefix('module.'): v.contiguous().clone() for k, v in t.items()}}, '{name}')\" "
        f"{pickled[0].name}"
    )
