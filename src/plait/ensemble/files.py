"""An ensemble in a model folder: JSON and safetensors; networks that lie there already are named by place.

``ensemble.json`` holds members, patterns and weights; ``members.safetensors`` the tensors of members that are no
networks; ``networks/NN`` the networks that the folder has nowhere else.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from plait.ensemble.averaging import Average
from plait.ensemble.base import Bag, Member, MemberFacts
from plait.ensemble.ensemble import Ensemble
from plait.ensemble.file_checks import check_ensemble
from plait.ensemble.linear import LinearMember
from plait.ensemble.network import NetworkMember
from plait.ensemble.ngrams import NgramMember
from plait.ensemble.prototypes import PrototypeMember
from plait.ensemble.trees import TreeMember
from plait.inputs.inputs import Inputs
from plait.inputs.modality_kinds import MODALITY_KINDS
from plait.model import PlaitModel
from plait.registry import Registry
from plait.tasks import LabelState, Task

FOLDER, FACTS, TENSORS = "ensemble", "ensemble.json", "members.safetensors"
MEMBERS: Registry[Any] = Registry("kind of member")
MEMBERS.add("linear", LinearMember)
MEMBERS.add("prototypes", PrototypeMember)
MEMBERS.add("ngrams", NgramMember)
MEMBERS.add("trees", TreeMember)


def save_ensemble(ensemble: Ensemble, folder: Path, places: dict[int, str]) -> None:
    """Write it.

    Args:
        ensemble: The ensemble.
        folder: The model folder.
        places: Folders of networks that are there already, by ``id`` of the network, relative to the model folder.
    """
    own = folder / FOLDER
    own.mkdir(parents=True, exist_ok=True)
    tensors: dict[str, torch.Tensor] = {}
    members = []
    for number, (member, facts) in enumerate(zip(ensemble.listed, ensemble.facts, strict=True)):
        models: list[dict[str, Any]] = []
        for part, model in enumerate(member.parts):
            key = f"{number:02d}.{part}"
            if isinstance(model, NetworkMember):
                place = places.get(id(model.network))
                if place is None:
                    place = f"{FOLDER}/networks/{number:02d}-{part}"
                    model.network.save_pretrained(folder / place)
                models.append({"network": place, "uses": list(model.uses)})
            else:
                models.append({"config": model.config()})
                tensors |= {f"{key}.{name}": value.contiguous() for name, value in model.state_dict().items()}
        members.append({**facts.to_json(), "models": models})
    plain = {
        "modalities": list(ensemble.names), "patterns": [list(p) for p in ensemble.patterns],
        "weights": ensemble.weights_PK.tolist(), "temperatures": ensemble.temperature_P.tolist(),
        "best": ensemble.best_P.tolist(), "members": members,
        "nothing": None if ensemble.nothing is None else ensemble.nothing.tolist(),
    }  # fmt: skip
    (own / FACTS).write_text(json.dumps(plain, indent=1, ensure_ascii=False), encoding="utf-8")
    save_file(tensors, own / TENSORS)


def load_ensemble(
    folder: Path, networks: Callable[[str], PlaitModel], inputs: Inputs, task: Task, labels: LabelState
) -> Ensemble | None:
    """Read what ``save_ensemble`` wrote; None where the folder has none.

    Args:
        folder: The model folder.
        networks: From a place in the folder to the network there.
        inputs: The model's inputs.
        task: The task.
        labels: Its label state.

    Raises:
        ValueError: A value that no ensemble of this model writes, or a weight that is NaN.
    """
    own = folder / FOLDER
    if not (own / FACTS).is_file():
        return None
    plain = json.loads((own / FACTS).read_text(encoding="utf-8"))
    check_ensemble(plain, [m.name for m in inputs.modalities], labels.num_outputs)
    tensors = load_file(own / TENSORS)
    if bad := [name for name, tensor in tensors.items() if bool(tensor.isnan().any())]:
        raise ValueError(f"the weights {', '.join(bad[:3])} are NaN: the file is damaged")
    members: list[Member] = []
    facts = []
    for number, entry in enumerate(plain["members"]):
        models: list[Member] = []
        for part, made in enumerate(entry["models"]):
            if "network" in made:
                models.append(NetworkMember(networks(str(made["network"])), tuple(made["uses"]), labels))
                continue
            model = MEMBERS.get(entry["kind"]).from_config(made["config"])
            key = f"{number:02d}.{part}."
            model.load_state_dict({n.removeprefix(key): t for n, t in tensors.items() if n.startswith(key)})
            models.append(model)
        members.append(models[0] if len(models) == 1 else Bag(models))
        facts.append(MemberFacts.from_json(entry))
    averages = [
        Average(np.asarray(weights, dtype=np.float64), float(temperature), int(best))
        for weights, temperature, best in zip(plain["weights"], plain["temperatures"], plain["best"], strict=True)
    ]
    patterns = [tuple(p) for p in plain["patterns"]]
    nothing = plain.get("nothing")
    ensemble = Ensemble(
        members, facts, plain["modalities"], patterns, averages, task, labels,
        nothing=None if nothing is None else np.asarray(nothing, dtype=np.float64),
    )  # fmt: skip
    give_plain(ensemble, inputs)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return ensemble.to(device)


def give_plain(ensemble: Ensemble, inputs: Inputs) -> None:
    """Tell linear members and prototypes how to read the plain features of their modalities."""
    functions: dict[int, Any] = {}
    for number, modality in enumerate(inputs.modalities):
        kind = MODALITY_KINDS.get(modality.kind)
        functions[number] = kind.plain(inputs.processors[modality.name], modality.name in inputs.frozen)
    for member in ensemble.listed:
        for model in member.parts:
            if isinstance(model, LinearMember | PrototypeMember):
                model.plain = tuple(functions[m] for m in model.uses)
