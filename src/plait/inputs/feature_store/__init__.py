"""The feature store: every unique text or image is encoded once and kept on disk for all later runs.

A `FeatureStore` holds spaces (one per encoder, processor and choice of tokens); a `Space` holds
segments of encoded items under the sha256 of their content; a `FeatureSet` hands them out in
batches; `encode_items` fills what is missing. Nothing here trains, and nothing is ever unpickled.
"""

from __future__ import annotations

from plait.inputs.feature_store.encode import encode_items, space_fingerprint
from plait.inputs.feature_store.feature_set import FeatureSet
from plait.inputs.feature_store.garbage import GcReport
from plait.inputs.feature_store.segment import DamagedSegmentError, FeatureStoreError
from plait.inputs.feature_store.space import Space
from plait.inputs.feature_store.store import FeatureStore, Problem, SpaceInfo, VerifyReport

__all__ = [
    "DamagedSegmentError",
    "FeatureSet",
    "FeatureStore",
    "FeatureStoreError",
    "GcReport",
    "Problem",
    "Space",
    "SpaceInfo",
    "VerifyReport",
    "encode_items",
    "space_fingerprint",
]
