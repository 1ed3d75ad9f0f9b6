"""What stands in an exported graph beside networks equals what it stands for: scales, calibrators, members, readers."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from fixtures.lazy import lazy

normal, outputs, members, graph = (
    lazy(f"plait.api.exporting.{name}") for name in ("normal", "outputs", "members", "graph")
)
bundle, texts = lazy("plait.api.exporting.bundle"), lazy("plait.api.exporting.reader.texts")


def test_normal_distribution_against_scipy() -> None:
    from scipy.special import ndtr, ndtri

    made, x = normal.Normal(), np.linspace(-9, 9, 400)
    assert np.abs(made.below(torch.from_numpy(x)).numpy() - ndtr(x)).max() < 1e-13
    share = np.concatenate([np.linspace(1e-4, 1 - 1e-4, 400), [1e-9, 0.02425, 0.5]])
    assert np.abs(made.quantile(torch.from_numpy(share)).numpy() - ndtri(share)).max() < 1e-9


@pytest.mark.parametrize("count", [1, 2, 7, 200])
def test_lines_against_numpy(count: int) -> None:
    rng = np.random.default_rng(count)
    at, values = np.sort(rng.normal(size=count)), rng.normal(size=count)
    x = np.concatenate([rng.normal(size=50) * 2, at, [-99.0, 99.0]])
    found = normal.Interpolation(at, values)(torch.from_numpy(x)).numpy()
    assert np.abs(found - np.interp(x, at, values)).max() < 1e-12


@pytest.mark.parametrize("transform", ["none", "log", "quantile"])
@pytest.mark.parametrize("corrected", [False, True])
def test_numbers_come_back_as_in_training(transform: str, corrected: bool) -> None:
    from plait.tasks.target_scale import TargetScale

    rng = np.random.default_rng(3)
    values = np.exp(rng.normal(size=300) * 1.5 + 4)
    scale = TargetScale.fit(values, transform)
    if corrected:
        scale = scale.with_residuals(rng.normal(size=60) * 0.3)
    made, encoded = outputs.NumberScale(scale), rng.normal(size=(40, 1)) * 2
    found = made.decode(torch.from_numpy(encoded)).numpy()
    assert np.abs(found / scale.decode(encoded) - 1).max() < 1e-10
    back = made.encode(torch.from_numpy(values[:40, None])).numpy()
    assert np.abs(back - scale.encode(values[:40, None])).max() < 1e-7


def test_calibrators_against_their_own() -> None:
    from plait.tasks.calibrators import Isotonic, Temperature, VectorScaling

    logits = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
    for calibrator in (
        Temperature(1.7), VectorScaling((0.5, 1.2), (0.1, -0.4)), Isotonic((-1.0, -0.5, 0.8), (0.1, 0.4, 0.9)),
    ):  # fmt: skip
        found = outputs.calibrator_graph(calibrator)(torch.from_numpy(logits)).numpy()
        assert np.abs(found - calibrator.logits(logits)).max() < 1e-5
    assert outputs.steepest(Isotonic((0.0, 0.1), (0.2, 0.9))) == pytest.approx(7.0)
    with pytest.raises(ValueError, match="calibration by object cannot be exported"):
        outputs.calibrator_graph(object())


def tabular_rows(rows: int, present: np.ndarray) -> tuple[dict[str, Any], torch.Tensor]:
    rng = np.random.default_rng(rows)
    gaps = (rng.random((rows, 2)) < 0.3).astype(np.float32)
    numbers = rng.normal(size=(rows, 2)).astype(np.float32) * (1 - gaps)
    tensors = {
        "numeric_BF": torch.from_numpy(numbers), "missing_BF": torch.from_numpy(gaps),
        "categorical_BK": torch.from_numpy(rng.integers(0, 4, (rows, 1))),
    }  # fmt: skip
    return {"table": tensors}, torch.from_numpy(present)


@pytest.mark.parametrize("family", ["classes", "labels", "number"])
def test_trees_and_linear_models_equal_themselves(family: str) -> None:
    from plait.ensemble.linear import RowFeatures, fit_linear
    from plait.ensemble.scale import SCALES
    from plait.ensemble.trees import fit_trees
    from plait.inputs.kinds.tabular import _plain

    inputs, present = tabular_rows(160, np.ones((160, 1), dtype=bool))
    numbers = inputs["table"]["numeric_BF"].numpy()
    target = {
        "classes": (numbers[:, 0] > 0).astype(np.int64) + (numbers[:, 1] > 1),
        "labels": (numbers > 0).astype(np.float64),
        "number": np.exp(numbers[:, 0] + 0.2 * numbers[:, 1]).astype(np.float64),
    }[family]
    count, scale = {"classes": 3, "labels": 2, "number": 1}[family], SCALES.get(family)
    plain = _plain(SimpleNamespace(cardinalities=[4]), False)
    half = {key: tensor[:110] for key, tensor in inputs["table"].items()}
    rest = {key: tensor[110:] for key, tensor in inputs["table"].items()}
    grown = fit_trees(half, target[:110], rest, target[110:], (0,), "table", (4,), count, scale, 0)
    features = [
        RowFeatures({0: plain(part).numpy()}, present[:n].numpy(), values)
        for part, n, values in ((half, 110, target[:110]), (rest, 50, target[110:]))
    ]
    fitted = fit_linear([(features[0], features[1])], (0,), ("table",), count, scale)
    assert grown is not None and fitted is not None
    fitted.members[0].plain = (plain,)
    present = torch.rand(160, 1) < 0.8
    for member in (grown[0], fitted.members[0]):
        expected = member.outputs(inputs, None, present)
        found = members.member_graph(member)(inputs, present).detach().numpy()
        assert np.abs(found - expected).max() <= 1e-5 * max(1.0, float(np.abs(expected).max()))


def test_prototypes_equal_themselves() -> None:
    from plait.ensemble.linear import RowFeatures
    from plait.ensemble.prototypes import fit_prototypes

    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(30, 6)).astype(np.float32)
    present = rng.random((30, 1)) < 0.9
    member, _ = fit_prototypes(RowFeatures({0: vectors}, present, np.arange(30) % 4), (0,), ("v",), 5)
    member.plain = (lambda tensors: tensors["vector_BD"],)
    inputs, seen = {"v": {"vector_BD": torch.from_numpy(vectors)}}, torch.from_numpy(rng.random((30, 1)) < 0.7)
    found = members.member_graph(member)(inputs, seen).numpy()
    assert np.abs(found - member.outputs(inputs, None, seen)).max() < 1e-5
    inputs["v"]["vector_BD"][~seen[:, 0]] = float("nan")
    assert np.array_equal(found, members.member_graph(member)(inputs, seen).numpy())


def test_unknown_patterns_take_the_nearest_weights() -> None:
    """As the ensemble does, ties and rows of nothing among them."""
    from plait.ensemble import Ensemble

    known = [(True, True, True, True), (True, False, False, False), (False, True, True, False)]
    ensemble = SimpleNamespace(patterns=known, names="abcd", _row_of_code={})
    ensemble._row = lambda code: Ensemble._row(ensemble, code)
    made = SimpleNamespace(known_PM=torch.tensor(known))
    every = np.array([[bool(code >> m & 1) for m in range(4)] for code in range(16)])
    found = graph.EnsembleLogits.row_of(made, torch.from_numpy(every)).tolist()
    assert found == Ensemble.rows_of(ensemble, every).tolist() and set(found) == {0, 1, 2}


STRANGE = [
    "", "a", "the red  car, the RED car!", "\u7ea2\u8272\u7684\u8f66 \u7ea2\u8272",
    "caf\u00e9 \U0001f600\U0001f600 it's", " x yz \n\t zzzzzz ", "12.5% of A_b",
]  # fmt: skip


def test_ngrams_are_counted_as_in_training(tmp_path: Path) -> None:
    from plait.processors.ngrams import NgramProcessor

    processor = NgramProcessor.fit([*STRANGE, *STRANGE, "the red bus"])
    processor.save(tmp_path)
    expected, found = processor.process(STRANGE), texts.Ngrams(tmp_path / "ngrams.json").arrays(STRANGE)
    for row in range(len(STRANGE)):
        pairs = [
            {int(i): float(w) for i, w in zip(one["ngram_BG"][row], one["ngram_weight_BG"][row], strict=True) if w}
            for one in (expected, found)
        ]
        assert pairs[0] == pytest.approx(pairs[1], abs=1e-7)


@pytest.mark.real
def test_tokens_are_those_of_training(tmp_path: Path) -> None:
    from plait.api.exporting.description import _text, tokenizer_json
    from plait.encoders.load import load_encoder

    try:
        _, processor = load_encoder("minilm", "text", max_length=12)
    except ValueError as error:
        if "weights fetch" not in str(error):
            raise
        pytest.skip("pretrained weights are not here; plait weights fetch minilm efficientnet-lite0")
    (tmp_path / "tokenizer.json").write_text(tokenizer_json(processor), encoding="utf-8")
    tokens = texts.Tokens(_text(processor), tmp_path / "tokenizer.json")
    long = [*STRANGE, "many words " * 30]
    expected = processor.process(long)
    found = tokens.arrays(long)
    assert all(np.array_equal(expected[key].numpy(), found[key]) for key in ("input_ids", "attention_mask"))


@pytest.mark.parametrize("kind", ["text", "image", "image_set", "tabular", "vector", "audio"])
def test_the_copied_reader_needs_few_packages(kind: str, tmp_path: Path) -> None:
    packages, optional = bundle.write_bundle(tmp_path, {kind})
    assert set(packages) <= {"numpy", "onnxruntime", "tokenizers", "PIL"} and ("PIL" in packages) == ("image" in kind)
    assert optional == (["soundfile", "soxr"] if kind == "audio" else [])
    for path in (tmp_path / "plait_onnx").rglob("*.py"):
        for line in path.read_text("utf-8").splitlines():
            assert not line.startswith(("from plait.", "import plait", "import torch", "from torch", "import pyarrow"))


def test_texts_are_filled_up_alike_on_both_sides() -> None:
    from plait.encoders.text import fill_up

    ids, mask = torch.tensor([[5, 6, 7], [8, 9, 9]]), torch.tensor([[1, 1, 1], [1, 0, 0]])
    right = fill_up(ids, mask, 5, {"pad": 1})
    left = fill_up(ids, mask, 5, {"pad": 1, "pad_side": "left"})
    assert right.tolist() == [[5, 6, 7, 1, 1], [8, 1, 1, 1, 1]]
    assert left.tolist() == [[1, 1, 5, 6, 7], [1, 1, 1, 1, 8]]
