"""What a training objective says about itself, which objectives a run has chosen, and what each of them needs.

A training objective changes how a model learns, not what it computes once trained, and works with any fusion. The name
of an objective is the name of its setting under ``train``; a choice is a mapping from name to strength, without those
that are off.
"""

from __future__ import annotations

from dataclasses import dataclass

from plait.registry import Registry
from plait.settings import TrainSettings
from plait.tasks import Task


@dataclass(frozen=True)
class ObjectiveInfo:
    """What an objective says about itself, for reports, errors and documentation.

    Attributes:
        name: Its setting under ``train``.
        paper: Authors and year.
        equation: What it does, in one line.
        usual: The strength that a comparison takes where none is named.
        only_classes: Whether it needs a task with classes (one right class a row).
        needs_validation: Whether it needs validation rows.
        alone: Whether it needs a task in which one modality alone can be trained.
        needs_vector: Whether it needs a fusion that makes a fused vector, not answers.
        only_vectors: Whether it needs a fusion that reads one vector a modality, not tokens.
        does: What it does with vectors, for the errors of the last two.
    """

    name: str
    paper: str
    equation: str
    usual: float = 1.0
    only_classes: bool = False
    needs_validation: bool = False
    alone: bool = False
    needs_vector: bool = False
    only_vectors: bool = False
    does: str = "compares fused vectors"


OBJECTIVES: Registry[ObjectiveInfo] = Registry("training aid")
for _name, _file in {  # of this room, which adds it
    "alignment": "alignment", "auxiliary": "auxiliary", "gradient_blending": "blending", "ogm": "modulation",
    "opm": "hiding", "lemda": "learned_augmentation", "comm": "multimodal_contrast", "orthogonality": "orthogonality",
    "mmpareto": "pareto", "umt": "teachers",
}.items():  # fmt: skip
    OBJECTIVES.expect(_name, f"plait.objectives.{_file}")


SAME_LOSSES = "sets the weights of the losses to which train.auxiliary gives a fixed one"
CONTRADICTIONS = (
    ("gradient_blending", "auxiliary", f"train.gradient_blending {SAME_LOSSES}"),
    ("mmpareto", "auxiliary", f"train.mmpareto {SAME_LOSSES}"),
    ("mmpareto", "gradient_blending", "train.mmpareto and train.gradient_blending weigh the same losses"),
    ("mmpareto", "ogm", "train.mmpareto and train.ogm each set how long the step of a modality is"),
)


def chosen_objectives(train: TrainSettings, *, pair_head: bool) -> dict[str, float]:
    """Aids that are on, by name, with their strength (1 for a switch).

    Args:
        train: Resolved settings.
        pair_head: Whether the pair head evaluates; ``alignment`` is then a term of that head and no objective.
    """
    chosen: dict[str, float] = {}
    for name in OBJECTIVES:
        strength = getattr(train, name)
        if strength is not None and strength > 0 and not (pair_head and name == "alignment"):
            chosen[name] = float(strength)
    if "ogm" in chosen and train.ogm_noise:
        chosen["ogm_noise"] = 1.0
    return chosen


def check_objectives(
    chosen: dict[str, float],
    *,
    task: Task,
    num_modalities: int,
    num_validation: int | None = None,
    is_late: bool = False,
    reads_tokens: bool = False,
) -> None:
    """Refuse objectives that cannot work here.

    Args:
        chosen: What :func:`chosen_objectives` gave.
        task: The task.
        num_modalities: How many modalities the model has.
        num_validation: Validation rows, or None where that is not known.
        is_late: Whether the fusion joins answers.
        reads_tokens: Whether the fusion reads tokens.

    Raises:
        ValueError: One modality only, a task without classes, a late fusion, a fusion of tokens, or no validation
            rows, for an objective that needs them (or that needs no tokens); or two objectives that contradict each
            other.
    """
    for first, second, why in CONTRADICTIONS:
        if {first, second} <= chosen.keys():
            raise ValueError(
                f"{why}; type set=['train.{second}={_off(second)}'] or set=['train.{first}={_off(first)}']"
            )
    for name in chosen:
        if name == "ogm_noise":
            continue
        info = OBJECTIVES.get(name)
        if task.family.writes:
            raise ValueError(f"train.{name} works on labels and numbers, not on text; set=['train.{name}=0']")
        off = f"leave it out (set=['train.{name}={_off(name)}'])"
        if num_modalities < 2:
            raise ValueError(f"train.{name} works between modalities and needs two, got {num_modalities}; {off}")
        if info.only_classes and not task.family.one_class:
            raise ValueError(
                f"train.{name} needs one right class a row (classification or matching), got task {task.name!r}; {off}"
            )
        if info.alone and task.judges_pairs:
            raise ValueError(f"train.{name} learns from one modality alone, which says nothing about a pair; {off}")
        if info.needs_vector and is_late:
            raise ValueError(
                f"train.{name} {info.does}, and a late fusion joins answers; type fusion='concat', or {off}"
            )
        if info.only_vectors and task.output_kind == "embeddings":
            raise ValueError(f"train.{name} needs a target to make harder, and task {task.name!r} has none; {off}")
        if info.only_vectors and reads_tokens:
            raise ValueError(f"train.{name} {info.does}, and this fusion reads tokens; type fusion='gated', or {off}")
        if info.needs_validation and num_validation == 0:
            raise ValueError(
                f"train.{name} compares training and validation losses and there are no validation rows; mark some "
                f"'val' in a column and name it (split=COLUMN), or {off}"
            )


def _off(name: str) -> str:
    """The value that switches an objective off."""
    return "false" if name == "gradient_blending" else "0"
