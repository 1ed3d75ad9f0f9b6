"""The command line: verbs that say the same words as the Python API.

``--json`` prints one JSON object on stdout and nothing else there; progress and logs go to stderr. Nothing
heavy is imported before a verb runs.
"""

from __future__ import annotations

import contextlib
import json
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from plait.cli.compare import compare, fusions
from plait.cli.data import data
from plait.cli.explain import explain
from plait.cli.features import features_app
from plait.cli.generate import ask, caption
from plait.cli.index import index_app
from plait.cli.progress import TerminalProgress
from plait.cli.search import search
from plait.cli.terminal import can_write, print_json, say
from plait.cli.two_tower import two_tower
from plait.cli.weights import weights_app
from plait.version import __version__

if TYPE_CHECKING:
    import pyarrow as pa

app = typer.Typer(
    name="plait",
    help="Train, judge and use models that understand text, images, sound and numbers together.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(weights_app, name="weights")
app.add_typer(features_app, name="features")
app.add_typer(index_app, name="index")
app.command(epilog="Example: plait search photos.index 'two dogs on snow' --html hits.html")(search)
app.command(epilog="Example: plait fusions")(fusions)
app.command(epilog="Example: plait compare posts.csv --target sentiment --fusion all --seeds 5 -o comparison")(compare)

app.command("two-tower", epilog="Example: plait two-tower hf:openai/clip-vit-base-patch32 -o clip")(two_tower)

Columns = Annotated[list[str] | None, typer.Option(metavar="COL")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else there.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show no progress.")]
Encoding = Annotated[str | None, typer.Option(help="Encoding of a text table that is not UTF-8, such as gb18030.")]
Names = Annotated[
    str | None, typer.Option(metavar="A,B,...", help="Names of the columns of a CSV or TSV without a header line.")
]
BadRows = Annotated[
    str | None,
    typer.Option(help="A row that cannot be read: error, missing (cell counts as missing) or skip."),
]


def main() -> None:
    """Entry point: turns what the user can mend into one message on stderr and an exit code.

    0 done, 1 ``check`` or ``verify`` found faults, 2 an error, 130 stopped by Ctrl-C.
    """
    warnings.showwarning = _warn
    try:
        code = app(standalone_mode=False)
    except KeyboardInterrupt:
        _fail("stopped", 130)
    except Exception as error:
        message = _message(error)
        if message is None:
            raise
        _fail(message, 2)
    sys.exit(code if isinstance(code, int) else 0)


def _message(error: Exception) -> str | None:
    """The sentence for an error that is the user's to mend; None for a fault of Plait."""
    if hasattr(error, "format_message"):  # typer's own: an unknown option, a missing argument
        given = getattr(error, "ctx", None)
        return f"{error.format_message()} (see {given.command_path if given else 'plait'} --help)"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, MemoryError):
        return "out of memory; use fewer rows, smaller images or --set train.batch_size=16"
    theirs = type(error).__module__.partition(".")[0] in ("pyarrow", "PIL", "plait", "safetensors", "torch")
    if isinstance(error, ValueError | TypeError | ImportError | RuntimeError | OSError) or theirs:
        return str(error) or None
    return None


def _warn(message: Warning | str, *_: object, **__: object) -> None:
    sys.stderr.write(f"note: {message}\n")


def _fail(message: str, code: int) -> NoReturn:
    sys.stderr.write(f"plait: {message.strip()}\n")
    sys.exit(code)


@contextlib.contextmanager
def _progress(quiet: bool) -> Iterator[TerminalProgress]:
    with TerminalProgress(quiet=quiet) as progress:
        yield progress


@contextlib.contextmanager
def _resumable() -> Iterator[None]:
    """Say on Ctrl-C how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        _fail("stopped; type the same command with --resume (and without --overwrite) to go on", 130)


def _version(shown: bool) -> None:
    if shown:
        say(f"plait {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it.")] = False,
) -> None:
    """Train, judge and use models that understand text, images, sound and numbers together."""


@app.command(epilog="Example: plait fit posts.csv --target sentiment --text text --image image -o model")
def fit(
    table: Annotated[str, typer.Argument(metavar="TABLE", help="Table, Hugging Face folder or COCO folder.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the model and its report.")],
    target: Annotated[str | None, typer.Option(metavar="COL", help="Column to predict.")] = None,
    task: Annotated[str | None, typer.Option(help="Such as classification, matching, retrieval, vqa.")] = None,
    text: Columns = None,
    image: Columns = None,
    audio: Columns = None,
    image_set: Columns = None,
    vector: Columns = None,
    numeric: Columns = None,
    categorical: Columns = None,
    ignore: Columns = None,
    split: Annotated[str | None, typer.Option(metavar="COL", help="Column with train, val, test.")] = None,
    group: Annotated[str | None, typer.Option(metavar="COL", help="Rows of one group stay in one split.")] = None,
    id: Annotated[str | None, typer.Option(metavar="COL", help="Column that names rows in predictions.")] = None,
    recipe: Annotated[str, typer.Option(help="default, classic or sentiment.")] = "default",
    fusion: Annotated[str | None, typer.Option(help="How modalities are joined: a name of 'plait fusions'.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training rows.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything random.")] = None,
    format: Annotated[str | None, typer.Option(help="Format of the source, when its name does not tell; coco.")] = None,
    encoding: Encoding = None,
    columns: Names = None,
    annotations: Annotated[str | None, typer.Option(help="COCO annotations folder, if not DIR/annotations.")] = None,
    on_bad_row: BadRows = None,
    set: Annotated[list[str] | None, typer.Option("--set", metavar="A.B=C", help="Any other setting.")] = None,
    config: Annotated[Path | None, typer.Option(help="A run.yaml to start from.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was stopped.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the model in the folder.")] = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Train a model on a table, judge it on held-out rows, and save both."""
    from plait.api import fit as fit_table
    from plait.settings import read_settings

    if columns:
        set = [f"data.columns={json.dumps(columns.split(','))}", *(set or ())]
    with _resumable(), _progress(quiet) as progress:
        fitted = fit_table(
            table, target, task=task, text=text or (), image=image or (), audio=audio or (),
            image_set=image_set or (), vector=vector or (), numeric=numeric or (), categorical=categorical or (),
            ignore=ignore or (), split=split, group=group, id=id,
            recipe=recipe, fusion=fusion, epochs=epochs, seed=seed, output=output, format=format,
            encoding=encoding, annotations=annotations,
            on_bad_row=on_bad_row, settings=read_settings(config) if config else None, set=set or (),
            resume=resume, overwrite=overwrite, progress=progress,
        )  # fmt: skip
    _show_report(fitted.report, as_json, {"model": str(output), "report": str(output / "report.html")})


@app.command(epilog="Example: plait evaluate model posts.csv --report report.html")
def evaluate(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model folder.")],
    table: Annotated[str, typer.Argument(metavar="TABLE", help="Rows with answers.")],
    report: Annotated[Path | None, typer.Option(help="Write an HTML report here (JSON beside it).")] = None,
    rows: Annotated[str | None, typer.Option(help="Split to judge: test, val, train or all.")] = None,
    annotations: Annotated[str | None, typer.Option(help="COCO annotations folder, if not DIR/annotations.")] = None,
    format: Annotated[str | None, typer.Option(help="Format of the source, when its name does not tell.")] = None,
    encoding: Encoding = None,
    on_bad_row: BadRows = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Judge a model on rows with known answers."""
    from plait.api import load

    with _progress(quiet) as progress:
        result = load(model).evaluate(
            table, rows=rows, report=report, annotations=annotations, format=format, encoding=encoding,
            on_bad_row=on_bad_row or "error", progress=progress,
        )  # fmt: skip
    _show_report(result, as_json, {"report": str(report)} if report else {})


app.command(epilog="Example: plait caption model photos --beams 4 --json")(caption)
app.command(epilog="Example: plait ask model photo.jpg 'what colour is the circle?'")(ask)
app.command(epilog="Example: plait explain model posts.csv --report why.html")(explain)


@app.command(epilog="Example: plait predict model new.csv -o predictions.csv")
def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model folder.")],
    table: Annotated[str, typer.Argument(metavar="TABLE", help="Rows to predict.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="OUT", help="A .parquet or .csv file.")],
    format: Annotated[str | None, typer.Option(help="Format of the source, when its name does not tell.")] = None,
    encoding: Encoding = None,
    on_bad_row: BadRows = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT.")] = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Predict every row, in order, and write the answers with their probabilities."""
    from plait.api import load

    if output.suffix not in (".csv", ".parquet"):
        raise ValueError(f"predictions are written as .csv or .parquet, got {output.name!r}")
    if output.exists() and not overwrite:
        raise ValueError(f"{output} exists; type --overwrite to replace it")
    can_write(output)
    with _progress(quiet) as progress:
        made = load(model).predict(
            table, format=format, encoding=encoding, on_bad_row=on_bad_row or "missing", progress=progress
        )
    _write_table(made, output)
    problems = made.num_rows - made.column("problem").null_count
    summary = {"rows": made.num_rows, "problems": problems, "output": str(output)}
    if as_json:
        print_json(summary)
    else:
        more = f"; {problems} with a problem (see the column 'problem')" if problems else ""
        say(f"{made.num_rows:,} rows predicted{more} -> {output}")


@app.command(epilog="Example: plait check posts.csv --target sentiment")
def check(
    table: Annotated[str, typer.Argument(metavar="TABLE", help="Table, Hugging Face folder or COCO folder.")],
    target: Annotated[str | None, typer.Option(metavar="COL", help="Column to predict.")] = None,
    format: Annotated[str | None, typer.Option(help="Format of the source, when its name does not tell; coco.")] = None,
    encoding: Encoding = None,
    columns: Names = None,
    task: Annotated[str | None, typer.Option(help="For COCO: matching, multilabel, captioning, retrieval.")] = None,
    annotations: Annotated[str | None, typer.Option(help="COCO annotations folder, if not DIR/annotations.")] = None,
    as_json: Json = False,
) -> None:
    """Examine a table before training: missing files, broken images and sounds, duplicates, leakage, imbalance."""
    from plait.data.checks.check import check_table
    from plait.data.sources import open_source
    from plait.settings import DataSettings

    opened = open_source(
        table,
        DataSettings(
            format=format, encoding=encoding, target=target, columns=tuple(columns.split(",")) if columns else ()
        ),
        task=task,
        annotations=annotations,
    )
    found = check_table(opened.table, target=opened.data.target)
    if as_json:
        print_json(found.to_json())
    else:
        say(found.text())
    if any(f.severity == "error" for f in found.findings):
        raise typer.Exit(1)


app.command(epilog="Example: plait data tuxpaint --language en --language zh_CN -o tuxpaint")(data)


@app.command(epilog="Example: plait demo --question 'what color is the shape?' picture.png")
def demo(
    picture: Annotated[Path | None, typer.Argument(metavar="[IMAGE]", help="A picture to ask about.")] = None,
    question: Annotated[str, typer.Option(help="What to ask about it.")] = "what shape is in the image?",
    folder: Annotated[Path, typer.Option(help="Where data, model and report go.")] = Path("demo"),
) -> None:
    """Fetch encoders and easy-VQA, train, judge, report and answer one question (about 5 minutes)."""
    from plait.cli.demo import run_demo

    with _progress(False) as progress:
        for line in run_demo(folder, picture, question, progress):
            say(line)


def _write_table(table: pa.Table, path: Path) -> None:
    """Write to a part file first, so that a failure leaves nothing half written."""
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".parquet":
            pyarrow.parquet.write_table(table, part)
        else:
            for i, name in enumerate(table.column_names):
                if pa.types.is_list(table.column(name).type):
                    joined = [None if v is None else ";".join(map(str, v)) for v in table.column(name).to_pylist()]
                    table = table.set_column(i, name, pa.array(joined, pa.string()))
            pyarrow.csv.write_csv(table, part)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise ValueError(f"cannot write {path}: {error.strerror or error}") from error


def _show_report(report: dict[str, Any], as_json: bool, extra: dict[str, Any]) -> None:
    from plait.report.plain import plain, without_pictures

    if as_json:
        print_json({**without_pictures(plain(report)), **extra})
        return
    evaluation, metric = report["evaluation"], report["metric"]["name"]
    say(report["verdict"])
    joined = "directions" not in evaluation and len(report["model"]["encoders"]) > 1
    rows = [("fused" if joined else "overall", evaluation["metrics"])]
    rows += [(f"{n} alone", m) for n, m in evaluation["alone"].items()]
    for name, metrics in rows:
        entry = metrics[metric]
        if entry["value"] is not None:
            span = f"  [{entry['low']:.3f}, {entry['high']:.3f}]" if entry["low"] is not None else ""
            say(f"  {name:20} {metric} {entry['value']:.3f}{span}")
    say(f"judged on {evaluation['rows']:,} {evaluation['split']} rows; {len(evaluation['bad_rows'])} cells unreadable")
    if (evaluation.get("missing") or {}).get("sentence"):
        say(f"with modalities missing: {evaluation['missing']['sentence']}")
    for note in evaluation["notes"]:
        say(f"  note: {note}")
    for name, value in extra.items():
        say(f"{name}: {value}")


if __name__ == "__main__":
    main()
