"""``plait doctor``: what is installed on this machine, and what is broken, with what to type."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from plait.cli import options
from plait.cli.terminal import print_json, say
from plait.cli.wording import as_typed


def doctor(
    load: Annotated[
        bool, typer.Option("--load", help="Also import PyTorch, torchvision and plug-ins (seconds).")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Look at this installation: versions, devices, extras, weights, caches, plug-ins, and what is broken.

    Exit code 1 when an error is found.
    """
    from plait import api

    found = api.doctor(load=load)
    if as_json:
        print_json(found)
    else:
        say(as_typed("\n".join(_lines(found))))
    if any(finding["severity"] == "error" for finding in found["findings"]):
        raise typer.Exit(1)


def _lines(found: dict[str, Any]) -> Iterator[str]:
    machine, build = found["machine"], found["torch"]
    memory = f"{machine['memory'] / 1e9:.1f} GB of memory" if machine["memory"] else "memory unknown"
    yield f"plait    {found['plait']['version']} in {_short(found['plait']['folder'])}"
    yield f"Python   {machine['python']} ({_short(machine['executable'])})"
    yield f"machine  {machine['platform']}, {machine['cores']} cores, {memory}"
    source = (
        "PLAIT_MEMORY" if machine["memory_bound_is_given"] else "four fifths of what is free; --memory SIZE changes it"
    )
    free, most = _size(machine["free_memory"]), _size(machine["memory_bound"])
    yield f"memory   {free} free; work keeps to {most} in all ({source})"
    shown = [d["name"] + (f", {d['memory'] / 2**30:.0f} GiB" if d["memory"] else "") for d in found["devices"]]
    runs = f"CUDA {build['cuda']}" if build.get("cuda") else "ROCm" if build.get("hip") else "the CPU"
    yield f"device   {'; '.join(shown) or 'CPU'}" + (f" (PyTorch is built for {runs})" if build else "")
    yield ""
    yield "dependencies: " + (", ".join(f"{r['name']} {r['installed'] or 'MISSING'}" for r in found["dependencies"]))
    yield ""
    yield "extras"
    for extra in found["extras"]:
        yield f"  {extra['name']:12} {'here' if extra['installed'] else extra['type']:32} {extra['what']}"
    yield ""
    yield "pretrained weights"
    for row in found["weights"]:
        size = f"plait weights fetch {row['name']}" if row["bytes"] is None else _size(row["bytes"])
        yield f"  {row['name']:24} {size}"
    yield ""
    yield "caches"
    for cache in found["caches"]:
        free = "" if cache["free"] is None else f"{cache['free'] / 1e9:.0f} GB free"
        yield f"  {cache['name']:18} {_size(cache['bytes']):>9}  {free:>12}  {_short(cache['path'])}"
    yield ""
    if found["plugins"]:
        yield "plug-ins"
        for one in found["plugins"]:
            brings = "; ".join(f"{kind} {', '.join(names)}" for kind, names in one.get("brings", {}).items())
            yield f"  {one['package']} {one['version']}  {brings or one['target']}"
        yield ""
    wrong = [f for f in found["findings"] if f["severity"] not in ("ok", "n/a")]
    for finding in wrong:
        yield f"{finding['severity']:<7} {finding['code']} {finding['title']}: {finding['detail']}"
    if not wrong:
        yield "nothing broken was found"
    if found["loaded"] is None:
        yield "plait doctor --load also imports PyTorch and asks it for devices"


def _size(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def _short(path: str) -> str:
    home = os.path.expanduser("~")
    return "~" + path[len(home) :] if path.startswith(home + os.sep) else path
