"""``plait doctor``: what is installed on this machine, and what is broken, with what to type."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from plait.cli import options
from plait.cli.plugins import KINDS
from plait.cli.speaking import Speaker, padded, wide
from plait.cli.terminal import print_json, say
from plait.cli.wording import as_typed


def doctor(
    load: Annotated[
        bool, typer.Option("--load", help="Also import PyTorch, torchvision and plug-ins (seconds).")
    ] = False,
    lang: options.SpokenLang = None,
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
        say(as_typed("\n".join(_lines(found, Speaker(lang)))))
    if any(finding["severity"] == "error" for finding in found["findings"]):
        raise typer.Exit(1)


def _lines(found: dict[str, Any], tr: Speaker) -> Iterator[str]:
    yield from _of_machine(found, tr)
    yield ""
    needed = tr.listed(f"{r['name']} {r['installed'] or tr('MISSING', 'doctor')}" for r in found["dependencies"])
    yield f"{tr('dependencies', 'doctor')}{tr.colon}{needed}"
    yield ""
    yield tr("extras", "doctor")
    for extra in found["extras"]:
        state = tr("here", "doctor") if extra["installed"] else tr(extra["type"])
        yield f"  {extra['name']:12} {padded(state, 32)} {tr(extra['what'])}"
    yield ""
    yield tr("pretrained weights", "doctor")
    for row in found["weights"]:
        size = f"plait weights fetch {row['name']}" if row["bytes"] is None else _size(row["bytes"])
        yield f"  {row['name']:24} {size}"
    yield ""
    yield tr("caches", "doctor")
    for cache in found["caches"]:
        free = "" if cache["free"] is None else tr(f"{cache['free'] / 1e9:.0f} GB free", "doctor")
        name = padded(tr(cache["name"], "cache"), 18)
        yield f"  {name} {_size(cache['bytes']):>9}  {' ' * (12 - wide(free))}{free}  {_short(cache['path'])}"
    yield ""
    if found["plugins"]:
        yield tr("plug-ins", "doctor")
        for one in found["plugins"]:
            brought = one.get("brings", {}).items()
            told = [f"{tr(KINDS.get(kind, kind), 'plugin')} {', '.join(names)}" for kind, names in brought]
            yield f"  {one['package']} {one['version']}  {tr.semicolon.join(told) or one['target']}"
        yield ""
    wrong = [f for f in found["findings"] if f["severity"] not in ("ok", "n/a")]
    for finding in wrong:
        severity = padded(tr(finding["severity"], "severity"), 7)
        yield f"{severity} {finding['code']} {tr(finding['title'])}{tr.colon}{tr(finding['detail'])}"
    if not wrong:
        yield tr("nothing broken was found")
    if found["loaded"] is None:
        yield tr("plait doctor --load also imports PyTorch and asks it for devices")


def _of_machine(found: dict[str, Any], tr: Speaker) -> Iterator[str]:
    machine, build = found["machine"], found["torch"]
    memory = f"{machine['memory'] / 1e9:.1f} GB of memory" if machine["memory"] else "memory unknown"
    source = (
        "PLAIT_MEMORY" if machine["memory_bound_is_given"] else "four fifths of what is free; --memory SIZE changes it"
    )
    free, most = _size(machine["free_memory"]), _size(machine["memory_bound"])
    shown = [d["name"] + (f", {d['memory'] / 2**30:.0f} GiB" if d["memory"] else "") for d in found["devices"]]
    runs = f"CUDA {build['cuda']}" if build.get("cuda") else "ROCm" if build.get("hip") else "the CPU"
    facts = {
        "plait": tr(f"{found['plait']['version']} in {_short(found['plait']['folder'])}", "doctor"),
        "Python": machine["python"] + tr.bracketed(_short(machine["executable"])),
        "machine": tr(f"{machine['platform']}, {machine['cores']} cores, {memory}", "doctor"),
        "memory": tr(f"{free} free; work keeps to {most} in all ({source})", "doctor"),
        "device": tr.semicolon.join(shown or ["CPU"])
        + (tr.bracketed(tr(f"PyTorch is built for {runs}")) if build else ""),
    }
    for name, fact in facts.items():
        yield f"{padded(tr(name, 'doctor'), 8)} {fact}"


def _size(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def _short(path: str) -> str:
    home = os.path.expanduser("~")
    return "~" + path[len(home) :] if path.startswith(home + os.sep) else path
