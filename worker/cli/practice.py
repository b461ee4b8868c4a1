"""
``headwater practice``: the practice orgs by themselves, for trying rules, integrations and whatever else needs an org.
"""

import shlex
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from urllib.parse import urlsplit

import click

from config.settings import load_settings
from worker.cli.output import Speech, common
from worker.core.errors import Fatal
from worker.embedded.home import is_held, lock_file
from worker.practice.beginning import Beginning
from worker.practice.clock import parse_moment
from worker.practice.control_client import ControlClient
from worker.practice.server import HTTP_PORT, HTTPS_PORT, Endpoints, Ports, read_endpoints, serve

# Held by whoever serves a folder.
SERVING = "serving"
# How long a server may take from its start to its first answer on a busy machine, and how long one that was started in
# the line before may take to hold its lock.
COMING_SECONDS, APPEARING_SECONDS = 30.0, 4.0
HELP = "headwater practice serve --help"
FILE = click.Path(path_type=Path, dir_okay=False)
READABLE = click.Path(path_type=Path, dir_okay=False, exists=True)
FOLDER = click.Path(path_type=Path, file_okay=False, exists=True)
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
@click.option("--http-port", default=HTTP_PORT, show_default=True, help="0 takes a free one.")
@click.option("--https-port", default=HTTPS_PORT, show_default=True, help="0 takes a free one.")
@click.option("--proxy-port", type=int, help="A CONNECT port, for clients that insist on Salesforce's host names.")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="Folder for keys and records.")
@click.option("--state", type=FILE, help="Start from this snapshot if it is there; write it at the end.")
@click.option("--seed", type=READABLE, help="JSON file of what a new org shall have.")
@click.option("--faults", type=READABLE, help="JSON file with a list of faults in force from the start.")
@click.option("--clock", help="Where the clock starts (ISO); default now, or where a kept org left it.")
@click.option("--package", type=FOLDER, help="Salesforce source folder whose custom fields the org has.")
@click.option("--bare", is_flag=True, help="An org without custom fields.")
@click.option("--organization", default=1, show_default=True, help="Another number, another organisation id.")
@common
def serve_command(  # noqa: PLR0913, PLR0917 - one for each option, as click wants it
    http_port: int,
    https_port: int,
    proxy_port: int | None,
    data: Path | None,
    state: Path | None,
    seed: Path | None,
    faults: Path | None,
    clock: str | None,
    package: Path | None,
    organization: int,
    *,
    bare: bool,
    speech: Speech,
) -> None:
    """
    Serve both orgs until Ctrl-C, and print where.
    """
    folder = data or practice_folder()

    def announce(endpoints: Endpoints) -> None:
        speech.answer(
            asdict(endpoints),
            lambda: [
                f"Practice Salesforce and Marketo: {endpoints.http_url} and {endpoints.https_url}",
                *([f"As a proxy for other clients: HTTPS_PROXY={endpoints.proxy_url}"] if endpoints.proxy_url else []),
                "Point Headwater at them:  eval $(headwater practice env)",
                "Load a company into them: headwater practice load FOLDER",
            ],
        )

    with _serving(folder):
        try:
            beginning = Beginning(
                clock=parse_moment(clock) if clock else None,
                package=None if bare else package or SHIPPED_PACKAGE,
                organization=organization,
                state=state,
                seed=seed,
                faults=faults,
            )
            ports = Ports(http_port, https_port, proxy_port)
            serve(ports=ports, data=folder, beginning=beginning, ready=announce)
        except ValueError as error:
            raise Fatal("HW-574", f"the practice orgs could not start: {error}", actions=[HELP]) from error


@contextmanager
def _serving(folder: Path) -> Iterator[None]:
    """
    Hold the folder's lock, so that others see from the first moment that it is being served. Raises Fatal HW-573 where
    it is already: two servers over the same records would destroy them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    seat = lock_file(folder / SERVING)
    if seat is None:
        raise Fatal(
            "HW-573",
            f"practice orgs are being served from {folder} already",
            actions=[
                "eval $(headwater practice env)   # points Headwater at them",
                "headwater practice serve --data DIR",
            ],
        )
    with seat:
        yield


@command.command("env")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="The folder it was served with.")
@common
def env_command(data: Path | None, speech: Speech) -> None:
    """
    Print the settings that point Headwater at the running practice orgs:  eval $(headwater practice env)
    """
    names = _endpoints(data).environment()
    speech.answer(names, lambda: [f"export {name}={shlex.quote(value)}" for name, value in names.items()])


@command.command("snapshot")
@click.argument("file", type=FILE)
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="The folder it was served with.")
@common
def snapshot_command(file: Path, data: Path | None, speech: Speech) -> None:
    """
    Write the state of the running practice orgs into FILE.
    """
    with ControlClient(_endpoints(data).http_url) as client:
        told = client.post("snapshot", {"file": str(file.resolve())})
    speech.answer(told, lambda: [f"{told['file']}: {told['bytes']} bytes"])


@command.command("restore")
@click.argument("file", type=READABLE)
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="The folder it was served with.")
@common
def restore_command(file: Path, data: Path | None, speech: Speech) -> None:
    """
    Make the running practice orgs, and their clock, what they were when FILE was written.
    """
    with ControlClient(_endpoints(data).http_url) as client:
        told = client.post("restore", {"file": str(file.resolve())})
    speech.answer(told, lambda: [f"The clock stands at {told['now']}."])


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
    """
    Where the folder's practice orgs answer. One that is just starting is waited for; Fatal HW-570 where none is.
    """
    folder = data or practice_folder()
    began = time.monotonic()
    while (endpoints := _answering(folder)) is None:
        waited = time.monotonic() - began
        is_coming = is_held(folder / SERVING)
        if waited > (COMING_SECONDS if is_coming else APPEARING_SECONDS):
            raise Fatal(
                "HW-570",
                f"the practice orgs of {folder} do not answer, {waited:.0f} s after they were started"
                if is_coming
                else f"no practice org is served from {folder}",
                actions=["headwater practice serve &"] if not is_coming else ["try again", "end it and serve again"],
            )
        time.sleep(0.1)
    return endpoints


def _answering(folder: Path) -> Endpoints | None:
    """
    The addresses the folder's last server wrote, if something listens there.
    """
    try:
        endpoints = read_endpoints(folder)
        address = urlsplit(endpoints.http_url)
        with socket.create_connection((address.hostname or "", address.port or 0), timeout=2):
            return endpoints
    except (OSError, ValueError, TypeError):
        return None
