"""
Leaves the organisation's floor of API calls to everybody else: asked by flows before they call.
"""

from datetime import UTC, datetime, timedelta

from worker.core.errors import Retriable
from worker.flows.run import Run
from worker.store import cursors

# The day of calls is a rolling one: after this long one call may ask how it stands now.
PROBE_AFTER = timedelta(minutes=15)


def leave_the_floor(run: Run, source: str) -> None:
    """
    Raise Retriable HW-206 while the organisation's calls have come down to the floor, by its own last count.
    """
    with run.transaction() as connection:
        state = cursors.source_state(connection, source)
    used, allowed = state["calls_used"], state["calls_allowed"]
    if not allowed or datetime.now(UTC) - state["answered_at"] > PROBE_AFTER:
        return
    if used >= allowed * (100 - run.api_floor_percent) / 100:
        raise Retriable(
            "HW-206",
            f"{used:,} of the organisation's {allowed:,} API calls of the day are used; the last "
            f"{run.api_floor_percent} % are left to everybody else",
            after=PROBE_AFTER,
            actions=["headwater status", "raise the organisation's limit, or lower api_floor_percent in service.yaml"],
        )
