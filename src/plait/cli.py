"""The command line: verbs that say the same words as the Python API.

``--json`` prints one JSON object on stdout and nothing else there; progress and logs go to stderr. Nothing heavy is
imported before a verb runs.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from plait import __version__
from plait.features_cli import features_app
from plait.progress import TerminalProgress

if TYPE_CHECKING:
    import pyarrow as pa

app = typer.Typer(
    name="plait",
    help="Train, judge and use models that understand text, images and numbers together.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
weights_app = typer.Typer(help="Pretrained weights on this machine.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(weights_app, name="weights")
app.add_typer(features_app, name="features")

Columns = Annotated[list[str] | None, typer.Option(metavar="COL")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else there.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show no progress.")]
BadRows = Annotated[
    str | None, typer.Option(help="A row that cannot be read: error, missing (cell counts as missing) or skip.")
]


def main() -> None:
    """Entry point: turns errors that are the user's to mend into one message and exit code 2."""
    try:
        app(standalone_mode=True)
    except KeyboardInterrupt:
        _fail("stopped", 130)
    except (ValueError, FileNotFoundError, PermissionError, TypeError, ImportError, RuntimeError, OSError) as error:
        if isinstance(error, TypeError | RuntimeError) and not str(error):
            raise
        _fail(str(error), 2)


def _fail(message: str, code: int) -> NoReturn:
    sys.stderr.write(f"plait: {message}\n")
    sys.exit(code)


@contextlib.contextmanager
def _progress(quiet: bool) -> Iterator[TerminalProgress]:
    with TerminalProgress(quiet=quiet) as progress:
        yield progress


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


def _print_json(value: Any) -> None:
    _say(json.dumps(value, ensure_ascii=False, allow_nan=False))


def _version(shown: bool) -> None:
    if shown:
        _say(f"plait {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it.")] = False,
) -> None:
    """Train, judge and use models that understand text, images and numbers together."""


@app.command(epilog="Example: plait fit posts.csv --target sentiment --text text --image image -o model")
def fit(
    table: Annotated[str, typer.Argument(metavar="TABLE", help="Table, Hugging Face folder or COCO folder.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the model and its report.")],
    target: Annotated[str | None, typer.Option(metavar="COL", help="Column to predict.")] = None,
    task: Annotated[str | None, typer.Option(help="classification, multilabel, regression or matching.")] = None,
    text: Columns = None,
    image: Columns = None,
    numeric: Columns = None,
    categorical: Columns = None,
    ignore: Columns = None,
    split: Annotated[str | None, typer.Option(metavar="COL", help="Column with train, val, test.")] = None,
    group: Annotated[str | None, typer.Option(metavar="COL", help="Rows of one group stay in one split.")] = None,
    id: Annotated[str | None, typer.Option(metavar="COL", help="Column that names rows in predictions.")] = None,
    recipe: Annotated[str, typer.Option(help="default or classic.")] = "default",
    fusion: Annotated[
        str | None, typer.Option(help="weighted_sum, concat, gated, product or co_attention.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training rows.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything random.")] = None,
    format: Annotated[str | None, typer.Option(help="Format of the source, when its name does not tell; coco.")] = None,
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
    import plait
    from plait.settings import read_settings

    with _progress(quiet) as progress:
        fitted = plait.fit(
            table, target, task=task, text=text or (), image=image or (), numeric=numeric or (),
            categorical=categorical or (), ignore=ignore or (), split=split, group=group, id=id, recipe=recipe,
            fusion=fusion, epochs=epochs, seed=seed, output=output, format=format, annotations=annotations,
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
    on_bad_row: BadRows = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Judge a model on rows with known answers."""
    import plait

    with _progress(quiet) as progress:
        result = plait.load(model).evaluate(
            table, rows=rows, report=report, annotations=annotations, format=format,
            on_bad_row=on_bad_row or "error", progress=progress,
        )  # fmt: skip
    _show_report(result, as_json, {"report": str(report)} if report else {})


@app.command(epilog="Example: plait predict model new.csv -o predictions.csv")
def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model folder.")],
    table: Annotated[str, typer.Argument(metavar="TABLE", help="Rows to predict.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="OUT", help="A .parquet or .csv file.")],
    format: Annotated[str | None, typer.Option(help="Format of the source, when its name does not tell.")] = None,
    on_bad_row: BadRows = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT.")] = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Predict every row, in order, and write the answers with their probabilities."""
    import plait

    if output.suffix not in (".csv", ".parquet"):
        raise ValueError(f"predictions are written as .csv or .parquet, got {output.name!r}")
    if output.exists() and not overwrite:
        raise ValueError(f"{output} exists; type --overwrite to replace it")
    with _progress(quiet) as progress:
        made = plait.load(model).predict(
            table, format=format, on_bad_row=on_bad_row or "missing", progress=progress
        )
    _write_table(made, output)
    problems = made.num_rows - made.column("problem").null_count
    summary = {"rows": made.num_rows, "problems": problems, "output": str(output)}
    if as_json:
        _print_json(summary)
    else:
        more = f"; {problems} with a problem (see the column 'problem')" if problems else ""
        _say(f"{made.num_rows:,} rows predicted{more} -> {output}")


@app.command(epilog="Example: plait check posts.csv --target sentiment")
def check(
    table: Annotated[str, typer.Argument(metavar="TABLE", help="Table, Hugging Face folder or COCO folder.")],
    target: Annotated[str | None, typer.Option(metavar="COL", help="Column to predict.")] = None,
    format: Annotated[str | None, typer.Option(help="Format of the source, when its name does not tell; coco.")] = None,
    task: Annotated[str | None, typer.Option(help="For a COCO folder: matching or multilabel.")] = None,
    annotations: Annotated[str | None, typer.Option(help="COCO annotations folder, if not DIR/annotations.")] = None,
    as_json: Json = False,
) -> None:
    """Examine a table before training: missing files, broken images, duplicates, leakage, imbalance."""
    from plait.data.check import check_table
    from plait.settings import DataSettings
    from plait.sources import open_source

    opened = open_source(table, DataSettings(format=format, target=target), task=task, annotations=annotations)
    found = check_table(opened.table, target=opened.data.target)
    if as_json:
        _print_json(found.to_json())
    else:
        _say(found.text())
    if any(f.severity == "error" for f in found.findings):
        raise typer.Exit(1)


@app.command(epilog="Example: plait data easy-vqa -o easy-vqa")
def data(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A ready data set, such as easy-vqa.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder to write.")],
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Fetch a ready data set (uses the network)."""
    from plait.data.catalog import fetch_dataset

    with _progress(quiet) as progress:
        path = fetch_dataset(name, output, progress=lambda what, done, total: progress(done, total, what))
    if as_json:
        _print_json({"name": name, "table": str(path)})
    else:
        _say(f"{name} -> {path}")


@weights_app.command("fetch", epilog="Example: plait weights fetch minilm efficientnet-lite0")
def weights_fetch(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Names as in 'plait weights ls'.")],
    as_json: Json = False,
) -> None:
    """Bring pretrained weights to this machine (uses the network)."""
    from plait.weights import fetch

    paths = {name: str(fetch(name, progress=lambda line: _tell(line))) for name in names}
    if as_json:
        _print_json(paths)
    else:
        for name, path in paths.items():
            _say(f"{name} -> {path}")


@weights_app.command("ls", epilog="Example: plait weights ls")
def weights_ls(as_json: Json = False) -> None:
    """List named weights and whether they are here."""
    from plait.weights import list_weights

    found = list_weights()
    if as_json:
        _print_json({"weights": [{k: str(v) if isinstance(v, Path) else v for k, v in w.items()} for w in found]})
        return
    for entry in found:
        here = "here" if entry["present"] else f"plait weights fetch {entry['name']}"
        _say(f"{entry['name']:22} {entry['kind']:6} {(entry['size'] or 0) / 1e6:6.0f} MB  {entry['licence']:12} {here}")


@app.command(epilog="Example: plait demo --question 'what color is the shape?' picture.png")
def demo(
    picture: Annotated[Path | None, typer.Argument(metavar="[IMAGE]", help="A picture to ask about.")] = None,
    question: Annotated[str, typer.Option(help="What to ask about it.")] = "what shape is in the image?",
    folder: Annotated[Path, typer.Option(help="Where data, model and report go.")] = Path("demo"),
) -> None:
    """Fetch encoders and easy-VQA, train, judge, report and answer one question (about 3 minutes)."""
    from plait.demo import run_demo

    with _progress(False) as progress:
        for line in run_demo(folder, picture, question, progress):
            _say(line)


def _tell(line: str) -> None:
    sys.stderr.write(line + "\n")


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
                    joined = [None if v is None else ";".join(v) for v in table.column(name).to_pylist()]
                    table = table.set_column(i, name, pa.array(joined, pa.string()))
            pyarrow.csv.write_csv(table, part)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise ValueError(f"cannot write {path}: {error}") from error


def _show_report(report: dict[str, Any], as_json: bool, extra: dict[str, Any]) -> None:
    from plait.report.plain import plain, without_pictures

    if as_json:
        _print_json({**without_pictures(plain(report)), **extra})
        return
    evaluation, metric = report["evaluation"], report["metric"]["name"]
    _say(report["verdict"])
    rows = [("fused", evaluation["metrics"])] + [(f"{n} alone", m) for n, m in evaluation["alone"].items()]
    for name, metrics in rows:
        entry = metrics[metric]
        if entry["value"] is not None:
            span = f"  [{entry['low']:.3f}, {entry['high']:.3f}]" if entry["low"] is not None else ""
            _say(f"  {name:20} {metric} {entry['value']:.3f}{span}")
    _say(f"judged on {evaluation['rows']:,} {evaluation['split']} rows; {len(evaluation['bad_rows'])} cells unreadable")
    for note in evaluation["notes"]:
        _say(f"  note: {note}")
    for name, value in extra.items():
        _say(f"{name}: {value}")


if __name__ == "__main__":
    main()
