"""Arguments and options that several verbs share, each worded once, and how a verb hands them to the API.

A verb declares what it takes with these; its function in the API has the same words for the same things.
"""

from __future__ import annotations

import codecs
import inspect
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from plait.cli.speaking import speaking, typed_language
from plait.registry import Registry, unknown_name
from plait.settings import BAD_ROW_POLICIES
from plait.settings.names import PAGE_LANGUAGES

LANGUAGE = "PLAIT_LANG"  # the language where --lang is not typed


def source_there(path: str) -> str:
    """Say that what shall be indexed is not there before a model is loaded, which takes seconds."""
    if path.strip() and not os.path.exists(path):
        raise FileNotFoundError(
            f"no such folder or file: {path!r} (looked in {os.path.dirname(os.path.abspath(path))!r})"
        )
    return path


def there(path: str | None) -> str | None:
    """Say that a table is not there before a model is loaded, which takes seconds."""
    if path is not None and path.strip() and not os.path.exists(path):
        raise FileNotFoundError(f"no such table: {path!r} (looked in {os.path.dirname(os.path.abspath(path))!r})")
    return path


def index_there(folder: Path) -> Path:
    """Say that an index is not there before what reads one is imported, which takes seconds."""
    if not os.path.lexists(folder / "index.json"):
        if folder.is_dir() and folder.name.endswith(".lance"):
            raise ValueError(f"{folder} is a published index, which plait search reads; type the folder it came from")
        what = "holds no index.json" if folder.is_dir() else "is not a folder" if folder.exists() else "does not exist"
        raise FileNotFoundError(f"{folder} {what}; make an index with plait index build MODEL SOURCE -o {folder}")
    return folder


def searchable_there(place: str) -> str:
    """As ``index_there``, but what was published as a Lance table, which may be an address, is looked at later."""
    if "://" not in place and not place.rstrip("/").endswith(".lance"):
        index_there(Path(place))
    return place


def _report_place(path: Path | None) -> Path | None:
    """Say that a report cannot be written before a model is loaded, which takes seconds."""
    from plait.api import check_report_place

    check_report_place(path)
    return path


def _keep_to(context: typer.Context, size: str | None) -> str | None:
    """Keep the whole command to a bound of memory, which a model that is loaded counts towards too."""
    if size is not None and not context.resilient_parsing:
        from plait.api import memory_bound

        context.with_resource(memory_bound(size))
    return size


def _known_encoding(name: str | None) -> str | None:
    if name is not None:
        try:
            codecs.lookup(name)
        except LookupError as error:
            raise ValueError(f"unknown encoding {name!r} (encoding=); expected one such as utf-8 or gb18030") from error
    return name


def one_of(
    what: str, names: Sequence[str], where: str = "", added: Registry[Any] | None = None
) -> Callable[[str | None], str | None]:  # fmt: skip
    """Refuse a mistyped word at once, before a model is loaded, which takes seconds; plug-ins may have ``added`` it."""

    def checked(word: str | None) -> str | None:
        if word is not None and word not in names and (added is None or word not in added):
            others = [] if added is None else added.names()
            raise ValueError(unknown_name(what, word, [*names, *others], where=where))
        return word

    return checked


def _spoken(context: typer.Context, lang: str | None) -> str | None:
    """Check the language, that of the outer verb in a verb inside it, and speak it: progress, notes."""
    source = context.get_parameter_source("lang")
    is_typed = source is None or source.name != "ENVIRONMENT"
    lang = one_of("language", PAGE_LANGUAGES, "--lang" if is_typed else LANGUAGE)(lang) or typed_language()
    if lang is not None and not context.resilient_parsing:
        context.with_resource(speaking(lang))
    return lang


Table = Annotated[str, typer.Argument(metavar="TABLE", help="Table, Hugging Face folder or COCO folder.")]
LabelledTable = Annotated[str, typer.Argument(metavar="TABLE", help="Rows with answers.", callback=there)]
PlainTable = Annotated[str, typer.Argument(metavar="TABLE", help="Rows to predict.", callback=there)]
Model = Annotated[Path, typer.Argument(metavar="MODEL", help="A model folder.")]
WritingModel = Annotated[
    Path, typer.Argument(metavar="MODEL", help="A model folder; or hf:ID, hf:FOLDER of a vision-language model.")
]
IndexFolder = Annotated[Path, typer.Argument(metavar="INDEX", help="An index folder.", callback=index_there)]

Target = Annotated[str | None, typer.Option(metavar="COL", help="Column to predict.")]


def _columns(what: str) -> Any:
    return Annotated[list[str] | None, typer.Option(metavar="COL", help=f"{what}; repeat it for more.")]


Text = _columns("Column of texts (columns that are not named are guessed)")
Image = _columns("Column of pictures: paths or data")
Audio = _columns("Column of sounds: paths or data")
ImageSet = _columns("Column of several pictures in a cell")
Vector = _columns("Column of ready vectors")
Numeric = _columns("Column of numbers; of the target: regression")
Categorical = _columns("Column of categories; of the target: classification")
Date = _columns("Column of dates or times")
Ignore = _columns("Column to leave out")
Split = Annotated[str | None, typer.Option(metavar="COL", help="Column with train, val, test (and calibration).")]
SplitByTime = Annotated[
    str | None,
    typer.Option(metavar="COL", help="Column of dates or numbers: the earliest rows train, the latest test."),
]
Calibration = Annotated[
    float | None,
    typer.Option(metavar="SHARE", help="Share of the rows kept for calibration, such as 0.1; they train nothing."),
]
Group = Annotated[str | None, typer.Option(metavar="COL", help="Rows of one group stay in one split.")]
Format = Annotated[str | None, typer.Option(help="Format of the source, when its name does not tell; coco.")]
Encoding = Annotated[
    str | None,
    typer.Option(help="Encoding of a text table that is not UTF-8, such as gb18030.", callback=_known_encoding),
]
Memory = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE",
        help="Most memory to hold: 4GB, 512MB, 3GiB.",
        show_default="four fifths of what is free",
        callback=_keep_to,
    ),
]
Delimiter = Annotated[str | None, typer.Option(metavar="CHAR", help="What stands between the fields of a CSV file.")]
Decimal = Annotated[
    str | None,
    typer.Option(
        metavar="MARK", help="Decimal mark, . or , where 1,234 could be either number.",
        callback=one_of("decimal", (".", ","), "--decimal"),
    ),
]  # fmt: skip
DateOrder = Annotated[
    str | None, typer.Option(metavar="ORDER", help="dmy or mdy, where 05/03/2024 could be either day.")
]
Names = Annotated[
    str | None, typer.Option(metavar="A,B,...", help="Names of the columns of a CSV or TSV without a header line.")
]
Annotations = Annotated[str | None, typer.Option(help="COCO annotations folder, if not DIR/annotations.")]
_BAD_ROWS = "A row that cannot be read: error, missing (cell counts as missing) or skip."
_checked = one_of("word after --on-bad-row", BAD_ROW_POLICIES)
BadRows = Annotated[str | None, typer.Option(help=_BAD_ROWS, show_default="error", callback=_checked)]
BadRowsMissing = Annotated[str | None, typer.Option(help=_BAD_ROWS, show_default="missing", callback=_checked)]
Rows = Annotated[
    str | None,
    typer.Option(
        help="Split to look at: test, val, train or all.", show_default="test; without one val, else all",
        callback=one_of("word after --rows", ("test", "val", "train", "all")),
    ),
]  # fmt: skip
AllowOutside = Annotated[
    bool, typer.Option("--allow-outside", help="Let cells name files outside the table's folder, if you trust it.")
]
AllowRemote = Annotated[
    bool,
    typer.Option(
        "--allow-remote", help="Fetch cells that are addresses (s3://, gs://, hf://, https://), if you trust the table."
    ),
]
Settings = Annotated[list[str] | None, typer.Option("--set", metavar="A.B=C", help="Any other setting.")]
SetLater = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="A.B=C", help="data.max_pixels=N, for larger pictures; augment.test_views=K."),
]
Report = Annotated[
    Path | None, typer.Option(help="Write an HTML report here (JSON beside it).", callback=_report_place)
]
Lang = Annotated[
    str | None,
    typer.Option(
        help="Language of pages and of what is printed: " + " or ".join(PAGE_LANGUAGES) + ".",
        show_default="that of plait fit, en", callback=_spoken, envvar=LANGUAGE,
    ),
]  # fmt: skip
SpokenLang = Annotated[
    str | None,
    typer.Option(
        help="Language of what is printed: " + " or ".join(PAGE_LANGUAGES) + ".",
        show_default="en",
        callback=_spoken,
        envvar=LANGUAGE,
    ),
]
IndexModel = Annotated[Path | None, typer.Option("--model", help="The model, when it lies elsewhere now.")]
Describe = Annotated[
    Path | None,
    typer.Option(metavar="YAML", help="Classes in words, for a model of two towers: class and sentences in YAML."),
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show no progress.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else there.")]


def passed_on(context: typer.Context, function: Callable[..., Any]) -> dict[str, Any]:
    """What was typed and the function takes under the same name; what was not typed keeps the function's default."""
    taken = inspect.signature(function).parameters
    return {name: value for name, value in context.params.items() if name in taken and value not in (None, (), [])}
