"""
``headwater resync``: asks for a record, an account, an object or everything to be read and decided again.
"""

from typing import Any

import click
from sqlalchemy import Connection

from worker.cli.ground import ground
from worker.cli.output import Speech, common
from worker.cli.sync import service_of, work_until_quiet
from worker.core.errors import Fatal
from worker.flows.run import Service
from worker.store import cursors, jobs, scopes, views


@click.command("resync")
@click.argument("what", type=click.Choice(["record", "account", "object", "everything"]))
@click.argument("name", required=False)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--wait", is_flag=True, help="Work in this process until it is done.")
@common
def command(what: str, name: str | None, *, yes: bool, wait: bool, speech: Speech) -> None:
    """
    Read again: record ID-OR-EMAIL, account ID-OR-NAME, object NAME (Lead, Contact, Account ...), or everything.

    The request is a job like any other, ahead of routine work; it is safe to ask twice.
    """
    with ground() as settings:
        service = service_of(settings)
        with service.engine.connect() as connection:
            asked = _scopes(connection, service, what, name)
            cost = _cost(connection, asked)
        speech.say(f"This re-reads {cost['records']:,} records and takes about {cost['calls']:,} calls.")
        if not yes and cost["records"] > 200:
            click.confirm("Go on?", abort=True, err=True)
        with service.engine.begin() as connection:
            cursors.forget(connection, [stream for _lane, scope in asked for stream in scope.get("streams", ())])
            numbers = [
                jobs.enqueue(
                    connection,
                    "resync",
                    lane=lane,
                    scope=scope,
                    priority=jobs.ASKED_FOR,
                    requested_by="command line",
                )
                for lane, scope in asked
            ]
        service.ring(["resync"])
        if wait:
            with speech.progress("resync") as on_progress:
                work_until_quiet(service, on_progress)
        speech.answer(
            {"jobs": numbers, **cost},
            lambda: [
                f"{'Done' if wait else 'Asked for'}: job {', '.join(map(str, numbers))}.",
                *([] if wait else ["A running service takes it next; or run it here: headwater resync ... --wait"]),
            ],
        )


def _scopes(connection: Connection, service: Service, what: str, name: str | None) -> list[tuple[str, dict[str, Any]]]:
    """
    The jobs to ask for: (lane, scope).
    """
    if what == "everything":
        return [
            (f"pull:{source.name}", {"source": source.name, "streams": [stream.name for stream in source.streams]})
            for source in service.sources.values()
        ]
    if name is None:
        raise Fatal("HW-120", f"resync {what} needs to know which", actions=[f"headwater resync {what} NAME"])
    if what == "object":
        return [_object_scope(service, name)]
    records = _records(connection, what, name)
    by_source: dict[str, dict[str, list[str]]] = {}
    for stream, record_ids in records.items():
        by_source.setdefault(stream.split(".")[0], {})[stream] = record_ids
    return [(f"pull:{source}", {"records": streams}) for source, streams in sorted(by_source.items())]


def _object_scope(service: Service, name: str) -> tuple[str, dict[str, Any]]:
    wanted = name.lower().removesuffix("__c")
    streams = [stream.name for source in service.sources.values() for stream in source.streams]
    for stream in streams:
        source, kind = stream.split(".")
        if wanted in {kind, kind.replace("_", ""), stream}:
            return f"pull:{source}", {"source": source, "streams": [stream]}
    import difflib

    kinds = [stream.split(".")[1] for stream in streams]
    meant = difflib.get_close_matches(wanted, kinds, n=1)
    raise Fatal(
        "HW-121",
        f'there is no object "{name}"' + (f'; did you mean "{meant[0]}"?' if meant else ""),
        actions=[f"headwater resync object {kind}" for kind in sorted(set(kinds))],
    )


def _records(connection: Connection, what: str, name: str) -> dict[str, list[str]]:
    found = scopes.find(connection, name)
    if what == "account":
        found = [each for each in found if each["kind"] == "account"]
    if not found:
        raise Fatal(
            "HW-122",
            f'nothing in the store is called "{name}"',
            actions=["give a Salesforce id, an e-mail address, a domain or a full name"],
        )
    if len(found) > 1:
        raise Fatal(
            "HW-123",
            f'"{name}" may mean {len(found)} records: ' + ", ".join(sorted({each["kind"] for each in found})),
            actions=[f"headwater resync record {_an_id(connection, each)}   ({each['kind']})" for each in found],
        )
    if what == "account":
        return scopes.records_on_account(connection, found[0]["id"])
    return scopes.records_of(connection, found[0]["kind"], found[0]["id"])


def _an_id(connection: Connection, found: dict[str, Any]) -> str:
    """
    The first source record's id of what was found.
    """
    records = scopes.records_of(connection, found["kind"], found["id"])
    return next(iter(records.values()))[0]


def _cost(connection: Connection, asked: list[tuple[str, dict[str, Any]]]) -> dict[str, int]:
    """
    How many records are read again, and about how many calls that takes: 2,000 records a call, Bulk above.
    """
    records = calls = 0
    for _lane, scope in asked:
        for record_ids in scope.get("records", {}).values():
            records += len(record_ids)
            calls += -(-len(record_ids) // 2_000)
        for stream in scope.get("streams", ()):
            held = views.stored_records(connection, stream)
            records += held
            calls += 1 + min(-(-held // 2_000), 6)
    return {"records": records, "calls": calls}
