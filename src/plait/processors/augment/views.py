"""Which view of which item an epoch shows, and what that view is: drawn by counters, so that nothing has to be kept.

View 0 is the item itself, views 1 to k - 1 are changed copies. A view depends on the seed, the content of the item and
its own number alone: the same seed gives the same views on every machine, in every order, after every resumption. In
odd views pictures are mirrored and, under ``mirror="words"``, the words beside them; so the modalities of a row agree,
as they show the same number. Encoders that are trained see other views in each epoch, frozen ones the same k.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from plait.processors.augment.consistency import Allowed
from plait.settings.augmentation import AugmentSettings

VERSION = 1  # of how views are drawn and made; stored features of others are not taken for these


class ItemView(Protocol):
    """What makes one changed copy of an item."""

    def __call__(self, item: Any) -> Any:
        """The changed copy."""

    def to_json(self) -> list[Any]:
        """What tells it from other views; an empty list changes nothing."""


@dataclass(frozen=True)
class ViewMaker:
    """How items of one kind are changed.

    Attributes:
        is_on: Whether the settings change such items.
        draw: From the views, the number of an item, a generator and whether the view is a mirrored one, to a view.
        is_picture: Whether the words of a row say what may be changed.
    """

    is_on: Callable[[AugmentSettings], bool]
    draw: Callable[[ItemViews, int, np.random.Generator, bool], ItemView]
    is_picture: bool = False


@dataclass
class ItemViews:
    """The views of the items of one modality, which are numbered behind the items themselves.

    Attributes:
        maker: How they are changed.
        keys: sha256 of each item's content.
        settings: What is changed, and how strongly.
        seed: Of everything drawn.
        allowed: What the words beside each item allow; of a text ``flip`` says that its sides change places in words.
        is_shown: Whether each item has views; those of no training row have none.
        cells: The items as the table has them.
        epochs: Epochs with views of their own.
        max_pixels: Larger pictures are refused.
        max_seconds: Longer sounds are cut.
    """

    maker: ViewMaker
    keys: list[str]
    settings: AugmentSettings
    seed: int
    allowed: list[Allowed]
    is_shown: np.ndarray
    cells: list[Any] = field(default_factory=list)
    epochs: int = 1
    max_pixels: int = 64_000_000
    max_seconds: float = 30.0

    @property
    def each(self) -> int:
        """Changed views of an item, over all epochs."""
        return (self.settings.views - 1) * self.epochs

    def number_of(self, index_B: np.ndarray, view_B: np.ndarray, epoch: int) -> np.ndarray:
        """Numbers of views of items; the item's own for view 0, -1 for a missing item.

        Args:
            index_B: Numbers of the items, -1 where missing.
            view_B: Which view, 0 to ``views`` - 1.
            epoch: Counted from 0.
        """
        has_view = (index_B >= 0) & (view_B > 0)
        has_view &= np.append(self.is_shown, False)[index_B]
        place = (self.settings.views - 1) * (epoch % self.epochs) + view_B - 1
        return np.where(has_view, len(self.keys) + index_B * self.each + place, index_B)

    def change_of(self, number: int) -> tuple[int, ItemView]:
        """The item of a view's number, and what makes the view of it."""
        item, view = divmod(number - len(self.keys), self.each)
        return item, self.view(item, view + 1)

    def view(self, item: int, number: int) -> ItemView:
        """What makes one view of an item.

        Args:
            item: Number of the item.
            number: 1 to ``each``.
        """
        generator = generator_of(self.seed, self.keys[item], number)
        flip = ((number - 1) % (self.settings.views - 1)) % 2 == 0
        return self.maker.draw(self, item, generator, flip)

    def all_keys(self) -> list[str | None]:
        """The keys of items and views by number; None of views that are never shown. A view that is its item shares."""
        found: list[str | None] = list(self.keys)
        for item in range(len(self.keys)):
            is_shown = bool(self.is_shown[item])
            found += [self.key_of(item, n) if is_shown else None for n in range(1, self.each + 1)]
        return found

    def key_of(self, item: int, number: int) -> str:
        """What a view's features are stored by: the content of the item and how it is changed."""
        told = self.view(item, number).to_json()
        return view_key(self.keys[item], told) if told else self.keys[item]


def view_key(key: str, told: list[Any]) -> str:
    """sha256 hex of an item's content and a change of it."""
    return hashlib.sha256(json.dumps([VERSION, key, told], ensure_ascii=True).encode()).hexdigest()


def generator_of(seed: int, *counters: int | str) -> np.random.Generator:
    """A generator that depends on a seed and counters alone.

    Example:
        >>> generator_of(0, "row", 3).random() == generator_of(0, "row", 3).random()
        True
    """
    digest = hashlib.sha256(json.dumps([seed, *counters]).encode()).digest()
    return np.random.Generator(np.random.Philox(key=np.frombuffer(digest[:16], dtype=np.uint64)))


def views_of_epoch(seed: int, epoch: int, num_rows: int, views: int) -> np.ndarray:
    """Which view each row shows in an epoch, [num_rows], each number from 0 to ``views`` - 1 as likely."""
    return generator_of(seed, "epoch", epoch).integers(0, views, size=num_rows)
