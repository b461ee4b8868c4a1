"""
``headwater practice``: the practice orgs by themselves, for trying rules, integrations and whatever else needs an org.
"""

import shlex
from dataclasses import asdict
from pathlib import Path

import click

from config.settings import load_settings
from worker.cli.output import Speech, common
from worker.core.errors import Fatal
from worker.practice.server import HTTP_PORT, HTTPS_PORT, Endpoints, read_endpoints, serve

SHIPPED_PACKAGE = Path(__file__).resolve().parents[2] / "config" / "salesforce"


def practice_folder() -> Path:
    """
    Where the practice orgs of this checkout keep their keys and records.
    """
    return load_settings().home / "practice"


@click.group("practice")
def command() -> None:
    """
    A Salesforce org and a Marketo on this machine that behave as real ones do, with a clock of their own.
    """


@command.command("serve")
@click.option("--http-port", default=HTTP_PORT, show_default=True)
@click.option("--https-port", default=HTTPS_PORT, show_default=True)
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="Folder for keys and records.")
@click.option("--clock", help="Where the clock starts (ISO); default now.")
@click.option("--bare", is_flag=True, help="An org without Headwater's fields.")
@common
def serve_command(
    http_port: int, https_port: int, data: Path | None, clock: str | None, *, bare: bool, speech: Speech
) -> None:
    """
    Serve both orgs until Ctrl-C, and print where.
    """
    from worker.practice.clock import parse_moment

    def announce(endpoints: Endpoints) -> None:
        speech.answer(
            asdict(endpoints),
            lambda: [
                f"Practice Salesforce and Marketo: {endpoints.http_url} and {endpoints.https_url}",
                "Point Headwater at them:  eval $(headwater practice env)",
                "Load a company into them: headwater practice load FOLDER",
            ],
        )

    serve(
        http_port=http_port,
        https_port=https_port,
        data=data or practice_folder(),
        clock=parse_moment(clock) if clock else None,
        package=None if bare else SHIPPED_PACKAGE,
        ready=announce,
    )


@command.command("env")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="The folder it was served with.")
@common
def env_command(data: Path | None, speech: Speech) -> None:
    """
    Print the settings that point Headwater at the running practice orgs:  eval $(headwater practice env)
    """
    names = _endpoints(data).environment()
    speech.answer(names, lambda: [f"export {name}={shlex.quote(value)}" for name, value in names.items()])


@command.command("load")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--mapping", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Another mapping file.")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="The folder it was served with.")
@common
def load_command(folder: Path, mapping: Path | None, data: Path | None, speech: Speech) -> int:
    """
    Put a folder of CSV files into the running practice orgs, by a mapping file.
    """
    from worker.cli.output import PARTLY
    from worker.practice.load import load

    endpoints = _endpoints(data)
    with speech.progress("load") as on_progress:
        report = load(
            folder,
            endpoints.http_url,
            progress=lambda step, done, _total: on_progress("load", step, done),
            mapping_path=mapping,
        )
    speech.answer(asdict(report), report.lines)
    return PARTLY if report.rejected else 0


def _endpoints(data: Path | None) -> Endpoints:
    folder = data or practice_folder()
    try:
        return read_endpoints(folder)
    except FileNotFoundError as error:
        raise Fatal(
            "HW-570", "no practice org was ever served from here", actions=["headwater practice serve &"]
        ) from error
