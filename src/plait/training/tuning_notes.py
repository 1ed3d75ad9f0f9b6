"""What a report says of encoders that are trained: which, how far, at which rates and how long."""

from __future__ import annotations

from plait.training.plan import Plan


def tuning_notes(plan: Plan) -> list[str]:
    """One sentence, or none where every pretrained encoder is frozen."""
    live = {n: e for n, e in plan.inputs.live.items() if e.is_pretrained and e.tuning["mode"] != "frozen"}
    if not live:
        return []
    modes = {name: encoder.tuning for name, encoder in live.items()}
    named = ", ".join(f"{name} ({_words(mode)})" for name, mode in modes.items())
    train, frozen = plan.settings.train, ", ".join(plan.inputs.frozen)
    rate = f"rate {train.encoder_learning_rate:g}"
    if train.layer_decay is not None and train.layer_decay != 1:
        rate += f" times a factor {train.layer_decay:g} for each block behind"
    return [
        f"encoders are trained: {named}, at {rate}; fusion and head at {train.learning_rate:g}; {train.epochs} epochs, "
        f"warm-up over {train.warmup:g} of the steps, gradients clipped to {train.max_grad_norm:g}, nothing augmented"
        + (f"; stays frozen: {frozen}" if frozen else "")
        + "; what was left open is the recipe's choice"
    ]


def _words(tuning: dict[str, object]) -> str:
    mode = str(tuning["mode"])
    return f"{mode}, {tuning['n']} blocks" if mode == "last_n" else mode
