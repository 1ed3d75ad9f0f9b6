"""Names of torchvision that Plait can use: CNNs that can be cut before their pooling."""

from __future__ import annotations

TORCHVISION_FAMILIES = (
    "resnet", "resnext", "wide_resnet", "convnext", "efficientnet", "vgg", "regnet", "mobilenet", "densenet", "mnasnet",
    "shufflenet",
)  # fmt: skip


def check_torchvision(name: str) -> None:
    """Refuse a name before any weight is looked for or brought here.

    Raises:
        ValueError: No such model of pictures, or one that is no CNN known here.
    """
    import torchvision

    if name not in torchvision.models.list_models(module=torchvision.models):
        raise ValueError(f"torchvision knows no model {name!r}; try one of resnet18, resnet50, convnext_tiny")
    if not name.startswith(TORCHVISION_FAMILIES):
        raise ValueError(
            f"torchvision:{name} is not a CNN that Plait can cut before its pooling; expected one of the families "
            f"{', '.join(TORCHVISION_FAMILIES)}. For other networks type timm:NAME"
        )
