"""The model: encoders -> fusion -> head. The only file that joins these rooms.

A modality's input arrives either encoded already (by a frozen encoder, through the feature store: ``vector_BD``,
``tokens_BTD``, ``mask_BT``) or as the tensors of its processor, for encoders that are trained and so live inside the
model. ``__init__`` builds from the config alone and reads no weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from plait.encoders.base import Encoded, Encoder
from plait.encoders.batching import encode_by_bytes
from plait.encoders.load import build_encoder
from plait.encoders.precision import lower_precision
from plait.encoders.scaling import FeatureScaler
from plait.encoders.sets import MEMBERS, encode_sets
from plait.encoders.word_bag import WordBag
from plait.fusion import FUSIONS, EncodedDims, FusionOutput, OutputSpec
from plait.fusion.absence import make_absence
from plait.fusion.mixup import RowMixing
from plait.fusion.modality_dropout import hide_modalities, keep_subsets
from plait.heads import HEADS, GenerateHead, MembersHead, PairHead
from plait.heads.language.network import ADAPTER
from plait.heads.members import one_by_one
from plait.tasks import TASKS
from plait.weights.network_config import NetworkConfig, pretrained_config
from plait.weights.saved_network import SavedNetwork, named_class

if TYPE_CHECKING:
    from transformers.configuration_utils import PreTrainedConfig

    from plait.objectives import AuxiliaryObjectives

RowLoss = Callable[[Tensor, Tensor, Tensor | None], Tensor]
NOT_ENCODED = ("ngram_", "word_")  # begin the names of tensors beside an encoder's, which it does not read


if TYPE_CHECKING:

    class PlaitConfig(NetworkConfig, PreTrainedConfig):
        """As ``__getattr__`` makes it."""


class PlaitModel(SavedNetwork):
    """Encoders, fusion and head in one trainable, savable module.

    One that is trained, or that ``from_pretrained`` reads, is a ``transformers.PreTrainedModel`` as well.

    Example:
        >>> config = NetworkConfig(modalities=[{"name": "text", "kind": "text", "vector_dim": 8, "token_dim": None,
        ...                                     "encoder": None}])
        >>> PlaitModel(config).fusion.info.name
        'concat'
    """

    config: NetworkConfig
    base_model_prefix = "plait"
    main_input_name = "inputs"
    accepts_loss_kwargs = False
    spread: Callable[..., Encoded] | None = None  # while several processes train: how encoders share a batch

    def __init__(self, config: NetworkConfig) -> None:
        self._begin(config)
        dims = [EncodedDims(m["vector_dim"], m["token_dim"], m.get("order")) for m in config.modalities]
        fusion = config.fusion
        self.encoders = nn.ModuleDict(
            {str(i): build_encoder(m["encoder"]) for i, m in enumerate(config.modalities) if m["encoder"] is not None}
        )
        places = {m["name"]: str(i) for i, m in enumerate(config.modalities)}
        self.encoder_keys = [places[m.get("shares") or m["name"]] for m in config.modalities]
        self.words = nn.ModuleDict(
            {str(i): WordBag(**m["words"]) for i, m in enumerate(config.modalities) if m.get("words")}
        )
        self.task = TASKS.get(config.task)
        kind = FUSIONS.get(fusion["name"])
        head_name = "direct" if kind.is_late else config.head["name"]
        if config.head["name"] == "towers" and not kind.embeds:
            raise ValueError(
                f"retrieval needs each modality as a unit vector, which fusion {fusion['name']!r} does not make; type "
                "fusion='cosine', or leave fusion= out"
            )
        if kind.is_late and self.task.family.writes:
            raise ValueError(f"fusion {fusion['name']!r} joins answers, and text is generated; type fusion='prefix'")
        options = dict(fusion["options"])
        if kind.is_late:
            options["outputs"] = OutputSpec(config.num_outputs, self.task.output_kind)
        try:
            self.fusion = kind(dims, fusion["width"], dropout=fusion["dropout"], **options)
        except TypeError as error:
            raise ValueError(f"fusion {fusion['name']!r} does not take these options: {error}") from error
        if config.head["name"] == "pair" and not kind.embeds:
            raise ValueError(
                f"the pair head reads the cosine of two sides, which fusion {fusion['name']!r} does not make; type "
                "fusion='cosine', or set=['task.head=label'] for this fusion with a linear head"
            )
        self.head = HEADS.get(head_name)(
            dims,
            config.num_outputs if kind.is_late else fusion["width"],
            config.num_outputs,
            dropout=config.head["dropout"],
            **config.head.get("options", {}),
        )
        weights = config.class_weights or [1.0] * config.num_outputs
        self.register_buffer("class_weights_C", torch.tensor(weights, dtype=torch.float32))
        self.aids: AuxiliaryObjectives | None = None
        if config.aids:
            from plait.objectives import AuxiliaryObjectives  # what only training uses is not imported to answer

            self.aids = AuxiliaryObjectives(
                dims, config.aids, task=self.task, num_outputs=config.num_outputs, width=fusion["width"],
                is_late=kind.is_late, reads_tokens=kind.info.needs_tokens,
            )  # fmt: skip
        self.absence = make_absence(fusion.get("absence", "mask"), dims, with_tokens=kind.info.needs_tokens)
        scaled = fusion.get("scaling", "rows") != "rows"
        self.scalers = nn.ModuleDict(
            {
                str(i): FeatureScaler(m["vector_dim"])
                for i, m in enumerate(config.modalities)
                if scaled and m["encoder"] is None and not m.get("shares")
            }
        )
        self.dropout_share = 1.0  # of the rates of modality dropout; training sets it epoch by epoch
        self._complete()

    @classmethod
    def from_encoders(cls, config: NetworkConfig, encoders: dict[str, Encoder]) -> PlaitModel:
        """Build the model and give the encoders inside it the weights of these (by modality name)."""
        model = cls(config)
        for i, name in enumerate(config.modality_names):
            if str(i) in model.encoders:
                model.encoders[str(i)].load_state_dict(encoders[name].state_dict())
                model.encoders[str(i)].batch_mb = encoders[name].batch_mb
        return model

    def read_outside_weights(self) -> None:
        """Read the weights that the model names by reference instead of holding them, if there are any.

        Raises:
            ValueError: They are not on this machine, or are others.
        """
        if isinstance(self.head, GenerateHead):
            self.head.read_weights()

    def learns_gently(self, name: str) -> bool:
        """Whether a parameter is a pretrained weight itself (in an encoder or the language model), by its name."""
        if name.startswith("head.lm."):
            language = self.config.head["options"]["language"]
            return bool(language.get("pretrained", False)) and ADAPTER not in name
        _, _, rest = name.partition("encoders.")
        key, _, inside = rest.partition(".")
        return inside.startswith("model.") and bool(cast(Any, self.encoders[key]).is_pretrained)

    def _init_weights(self, module: nn.Module) -> None:
        """Every module initialises itself; nothing is overwritten here."""

    def encode(self, inputs: dict[str, dict[str, Tensor]], present: Tensor | None = None) -> list[Encoded]:
        """Encoded modalities in model order, as the fusion prepares them, adapted where auxiliary objectives are on.

        Args:
            inputs: As in ``forward``; what came encoded already is not encoded again.
            present: What is there [B, M]; adapters see zeros elsewhere. None: everything.
        """
        encoded = []
        for i, modality in enumerate(self.config.modalities):
            tensors = inputs[modality["name"]]
            if "vector_BD" in tensors:
                vector_BD = tensors["vector_BD"]
                if str(i) in self.scalers:
                    vector_BD = self.scalers[str(i)](vector_BD)
                made = Encoded(vector_BD, tensors.get("tokens_BTD"), tensors.get("mask_BT"))
            elif self.encoder_of(i) is not None:
                made = self.encode_modality(i, tensors)
            else:
                raise ValueError(f"modality {modality['name']!r} must come encoded: its encoder is outside the model")
            if str(i) in self.words:
                bag_BD = self.words[str(i)](tensors["word_BG"], tensors["word_weight_BG"])
                made = replace(made, vector_BD=torch.cat([made.vector_BD, bag_BD], dim=1))
            encoded.append(made)
        if present is None:
            first = encoded[0].vector_BD
            present = torch.ones(len(first), len(encoded), dtype=torch.bool, device=first.device)
        encoded = self.fusion.prepare(encoded, present)
        return encoded if self.aids is None else self.aids.adapt(encoded, present)

    def encoder_of(self, number: int) -> Encoder | None:
        """The encoder inside the model of a modality, which others may share; None where it is outside."""
        key = self.encoder_keys[number]
        return self.encoders[key] if key in self.encoders else None

    def encode_modality(self, number: int, tensors: dict[str, Tensor]) -> Encoded:
        """What the encoder inside the model makes of a modality's processor tensors, sets of items included."""
        encoder = self.encoders[self.encoder_keys[number]]
        tensors = {k: v for k, v in tensors.items() if not k.startswith(NOT_ENCODED)}
        device = next(iter(tensors.values())).device
        encode: Callable[..., Encoded] = partial(encode_sets if MEMBERS in tensors else encode_by_bytes, encoder)
        with lower_precision(self, device, exact=bool(cast(Any, encoder).is_exact)):
            made = encode(**tensors) if self.spread is None else self.spread(encode, encoder, tensors)
        tokens_BTD = None if made.tokens_BTD is None else made.tokens_BTD.float()
        return Encoded(made.vector_BD.float(), tokens_BTD, made.mask_BT)

    def train_in(self, dtype: torch.dtype) -> None:
        """Choose what encoders and language model multiply in while training, ``torch.float32`` or ``bfloat16``."""
        self.compute_dtype = self.head.compute_dtype = dtype

    def forward(
        self,
        inputs: dict[str, dict[str, Tensor]],
        present: Tensor,
        target: Tensor | None = None,
        group: Tensor | None = None,
        keys: Tensor | None = None,
        rows: Tensor | None = None,
    ) -> dict[str, Any]:
        """Run a batch.

        Args:
            inputs: Per modality name, encoded tensors or processor tensors.
            present: What is there, [B, M] bool.
            target: Encoded targets [B] or [B, C]; with it the output holds ``loss``.
            group: Group number of each row [B], for the alignment term.
            keys: Item number of each modality of each row [B, M], for the alignment term.
            rows: Number of each row among all training rows [B], for fusions that remember rows.

        Returns:
            ``logits`` [B, C], ``weights`` [B, M] or None, ``attention``, and ``loss`` when a target was given; the
            loss alone for a target under a head that owns its loss.
        """
        mixing = RowMixing(self.config.mixup) if self.training and target is not None else None
        encoded = self.encode(mixing.cut(inputs, self.config.modality_names, present) if mixing else inputs, present)
        there = present
        if mixing is not None:
            encoded = mixing.blend(encoded, present, self.config.modalities)
        if self.training:
            present = self._hide(present)
            if self.aids is not None and target is not None:
                present = self.aids.hide(encoded, there, present, target)
        fused = self.fuse(encoded, present)
        if target is not None and self.head.owns_loss:
            loss = self.head.batch_loss(fused, present, target, group, keys)
            return {"loss": loss if fused.regulariser is None else loss + fused.regulariser}
        logits_BC, learning = self.head.answers(fused, present)
        output: dict[str, Any] = {"logits": logits_BC}
        if target is not None:
            loss = self._answer_loss(learning, target)
            if mixing is not None:
                loss = mixing.loss(loss, learning, target, self._answer_loss)
            if fused.modality_logits_BMC is not None:
                loss = loss + self.modality_loss(fused.modality_logits_BMC, self.seen(present), target)
            own = self.fusion.own_loss(fused, self.seen(present), target, rows) if self.training else None
            loss = loss if own is None else loss + own
            if self.config.alignment and self.training and group is not None and keys is not None:
                term = self.head.alignment_loss(fused, present, group, keys, target == 1)
                loss = loss if term is None else loss + self.config.alignment * term
            if fused.regulariser is not None:
                loss = loss + fused.regulariser
            if self.aids is not None and self.training:
                from plait.objectives import Step

                losses = partial(self.modality_losses, present_BM=there, target=target, row_loss=self.task.loss)
                own_encoders, answer = self._own_encoders(), partial(self._answered, target=target)
                step = Step(encoded, there, target, losses, self.fuse, own_encoders, group, keys, rows, present, answer)
                loss = self.aids(loss, step)
            output = {"loss": loss, **output}
        if not self.training:
            output |= {"weights": fused.weights_BM, "attention": fused.attention}
        return output

    def fuse(self, encoded: list[Encoded], present_BM: Tensor) -> FusionOutput:
        """Fuse encoded modalities; what is missing is masked, or its learned absence stands in for it."""
        if self.absence is not None:
            encoded, present_BM = self.absence(encoded, present_BM)
        fused: FusionOutput = self.fusion(encoded, present_BM)
        return fused

    def answer(self, encoded: list[Encoded], present_BM: Tensor) -> Tensor:
        """Logits [B, C] of encoded modalities under what may be seen of them."""
        logits_BC: Tensor = self.head(self.fuse(encoded, present_BM), present_BM)
        return logits_BC

    def seen(self, present_BM: Tensor) -> Tensor:
        """What the fusion takes for present [B, M]: what is, and what a learned absence stands in for."""
        return present_BM if self.absence is None else self.absence.seen(present_BM)

    def row_loss(self, logits_BC: Tensor, target: Tensor, weights_C: Tensor | None) -> Tensor:
        """Loss of each row [B]: a late fusion's own, where it has one, or the task's."""
        own_B = self.fusion.row_loss(logits_BC, target, weights_C)
        if own_B is not None:
            return own_B
        if self.config.loss and self.training and self.task.loss_with is not None:
            return self.task.loss_with(logits_BC, target, weights_C, **self.config.loss)
        return self.task.loss(logits_BC, target, weights_C)

    def _answer_loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Mean loss of answers [B, C], or of the answers of k members [B, K, C], each of which learns by itself."""
        weights_C = self.class_weights_C if self.config.class_weights else None
        return self.row_loss(*one_by_one(logits, target), weights_C).mean()

    def _answered(self, encoded: list[Encoded], present_BM: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [B, C] of encoded modalities under what may be seen of them, and their mean loss."""
        logits_BC, learning = self.head.answers(self.fuse(encoded, present_BM), present_BM)
        return logits_BC, self._answer_loss(learning, target)

    def modality_loss(self, logits_BMC: Tensor, present_BM: Tensor, target: Tensor) -> Tensor:
        """Mean task loss of each modality's own answers over the rows that have it, averaged over modalities."""
        return self.modality_losses(logits_BMC, present_BM, target, self.row_loss).mean()

    def modality_losses(self, logits_BMC: Tensor, present_BM: Tensor, target: Tensor, row_loss: RowLoss) -> Tensor:
        """Mean loss of each modality's answers over the rows that have it, [M]; ``row_loss`` gives that of each row."""
        weights_C = self.class_weights_C if self.config.class_weights else None
        terms = []
        for m in range(logits_BMC.shape[1]):
            loss_B = row_loss(logits_BMC[:, m], target, weights_C)
            there_B = present_BM[:, m].to(loss_B.dtype)
            terms.append((loss_B * there_B).sum() / there_B.sum().clamp(min=1.0))
        return torch.stack(terms)

    def before_step(self) -> None:
        """To be called between backward and the optimizer's step, for objectives that act on the step."""
        if self.aids is not None:
            self.aids.before_step(self._own_encoders())

    def _own_encoders(self) -> dict[str, nn.Module]:
        """Encoders inside the model that belong to one modality alone, by its number as text."""
        shared = {key for key in self.encoder_keys if self.encoder_keys.count(key) > 1}
        return {k: e for k, e in self.encoders.items() if k not in shared}

    def after_step(self) -> None:
        """To be called right after the optimizer's step: objectives act on it, parameters return into their range."""
        if self.aids is not None:
            self.aids.after_step()
        self.head.after_step()

    def _hide(self, present_BM: Tensor) -> Tensor:
        """Modality dropout at the share of its rates that is in force; never the last modality of a row."""
        given = self.config.modality_dropout
        if self.config.modality_dropout_pattern == "subset":
            return keep_subsets(present_BM, self.dropout_share * given)
        names = self.config.modality_names
        rates = [given.get(n, 0.0) if isinstance(given, Mapping) else given for n in names]
        return hide_modalities(present_BM, [self.dropout_share * rate for rate in rates])

    @property
    def sees_interactions(self) -> bool:
        """False for an additive fusion under a linear head: its output is a sum of one term per modality."""
        return self.fusion.interaction != "additive" or isinstance(self.head, PairHead | GenerateHead | MembersHead)


def __getattr__(name: str) -> Any:
    return pretrained_config() if name == "PlaitConfig" else named_class(__name__, name)
