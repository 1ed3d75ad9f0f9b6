"""The model: its config, its forward and what it saves."""

from __future__ import annotations

import inspect
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from fixtures.lazy import lazy
from fixtures.tiny_models import encoded_modalities
from plait.encoders.scratch import ScratchTextEncoder
from plait.encoders.tabular import TabularEncoder

PlaitConfig, PlaitModel = lazy("plait.model", "PlaitConfig", "PlaitModel")

NAMES = ["zebra", "apple", "mango"]


def config(**changes: object) -> PlaitConfig:
    values = {
        "modalities": encoded_modalities({n: 4 + i for i, n in enumerate(NAMES)}),
        "fusion": {"name": "concat", "width": 6, "dropout": 0.0, "options": {}},
        "num_outputs": 3,
        **changes,
    }
    return PlaitConfig(**values)  # type: ignore[arg-type]


def inputs(rows: int, seed: int = 0) -> dict[str, dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    return {n: {"vector_BD": torch.randn(rows, 4 + i, generator=generator)} for i, n in enumerate(NAMES)}


def test_config_keeps_the_order_of_modalities(tmp_path: Path) -> None:
    first = config(class_weights=[1.0, 2.0, 0.5], modality_dropout=0.2, alignment=0.3, task="classification")
    first.save_pretrained(tmp_path)
    again = PlaitConfig.from_pretrained(tmp_path)
    assert again.modality_names == NAMES
    assert again.modalities == first.modalities
    for name in ("fusion", "head", "task", "num_outputs", "modality_dropout", "alignment", "class_weights"):
        assert getattr(again, name) == getattr(first, name)
    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == "plait"


def test_forward_takes_named_arguments_only_and_its_loss_is_its_own() -> None:
    kinds = {p.kind for p in inspect.signature(PlaitModel.forward).parameters.values()}
    assert inspect.Parameter.VAR_KEYWORD not in kinds
    assert inspect.Parameter.VAR_POSITIONAL not in kinds
    assert PlaitModel.accepts_loss_kwargs is False


def test_saved_model_answers_bit_equal_and_holds_no_pickle(tmp_path: Path) -> None:
    torch.manual_seed(0)
    text, table = ScratchTextEncoder(50, 8, 8, 1), TabularEncoder(2, [3], 8)
    modalities = [
        {"name": "note", "kind": "text", "vector_dim": 8, "token_dim": 8, "encoder": text.config()},
        {"name": "tabular", "kind": "tabular", "vector_dim": 8, "token_dim": 8, "encoder": table.config()},
        {"name": "photo", "kind": "image", "vector_dim": 5, "token_dim": None, "encoder": None},
    ]
    fusion = {"name": "co_attention", "width": 8, "dropout": 0.1, "options": {"heads": 2}}
    made = PlaitModel.from_encoders(
        config(modalities=modalities, fusion=fusion, class_weights=[1.0, 3.0, 0.5]),
        {"note": text, "tabular": table},
    ).eval()
    for k, v in text.state_dict().items():
        assert torch.equal(made.encoders["0"].state_dict()[k], v)
    made.save_pretrained(tmp_path)
    assert {p.suffix for p in tmp_path.iterdir()} == {".json", ".safetensors"}
    again = PlaitModel.from_pretrained(tmp_path).eval()
    batch = {
        "note": {"input_ids": torch.tensor([[4, 5, 0], [7, 8, 9]]), "attention_mask": torch.tensor([[1, 1, 0], [1] * 3])},  # noqa: E501
        "tabular": {
            "numeric_BF": torch.randn(2, 2), "missing_BF": torch.zeros(2, 2), "categorical_BK": torch.tensor([[1], [2]]),  # noqa: E501
        },
        "photo": {"vector_BD": torch.randn(2, 5)},
    }  # fmt: skip
    present = torch.tensor([[True, True, False], [True, False, True]])
    target = torch.tensor([0, 1])
    a, b = made(batch, present, target), again(batch, present, target)
    assert torch.equal(a["logits"], b["logits"])
    assert torch.equal(a["loss"], b["loss"])
    assert again.class_weights_C.tolist() == [1.0, 3.0, 0.5]


def test_weights_have_the_names_of_the_network_and_not_those_of_published_files(tmp_path: Path) -> None:
    """A vision transformer's layers are called otherwise in published files than in transformers' own network."""
    import transformers as hf
    from safetensors.torch import load_file

    from plait.encoders.load import load_encoder

    sides = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    hf.ViTModel(hf.ViTConfig(**sides, image_size=32, patch_size=16)).save_pretrained(tmp_path / "vit")
    hf.ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(tmp_path / "vit")
    photo, _ = load_encoder(f"hf:{tmp_path / 'vit'}", "image")
    facts = {"name": "photo", "kind": "image", "vector_dim": 8, "token_dim": 8, "encoder": photo.config()}
    fusion = {"name": "concat", "width": 8, "dropout": 0.0, "options": {}}
    made = PlaitModel.from_encoders(config(modalities=[facts], fusion=fusion), {"photo": photo})
    made.save_pretrained(tmp_path / "model")
    written = load_file(tmp_path / "model" / "model.safetensors")
    assert set(written) == set(made.state_dict())
    assert all(torch.equal(made.state_dict()[name], tensor) for name, tensor in written.items())


def test_loss_is_the_mean_of_the_weighted_losses() -> None:
    torch.manual_seed(0)
    model = PlaitModel(config(class_weights=[1.0, 2.0, 4.0])).eval()
    present = torch.ones(3, 3, dtype=torch.bool)
    out = model(inputs(3), present, torch.tensor([0, 1, 2]))
    logits = out["logits"].detach().double().numpy()
    log_proba = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    wanted = np.mean([-w * log_proba[i, i] for i, w in enumerate((1.0, 2.0, 4.0))])
    assert float(out["loss"].detach()) == pytest.approx(wanted, rel=1e-5)
    assert "loss" not in model(inputs(3), present)


def test_modality_order_of_the_inputs_does_not_matter() -> None:
    torch.manual_seed(0)
    model = PlaitModel(config()).eval()
    given = inputs(4)
    turned = {n: given[n] for n in reversed(NAMES)}
    present = torch.ones(4, 3, dtype=torch.bool)
    assert torch.equal(model(given, present)["logits"], model(turned, present)["logits"])


def test_modality_dropout_hides_at_its_rate_and_never_the_last_one() -> None:
    torch.manual_seed(0)
    model = PlaitModel(config(modality_dropout=0.3))
    present = torch.ones(20_000, 3, dtype=torch.bool)
    present[:10_000, 1:] = False
    hidden = model._hide(present)
    assert torch.equal(hidden[:10_000], present[:10_000])
    assert not (hidden & ~present).any()
    # each is hidden with 0.3, but a row that would lose all three keeps all: 0.7 + 0.3**3
    shares = hidden[10_000:].float().mean(0)
    assert shares.tolist() == pytest.approx([0.7 + 0.027] * 3, abs=0.02)
    assert PlaitModel(config())._hide(present) is present


def test_nothing_is_hidden_when_the_model_is_asked() -> None:
    torch.manual_seed(0)
    model = PlaitModel(config(modality_dropout=0.9)).eval()
    present = torch.ones(8, 3, dtype=torch.bool)
    assert torch.equal(model(inputs(8), present)["logits"], model(inputs(8), present)["logits"])


def test_alignment_joins_the_training_loss_of_right_pairs_only() -> None:
    torch.manual_seed(0)
    two = config().modalities[:2]
    changes = {
        "modalities": two,
        "num_outputs": 2,
        "task": "matching",
        "head": {"name": "pair", "dropout": 0.0},
        "fusion": {"name": "cosine", "width": 4, "dropout": 0.0, "options": {}},
    }
    model = PlaitModel(config(**changes, alignment=0.5)).train()
    given = {n: inputs(6)[n] for n in NAMES[:2]}
    present, target = torch.ones(6, 2, dtype=torch.bool), torch.tensor([1, 0, 1, 1, 0, 0])
    keys = torch.arange(6)[:, None].repeat(1, 2)
    loss = float(model(given, present, target, torch.arange(6), keys)["loss"].detach())
    plain = float(model(given, present, target)["loss"].detach())
    right = target == 1
    fused = model.fusion(model.encode(given), present)
    term = model.head.alignment_loss(fused, present, torch.arange(6), keys, right)
    assert loss == pytest.approx(plain + 0.5 * float(term.detach()), rel=1e-5)
    judged = model.eval()(given, present, target, torch.arange(6), keys)["loss"]
    assert float(judged.detach()) == pytest.approx(plain, rel=1e-5)
    assert math.isfinite(loss)


def test_sees_interactions() -> None:
    def sees(name: str, **options: object) -> bool:
        return PlaitModel(
            config(fusion={"name": name, "width": 4, "dropout": 0.0, "options": options})
        ).sees_interactions

    assert sees("product") and sees("gated") and sees("co_attention") and sees("concat")
    assert not sees("weighted_sum") and not sees("concat", hidden_layers=0)


def test_what_cannot_be_built_or_run_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown fusion 'prodct'. Did you mean 'product'"):
        PlaitModel(config(fusion={"name": "prodct", "width": 4, "dropout": 0.0, "options": {}}))
    with pytest.raises(ValueError, match="'gated' does not take these options.*heads"):
        PlaitModel(config(fusion={"name": "gated", "width": 4, "dropout": 0.0, "options": {"heads": 2}}))
    pair = {"name": "pair", "dropout": 0.0}
    with pytest.raises(ValueError, match="fusion 'concat' does not make; type fusion='cosine'"):
        PlaitModel(config(modalities=config().modalities[:2], num_outputs=2, head=pair))
    wrong = inputs(1) | {"apple": {"input_ids": torch.tensor([[1]])}}
    with pytest.raises(ValueError, match="'apple' must come encoded"):
        PlaitModel(config())(wrong, torch.ones(1, 3, dtype=torch.bool))
