"""
What a practice server begins with: its clock, the org's fields, a state or a seed to start from, faults.

``server.serve`` reads it once the orgs are there and before anybody can call; what a state file is to be written for
is done at the end. Mistakes raise ``ValueError`` with the file's name.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from worker.practice import archive
from worker.practice.seedfile import plant
from worker.practice.state import PracticeState


@dataclass(frozen=True)
class Beginning:
    """
    ``clock`` is the aware moment the clock starts at (None: now, or where a kept org left it). ``package`` is a
    Salesforce source folder whose objects and fields the org has. ``organization`` numbers the org: another number,
    another organisation id. ``state`` is a file the orgs are read from, if it is there, and written to at the end;
    ``seed`` a JSON file a new org is filled from; ``faults`` a JSON file with a list of faults in force from the start.
    """

    clock: datetime | None = None
    package: Path | None = None
    organization: int = 1
    state: Path | None = None
    seed: Path | None = None
    faults: Path | None = None

    def begin(self, state: PracticeState, *, is_new: bool) -> None:
        """
        Bring the orgs to where they begin. ``is_new`` says that no earlier process has left anything in the folder.
        """
        for place, order in enumerate(_orders(self.faults), start=1):
            try:
                state.faults.order(order)
            except ValueError as error:
                raise ValueError(f"{self.faults}: fault {place}: {error}") from error
        if self.state is not None and self.state.exists():
            archive.restore(state, self.state)
            if self.clock is not None:
                state.clock.set(self.clock)
            return
        if self.state is not None and not is_new and state.salesforce is not None:
            # A state that is not there yet is a new one, whatever the folder was used for before.
            state.salesforce.reset()
            is_new = True
        if self.seed is not None and is_new:
            plant(state, self.seed)

    def end(self, state: PracticeState) -> None:
        """
        Write the state file, if there is to be one.
        """
        if self.state is not None:
            archive.save(state, self.state)


def _orders(file: Path | None) -> list[dict[str, object]]:
    if file is None:
        return []
    try:
        orders = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{file}: cannot be read as JSON: {error}") from error
    if not isinstance(orders, list) or not all(isinstance(order, dict) for order in orders):
        raise ValueError(f"{file}: a faults file is a list of faults")
    return orders
