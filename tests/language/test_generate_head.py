"""The generator head: its loss, its shift, its prefix, its search and its probabilities."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from fixtures.tiny_language import TEXTS, fused_rows, row_of, target_of, tiny_head, tiny_tokens
from plait.fusion.base import FusionOutput
from plait.heads.language import DecodeOptions, Trie

ANSWERS = [[TEXTS[0]], [TEXTS[3]], [TEXTS[2]], ["a"]]
HERE = torch.ones(4, 1, dtype=torch.bool)


def hand_logits(head: torch.nn.Module, fused: FusionOutput, ids: list[int]) -> torch.Tensor:
    """Logits of each token of one row's answer, from the network itself and without any mask, [L, V]."""
    table_VH = head.lm.get_input_embeddings().weight
    soft_TH = head.spread * head.join(head.norm(fused.tokens[0]))
    before_SH = torch.cat(
        [head.start_H[None], soft_TH, table_VH[head.tail_T], table_VH[torch.tensor(ids[:-1], dtype=torch.long)]]
    )
    return head.lm(inputs_embeds=before_SH[None]).logits[0, -len(ids) :]


def test_loss_is_the_cross_entropy_of_the_answer_tokens() -> None:
    tokens = tiny_tokens(prompt="a red")
    head, fused = tiny_head(tokens), fused_rows(4)
    with torch.no_grad():
        got = float(head.batch_loss(fused, HERE, target_of(tokens, ANSWERS), None, None))
        total, count = 0.0, 0
        for row, (answer,) in enumerate(ANSWERS):
            ids = tokens.encode([answer])[0]
            logits = hand_logits(head, row_of(fused, row), ids).double().numpy()
            for place, token in enumerate(ids):
                total += math.log(np.exp(logits[place]).sum()) - logits[place][token]
                count += 1
    assert got == pytest.approx(total / count, abs=1e-6)


def test_bfloat16_reaches_the_language_model_in_training_only() -> None:
    tokens = tiny_tokens()
    head, fused = tiny_head(tokens), fused_rows(4)
    target = target_of(tokens, ANSWERS)

    def loss() -> float:
        return float(head.batch_loss(fused, HERE, target, None, None).detach())

    exact = loss()
    head.compute_dtype = torch.bfloat16
    assert loss() == exact
    low = head.train().batch_loss(fused, HERE, target, None, None)
    assert low.dtype == torch.float32
    assert float(low.detach()) != exact
    assert float(low.detach()) == pytest.approx(exact, rel=0.02)


@pytest.mark.oracle
def test_labels_are_shifted_once_as_transformers_shifts_them() -> None:
    tokens = tiny_tokens()
    head, fused = tiny_head(tokens), fused_rows(1)
    ids = torch.tensor(tokens.encode([TEXTS[2]]))
    with torch.no_grad():
        prefix_BPH, _ = head.prefix(fused)
        whole = torch.cat([prefix_BPH, head.lm.get_input_embeddings()(ids)], dim=1)
        labels = torch.cat([torch.full(prefix_BPH.shape[:2], -100), ids], dim=1)
        wanted = float(head.lm(inputs_embeds=whole, labels=labels).loss)
        got = float(head.batch_loss(fused, HERE[:1], target_of(tokens, [[TEXTS[2]]]), None, None))
    assert got == pytest.approx(wanted, abs=1e-6)


def test_masked_tokens_change_no_bit_and_count_no_position() -> None:
    tokens = tiny_tokens()
    head, fused = tiny_head(tokens), fused_rows(3)
    target = target_of(tokens, ANSWERS[:3])
    dirty = FusionOutput(fused.fused_BD, tokens=fused.tokens.clone(), token_mask=fused.token_mask)
    dirty.tokens[~fused.token_mask] = float("nan")
    with torch.no_grad():
        logits = head(fused, HERE[:3])
        assert torch.equal(logits, head(dirty, HERE[:3]))
        assert torch.equal(*(head.batch_loss(f, HERE[:3], target, None, None) for f in (fused, dirty)))
        for row in range(3):
            torch.testing.assert_close(logits[row], head(row_of(fused, row), HERE[:1])[0], rtol=0, atol=2e-5)


def test_training_draws_among_references_and_judging_takes_the_first() -> None:
    tokens = tiny_tokens()
    head, fused = tiny_head(tokens), fused_rows(1)
    both = target_of(tokens, [[TEXTS[0], TEXTS[2]]])
    with torch.no_grad():
        each = [float(head.batch_loss(fused, HERE[:1], target_of(tokens, [[t]]), None, None)) for t in TEXTS[:3:2]]
        assert float(head.batch_loss(fused, HERE[:1], both, None, None)) == pytest.approx(each[0], abs=1e-6)
        torch.manual_seed(0)
        head.train()
        drawn = [float(head.batch_loss(fused, HERE[:1], both, None, None)) for _ in range(40)]
    assert 8 <= sum(abs(d - each[0]) < 1e-5 for d in drawn) <= 32
    assert all(min(abs(d - e) for e in each) < 1e-5 for d in drawn)


def naive_greedy(head: torch.nn.Module, fused: FusionOutput, tokens: object, most: int) -> list[int]:
    ids: list[int] = []
    for _ in range(most):
        ids.append(int(hand_logits(head, fused, [*ids, 0])[-1].argmax()))
        if ids[-1] == tokens.end:
            break
    return ids


def test_greedy_with_a_cache_is_greedy_without() -> None:
    tokens = tiny_tokens()
    head, fused = tiny_head(tokens), fused_rows(4)
    written = head.write(fused, DecodeOptions(max_new_tokens=8))
    with torch.no_grad():
        for row, ids in enumerate(written.ids):
            assert ids == naive_greedy(head, row_of(fused, row), tokens, 8)
            log_LV = torch.log_softmax(hand_logits(head, row_of(fused, row), ids), dim=1)
            wanted = log_LV[torch.arange(len(ids)), torch.tensor(ids)]
            torch.testing.assert_close(torch.tensor(written.log_probabilities[row]), wanted, rtol=0, atol=2e-5)


def test_beams_find_what_is_at_least_as_likely_and_a_list_is_kept_to() -> None:
    tokens = tiny_tokens()
    head, fused = tiny_head(tokens), fused_rows(4)
    allowed = [*TEXTS, "a", "two"]
    coded = tokens.encode(allowed)
    trie = Trie(coded, tokens.end)
    options = DecodeOptions(beams=8, length_penalty=0.0, max_new_tokens=40)
    with torch.no_grad():
        prefix_BPH, mask_BP = head.prefix(fused)
        scores_AB = np.array([[sum(s) for s in head.score(prefix_BPH, mask_BP, [ids] * 4)] for ids in coded])
        best = head.write(fused, options, trie)
        greedy = head.write(fused, DecodeOptions(max_new_tokens=40), trie)
    assert [tokens.decode(ids) for ids in best.ids] == [allowed[i] for i in scores_AB.argmax(0)]
    assert all(tokens.decode(ids) in allowed for ids in greedy.ids)
    assert all(sum(b) >= sum(g) - 1e-5 for b, g in zip(best.log_probabilities, greedy.log_probabilities, strict=True))


def test_sampling_repeats_with_its_seed_and_leaves_the_generator_alone() -> None:
    tokens = tiny_tokens()
    head, fused = tiny_head(tokens), fused_rows(4)
    torch.manual_seed(5)
    state = torch.get_rng_state()
    hot = [head.write(fused, DecodeOptions(max_new_tokens=6, temperature=2.0, seed=s)).ids for s in (1, 1, 2)]
    assert torch.equal(torch.get_rng_state(), state)
    assert hot[0] == hot[1] != hot[2]
    narrow = head.write(fused, DecodeOptions(max_new_tokens=6, top_p=1e-6, seed=3)).ids
    assert narrow == head.write(fused, DecodeOptions(max_new_tokens=6)).ids  # the likeliest token alone is left


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beams": 0}, "beams must be a whole number, 1 or more; got 0"),
        ({"max_new_tokens": 0}, "max_new_tokens must be a whole number"),
        ({"temperature": 0.0}, "temperature must be above 0"),
        ({"top_p": 1.5}, "top_p must be above 0 and at most 1"),
        ({"beams": 2, "temperature": 1.0}, "exclude each other"),
    ],
)
def test_bad_options_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DecodeOptions(**options)


def test_a_row_too_long_for_the_language_model_is_refused() -> None:
    head = tiny_head(tiny_tokens())
    with pytest.raises(ValueError, match="the language model reads 2048; use set="):
        head(fused_rows(1, length=2050), HERE[:1])


def test_eight_pairs_are_learned_word_for_word() -> None:
    tokens = tiny_tokens()
    head = tiny_head(tokens, width=32).train()
    fused = fused_rows(8, length=3, seed=4)
    fused.token_mask[:] = True
    said = [
        f"{a} {b}" for a in (TEXTS[0], TEXTS[3], "two dogs", "na\u00efve \U0001f415") for b in ("run", "on the grass")
    ]
    target = target_of(tokens, [[s] for s in said])
    optimizer = torch.optim.AdamW(head.parameters(), lr=5e-3)
    present = torch.ones(8, 1, dtype=torch.bool)
    for _ in range(120):
        optimizer.zero_grad()
        loss = head.batch_loss(fused, present, target, None, None)
        loss.backward()
        optimizer.step()
    head.eval()
    for options in (DecodeOptions(), DecodeOptions(beams=3)):
        assert [tokens.decode(ids) for ids in head.write(fused, options).ids] == said
