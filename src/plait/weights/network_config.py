"""The shape of a network: what ``config.json`` of a model folder says, without transformers.

The base class of configurations takes as long to import as all else of Plait (docs/performance.md). So the network of a
folder that answers has a plain configuration, and ``plait.model.PlaitConfig``, which transformers reads and writes, is
made of it where a network is trained, saved or read in the library's own way.
"""

from __future__ import annotations

from functools import cache
from typing import Any


class NetworkConfig:
    """Everything that defines a network's shape.

    Attributes:
        modalities: In model order, one mapping each: ``name``, ``kind``, ``vector_dim``, ``token_dim`` (or None) and
            ``encoder``, the config of an encoder inside the model, or None for a frozen one outside it. With
            ``shares``, the name of an earlier modality, that one's encoder inside the model is used. With ``order``,
            "sequence" or "grid", the fusion gives the tokens position codes. With ``words`` (``num_words``, ``width``
            and ``dropout``) a trained bag of words stands behind the encoder's vector; ``vector_dim`` counts both.
        fusion: ``name``, ``width``, ``dropout``, ``options`` and ``absence``: what the fusion sees of a missing
            modality, "mask" (nothing; so it is without this key) or "learned".
        head: ``name``, ``dropout`` and ``options`` of that head alone.
        task: Name of the task.
        num_outputs: Width of the head's output.
        modality_dropout: Probability that a modality is hidden from a training row, in [0, 1), or one for each by name.
        modality_dropout_pattern: "independent", or "subset": the probability that a row is cut to a random subset.
        alignment: Weight of the head's alignment term.
        class_weights: Weight of each class in the loss, or None.
        loss: ``smoothing`` and ``focus`` of the task's loss, where they are on.
        mixup: Blending of rows in training, alpha of a Beta distribution, "cutmix" or "mixgen"; 0: off.
        objectives: auxiliary objectives that are on, by name, with their strength.
    """

    model_type = "plait"

    def __init__(
        self, modalities: list[dict[str, Any]] | None = None, fusion: dict[str, Any] | None = None,
        head: dict[str, Any] | None = None, task: str = "classification", num_outputs: int = 2,
        modality_dropout: float | dict[str, float] = 0.0, modality_dropout_pattern: str = "independent",
        alignment: float = 0.0, class_weights: list[float] | None = None, aids: dict[str, float] | None = None,
        loss: dict[str, float] | None = None, mixup: float | str = 0.0, **kwargs: Any,
    ) -> None:  # fmt: skip
        self._begin(kwargs)
        self.modalities = modalities or []
        self.fusion = fusion or {"name": "concat", "width": 256, "dropout": 0.0, "options": {}}
        self.head = head or {"name": "label", "dropout": 0.0}
        self.task = task
        self.num_outputs = num_outputs
        self.modality_dropout = modality_dropout
        self.modality_dropout_pattern = modality_dropout_pattern
        self.alignment = alignment
        self.class_weights = class_weights
        self.aids = aids or {}
        self.loss = loss or {}
        self.mixup = mixup

    def _begin(self, others: dict[str, Any]) -> None:
        """Keep what is no field of its own."""
        vars(self).update(others)

    @property
    def modality_names(self) -> list[str]:
        """Names in model order."""
        return [m["name"] for m in self.modalities]


@cache
def pretrained_config() -> type[Any]:
    """``plait.model.PlaitConfig``: the same fields in a ``transformers.PreTrainedConfig``."""
    from transformers.configuration_utils import PreTrainedConfig

    def begin(self: Any, others: dict[str, Any]) -> None:
        PreTrainedConfig.__init__(self, **others)

    parts = {"__init__": NetworkConfig.__init__, "_begin": begin, "__doc__": NetworkConfig.__doc__}
    return type("PlaitConfig", (NetworkConfig, PreTrainedConfig), parts | {"__module__": "plait.model"})


def as_pretrained(config: Any) -> Any:
    """The configuration as transformers takes it: a plain one as a ``PlaitConfig``, any other as it is."""
    return pretrained_config()(**vars(config)) if type(config) is NetworkConfig else config
