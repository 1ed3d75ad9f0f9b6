"""Installed packages by their metadata: versions, what Plait and its dependencies require, extras. None is imported.

What does not fit is a finding: a package that is absent or too old, or two that do not go together (a torchvision
built for another PyTorch).
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata
from typing import Any

from plait.registry import counted

EXTRAS = {
    "audio": "reads FLAC, MP3 and OGG, resamples sound",
    "captions": "METEOR and the PTB tokenizer for captions (with a Java runtime)",
    "lance": "vector indexes in LanceDB",
    "lm": "language models from GGUF files (smollm2-135m)",
    "notebook": "data frames and plots: report.frame(), report.plot(), predict(as_frame=True)",
    "onnx": "plait export: one ONNX graph",
    "openvino": "encodes pictures and texts faster on CPUs (encoders.engine)",
    "optuna": "search spaces of your own",
    "peft": "LoRA: trains encoders and language models in few parameters",
    "ray": "workers on many machines, for predictions and features (ray=auto)",
    "remote": "cells that are addresses: s3://, gs://, hf:// (allow_remote=True)",
    "serve": "plait serve: HTTP, OpenAPI, a page",
    "tensorboard": "training curves in TensorBoard",
}


def installed_version(name: str) -> str | None:
    """The version of a distribution, by its metadata; None: it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def requirements(name: str, extra: str = "") -> list[Any]:
    """What a distribution requires on this machine, under an extra or without one (``packaging.requirements``)."""
    from packaging.requirements import Requirement

    try:
        lines = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return []
    found = [Requirement(line) for line in lines]
    plain = [r for r in found if r.marker is None or r.marker.evaluate({"extra": ""})]
    if not extra:
        return plain
    return [r for r in found if r not in plain and r.marker is not None and r.marker.evaluate({"extra": extra})]


def fits(requirement: Any) -> bool:
    """Whether the installed version is one that a requirement takes; False where nothing is installed."""
    version = installed_version(requirement.name)
    return version is not None and requirement.specifier.contains(version, prereleases=True)


def dependencies() -> list[dict[str, Any]]:
    """What Plait requires: ``name``, ``required``, ``installed`` (None: absent) and ``fits``, by name."""
    rows = [
        {
            "name": r.name, "required": str(r.specifier), "installed": installed_version(r.name), "fits": fits(r),
        }
        for r in requirements("plait")
    ]  # fmt: skip
    return sorted(rows, key=lambda row: row["name"].lower())


def extras() -> list[dict[str, Any]]:
    """The extras: ``name``, ``what`` it adds, whether ``installed``, what is ``missing``, and what to ``type``."""
    rows = []
    for name, what in EXTRAS.items():
        needed = requirements("plait", name)
        missing = [str(r.name) for r in needed if not fits(r)]
        known = f'pip install "plait[{name}]"'  # else the code is newer than what pip noted of it, as in a checkout
        rows.append(
            {
                "name": name, "what": what, "installed": bool(needed) and not missing, "missing": missing,
                "type": known if needed else "install Plait again: what is installed is older and knows no such extra",
            }
        )  # fmt: skip
    return rows


def missing_dependencies() -> Iterator[tuple[str, str]]:
    """(what is wrong, what to type) of each package that Plait requires and that is absent or of another version."""
    for row in dependencies():
        if not row["fits"]:
            there = f"{row['installed']} is installed" if row["installed"] else "is not installed"
            required = f"; Plait requires {row['name']}{row['required']}" if row["required"] else ""
            yield f"{row['name']} {there}{required}", f'pip install "{row["name"]}{row["required"]}"'


def conflicts() -> Iterator[tuple[str, str]]:
    """(what is wrong, what to type) of each requirement of Plait's dependencies that is not met."""
    from packaging.version import Version

    for row in dependencies():
        if row["installed"] is None:
            continue
        for needed in requirements(row["name"]):
            if fits(needed):
                continue
            there = installed_version(needed.name)
            state = f"{there} is installed" if there else "is not installed"
            typed = f'pip install -U {row["name"]} "{needed.name}{needed.specifier}"'
            yield f"{row['name']} {row['installed']} requires {needed.name}{needed.specifier}; {state}", typed
    builds = {name: installed_version(name) for name in ("torch", "torchvision")}
    tags = {name: Version(version).local for name, version in builds.items() if version}
    if tags.get("torch") and tags.get("torchvision") and tags["torch"] != tags["torchvision"]:
        yield (
            f"torchvision {builds['torchvision']} is built for another PyTorch than torch {builds['torch']}",
            "pip install -U torch torchvision   (both from one index)",
        )


def in_words(rows: list[tuple[str, str]], fine: str) -> str:
    """Faults as one text, each with what to type; ``fine`` where there are none."""
    if not rows:
        return fine
    shown = "; ".join(f"{wrong}: type {typed}" for wrong, typed in rows[:4])
    more = f"; and {counted(len(rows) - 4, 'more')}" if len(rows) > 4 else ""
    return shown + more
