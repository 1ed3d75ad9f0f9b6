"""Any processor: the type of what feeds an encoder."""

from __future__ import annotations

from plait.processors.audio import AudioProcessor
from plait.processors.hashed import HashedTextProcessor
from plait.processors.image import ImageProcessor
from plait.processors.joint import JointProcessor
from plait.processors.library_image import LibraryImageProcessor
from plait.processors.pillow_image import PillowImageProcessor
from plait.processors.tabular import TabularProcessor
from plait.processors.text import TextProcessor
from plait.processors.vector import VectorProcessor
from plait.processors.waveform import WaveformProcessor

Processor = (
    TextProcessor
    | HashedTextProcessor
    | ImageProcessor
    | LibraryImageProcessor
    | JointProcessor
    | PillowImageProcessor
    | AudioProcessor
    | WaveformProcessor
    | VectorProcessor
    | TabularProcessor
)
