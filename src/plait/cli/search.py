"""``plait search``: find items of an index by a text, a picture, or both.

``--nprobes`` and ``--refine`` go with LanceDB and are left out of the help: see docs/decisions/0012-index.md.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from plait.cli.options import AllowRemote, IndexModel, Json, Lang, searchable_there
from plait.cli.speaking import Speaker, note
from plait.cli.terminal import can_write_page, print_json, printable, say, write_page

SHOWN_TEXT = 80  # columns of text a line


def _picture_there(path: Path | None) -> Path | None:
    """Say that a picture is not there before a model is loaded, which takes seconds."""
    if path is not None and not path.exists():
        raise FileNotFoundError(f"no such picture: {str(path)!r} (looked in {str(path.absolute().parent)!r})")
    return path


def search(
    index: Annotated[
        str,
        typer.Argument(
            metavar="INDEX", help="An index folder, or a published s3://B/NAME.lance.", callback=searchable_there
        ),
    ],
    text: Annotated[str | None, typer.Argument(metavar="[TEXT]", help="What to look for, in words.")] = None,
    image: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What to look for, as a picture.", callback=_picture_there)
    ] = None,
    k: Annotated[int, typer.Option("--k", "-k", min=1, help="How many hits.")] = 12,
    where: Annotated[str | None, typer.Option(metavar="EXPR", help="Only items that fit: \"label = 'dog'\".")] = None,
    model: IndexModel = None,
    weight: Annotated[float, typer.Option(help="With text and picture: the share of the text, 0 to 1.")] = 0.5,
    text_modality: Annotated[str | None, typer.Option(help="Which text modality, if the model has several.")] = None,
    image_modality: Annotated[str | None, typer.Option(help="Which image modality, if it has several.")] = None,
    device: Annotated[str, typer.Option(help="Where scores are computed: cpu or cuda.")] = "cpu",
    nprobes: Annotated[int | None, typer.Option(hidden=True, help="LanceDB: partitions that are looked into.")] = None,
    refine: Annotated[
        int | None, typer.Option(hidden=True, help="LanceDB: take so many times k, sort by exact scores.")
    ] = None,
    allow_remote: AllowRemote = False,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a page with the hits.")] = None,
    lang: Lang = None,
    as_json: Json = False,
) -> None:
    """Find the items nearest to a text, a picture, or both."""
    if text is None and image is None:
        raise ValueError("there is no query; type a text, image=FILE, or both")
    if text is not None and not text.strip():
        raise ValueError("the query text is empty; type what you look for, in quotes")
    if html is not None:
        can_write_page(html)
    from plait.index import (  # takes seconds to import
        accuracy_note,
        is_published,
        letters_note,
        missing_note,
        open_index,
    )

    opened = open_index(index, model, allow_remote=allow_remote)
    opened.tune(nprobes=nprobes, refine=refine)
    query = opened.query(text, image=image, weight=weight, text_modality=text_modality, image_modality=image_modality)
    if text is not None and (unread := letters_note(opened.embedder, opened.manifest.modality, text, text_modality)):
        sys.stderr.write(note(unread) + "\n")
    hits = opened.search_queries([query], k=k, where=where, device=device)[0]
    if html is not None:
        page = opened.hits_page(hits, query, text=text, image=image, where=where, weight=weight, lang=lang or "en")
        write_page(html, page)
    kinds = {kind for kind, given in (("text", text), ("image", image)) if given is not None}
    accuracy = accuracy_note(opened.embedder, opened.manifest.modality, kinds)
    if as_json:
        asked = {"text": text, "image": str(image) if image else None, "where": where, "k": k}
        found: dict[str, Any] = {"index": str(index), "items": len(opened), "query": asked, "score": query.measure}
        found["hits"] = [hit.to_json() for hit in hits]
        found["note"] = accuracy
        found["missing"] = sum(hit.is_missing for hit in hits)
        print_json({**found, **({"html": str(html)} if html else {})}, texts=True)
        return
    speak = Speaker(lang)
    for hit in hits:
        text_of_hit = " ".join(hit.text().split())
        text_of_hit = text_of_hit if len(text_of_hit) <= SHOWN_TEXT else text_of_hit[: SHOWN_TEXT - 1] + "\u2026"
        also = speak(f" (and {len(hit.aliases)} with the same bytes)") if hit.aliases else ""
        say(
            f"{hit.rank:3}  {hit.score:.3f}  {printable(hit.id)}{also}"
            + (f"  {printable(text_of_hit)}" if text_of_hit else "")
        )
    for told in (accuracy, None if is_published(index) else missing_note(hits, index)):
        if told is not None:
            say(f"{speak('note')}{speak.colon}{printable(speak(told))}")
    if not hits:
        say(speak("nothing in the index fits" if len(opened) else "the index is empty"))
    if html is not None:
        say(f"{speak('page', 'extra')}{speak.colon}{html}")
