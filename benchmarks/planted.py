"""What each fusion can represent: planted relations between modalities, learned by fusion and a linear head alone.

Each modality is a hidden number, laid along a random direction of 16 features with noise around it (the same in one of
three tokens). Five relations, on 1,500 training and 1,000 test rows:

* additive:  y = a + b            (R2; everything should reach it)
* product:   y = a * b            (R2)
* xor:       sign(a) != sign(b)   (accuracy; a sum of one term a modality gets 0.75 at most on the four corners)
* gating:    y = b if a > 0 else 0 (R2: one modality decides whether the other counts)
* parity 3:  odd number of positive a, b, c (accuracy; a relation of all three at once, no pair says anything)

Nothing is chosen on test rows: the number of steps and the learning rate are fixed and the same for all.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional

from measure import arguments, spread, table
from plait.encoders.base import Encoded
from plait.fusion import FUSIONS, EncodedDims, OutputSpec

TRAIN, TEST, FEATURES, WIDTH = 1500, 1000, 16, 32
STEPS, BATCH, RATE = 300, 150, 1e-2

Rule = Callable[[torch.Tensor], torch.Tensor]
RELATIONS: dict[str, tuple[int, str, Rule]] = {
    "additive": (2, "number", lambda z: z[:, 0] + z[:, 1]),
    "product": (2, "number", lambda z: z[:, 0] * z[:, 1]),
    "xor": (2, "classes", lambda z: ((z[:, 0] > 0) != (z[:, 1] > 0)).long()),
    "gating": (2, "number", lambda z: torch.where(z[:, 0] > 0, z[:, 1], torch.zeros(len(z)))),
    "parity 3": (3, "classes", lambda z: (z > 0).sum(1) % 2),
}


def planted(relation: str, seed: int) -> tuple[list[Encoded], torch.Tensor]:
    """Encoded modalities and targets of all rows, training rows first."""
    count, kind, rule = RELATIONS[relation]
    generator = torch.Generator().manual_seed(seed)
    rows = TRAIN + TEST
    hidden_NM = torch.randn(rows, count, generator=generator)
    if kind == "classes":  # away from zero, so that noise does not turn labels round
        hidden_NM = hidden_NM.sign() * (0.3 + hidden_NM.abs())
    encoded = []
    for m in range(count):
        direction_D = functional.normalize(torch.randn(FEATURES, generator=generator), dim=0) * FEATURES**0.5
        vector_ND = hidden_NM[:, [m]] * direction_D + 0.3 * torch.randn(rows, FEATURES, generator=generator)
        tokens_NTD = 0.3 * torch.randn(rows, 3, FEATURES, generator=generator)
        tokens_NTD[:, 1] += hidden_NM[:, [m]] * direction_D
        encoded.append(Encoded(vector_ND, tokens_NTD, torch.ones(rows, 3, dtype=torch.bool)))
    target_N = rule(hidden_NM)
    if kind == "number":
        target_N = (target_N - target_N.mean()) / target_N.std()
    return encoded, target_N


def score(name: str, relation: str, seed: int) -> float:
    """Test accuracy or R2 of one fusion on one relation."""
    count, kind, _ = RELATIONS[relation]
    encoded, target_N = planted(relation, seed)
    torch.manual_seed(seed)
    num_outputs = 2 if kind == "classes" else 1
    build = FUSIONS.get(name)
    late = {"outputs": OutputSpec(num_outputs, kind)} if build.is_late else {}
    # the scale of a vector is part of the planted signal: no layer norm
    fusion = build([EncodedDims(FEATURES, FEATURES)] * count, WIDTH, normalise=False, **late)
    head = torch.nn.Identity() if build.is_late else torch.nn.Linear(WIDTH, num_outputs)
    optimizer = torch.optim.AdamW([*fusion.parameters(), *head.parameters()], lr=RATE, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)

    def answers(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        batch = [Encoded(e.vector_BD[rows], e.tokens_BTD[rows], e.mask_BT[rows]) for e in encoded]
        fused = fusion(batch, torch.ones(len(rows), count, dtype=torch.bool))
        return head(fused.fused_BD), fused.modality_logits_BMC

    def loss_of(logits: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        if kind == "classes":
            return functional.cross_entropy(logits, target_N[rows])
        return functional.mse_loss(logits.squeeze(1), target_N[rows])

    for _ in range(STEPS):
        rows = torch.randint(TRAIN, (BATCH,))
        joint, each = answers(rows)
        loss = loss_of(joint, rows)
        if each is not None:  # a late fusion trains each modality's own answer
            loss = loss + torch.stack([loss_of(each[:, m], rows) for m in range(count)]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    test = torch.arange(TRAIN, TRAIN + TEST)
    fusion.eval()
    with torch.no_grad():
        said, truth = answers(test)[0], target_N[test]
    if kind == "classes":
        return float((said.argmax(1) == truth).float().mean())
    return float(1 - ((said.squeeze(1) - truth) ** 2).sum() / ((truth - truth.mean()) ** 2).sum())


def main() -> None:
    """Run and print."""
    given = arguments(__doc__ or "", data=None)
    body = []
    for name in FUSIONS.names():
        build = FUSIONS.get(name)
        row = [f"`{name}`", build.interaction]
        for relation, (_, kind, _) in RELATIONS.items():
            try:
                row.append(spread([score(name, relation, seed) for seed in range(given.seeds)], 2))
            except ValueError as error:
                row.append("not for " + ("numbers" if kind == "number" else str(error)[:40]))
        body.append(row)
        print(row, flush=True)
    print()
    table(["fusion", "interaction", *RELATIONS], body)


if __name__ == "__main__":
    main()
