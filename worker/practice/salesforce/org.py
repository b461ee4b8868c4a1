"""
The practice Salesforce org: its schema, its records, its users, its settings, put together.

Built once a server; the REST, Bulk and control routes work on it. Holds what its parts share and nothing more.
"""

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar
from zoneinfo import ZoneInfo

from worker.practice.salesforce.auth import Sessions
from worker.practice.salesforce.bin import RecycleBin
from worker.practice.salesforce.bulk import JOB_PREFIX, BulkJobs
from worker.practice.salesforce.database import Database
from worker.practice.salesforce.derive import Facts
from worker.practice.salesforce.history import History
from worker.practice.salesforce.ids import DIGITS, INSTANCE, IdMaker
from worker.practice.salesforce.ingest import IngestJobs
from worker.practice.salesforce.late import LateCommits
from worker.practice.salesforce.limits import DAILY_REQUESTS, ApiUsage
from worker.practice.salesforce.loading import Loading
from worker.practice.salesforce.package import install_package
from worker.practice.salesforce.query import CURSOR_PREFIX, Queries
from worker.practice.salesforce.records import Records, insert
from worker.practice.salesforce.rules import Rules
from worker.practice.salesforce.schema import Field, Schema, SObject
from worker.practice.salesforce.seed import ADMIN, seed_records
from worker.practice.salesforce.soql.datewords import Calendar
from worker.practice.salesforce.standard import standard_objects
from worker.practice.state import USERNAME

if TYPE_CHECKING:
    from worker.practice.state import PracticeState


THREADS = 16  # each keeps a reading connection; enough for clients that read in parallel
P = ParamSpec("P")
T = TypeVar("T")


@dataclass
class Settings:
    """
    Switches of the org, set by the control API. Each stands for something real orgs differ in or that is assumed.

    ``session_seconds`` is how long a token lives by the practice clock; ``bulk_seconds`` how long a Bulk job takes at
    least; ``bulk_page_rows`` how many rows a results page has when the client names no number; ``cursors`` how many
    open query cursors a user has before the oldest is dropped; ``hold_bulk_jobs`` leaves new jobs in UploadComplete;
    ``small_pages`` gives pages smaller than asked for, as orgs do with wide rows.
    """

    session_seconds: int = 7200
    bulk_seconds: float = 0.2
    bulk_page_rows: int = 100_000
    hold_bulk_jobs: bool = False
    cursors: int = 10
    cursor_seconds: int = 2 * 86_400
    audit_fields_settable: bool = True
    edit_converted_leads: bool = False
    small_pages: bool = False


class Org:
    """
    One org. ``public_key`` (PEM) checks JWT logins; ``package`` is a source folder whose custom fields the org has.
    """

    def __init__(self, state: "PracticeState", *, public_key: bytes, package: Path | None = None) -> None:
        self.state = state
        self.clock = state.clock
        self.package = package
        self.schema = self._first_schema()
        self.database = Database(state.data / "salesforce.sqlite")
        self.database.ensure_schema(self.schema)
        self.settings = Settings()
        self.rules = Rules()
        self.ids = IdMaker(self._last_ids())
        self.history = History(self)
        self.bin = RecycleBin(self)
        self.records = Records(self)
        self.loading = Loading(self)
        self.late = LateCommits()
        self.schema_changed_at = self.clock.now()
        self._numbers: dict[tuple[str, str], int] = {}
        self._threads = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="practice-salesforce")
        self.admin_id = ""
        self._seed()
        self.hide_records([])
        self.admin_id = self.user_id(ADMIN) or ""
        self.organization_id: str = self._one('SELECT Id FROM "Organization"')
        self.sessions = Sessions(self, public_key)
        self.usage = ApiUsage(self.clock)
        self.queries = Queries(self)
        self.bulk = BulkJobs(self, state.data / "bulk")
        self.ingest = IngestJobs(self)

    def close(self) -> None:
        """
        Stop what runs and close the files.
        """
        self.bulk.close()
        self.ingest.close()
        self._threads.shutdown(wait=True, cancel_futures=True)
        self.database.close()

    def reset(self) -> None:
        """
        Make the org as it was when it was new: records, schema, settings, rules, jobs, allowance. Sessions stay open.
        """
        with self.database.lock:
            self.bulk.forget()
            self.ingest.forget()
            self.queries.drop_cursors()
            self.database.drop_tables()
            self.schema = self._first_schema()
            self.database.ensure_schema(self.schema)
            self.settings = Settings()
            self.rules = Rules()
            self.late = LateCommits()
            self.ids = IdMaker(self._last_ids())
            self._numbers.clear()
            self._seed()
            self.usage.set(used=0, allowed=DAILY_REQUESTS)
            self.schema_changed_at = self.clock.now()

    def hide_records(self, ids: Sequence[str], *, hidden: bool = True) -> int:
        """
        Keep records from the calling user, as a change of sharing does, or show them again; how many are kept now.
        """
        with self.database.write() as connection:
            statement = "INSERT OR IGNORE INTO _hidden VALUES (?)" if hidden else "DELETE FROM _hidden WHERE id = ?"
            connection.executemany(statement, [(each,) for each in ids])
            count = int(connection.execute("SELECT COUNT(*) FROM _hidden").fetchone()[0])
        self.schema.rows_hidden = count > 0
        return count

    def _first_schema(self) -> Schema:
        schema = Schema(standard_objects())
        if self.package is not None:
            install_package(schema, self.package)
        return schema

    async def in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """
        Run ``work`` in one of the org's threads.
        """
        return await asyncio.get_running_loop().run_in_executor(self._threads, lambda: work(*args, **kwargs))

    def change_schema(self) -> None:
        """
        Give the tables what the schema has gained.
        """
        self.database.ensure_schema(self.schema)
        self.schema_changed_at = self.clock.now()

    def user_id(self, username: str) -> str | None:
        """
        The id of the active user of that name.
        """
        row = self.database.reader.execute(
            'SELECT Id FROM "User" WHERE Username = ? AND IsActive = 1', (username,)
        ).fetchone()
        return None if row is None else str(row[0])

    def calendar(self, user_id: str) -> Calendar:
        """
        Today and the time zone as a user sees them.
        """
        row = self.database.reader.execute('SELECT TimeZoneSidKey FROM "User" WHERE Id = ?', (user_id,)).fetchone()
        return Calendar(self.clock.now(), ZoneInfo(row[0] if row and row[0] else "UTC"))

    def facts(self) -> Facts:
        """
        What computing a record's fields needs to know. Reads through the writing connection.
        """
        writer = self.database.writer
        columns = ("MasterLabel", "IsClosed", "IsWon", "ForecastCategory", "ForecastCategoryName", "DefaultProbability")
        stages = {
            str(row[0]).lower(): dict(zip(columns, row, strict=True))
            for row in writer.execute(f'SELECT {", ".join(columns)} FROM "OpportunityStage"')
        }
        start = writer.execute('SELECT FiscalYearStartMonth FROM "Organization"').fetchone()
        return Facts(stages, int(start[0] or 1) if start else 1, self._responded, self._account_of)

    def next_number(self, sobject: SObject, field: Field) -> str:
        """
        The next value of an auto-number field, in its display format.
        """
        key = (sobject.name, field.name)
        if key not in self._numbers:
            self._numbers[key] = int(
                self.database.writer.execute(f'SELECT COUNT(*) FROM "{sobject.name}"').fetchone()[0]
            )
        self._numbers[key] += 1
        number = self._numbers[key]
        return re.sub(r"\{(0+)\}", lambda match: str(number).zfill(len(match[1])), field.auto_number or "{0}")

    def add_member_statuses(self, campaign_id: str, user_id: str, now: str) -> None:
        """
        The two member statuses every new campaign starts with.
        """
        sobject = self.schema["CampaignMemberStatus"]
        for place, (label, default, responded) in enumerate((("Sent", 1, 0), ("Responded", 0, 1)), start=1):
            row = {
                "Id": self.ids.take(sobject.prefix)[0],
                "IsDeleted": 0,
                "CampaignId": campaign_id,
                "Label": label,
                "SortOrder": place,
                "IsDefault": default,
                "HasResponded": responded,
                "CreatedById": user_id,
                "CreatedDate": now,
                "LastModifiedById": user_id,
                "LastModifiedDate": now,
                "SystemModstamp": now,
            }
            insert(self.database.writer, sobject, row)

    def _responded(self, campaign_id: str, status: str | None) -> bool:
        row = self.database.writer.execute(
            'SELECT HasResponded FROM "CampaignMemberStatus" WHERE CampaignId = ? AND Label = ? AND IsDeleted = 0',
            (campaign_id, status),
        ).fetchone()
        return bool(row[0]) if row else (status or "").lower() == "responded"

    def _account_of(self, who: str | None, what: str | None) -> str | None:
        writer = self.database.writer
        for record_id in (what, who):
            match (record_id or "")[:3]:
                case "001":
                    return record_id
                case "006":
                    row = writer.execute('SELECT AccountId FROM "Opportunity" WHERE Id = ?', (record_id,)).fetchone()
                case "003":
                    row = writer.execute('SELECT AccountId FROM "Contact" WHERE Id = ?', (record_id,)).fetchone()
                case _:
                    row = None
            if row and row[0]:
                return str(row[0])
        return None

    def _seed(self) -> None:
        if self.database.writer.execute('SELECT COUNT(*) FROM "Organization"').fetchone()[0]:
            return
        now = self.records.now()
        with self.database.write():
            for name, rows in seed_records(USERNAME, now).items():
                self.loading.create(self.schema[name], rows)
            # The first user made the org, and so itself.
            admin = self._one('SELECT Id FROM "User" WHERE Username = ?', ADMIN)
            for sobject in self.schema:
                if sobject.get("LastModifiedById"):
                    self.database.writer.execute(f'UPDATE "{sobject.name}" SET LastModifiedById = ?', (admin,))
                if sobject.get("CreatedById"):
                    self.database.writer.execute(f'UPDATE "{sobject.name}" SET CreatedById = ?', (admin,))
            profiles = dict(self.database.writer.execute('SELECT Name, Id FROM "Profile"').fetchall())
            for username, profile in ((ADMIN, "System Administrator"), (USERNAME, "Integration")):
                self.database.writer.execute(
                    'UPDATE "User" SET ProfileId = ? WHERE Username = ?', (profiles[profile], username)
                )

    def _one(self, statement: str, *parameters: object) -> str:
        return str(self.database.writer.execute(statement, parameters).fetchone()[0])

    def _last_ids(self) -> dict[str, int]:
        """
        The highest number handed out so far per key prefix, deleted records included.
        """
        # Jobs and cursors are not kept, and yet a new process must never give one an id that an old process gave.
        last = dict.fromkeys((JOB_PREFIX, CURSOR_PREFIX), int(time.time()))
        for sobject in self.schema:
            low, high = f"{sobject.prefix}{INSTANCE}", f"{sobject.prefix}{INSTANCE}~"
            for table, column in ((sobject.name, "Id"), ("_deletions", "id")):
                row = self.database.writer.execute(
                    f'SELECT MAX("{column}") FROM "{table}" WHERE "{column}" >= ? AND "{column}" < ?', (low, high)
                ).fetchone()
                if row and row[0]:
                    number = 0
                    for digit in row[0][6:15]:
                        number = number * 62 + DIGITS.index(digit)
                    last[sobject.prefix] = max(last.get(sobject.prefix, 0), number)
        return last
