"""
``headwater up``: the whole service on one machine, with embedded parts where no database or broker is set.
"""

import click

from config.settings import Settings
from worker.cli.ground import ground
from worker.cli.output import Speech, common
from worker.cli.processes import Processes, procfile_lines, stop_on_signals
from worker.cli.sync import service_of
from worker.store import marks

SERVICE = ("web", "worker", "beat")


def environment_of(settings: Settings) -> dict[str, str]:
    """
    What the service's processes are to find in their environment beside ours.
    """
    assert settings.database_url is not None  # noqa: S101 - ground has seen to both
    assert settings.redis_url is not None  # noqa: S101
    return {
        "DATABASE_URL": settings.database_url.get_secret_value(),
        "REDIS_URL": settings.redis_url.get_secret_value(),
        "HEADWATER_BIND": settings.bind,
        "PORT": str(settings.port),
    }


def show(name: str, line: str) -> None:
    """
    A process's line, with its name before it.
    """
    click.echo(f"{name:<7}| {line}", err=True)


@click.command("up")
@common
def command(speech: Speech) -> None:
    """
    Run web, worker and beat until Ctrl-C. Their health and status: http://127.0.0.1:8080
    """
    asked_to_stop = stop_on_signals()
    with ground() as settings:
        settings.need_salesforce()
        service = service_of(settings, sources=False, decides=False)
        with service.engine.begin() as connection:
            marks.expect_real(connection, settings.salesforce_login_url)
        service.engine.dispose()
        processes = Processes(environment_of(settings), show)
        try:
            lines = procfile_lines()
            for name in SERVICE:
                processes.start(name, lines[name])
            speech.say(f"Headwater runs; its page is http://{settings.bind}:{settings.port}  (Ctrl-C stops it)")
            while not asked_to_stop.wait(1.0):
                processes.keep_alive()
        finally:
            processes.stop()
