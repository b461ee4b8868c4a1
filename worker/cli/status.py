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
from worker.flows import budget
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
            found = views.status(connection) | {"api": budget.told(connection, service)}
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
    for each in found["api"]:
        yield from _calls(each)
    yield from sweep_lines(found["sweeps"])
    yield from _writes(found["writes"])
    yield from _troubles(found)


def _calls(api: dict[str, Any]) -> Iterator[str]:
    purposes = ", ".join(f"{purpose} {calls:,}" for purpose, calls in api["by_purpose"].items())
    expected = api["forecast"]
    yield (
        f"API calls of the last 24 hours, {api['source']}: {api['used']:,} of {api['allowed']:,} by all integrations "
        f"together (answered {to_the_minute(api['answered_at'])})"
    )
    yield f"  by Headwater: {api['ours']:,} of the {api['cap']:,} it may use ({api['cap_percent']} %): {purposes}"
    yield f"  left to everybody else, always: {api['floor']:,} ({api['floor_percent']} %)"
    full = f", and all used up at {to_the_minute(expected['full_at'])}" if expected["full_at"] else ""
    yield (
        f"  forecast for {to_the_minute(expected['at'])}, the day's end in {expected['zone']}: "
        f"{expected['used']:,} by all, {expected['ours']:,} by Headwater{full}"
    )
    for hold in api["held"]:
        again = "frees" if hold["bound"] == "cap" else "is asked for again"
        yield f"  HELD BACK: {hold['purpose']}, until the room {again} at {to_the_minute(hold['until'])}: {hold['why']}"
    if not api["held"]:
        yield "  nothing is held back"


def sweep_lines(sweeps: list[dict[str, Any]]) -> Iterator[str]:
    """
    The proof of completeness: what the platform counted and what is held here, record by record.
    """
    if not sweeps:
        return
    yield ""
    counts = ("there", "here", "missing", "stale", "gone", "returned", "left", "hidden", "calls")
    heads = ("THERE", "HERE", "MISSING", "OUT OF DATE", "GONE", "SHOWN AGAIN", "STILL DIFFER", "HIDDEN", "CALLS")
    yield from table(
        ("SWEPT", "UP TO", "NOT SETTLED", *heads),
        [
            [
                sweep["stream"],
                to_the_minute(sweep["proof"]["up_to"]) if sweep["proof"] else "",
                _unsettled(sweep["proof"]) if sweep["proof"] else "",
                *(f"{sweep['proof'][name]:,}" if sweep["proof"] else "" for name in counts),
            ]
            for sweep in sweeps
        ],
    )
    for sweep in sweeps:
        if sweep["error"]:
            yield f"{sweep['stream']} could not be swept: {sweep['error']}"
        elif sweep["is_due"]:
            yield f"{sweep['stream']} is " + ("being swept" if sweep["began_at"] else "about to be swept")
    yield from _swept_again([sweep for sweep in sweeps if sweep["proof"] and sweep["proof"].get("again_at")])
    yield ""


def _unsettled(proof: dict[str, Any]) -> str:
    there, here = proof.get("unsettled_there", 0), proof.get("unsettled_here", 0)
    return f"{there:,}" if there == here else f"{there:,} there, {here:,} here"


def _swept_again(sweeps: list[dict[str, Any]]) -> Iterator[str]:
    if sweeps:
        unsettled = sum(sweep["proof"].get("unsettled_there", 0) for sweep in sweeps)
        at = max(sweep["proof"]["again_at"] for sweep in sweeps)
        yield (
            f"{unsettled:,} records had changed too lately to be compared ({len(sweeps)} objects): they are swept "
            f"again by {to_the_minute(at)}"
        )


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
