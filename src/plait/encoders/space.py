"""What kinds of input a folder's model puts into one space, told by what it does and not by its class.

A transformers model that has ``get_text_features`` and ``get_image_features`` or ``get_audio_features``, or a folder of
sentence-transformers that makes vectors of texts and of something else.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from plait.encoders.checkpoint import read_hf_model
from plait.encoders.dual_encoder import FEATURES, SCALES
from plait.encoders.routes import route_of, routed_kinds
from plait.encoders.sentence import listed_modules

UNLEARNED_SCALE = 20.0  # by which sentence-transformers multiplies cosines in its contrastive losses


@dataclass(frozen=True)
class JointSpace:
    """What the sides of a model have in common.

    Attributes:
        kinds: What it takes beside texts: "image", "audio" or both.
        scale: One over the temperature that the model was trained with. CLAP has two; this is the one by which a sound
            asks for texts.
        bias: Of a model with the sigmoid loss, or None.
        is_scale_learned: Whether the model brings its scale; otherwise it is 20.
        dims: Leading coordinates that the folder says to keep (``truncate_dim``), or None.
    """

    kinds: tuple[str, ...]
    scale: float
    bias: float | None
    is_scale_learned: bool = True
    dims: int | None = None


def read_space(folder: Path) -> JointSpace:
    """Read what a folder's model puts into one space.

    Raises:
        ValueError: It does not take texts and something else.
    """
    if not listed_modules(folder):
        return _of_model(folder)
    kinds = routed_kinds(folder)
    others = tuple(kind for kind in kinds if kind != "text")
    if not others or "text" not in kinds:
        raise ValueError(
            f"the sentence-transformers folder {str(folder)!r} makes vectors of {' and '.join(kinds) or 'nothing'}; a "
            "model that searches across kinds takes texts and pictures or sounds"
        )
    dims = _truncated(folder)
    routes = [route_of(folder, kind) for kind in kinds]
    networks = {route.network for route in routes if route is not None and route.is_projected}
    if len(networks) == 1 and all(route is not None and route.is_projected for route in routes):
        model, _ = read_hf_model(networks.pop())
        if _scale(model) is not None:
            return _with_scale(model, others, dims)
    return JointSpace(others, UNLEARNED_SCALE, None, False, dims)


def _of_model(folder: Path) -> JointSpace:
    model, _ = read_hf_model(folder)
    others = tuple(kind for kind in ("image", "audio") if hasattr(model, FEATURES[kind]))
    if not others or not hasattr(model, FEATURES["text"]):
        given = [name for name in FEATURES.values() if hasattr(model, name)]
        raise ValueError(
            f"the model in {str(folder)!r} ({type(model).__name__}) is no CLIP-like two-tower model: it needs "
            f"get_text_features and get_image_features or get_audio_features, and has {', '.join(given) or 'none'}; a "
            "folder of sentence-transformers says in modules.json how else it makes vectors"
        )
    if _scale(model) is None:
        return JointSpace(others, UNLEARNED_SCALE, None, False)
    return _with_scale(model, others, None)


def _scale(model: Any) -> Tensor | None:
    found = (getattr(model, name, None) for name in SCALES[:2])
    return next((scale for scale in found if isinstance(scale, Tensor)), None)


def _with_scale(model: Any, others: tuple[str, ...], dims: int | None) -> JointSpace:
    scale, bias = _scale(model), getattr(model, "logit_bias", None)
    assert scale is not None
    with torch.no_grad():
        return JointSpace(others, float(scale.exp()), None if bias is None else float(bias), True, dims)


def _truncated(folder: Path) -> int | None:
    path = folder / "config_sentence_transformers.json"
    declared = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    given = declared.get("truncate_dim")
    if given is not None and (isinstance(given, bool) or not isinstance(given, int) or given < 1):
        raise ValueError(f"truncate_dim in {path} is {given!r}; expected a whole number of 1 or more")
    return None if given is None else int(given)


@contextlib.contextmanager
def files_of(folder: Path) -> Iterator[None]:
    """What goes wrong inside is said of a folder whose files cannot be followed.

    Raises:
        ValueError: For errors that come of damaged files, which name none by themselves.
    """
    try:
        yield
    except (KeyError, IndexError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise ValueError(
            f"the files of {str(folder)!r} cannot be followed ({type(error).__name__}: {error})"
        ) from error
    except json.JSONDecodeError as error:
        raise ValueError(f"a JSON file of {str(folder)!r} is damaged: {error}") from error
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in ("safetensors", "safetensors_rust", "huggingface_hub"):
            raise
        raise ValueError(f"a file of {str(folder)!r} is damaged: {error}") from error
