"""How much is judged with modalities missing, so that judging costs less than training.

In: what training took, what one pass of the model over the rows took, and the settings. Out: on how many rows, at which
levels and in how many draws modalities are hidden, decided before the first pass and by counted passes. Efforts halve
from one to the next, so that a machine which is a little slower today chooses the same one; where the fullest effort
fits, which is so for every small run, nothing depends on a clock.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil

from plait.evaluation.base import EvaluationInputs
from plait.evaluation.missing import RESAMPLES, USUAL_ROWS, Effort, num_answered

ALWAYS = 10.0  # seconds that judging with modalities missing may take however short training was
FEWEST_ROWS = 250


@dataclass(frozen=True)
class Passes:
    """What was measured before anything is hidden.

    Attributes:
        known: Patterns whose answers are there already.
        a_pass: Seconds of the model over all rows under one pattern.
        each: Seconds of measuring all rows once.
    """

    known: int
    a_pass: float
    each: float


def full_effort(given: EvaluationInputs) -> Effort:
    """The effort that the settings ask for, where time does not matter."""
    judge, total = given.judge, len(given.positions)
    most = USUAL_ROWS if judge.missing_rows is None else judge.missing_rows
    return Effort(min(total, most), judge.missing_step, judge.missing_draws)


def needed_seconds(given: EvaluationInputs, effort: Effort, measured: Passes) -> float:
    """Seconds that an effort takes: passes of the model, scores of the curve, and intervals.

    Up to five modalities every pattern is asked and the curve is looked up in their answers; with more, each draw of
    each level is a pass of its own (rows that a draw leaves as another did are not asked again, which is not reckoned).
    """
    modalities = len(given.model.config.modality_names)
    patterns, drawn = num_answered(modalities), effort.draws * ceil(round(1 / effort.step, 6))
    passes = max(0, patterns - measured.known) if patterns == 2**modalities - 1 else patterns + drawn
    scores = 2 * drawn + given.deadline.resamples(RESAMPLES) * patterns
    share = min(1.0, effort.rows / max(1, len(given.positions)))
    return share * (passes * measured.a_pass + scores * measured.each)


def plan_effort(given: EvaluationInputs, measured: Passes) -> Effort | None:
    """The fullest effort within ``judge.share`` of the seconds of training; None where not even the least fits.

    ``judge.missing_rows`` by number is taken as it is, and so is everything where ``judge.share`` is null or what
    training took is not known. What was cut is a note of the evaluation.
    """
    full = full_effort(given)
    share, trained = given.judge.share, given.training_seconds
    if full.rows == 0 or len(given.model.config.modality_names) < 2:
        return full
    if share is None or trained is None or given.judge.missing_rows is not None:
        return full
    allowed = max(ALWAYS, share * trained)
    needed = needed_seconds(given, full, measured)
    if needed <= allowed:
        return full
    chosen = next((e for e in _lesser(full) if needed_seconds(given, e, measured) <= allowed), None)
    why = f"judging so takes about {needed:,.0f} s, and judge.share={share:g} allows {allowed:,.0f} s"
    if chosen is None:
        given.notes.append(f"modalities were not hidden on purpose: {why}; judge.missing_rows=N judges N rows anyway")
        return None
    given.notes.append(
        f"modalities were hidden on {chosen.rows:,} rows instead of {full.rows:,}, at {chosen.levels} levels instead "
        f"of {full.levels}, with {chosen.draws} draws a level instead of {full.draws}: {why}"
    )
    seconds = {"training_seconds": trained, "allowed_seconds": allowed, "needed_seconds": round(needed, 2)}
    wanted = {"rows": full.rows, "draws": full.draws, "levels": full.levels}
    return replace(chosen, budget={"share": share, **seconds, **wanted})


def _lesser(full: Effort) -> list[Effort]:
    """Efforts below the full one, each about half of that before: fewer draws, then rows, then levels."""
    few, one = min(2, full.draws), 1
    steps = [(1, few, 1), (2, few, 1), (2, one, 2), (4, one, 2), (8, one, 3)]
    least = min(FEWEST_ROWS, full.rows)
    return [
        Effort(max(least, full.rows // fewer), max(full.step, min(0.5, round(full.step * wider, 6))), draws)
        for fewer, draws, wider in steps
    ]
