"""Late fusions in the model and in whole runs: the loss, what is saved, one small fit for every kind of task."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

import plait
from fixtures.lazy import lazy
from fixtures.tiny_models import build_model, encoded_modalities
from plait.fusion import FUSIONS
from plait.inputs.dataset import RowBatches, TensorSource
from plait.settings import TrainSettings

PlaitModel = lazy("plait.model", "PlaitModel")

SETTINGS = ["encoders.text=scratch:text", "train.threads=1", "train.patience=0"]
LATE = [name for name in FUSIONS.names() if FUSIONS.get(name).is_late]


def model_of(name: str, **changes: Any) -> PlaitModel:
    torch.manual_seed(0)
    return build_model(encoded_modalities({"m0": 4, "m1": 5, "m2": 6}), name, width=6, **{"num_outputs": 3, **changes})


def batch_of(rows: int) -> tuple[dict[str, dict[str, torch.Tensor]], torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    inputs = {f"m{i}": {"vector_BD": torch.randn(rows, 4 + i, generator=generator)} for i in range(3)}
    present = torch.rand(rows, 3, generator=generator) < 0.7
    present[:, 0] = True
    return inputs, present


@pytest.mark.parametrize("weights", [None, [1.0, 2.0, 4.0]])
@pytest.mark.parametrize("name", [name for name in LATE if name not in ("evidential", "rcml", "dbf", "pdf", "qmf")])
def test_loss_is_the_joint_loss_and_the_mean_loss_of_the_modalities(name: str, weights: list[float] | None) -> None:
    model = model_of(name, class_weights=weights)
    inputs, present = batch_of(8)
    target = torch.arange(8) % 3
    for training in (True, False):
        out = model.train(training)(inputs, present, target)
        fused = model.fusion(model.encode(inputs), present)
        weight_C = None if weights is None else torch.tensor(weights)
        joint = functional.cross_entropy(fused.fused_BD, target, weight=weight_C, reduction="none").mean()
        alone = [
            functional.cross_entropy(
                fused.modality_logits_BMC[there, m], target[there], weight=weight_C, reduction="none"
            ).mean()
            for m in range(3)
            for there in [present[:, m]]
        ]
        torch.testing.assert_close(out["loss"], joint + torch.stack(alone).mean())


def test_evidential_loss_takes_the_place_of_the_tasks() -> None:
    model = model_of("evidential").eval()
    inputs, present = batch_of(8)
    target = torch.arange(8) % 3
    fused = model.fusion(model.encode(inputs), present)
    alone = [
        model.fusion.row_loss(fused.modality_logits_BMC[:, m], target, None)[present[:, m]].mean() for m in range(3)
    ]
    joint = model.fusion.row_loss(fused.fused_BD, target, None).mean()
    torch.testing.assert_close(model(inputs, present, target)["loss"], joint + torch.stack(alone).mean())
    assert not model.sees_interactions


def test_encoders_learn_from_their_modalitys_own_answer_only() -> None:
    model = model_of("late_mean").train()
    inputs, present = batch_of(8)
    inputs["m0"]["vector_BD"].requires_grad_()
    model(inputs, present, torch.arange(8) % 3)["loss"].backward()
    grad = inputs["m0"]["vector_BD"].grad.clone()
    inputs["m0"]["vector_BD"].grad = None
    logits = model.fusion(model.encode(inputs), present).modality_logits_BMC[:, 0]
    (functional.cross_entropy(logits, torch.arange(8) % 3) / 3).backward()
    torch.testing.assert_close(inputs["m0"]["vector_BD"].grad, grad)


@pytest.mark.parametrize("name", ["late_stacking", "product_of_experts", "evidential", "dbf", "qmf", "pdf"])
def test_buffers_are_saved_bit_equal(name: str, tmp_path: Path) -> None:
    model = model_of(name).eval()
    inputs, present = batch_of(8)
    if name == "late_stacking":
        model.fusion.fit_combiner(np.random.default_rng(0).normal(size=(40, 12)), np.arange(40) % 3)
        assert model.fusion.is_fitted_C.all()
    model.fusion.start_from(np.array([0, 0, 0, 1, 1, 2]), None)
    model.save_pretrained(tmp_path)
    again = PlaitModel.from_pretrained(tmp_path).eval()
    target = torch.arange(8) % 3
    a, b = model(inputs, present, target), again(inputs, present, target)
    assert torch.equal(a["logits"], b["logits"]) and torch.equal(a["loss"], b["loss"])
    assert model.state_dict().keys() == again.state_dict().keys()
    assert all(torch.equal(v, again.state_dict()[k]) for k, v in model.state_dict().items())


TARGETS: dict[str, Any] = {
    "classification": [["low", "mid", "high"][i % 3] for i in range(150)],
    "multilabel": [";".join(["odd"] * (i % 2) + ["three"] * (i % 3 == 0)) or "none" for i in range(150)],
    "regression": [float(i % 3) + 0.1 * (i % 2) for i in range(150)],
}


def table_of(task: str) -> dict[str, list[Any]]:
    return {
        "text": [f"{['red', 'green', 'blue'][i % 3]} thing" if i % 7 else None for i in range(150)],
        "size": [float(i % 2) + 0.01 * (i % 5) for i in range(150)],
        "answer": TARGETS[task],
        "split": [["train", "train", "train", "val", "test"][i // 6 % 5] for i in range(150)],
    }


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("late_stacking", "classification"),
        ("evidential", "classification"),
        ("rcml", "classification"),
        ("dbf", "classification"),
        ("qmf", "classification"),
        ("pdf", "classification"),
        ("product_of_experts", "multilabel"),
        ("late_stacking", "multilabel"),
        ("late_weighted", "regression"),
        ("late_stacking", "regression"),
    ],
)
def test_a_whole_fit_of_every_kind_of_task(name: str, task: str, tmp_path: Path) -> None:
    table = table_of(task)
    baselines = name == "late_stacking" and task == "classification"
    settings = [*SETTINGS, f"fusion.name={name}", f"task.name={task}", f"train.baselines={str(baselines).lower()}"]
    settings += ["train.learning_rate=0.02"]
    fitted = plait.fit(table, "answer", split="split", epochs=6, output=tmp_path / "model", set=settings)
    fusion = fitted.model.fusion
    assert fusion.info.name == name and fitted.model.head.is_linear
    if name == "late_stacking":
        assert fusion.is_fitted_C.all() and fusion.weight_CF.abs().sum() > 0
    if name == "product_of_experts":
        train = [i for i in range(150) if table["split"][i] == "train"]
        odds = sum(i % 2 for i in train) + 1.0, sum(1 - i % 2 for i in train) + 1.0
        place = list(fitted.labels.classes).index("odd")
        assert float(fusion.log_prior_C[place]) == pytest.approx(np.log(odds[0] / odds[1]), abs=1e-6)
    assert fusion.progress == 1.0
    again = plait.load(tmp_path / "model")
    assert again.predict(table).equals(fitted.predict(table))
    for key, value in fitted.model.state_dict().items():
        assert torch.equal(value.cpu(), again.model.state_dict()[key].cpu())
    made = again.predict(table).column("prediction").to_pylist()
    seen = [i for i in range(150) if i % 7]  # rows whose text is there
    if task == "classification":
        assert np.mean([made[i] == table["answer"][i] for i in seen]) > 0.9
    elif task == "multilabel":
        assert np.mean([("three" in made[i]) == (i % 3 == 0) for i in seen]) > 0.9
    else:
        assert np.corrcoef([made[i] for i in seen], [table["answer"][i] for i in seen])[0, 1] > 0.9


@pytest.mark.parametrize("num_rows", [24, 48])
def test_annealing_follows_the_share_of_all_steps_however_many_rows(num_rows: int, tmp_path: Path) -> None:
    from plait.training.trainer import train_model

    model, seen = model_of("evidential"), []
    inputs, present = batch_of(num_rows)
    sources = {n: TensorSource(tensors) for n, tensors in inputs.items()}
    index_NM = np.where(present.numpy(), np.arange(num_rows)[:, None], -1)
    whole = model.fusion.row_loss

    def watched(*arguments: Any) -> torch.Tensor:
        seen.append(model.fusion.progress)
        return whole(*arguments)

    model.fusion.row_loss = watched
    settings = TrainSettings(
        epochs=2, batch_size=6, optimizer="adamw", learning_rate=0.01, weight_decay=0.0, schedule="constant",
        warmup=0.0, patience=0,
    )  # fmt: skip
    train_model(model, RowBatches(sources, index_NM, np.arange(num_rows) % 3), settings, tmp_path / "run")
    steps = num_rows // 6 * 2
    assert sorted(set(seen)) == pytest.approx([i / steps for i in range(steps)])
    assert model.fusion.progress == 1.0


def test_a_model_that_counted_batches_loads(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    from plait.api.model_folder import load_network

    model = model_of("evidential").eval()
    model.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["fusion"]["options"] = {"annealing": 500}
    (tmp_path / "config.json").write_text(json.dumps(config))
    state = load_file(tmp_path / "model.safetensors")
    save_file({**state, "fusion.batches_seen": torch.tensor(7)}, tmp_path / "model.safetensors")
    inputs, present = batch_of(8)
    again = load_network(tmp_path).cpu()
    assert torch.equal(model(inputs, present)["logits"], again(inputs, present)["logits"])


@pytest.mark.parametrize("name", ["evidential", "late_stacking", "qmf"])
def test_a_run_that_was_cut_resumes_to_the_same_model(name: str, tmp_path: Path) -> None:
    from plait.training import calibrate
    from plait.training.trainer import train_model

    settings = TrainSettings(
        epochs=4, batch_size=8, optimizer="adamw", learning_rate=0.01, weight_decay=0.0, schedule="constant",
        warmup=0.0, patience=0, modality_dropout=0.0, alignment=0.0,
    )  # fmt: skip
    inputs, present = batch_of(48)
    sources = {n: TensorSource(tensors) for n, tensors in inputs.items()}
    index_NM = np.where(present.numpy(), np.arange(48)[:, None], -1)
    rows = RowBatches(sources, index_NM, np.arange(48) % 3)

    def train(folder: Path, cut_at: int | None = None, resume: bool = False) -> PlaitModel:
        model, calls = model_of(name), 0

        def score(current: PlaitModel) -> dict[str, float]:
            nonlocal calls
            calls += 1
            if calls == cut_at:
                raise InterruptedError
            calibrate(current, rows, rows)
            return {}

        train_model(model, rows, settings, folder, score=score, resume=resume)
        return model

    straight = train(tmp_path / "straight").state_dict()
    with pytest.raises(InterruptedError):
        train(tmp_path / "cut", cut_at=3)
    resumed = train(tmp_path / "cut", resume=True).state_dict()
    assert all(torch.equal(value, resumed[key]) for key, value in straight.items())
    if name == "late_stacking":
        assert straight["fusion.is_fitted_C"].all()


@pytest.mark.parametrize(
    "name",
    ["late_mean", "qmf", *(pytest.param(n, marks=pytest.mark.slow) for n in ("late_weighted", "evidential", "rcml"))],
)
def test_emap_of_an_additive_late_fusion_finds_no_interaction(name: str) -> None:
    rng = np.random.default_rng(0)
    table = {"text": [f"word{i} more" for i in rng.integers(0, 9, 90)], "size": rng.normal(size=90).tolist(),
             "label": rng.integers(0, 3, 90).astype(str).tolist()}  # fmt: skip
    settings = [*SETTINGS, f"fusion.name={name}", "train.baselines=false", "train.learning_rate=0.05"]
    fitted = plait.fit(table, "label", text="text", numeric="size", epochs=3, set=settings)
    if name == "late_weighted":
        with torch.no_grad():
            fitted.model.fusion.logits_M[0] = 1.5
    found = fitted.explain(table, rows="all", permutations=0)["emap"]
    assert found["rows"] == found["block"] == 90  # all pairs
    assert abs(found["gap"]["value"]) < 1e-9 and found["residual"] < 1e-9
    words = {
        "evidential": "the log growth of evidence, which this fusion adds up", "qmf": "logits",
        "rcml": "evidence, which this fusion averages",
    }.get(name, "probabilities, which this fusion averages")  # fmt: skip
    assert f" on {words}" in found["method"]


def test_evidential_predictions_tell_their_uncertainty() -> None:
    table = {k: list(v) for k, v in table_of("classification").items()}
    settings = [*SETTINGS, "fusion.name=evidential", "train.baselines=false"]
    fitted = plait.fit(table, "answer", split="split", epochs=2, set=settings)
    table["text"][4] = table["size"][4] = None
    made = fitted.predict(table)
    doubt = np.array(made.column("uncertainty").to_pylist(), dtype=float)
    assert made.column_names[-2:] == ["uncertainty", "problem"] and ((doubt > 0) & (doubt <= 1)).all()
    assert doubt[4] == pytest.approx(1.0, abs=1e-6) and doubt[5] < 0.999  # nothing to read: no evidence at all
    other = plait.fit(table, "answer", split="split", epochs=1, set=[*SETTINGS, "train.baselines=false"])
    assert "uncertainty" not in other.predict(table).column_names


@pytest.mark.parametrize(
    ("task", "change", "message"),
    [
        ("regression", "fusion.name=evidential", "fusion 'evidential' joins answers about classes"),
        ("classification", "fusion.options.squeez=8", "does not take these options.*squeez"),
        ("classification", "fusion.options.hidden_layers=1.5", "hidden_layers must be a whole number"),
        ("classification", "task.head=pair", "type fusion='cosine'"),
    ],
)
def test_what_cannot_be_built_is_refused_before_encoding(
    task: str, change: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plait.api.preparing.prepare", lambda *given, **more: pytest.fail("encoded before the check"))
    with pytest.raises(ValueError, match=message):
        settings = [*SETTINGS, "fusion.name=concat", change]
        plait.fit(table_of(task), "answer", split="split", text="text", numeric="size", epochs=1, set=settings)


def test_evidential_on_a_number_says_what_to_type() -> None:
    settings = [*SETTINGS, "fusion.name=evidential", "train.baselines=false"]
    with pytest.raises(ValueError, match=r"set=\['fusion.name=late_mean'\]"):
        plait.fit(table_of("regression"), "answer", split="split", epochs=1, set=settings)


def test_a_fit_reports_what_stacking_could_not_fit(tmp_path: Path) -> None:
    """No silent fall back to the mean: a class without a validation row is named in the report."""
    table = table_of("classification")
    kept = [i for i in range(150) if table["split"][i] != "val" or table["answer"][i] != table["answer"][0]]
    table = {k: [v[i] for i in kept] for k, v in table.items()}
    settings = [*SETTINGS, "fusion.name=late_stacking", "train.baselines=false", "task.class_weights=true"]
    fitted = plait.fit(table, "answer", split="split", epochs=1, set=settings)
    notes = [n for n in fitted.report["evaluation"]["notes"] if n.startswith("late_stacking")]
    assert len(notes) == 1 and str(table["answer"][0]) in notes[0] and "plain mean" in notes[0]
    assert len(fitted.model.fusion.class_weights) == fitted.labels.num_outputs
