"""Official MS-COCO and VQA folders as tables."""

from __future__ import annotations
