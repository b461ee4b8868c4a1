"""
``headwater up``: the whole service on one machine, with embedded parts where no database or broker is set.
"""

from contextlib import AbstractContextManager, nullcontext

import click

from config.settings import Settings, load_settings
from worker.cli.ground import ground
from worker.cli.output import Speech, common
from worker.cli.processes import Processes, procfile_lines, stop_on_signals
from worker.cli.running import free_port, only_one

SERVICE = ("web", "worker", "beat")
TYPED = "headwater up"


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


def page_of(bind: str, port: int) -> str:
    """
    Where a person on this machine finds the status page.
    """
    return f"http://[{bind}]:{port}" if ":" in bind else f"http://{bind}:{port}"


def show(name: str, line: str) -> None:
    """
    A process's line, with its name before it.
    """
    click.echo(f"{name:<7}| {line}", err=True)


@click.command("up")
@common
def command(speech: Speech) -> None:
    """
    Run web, worker and beat until Ctrl-C. Their health and status: http://127.0.0.1:8080 (PORT moves it)
    """
    asked_to_stop = stop_on_signals()
    asked = load_settings()
    with _alone(asked):
        port = free_port(asked.bind, asked.port, TYPED)
        with ground() as found:
            settings = found.need_salesforce().model_copy(update={"port": port})
            processes = Processes(environment_of(settings), show)
            try:
                lines = procfile_lines()
                for name in SERVICE:
                    processes.start(name, lines[name])
                speech.say(f"Headwater runs; its page is {page_of(settings.bind, port)}  (Ctrl-C stops it)")
                while not asked_to_stop.wait(1.0):
                    processes.keep_alive()
            finally:
                processes.stop()


def _alone(settings: Settings) -> AbstractContextManager[None]:
    """
    The home's one service where the store lives in the home. With a database and a broker of their own any number of
    services may run beside each other, on homes that nobody can write.
    """
    if settings.database_url is not None and settings.redis_url is not None:
        return nullcontext()
    return only_one(settings.home, TYPED, page_of(settings.bind, settings.port))
