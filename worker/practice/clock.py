"""
The one clock of the practice orgs: every stamp, created date and Date header comes from it.

It runs with the wall clock, shifted by an offset, unless it was frozen. It decides nothing; the server, both orgs and
the control API read and set it. Expiry of tokens follows it too, so a test can step over a session's end.
"""

import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any


class Clock:
    """
    Aware UTC time that can be set, advanced, frozen and let run again. Safe to use from any thread.
    """

    def __init__(self, start: datetime | None = None) -> None:
        self._lock = threading.Lock()
        self._offset = timedelta(0)
        self._frozen_at: datetime | None = None
        self._is_given = start is not None
        if start is not None:
            self.set(start)

    def now(self) -> datetime:
        """
        The present moment, aware, UTC, with microseconds.
        """
        with self._lock:
            return self._now()

    def set(self, moment: datetime) -> None:
        """
        Make ``moment`` (aware) the present. A frozen clock stays frozen, at the new moment.
        """
        if moment.tzinfo is None:
            raise ValueError(f"the practice clock takes aware times only, not {moment.isoformat()}")
        with self._lock:
            if self._frozen_at is not None:
                self._frozen_at = moment.astimezone(UTC)
            else:
                self._offset = moment - datetime.now(UTC)

    def advance(self, seconds: float) -> None:
        """
        Move the present by ``seconds``, backwards if negative.
        """
        self.set(self.now() + timedelta(seconds=seconds))

    def freeze(self) -> None:
        """
        Stand still at the present moment.
        """
        with self._lock:
            self._frozen_at = self._now()

    def run(self) -> None:
        """
        Run on from where the clock stands.
        """
        with self._lock:
            if self._frozen_at is not None:
                self._offset = self._frozen_at - datetime.now(UTC)
                self._frozen_at = None

    @property
    def frozen(self) -> bool:
        """
        Whether the clock stands still.
        """
        return self._frozen_at is not None

    def dump(self) -> dict[str, Any]:
        """
        The clock as JSON takes it: the present, whether it stands still, and its distance from the wall clock.
        """
        with self._lock:
            offset = self._offset.total_seconds()
            return {"now": self._now().isoformat(), "frozen": self._frozen_at is not None, "offset_seconds": offset}

    def load(self, given: Mapping[str, Any]) -> None:
        """
        Take up the present of ``dump``, standing still or running on from there.
        """
        moment = parse_moment(str(given["now"]))
        with self._lock:
            self._frozen_at = moment if given["frozen"] else None
            self._offset = moment - datetime.now(UTC)

    def resume(self, given: Mapping[str, Any]) -> None:
        """
        Be the clock of ``dump`` again after a pause: standing where it stood, or as far from the wall clock as it was.
        A clock that was started at a moment of its own stays there.
        """
        if self._is_given:
            return
        if given["frozen"]:
            self.load(given)
            return
        with self._lock:
            self._frozen_at, self._offset = None, timedelta(seconds=float(given["offset_seconds"]))

    def _now(self) -> datetime:
        return self._frozen_at if self._frozen_at is not None else datetime.now(UTC) + self._offset


def parse_moment(text: str) -> datetime:
    """
    An ISO 8601 moment as aware UTC; without an offset it is taken as UTC. Raises ``ValueError`` on anything else.
    """
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
