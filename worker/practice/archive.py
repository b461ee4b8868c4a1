"""
A practice server's state in one file: the clock, the Salesforce org, the Marketo, as they are at one moment.

The file is a zip of SQLite files. Put back, the orgs are what they were, to the byte; ``salesforce/snapshots.py`` says
what an org's state is. Marketo's tokens, counted calls and ordered errors are not kept. Called by the control API and
by ``serve --state``.
"""

import contextlib
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from worker.practice.state import PracticeState

SALESFORCE, MARKETO = "salesforce.sqlite", "marketo.sqlite"


def save(state: "PracticeState", file: Path) -> int:
    """
    Write the state into ``file``, over what was there; how many bytes. Raises ``ValueError`` where there is no folder.
    """
    if not file.parent.is_dir():
        raise ValueError(f"there is no folder {file.parent}")
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=".snapshot-") as name:
        folder = Path(name)
        if state.salesforce is not None:
            state.salesforce.snapshots.save(folder / SALESFORCE)
        if state.marketo is not None:
            state.marketo.save(folder / MARKETO)
        whole = folder / "whole"
        with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for member in (SALESFORCE, MARKETO):
                if (folder / member).exists():
                    archive.write(folder / member, member)
        # Complete before it takes the old one's place, so that a crash leaves one or the other.
        whole.replace(file)
    return file.stat().st_size


def restore(state: "PracticeState", file: Path) -> None:
    """
    Make the orgs what they were when ``file`` was saved. Raises ``ValueError`` for a file that is no such state.
    """
    if not file.is_file():
        raise ValueError(f"there is no snapshot {file}")
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headwater-practice-")))
        try:
            archive = stack.enter_context(zipfile.ZipFile(file))
            members = set(archive.namelist())
            if not members or members - {SALESFORCE, MARKETO}:
                raise ValueError(f"{file} is no snapshot of a practice server; it holds {sorted(members)}")
            for member in members:
                archive.extract(member, folder)
        except (zipfile.BadZipFile, OSError) as error:
            raise ValueError(f"{file} is no snapshot: {error}") from error
        if state.salesforce is not None and SALESFORCE in members:
            state.salesforce.snapshots.restore(folder / SALESFORCE)
        if state.marketo is not None and MARKETO in members:
            state.marketo.restore(folder / MARKETO)
