"""
The one clock of the practice orgs: every stamp, created date and Date header comes from it.

It runs with the wall clock, shifted by an offset, unless it was frozen. It decides nothing; the server, both orgs and
the control API read and set it. Expiry of tokens follows it too, so a test can step over a session's end.
"""

import threading
from datetime import UTC, datetime, timedelta


class Clock:
    """
    Aware UTC time that can be set, advanced, frozen and let run again. Safe to use from any thread.
    """

    def __init__(self, start: datetime | None = None) -> None:
        self._lock = threading.Lock()
        self._offset = timedelta(0)
        self._frozen_at: datetime | None = None
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

    def _now(self) -> datetime:
        return self._frozen_at if self._frozen_at is not None else datetime.now(UTC) + self._offset


def parse_moment(text: str) -> datetime:
    """
    An ISO 8601 moment as aware UTC; without an offset it is taken as UTC. Raises ``ValueError`` on anything else.
    """
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
