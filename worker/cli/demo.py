"""
``headwater demo``: the whole service on a made-up company, with a practice Salesforce org and Marketo on this machine.

Everything is real but the company: the service's own processes, a PostgreSQL, a Valkey, HTTP to the practice orgs. Its
data stay, so that ``why`` works after Ctrl-C; ``--fresh`` starts over.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import click
from sqlalchemy import Engine

from config.settings import Settings
from worker.cli import story
from worker.cli.ground import ground
from worker.cli.output import Speech, common
from worker.cli.practice import SHIPPED_PACKAGE
from worker.cli.processes import Processes, procfile_lines, stop_on_signals, wait_for
from worker.cli.up import SERVICE, environment_of
from worker.core.errors import Fatal
from worker.practice.company import RULES as MADE_UP_RULES
from worker.practice.server import Endpoints
from worker.store import jobs, marks, outbox, views
from worker.store.session import connect

SEED = 2_026
# How long each part of the first cycle may take on a slow machine.
PATIENCE_SECONDS = 150.0
LOADED_MARK = "company-loaded"


@click.command("demo")
@click.option("--once", is_flag=True, help="End after the first whole cycle.")
@click.option("--fresh", is_flag=True, help="Forget the demo's data and start over.")
@click.option("--seed", default=SEED, show_default=True, help="Another seed, another company.")
@common
def command(*, once: bool, fresh: bool, seed: int, speech: Speech) -> int:
    """
    Run everything on a made-up company, show what happened and where to look; no account anywhere is needed.
    """
    started = time.monotonic()
    asked_to_stop = stop_on_signals()
    with ground() as settings:
        assert settings.database_url is not None  # noqa: S101 - ground has seen to it
        engine = connect(settings.database_url.get_secret_value())
        practice = settings.home / "practice-demo"
        _prepare(engine, practice, fresh=fresh)
        with practice_server(practice) as endpoints:
            _load_company(speech, practice, endpoints, seed)
            processes = Processes(
                environment_of(settings) | endpoints.environment() | _demo_environment(settings), _quiet
            )
            try:
                lines = procfile_lines()
                speech.say("Starting the service: web, worker, beat")
                for name in SERVICE:
                    processes.start(name, lines[name])
                first_cycle(engine, speech, processes, asked_to_stop.is_set)
                told = story.tell(engine, endpoints, settings)
                speech.answer(told, lambda: story.lines(told, time.monotonic() - started))
                if once or asked_to_stop.is_set():
                    return 0
                speech.say("The service goes on running. Ctrl-C stops it; its data stay.")
                while not asked_to_stop.wait(1.0):
                    processes.keep_alive()
            finally:
                processes.stop()
                engine.dispose()
    return 0


def _demo_environment(settings: Settings) -> dict[str, str]:
    return {
        "HEADWATER_TICK_SECONDS": "2",
        "HEADWATER_HOME": str(settings.home),
        "HEADWATER_RULES": str(settings.rules if "HEADWATER_RULES" in os.environ else MADE_UP_RULES),
    }


def _quiet(name: str, line: str) -> None:
    """
    The demo shows what the service did, and of its lines only what went wrong.
    """
    if " error" in line.lower() or "Traceback" in line or "critical" in line.lower():
        click.echo(f"{name:<7}| {line}", err=True)


def _prepare(engine: Engine, practice: Path, *, fresh: bool) -> None:
    """
    A store and practice orgs that belong together: both from an earlier demo, or both empty.
    """
    with engine.begin() as connection:
        begun = marks.is_made_up(connection) and (practice / LOADED_MARK).exists()
        if fresh or not begun:
            marks.wipe(connection)
            marks.mark_made_up(connection)
            shutil.rmtree(practice, ignore_errors=True)
    practice.mkdir(parents=True, exist_ok=True)


@contextmanager
def practice_server(data: Path) -> Iterator[Endpoints]:
    """
    The practice orgs as a process of their own; it ends with this one, however that ends.
    """
    command_line = [
        sys.executable, "-m", "worker.practice", "--http-port", "0", "--https-port", "0",
        "--data", str(data), "--package", str(SHIPPED_PACKAGE), "--stop-with-stdin",
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(  # noqa: S603 - our own module with our own arguments
        command_line,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None  # noqa: S101 - asked for above
        try:
            yield Endpoints(**json.loads(_first_line(process.stdout)))
        finally:
            assert process.stdin is not None  # noqa: S101
            process.stdin.close()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()


def _first_line(lines: IO[str]) -> str:
    line = lines.readline()
    if not line:
        raise Fatal("HW-575", "the practice orgs did not start", actions=["headwater practice serve"])
    return line


def _load_company(speech: Speech, practice: Path, endpoints: Endpoints, seed: int) -> None:
    if (practice / LOADED_MARK).exists():
        return
    from worker.practice.company import fill, generate

    speech.say(f"Making up a company (seed {seed}) and putting it into a practice Salesforce org and Marketo")
    with speech.progress("company") as on_progress:
        fill(
            generate(seed, datetime.now(UTC)),
            endpoints.http_url,
            lambda step, done, _total: on_progress("", step, done),
        )
    (practice / LOADED_MARK).write_text(f"{seed}\n")


def first_cycle(engine: Engine, speech: Speech, processes: Processes, stopped: Callable[[], bool]) -> None:
    """
    Wait for a whole cycle of the service: read, decided, written, and our own writes read back.

    Writing is off until a plan is approved; here the demo approves the first one, and says so.
    """
    speech.say("Reading, reconciling and deciding")
    with speech.progress("first cycle"):
        _expect(wait_for(lambda: _planned_or_done(engine) or stopped(), PATIENCE_SECONDS, processes.keep_alive), engine)
    if stopped():
        return
    with engine.begin() as connection:
        waiting = views.planned(connection, 0)
        if waiting["objects"]:
            counts = ", ".join(f"{each['records']:,} {each['object']}" for each in waiting["objects"])
            speech.say(f"The first plan waits for approval ({counts}); the demo approves it for you")
            outbox.approve(connection, by="the demo")
            jobs.enqueue(connection, "apply")
    speech.say("Writing back to the practice org")
    with speech.progress("write back"):
        _expect(wait_for(lambda: _quiet_now(engine) or stopped(), PATIENCE_SECONDS, processes.keep_alive), engine)


def _planned_or_done(engine: Engine) -> bool:
    with engine.connect() as connection:
        every = views.rows(
            connection,
            """
            SELECT (SELECT count(*) FROM cursor) > 0 AND NOT EXISTS (SELECT 1 FROM cursor WHERE first_loaded_at IS NULL)
                AND NOT EXISTS (SELECT 1 FROM due) AND NOT EXISTS (
                    SELECT 1 FROM job WHERE state IN ('ready', 'leased') AND run_at < now() + interval '5 seconds')
                AND EXISTS (SELECT 1 FROM run WHERE flow = 'plan' AND state = 'done') AS done
            """,
        )
    return bool(every[0]["done"])


def _quiet_now(engine: Engine) -> bool:
    with engine.connect() as connection:
        left = views.rows(
            connection,
            """
            SELECT NOT EXISTS (
                    SELECT 1 FROM outbox o JOIN plan p ON p.id = o.plan_id
                    WHERE p.state = 'approved' AND o.state IN ('planned', 'sending', 'unknown'))
                AND NOT EXISTS (SELECT 1 FROM due) AND NOT EXISTS (
                    SELECT 1 FROM job
                    WHERE state IN ('ready', 'leased') AND run_at < now() + interval '5 seconds') AS quiet
            """,
        )
    return bool(left[0]["quiet"])


def _expect(done: bool, engine: Engine) -> None:
    if done:
        return
    with engine.connect() as connection:
        found = views.status(connection)
    words = "; ".join(f"{each['code']}: {each['message']}" for each in found["findings"]) or "no error was noted"
    raise Fatal(
        "HW-576",
        f"the first cycle took longer than {PATIENCE_SECONDS:.0f} s",
        actions=["headwater status"],
        vendor=words,
    )
