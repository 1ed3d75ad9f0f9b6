"""The generator head: a causal language model that goes on from the fused tokens.

In: the tokens of a fusion (or its vector, as one token). Out: the loss of the answer, or answers. The row that the
language model reads is [start vector; fused tokens; start token; prompt; answer]; tokens that are missing are masked,
and positions count only what is there.
"""

from __future__ import annotations

import inspect
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from plait.encoders.precision import lower_precision
from plait.fusion.base import EncodedDims, FusionOutput
from plait.heads.base import Head
from plait.heads.language import DecodeOptions, Trie, Written, build_language_model, read_outside_weights, write_answers
from plait.heads.language.network import copy_base, load_pretrained, stored_names

IGNORED = -100


class GenerateHead(Head):
    """p(answer | row) = prod_t p(a_t | prefix, a_<t), the prefix being s P norm(fused tokens).

    s is the standard deviation of the language model's token embeddings, so that a fresh prefix looks to it like words,
    while P has weights of ordinary size: steps of one learning rate then suit both.

    Args:
        dims: Widths of each modality (not used; every head is built alike).
        width: Width D of the fused tokens.
        num_outputs: Not used: the language model's vocabulary is its own.
        dropout: Dropout on the prefix in training, in [0, 1).
        language: What ``describe_language_model`` returned.

    Needs: a fusion that hands out tokens (``prefix``); of any other the fused vector is the only token.
    Reference: Tsimpoukelli et al. 2021 (a frozen language model under a learned visual prefix); Hu et al. 2021 (LoRA).
    """

    owns_loss = True

    def __init__(
        self, dims: list[EncodedDims], width: int, num_outputs: int, dropout: float = 0.0, *, language: dict[str, Any]
    ) -> None:
        super().__init__()
        self.language = language
        self.lm = build_language_model(language)
        hidden = self._embedding().weight.shape[1]
        self.norm = nn.LayerNorm(width)
        self.join = nn.Linear(width, hidden)
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("spread", torch.ones(()))
        self.start_H = nn.Parameter(torch.zeros(hidden))
        self.register_buffer("tail_T", torch.tensor([language["start"], *language["prompt"]]))
        self.takes_positions = "position_ids" in inspect.signature(self.lm.forward).parameters
        self.fit_scale()
        self.register_state_dict_post_hook(_leave_out)
        self.register_load_state_dict_post_hook(_do_not_miss)

    tail_T: Tensor  # noqa: N815  shape letters
    spread: Tensor

    def read_weights(self) -> None:
        """Read the weights that are named by reference."""
        read_outside_weights(self.lm, self.language)

    def start_from_pretrained(self) -> None:
        """Give a fresh head the weights of the pretrained language model it names, if it names one."""
        source = self.language.get("source")
        if source is not None:
            copy_base(self.lm, load_pretrained(source)[0])
            self.fit_scale()

    @torch.no_grad()
    def fit_scale(self) -> None:
        """Give a fresh prefix the standard deviation of the language model's own token embeddings."""
        weight = self._embedding().weight
        self.spread.fill_(float(weight.float().std()))
        nn.init.normal_(self.join.weight, std=self.join.in_features**-0.5)
        nn.init.zeros_(self.join.bias)
        self.start_H.copy_(weight[self.language["start"]])

    def train(self, mode: bool = True) -> GenerateHead:
        """Switch mode; a language model that is not trained as a whole stays in evaluation mode."""
        super().train(mode)
        if self.language["tuning"] != "full":
            self.lm.eval()
        return self

    def prefix(self, fused: FusionOutput) -> tuple[Tensor, Tensor]:
        """What the language model reads before an answer [B, P, H], and which of it is real [B, P]."""
        tokens_BTD = fused.fused_BD[:, None] if fused.tokens is None else fused.tokens
        rows, length = tokens_BTD.shape[:2]
        real_BT = fused.token_mask
        if real_BT is None:
            real_BT = torch.ones(rows, length, dtype=torch.bool, device=tokens_BTD.device)
        joined_BTH = self.spread * self.join(self.dropout(self.norm(tokens_BTD)))
        joined_BTH = torch.where(real_BT[..., None], joined_BTH, joined_BTH.new_zeros(()))
        tail_BTH = self._embedding()(self.tail_T).expand(rows, -1, -1)
        start_B1H = self.start_H.expand(rows, 1, -1)
        always_B1 = torch.ones(rows, 1, dtype=torch.bool, device=real_BT.device)
        mask_BP = torch.cat([always_B1, real_BT, always_B1.expand(-1, len(self.tail_T))], dim=1)
        return torch.cat([start_B1H, joined_BTH, tail_BTH], dim=1), mask_BP

    def answer_logits(self, prefix_BPH: Tensor, mask_BP: Tensor, answer_BL: Tensor) -> Tensor:
        """Logits of each answer token given all before it [B, L, V]: position l predicts ``answer_BL[:, l]``.

        Raises:
            ValueError: The row is longer than the language model has positions for.
        """
        length = answer_BL.shape[1]
        read_BSH = torch.cat([prefix_BPH, self._embedding()(answer_BL[:, :-1])], dim=1)
        self._check_length(read_BSH.shape[1])
        mask_BS = torch.cat([mask_BP, torch.ones_like(answer_BL[:, :-1], dtype=torch.bool)], dim=1)
        extra = {"position_ids": (mask_BS.long().cumsum(1) - 1).clamp(min=0)} if self.takes_positions else {}
        # Named one by one, the places are copied into one block: a slice would send the output layer through slow
        # products of expanded matrices.
        last_L = torch.arange(read_BSH.shape[1] - length, read_BSH.shape[1], device=read_BSH.device)
        with lower_precision(self, read_BSH.device):
            output = self.lm(inputs_embeds=read_BSH, attention_mask=mask_BS.long(), use_cache=False,
                             logits_to_keep=last_L, **extra)  # fmt: skip
        logits_BLV: Tensor = output.logits[:, -length:]
        return logits_BLV

    def batch_loss(
        self, fused: FusionOutput, present_BM: Tensor, target: Tensor, group_B: Tensor | None, key_BM: Tensor | None
    ) -> Tensor:
        """Mean cross-entropy over all answer tokens of the batch, the end included.

        Args:
            fused: The batch, fused.
            present_BM: What is there.
            target: Token ids of the references of each row [B, R, L], -100 behind the end. In training one reference
                of each row is drawn, otherwise the first is taken.
            group_B: Not used.
            key_BM: Not used.
        """
        label_BL = self._choose(target).long()
        label_BL = label_BL[:, : int((label_BL != IGNORED).any(0).sum())]
        prefix_BPH, mask_BP = self.prefix(fused)
        answer_BL = label_BL.masked_fill(label_BL == IGNORED, self.language["pad"])
        logits_BLV = self.answer_logits(prefix_BPH, mask_BP, answer_BL)
        return functional.cross_entropy(logits_BLV.flatten(0, 1).float(), label_BL.flatten(), ignore_index=IGNORED)

    def forward(self, fused: FusionOutput, present_BM: Tensor) -> Tensor:
        """Logits of the first token of an answer [B, V]."""
        prefix_BPH, mask_BP = self.prefix(fused)
        blank_B1 = torch.full((len(prefix_BPH), 1), self.language["pad"], device=prefix_BPH.device)
        return self.answer_logits(prefix_BPH, mask_BP, blank_B1)[:, 0]

    @torch.no_grad()
    def write(self, fused: FusionOutput, options: DecodeOptions, trie: Trie | None = None) -> Written:
        """Write an answer for each row, and measure its tokens' probabilities."""
        prefix_BPH, mask_BP = self.prefix(fused)
        self._check_length(prefix_BPH.shape[1] + options.max_new_tokens)
        pad, end = self.language["pad"], self.language["end"]
        ids, logs = write_answers(self.lm, prefix_BPH, mask_BP, options, pad=pad, end=end, trie=trie)
        return Written(ids, self.score(prefix_BPH, mask_BP, ids) if logs is None else logs)

    @torch.no_grad()
    def score(self, prefix_BPH: Tensor, mask_BP: Tensor, ids: list[list[int]]) -> list[list[float]]:
        """Natural log-probability of each given token of each row, given the prefix and the tokens before it."""
        longest = max(len(row) for row in ids)
        padded = [[*row, *[self.language["pad"]] * (longest - len(row))] for row in ids]
        answer_BL = torch.tensor(padded, device=prefix_BPH.device)
        log_BLV = torch.log_softmax(self.answer_logits(prefix_BPH, mask_BP, answer_BL).float(), dim=2)
        chosen_BL = log_BLV.gather(2, answer_BL[..., None])[..., 0]
        return [scores[: len(row)] for scores, row in zip(chosen_BL.tolist(), ids, strict=True)]

    def _choose(self, target: Tensor) -> Tensor:
        if target.shape[1] == 1 or not self.training:
            return target[:, 0]
        count_B = (target[:, :, 0] != IGNORED).sum(1).clamp(min=1)
        drawn_B = (torch.rand(len(target), device=target.device) * count_B).long().clamp(max=count_B - 1)
        return target[torch.arange(len(target), device=target.device), drawn_B]

    def _check_length(self, length: int) -> None:
        most = getattr(self.lm.config, "max_position_embeddings", None)
        if most is not None and length > most:
            raise ValueError(
                f"a row is {length} tokens long with its answer, but the language model reads {most}; use "
                "set=['fusion.options={projector: query}'] (a few tokens a modality) or a smaller encoders.max_length"
            )

    def _embedding(self) -> nn.Module:
        return cast(Any, self.lm).get_input_embeddings()  # type: ignore[no-any-return]


def _leave_out(module: nn.Module, state: dict[str, Tensor], prefix: str, metadata: Any) -> None:
    """Take out of a saved state what is named by reference or stands there twice."""
    head = cast(GenerateHead, module)
    place = f"{prefix}lm."
    own = {name.removeprefix(place): tensor for name, tensor in state.items() if name.startswith(place)}
    kept = stored_names(own, head.language)
    for name in own:
        if name not in kept:
            del state[place + name]


def _do_not_miss(module: nn.Module, keys: Any) -> None:
    """What ``_leave_out`` takes out is not missing when a state is read."""
    head = cast(GenerateHead, module)
    own = head.lm.state_dict()
    gone = tuple(f"lm.{name}" for name in own if name not in stored_names(own, head.language))
    keys.missing_keys[:] = [key for key in keys.missing_keys if not key.endswith(gone)] if gone else keys.missing_keys
