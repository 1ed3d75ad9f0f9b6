"""Facts about a model for its report: encoders, fusion, sizes, settings, versions."""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
from collections.abc import Sequence
from typing import Any

from plait import __version__
from plait.data.modality import Modality
from plait.encoders.base import Encoder
from plait.objectives import OBJECTIVES
from plait.settings import to_dict
from plait.training.fitted import FittedParts

JOINED_TERMS = {"tabular": "numbers, categories and dates of the table, read together"}
MOST_COLUMNS = 8  # that a sentence names
SHOWN_PACKAGES = ("torch", "transformers", "timm", "numpy", "scikit-learn", "pyarrow", "pillow")


def versions() -> dict[str, str]:
    """Versions of Plait, Python and the packages whose arithmetic a result depends on."""
    found = {"plait": __version__, "python": platform.python_version()}
    for name in SHOWN_PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def report_title(fitted: FittedParts) -> str:
    """Heading of a report: the task, and of which column, of which pair or among which."""
    names = fitted.model.config.modality_names
    if fitted.task.judges_pairs:
        return f"Plait: {fitted.task.name} of {' and '.join(names)}"
    if fitted.task.needs_target:
        return f"Plait: {fitted.task.name} of {fitted.schema.target}"
    return f"Plait: {fitted.task.name} among {', '.join(names)}"


def why_title(fitted: FittedParts) -> str:
    """Heading of an explanation."""
    return f"Plait: what {fitted.schema.target} rests on"


def describe_model(fitted: FittedParts) -> dict[str, Any]:
    """The parts of a report that speak of the model and not of rows."""
    model, inputs = fitted.model, fitted.inputs
    encoders = []
    for i, entry in enumerate(model.config.modalities):
        name = entry["name"]
        own = model.encoder_of(i)
        encoder: Encoder = inputs.frozen[name] if own is None else own
        encoders.append(
            {
                "modality": name,
                "name": encoder.reference,
                "tuning": "frozen" if own is None else encoder.tuning["mode"],
                **({"shared with": entry["shares"]} if entry.get("shares") else {}),
                "vector_dim": encoder.vector_dim,
                "parameters": encoder.num_parameters,
            }
        )
    info = model.fusion.info
    frozen = {id(e): e.num_parameters for e in inputs.frozen.values()}
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    inside_total = sum(p.numel() for p in model.parameters())
    return {
        "plait": __version__,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "task": fitted.task.name,
        "target": fitted.schema.target,
        "metric": {"name": fitted.task.primary, "higher_is_better": fitted.task.higher_is_better},
        **({"chosen_metric": chosen} if (chosen := chosen_metric(fitted)) is not None else {}),
        "terms": explained_terms(inputs.modalities),
        "schema": [
            {"name": c.name, "kind": c.kind, "role": c.role, "reason": c.reason}
            for c in fitted.schema.columns
        ],
        "model": {
            "encoders": encoders,
            "fusion": {
                "name": info.name, "equation": info.equation, "paper": info.paper,
                "interaction": model.fusion.interaction,
            },
            "head": model.config.head["name"],
            **({"training aids": describe_objectives(model.config.aids)} if model.aids is not None else {}),
            "sees interactions between modalities": "yes" if model.sees_interactions else "no",
            "parameters": {"total": inside_total + sum(frozen.values()), "trained": trained},
        },
        "settings": to_dict(fitted.settings),
        "versions": versions(),
    }  # fmt: skip


def chosen_metric(fitted: FittedParts) -> str | None:
    """The metric that the user chose epochs by, where it is not the primary one."""
    chosen = fitted.settings.task.select_by
    return None if chosen == fitted.task.primary else chosen


def explained_terms(modalities: Sequence[Modality]) -> dict[str, str]:
    """What the names of modalities mean that are of no column, such as "tabular"."""
    return {
        m.name: f"{JOINED_TERMS[m.kind]} ({', '.join(m.columns[:MOST_COLUMNS])}"
        f"{', ...' if len(m.columns) > MOST_COLUMNS else ''})"
        for m in modalities
        if m.kind in JOINED_TERMS
    }


def describe_objectives(chosen: dict[str, float]) -> dict[str, dict[str, Any]]:
    """Auxiliary objectives that were on: strength, equation and paper of each."""
    return {
        name: {"strength": strength, "equation": OBJECTIVES.get(name).equation, "paper": OBJECTIVES.get(name).paper}
        for name, strength in chosen.items()
        if name in OBJECTIVES
    }
