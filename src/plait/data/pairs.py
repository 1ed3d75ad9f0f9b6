"""Right and wrong pairs of photo and caption, balanced so that neither alone tells which is which.

In comes a table of captions, one row each; out comes a table twice as long with a column ``match``. Each row
gives its right pair and one wrong pair: the same photo with a caption moved there by a permutation of the
rows of its split. So every photo and every caption stands in exactly as many right pairs as wrong ones. A
wrong pair never holds a caption of the photo, nor a text that reads the same as one. The permutation is drawn
at random and repaired by swaps; what swaps cannot repair goes through augmenting paths (Kuhn 1955), which
find a way whenever there is one. Photos of equal content under different names are not known here as equal:
the data check finds those.
"""

from __future__ import annotations

import unicodedata
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from plait.data.table import Table

Ints = npt.NDArray[np.int64]
_SWAP_ROUNDS = 60


def make_pairs(
    table: Table, *, image: str = "image", text: str = "caption", group: str = "image_id", seed: int = 0
) -> Table:
    """Make right and wrong pairs within each split.

    Args:
        table: One row a caption. The column ``split``, where there is one, bounds the pairs.
        image: The column of photos.
        text: The column of captions.
        group: The column that says which captions belong to one photo; rows with an equal photo cell belong
            together in any case. Where the table lacks the column "image_id", the photo cell alone decides.
        seed: Same table and seed, same pairs; a split's pairs do not depend on the other splits.

    Returns:
        Columns image, text, group, ``match`` (1 right, 0 wrong) and ``split`` where there was one. Row 2i is
        the right pair of row i, row 2i + 1 the wrong pair of the same photo.

    Raises:
        ValueError: A column is missing, a cell is empty, or balanced wrong pairs do not exist.

    Example:
        >>> import pyarrow as pa
        >>> two = pa.table({"image": ["a.png", "b.png"], "caption": ["a cat", "a dog"]})
        >>> make_pairs(Table(arrow=two, root=None, source="two")).column("match")
        [1, 0, 1, 0]
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(f"seed is {seed!r}; expected a whole number of 0 or more")
    arrow = table.arrow
    has_group = group in arrow.column_names or group != "image_id"
    has_split = "split" in arrow.column_names
    names = [image, text] + ([group] if has_group else []) + (["split"] if has_split else [])
    if "match" in names or len(set(names)) != len(names):
        raise ValueError(f"pairs need different columns, none called 'match'; given {names}")
    columns = {name: table.column(name) for name in names}  # raises, naming the nearest columns
    if len(table) == 0:
        raise ValueError(f"{table.source} has no rows; pairs need captions of at least two photos")
    for name, cells in columns.items():
        empty = [row for row, cell in enumerate(cells) if cell is None]
        if empty:
            raise ValueError(
                f"column {name!r} is empty in {len(empty)} of {len(cells)} rows, row "
                f"{table.row_number(empty[0])} "
                "first; fill these cells or leave the rows out before making pairs"
            )
    not_text = [row for row, cell in enumerate(columns[text]) if not isinstance(cell, str)]
    if not_text:
        raise ValueError(
            f"column {text!r} holds no text in {len(not_text)} rows, row {table.row_number(not_text[0])} first"
        )
    photos = _codes(columns[image])
    if has_group:
        photos = _components(photos, _codes(columns[group]))
    texts = _codes([_reading(cell) for cell in columns[text]])
    splits = [str(cell) for cell in columns["split"]] if has_split else [""] * len(table)
    wrong = np.empty(len(table), np.int64)
    split_codes = _codes(splits)
    first = np.unique(split_codes, return_index=True)[1]
    for code, row in enumerate(first):
        rows = np.flatnonzero(split_codes == code)
        rng = np.random.default_rng([int(seed), zlib.crc32(splits[row].encode("utf-8"))])
        where = f"split {splits[row]!r} of {table.source}" if has_split else table.source
        wrong[rows] = rows[derange(photos[rows], texts[rows], rng, where)]
    right = np.repeat(np.arange(len(table)), 2)
    caption_rows = right.copy()
    caption_rows[1::2] = wrong
    out = {name: arrow.column(name).take(pa.array(caption_rows if name == text else right)) for name in names}
    split_column = out.pop("split", None)
    out["match"] = pa.array(np.tile(np.array([1, 0], np.int64), len(table)))
    if split_column is not None:
        out["split"] = split_column
    return Table(arrow=pa.table(out), root=table.root, source=table.source, bad_rows=table.bad_rows,
                 allow_outside=table.allow_outside, remote=table.remote)  # fmt: skip


def derange(photos: Ints, texts: Ints, rng: np.random.Generator, where: str = "the table") -> Ints:
    """A random permutation that gives row i a caption that is not true of its photo.

    Args:
        photos: Photo of each row, as numbers [N].
        texts: Text of each row, as numbers [N]; equal texts have equal numbers.
        rng: The source of randomness.
        where: What the message of the error names.

    Returns:
        The permutation [N]: the row whose caption row i takes.

    Raises:
        ValueError: There is no such permutation.
    """
    count = len(photos)
    photos, texts = _codes_of_array(photos), _codes_of_array(texts)
    width = int(texts.max()) + 1
    forbidden = np.unique(photos * width + texts)
    _refuse_crowding(photos, texts, forbidden, width, where)

    def is_wrong(rows: Ints, takes: Ints) -> npt.NDArray[np.bool_]:
        keys = photos[rows] * width + texts[takes]
        places = np.minimum(np.searchsorted(forbidden, keys), len(forbidden) - 1)
        return np.asarray(forbidden[places] == keys)

    takes = rng.permutation(count)
    bad = np.flatnonzero(is_wrong(np.arange(count), takes))
    for _ in range(_SWAP_ROUNDS):
        if len(bad) == 0:
            return takes
        partner = rng.integers(0, count, len(bad))
        both = np.stack([bad, partner], axis=1)
        first = np.full(count, -1, np.int64)  # the first swap that names a row owns it; other swaps wait
        owner = np.repeat(np.arange(len(bad)), 2)[::-1]
        first[both.reshape(-1)[::-1]] = owner
        turn = np.arange(len(bad))
        free = (first[bad] == turn) & (first[partner] == turn) & (bad != partner)
        a, b = bad[free], partner[free]
        good = ~is_wrong(a, takes[b]) & ~is_wrong(b, takes[a])
        a, b = a[good], b[good]
        takes[a], takes[b] = takes[b], takes[a]
        bad = bad[is_wrong(bad, takes[bad])]
    if len(bad):
        _augment(photos, texts, takes, bad, forbidden, width, rng, where)
    return takes


def _refuse_crowding(photos: Ints, texts: Ints, forbidden: Ints, width: int, where: str) -> None:
    """Raise at once where one photo, or one text, is true of too many rows to be paired wrongly."""
    count = len(photos)
    rows_of_photo, rows_of_text = np.bincount(photos), np.bincount(texts)
    photo, text = forbidden // width, forbidden % width
    true_of_photo = np.bincount(photo, rows_of_text[text]).astype(np.int64)
    true_of_text = np.bincount(text, rows_of_photo[photo]).astype(np.int64)
    for what, need, true in (
        ("photo", rows_of_photo, true_of_photo),
        ("caption text", rows_of_text, true_of_text),
    ):
        worst = int(np.argmax(need + true))
        if need[worst] + true[worst] > count:
            row = int(np.flatnonzero((photos if what == "photo" else texts) == worst)[0])
            raise ValueError(
                f"balanced wrong pairs do not exist in {where}: one {what} (row {row} of these {count} "
                f"rows) needs "
                f"{int(need[worst])} wrong partners and only {count - int(true[worst])} are not true of it; "
                "give more photos, or fewer captions of this one, or leave out repeated texts"
            )


def _augment(
    photos: Ints,
    texts: Ints,
    takes: Ints,
    bad: Ints,
    forbidden: Ints,
    width: int,
    rng: np.random.Generator,
    where: str,
) -> None:
    """Give each bad row a caption by an augmenting path, in place; raise where a path proves not to exist."""
    count = len(photos)
    free = np.zeros(count, bool)
    free[takes[bad]] = True
    holder = np.full(count, -1, np.int64)
    holder[takes] = np.arange(count)
    holder[takes[bad]] = -1
    bounds = np.searchsorted(forbidden, np.arange(int(photos.max()) + 2) * width)
    for start in bad:
        unseen = np.ones(count, bool)
        came_from = np.full(count, -1, np.int64)  # caption -> the row that reached it
        queue, seen_photos, end = [int(start)], {int(photos[start])}, -1
        for row in queue:
            photo = int(photos[row])
            refused = np.zeros(width, bool)
            refused[forbidden[bounds[photo] : bounds[photo + 1]] - photo * width] = True
            reached = np.flatnonzero(unseen & ~refused[texts])
            came_from[reached] = row
            unseen[reached] = False
            ends = reached[free[reached]]
            if len(ends):
                end = int(rng.choice(ends))
                break
            for nxt in holder[reached]:
                if int(photos[nxt]) not in seen_photos:  # rows of one photo reach the same captions
                    seen_photos.add(int(photos[nxt]))
                    queue.append(int(nxt))
        if end < 0:
            need = int(np.isin(photos, list(seen_photos)).sum())
            raise ValueError(
                f"balanced wrong pairs do not exist in {where}: {len(seen_photos)} photos need {need} wrong "
                f"captions, "
                f"but only {int((~unseen).sum())} of the {count} captions are not true of them; give more "
                f"photos, or "
                "fewer captions a photo (no photo may hold more than half of the captions), or leave out "
                "repeated texts"
            )
        free[end] = False
        while end >= 0:  # walk back: each row on the path takes the caption it reached
            row = int(came_from[end])
            given_up = -1 if row == start else int(takes[row])
            takes[row], holder[end] = end, row
            end = given_up


def _reading(text: str) -> str:
    """What two captions share when they read the same: case, spacing and Unicode form do not count."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _codes(cells: list[Any]) -> Ints:
    """Number the cells so that equal cells have equal numbers, by first appearance."""
    numbers: dict[Any, int] = {}
    return np.fromiter((numbers.setdefault(_key(cell), len(numbers)) for cell in cells), np.int64, len(cells))


def _key(cell: Any) -> Any:
    if isinstance(cell, dict):
        return tuple((name, _key(value)) for name, value in sorted(cell.items()))
    return tuple(map(_key, cell)) if isinstance(cell, list) else cell


def _codes_of_array(values: Ints) -> Ints:
    return np.unique(values, return_inverse=True)[1].astype(np.int64).reshape(-1)


def _components(photos: Ints, groups: Ints) -> Ints:
    """Join rows that share a photo or a group, also over several steps: one number a component."""
    parent = list(range(int(photos.max()) + int(groups.max()) + 2))
    offset = int(photos.max()) + 1

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for photo, group in np.unique(np.stack([photos, groups + offset], axis=1), axis=0):
        parent[root(int(photo))] = root(int(group))
    return _codes([root(int(photo)) for photo in photos])
