"""
What befalls the service while it reads: refused and cut answers, sessions and cursors that end, Bulk jobs that hang.

``Disturbances`` orders one at the practice org before a poll and calms everything after it. It decides nothing of what
people do in the org.
"""

import random
from typing import Any, Final

from tests.nothing_lost.world import World

JSON: Final = "application/json"
LOCATOR_DEAD: Final = '[{"message":"invalid query locator","errorCode":"INVALID_QUERY_LOCATOR"}]'
SESSION_DEAD: Final = '[{"message":"Session expired or invalid","errorCode":"INVALID_SESSION_ID"}]'
HTML: Final = "<html><body>We are down for maintenance.</body></html>"
TOO_MANY: Final = '[{"message":"ConcurrentRequests Limit exceeded.","errorCode":"REQUEST_LIMIT_EXCEEDED"}]'
DEAD_LOCATOR: Final = {"status": 404, "body": LOCATOR_DEAD, "content_type": JSON}

ANSWERS: Final[dict[str, dict[str, Any]]] = {
    "a 401": {"status": 401, "body": SESSION_DEAD, "content_type": JSON},
    "a 429": {"status": 429, "body": "", "content_type": "text/html"},
    "a 403": {"status": 403, "body": TOO_MANY, "content_type": JSON},
    "a 500": {"status": 500, "body": HTML, "content_type": "text/html"},
    "a 503": {"status": 503, "body": HTML, "content_type": "text/html"},
    "an HTML body": {"status": 200, "body": HTML, "content_type": "text/html"},
    "an empty object": {"status": 200, "body": "{}", "content_type": JSON},
    "a cut body": {},
    "a reset": {},
}
KINDS: Final = (*ANSWERS, "ended sessions", "a dead cursor", "a stuck job", "a failed job", "a lost job")


class Disturbances:
    """
    At most one at a time. ``struck`` names those that the service has met.
    """

    def __init__(self, world: World, luck: random.Random) -> None:
        self._world = world
        self._luck = luck
        self._kind: str | None = None
        self._ordered: list[tuple[int, int]] = []
        self._jobs_before: set[str] = set()
        self.struck: set[str] = set()

    def order(self, kind: str, *, at: str | None = None) -> str:
        """
        Have it befall the next reads, an answer only those whose path has ``at``; what it is, in words.
        """
        self._kind = kind
        if kind == "ended sessions":
            self._world.control("salesforce/expire_sessions")
        elif kind == "a dead cursor":
            self._world.control("salesforce/settings", cursors=1)
            times = self._luck.randint(1, 2)
            self._fault(DEAD_LOCATOR, method="GET", path_contains="/query/0r8", times=times)
        elif kind.endswith("job"):
            self._jobs_before = set(self._world.held_jobs())
            self._world.control("salesforce/settings", hold_bulk_jobs=True)
        else:
            action = dict(ANSWERS[kind])
            if kind == "a cut body":
                action["cut_body_at"] = self._luck.choice((0, 1, 20, 400, 2_000))
            if kind == "a reset":
                action["reset"] = self._luck.choice(("before", "after"))
            times, skip = self._luck.randint(1, 4), self._luck.choice((0, 0, 0, 1, 2, 3))
            self._fault(action, times=times, **({"skip": skip} if at is None else {"path_contains": at}))
            return f"{kind}, {times} times {f'after {skip}' if at is None else f'at {at}'}"
        return kind

    def calm(self) -> None:
        """
        Nothing is disturbed any more; jobs that were held run, fail or are gone.
        """
        if self._kind is None:
            return
        kind, self._kind = self._kind, None
        if kind == "ended sessions":
            self.struck.add(kind)
        elif kind.endswith("job"):
            self._let_go_of_jobs(kind)
        else:
            left = {each["id"]: each["times"] for each in self._world.org.control("GET", "faults")["faults"]}
            if any(left.get(number, 0) < times for number, times in self._ordered):
                self.struck.add(kind)
            self._world.org.control("DELETE", "faults")
            if kind == "a dead cursor":
                self._world.control("salesforce/settings", cursors=10)
        self._ordered = []

    def _fault(self, action: dict[str, Any], *, times: int, **where: Any) -> None:
        number = self._world.org.fault(action, system="salesforce", times=times, **where)
        self._ordered.append((number, times))

    def _let_go_of_jobs(self, kind: str) -> None:
        # What ran before may have ended by now.
        held = sorted(set(self._world.held_jobs()) - self._jobs_before)
        if held:
            self.struck.add(kind)
        self._world.control("salesforce/settings", hold_bulk_jobs=False)
        if kind == "a failed job":
            for job in held:
                self._world.control("salesforce/fail_job", id=job)
        elif kind == "a lost job":
            self._world.control("salesforce/forget_jobs")
        self._world.control("salesforce/release_jobs")
