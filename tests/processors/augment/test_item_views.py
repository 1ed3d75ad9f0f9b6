"""Single views: pictures against torchvision, texts, sounds and numbers; rates exact at 0 and 1."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from plait.data.picture import decode_image
from plait.processors.augment.audio import SoundView, draw_sound, louder, moved, without_band, without_span
from plait.processors.augment.consistency import Allowed, mirrored
from plait.processors.augment.image import COLOURING, GEOMETRIC, ImageView, apply, draw_image
from plait.processors.augment.numbers import draw_donors, swapped
from plait.processors.augment.text import TextView, draw_text, span_to_mask, words_to_drop
from plait.processors.clip import read_clip


def picture(seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((96, 64))


def png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def test_flip_twice_is_the_identity_on_image_and_caption() -> None:
    image, caption = ImageView(flip=True), TextView(mirror=True)
    data, words = png(picture()), "a dog on the left of a small cat"
    once = image(data)
    assert np.array_equal(np.asarray(decode_image(once))[:, ::-1], np.asarray(picture()))
    assert np.array_equal(np.asarray(decode_image(image(once))), np.asarray(picture()))
    assert caption(words) == "a dog on the right of a small cat"
    assert caption(caption(words)) == words


@pytest.mark.parametrize("name", [*GEOMETRIC, *COLOURING])
@pytest.mark.parametrize("level", [0, 7, 30])
def test_operations_equal_those_of_torchvision(name: str, level: int) -> None:
    from torchvision.transforms import v2

    theirs = v2.TrivialAugmentWide(interpolation=v2.InterpolationMode.BILINEAR, fill=128)
    values, _ = theirs._AUGMENTATION_SPACE[name]
    found = values(31, 224, 224)
    magnitude = 0.0 if found is None else float(found[level])
    largest = GEOMETRIC.get(name, COLOURING.get(name))[0]  # type: ignore[index]
    ours = apply(picture().resize((224, 224)), name, 0.0 if largest is None else largest * level / 30)
    made = theirs._apply_image_or_video_transform(
        picture().resize((224, 224)), name, magnitude, interpolation=v2.InterpolationMode.BILINEAR, fill=theirs._fill
    )
    if name.startswith("Shear"):  # theirs takes its strength as float32, so single pixels round otherwise
        gap = np.abs(np.asarray(ours, dtype=int) - np.asarray(made, dtype=int))
        assert gap.max() <= 2 and gap.mean() < 0.01
    else:
        assert np.array_equal(np.asarray(ours), np.asarray(made))


@pytest.mark.parametrize("policy", ["trivial", "rand"])
def test_a_drawn_picture_keeps_what_its_words_say(policy: str) -> None:
    generator = np.random.default_rng(0)
    named, free = Allowed(flip=False, turn=False, recolour=False), Allowed()
    strict = [draw_image(generator, policy, named, flip=True) for _ in range(200)]
    assert not any(v.flip for v in strict)
    used = {name for v in strict for name, _ in v.operations}
    assert used == set(GEOMETRIC) - {"Rotate"}
    wide = [draw_image(generator, policy, free, flip=True) for _ in range(300)]
    assert all(v.flip for v in wide) and {n for v in wide for n, _ in v.operations} == {*GEOMETRIC, *COLOURING}
    assert {len(v.operations) for v in wide} == {1 if policy == "trivial" else 2}
    weak = [draw_image(generator, policy, free, flip=False, strength=0.0) for _ in range(20)]
    assert all(s == 0 for v in weak for _, s in v.operations)
    assert draw_image(generator, "flip", free, flip=False).to_json() == []


def test_rates_of_words_are_exact_at_0_and_1() -> None:
    generator, words = np.random.default_rng(0), [f"w{i}" for i in range(9)]
    assert words_to_drop(generator, words, 0.0, lambda w: False) == ()
    assert words_to_drop(generator, words, 1.0, lambda w: False) == tuple(range(9))
    assert words_to_drop(generator, words, 1.0, lambda w: w == "w3") == (0, 1, 2, 4, 5, 6, 7, 8)
    first, end = span_to_mask(generator, words, 0.0, lambda w: False)
    assert first == end
    assert span_to_mask(generator, words, 1.0, lambda w: False) == (0, 9)
    drawn = [len(words_to_drop(generator, words, 0.3, lambda w: False)) for _ in range(2000)]
    assert abs(np.mean(drawn) / 9 - 0.3) < 0.02


def test_short_texts_and_words_that_rules_turn_on_stay() -> None:
    generator = np.random.default_rng(1)
    assert all(draw_text(generator, "a big old dog", 0.9)("a big old dog") == "a big old dog" for _ in range(20))
    sentence = "there is not a red car on the left of seven old wooden houses"
    kept = {"is", "not", "red", "left", "seven"}
    changed = [draw_text(generator, sentence, 0.9)(sentence) for _ in range(100)]
    assert all(kept <= set(one.split()) for one in changed)
    assert len(set(changed)) > 20 and any("..." in one for one in changed)
    chinese = "桌子左边放着三本红色旧书"
    assert all(set("左三红") <= set(draw_text(generator, chinese, 0.9)(chinese)) for _ in range(50))


def test_a_mirrored_text_is_mirrored_before_words_leave_it() -> None:
    sentence = "one dog sits on the left of two small cats"
    generator = np.random.default_rng(0)
    for _ in range(100):
        made = draw_text(generator, sentence, 0.9, mirror=True)(sentence)
        assert "right" in made and "left" not in made
    assert mirrored(sentence) == "one dog sits on the right of two small cats"


def test_sounds_are_changed_by_what_was_asked() -> None:
    wave = np.sin(np.arange(1600) * 2 * np.pi * 100 / 1600).astype(np.float32)  # 100 of 800 possible: one eighth
    assert np.allclose(louder(wave, 20.0), 10 * wave) and np.array_equal(louder(wave, 0.0), wave)
    assert np.array_equal(moved(wave, 0.25)[400:], wave[:1200])
    assert without_span(wave, 0.0, 1.0).max() == 0 and np.array_equal(without_span(wave, 0.3, 0.0), wave)
    assert np.abs(without_band(wave, 0.0, 1.0)).max() < 1e-6 and np.array_equal(without_band(wave, 0.2, 0.0), wave)
    assert np.abs(without_band(wave, 0.1, 0.05)).max() < 1e-3  # the tone lies in the band
    assert np.allclose(without_band(wave, 0.5, 0.2), wave, atol=1e-5)  # it does not


def test_a_changed_sound_is_a_sound() -> None:
    pytest.importorskip("soundfile", reason="reading sound needs the extra audio")
    from plait.data.samples import wave_bytes

    samples = np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32)
    data = wave_bytes(samples, 16000)
    assert np.array_equal(read_clip(SoundView()(data), 16000, 30.0), samples)
    made = read_clip(draw_sound(np.random.default_rng(3), "all")(data), 16000, 30.0)
    assert made.shape == samples.shape and not np.array_equal(made, samples)
    assert draw_sound(np.random.default_rng(3), "none").to_json() == []
    assert [t[0] for t in draw_sound(np.random.default_rng(3), "wave").to_json()] == ["gain", "shift", "seconds"]
    assert [t[0] for t in draw_sound(np.random.default_rng(3), "mask").to_json()] == ["silence", "band", "seconds"]


def test_swap_noise_takes_cells_of_other_rows_with_their_gaps() -> None:
    generator = np.random.default_rng(0)
    everything = {
        "numeric_BF": torch.arange(12.0).view(4, 3),
        "missing_BF": torch.eye(4, 3),
        "categorical_BK": torch.arange(8).view(4, 2),
    }
    pool, all_rows = np.array([3]), np.ones(4, dtype=bool)
    same = swapped(everything, everything, generator, pool, 0.0, all_rows)
    assert all(torch.equal(same[k], everything[k]) for k in everything)
    other = swapped(everything, everything, generator, pool, 1.0, np.array([True, False, True, True]))
    assert other["numeric_BF"].tolist() == [[9, 10, 11], [3, 4, 5], [9, 10, 11], [9, 10, 11]]
    assert other["missing_BF"].tolist() == [[0, 0, 0], [0, 1, 0], [0, 0, 0], [0, 0, 0]]
    assert other["categorical_BK"].tolist() == [[6, 7], [2, 3], [6, 7], [6, 7]]
    donors = draw_donors(generator, 500, 4, np.array([5, 7]), 0.25)
    assert set(np.unique(donors)) == {-1, 5, 7} and abs((donors >= 0).mean() - 0.25) < 0.03
    assert (draw_donors(generator, 2, 2, np.zeros(0, dtype=int), 1.0) == -1).all()


@pytest.mark.parametrize("sign", ["'", "\u2019"])
def test_contracted_negations_are_never_taken(sign: str) -> None:
    text = f"this isn{sign}t good at all and you can{sign}t eat it today"
    for i in range(200):
        made = draw_text(np.random.default_rng(i), text, 0.3)(text)
        assert f"isn{sign}t" in made and f"can{sign}t" in made, made
