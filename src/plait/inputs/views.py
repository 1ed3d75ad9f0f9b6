"""Views of a table's training rows: which changes the words of each row allow, and the changed copies made ready.

A modality with a frozen encoder has its views encoded once and kept in the feature store; of one that is trained they
are made batch by batch, others in each epoch. Numbers and categories swap cells as they are taken. Validation and test
rows have no views.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from plait.data.modality import Modality
from plait.data.progress import Progress
from plait.data.rows import Items, Rows
from plait.inputs.dataset import LiveSetSource, SetSource, Source, TensorSource
from plait.inputs.feature_store import FeatureStore, encode_items
from plait.inputs.inputs import Inputs
from plait.inputs.modality_kinds import MODALITY_KINDS, loader
from plait.inputs.prepare import Prepared, with_words
from plait.processors.augment.consistency import Allowed, Shown, mirrored, names_colour, names_place, names_side, spread
from plait.processors.augment.numbers import swapped
from plait.processors.augment.views import ItemViews, generator_of, views_of_epoch
from plait.registry import counted
from plait.settings import AugmentSettings

PROBED = 16  # views that are encoded first, to tell how long the others will take


@dataclass
class TrainingViews:
    """What views rows of a table show, epoch by epoch.

    Attributes:
        settings: What is changed.
        seed: Of everything drawn.
        num_rows: Rows of the table.
        items: Views of the items, by name of the modality.
        pools: Of modalities of numbers, the items that training rows show.
        shows_itself: Whether a view may be the item itself; False: every row shows a changed copy.
    """

    settings: AugmentSettings
    seed: int
    num_rows: int
    items: dict[str, ItemViews] = field(default_factory=dict)
    pools: dict[str, np.ndarray] = field(default_factory=dict)
    shows_itself: bool = True
    _drawn: tuple[int, np.ndarray] | None = None

    def take(
        self, sources: dict[str, Source], index_BM: np.ndarray, positions_B: np.ndarray, clean_B: np.ndarray, epoch: int
    ) -> dict[str, dict[str, Tensor]]:
        """Tensors per modality of the views that rows show; all modalities of a row show the view of one number."""
        view_B = np.where(clean_B, 0, self.of_epoch(epoch)[positions_B])
        taken = {}
        for m, (name, source) in enumerate(sources.items()):
            index_B = index_BM[:, m]
            views = self.items.get(name)
            taken[name] = source.take(index_B if views is None else views.number_of(index_B, view_B, epoch))
            if name in self.pools:
                generator = generator_of(self.seed, "swap", name, epoch, *positions_B[:1].tolist())
                everything = cast(TensorSource, source).tensors
                pool, rate = self.pools[name], self.settings.numbers
                taken[name] = swapped(taken[name], everything, generator, pool, rate, (view_B > 0) & (index_B >= 0))
        return taken

    def of_epoch(self, epoch: int) -> np.ndarray:
        """The view of each row of the table in an epoch."""
        if self._drawn is None or self._drawn[0] != epoch:
            least = 0 if self.shows_itself else 1
            drawn = views_of_epoch(self.seed, epoch, self.num_rows, self.settings.views - least) + least
            self._drawn = epoch, drawn
        return self._drawn[1]


def rows_allow(
    rows: Rows, train: np.ndarray, words_of_row: Callable[[int], list[str]], settings: AugmentSettings
) -> dict[str, list[Allowed]]:
    """What may be changed of the items of each modality of pictures and texts.

    An item is changed in one way wherever it is shown, so what one training row forbids is forbidden. A text's ``flip``
    says that its sides change places in words in mirrored views.

    Args:
        rows: All rows.
        train: Positions of the training rows.
        words_of_row: Texts that belong to a row beside its texts and categories, such as its target.
        settings: What is changed.
    """
    kinds = {name: MODALITY_KINDS.get(items.modality.kind) for name, items in rows.items.items()}
    makers = {n: kind.views for n, kind in kinds.items() if kind.views is not None and kind.views.is_picture}
    pictures = {n: rows.items[n] for n in makers}
    texts = {n: i for n, i in rows.items.items() if kinds[n].has_words}
    target = [words_of_row(int(i)) for i in train]
    fixed = [i for n, i in rows.items.items() if kinds[n].has_columns]
    finds = {"side": names_side, "place": names_place, "colour": names_colour}
    named = {}
    for what, find in finds.items():
        by_text = {name: np.array([find(t) for t in items.cells], dtype=bool) for name, items in texts.items()}
        in_text_R = _any_of_rows([(items, by_text[name]) for name, items in texts.items()], train)
        cells = [(i, np.array([any(map(find, _words(cell))) for cell in i.cells], dtype=bool)) for i in fixed]
        elsewhere_R = _any_of_rows(cells, train) | np.array([any(map(find, words)) for words in target], dtype=bool)
        named[what] = by_text, in_text_R, elsewhere_R
    by_text, in_text_R, elsewhere_R = named["side"]
    shown = [shown_items(items, train) for items in pictures.values()]
    sided = []
    flip_R = ~elsewhere_R & ~in_text_R
    if settings.mirror == "words":
        clear = {n: np.array([mirrored(t) is not None for t in items.cells], dtype=bool) for n, items in texts.items()}
        has_picture_R = _any_of_rows([(i, np.ones(len(i.keys), dtype=bool)) for i in pictures.values()], train)
        unclear_R = _any_of_rows([(items, ~clear[name]) for name, items in texts.items()], train)
        flip_R = ~elsewhere_R & ~unclear_R & (has_picture_R | ~in_text_R)
        sided = [shown_items(items, train, by_text[name]) for name, items in texts.items()]
    are_still = settings.mirror == "never" or not any(maker.is_on(settings) for maker in makers.values())
    if are_still or any(names_side(i.modality.columns[0]) for i in pictures.values()):
        flip_R = np.zeros_like(flip_R)
    flip_R = spread(flip_R, [*shown, *sided])
    turn_R = spread(~(in_text_R | elsewhere_R | named["place"][1] | named["place"][2]), shown)
    colour_R = spread(~(named["colour"][1] | named["colour"][2]), shown)
    found = {}
    for (name, items), one in zip(pictures.items(), shown, strict=True):
        single = items if items.parts is None else items.parts
        three = (one.allowed(flip_R), one.allowed(turn_R), one.allowed(colour_R))
        found[name] = [Allowed(*map(bool, of_item)) for of_item in zip(*three, strict=True)]
        assert len(found[name]) == len(single.keys)
    for name, items in texts.items():
        swaps = by_text[name] & (settings.mirror == "words") & shown_items(items, train).allowed(flip_R)
        found[name] = [Allowed(flip=bool(one)) for one in swaps]
    return found


def add_views(
    inputs: Inputs,
    prepared: Prepared,
    train: np.ndarray,
    words_of_row: Callable[[int], list[str]] | None,
    settings: AugmentSettings,
    *,
    seed: int,
    epochs: int,
    max_seconds: float,
    also: np.ndarray | None = None,
    store: FeatureStore | None = None,
    progress: Progress | None = None,
) -> TrainingViews | None:
    """Make the views of a table's training rows ready; None where ``augment.views`` is 1.

    Args:
        inputs: Processors and encoders.
        prepared: All rows; sources of frozen modalities are completed by their views.
        train: Positions of the training rows.
        words_of_row: As in ``views_of_items``.
        settings: What is changed.
        seed: Of everything drawn.
        epochs: Epochs in which encoders that are trained see views of their own.
        max_seconds: Longer sounds are cut.
        also: Positions of further rows that have views, unlabelled ones; their cells are swapped into no other row.
        store: Where features are kept.
        progress: Called with (done, total, what); before views are encoded it is told how many and how long.
    """
    if settings.views == 1:
        return None
    rows = prepared.rows
    made = TrainingViews(settings, seed, len(rows))
    fixed = {m.name for m in inputs.modalities if m.name in inputs.frozen or rows.items[m.name].parts is not None}
    shown = train if also is None else np.concatenate([train, also])
    found = views_of_items(
        rows, shown, words_of_row, settings, seed=seed, epochs={n: 1 if n in fixed else epochs for n in rows.items},
        max_pixels=inputs.max_pixels, max_seconds=max_seconds,
    )  # fmt: skip
    wanted: list[tuple[Modality, Items, ItemViews]] = []
    for modality in inputs.modalities:
        name, items = modality.name, rows.items[modality.name]
        swaps = MODALITY_KINDS.get(modality.kind).has_columns and settings.numbers > 0
        if swaps and isinstance(prepared.sources[name], TensorSource):
            made.pools[name] = np.unique(items.index_N[train][items.index_N[train] >= 0])
        if name not in found:
            continue
        single, views = items if items.parts is None else items.parts, found[name]
        single.changes = views
        made.items[name] = views if items.parts is None else _of_sets(items, views)
        if name in inputs.frozen:
            wanted.append((modality, single, views))
        elif items.parts is not None:
            live = cast(LiveSetSource, prepared.sources[name])
            prepared.sources[name] = LiveSetSource(live.source, _members(items, views))
    for modality, single, views in wanted:
        source: Source = _encoded(inputs, prepared, modality, single, views, store, progress)
        items = rows.items[modality.name]
        if items.parts is not None:
            source = SetSource(source, _members(items, views), has_tokens=inputs.with_tokens)
        load = loader(single, rows.table.media_folder)
        prepared.sources[modality.name] = with_words(source, inputs, modality, load)
    return made


def views_of_items(
    rows: Rows, train: np.ndarray, words_of_row: Callable[[int], list[str]] | None, settings: AugmentSettings, *,
    seed: int, epochs: dict[str, int], max_pixels: int, max_seconds: float,
) -> dict[str, ItemViews]:  # fmt: skip
    """The views of the items that training rows show, of the members of sets, by name of the modality.

    Args:
        rows: All rows.
        train: Positions of the training rows.
        words_of_row: Texts that belong to a row beside its inputs, such as its target; None: no words are read, and
            what any could forbid is forbidden, so that a row's views depend on no other row.
        settings: What is changed.
        seed: Of everything drawn.
        epochs: Of each modality, the epochs that see views of their own.
        max_pixels: Larger pictures are refused.
        max_seconds: Longer sounds are cut.
    """
    allowed = _whatever_is_said(rows) if words_of_row is None else rows_allow(rows, train, words_of_row, settings)
    made = {}
    for name, items in rows.items.items():
        maker = MODALITY_KINDS.get(items.modality.kind).views
        if maker is None or not maker.is_on(settings):
            continue
        single = items if items.parts is None else items.parts
        made[name] = ItemViews(
            maker, single.keys, settings, seed, allowed.get(name, [Allowed()] * len(single.keys)),
            np.isin(np.arange(len(single.keys)), shown_items(items, train).item_E),
            cells=single.cells, epochs=epochs[name], max_pixels=max_pixels, max_seconds=max_seconds,
        )  # fmt: skip
    return made


def _whatever_is_said(rows: Rows) -> dict[str, list[Allowed]]:
    """What may be changed whatever the words of a row are: all of pictures that stand beside none, else nothing."""
    kinds = {name: MODALITY_KINDS.get(items.modality.kind) for name, items in rows.items.items()}
    free = not any(kind.has_words or kind.has_columns for kind in kinds.values())
    found = {}
    for name, items in rows.items.items():
        maker, single = kinds[name].views, items if items.parts is None else items.parts
        is_free = free and maker is not None and maker.is_picture
        found[name] = [Allowed(is_free, is_free, is_free)] * len(single.keys)
    return found


def _encoded(
    inputs: Inputs, prepared: Prepared, modality: Modality, single: Items, views: ItemViews,
    store: FeatureStore | None, progress: Progress | None,
) -> Source:  # fmt: skip
    """Features of items and views; the cost is told before it is paid, by the time that the first views take."""
    rows, name = prepared.rows, modality.name
    usable = np.zeros(len(single.keys), dtype=bool)
    usable[shown_items(rows.items[name], np.arange(len(rows))).item_E] = True
    keys = [k if number >= len(usable) or usable[number] else None for number, k in enumerate(views.all_keys())]
    load = loader(single, rows.table.media_folder)

    def encode(chosen: list[str | None], report: Progress | None) -> Source:
        source, _ = encode_items(
            store or FeatureStore(), inputs.frozen[name], inputs.processors[name], chosen, load,
            with_tokens=inputs.with_tokens and not MODALITY_KINDS.get(modality.kind).is_set,
            device=inputs.device or ("cuda" if torch.cuda.is_available() else None), progress=report,
            engine=inputs.references[name].get("engine", inputs.engine) if inputs.is_new else inputs.engine,
        )  # fmt: skip
        return source

    if progress is not None:
        places = [i for i in range(len(usable), len(keys)) if keys[i] is not None]
        first = set(places[:PROBED])
        started = time.monotonic()
        encode([key if i in first else None for i, key in enumerate(keys)], None)
        seconds = (time.monotonic() - started) / max(1, len(first)) * (len(places) - len(first))
        what = f"{len(places):,} views of {counted(int(views.is_shown.sum()), 'item')} of {name!r}"
        progress(0, len(places), f"encoding {what}: about {seconds:.0f} s where none is stored")
    return encode(keys, progress)


def _members(items: Items, views: ItemViews) -> list[list[int]]:
    """Members of sets, then of the views of each set: the views of its members of the same number."""
    members: list[list[int]] = list(items.cells)
    for one in items.cells:
        part = np.array(one, dtype=np.int64)
        members += [views.number_of(part, np.full(len(part), v), 0).tolist() for v in range(1, views.each + 1)]
    return members


def _of_sets(items: Items, views: ItemViews) -> ItemViews:
    """The numbers of views of sets; what is changed are their members."""
    every = np.ones(len(items.keys), dtype=bool)
    return ItemViews(views.maker, items.keys, views.settings, views.seed, [], every)


def shown_items(items: Items, positions: np.ndarray, chosen: np.ndarray | None = None) -> Shown:
    """Which single items rows show, members for sets; only those ``chosen`` by item."""
    index_R = items.index_N[positions]
    if items.parts is None:
        rows = np.flatnonzero(index_R >= 0)
        if chosen is not None:
            rows = rows[chosen[index_R[rows]]]
        return Shown(rows, index_R[rows], len(items.keys))
    pairs = [(r, part) for r, number in enumerate(index_R.tolist()) if number >= 0 for part in items.cells[number]]
    row_E, item_E = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return Shown(row_E, item_E, len(items.parts.keys))


def _any_of_rows(found: list[tuple[Items, np.ndarray]], positions: np.ndarray) -> np.ndarray:
    """Whether any item that a row shows has a property, which is given by item."""
    any_R = np.zeros(len(positions), dtype=bool)
    for items, has in found:
        any_R |= np.append(has, False)[items.index_N[positions]]
    return any_R


def _words(cell: Any) -> list[str]:
    """The categories of a row in words."""
    return [str(value) for value in cell.values() if isinstance(value, str)]
