"""Views of a table: one number for all modalities of a row, other ones each epoch, equal ones under an equal seed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from fixtures.lazy import lazy
from fixtures.settings import QUICK
from plait.data.modality import Modality
from plait.data.rows import Items, Rows
from plait.processors.augment.views import ItemViews, generator_of, views_of_epoch
from plait.settings import AugmentSettings

fit = lazy("plait", "fit")
inputs_views = lazy("plait.inputs.views")
kinds = lazy("plait.inputs", "MODALITY_KINDS")

SETTINGS = AugmentSettings(views=4)


def test_views_of_an_epoch_are_its_own_and_the_seeds() -> None:
    first, again, later = (views_of_epoch(3, epoch, 4000, 4) for epoch in (0, 0, 1))
    assert np.array_equal(first, again)
    assert 0.7 < (first != later).mean() < 0.8  # three in four
    assert not np.array_equal(first, views_of_epoch(4, 0, 4000, 4))
    assert np.abs(np.bincount(first, minlength=4) / 4000 - 0.25).max() < 0.03
    assert not views_of_epoch(0, 5, 10, 1).any()
    assert generator_of(0, "a", 1).random() != generator_of(0, "a", 2).random()


def texts(**changed: Any) -> ItemViews:
    words = [f"number {i} of many rather long and quite boring sentences" for i in range(3)]
    keys, settings = ["a" * 64, "b" * 64, "c" * 64], changed.pop("settings", SETTINGS)
    return ItemViews(
        kinds.get("text").views, keys, settings, changed.pop("seed", 0),
        [replace(inputs_views.Allowed(), flip=False)] * 3, np.array([True, True, False]), cells=words, **changed,
    )  # fmt: skip


def test_numbers_of_views_lead_back_to_items() -> None:
    views = texts()
    index_B, view_B = np.array([0, 1, 1, 2, -1]), np.array([1, 0, 3, 3, 2])
    assert views.number_of(index_B, view_B, 0).tolist() == [3, 1, 8, 2, -1]  # item 2 is in no training row
    assert views.number_of(index_B, view_B, 9).tolist() == [3, 1, 8, 2, -1]  # frozen: the same in every epoch
    assert views.change_of(8)[0] == 1 and views.change_of(3)[0] == 0
    fresh = texts(epochs=2)
    assert fresh.number_of(np.array([1, 1]), np.array([3, 3]), 0).tolist() == [3 + 6 + 2] * 2
    assert fresh.number_of(np.array([1]), np.array([3]), 1).tolist() == [3 + 6 + 5]
    assert fresh.change_of(14)[0] == 1


def test_keys_tell_views_apart_and_stay() -> None:
    keys = texts().all_keys()
    assert len(keys) == 12 and keys[:3] == ["a" * 64, "b" * 64, "c" * 64] and keys[9:] == [None] * 3
    assert keys == texts().all_keys() and len(set(keys[3:9])) > 3
    assert keys[3:9] != texts(seed=1).all_keys()[3:9]
    still = texts(settings=AugmentSettings(views=4, text=0.0)).all_keys()
    assert still[3:9] == ["a" * 64] * 3 + ["b" * 64] * 3  # a view that changes nothing is the item


def rows_of(captions: list[str], pictures: list[int]) -> Rows:
    known = list(dict.fromkeys(captions))
    index = np.array([known.index(c) for c in captions])
    photos = Items(Modality("photo", "image", ("photo",)), [str(i) for i in range(4)], [b""] * 4, np.array(pictures))
    words = Items(Modality("caption", "text", ("caption",)), list(known), known, index)
    return Rows(list(range(len(captions))), {"photo": photos, "caption": words})  # type: ignore[arg-type]


CAPTIONS = ["a dog on the left", "two dogs", "a red car", "all right then"]


def allowed(mirror: str, words: list[list[str]] | None = None, pictures: tuple[int, ...] = (0, 0, 1, 2)) -> Any:
    rows = rows_of(CAPTIONS, list(pictures))
    target = words or [[]] * 4
    settings = AugmentSettings(views=2, mirror=mirror)
    return inputs_views.rows_allow(rows, np.arange(4), lambda row: target[row], settings)


def test_what_words_forbid_reaches_every_row_of_a_picture() -> None:
    found = allowed("auto")
    assert [a.flip for a in found["photo"]] == [False, True, False, True]
    assert [a.recolour for a in found["photo"]] == [True, False, True, True]
    assert not any(a.flip for a in found["caption"])
    assert not any(a.flip for a in allowed("never")["photo"][:3])  # the fourth is in no row


def test_both_are_mirrored_or_none() -> None:
    found = allowed("words")
    assert [a.flip for a in found["photo"]] == [True, True, False, True]  # "all right" may mean something else
    assert [a.flip for a in found["caption"]] == [True, False, False, False]
    still = inputs_views.rows_allow(
        rows_of(CAPTIONS, [0, 0, 1, 2]), np.arange(4), lambda row: [],
        AugmentSettings(views=2, mirror="words", image="none"),
    )  # fmt: skip
    assert not any(a.flip for a in still["caption"])  # pictures that stay as they are keep their words
    missing = allowed("words", pictures=(-1, 0, 1, 2))
    assert not missing["caption"][0].flip  # no picture that could be mirrored with it


def test_a_target_forbids_as_a_caption_does() -> None:
    found = allowed("words", [["left"], [], ["up"], []])
    assert [a.flip for a in found["photo"]] == [False, True, False, True]
    assert not found["caption"][0].flip
    assert [a.turn for a in found["photo"]] == [False, False, False, True]
    assert not allowed("auto", [["blue"], [], [], []])["photo"][0].recolour


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    folder = tmp_path_factory.mktemp("pictures")
    generator = np.random.default_rng(0)
    names = []
    for i in range(24):
        pixels = generator.integers(0, 90, (24, 24, 3), dtype=np.uint8)
        pixels[:, :12, 0] += np.uint8(150 * (i % 2))
        Image.fromarray(pixels).save(folder / f"{i}.png")
        names.append(str(folder / f"{i}.png"))
    captions = [f"picture number {i} of a long series of small pictures" for i in range(24)]
    return {
        "photo": names, "text": captions, "size": list(np.arange(24.0)), "label": ["ab"[i % 2] for i in range(24)],
        "split": ["train"] * 16 + ["val"] * 4 + ["test"] * 4,
    }  # fmt: skip


def run(table: dict[str, list[Any]], *more: str) -> Any:
    quick = [*QUICK, "encoders.image_size=16", "ensemble.members=[]", "fusion.alternative=none", "judge.missing_rows=0"]
    sets = [*quick, *more]
    return fit(table, target="label", split="split", epochs=3, fusion="concat", allow_outside=True, set=sets)


def weights(model: Any) -> dict[str, torch.Tensor]:
    return model.model.state_dict()  # type: ignore[no-any-return]


def same(one: Any, other: Any) -> bool:
    return all(torch.equal(a, b) for a, b in zip(weights(one).values(), weights(other).values(), strict=True))


@pytest.fixture(scope="module")
def plain(table: dict[str, list[Any]]) -> Any:
    return run(table)


def test_off_is_bit_equal_and_on_is_equal_under_one_seed(table: dict[str, list[Any]], plain: Any) -> None:
    """Of all settings of changed copies only ``views`` switches anything on."""
    assert same(plain, run(table, "augment.views=1", "augment.image=rand", "augment.text=0.5"))
    on, again = run(table, "augment.views=3"), run(table, "augment.views=3")
    assert same(on, again) and not same(plain, on)
    assert not same(on, run(table, "augment.views=3", "augment.strength=0.5"))


def test_validation_and_test_rows_stay_clean(table: dict[str, list[Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    from plait.inputs import views

    shown: list[tuple[list[int], bool]] = []
    take = views.TrainingViews.take

    def watched(self: Any, sources: Any, index_BM: Any, positions_B: Any, clean_B: Any, epoch: int) -> Any:
        shown.append((positions_B.tolist(), bool(self.of_epoch(epoch)[positions_B].any())))
        return take(self, sources, index_BM, positions_B, clean_B, epoch)

    monkeypatch.setattr(views.TrainingViews, "take", watched)
    run(table, "augment.views=3", "train.batch_size=8")
    assert len(shown) == 6 and any(has for _, has in shown)  # two batches in each of three epochs, and nothing else
    assert {row for rows, _ in shown for row in rows} == set(range(16))


@pytest.mark.parametrize("mirror", ["auto", "words"])
def test_frozen_encoders_read_views_from_the_store(
    table: dict[str, list[Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mirror: str
) -> None:
    """Encoders stand still here, so every view is encoded once: 2 of 16 texts and pictures, told before it starts."""
    from plait.encoders.base import Encoder
    from plait.inputs import inputs as inputs_file

    monkeypatch.setenv("PLAIT_CACHE", str(tmp_path))
    monkeypatch.setattr(inputs_file, "_tuning_of", lambda *_: "frozen")
    monkeypatch.setattr(Encoder, "fingerprint", property(lambda self: self.reference), raising=False)
    told: list[str] = []
    sets = [*QUICK, "encoders.image_size=16", "ensemble.members=[]", "fusion.alternative=none", "augment.views=3",
            f"augment.mirror={mirror}"]  # fmt: skip
    model = fit(table, target="label", split="split", epochs=2, fusion="concat", allow_outside=True, set=sets,
                progress=lambda done, total, what: told.append(what))  # fmt: skip
    assert any(one.startswith("encoding 32 views of 16 items of 'photo': about") for one in told)
    assert any(one.startswith("encoding 32 views of 16 items of 'text': about") for one in told)
    begun = told.index(next(t for t in told if "16 items of 'photo'" in t))
    assert "encoding images" in told[begun + 1 :]
    assert model.report["evaluation"]["metrics"]["accuracy"]["value"] >= 0


@pytest.mark.parametrize("more", [["augment.mix=cutmix"], ["train.mixup=0.4", "augment.views=2"]])
def test_mixing_changes_what_is_learned_and_repeats_under_one_seed(
    table: dict[str, list[Any]], plain: Any, more: list[str]
) -> None:
    one = run(table, *more)
    assert not same(plain, one) and same(one, run(table, *more))


def test_mixing_that_does_not_fit_is_refused_in_words(table: dict[str, list[Any]]) -> None:
    with pytest.raises(ValueError, match="leave one of them out"):
        run(table, "augment.mix=cutmix", "train.mixup=0.2")
    with pytest.raises(ValueError, match="joins pairs of retrieval, and the head here is 'label'"):
        run(table, "augment.mix=mixgen")
    without = {name: cells for name, cells in table.items() if name != "photo"}
    with pytest.raises(ValueError, match="cuts pictures whose encoder is trained, and none is"):
        run(without, "augment.mix=cutmix")


def test_pairs_that_are_drawn_anew_show_their_items_as_they_are() -> None:
    """A redrawn pair has the item of another row, whose words were never read beside it."""
    from plait.inputs.dataset import RowBatches, TensorSource

    class Watched:
        def take(self, sources: Any, index_BM: Any, positions_B: Any, clean_B: Any, epoch: int) -> Any:
            self.clean, self.moved, self.positions = clean_B, index_BM[:, 1] != rows.index_NM[:, 1], positions_B
            return {name: source.take(index_BM[:, m]) for m, (name, source) in enumerate(sources.items())}

    sources = {n: TensorSource({"vector_BD": torch.arange(40.0)[:, None]}) for n in ("image", "caption")}
    index_NM, target = np.arange(40)[:, None].repeat(2, 1), np.arange(40) % 2
    rows = RowBatches(sources, index_NM, target, np.arange(40) // 4, fresh_pairs=True)
    watched = Watched()
    seen = rows.with_views(watched, np.arange(100, 140))
    seen.__getitems__(list(range(40)))
    assert watched.positions.tolist() == list(range(100, 140))
    assert np.array_equal(watched.clean, watched.moved) and watched.clean.sum() >= 18
    assert not watched.clean[target == 1].any()
    assert rows.views is None


def test_mixgen_trains_retrieval(table: dict[str, list[Any]]) -> None:
    pairs = {name: table[name] for name in ("photo", "text", "split")}
    quick = [*QUICK, "encoders.image_size=16", "judge.missing_rows=0"]
    fits = [
        fit(pairs, task="retrieval", split="split", epochs=1, allow_outside=True, set=[*quick, *more])
        for more in ([], ["augment.mix=mixgen"], ["augment.mix=mixgen"])
    ]
    assert same(fits[1], fits[2]) and not same(fits[0], fits[1])
