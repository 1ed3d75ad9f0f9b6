"""``plait export``: a model as an ONNX folder that answers rows without PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from plait.cli import options
from plait.cli.progress import terminal_progress
from plait.cli.speaking import Speaker
from plait.cli.terminal import print_json, say


def export(
    context: typer.Context,
    model: options.Model,
    onnx: Annotated[Path, typer.Option("--onnx", metavar="DIR", help="Folder for the export.")],
    check: Annotated[
        str | None,
        typer.Option(
            metavar="TABLE", help="Compare answers and speed on rows of this table too.", callback=options.there
        ),
    ] = None,
    int8: Annotated[
        bool, typer.Option("--int8", help="Also write a graph with encoders in eight bits; needs --check.")
    ] = False,
    format: options.Format = None,
    encoding: options.Encoding = None,
    allow_outside: options.AllowOutside = False,
    allow_remote: options.AllowRemote = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an export in DIR.")] = False,
    lang: options.SpokenLang = None,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Write the whole model as one ONNX graph with what reads its rows; neither PyTorch nor Plait is needed there."""
    from plait.api import export as export_model

    tr = Speaker(lang)
    if not quiet:
        typer.echo(tr(f"this takes about {_duration(check is not None, int8)}, longer for large encoders"), err=True)
    with terminal_progress(quiet=quiet) as progress:
        found = export_model(folder=onnx, **options.passed_on(context, export_model), progress=progress)
    if as_json:
        print_json(found)
        return
    for line in export_lines(found, tr):
        say(line)


def _duration(checks: bool, int8: bool) -> str:
    return "two minutes" if int8 else "a minute" if checks else "half a minute"


def export_lines(found: dict[str, Any], tr: Speaker) -> list[str]:
    """What was written and how near its answers are, for the terminal."""
    random, sides = found["random"], found.get("speed", {}).get("sides")
    difference = f"{random['largest_difference']:.1e} (at most {random['bound']:.0e})"
    members = tr.listed(tr(one["name"]) for one in found["members"])
    lines = [
        f"{tr('exported', 'export')} {members}{tr.colon}{found['megabytes']:.1f} MB",
        "  "
        + tr(
            f"{random['rows']} random rows of several shapes: largest difference from PyTorch {difference}; "
            "what is missing changes no bit"
        ),
    ]
    if "check" in found:
        lines.append(f"  {tr.listed(map(tr, _compared(found['check'])))}")
        if sides is None:
            lines.append(f"  {tr(_speed(found['speed']))}")
        else:
            lines += [f"  {name}{tr.colon}{tr(_side_speed(one, found['speed']))}" for name, one in sides.items()]
    if "int8" in found:
        small = found["int8"]
        lines += [f"{tr('eight bits')}{tr.bracketed(small['graph'])}{tr.colon}{small['megabytes']:.1f} MB"
                  f"{tr.semicolon}{tr(small['how'])}",
                  f"  {tr.listed(map(tr, _compared(small['check'])))}", f"  {tr(_speed(small['speed']))}"]  # fmt: skip
    if found["optional_packages"]:
        lines.append(tr("sounds: WAV needs nothing else; other formats need soundfile, other rates soxr"))
    run = f"pip install {' '.join(found['packages'])}; python {found['output']}/example.py"
    return [*lines, f"{tr('run it')}{tr.colon}{run}", f"{tr('output', 'extra')}{tr.colon}{found['output']}"]


def _compared(check: dict[str, Any]) -> list[str]:
    parts = [f"{check['rows']:,} rows of the table: largest difference {check['largest_difference']:.1e}"]
    if "rows_above_bound" in check:
        parts.append(
            f"{check['rows_above_bound']} of them above the bound, where PyTorch's own normalisations are as inexact "
            f"(at most {check['accepted']:.0e} there)"
        )
    if "same_nearest" in check:
        parts.append(f"same nearest item for {check['same_nearest']:.1%}")
    if "same_predictions" in check:
        parts.append(f"same prediction in {check['same_predictions']:.1%}")
    if "metric" in check:
        parts.append(f"{check['metric']} {check['plait']:.4f} in PyTorch, {check['onnx']:.4f} exported")
    return parts


def _side_speed(side: dict[str, Any], speed: dict[str, Any]) -> str:
    return (
        f"{side['onnx']:,.0f} rows a second, PyTorch {side['pytorch']:,.0f}, from prepared tensors on "
        f"{speed['threads']} thread(s)"
    )


def _speed(speed: dict[str, Any]) -> str:
    beside = f", float32 {speed['float']:,.0f}" if "float" in speed else ""
    return (
        f"{speed['onnx']:,.0f} rows a second{beside}, PyTorch {speed['pytorch']:,.0f}, from prepared tensors on "
        f"{speed['threads']} thread(s); reading cells {speed['reading']:,.0f}"
    )
