"""Joint models of other libraries: vectors are theirs, one door takes them all, words find pictures and sounds."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from authors import items_of
from PIL import Image

import plait
from fixtures.json_output import only_json
from fixtures.lazy import lazy
from fixtures.tiny_joint import JOINT, by_sentence_transformers, clip, far, pictures
from plait import cli
from plait.weights.quiet import quiet_transformers

hf = lazy("transformers")

TOLERANCE = 1e-5
CASES = [(name, kind) for name, one in JOINT.items() for kind in one.kinds]
TEXTS = [text for text in items_of("text") if text] + ["Salt &amp; pepper_mill,  it's 50%!"]
EMBEDDING_GEMMA = "embedding gemma 2, 16 of 24"
pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:timm.*"),
]


class Folders(dict[str, Path]):
    """Folders that are made when they are first asked for."""

    def __init__(self, factory: pytest.TempPathFactory) -> None:
        super().__init__()
        self.factory = factory

    def __missing__(self, name: str) -> Path:
        one = JOINT[name]
        if one.library == "open_clip":
            pytest.importorskip("open_clip", reason="extra dev")
        if one.library == "sentence-transformers":
            pytest.importorskip("sentence_transformers", reason="extra dev")
        with quiet_transformers():
            folder = self.factory.mktemp("joint")
            one.make(folder)
        self[name] = folder
        return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    return Folders(tmp_path_factory)


def given(name: str, kind: str) -> list[Any]:
    """Items of a kind, at the rate that a model hears."""
    if kind == "audio":
        pytest.importorskip("soundfile", reason="extra audio")
        pytest.importorskip("soxr", reason="extra audio")
    return TEXTS if kind == "text" else items_of(kind, 48_000 if name == "clap" else 16_000)


@pytest.mark.oracle
@pytest.mark.parametrize(("name", "kind"), CASES, ids=["-".join(case) for case in CASES])
def test_vectors_are_those_of_its_own_library(name: str, kind: str, folders: Folders) -> None:
    with quiet_transformers():
        to_library, alone = far(name, folders[name], kind, given(name, kind))
    assert max(to_library, alone) <= TOLERANCE, (to_library, alone)


def test_pictures_too_thin_for_the_network_are_bad_rows(folders: Folders) -> None:
    sizes = [(1, 1), (1, 2000), (2000, 1), (40, 30)]
    rows = [{"image": striped(*size)} for size in sizes]
    with quiet_transformers():
        fitted = plait.two_tower(f"hf:{folders[EMBEDDING_GEMMA] / 'st'}")
        made, bad = fitted.embed(rows, "image")
        alone, _ = fitted.embed(rows[3:], "image")
    assert [one.row for one in bad] == [1, 2]
    assert "1 x 2000 pixels is too thin for the encoder" in bad[0].reason and "64 places" in bad[0].reason
    assert np.isfinite(made).all() and np.allclose(made[3], alone[0], atol=TOLERANCE)


def striped(width: int, height: int) -> bytes:
    """A picture of stripes."""
    stripes = np.arange(width * height * 3, dtype=np.uint32).reshape(height, width, 3) * 37 % 256
    file = io.BytesIO()
    Image.fromarray(stripes.astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


def run(monkeypatch: pytest.MonkeyPatch, *words: Any) -> None:
    """One command."""
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)  # main() replaces it
    monkeypatch.setattr(sys, "argv", ["plait", *map(str, words)])
    with pytest.raises(SystemExit, match="0"):
        cli.main()


@pytest.mark.parametrize(
    "name", ["clip, dense layer, 8 of 12", "qwen2-vl in messages", "router of bert and vit", "siglip2, any aspect",
             "clip of openai", "siglip of open_clip", EMBEDDING_GEMMA],
)  # fmt: skip
def test_it_searches_and_classifies_from_the_command_line(
    name: str, folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    items, texts = items_of("image"), ["red", "two brown dogs"]
    photos = tmp_path / "photos"
    photos.mkdir()
    for i, item in enumerate(items):
        (photos / f"{i}.png").write_bytes(item)
    run(monkeypatch, "two-tower", f"hf:{folders[name] / 'st'}", "-o", tmp_path / "m", "--json")
    made = only_json(capsys.readouterr().out)
    assert made["columns"] == [
        k.replace("text", "caption") for k in ("image", "audio", "text") if k in JOINT[name].kinds
    ]
    run(monkeypatch, "index", "build", tmp_path / "m", photos, "-o", tmp_path / "i")
    capsys.readouterr()
    run(monkeypatch, "search", tmp_path / "i", texts[1], "--json")
    hits = only_json(capsys.readouterr().out)["hits"]
    with quiet_transformers():
        pictured, said = (
            JOINT[name].vectors(folders[name] / "st", k, v) for k, v in (("image", items), ("text", texts))
        )
    cosines = pictured @ said[1]
    np.testing.assert_allclose([hit["score"] for hit in hits], np.sort(cosines)[::-1], atol=1e-5)
    np.testing.assert_allclose([cosines[int(hit["id"][0])] for hit in hits], np.sort(cosines)[::-1], atol=1e-5)
    (tmp_path / "labels.yaml").write_text("a: red\nb: two brown dogs\n")
    (tmp_path / "t.csv").write_text("image\n" + "".join(f"photos/{i}.png\n" for i in range(len(items))))
    run(
        monkeypatch, "predict", tmp_path / "m", tmp_path / "t.csv", "--describe", tmp_path / "labels.yaml", "-o",
        tmp_path / "answers.csv",
    )  # fmt: skip
    answers = list(csv.DictReader((tmp_path / "answers.csv").read_text().splitlines()))
    assert [row["prediction"] for row in answers] == ["ab"[int(i)] for i in (pictured @ said.T).argmax(1)]


def test_words_find_sounds_in_a_space_of_three_kinds(
    folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sounds = given(EMBEDDING_GEMMA, "audio")
    for i, item in enumerate(sounds):
        (tmp_path / "s").mkdir(exist_ok=True)
        (tmp_path / "s" / f"{i}.wav").write_bytes(item)
    run(monkeypatch, "two-tower", f"hf:{folders[EMBEDDING_GEMMA] / 'st'}", "--dims", 20, "-o", tmp_path / "m")
    assert "20 wide, columns image, audio and caption" in capsys.readouterr().out
    run(monkeypatch, "index", "build", tmp_path / "m", tmp_path / "s", "--modality", "audio", "-o", tmp_path / "i")
    capsys.readouterr()
    run(monkeypatch, "search", tmp_path / "i", "wind", "--json")
    hits = only_json(capsys.readouterr().out)["hits"]
    library = pytest.importorskip("sentence_transformers", reason="extra dev")
    with quiet_transformers():
        model = library.SentenceTransformer(str(folders[EMBEDDING_GEMMA] / "st"), device="cpu", truncate_dim=20)
        heard = model.encode([{"array": s, "sampling_rate": 16_000} for s in samples_of(sounds)], batch_size=1)
        word = model.encode(["wind"])[0]
    cosines = heard @ word / np.linalg.norm(heard, axis=1) / np.linalg.norm(word)
    np.testing.assert_allclose([hit["score"] for hit in hits], np.sort(cosines)[::-1], atol=1e-5)


def samples_of(items: list[bytes]) -> list[np.ndarray]:
    from fixtures.tiny_joint import samples

    return samples(items)


def test_fewer_dimensions_are_leading_ones_made_unit(folders: Folders) -> None:
    place = folders["clip, dense layer, 8 of 12"] / "st"
    kept, whole = plait.two_tower(f"hf:{place}", dims=5), plait.two_tower(f"hf:{place}", dims=12)
    rows = [{"caption": text} for text in TEXTS]
    five, twelve = kept.embed(rows, "caption")[0], whole.embed(rows, "caption")[0]
    wanted = twelve[:, :5] / np.linalg.norm(twelve[:, :5], axis=1, keepdims=True)
    np.testing.assert_allclose(five, wanted, atol=1e-6)
    assert (kept.dim, whole.dim, plait.two_tower(f"hf:{place}").dim) == (5, 12, 8)
    with pytest.raises(ValueError, match="dims is 13; .* are 12 wide, so give 1 to 12"):
        plait.two_tower(f"hf:{place}", dims=13)


def test_a_saved_one_needs_its_folder_no_more(folders: Folders, tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(folders[EMBEDDING_GEMMA] / "st", source)
    made = plait.two_tower(f"hf:{source}", output=tmp_path / "m")
    before = made.embed([{"caption": t} for t in TEXTS], "caption")[0]
    again = plait.load(tmp_path / "m")
    assert again.fingerprint == made.fingerprint and made.inputs.processors["caption"].fingerprint
    assert np.array_equal(again.embed([{"caption": t} for t in TEXTS], "caption")[0], before)


def test_long_texts_in_messages_keep_their_end(folders: Folders) -> None:
    made = plait.two_tower(f"hf:{folders['qwen2-vl in messages'] / 'st'}")
    processor = made.inputs.processors["caption"]
    ends = [processor.process([text])["input_ids"][0] for text in ("red", "red " * 2000)]
    assert len(ends[1]) == processor.max_length and processor.num_truncated == 1
    assert torch.equal(ends[0][-2:], ends[1][-2:])


def test_three_methods_are_enough(tmp_path: Path) -> None:
    """A network of three kinds of a class that Plait has never heard of, told by its methods alone."""
    pytest.importorskip("soxr", reason="extra audio")
    from fixtures import three_kinds

    folder = three_kinds.save(tmp_path / "three")
    made = plait.two_tower(f"hf:{folder}", dims=6, output=tmp_path / "m")
    assert [m.name for m in made.modalities] == ["image", "audio", "caption"] and made.dim == 6
    sounds, photos = items_of("audio", 48_000), items_of("image")
    again = plait.load(tmp_path / "m")
    found = {
        "caption": again.embed([{"caption": t} for t in TEXTS], "caption")[0],
        "image": again.embed([{"image": i} for i in photos], "image")[0],
        "audio": again.embed([{"audio": s} for s in sounds], "audio")[0],
    }
    for name, wanted in three_kinds.vectors(folder, TEXTS, pictures(photos), samples_of(sounds)).items():
        part = wanted[:, :6] / np.linalg.norm(wanted[:, :6], axis=1, keepdims=True)
        np.testing.assert_allclose(found[name], part, atol=1e-5)
    with pytest.raises(ValueError, match="image and audio are both the column 'x'"):
        plait.two_tower(f"hf:{folder}", image="x", audio="x")


def edited(folders: Folders, tmp_path: Path, name: str, file: str, change: Any) -> Path:
    """A copy of a folder with one JSON file changed."""
    place = tmp_path / "edited"
    shutil.copytree(folders[name] / "st", place)
    value = json.loads((place / file).read_text())
    change(value)
    (place / file).write_text(json.dumps(value))
    return place


REFUSED = [
    ("vision_cfg", {"layers": [1, 1, 1, 1]}, "it has a ResNet as its vision tower. CLIP with a vision transformer and"),
    ("vision_cfg", {"timm_model_name": "convnext_tiny"}, "the vision tower convnext_tiny of timm, which is none of"),
    ("text_cfg", {"hf_model_name": "roberta-base"}, "it has the text tower roberta-base of another library"),
    ("text_cfg", {"no_causal_mask": True}, "it has a text tower without a causal mask"),
    ("vision_cfg", {"qk_norm": True}, "it has qk_norm in its vision tower"),
    ("vision_cfg", {"new_thing": 1}, "vision_cfg names 'new_thing', which is not known here"),
]


@pytest.mark.parametrize(("side", "settings", "words"), REFUSED, ids=[words[:30] for *_, words in REFUSED])
def test_architectures_of_open_clip_that_cannot_be_mapped_are_refused(
    side: str, settings: dict[str, Any], words: str, folders: Folders, tmp_path: Path
) -> None:
    place = edited(
        folders, tmp_path, "clip of open_clip", "open_clip_config.json", lambda v: v["model_cfg"][side].update(settings)
    )
    with pytest.raises(ValueError, match=words):
        plait.two_tower(f"hf:{place}")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda v: v["model_cfg"]["vision_cfg"].update(layers=1),
            "weights hold 'visual.transformer.resblocks.1.*lacks",
        ),
        (lambda v: v["model_cfg"]["text_cfg"].update(layers=0), "it has .*layers"),
        (lambda v: v["model_cfg"]["vision_cfg"].update(layers=9), r"do not fit together \(KeyError"),
        (lambda v: v["model_cfg"]["vision_cfg"].update(head_width=0), r"do not fit together \(ZeroDivisionError"),
        (lambda v: v["model_cfg"].pop("embed_dim"), "do not fit together"),
        (lambda v: v["preprocess_cfg"].update(interpolation="random"), "resizes pictures by 'random'"),
        (lambda v: v["preprocess_cfg"].update(size=100_000), "pictures of 100000 x 100000"),
        (lambda v: v["preprocess_cfg"].update(mean=[float("nan")] * 3), "mean or std of its pixels is no number"),
    ],
)
def test_an_open_clip_folder_whose_parts_do_not_agree_is_refused(
    change: Any, words: str, folders: Folders, tmp_path: Path
) -> None:
    place = edited(folders, tmp_path, "clip of open_clip", "open_clip_config.json", change)
    with pytest.raises(ValueError, match=words):
        plait.two_tower(f"hf:{place}")


def test_damaged_files_are_named(folders: Folders, tmp_path: Path) -> None:
    place = edited(folders, tmp_path, "router of bert and vit", "modules.json", lambda v: None)
    (place / "router_config.json").write_text("{", encoding="utf-8")
    with pytest.raises(ValueError, match="a JSON file of '.*' is damaged"):
        plait.two_tower(f"hf:{place}")
    (place / "router_config.json").write_text("[]", encoding="utf-8")
    with pytest.raises(ValueError, match="the files of '.*' cannot be followed"):
        plait.two_tower(f"hf:{place}")


@pytest.mark.parametrize("value", [0, -3, 2.5, True, "8"])
def test_a_width_that_is_none_is_refused(value: Any, tmp_path: Path) -> None:
    from plait.encoders.space import _truncated

    (tmp_path / "config_sentence_transformers.json").write_text(json.dumps({"truncate_dim": value}))
    with pytest.raises(ValueError, match="truncate_dim in .* expected a whole number of 1 or more"):
        _truncated(tmp_path)


def test_the_middle_of_a_line_of_pixels_costs_no_gigabytes() -> None:
    from PIL import Image

    from plait.processors import PillowImageProcessor

    own = PillowImageProcessor(224, 224, (0.5,) * 3, (0.5,) * 3)
    levels = np.arange(60_000, dtype=np.uint32)[:, None, None] % 256
    line = Image.fromarray(np.repeat(levels, 3, axis=2).astype(np.uint8))
    middle = line.crop((0, 29_984, 1, 30_016))
    assert own.fit(line).size == (224, 224)
    np.testing.assert_array_equal(np.asarray(own.fit(line)), np.asarray(own.fit(middle)))


def test_pickled_weights_are_refused_with_the_way_out(folders: Folders, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    place = tmp_path / "pickled"
    shutil.copytree(folders["clip of open_clip"] / "st", place)
    torch.save(load_file(place / "open_clip_model.safetensors"), place / "open_clip_pytorch_model.bin")
    (place / "open_clip_model.safetensors").unlink()
    with pytest.raises(ValueError, match="as open_clip_pytorch_model.bin only, which is never unpickled") as caught:
        plait.two_tower(f"hf:{place}")
    command = str(caught.value).split("python -c ")[1]
    code, file = command.strip('"').rsplit('" ', 1)
    import subprocess

    subprocess.run([sys.executable, "-c", code, file], cwd=place, check=True)
    assert plait.two_tower(f"hf:{place}").dim == 24
    (place / "tokenizer.json").unlink()
    with pytest.raises(ValueError, match="holds no tokenizer; put tokenizer.json and tokenizer_config.json of own"):
        plait.two_tower(f"hf:{place}")


def test_folders_of_sentence_transformers_that_are_not_followed_are_refused(folders: Folders, tmp_path: Path) -> None:
    router = "router of bert and vit"

    def change(value: dict[str, Any]) -> None:
        value["structure"].pop("text")

    place = edited(folders, tmp_path, router, "router_config.json", change)
    with pytest.raises(ValueError, match="makes vectors of image; a model that searches across kinds takes texts and"):
        plait.two_tower(f"hf:{place}")
    shutil.rmtree(place)
    place = edited(folders, tmp_path, router, "modules.json", lambda v: v[1].update(type="a.models.LSTM"))
    with pytest.raises(ValueError, match="'a.models.LSTM', which Plait does not follow"):
        plait.two_tower(f"hf:{place}")
    shutil.rmtree(place)
    place = edited(folders, tmp_path, router, "modules.json", lambda v: v[1].update(path="../x"))
    with pytest.raises(ValueError, match="is no list of modules"):
        plait.two_tower(f"hf:{place}")


def test_a_network_that_minds_how_texts_are_filled_up_is_refused(tmp_path: Path) -> None:
    """AIMv2 of transformers 5.23 attends both ways to a text alone, and one way beside a longer one."""
    from tiny_architectures import CUT, PATCHES, WORDS, _pair

    text = {**WORDS, "eos_token_id": 1}
    one = _pair("Aimv2Config", "clip", "CLIPImageProcessor", text, PATCHES, file=CUT, projection_dim=24)
    with quiet_transformers():
        one.save(tmp_path / "aimv2")
    with pytest.raises(ValueError, match="gives a text another vector beside a longer one .* model type 'aimv2'"):
        plait.two_tower(f"hf:{tmp_path / 'aimv2'}")


def test_the_default_prompt_is_before_every_text(tmp_path: Path) -> None:
    """What a folder says before every text is said, and tells."""
    pytest.importorskip("sentence_transformers", reason="extra dev")
    with quiet_transformers():
        clip(tmp_path)
        path = tmp_path / "st" / "config_sentence_transformers.json"
        stored = {**json.loads(path.read_text()), "prompts": {"q": "red "}, "default_prompt_name": "q"}
        plain = plait.two_tower(f"hf:{tmp_path / 'st'}").embed([{"caption": "dogs"}], "caption")[0]
        path.write_text(json.dumps(stored))
        made = plait.two_tower(f"hf:{tmp_path / 'st'}").embed([{"caption": "dogs"}], "caption")[0]
        wanted = by_sentence_transformers(tmp_path / "st", "text", ["dogs"])
    np.testing.assert_allclose(made, wanted / np.linalg.norm(wanted), atol=1e-5)
    assert np.abs(made - plain).max() > 1e-3
