"""
``headwater status``: how everything stands, in one screen.
"""

from collections.abc import Iterator
from typing import Any

import click

from worker.cli.ground import ground
from worker.cli.output import Speech, common, table
from worker.cli.sync import service_of
from worker.core.instants import to_the_minute
from worker.store import views


@click.command("status")
@common
def command(speech: Speech) -> None:
    """
    Streams and their lag, API calls, what waits to be written, what went wrong and what to do.
    """
    with ground(meets_org=False) as settings:
        service = service_of(settings, sources=False, decides=False)
        with service.engine.connect() as connection:
            found = views.status(connection)
        speech.answer(found, lambda: told(found))


def told(found: dict[str, Any]) -> Iterator[str]:
    """
    The status as people read it.
    """
    counts = found["counts"]
    yield (
        f"{counts['accounts']:,} accounts ({counts['engaged']:,} engaged), {counts['people']:,} people, "
        f"{counts['opportunities']:,} deals, {counts['touchpoints']:,} touches, "
        f"{counts['disagreements']:,} disagreements"
    )
    yield ""
    if not found["streams"]:
        yield "Nothing was read yet. Try this: headwater sync"
    else:
        yield from table(
            ("STREAM", "READ UP TO", "STATE", "LAST LOOK"),
            [
                [
                    stream["stream"],
                    to_the_minute(stream["watermark"]),
                    "reading" if stream["reading"] else "on time" if stream["read_once"] else "never read",
                    _ago(stream["idle_seconds"]),
                ]
                for stream in found["streams"]
            ],
        )
    yield ""
    for each in found["calls"]:
        if each["calls_used"] is not None:
            used, allowed = each["calls_used"], each["calls_allowed"]
            yield f"API calls of the day, {each['source']}: {used:,} of {allowed:,}, all integrations together"
    yield from _writes(found["writes"])
    yield from _troubles(found)


def _writes(writes: dict[str, Any]) -> Iterator[str]:
    if not writes["approved"]:
        yield "Writing is off until a first plan is approved. See: headwater plan"
    for plan in writes["plans"]:
        held = f": {plan['why_held']}" if plan["why_held"] else ""
        yield f"Plan {plan['id']} is {plan['state']}, {plan['records']:,} records{held}"
    for each in writes["refused"]:
        yield (
            f"{each['records']:,} {each['object']} records are {each['state']}"
            f" ({each['code']}: {each['message']}), for example {each['example']}"
        )


def _troubles(found: dict[str, Any]) -> Iterator[str]:
    for each in found["quarantine"]:
        yield (
            f"Quarantine: {each['records']:,} of {each['stream']} ({each['code']}, {each['whose']}): "
            f"{each['message']}; for example {each['example']}"
        )
    for each in found["findings"]:
        yield f"Open ({each['code']}) since {to_the_minute(each['since_at'])}: {each['message']}"
        for action in each["actions"]:
            yield f"  Try this: {action}"
    if not found["findings"] and not found["quarantine"]:
        yield "No open errors."


def _ago(seconds: int) -> str:
    if seconds < 90:
        return f"{seconds} s ago"
    return f"{seconds // 60} min ago" if seconds < 5_400 else f"{seconds // 3_600} h ago"
