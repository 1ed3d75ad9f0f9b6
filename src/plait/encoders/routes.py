"""What a sentence-transformers folder does with each kind of input: the network, how it is asked, what stands behind.

In: a folder with ``modules.json``. Out: a ``Route`` for a kind. A folder that begins with a Transformer has one network
for all kinds, which its ``sentence_bert_config.json`` says how to ask; one that begins with a Router has a list of
modules for each kind. The folder is read as ``SentenceTransformer.encode`` reads it, without that package.
"""

from __future__ import annotations

import ast
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plait.encoders.sentence import MODULES, is_inside, listed_modules

CONFIG = "sentence_bert_config.json"
ROUTERS = ("Router", "Asym")
NETWORKS = ("Transformer", "CLIPModel")  # CLIPModel: folders of before version 5.4
KINDS = ("image", "audio", "text")
POOLED = "sentence_embedding"
PROJECTED = {"method_output_name": "pooler_output"}
CLIP_MODALITIES = {
    kind: {"method": f"get_{kind}_features", **PROJECTED} for kind in ("text", "image")
}  # what a CLIPModel module does, which declares nothing
PLAIN = {"text": {"method": "forward", "method_output_name": "last_hidden_state"}}


@dataclass(frozen=True)
class Route:
    """How one kind of input becomes a vector.

    Attributes:
        network: Folder of the network and its processor.
        method: The method that is called, "forward" or such as "get_image_features".
        output: Names that lead from what it gives to a tensor; empty: it gives the tensor.
        gives_vector: Whether that is one vector an item already, not tokens.
        message: None, or how an item is put into a chat message: "structured" or "flat".
        behind: Type and folder of each module behind the network.
        options: What the folder gives to the processor, by kind of input.
    """

    network: Path
    method: str
    output: tuple[str | int, ...]
    gives_vector: bool
    message: str | None
    behind: tuple[tuple[str, Path], ...]
    options: dict[str, Any]

    @property
    def is_projected(self) -> bool:
        """Whether a method of the network gives the vector itself, as CLIP's do."""
        return self.gives_vector and self.method.startswith("get_")


def routed_kinds(folder: Path) -> tuple[str, ...]:
    """The kinds of input, of pictures, sounds and texts, that a folder makes vectors of; empty without modules.

    Raises:
        ValueError: As :func:`route_of`.
    """
    return tuple(kind for kind in KINDS if route_of(folder, kind) is not None)


def route_of(folder: Path, kind: str) -> Route | None:
    """How a folder makes a vector of a kind of input.

    Returns:
        None where it declares no modules, or none for this kind.

    Raises:
        ValueError: Modules, or a setting of them, that are not followed here.
    """
    listed = listed_modules(folder)
    if not listed:
        return None
    modules = [(str(entry.get("type", "")), folder / str(entry.get("path", ""))) for entry in listed]
    if _name(modules[0][0]) in ROUTERS:
        routed = _routed(modules[0][1], kind)
        if routed is None:
            return None
        modules = routed + modules[1:]
    first, network = modules[0]
    if _name(first) not in NETWORKS:
        raise ValueError(
            f"{str(folder / MODULES)!r} begins with {first!r} for {kind}, which Plait does not follow; expected "
            f"{' or '.join(NETWORKS)}"
        )
    return _asked(network, _name(first) == "CLIPModel", kind, tuple(modules[1:]))


def _asked(network: Path, is_clip: bool, kind: str, behind: tuple[tuple[str, Path], ...]) -> Route | None:
    path = network / CONFIG
    stored = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    task = stored.get("transformer_task", "feature-extraction")
    changed = {**(stored.get("config_kwargs") or stored.get("config_args") or {})}
    changed.pop("trust_remote_code", None)
    if task != "feature-extraction" or changed:
        what = f"the task {task!r}" if task != "feature-extraction" else f"a changed configuration, {changed}"
        raise ValueError(f"{str(path)!r} asks for {what}, which Plait does not follow; expected 'feature-extraction'")
    declared = stored.get("modality_config") or (CLIP_MODALITIES if is_clip else PLAIN)
    if kind not in declared:
        return None
    chat = declared.get("message")
    asked = declared[kind] if chat is None else chat
    output = asked.get("method_output_name")
    names = () if output is None else (output,) if isinstance(output, str) else tuple(output)
    gives = stored.get("module_output_name") or (POOLED if is_clip else "token_embeddings")
    options = {key: value for key, value in (stored.get("processing_kwargs") or {}).items() if isinstance(value, dict)}
    message = None if chat is None else str(chat.get("format", "structured"))
    return Route(network, str(asked["method"]), names, gives == POOLED, message, behind, options)


def _routed(folder: Path, kind: str) -> list[tuple[str, Path]] | None:
    """The modules that a Router sends a kind of input through where no task is named; None where it has none."""
    files = [folder / name for name in ("router_config.json", "config.json")]
    file = next((path for path in files if path.is_file()), None)
    stored = json.loads(file.read_text(encoding="utf-8")) if file is not None else {}
    types, structure = stored.get("types"), stored.get("structure")
    if not isinstance(types, dict) or not isinstance(structure, dict) or not all(map(is_inside, types)):
        raise ValueError(f"the Router in {str(folder)!r} has no router_config.json with types and structure")
    given = stored.get("parameters") or {}
    mapped = {ast.literal_eval(key): value for key, value in (given.get("route_mappings") or {}).items()}
    found = next((mapped[key] for key in ((None, kind), (None, None)) if key in mapped), None)
    if found is None and kind in structure:
        found = kind
    if found is None:
        found = given.get("default_route")
        if found is None and given.get("allow_empty_key", True):
            found = next(iter(structure), None)
        if found not in structure or _asks_other(folder / structure[found][0], types[structure[found][0]], kind):
            return None
    if found not in structure:
        raise ValueError(f"the Router in {str(folder)!r} sends {kind} to {found!r}, which it does not hold")
    return [(str(types[name]), folder / name) for name in structure[found]]


def _asks_other(network: Path, named: str, kind: str) -> bool:
    """Whether the default route's network makes nothing of this kind."""
    return _name(named) not in NETWORKS or _asked(network, _name(named) == "CLIPModel", kind, ()) is None


def _name(named: str) -> str:
    return named.rpartition(".")[2]
