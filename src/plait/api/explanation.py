"""A fitted model explained: how it uses its modalities, with its facts around it. Behind ``Plait.explain``."""

from __future__ import annotations

from typing import Any

from plait.api.describe import describe_model
from plait.api.evaluation import left_out
from plait.evaluation import EvaluationInputs
from plait.explain.fitted_model import explain_evaluated
from plait.explain.subject import check_modalities
from plait.training.fitted import FittedParts


def check_explainable(fitted: FittedParts) -> None:
    """Refuse a model whose use of its modalities cannot be measured.

    Raises:
        ValueError: It writes text, its modalities give no answer together, or they are more than six.
    """
    task = fitted.task
    if task.family.writes:
        raise ValueError(f"explanations read labels and numbers; this model writes text ({task.name})")
    if not task.needs_target:
        raise ValueError(
            f"explain says what each modality adds to an answer; {task.name} has no answer that its "
            "modalities give together, each is searched by the other: type plait evaluate for both directions"
        )
    check_modalities(fitted.model.config.modality_names)


def explanation_report(fitted: FittedParts, given: EvaluationInputs, **asked: Any) -> dict[str, Any]:
    """What each modality adds on these rows, and the facts of the model.

    Args:
        fitted: The model.
        given: The rows.
        asked: As ``plait.explain.fitted_model.explain_evaluated`` takes it.
    """
    found = explain_evaluated(given, seed=fitted.settings.train.seed, **asked)
    facts = {k: v for k, v in describe_model(fitted).items() if k not in ("metric", "schema")}
    return {**facts, **found, **left_out(given)}
