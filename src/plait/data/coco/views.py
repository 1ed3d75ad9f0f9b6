"""What a COCO folder holds for a task: which annotations, which columns, and whether pairs are made of them.

One record a task, under its name. They stand here and not in the tasks, for the data doctor opens a folder without
them; a task of your own that reads COCO adds its record from its own file.
"""

from __future__ import annotations

from dataclasses import dataclass

from plait.registry import Registry

DEFAULT_TASK = "matching"


@dataclass(frozen=True)
class CocoView:
    """A COCO folder as the table of a task.

    Attributes:
        rows: What a row is, as ``read_coco_folder`` names it: "captions" (one caption) or "multilabel" (one photo with
            the names of its objects).
        text: Columns that are read as text.
        target: Column to predict where the user names none; None: there is none.
        in_pairs: Whether each row becomes a right and a wrong pair.
    """

    rows: str
    text: tuple[str, ...] = ()
    target: str | None = None
    in_pairs: bool = False


COCO_VIEWS: Registry[CocoView] = Registry("task of a COCO folder")
COCO_VIEWS.add("matching", CocoView("captions", text=("caption",), target="match", in_pairs=True))
COCO_VIEWS.add("multilabel", CocoView("multilabel", target="objects"))
COCO_VIEWS.add("captioning", CocoView("captions", target="caption"))
COCO_VIEWS.add("retrieval", CocoView("captions", text=("caption",)))

VQA_TASKS = ("vqa", "vqa_open")  # what a folder of VQA files can be opened for, the usual one first
