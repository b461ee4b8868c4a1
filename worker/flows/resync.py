"""
Reads again what an administrator asks for: a record, an account with everything on it, an object, or everything. Also
rereads records that an answer said are gone. Like a pull, it only brings records in; what they mean is decided after.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from worker.connectors.base import Source
from worker.core.records import RESOLVED
from worker.flows.pull import pull, save_page
from worker.flows.run import Run
from worker.store import cursors, dues, golden, presence, scopes


def resync(run: Run) -> None:
    """
    Do what the job's scope says: ``{"records": {stream: [ids]}}``, ``{"streams": [...], "source": ...}``.
    """
    scope: Mapping[str, Any] = run.job.scope
    if "streams" in scope:
        # Whoever asked has forgotten the cursors in the transaction that asked, so that coming again goes on.
        pull(run)
        if run.come_again is None:
            _decide_again(run, scope["source"], scope["streams"])
        return
    for stream, record_ids in scope["records"].items():
        _read(run, run.sources[stream.split(".")[0]], stream, record_ids)


def _decide_again(run: Run, source_name: str, names: Sequence[str]) -> None:
    """
    Unchanged records are decided and compared again too: that is what somebody who asks for a resync expects.
    """
    for stream in run.sources[source_name].streams:
        if stream.name in names:
            with run.transaction() as connection:
                scopes.stream_again(connection, stream.shape, stream.name)


def reread(run: Run) -> None:
    """
    Read again the records that are noted as gone or changed under our hands. They stay noted until they were read.
    """
    for source in run.sources.values():
        for stream in source.streams:
            while not run.wants_stop():
                with run.transaction() as connection:
                    record_ids = dues.peek(connection, "reread", stream.name, 2_000)
                if not record_ids:
                    break
                _read(run, source, stream.name, record_ids)
                with run.transaction() as connection:
                    dues.drop(connection, "reread", stream.name, record_ids)


def _read(run: Run, source: Source, stream_name: str, record_ids: Sequence[str]) -> None:
    stream = next(each for each in source.streams if each.name == stream_name)
    with run.transaction() as connection:
        known = cursors.source_state(connection, source.name)["known"]
    for page in source.read_records(stream_name, record_ids, known):
        with run.transaction() as connection:
            save_page(run, connection, stream, page)
            presence.hide(connection, stream.name, stream.shape, page.unseen)
    with run.transaction() as connection:
        if stream.shape in RESOLVED:
            dues.note(connection, "resolve", stream.shape, [f"{stream_name}:{each}" for each in record_ids])
        if stream.shape in golden.GOLDEN_KINDS:
            dues.note(connection, "plan", stream.shape, [f"{stream_name}:{each}" for each in record_ids])
