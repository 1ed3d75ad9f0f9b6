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
from typing import Any

import numpy as np

from plait.augment.audio import draw_sound
from plait.augment.consistency import Allowed
from plait.augment.image import draw_image
from plait.augment.text import draw_text
from plait.settings.augmentation import AugmentSettings

VERSION = 1  # of how views are drawn and made; stored features of others are not taken for these
View = Callable[[Any], Any]


@dataclass
class ItemViews:
    """The views of the items of one modality, which are numbered behind the items themselves.

    Attributes:
        kind: "text", "image" or "audio".
        keys: sha256 of each item's content.
        settings: What is changed, and how strongly.
        seed: Of everything drawn.
        allowed: What the words beside each item allow; of a text ``flip`` says that its sides change places in words.
        is_shown: Whether each item has views; those of no training row have none.
        texts: The items of a modality of texts.
        epochs: Epochs with views of their own.
        max_pixels: Larger pictures are refused.
        max_seconds: Longer sounds are cut.
    """

    kind: str
    keys: list[str]
    settings: AugmentSettings
    seed: int
    allowed: list[Allowed]
    is_shown: np.ndarray
    texts: list[str] = field(default_factory=list)
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

    def change_of(self, number: int) -> tuple[int, View]:
        """The item of a view's number, and what makes the view of it."""
        item, view = divmod(number - len(self.keys), self.each)
        return item, self.view(item, view + 1)

    def view(self, item: int, number: int) -> View:
        """What makes one view of an item.

        Args:
            item: Number of the item.
            number: 1 to ``each``.
        """
        generator = counted(self.seed, self.keys[item], number)
        flip = ((number - 1) % (self.settings.views - 1)) % 2 == 0
        allowed = self.allowed[item]
        if self.kind == "text":
            return draw_text(generator, self.texts[item], self.settings.text, mirror=flip and allowed.flip)
        if self.kind == "audio":
            return draw_sound(generator, self.settings.audio, max_seconds=self.max_seconds)
        return draw_image(
            generator, self.settings.image, allowed, flip=flip, strength=self.settings.strength,
            max_pixels=self.max_pixels,
        )  # fmt: skip

    def all_keys(self) -> list[str | None]:
        """The keys of items and views by number; None of views that are never shown. A view that is its item shares."""
        found: list[str | None] = list(self.keys)
        for item in range(len(self.keys)):
            is_shown = bool(self.is_shown[item])
            found += [self.key_of(item, n) if is_shown else None for n in range(1, self.each + 1)]
        return found

    def key_of(self, item: int, number: int) -> str:
        """What a view's features are stored by: the content of the item and how it is changed."""
        told = self.view(item, number).to_json()  # type: ignore[attr-defined]
        return view_key(self.keys[item], told) if told else self.keys[item]


def view_key(key: str, told: list[Any]) -> str:
    """sha256 hex of an item's content and a change of it."""
    return hashlib.sha256(json.dumps([VERSION, key, told], ensure_ascii=True).encode()).hexdigest()


def counted(seed: int, *counters: int | str) -> np.random.Generator:
    """A generator that depends on a seed and counters alone.

    Example:
        >>> counted(0, "row", 3).random() == counted(0, "row", 3).random() != counted(0, "row", 4).random()
        True
    """
    digest = hashlib.sha256(json.dumps([seed, *counters]).encode()).digest()
    return np.random.Generator(np.random.Philox(key=np.frombuffer(digest[:16], dtype=np.uint64)))


def views_of_epoch(seed: int, epoch: int, num_rows: int, views: int) -> np.ndarray:
    """Which view each row shows in an epoch, [num_rows], each number from 0 to ``views`` - 1 as likely."""
    return counted(seed, "epoch", epoch).integers(0, views, size=num_rows)
