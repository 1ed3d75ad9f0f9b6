"""Aids under the real trainer: off is as before, on changes training, resume is exact, planted modalities are found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fixtures.lazy import lazy
from fixtures.tiny_models import build_model, encoded_modalities
from fixtures.training import PowerCutError
from plait.inputs.dataset import RowBatches, TensorSource
from plait.settings import TrainSettings

PlaitModel = lazy("plait.model", "PlaitModel")
head_losses = lazy("plait.training.blending", "head_losses")
train_model = lazy("plait.training.trainer", "train_model")

SETTINGS = TrainSettings(
    epochs=4, batch_size=8, optimizer="adamw", learning_rate=0.01, weight_decay=0.0, schedule="constant", warmup=0.0,
    patience=0,
)  # fmt: skip
ALL = {"ogm": 0.5, "ogm_noise": 1.0, "gradient_blending": 1.0, "alignment": 0.2, "orthogonality": 0.2}
Watch = Callable[[Any], dict[str, float]]


def make_model(aids: dict[str, float], dims: tuple[int, int] = (3, 4), seed: int = 0) -> PlaitModel:
    torch.manual_seed(seed)
    modalities = encoded_modalities(dict(zip(("a", "b"), dims, strict=True)))
    return build_model(modalities, width=6, dropout=0.2, modality_dropout=0.2, aids=aids)


def make_rows(num_rows: int = 48, dims: tuple[int, int] = (3, 4), seed: int = 5, clean: float = 1.0) -> RowBatches:
    """The first number of modality a tells the class; b is noise; some cells are missing."""
    generator = torch.Generator().manual_seed(seed)
    a, b = (torch.randn(num_rows, d, generator=generator) for d in dims)
    target = (a[:, 0] > 0).long().numpy()
    a[:, 0] *= clean
    index = np.arange(num_rows)[:, None].repeat(2, 1)
    index[::7, 1] = -1
    return RowBatches({"a": TensorSource({"vector_BD": a}), "b": TensorSource({"vector_BD": b})}, index, target)


def make_watch(
    train: RowBatches, val: RowBatches, cut_at: int | None = None, seen: list[list[float]] | None = None
) -> Watch:  # noqa: E501
    calls = 0

    def watch(model: PlaitModel) -> dict[str, float]:
        nonlocal calls
        calls += 1
        if calls == cut_at:
            raise PowerCutError
        if model.aids is None or model.aids.blending is None:
            return {}
        model.aids.blending.observe(head_losses(model, train), head_losses(model, val))
        weights = model.aids.blending.weights_K.tolist()
        if seen is not None:
            seen.append(weights)
        return dict(zip(("w_a", "w_b", "w_joint"), weights, strict=True))

    return watch


def run(model: PlaitModel, folder: Path, settings: TrainSettings = SETTINGS, **options: object) -> PlaitModel:
    rows = make_rows()
    watch = options.pop("watch", make_watch(rows, make_rows(seed=6)))
    train_model(model, rows, settings, folder, watch=watch, **options)  # type: ignore[arg-type]
    return model


def equal(left: PlaitModel, right: PlaitModel) -> bool:
    other = right.state_dict()
    return all(torch.equal(v, other[k]) for k, v in left.state_dict().items() if k in other)


def test_off_is_off_and_each_aid_changes_training(tmp_path: Path) -> None:
    short = replace(SETTINGS, epochs=2)
    plain = run(make_model({}), tmp_path / "plain", short)
    assert not any("aids" in k for k in plain.state_dict())
    unwatched = make_model({})
    train_model(unwatched, make_rows(), short, tmp_path / "unwatched")
    assert equal(plain, unwatched)
    adapters = run(make_model({"auxiliary": 0.0}), tmp_path / "adapters", short)
    chosen = ({"auxiliary": 0.3}, *({k: v} for k, v in ALL.items() if k != "ogm_noise"), {"ogm": 0.5, "ogm_noise": 1.0})
    models = [run(make_model(aids), tmp_path / f"{i}", short) for i, aids in enumerate(chosen)]
    for i, model in enumerate(models):
        assert not equal(adapters, model), chosen[i]
        assert equal(model, run(make_model(chosen[i]), tmp_path / f"again{i}", short))
    assert not any(equal(a, b) for i, a in enumerate(models) for b in models[:i])


@pytest.mark.parametrize("cut_at", [1, 2, 3, 5])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_resumed_run_equals_the_straight_run_exactly(tmp_path: Path, cut_at: int, optimizer: str) -> None:
    settings = replace(SETTINGS, optimizer=optimizer)
    whole: list[list[float]] = []
    train, val = make_rows(), make_rows(seed=6)
    straight = run(make_model(ALL), tmp_path / "s", settings, watch=make_watch(train, val, seen=whole))
    with pytest.raises(PowerCutError):
        run(make_model(ALL), tmp_path / "cut", settings, watch=make_watch(train, val, cut_at))
    torch.manual_seed(1234)
    rest: list[list[float]] = []
    start = make_model(ALL, seed=0 if cut_at < 3 else 99)  # before the first checkpoint nothing is kept
    resumed = run(start, tmp_path / "cut", settings, watch=make_watch(train, val, seen=rest), resume=True)
    assert equal(straight, resumed)
    assert len(whole) == 5 and len(rest) == (5 if cut_at < 3 else 5 - cut_at + 1)
    assert rest == whole[-len(rest) :]
    assert len({tuple(w) for w in whole}) > 2


@pytest.mark.parametrize("optimizer", ["adamw", pytest.param("sgd", marks=pytest.mark.slow)])
def test_resumed_run_of_the_recent_aids_equals_the_straight_run(tmp_path: Path, optimizer: str) -> None:
    settings, aids = replace(SETTINGS, optimizer=optimizer), {"opm": 0.5, "comm": 0.2, "mmpareto": 1.5}
    train, val = make_rows(), make_rows(seed=6)
    straight = run(make_model(aids), tmp_path / "s", settings)
    with pytest.raises(PowerCutError):
        run(make_model(aids), tmp_path / "cut", settings, watch=make_watch(train, val, 4))
    torch.manual_seed(1234)
    resumed = run(make_model(aids, seed=99), tmp_path / "cut", settings, resume=True)
    assert equal(straight, resumed)
    for name in aids:
        without = run(make_model({k: v for k, v in aids.items() if k != name}), tmp_path / name, settings)
        assert not equal(straight, without), name


def test_head_losses_are_those_of_the_whole_set_at_once() -> None:
    model, rows = make_model({"auxiliary": 0.3}), make_rows()
    got = head_losses(model, rows, batch_size=5)
    assert model.training
    batch = rows.__getitems__(list(range(48)))
    model.eval()
    encoded = model.encode(batch["inputs"], batch["present"])
    answers = model.aids.auxiliary([e.vector_BD for e in encoded])
    for m in range(2):
        there = batch["present"][:, m]
        expected = torch.nn.functional.cross_entropy(answers[there, m], batch["target"][there])
        torch.testing.assert_close(got[m], expected.detach())
    torch.testing.assert_close(got[2], model(**batch)["loss"].detach())


def test_a_modality_learned_by_heart_gets_less_weight(tmp_path: Path) -> None:
    dims = (3, 60)  # modality b: sixty numbers of noise, enough to learn forty rows by heart
    train = make_rows(40, dims, clean=3.0)
    val = make_rows(200, dims, seed=6, clean=3.0)
    model = make_model({"gradient_blending": 1.0}, dims)
    watch = make_watch(train, val)
    history = train_model(model, train, replace(SETTINGS, epochs=10), tmp_path / "run", watch=watch)
    for epoch in history.epochs[2:]:
        assert epoch["w_b"] < 0.5 * epoch["w_a"] and epoch["w_b"] <= epoch["w_joint"]
        assert epoch["w_a"] + epoch["w_b"] + epoch["w_joint"] == pytest.approx(1.0, abs=1e-5)
    train_K, val_K = head_losses(model, train), head_losses(model, val)
    assert val_K[1] - train_K[1] > val_K[0] - train_K[0]  # it is overfitted indeed


def test_ogm_stops_the_adapter_of_the_modality_that_leads(tmp_path: Path) -> None:
    rows = make_rows(clean=3.0)
    settings = replace(SETTINGS, optimizer="sgd", learning_rate=0.1, momentum=0.0, epochs=1)
    moved = {}
    for alpha in (1e-9, 1e3):  # k = 1 and k = 0 for the modality ahead
        model = make_model({"ogm": alpha})
        with torch.no_grad():  # a knows already, b guesses
            for m, size in enumerate((3.0, 0.0)):
                head = model.aids.auxiliary.heads[m].linear
                head.weight.zero_()
                head.bias.zero_()
                head.weight[:, 0] = torch.tensor([-size, size])
        train_model(model, rows, settings, tmp_path / f"{alpha}")
        moved[alpha] = [float(a.linear.weight.detach().abs().max()) for a in model.aids.adapters]
    assert min(moved[1e-9]) > 0
    assert moved[1e3][0] == 0.0 and moved[1e3][1] > 0


def test_auxiliary_loss_teaches_the_heads_and_alignment_brings_rows_together(tmp_path: Path) -> None:
    rows = make_rows(clean=3.0)
    settings = replace(SETTINGS, epochs=12)
    model = make_model({"auxiliary": 1.0})
    before = head_losses(model, rows)
    train_model(model, rows, settings, tmp_path / "auxiliary")
    assert head_losses(model, rows)[0] < 0.7 * before[0]
    batch = rows.__getitems__(list(range(48)))

    def term(model: PlaitModel) -> float:
        vectors = [e.vector_BD for e in model.encode(batch["inputs"], batch["present"])]
        return float(model.aids.alignment(vectors, batch["present"], batch["group"], batch["keys"]).detach())

    aligned = make_model({"alignment": 1.0})
    start = term(aligned)
    train_model(aligned, rows, settings, tmp_path / "alignment")
    assert term(aligned) < 0.8 * start


def test_orthogonality_lowers_the_overlap(tmp_path: Path) -> None:
    from plait.objectives import orthogonality

    same = make_rows(dims=(4, 4))
    same.sources["b"] = same.sources["a"]  # the modalities tell the same
    overlaps = []
    for weight in (0.0, 3.0):
        model = make_model({"orthogonality": weight}, (4, 4))
        train_model(model, same, replace(SETTINGS, epochs=12), tmp_path / f"{weight}")
        batch = same.__getitems__(list(range(48)))
        vectors = [e.vector_BD for e in model.encode(batch["inputs"], batch["present"])]
        overlaps.append(float(orthogonality(vectors, batch["present"]).detach()))
    assert overlaps[1] < 0.7 * overlaps[0]
