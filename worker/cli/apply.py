"""
``headwater apply``: approves what was planned and writes it. The first time, this turns writing on.
"""

import getpass
import sys
from typing import Any

import click

from worker.cli.ground import ground
from worker.cli.output import PARTLY, STILL_RUNNING, Speech, common
from worker.cli.plan import decide_and_show, told
from worker.cli.sync import service_of, work_until_quiet
from worker.core.errors import Fatal
from worker.flows.drain import follow_up
from worker.flows.run import Service
from worker.store import outbox, views


@click.command("apply")
@click.option("--yes", is_flag=True, help="Do not ask.")
@common
def command(*, yes: bool, speech: Speech) -> int:
    """
    Approve what was planned and write it: counts and cost are shown first, and you are asked.

    Fields that somebody changed since the plan are skipped and reported. Ends with 68 when some records were refused.
    """
    with ground() as settings:
        service = service_of(settings)
        planned = decide_and_show(service, examples=1)
        if not speech.as_json:
            for line in told(planned):
                speech.say(line)
        if not planned["records"]:
            speech.answer({"written": 0}, list)
            return 0
        if not yes:
            if not sys.stdin.isatty():
                raise Fatal(
                    "HW-124",
                    "apply asks before it writes, and nobody is there to answer",
                    actions=["headwater apply --yes"],
                )
            click.confirm(_question(service, planned["records"]), abort=True, err=True)
        result = approve_and_send(service, speech, planned["shown"])
        speech.answer(result, lambda: _told(result))
        if result["waiting"]:
            return STILL_RUNNING
        return PARTLY if result["not_written"] else 0


def _question(service: Service, records: int) -> str:
    with service.engine.connect() as connection:
        is_first = not outbox.writes_approved(connection)
    first = " This is the first approval: after it, changes go out by themselves." if is_first else ""
    return f"Write {records:,} records to Salesforce?{first}"


def approve_and_send(service: Service, speech: Speech, shown: tuple[list[int], int]) -> dict[str, Any]:
    """
    Approve the plans that were shown and work until they are sent. Returns what became of them.
    """
    with service.engine.begin() as connection:
        before = views.rows(connection, "SELECT coalesce(max(id), 0) AS id FROM written")[0]["id"]
        plans = outbox.approve(connection, getpass.getuser(), shown)
        follow_up(connection, service)
    service.ring(["apply"])
    with speech.progress("apply") as on_progress:
        work_until_quiet(service, on_progress)
    with service.engine.connect() as connection:
        return {
            "plans": plans,
            **views.rows(
                connection,
                """
                SELECT count(DISTINCT (object, record_id)) FILTER (WHERE result = 'done') AS written,
                       count(*) FILTER (WHERE result = 'done') AS fields FROM written WHERE id > :before
                """,
                before=before,
            )[0],
            "not_written": views.rows(
                connection,
                """
                SELECT object, result, code, count(DISTINCT record_id) AS records, min(record_id) AS example,
                       min(message) AS message
                FROM written WHERE id > :before AND result <> 'done' GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
                """,
                before=before,
            ),
            "waiting": views.rows(
                connection,
                """
                SELECT count(*) AS n FROM outbox o JOIN plan p ON p.id = o.plan_id
                WHERE p.state = 'approved' AND o.state IN ('planned', 'sending', 'unknown')
                """,
            )[0]["n"],
        }


def _told(result: dict[str, Any]) -> list[str]:
    lines = [f"Written: {result['written']:,} records, {result['fields']:,} fields."]
    lines += [
        f"{each['result'].capitalize()}: {each['records']:,} {each['object']} records"
        + (f" ({each['code']}: {each['message']})" if each["code"] else f" ({each['message'] or 'gone'})")
        + f", for example {each['example']}"
        for each in result["not_written"]
    ]
    if result["waiting"]:
        lines.append(f"Still to be sent: {result['waiting']:,} records; a running service goes on, or: headwater sync")
    lines.append("Writing is on: from now on changes go out by themselves unless the write guard holds them.")
    return lines
