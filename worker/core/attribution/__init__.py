"""
Decides which marketing touches earned a deal, and divides its money among them to the last unit.

``rules`` says how, ``path`` finds each deal's touches and positions, ``allot`` turns weights into exact shares and
money, ``explain`` puts the result into words. Pure: frames in, frames out. Called by the flows through these names.
"""

from worker.core.attribution.allot import allot, allot_wide, wide_schema
from worker.core.attribution.deal import credit_deal
from worker.core.attribution.explain import positions_text, sentences, share_percent, share_text
from worker.core.attribution.path import PathSet, build_paths
from worker.core.attribution.rules import DEFAULT_MODELS, AttributionRules, Model, Position

__all__ = [
    "DEFAULT_MODELS",
    "AttributionRules",
    "Model",
    "PathSet",
    "Position",
    "allot",
    "allot_wide",
    "build_paths",
    "credit_deal",
    "positions_text",
    "sentences",
    "share_percent",
    "share_text",
    "wide_schema",
]
