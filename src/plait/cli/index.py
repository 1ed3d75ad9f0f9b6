"""``plait index``: build an index, keep it up to date, look into it, evaluate it.

What goes with LanceDB alone (``--backend``, ``--uri``, ``plait index ann``; ``--nprobes`` and ``--refine`` of ``plait
search``) works and is left out of the help: see docs/decisions/0012-index.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from plait.cli.options import (
    AllowOutside,
    AllowRemote,
    Annotations,
    Encoding,
    Format,
    IndexFolder,
    IndexModel,
    Json,
    Lang,
    Memory,
    Quiet,
    SpokenLang,
    one_of,
    source_there,
)
from plait.cli.progress import terminal_progress
from plait.cli.speaking import Speaker, typed_language
from plait.cli.terminal import can_write_page, print_json, printable, reasons, resumable, say, write_page
from plait.registry import counted

index_app = typer.Typer(help="Indexes: build, change, judge.", no_args_is_help=True, rich_markup_mode=None)
Source = Annotated[
    str,
    typer.Argument(metavar="SOURCE", help="Folder of files, table, or COCO folder or captions.", callback=source_there),
]
BadRows = Annotated[
    str,
    typer.Option(
        help="A row that cannot be read: skip (left out and listed) or error.",
        callback=one_of("word after --on-bad-row", ("skip", "error")),
    ),
]
Batch = Annotated[int, typer.Option("--batch-size", min=1, help="Rows embedded and committed at a time.")]
Id = Annotated[str | None, typer.Option("--id", metavar="COL", help="Column that names items.")]
Column = Annotated[str | None, typer.Option(metavar="COL", help="Column of the source that the model reads.")]
Prefix = Annotated[str, typer.Option(help="Text in front of every id, to tell sources apart.")]
Check = Annotated[bool, typer.Option("--check", help="Hash every file, not only those of another size or date.")]
Label = Annotated[str, typer.Option(metavar="COL", help="Metadata column with the labels.")]
READING = ("id", "column", "prefix", "format", "encoding", "annotations", "allow_outside", "allow_remote")


@index_app.command("build", epilog="Example: plait index build model photos -o photos.index")
def index_build(
    context: typer.Context,
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A retrieval model folder.")],
    source: Source,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="INDEX", help="Folder of the index.")],
    modality: Annotated[str | None, typer.Option(help="What of each row is embedded; images, or sounds.")] = None,
    backend: Annotated[str, typer.Option(hidden=True, help="exact, or lance (extra lance).")] = "exact",
    uri: Annotated[
        str | None, typer.Option(hidden=True, help="LanceDB: where the table lies, such as s3://bucket/photos.")
    ] = None,
    id: Id = None,
    column: Column = None,
    prefix: Prefix = "",
    format: Format = None,
    encoding: Encoding = None,
    annotations: Annotations = None,
    check: Check = False,
    on_bad_row: BadRows = "skip",
    allow_outside: AllowOutside = False,
    allow_remote: AllowRemote = False,
    batch_size: Batch = 512,
    memory: Memory = None,
    lang: SpokenLang = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Embed every item of a source; typed again it goes on after a stop, and takes up what changed."""
    from plait.index import build_index

    with resumable(), terminal_progress(quiet=quiet) as progress:
        index, report = build_index(
            model, source, output, modality=modality, backend=backend, uri=uri, check=check, on_bad_row=on_bad_row,
            block=batch_size, memory=memory, progress=progress, **_reading(context),
        )  # fmt: skip
    _told(report, index, as_json)


@index_app.command("add", epilog="Example: plait index add photos.index more-photos --prefix more/")
def index_add(
    context: typer.Context,
    index: IndexFolder,
    source: Source,
    model: IndexModel = None,
    id: Id = None,
    column: Column = None,
    prefix: Prefix = "",
    format: Format = None,
    encoding: Encoding = None,
    annotations: Annotations = None,
    check: Check = False,
    on_bad_row: BadRows = "skip",
    allow_outside: AllowOutside = False,
    allow_remote: AllowRemote = False,
    batch_size: Batch = 512,
    memory: Memory = None,
    lang: SpokenLang = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Add a further source, or what changed in one that is there; deleted items come back."""
    from plait.index import open_index

    opened = open_index(index, model)
    with resumable(), terminal_progress(quiet=quiet) as progress:
        report = opened.add(
            source, check=check, progress=progress, on_bad_row=on_bad_row, block=batch_size, **_reading(context)
        )
    _told(report, opened, as_json)


@index_app.command("update", epilog="Example: plait index update photos.index photos --prune")
def index_update(
    context: typer.Context,
    index: IndexFolder,
    source: Source,
    prune: Annotated[bool, typer.Option("--prune", help="Delete items that the source no longer has.")] = False,
    model: IndexModel = None,
    id: Id = None,
    format: Format = None,
    encoding: Encoding = None,
    annotations: Annotations = None,
    on_bad_row: BadRows = "skip",
    allow_outside: AllowOutside = False,
    allow_remote: AllowRemote = False,
    batch_size: Batch = 512,
    memory: Memory = None,
    lang: SpokenLang = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Hash every file of a source again: new rows, changed contents, changed metadata."""
    from plait.index import open_index

    opened = open_index(index, model)
    with resumable(), terminal_progress(quiet=quiet) as progress:
        report = opened.update(
            source, prune=prune, progress=progress, on_bad_row=on_bad_row, block=batch_size, **_reading(context)
        )
    _told(report, opened, as_json)


@index_app.command("delete", epilog="Example: plait index delete photos.index --where \"folder = 'old'\"")
def index_delete(
    index: IndexFolder,
    id: Annotated[list[str] | None, typer.Option("--id", metavar="ID", help="An item (repeat for more).")] = None,
    where: Annotated[str | None, typer.Option(metavar="EXPR", help="All items that fit.")] = None,
    lang: SpokenLang = None,
    as_json: Json = False,
) -> None:
    """Delete items by id or by a filter, until their source is added or updated again."""
    from plait.index import open_index

    opened = open_index(index)
    deleted = opened.delete(id or (), where=where)
    if as_json:
        print_json({"index": str(index), "deleted": deleted, "items": len(opened)})
    else:
        say(_tr(f"{deleted:,} deleted; {counted(len(opened), 'item')} left"))


@index_app.command("info", epilog="Example: plait index info photos.index --verify")
def index_info(
    index: IndexFolder,
    verify: Annotated[bool, typer.Option("--verify", help="Compute every checksum again.")] = False,
    lang: SpokenLang = None,
    as_json: Json = False,
) -> None:
    """Say what an index holds; exit code 1 when --verify finds damage."""
    from plait.index import open_index

    found = open_index(index).info(verify=verify)
    if as_json:
        print_json(found, texts=True)
    else:
        state = "complete" if found["complete"] else "a build was stopped; type it again to go on"
        say(
            f"{index}{Speaker(lang).colon}"
            + _tr(
                f"{counted(found['items'], 'item')}, "
                f"{counted(found['contents'], 'content', 'different contents')}; {state}"
            )
        )
        say(_tr(f"  {found['modality']} ({found['kind']}), {found['dim']} wide, backend {found['backend']}"))
        say(_tr(f"  {found['bytes'] / 1e6:.1f} MB; model {found['fingerprint'][:12]} at {found['model'] or 'unknown'}"))
        for fact in found["sources"]:
            counts = f"{counted(fact['rows'], 'row')}, {fact['empty']:,} empty, {fact['unreadable']:,} unreadable"
            moved = "; it is no longer there: plait index move INDEX OLD NEW, if it moved" if fact["is_missing"] else ""
            say(_tr(f"  source {fact['source']}: {counts}{moved}"))
        for fault in found.get("damaged", []):
            say(f"  {_tr('damaged')}{Speaker(lang).colon}{reasons(fault)}")
    if found.get("damaged"):
        raise typer.Exit(1)


@index_app.command("move", epilog="Example: plait index move photos.index /old/photos /new/photos")
def index_move(
    index: IndexFolder,
    old: Annotated[Path, typer.Argument(metavar="OLD", help="The folder where the files were.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="The folder where they are.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Look for the files, change nothing.")] = False,
    lang: SpokenLang = None,
    as_json: Json = False,
) -> None:
    """Take up that a folder of files lies elsewhere now; nothing is embedded again."""
    from plait.index import open_index

    report = open_index(index).move(old, new, dry_run=dry_run)
    if as_json:
        print_json({"index": str(index), **report.to_json()}, texts=True)
    else:
        say(reasons(_of_lines(report)))


@index_app.command(
    "publish", epilog="Example: plait index publish photos.index s3://bucket/photos.lance --allow-remote"
)
def index_publish(
    index: IndexFolder,
    place: Annotated[str, typer.Argument(metavar="PLACE", help="s3://BUCKET/NAME.lance, or a folder NAME.lance.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")] = False,
    allow_remote: Annotated[bool, typer.Option("--allow-remote", help="Write to an address.")] = False,
    lang: SpokenLang = None,
    as_json: Json = False,
) -> None:
    """Write an index as a Lance table, on object storage for one, that plait search opens from anywhere."""
    from plait.index import open_index, publish_index

    items = publish_index(open_index(index), place, allow_remote=allow_remote, overwrite=overwrite)
    if as_json:
        print_json({"index": str(index), "place": place, "items": items})
    else:
        say(f"{printable(place)}{Speaker(lang).colon}{_tr(counted(items, 'item'))}")


@index_app.command("compact", epilog="Example: plait index compact photos.index")
def index_compact(index: IndexFolder, lang: SpokenLang = None, as_json: Json = False) -> None:
    """Give back the room of deleted items and merge small files."""
    from plait.index import open_index

    before, after = open_index(index).compact()
    if as_json:
        print_json({"index": str(index), "bytes_before": before, "bytes_after": after})
    else:
        say(f"{before / 1e6:.1f} MB -> {after / 1e6:.1f} MB")


@index_app.command("duplicates", epilog="Example: plait index duplicates photos.index --html duplicates.html")
def index_duplicates(
    index: IndexFolder,
    threshold: Annotated[float, typer.Option(help="Cosine from which two items count as alike.")] = 0.95,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a page with the groups.")] = None,
    lang: Lang = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Find groups of items that show nearly the same."""
    from plait.index import open_index

    if html is not None:
        can_write_page(html)
    opened = open_index(index)
    with terminal_progress(quiet=quiet) as progress:
        groups = opened.near_duplicates(threshold, progress=progress)
    if html is not None:
        write_page(html, opened.duplicates_page(groups, threshold, lang or "en"))
    if as_json:
        found: dict[str, Any] = {"index": str(index), "threshold": threshold}
        found["groups"] = [g.to_json() for g in groups]
        print_json({**found, **({"html": str(html)} if html else {})}, texts=True)
        return
    for group in groups:
        likeness = "equal bytes" if group.contents == 1 else f"cosine from {group.lowest:.3f}"
        say(_tr(f"{len(group.ids)} items, {likeness}:"))
        for name in group.ids:
            say(f"  {printable(name)}")
    say(_tr(f"{counted(len(groups), 'group')} among {counted(len(opened), 'item')}"))
    if html is not None:
        say(f"{Speaker(lang)('page', 'extra')}{Speaker(lang).colon}{html}")


@index_app.command("knn", epilog="Example: plait index knn photos.index --label folder --k 10")
def index_knn(
    index: IndexFolder,
    label: Label,
    k: Annotated[int, typer.Option(min=1, help="How many neighbours vote.")] = 10,
    table: Annotated[str | None, typer.Option(metavar="SOURCE", help="Judge on this labelled source instead.")] = None,
    model: IndexModel = None,
    lang: SpokenLang = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """How well do neighbours tell a label? Each item by the others, or a table by the index."""
    from plait.index import open_index

    with terminal_progress(quiet=quiet) as progress:
        report = open_index(index, model).knn(label, k=k, table=table, progress=progress)
    _judged(report, as_json)


@index_app.command("zero-shot", epilog="Example: plait index zero-shot photos.index --label folder --template 'a {}'")
def index_zero_shot(
    index: IndexFolder,
    label: Label,
    template: Annotated[str, typer.Option(help="Text around the label's name, {} in its place.")] = "{}",
    model: IndexModel = None,
    lang: SpokenLang = None,
    as_json: Json = False,
) -> None:
    """How well do the labels' names, as texts, tell the items apart?"""
    from plait.index import open_index

    _judged(open_index(index, model).zero_shot(label, template=template), as_json)


@index_app.command("probe", epilog="Example: plait index probe photos.index --label folder")
def index_probe(
    index: IndexFolder,
    label: Label,
    folds: Annotated[int, typer.Option(min=2, help="Parts; each is told by a model of the others.")] = 5,
    seed: Annotated[int, typer.Option(help="Of the parts.")] = 0,
    lang: SpokenLang = None,
    as_json: Json = False,
) -> None:
    """How well does a linear model on the vectors tell a label?"""
    from plait.index import open_index

    _judged(open_index(index).probe(label, folds=folds, seed=seed), as_json)


@index_app.command("ann", hidden=True, epilog="Example: plait index ann photos.index --kind ivf_pq")
def index_ann(
    index: IndexFolder,
    kind: Annotated[str, typer.Option(help="ivf_pq, ivf_flat or hnsw.")] = "ivf_pq",
    partitions: Annotated[int | None, typer.Option(help="Parts of the space.")] = None,
    sub_vectors: Annotated[int | None, typer.Option(help="PQ: codes a vector.")] = None,
    m: Annotated[int | None, typer.Option("--m", help="HNSW: neighbours a vector.")] = None,
    ef_construction: Annotated[int | None, typer.Option(help="HNSW: candidates while building.")] = None,
    lang: SpokenLang = None,
    as_json: Json = False,
) -> None:
    """Make an approximate index of a LanceDB table: faster on millions, may miss some."""
    from plait.index import open_index

    opened = open_index(index)
    opened.build_ann(kind, partitions=partitions, sub_vectors=sub_vectors, m=m, ef_construction=ef_construction)
    if as_json:
        print_json({"index": str(index), "kind": kind, "items": len(opened)})
    else:
        say(_tr(f"{kind} over {counted(len(opened), 'item')}; searches may miss some now"))


def _reading(context: typer.Context) -> dict[str, Any]:
    """How the source is read, as far as it was typed."""
    return {name: context.params[name] for name in READING if context.params.get(name) is not None}


def _tr(text: str) -> str:
    return Speaker(typed_language())(text)


def _of_lines(report: Any) -> str:
    """The report for people, line by line in the language of ``--lang``."""
    return "\n".join(map(_tr, report.text().split("\n")))


def _told(report: Any, index: Any, as_json: bool) -> None:
    if as_json:
        print_json({"index": str(index.folder), "items": len(index), **report.to_json()})
    else:
        say(reasons(report.text(typed_language() or "en")))
        tr = Speaker(typed_language())
        say(f"{index.folder}{tr.colon}{tr(counted(len(index), 'item'))}")


def _judged(report: Any, as_json: bool) -> None:
    if as_json:
        print_json(report.to_json())
    else:
        say(reasons(_of_lines(report)))
