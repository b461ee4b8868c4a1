"""
placeholder
"""

from pathlib import Path
from worker.practice.state import PracticeState


class Org:
    def __init__(self, state: PracticeState, *, public_key: bytes, package: Path | None = None) -> None:
        self.state = state
