"""Settings: written and read without a change, strict about keys, types and ranges."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import yaml

from plait.settings import (
    DataSettings,
    FusionSettings,
    RunSettings,
    TrainSettings,
    from_dict,
    read_settings,
    set_values,
    to_dict,
    write_settings,
)


def test_round_trip_through_yaml(tmp_path: Path) -> None:
    settings = RunSettings(
        recipe="classic",
        data=DataSettings(source="posts.csv", target="label", text=("title", "body"), on_bad_row="skip"),
        fusion=FusionSettings(name="concat", options={"hidden_layers": 2}),
        train=TrainSettings(epochs=3, learning_rate=1e-3, seed=7, baselines=False),
    )
    write_settings(tmp_path / "run.yaml", settings, {"rows": 12})
    assert read_settings(tmp_path / "run.yaml") == settings
    written = yaml.safe_load((tmp_path / "run.yaml").read_text())
    assert written["facts"] == {"rows": 12}
    assert written["data"]["text"] == ["title", "body"]
    assert from_dict(RunSettings, to_dict(RunSettings())) == RunSettings()


@pytest.mark.parametrize(
    ("assignment", "group", "name", "wanted"),
    [
        ("train.epochs=3", "train", "epochs", 3),
        ("train.learning_rate=1e-3", "train", "learning_rate", 0.001),
        ("train.learning_rate=1", "train", "learning_rate", 1.0),
        ("train.baselines=false", "train", "baselines", False),
        ("train.epochs=null", "train", "epochs", None),
        ("data.text=[title, body]", "data", "text", ("title", "body")),
        ("fusion.options.raw=true", "fusion", "options", {"raw": True}),
        ("data.source=a=b.csv", "data", "source", "a=b.csv"),
        ("language.prompt=Caption:", "language", "prompt", "Caption:"),
        ("language.prompt='Caption: '", "language", "prompt", "Caption: "),
        ("language.prompt=[a: {", "language", "prompt", "[a: {"),
        ("data.target=#votes", "data", "target", "#votes"),
        ("language.prompt=Caption # 2", "language", "prompt", "Caption # 2"),
        ("language.prompt='it''s'", "language", "prompt", "it's"),
        ("language.prompt='tis", "language", "prompt", "'tis"),
        ("data.id=|", "data", "id", "|"),
        ("judge.by=region", "judge", "by", ("region",)),
        ("data.target=2024", "data", "target", "2024"),
        ("data.target=yes", "data", "target", "yes"),
        ("data.target=null", "data", "target", None),
    ],
)
def test_assignments(assignment: str, group: str, name: str, wanted: object) -> None:
    got = getattr(getattr(set_values(RunSettings(), [assignment]), group), name)
    assert got == wanted
    assert type(got) is type(wanted)


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("train.epoch=3", "unknown setting in train 'epoch'. Did you mean 'epochs'"),
        ("trian.epochs=3", "unknown setting 'trian.epochs'. Did you mean|unknown setting 'trian.epochs'"),
        ("train.epochs", "NAME=VALUE such as train.epochs=3, got 'train.epochs'"),
        ("train.epochs=many", "train.epochs must be int, got 'many'"),
        ("train.epochs=2.5", "train.epochs must be int, got 2.5"),
        ("train.epochs=true", "train.epochs must be int, got True"),
        ("train.seed=null", "train.seed needs a value"),
        ("augment.views=1000", "augment.views must be 1 to 64, got 1000"),
        ("encoder.text=x", r"unknown setting 'encoder.text'. Did you mean 'encoders.text', "),
        ("train.epochs=0", "train.epochs must be 1 or more, got 0"),
        ("train.optimizer=adam", r"unknown optimizer 'adam' \(train.optimizer\). Did you mean 'adamw'"),
        ("train.precision=float16", r"unknown precision 'float16' \(train.precision\). Did you mean 'bfloat16'"),
        ("train.warmup=1.0", "train.warmup must be at least 0 and below 1, got 1.0"),
        ("train.modality_dropout=-0.1", "train.modality_dropout must be at least 0"),
        ("train.learning_rate=0", "train.learning_rate must be above 0, got 0.0"),
        ("encoders.tuning=lorra", "Did you mean 'lora'"),
        ("data.on_bad_row=drop", r"unknown on bad row 'drop' \(data.on_bad_row\)"),
        ("data.text=[1, 2]", r"data.text must be names in brackets, such as \[a, b\], got \[1, 2\]"),
        ("train=3", "train must be a mapping of settings, got 3"),
    ],
)
def test_refusals_say_what_was_given(assignment: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        set_values(RunSettings(), [assignment])


def test_broken_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("train: [unclosed")
    with pytest.raises(ValueError, match="is not valid YAML"):
        read_settings(path)
    path.write_text("- 1\n")
    with pytest.raises(ValueError, match="must hold a mapping of settings, got list"):
        read_settings(path)
    path.write_text("")
    with pytest.raises(ValueError, match="must hold a mapping of settings, got NoneType"):
        read_settings(path)


def test_settings_are_frozen_and_each_field_has_its_sentence() -> None:
    import inspect

    import plait.settings

    with pytest.raises(dataclasses.FrozenInstanceError):
        RunSettings().recipe = "x"  # type: ignore[misc]
    lines = [line.strip() for line in inspect.getsource(plait.settings.groups).splitlines()]
    for kind in (DataSettings, FusionSettings, TrainSettings):
        for f in dataclasses.fields(kind):
            place = next(i for i, line in enumerate(lines) if line.startswith(f"{f.name}: "))
            assert lines[place + 1].startswith('"""') and lines[place + 1].endswith('."""'), f.name


def test_a_weight_that_is_no_number_is_told_its_usual_value() -> None:
    """What the message says is what a comparison takes where no strength is named."""
    from plait.objectives import OBJECTIVES

    for name in OBJECTIVES.names():
        if name == "gradient_blending":  # on or off
            continue
        usual = f"{OBJECTIVES.get(name).usual:g}"
        with pytest.raises(ValueError, match=rf"train.{name} must be float, got True; {usual} is usual, 0 is off$"):
            set_values(RunSettings(), [f"train.{name}=true"])
