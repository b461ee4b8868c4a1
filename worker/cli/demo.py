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
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import click
from sqlalchemy import Engine

from config.settings import Settings, load_settings
from worker.cli import story
from worker.cli.ground import demo_folder, ground
from worker.cli.output import Speech, common
from worker.cli.practice import SHIPPED_PACKAGE
from worker.cli.processes import Processes, procfile_lines, stop_on_signals, wait_for
from worker.cli.running import free_port, only_one
from worker.cli.up import SERVICE, environment_of, page_of
from worker.core.errors import Fatal
from worker.practice.company import RULES as MADE_UP_RULES
from worker.practice.server import Endpoints
from worker.store import jobs, marks, outbox, views
from worker.store.session import connect

SEED = 2_026
TYPED = "make demo"
_NEW_LINE = "\n"
# How long each part of the first cycle may take on a slow machine.
PATIENCE_SECONDS = 150.0
LOADED_MARK = "company-loaded"


@click.command("demo")
@click.option("--once", is_flag=True, help="End after the first whole cycle.")
@click.option("--fresh", is_flag=True, help="Forget the demo's data and start over.")
@click.option(
    "--seed",
    type=int,
    help=f"Another seed, another company; the same seed and the same second give the same company.  [default: {SEED}]",
)
@common
def command(*, once: bool, fresh: bool, seed: int | None, speech: Speech) -> int:
    """
    Run everything on a made-up company, show what happened and where to look; no account anywhere is needed.
    """
    started = time.monotonic()
    asked_to_stop = stop_on_signals()
    asked = load_settings()
    with only_one(asked.home, TYPED, page_of(asked.bind, asked.port)):
        port = free_port(asked.bind, asked.port, TYPED)
        with ground(meets_org=False) as found:
            demo = _Demo(found.model_copy(update={"port": port}), speech, asked_to_stop, started)
            with suppress(_Stopped):
                demo.run(seed, fresh=fresh, once=once)
    if asked_to_stop.is_set():
        # The terminal has put ^C on this line.
        is_there = (demo_folder(asked.home) / LOADED_MARK).exists()
        rest = f"its data stay. Go on with: {TYPED}" if is_there else f"there is no company yet. Begin again: {TYPED}"
        speech.say(f"{_NEW_LINE if sys.stderr.isatty() else ''}Stopped; {rest}")
    return 0


class _Stopped(Exception):
    """
    A person asked the demo to end.
    """


@dataclass(frozen=True)
class _Demo:
    """
    One run of the demo on settings whose database and broker answer.
    """

    settings: Settings
    speech: Speech
    asked_to_stop: threading.Event
    started: float

    def run(self, seed: int | None, *, fresh: bool, once: bool) -> None:
        """
        Start everything, wait for a whole cycle, tell of it, and stay until asked to stop.
        """
        assert self.settings.database_url is not None  # noqa: S101 - ground has seen to it
        engine = connect(self.settings.database_url.get_secret_value())
        practice = demo_folder(self.settings.home)
        try:
            kept = _prepare(engine, practice, fresh=fresh)
            with practice_server(practice) as endpoints:
                if kept:
                    self.speech.say(_still_here(practice, seed))
                else:
                    self._load_company(practice, endpoints, SEED if seed is None else seed)
                self._serve(engine, endpoints, kept=kept, once=once)
        finally:
            engine.dispose()

    def _serve(self, engine: Engine, endpoints: Endpoints, *, kept: bool, once: bool) -> None:
        environment = environment_of(self.settings) | endpoints.environment() | _demo_environment(self.settings)
        processes = Processes(environment, _quiet)
        try:
            before = story.so_far(engine)
            if kept:
                _look_again(engine)
            lines = procfile_lines()
            self.speech.say("Starting the service: web, worker, beat")
            for name in SERVICE:
                processes.start(name, lines[name])
            first_cycle(engine, self.speech, processes, before, self.asked_to_stop.is_set)
            if self.asked_to_stop.is_set():
                return
            told = story.tell(engine, endpoints, page_of(self.settings.bind, self.settings.port), before, kept=kept)
            self.speech.answer(told, lambda: story.lines(told, time.monotonic() - self.started))
            if once:
                return
            self.speech.say("The service goes on running. Ctrl-C stops it; its data stay.")
            while not self.asked_to_stop.wait(1.0):
                processes.keep_alive()
        finally:
            processes.stop()

    def _load_company(self, practice: Path, endpoints: Endpoints, seed: int) -> None:
        from worker.practice.company import fill, generate

        self.speech.say(f"Making up a company (seed {seed}) and putting it into a practice Salesforce org and Marketo")
        with self.speech.progress("company") as on_progress:

            def told(step: str, done: int, _total: int) -> None:
                if self.asked_to_stop.is_set():
                    # Half a company is none: the mark is not written, and the next start begins anew.
                    raise _Stopped
                on_progress("", step, done)

            fill(generate(seed, datetime.now(UTC)), endpoints.http_url, told)
        (practice / LOADED_MARK).write_text(f"{seed}\n")


def _still_here(practice: Path, seed: int | None) -> str:
    loaded = (practice / LOADED_MARK).read_text().strip()
    if seed is None or str(seed) == loaded:
        return "The company of the last time is still here (--fresh starts over)."
    return f"The company of the last time (seed {loaded}) is still here; --fresh --seed {seed} makes the other one."


def _look_again(engine: Engine) -> None:
    """
    Ask for one look at every source, so that this start has something of its own to tell.
    """
    with engine.begin() as connection:
        for row in views.rows(connection, "SELECT DISTINCT split_part(stream, '.', 1) AS source FROM cursor"):
            jobs.enqueue(connection, "pull", lane=f"pull:{row['source']}", scope={"source": row["source"]})


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


def _prepare(engine: Engine, practice: Path, *, fresh: bool) -> bool:
    """
    A store and practice orgs that belong together: both from an earlier demo (True), or both empty (False).
    """
    with engine.begin() as connection:
        begun = marks.is_made_up(connection) and (practice / LOADED_MARK).exists()
        kept = begun and not fresh
        if not kept:
            marks.wipe(connection)
            marks.mark_made_up(connection)
            shutil.rmtree(practice, ignore_errors=True)
    practice.mkdir(parents=True, exist_ok=True)
    return kept


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


def first_cycle(
    engine: Engine, speech: Speech, processes: Processes, before: story.SoFar, stopped: Callable[[], bool]
) -> None:
    """
    Wait for a whole cycle of the service after ``before``: read, decided, written, and our own writes read back.

    Writing is off until a plan is approved; here the demo approves the first one, and says so.
    """
    speech.say("Reading, reconciling and deciding")
    with speech.progress("first cycle"):
        _expect(
            wait_for(lambda: _planned_or_done(engine, before) or stopped(), PATIENCE_SECONDS, processes.keep_alive),
            engine,
        )
    if stopped():
        return
    with engine.begin() as connection:
        waiting = views.planned(connection, 0)
        # It waits until all is read, and comes by itself some minutes later; nobody should have to wait for that here.
        jobs.enqueue(connection, "learn")
        if waiting["objects"]:
            counts = ", ".join(f"{each['records']:,} {each['object']}" for each in waiting["objects"])
            speech.say(f"The plan waits for approval ({counts}); the demo approves it for you")
            outbox.approve(connection, by="the demo")
            jobs.enqueue(connection, "apply")
            speech.say("Writing back to the practice org")
    with speech.progress("write back"):
        _expect(wait_for(lambda: _quiet_now(engine) or stopped(), PATIENCE_SECONDS, processes.keep_alive), engine)


def _planned_or_done(engine: Engine, before: story.SoFar) -> bool:
    with engine.connect() as connection:
        every = views.rows(
            connection,
            """
            SELECT (SELECT count(*) FROM cursor) > 0 AND NOT EXISTS (SELECT 1 FROM cursor WHERE first_loaded_at IS NULL)
                AND NOT EXISTS (SELECT 1 FROM due) AND NOT EXISTS (
                    SELECT 1 FROM job WHERE state IN ('ready', 'leased') AND run_at < now() + interval '5 seconds')
                AND EXISTS (SELECT 1 FROM run WHERE flow = 'plan' AND state = 'done')
                AND NOT EXISTS (SELECT 1 FROM cursor c WHERE NOT EXISTS (
                    SELECT 1 FROM run WHERE id > :before AND state = 'done'
                        AND lane = 'pull:' || split_part(c.stream, '.', 1))) AS done
            """,
            before=before.run,
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
