"""What people hold in memory: pictures, sounds, tensors, data frames and datasets, each read to the right value."""

from __future__ import annotations

import io
import json
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from fixtures.lazy import lazy
from plait.data.items import read_rows
from plait.data.media import CellError, is_empty, read_media
from plait.data.modality import Modality
from plait.data.schema import guess_schema
from plait.data.sound import decode_sound
from plait.data.table import read_table

pd, pl, torch = lazy("pandas"), lazy("polars"), lazy("torch")

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8)


def pixels(cell: object) -> np.ndarray:
    assert isinstance(cell, bytes), cell
    return np.asarray(Image.open(io.BytesIO(cell)))


def sound(cell: dict[str, object]) -> np.ndarray:
    return decode_sound(read_media(cell, None), max_seconds=60).samples


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "RGBa", "La", "I;16"])
def test_pil_pictures_of_every_mode_keep_their_pixels(mode: str) -> None:
    source = Image.fromarray(RGB)
    if mode in ("RGBa", "La"):
        image = source.convert(mode.upper()).convert(mode)
    elif mode == "I;16":
        image = Image.fromarray(RGB[:, :, 0].astype(np.uint16) * 200)
    else:
        image = source.convert(mode)
    held = pixels(read_table([{"image": image}]).column("image")[0])
    shown = {"P": "RGB", "CMYK": "RGB", "YCbCr": "RGB", "HSV": "RGB", "RGBa": "RGBA", "La": "LA"}.get(mode, mode)
    expected = image if shown == mode else image.convert(shown)
    assert held.tolist() == np.asarray(expected).tolist()


def test_a_turned_photo_and_a_transparent_palette_are_what_a_person_sees() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    out = io.BytesIO()
    Image.fromarray(RGB).save(out, "PNG", exif=exif)
    held = pixels(read_table([{"image": Image.open(out)}]).column("image")[0])
    assert held.tolist() == np.rot90(RGB, -1).tolist()
    palette = Image.fromarray(RGB).quantize(4)
    palette.info["transparency"] = 0
    assert pixels(read_table([{"image": palette}]).column("image")[0]).shape == (5, 7, 4)


def test_pil_pictures_of_an_unknown_range_or_that_are_broken_say_what_to_write() -> None:
    grey = Image.fromarray(RGB[:, :, 0])
    for image, message in (
        (grey.convert("I"), r"row 1 holds a PIL image of mode I up to .*image\.convert\('L'\)"),
        (grey.convert("F"), r"row 1 holds a picture of float32 .*astype\('uint8'\)"),
    ):
        with pytest.raises(ValueError, match="column 'image': .*" + message):
            read_table([{"image": grey}, {"image": image}])
    out = io.BytesIO()
    Image.fromarray(RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(out, "PNG")
    cut = Image.open(io.BytesIO(out.getvalue()[:400]))
    with pytest.raises(ValueError, match="row 0 holds a PIL image that cannot be loaded"):
        read_table([{"image": cut}])


def test_memory_that_runs_out_is_no_broken_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    image = Image.fromarray(RGB)

    def fail() -> None:
        raise MemoryError

    monkeypatch.setattr(image, "load", fail)
    with pytest.raises(MemoryError):
        read_table([{"image": image}])


def test_arrays_of_pixels_in_every_layout_are_pictures() -> None:
    for array in (RGB, RGB.transpose(2, 0, 1), RGB / 255.0, (RGB / 255).astype(np.float32), RGB.astype(np.int64)):
        assert pixels(read_table([{"image": array}]).column("image")[0]).tolist() == RGB.tolist()
        assert pixels(read_table(pd.DataFrame({"image": [array] * 2})).column("image")[1]).tolist() == RGB.tolist()
        assert pixels(read_table({"image": np.stack([array] * 5)}).column("image")[4]).tolist() == RGB.tolist()
    chw = torch.from_numpy(RGB.transpose(2, 0, 1).copy())
    for tensor in (chw, chw.float() / 255):
        assert pixels(read_table([{"image": tensor}]).column("image")[0]).tolist() == RGB.tolist()
        assert pixels(read_table({"image": torch.stack([tensor] * 5)}).column("image")[4]).tolist() == RGB.tolist()
    grey = RGB[:, :, 0]
    for array in (grey, grey[:, :, None], grey[None], grey.astype(np.uint16) * 257):
        held = pixels(read_table([{"image": array}]).column("image")[0])
        assert (held if held.dtype == np.uint8 else held // 257).tolist() == grey.tolist()
    assert pixels(read_table([{"image": grey > 99}]).column("image")[0]).max() == 255
    assert pixels(read_table([{"image": RGB.astype(np.uint16) * 257}]).column("image")[0]).tolist() == RGB.tolist()


def test_torch_tensors_have_their_channels_first_where_both_would_fit() -> None:
    both = np.arange(3 * 4 * 3, dtype=np.uint8).reshape(3, 4, 3)
    assert pixels(read_table([{"image": both}]).column("image")[0]).shape == (3, 4, 3)
    assert pixels(read_table([{"image": torch.from_numpy(both)}]).column("image")[0]).shape == (4, 3, 3)


@pytest.mark.parametrize(("array", "message"), [
    (RGB.astype(float), r"a picture of float64 from .*write array\.astype\('uint8'\) if white is 255"),
    (RGB - 300.0, "undo its normalisation first"),
    (np.full((2, 2, 3), np.nan), "NaN or infinite"),
    (RGB.astype(np.int32) * 200, r"astype\('uint16'\) if white is 65535"),
])  # fmt: skip
def test_a_range_that_could_mean_two_things_is_an_error_with_its_row(array: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=f"column 'image': row 1 holds .*{message}"):
        read_table([{"image": RGB}, {"image": array}])


def test_equal_pixels_are_one_item_whatever_holds_them() -> None:
    marked = Image.fromarray(RGB)
    marked.info["dpi"] = (300, 300)
    cells = [Image.fromarray(RGB), marked, RGB, RGB / 255, torch.from_numpy(RGB), RGB[::-1], None]
    rows = read_rows(read_table([{"image": cell} for cell in cells]), [Modality("image", "image", ("image",))])
    assert rows.items["image"].index_N.tolist() == [0, 0, 0, 0, 0, 1, -1] and not rows.bad


def test_sets_and_mixtures_of_pictures() -> None:
    table = read_table([{"photos": [Image.fromarray(RGB), RGB]}, {"photos": []}, {"photos": np.stack([RGB] * 3)}])
    assert [len(cell) for cell in table.column("photos")] == [2, 0, 3]
    assert guess_schema(table).column("photos").kind == "image_set"
    mixed = read_table([{"image": Path("a.png")}, {"image": RGB}, {"image": {"bytes": b"x", "path": None}}])
    assert [cell["path"] for cell in mixed.column("image")] == ["a.png", None, None]
    assert pixels(mixed.column("image")[1]["bytes"]).tolist() == RGB.tolist()


def test_pixels_in_arrow_lists_are_pictures_and_odd_ones_are_left_alone() -> None:
    for made in (pa.table({"image": [RGB.tolist()]}), pl.DataFrame({"image": RGB[None]})):
        assert pixels(read_table(made).column("image")[0]).tolist() == RGB.tolist()
    features = pa.table({"maps": [np.full((3, 4, 5), 9.5).tolist()], "label": [1]})
    assert read_table(features).column("maps")[0][0][0][0] == 9.5
    with pytest.raises(CellError, match=r"expected uint8, uint16, or floats"):
        read_media(read_table(features).column("maps")[0], None)
    whole = read_table(pa.table({"image": pa.array([RGB[:, :, 0].tolist()], pa.list_(pa.list_(pa.uint8())))}))
    assert guess_schema(whole).column("image").kind == "image"
    assert guess_schema(whole, vector="image").column("image").kind == "vector"
    grey = read_table(pa.table({"image": [(RGB[:, :, 0] / 255).tolist()]}))
    assert guess_schema(grey).column("image").kind == "vector"
    assert guess_schema(grey, image="image").column("image").kind == "image"
    assert pixels(read_media(grey.column("image")[0], None)).tolist() == RGB[:, :, 0].tolist()


def test_one_picture_is_no_column_of_its_lines() -> None:
    with pytest.raises(ValueError, match=r"write \[\{'image': array\}\] for one picture"):
        read_table({"image": RGB})
    assert len(read_table({"image": list(RGB.transpose(2, 0, 1))})) == 3


def test_decoded_sounds_are_heard() -> None:
    tone = np.sin(np.arange(400) / 5).astype(np.float32) * 0.5
    for samples in (tone, tone.astype(np.float64), tone.tolist(), torch.from_numpy(tone), tone[None], tone[:, None],
                    np.stack([tone, tone]), np.stack([tone, tone], 1)):  # fmt: skip
        for path in (None, "dir/a.wav"):
            row = {"array": samples, "sampling_rate": 8000, "path": path}
            cell = read_table([{"audio": row}]).column("audio")[0]
            assert cell["path"] == path
            assert np.allclose(sound(cell), tone, atol=1e-7)
    assert decode_sound(cell["bytes"], max_seconds=9).rate == 8000


@pytest.mark.parametrize("kind", [np.int16, np.int32, np.int8, np.uint8])
def test_whole_samples_are_scaled_by_their_type(kind: type) -> None:
    ends = np.iinfo(kind)
    samples = np.array([ends.min, (ends.min + ends.max + 1) // 2, ends.max], kind)
    cell = read_table([{"audio": {"array": samples, "sampling_rate": np.int64(8000)}}]).column("audio")[0]
    assert sound(cell).tolist() == pytest.approx([-1, 0, 1], abs=0.008)


@pytest.mark.parametrize(("cell", "message"), [
    ({"array": [0.0, 0.1]}, "the keys array; expected array and sampling_rate"),
    ({"array": [0.0, 0.1], "sampling_rate": None}, "a sampling_rate of None"),
    ({"array": [0, 1], "sampling_rate": 8000}, "int64, whose full scale is unknown"),
    ({"array": [0.0, 20000.0], "sampling_rate": 8000}, "float samples up to 20000"),
    ({"array": [[0.0], [0.0, 1.0]], "sampling_rate": 8000}, "no array of numbers"),
    ({"array": np.zeros((50, 50)), "sampling_rate": 8000}, "cannot tell which side"),
    ((np.zeros(9), 8), "a pair of samples and a rate; write {'array'"),
])  # fmt: skip
def test_sounds_that_could_mean_two_things_say_what_to_write(cell: object, message: str) -> None:
    with pytest.raises(ValueError, match=f"column 'audio': row 1 holds .*{message}"):
        read_table([{"audio": None}, {"audio": cell}])


def test_decoders_and_arrow_structs_of_samples_are_heard() -> None:
    class Samples:
        data, sample_rate = torch.tensor([[0.5] * 9, [0.25] * 9]), 16000

    class Decoder:
        def get_all_samples(self) -> Samples:
            return Samples()

    decoded = read_table([{"audio": Decoder()}]).column("audio")[0]
    assert sound(decoded).tolist() == [0.375] * 9
    struct = pa.table({"audio": [{"array": [0.5, 0.25], "sampling_rate": 8000, "path": "a"}, None]})
    first, second = read_table(struct).column("audio")
    assert sound(first).tolist() == [0.5, 0.25] and first["path"] == "a" and second is None


def test_unknown_keys_are_named_and_never_count_as_empty() -> None:
    assert is_empty({"bytes": None, "path": None}) and is_empty({}) and not is_empty({"wave": [0.0]})
    for kind in ("audio", "image"):
        table = read_table([{"a": {"wave": [0.5], "rate": 8000}}])
        rows = read_rows(table, [Modality("a", kind, ("a",))])
        assert len(rows.bad) == 1 and "rate" in rows.bad[0].reason and "wave" in rows.bad[0].reason


def test_class_numbers_have_their_names_in_every_form(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="extra dev")
    features = datasets.Features(
        {
            "label": datasets.ClassLabel(names=["1", "0"]),
            "tags": datasets.Sequence(datasets.ClassLabel(names=["a", "b"])),
        }
    )
    made = datasets.Dataset.from_dict({"label": [0, 1, -1], "tags": [[0], [1, 0], []]}, features=features)
    (tmp_path / "folder").mkdir()
    made.to_parquet(str(tmp_path / "one.parquet"))
    made.to_parquet(str(tmp_path / "folder" / "train.parquet"))
    made.save_to_disk(str(tmp_path / "saved"))
    splits = datasets.DatasetDict({"train": made, "test": made.select([1])})
    for source in (made, tmp_path / "one.parquet", tmp_path / "folder", tmp_path / "saved", made.with_format("numpy"),
                   made.shuffle(seed=0), splits, splits["train"]):  # fmt: skip
        table = read_table(source)
        rows = set(zip(table.column("label"), map(tuple, table.column("tags")), strict=True))
        assert rows == {("1", ("a",)), ("0", ("b", "a")), (None, ())}
    assert read_table(splits).column("split") == ["train"] * 3 + ["test"]
    with pytest.raises(TypeError, match=r"a stream .*features=ds\.features"):
        read_table(made.to_iterable_dataset())


def test_a_class_number_beyond_the_names_is_refused(tmp_path: Path) -> None:
    info = {"info": {"features": {"y": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}
    pq.write_table(
        pa.table({"y": [0, 2]}).replace_schema_metadata({"huggingface": json.dumps(info)}), tmp_path / "a.parquet"
    )
    with pytest.raises(ValueError, match="class number 2, beyond its 2 class names"):
        read_table(tmp_path / "a.parquet")


def test_dictionaries_of_frames_are_splits() -> None:
    table = read_table({"train": pd.DataFrame({"a": [1, 2]}), "test": pd.DataFrame({"a": [3]})})
    assert table.column("a") == [1, 2, 3] and table.column("split") == ["train", "train", "test"]
    with pytest.raises(ValueError, match="parts named unsupervised; expected train, validation and test"):
        read_table({"train": pd.DataFrame({"a": [1]}), "unsupervised": pd.DataFrame({"a": [1]})})
    with pytest.raises(TypeError, match="tables beside other values"):
        read_table({"train": pd.DataFrame({"a": [1]}), "label": [1]})


def test_polars_columns_of_every_type() -> None:
    frame = pl.DataFrame({
        "cat": pl.Series(["a", None, "b"], dtype=pl.Categorical),
        "enum": pl.Series(["a", "b", "a"], dtype=pl.Enum(["a", "b"])),
        "tags": pl.Series([["a", "b"], [], ["b"]], dtype=pl.List(pl.Categorical)),
        "image": pl.Series([Image.fromarray(RGB)] * 3, dtype=pl.Object),
    })  # fmt: skip
    table = read_table(frame)
    assert table.column_names == ["cat", "enum", "tags", "image"]
    assert table.column("cat") == ["a", None, "b"] and table.column("enum") == ["a", "b", "a"]
    assert table.column("tags") == [["a", "b"], [], ["b"]] and pixels(table.column("image")[2]).tolist() == RGB.tolist()
    with pytest.raises(TypeError, match=r"\.collect\(\)"):
        read_table(frame.lazy())
    with pytest.raises(TypeError, match=r"write series\.to_frame\(\)"):
        read_table(frame["cat"])


def test_pandas_columns_of_every_type() -> None:
    frame = pd.DataFrame({
        "range": pd.cut(pd.Series([1, 5, 9]), [0, 4, 10]), "seconds": pd.to_timedelta(["1s", None, "1min"]),
        "sparse": pd.arrays.SparseArray([0, 0, 1]), "cat": pd.Series([7, 8, None], dtype="category"),
        "whole": pd.Series([1, None, 3], dtype="Int64"), "truth": pd.Series([True, None, False], dtype="boolean"),
        "text": pd.Series(["a", None, "b"], dtype="string"), "path": [Path("a.png"), None, pd.NA],
    })  # fmt: skip
    table = read_table(frame)
    expected = {
        "range": ["(0, 4]", "(4, 10]", "(4, 10]"], "seconds": [1.0, None, 60.0], "sparse": [0, 0, 1],
        "cat": [7, 8, None],
        "whole": [1, None, 3], "truth": [True, None, False], "text": ["a", None, "b"], "path": ["a.png", None, None],
    }  # fmt: skip
    assert {name: table.column(name) for name in table.column_names} == expected
    columns = pd.MultiIndex.from_tuples([("a", "x"), ("a", "y")])
    with pytest.raises(ValueError, match=r"2 levels of names .*write frame\.columns = "):
        read_table(pd.DataFrame([[1, 2]], columns=columns))


def test_values_of_numpy_and_torch() -> None:
    records = np.array([(1, "a"), (2, "b")], dtype=[("n", ">i4"), ("word", "U3")])
    assert read_table(records).column("n") == [1, 2] and read_table(records).column("word") == ["a", "b"]
    table = read_table({
        "masked": np.ma.array([1, 2], mask=[False, True]), "bytes": np.array([b"x", b"y"]),
        "half": np.array([0.5, 1], np.float16),
        "long": np.array([0.5, 1], np.longdouble), "day": np.array(["2024-01-02", "NaT"], "M8[D]"),
        "t": torch.arange(2), "zero": [torch.tensor(1.5), np.array(2.5)],
        "vector": torch.ones(2, 3, dtype=torch.bfloat16, requires_grad=True),
        "truth": [np.bool_(True), False], "decimal": [Decimal("1.5"), 2],
    })  # fmt: skip
    got = {name: [str(v) for v in table.column(name)] for name in ("day", "decimal")}
    assert got == {"day": ["2024-01-02", "None"], "decimal": ["1.5", "2.0"]}
    held = {n: table.column(n) for n in table.column_names if n not in got}
    assert held == {
        "masked": [1, None], "bytes": ["x", "y"], "half": [0.5, 1.0], "long": [0.5, 1.0], "t": [0, 1],
        "zero": [1.5, 2.5],
        "vector": [[1.0] * 3] * 2, "truth": [True, False],
    }  # fmt: skip


@pytest.mark.parametrize(("value", "message"), [
    (object(), "holds object, which no table holds; expected text"), (1j, "complex number"),
    (np.complex64(1j), "complex number"), ("\ud800", "lone surrogate"), (2**70, "beyond 64 bits"),
])  # fmt: skip
def test_what_no_table_holds_is_named_by_column_and_row(value: object, message: str) -> None:
    with pytest.raises(ValueError, match=f"column 'a': row 1 holds .*{message}|column 'a': row 1 .*{message}"):
        read_table([{"a": None}, {"a": value}])


def test_what_can_be_read_once_only_says_so() -> None:
    with pytest.raises(TypeError, match=r"write list\(rows\)"):
        read_table({"a": i} for i in range(3))


@pytest.mark.parametrize("cells", [[1, True], [2.5, True], [2.5, np.bool_(False)], [True, 2.5], [None, 1.5, 3, False]])
def test_truth_values_among_numbers_are_refused_in_every_order(cells: list[object]) -> None:
    """Behind a broken number they had become 1 and 0."""
    with pytest.raises(ValueError, match=r"column 'x': row \d holds \w+ and row \d holds .*; expected one type"):
        read_table({"x": cells})
    with pytest.raises(ValueError, match="expected one type"):
        read_table([{"x": cell} for cell in cells])
