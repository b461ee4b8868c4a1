"""
A made-up company, its customers and eighteen months of what they did, for the demo and for tests.

``generate`` is pure and the same for the same seed and moment; ``fill`` puts what it made into a running practice
server. ``STORY`` names what is worth looking at. Every name is invented and every domain ends in ``.example``.
"""

from pathlib import Path

from worker.practice.company.fill import FillReport, fill
from worker.practice.company.generate import generate
from worker.practice.company.model import STORY, Company, Ref, Story

# The folder of rules that this company goes by.
RULES = Path(__file__).parent / "rules"

__all__ = ["RULES", "STORY", "Company", "FillReport", "Ref", "Story", "fill", "generate"]
