"""
``headwater plan``: shows what would be written, from what is already read and decided. It touches no network.
"""

from collections.abc import Iterator
from typing import Any

import click

from worker.cli.ground import ground
from worker.cli.output import Speech, common, table
from worker.cli.sync import service_of
from worker.flows.drain import drain, follow_up
from worker.flows.run import Service
from worker.store import outbox, views

# Flows that decide and touch no network.
DECIDING = ("resolve", "engage", "attribute", "originate", "plan")
# A read before writing takes 2,000 records a call, a write 200.
READ_BATCH, WRITE_BATCH = 2_000, 200
# What Salesforce counts for a record, whatever its fields (read 2026-11).
RECORD_KB = 2


@click.command("plan")
@click.option("--examples", default=3, show_default=True, help="How many records to show of each object.")
@click.option("--detailed-exitcode", is_flag=True, help="End with 2 when something would be written.")
@common
def command(examples: int, *, detailed_exitcode: bool, speech: Speech) -> int:
    """
    Show what would be written to Salesforce: record, field, old, new and reason, and what it costs. Nothing is written.
    """
    with ground() as settings:
        service = service_of(settings, sources=False)
        planned = decide_and_show(service, examples)
        speech.answer(planned, lambda: told(planned))
        return 2 if detailed_exitcode and planned["records"] else 0


def decide_and_show(service: Service, examples: int) -> dict[str, Any]:
    """
    Finish what is being decided, then give what waits to be written and its cost.
    """
    with service.engine.begin() as connection:
        follow_up(connection, service)
    drain(service, DECIDING)
    with service.engine.connect() as connection:
        planned = views.planned(connection, examples)
        planned["shown"] = outbox.waiting_plans(connection)
    records = [each["records"] for each in planned["objects"]]
    planned["records"] = sum(records)
    planned["creates"] = sum(each["creates"] for each in planned["objects"])
    planned["deletes"] = sum(each["deletes"] for each in planned["objects"])
    planned["updates"] = planned["records"] - planned["creates"] - planned["deletes"]
    planned["calls"] = sum(
        -(-each["records"] // READ_BATCH)
        + -(-each["deletes"] // WRITE_BATCH)
        + -(-(each["records"] - each["deletes"]) // WRITE_BATCH)
        for each in planned["objects"]
    )
    planned["storage_kb"] = RECORD_KB * (planned["creates"] - planned["deletes"])
    return planned


def told(planned: dict[str, Any]) -> Iterator[str]:
    """
    A plan as people read it.
    """
    if not planned["records"]:
        yield "Nothing is to be written: Salesforce holds what it should."
        return
    yield "Salesforce changes:"
    yield from table(
        ("OBJECT", "FIELD", "RECORDS", "FIRST VALUE", "EMPTIED"),
        [[f[name] for name in ("object", "field", "records", "first_values", "emptied")] for f in planned["fields"]],
        right=(2, 3, 4),
    )
    for example in planned["examples"]:
        yield ""
        yield f"{example['object']} {example['record_id']}"
        for change in example["changes"]:
            yield f"  {change['field']}: {change['old'] or '(empty)'} -> {change['new'] or '(empty)'}"
        yield f"    because {example['changes'][0]['reason']}"
    yield ""
    for plan in planned["plans"]:
        if plan["why_held"]:
            yield f"Plan {plan['id']} is held by the write guard: {plan['why_held']}."
    yield (
        f"Plan: {planned['updates']:,} updates, {planned['creates']:,} creates, {planned['deletes']:,} deletes, "
        f"{planned['calls']:,} API calls, {_storage(planned['storage_kb'])}. Nothing was written."
    )
    yield "Next: headwater apply"


def _storage(kilobytes: int) -> str:
    if not kilobytes:
        return "no storage"
    return f"{abs(kilobytes):,} kB of storage{' freed' if kilobytes < 0 else ''}"
