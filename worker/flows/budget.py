"""
Keeps within the API calls that are ours: has a flow wait before it calls when it must, and tells how the calls stand.

What may be used is decided in ``core.budget``, what was used is counted by ``meter``. Flows ask ``leave_the_floor``
before they call; ``status`` shows ``standing``.
"""

from datetime import UTC, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from worker.core import budget
from worker.core.budget import DAY, HOUR, PROBE_AFTER, Hold, Shares, Standing
from worker.core.errors import Retriable
from worker.core.instants import to_the_second
from worker.flows.run import Run, Service
from worker.store import apicalls, cursors

_SHORTEST_WAIT: Final = timedelta(minutes=1)
_LONGEST_WAIT: Final = timedelta(hours=1)


def leave_the_floor(run: Run, source: str) -> None:
    """
    Raise Retriable HW-206 while the organisation's calls have come down to what is left to everybody else, by its own
    last count, and HW-232 while our own are used up: both a little earlier for what is less urgent.
    """
    with run.transaction() as connection:
        found = standing(connection, source, Shares(run.api_floor_percent, run.api_cap_percent))
    # A pull costs a call or two and comes every few minutes: it is what asks how the others stand now.
    hold = budget.held(found, run.purpose, may_ask=run.job.flow == "pull") if found is not None else None
    if found is not None and hold is not None:
        raise _waits(found, hold)


def standing(connection: Connection, source: str, shares: Shares, *, is_to_forecast: bool = False) -> Standing | None:
    """
    How a source's calls stand, with the levels of earlier hours where it ``is_to_forecast``; None where the source has
    never said how many calls there are.
    """
    state = cursors.source_state(connection, source)
    if not state["calls_allowed"]:
        return None
    offset = timedelta(seconds=float(state["clock_offset_seconds"]))
    now = datetime.now(UTC) + offset
    return Standing(
        now=now,
        used=state["calls_used"],
        allowed=state["calls_allowed"],
        answered_at=state["answered_at"] + offset,
        shares=shares,
        ours=apicalls.ours(connection, source, now - DAY - HOUR),
        levels=apicalls.levels(connection, source, now - DAY) if is_to_forecast else {},
    )


def told(connection: Connection, service: Service) -> list[dict[str, Any]]:
    """
    How the API calls of each source stand that counts them, as ``status`` gives it.
    """
    shares = Shares(service.api_floor_percent, service.api_cap_percent)
    found = [
        (name, standing(connection, name, shares, is_to_forecast=True)) for name in apicalls.counted_sources(connection)
    ]
    return [_told(each, name, service.rules.zone) for name, each in found if each is not None]


def _told(found: Standing, source: str, zone: str) -> dict[str, Any]:
    """
    One standing: everybody's and our own use, cap and floor, the forecast for the end of the day
    in the organisation's time zone, and what is held back, why and until when.
    """
    local = found.now.astimezone(ZoneInfo(zone))
    midnight = datetime.combine(local.date() + timedelta(days=1), time(), ZoneInfo(zone)).astimezone(UTC)
    expected = budget.forecast(found, midnight)
    return {
        "source": source,
        "used": found.used,
        "allowed": found.allowed,
        "answered_at": to_the_second(found.answered_at),
        "ours": found.ours_used,
        "by_purpose": found.by_purpose,
        "cap": found.cap,
        "cap_percent": str(found.shares.cap_percent),
        "floor": found.allowed - found.line,
        "floor_percent": str(found.shares.floor_percent),
        "forecast": {
            "at": to_the_second(midnight),
            "zone": zone,
            "used": expected.used,
            "ours": expected.ours,
            "full_at": to_the_second(expected.full_at) if expected.full_at else None,
        },
        "held": [
            {"purpose": hold.purpose, "bound": hold.bound, "why": _why(found, hold), "until": to_the_second(hold.until)}
            for hold in budget.holds(found)
        ],
    }


def _waits(found: Standing, hold: Hold) -> Retriable:
    is_cap = hold.bound == "cap"
    lever = "api_cap_percent" if is_cap else "api_floor_percent"
    return Retriable(
        "HW-232" if is_cap else "HW-206",
        f"{hold.purpose} wait until {hold.until:%H:%M} UTC: {_why(found, hold)}",
        after=min(max(hold.until - found.now, _SHORTEST_WAIT), _LONGEST_WAIT if is_cap else PROBE_AFTER),
        actions=["headwater status", f"raise the organisation's limit, or change {lever} in service.yaml"],
    )


def _why(found: Standing, hold: Hold) -> str:
    reserve = found.cap * budget.RESERVED[hold.purpose] // 100
    kept = f", the last {reserve:,} of them for what is more urgent" if reserve else ""
    if hold.bound == "cap":
        return (
            f"Headwater has used {found.ours_used:,} of the {found.cap:,} API calls of a day that are its own "
            f"({found.shares.cap_percent} %){kept}"
        )
    return (
        f"{found.used:,} of the organisation's {found.allowed:,} API calls of the day are used; the last "
        f"{found.allowed - found.line:,} ({found.shares.floor_percent} %) are left to everybody else"
        + (f", and {reserve:,} more to what is more urgent" if reserve else "")
    )
