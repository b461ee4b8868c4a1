"""
``headwater sweep``: holds every record's id and stamp against Salesforce now, instead of waiting for the day's sweep.
"""

import click

from worker.cli.ground import ground
from worker.cli.output import FAILED, Speech, common
from worker.cli.status import sweep_lines
from worker.cli.sync import service_of, work_until_quiet
from worker.flows.drain import start_sweep
from worker.store import census, views


@click.command("sweep")
@common
def command(speech: Speech) -> int:
    """
    Count what Salesforce says there is, hold it against what is stored, and read again what differs.
    """
    with ground() as settings:
        service = service_of(settings)
        with service.engine.begin() as connection:
            start_sweep(connection, service)
        with speech.progress("sweep") as on_progress:
            work_until_quiet(service, on_progress)
        with service.engine.connect() as connection:
            lines = [{name: views.plain(value) for name, value in each.items()} for each in census.lines(connection)]
        speech.answer({"sweeps": lines}, lambda: sweep_lines(lines))
        return FAILED if any(each["error"] for each in lines) else 0
