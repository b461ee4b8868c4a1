"""
The practice Salesforce org: its schema, its records, its users, its settings, put together.

Built once a server; the REST, Bulk and control routes work on it. Holds what its parts share and nothing more.
"""

import asyncio
import re
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any, ParamSpec, TypeVar
from zoneinfo import ZoneInfo

from worker.practice.clock import Clock
from worker.practice.identity import USERNAME
from worker.practice.salesforce.access import Access
from worker.practice.salesforce.auth import Sessions
from worker.practice.salesforce.bin import RecycleBin
from worker.practice.salesforce.bulk import JOB_PREFIX, BulkJobs
from worker.practice.salesforce.bulk1 import Bulk1Jobs
from worker.practice.salesforce.database import Database
from worker.practice.salesforce.definitions import Definitions
from worker.practice.salesforce.deploy import Deployment
from worker.practice.salesforce.derive import Facts
from worker.practice.salesforce.ground import Ground
from worker.practice.salesforce.history import History
from worker.practice.salesforce.ids import DIGITS, INSTANCE, IdMaker
from worker.practice.salesforce.ingest import IngestJobs
from worker.practice.salesforce.lag import ReadLag
from worker.practice.salesforce.late import LateCommits
from worker.practice.salesforce.limits import ApiUsage, InFlight
from worker.practice.salesforce.loading import Loading
from worker.practice.salesforce.package import install_package
from worker.practice.salesforce.query import CURSOR_PREFIX, Queries
from worker.practice.salesforce.records import Records
from worker.practice.salesforce.rows import insert
from worker.practice.salesforce.rules import Rules
from worker.practice.salesforce.schema import Field, Schema, SObject
from worker.practice.salesforce.seed import ADMIN, POWERS, PROFILES, seed_records
from worker.practice.salesforce.settings import Settings
from worker.practice.salesforce.snapshots import Snapshots
from worker.practice.salesforce.soql.asker import Asker
from worker.practice.salesforce.soql.datewords import Calendar
from worker.practice.salesforce.standard import standard_objects
from worker.practice.salesforce.tooling import show_definitions

RECORDS_FILE = "salesforce.sqlite"
THREADS = 16  # each keeps a reading connection; enough for clients that read in parallel
P = ParamSpec("P")
T = TypeVar("T")


class Org(Ground):
    """
    One org, its files in ``data``. ``public_key`` (PEM) checks JWT logins; ``package`` is a source folder whose custom
    fields the org has. Orgs of different ``number`` have different organisation ids.
    """

    def __init__(
        self, clock: Clock, data: Path, *, public_key: bytes, package: Path | None = None, number: int = 1
    ) -> None:
        self.clock = clock
        self.number = number
        self.package = package
        self.schema = self.first_schema()
        self.database = Database(data / RECORDS_FILE)
        self.database.ensure_schema(self.schema)
        self.snapshots = Snapshots(self)
        self.settings = Settings()
        self.rules = Rules()
        self.ids = IdMaker(self._last_ids())
        self.access = Access(self)
        self.definitions = Definitions(self)
        self.history = History(self)
        self.bin = RecycleBin(self)
        self.records = Records(self)
        self.loading = Loading(self)
        self.database.lag = ReadLag(clock, lambda: self.settings.read_lag_seconds, self.database.open_reader)
        self.late = LateCommits(self)
        self.schema_changed_at = self.clock.now()
        self._numbers: dict[tuple[str, str], int] = {}
        self._threads = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="practice-salesforce")
        self.admin_id = ""
        self.definitions.load()
        self._seed()
        show_definitions(self)
        self.deployments: dict[str, Deployment] = {}
        self.hide_records([])
        self.admin_id = self.user_id(ADMIN) or ""
        self.organization_id: str = self._one('SELECT Id FROM "Organization"')
        self.sessions = Sessions(self, public_key)
        self.usage = ApiUsage(self.clock)
        self.in_flight = InFlight()
        self.queries = Queries(self)
        self.bulk = BulkJobs(self, data / "bulk")
        self.ingest = IngestJobs(self)
        self.bulk1 = Bulk1Jobs(self, data / "bulk1")
        self.snapshots.resume()

    def close(self) -> None:
        """
        Stop what runs and close the files.
        """
        self.bulk.close()
        self.ingest.close()
        self.bulk1.close()
        self._threads.shutdown(wait=True, cancel_futures=True)
        self.snapshots.remember()
        self.database.close()

    def reset(self) -> None:
        """
        Make the org as it was when it was new: records, schema, settings, rules, jobs, allowance. Sessions stay open.
        """
        with self.database.lock:
            self.forget_work()
            self.database.drop_tables()
            self.schema = self.first_schema()
            self.database.ensure_schema(self.schema)
            self.settings = Settings()
            self.rules = Rules()
            self.ids = IdMaker(self._last_ids())
            self._numbers.clear()
            self.late.load()
            self.definitions.load()
            self._seed()
            show_definitions(self)
            self.deployments.clear()
            self.organization_id = self._one('SELECT Id FROM "Organization"')
            self.usage.reset()
            self.schema_changed_at = self.clock.now()

    def forget_work(self) -> None:
        """
        Drop Bulk jobs and open cursors.
        """
        self.bulk.forget()
        self.ingest.forget()
        self.bulk1.forget()
        self.queries.drop_cursors()

    def reread(self) -> None:
        """
        Take up again what is kept of the tables outside them, after the tables were replaced.
        """
        self.schema = self.first_schema()
        self.database.ensure_schema(self.schema)
        self.definitions.load()
        self.access.watch()
        self.late.load()
        self.hide_records([])
        self.admin_id = self.user_id(ADMIN) or ""
        self.organization_id = self._one('SELECT Id FROM "Organization"')

    def last_ids(self) -> dict[str, int]:
        """
        The highest number handed out so far per key prefix, as far as the tables tell.
        """
        return self._last_ids()

    def dump_numbers(self) -> list[tuple[str, str, int]]:
        """
        Where the automatic numbers stand: (object, field, number).
        """
        return sorted((sobject, name, number) for (sobject, name), number in self._numbers.items())

    def load_numbers(self, given: Sequence[Sequence[Any]]) -> None:
        """
        What ``dump_numbers`` gave.
        """
        self._numbers = {(str(sobject), str(name)): int(number) for sobject, name, number in given}

    def settle(self) -> None:
        """
        Do what time has brought about since the last request: late commits, and the bin's purge.
        """
        self.late.settle()
        self.bin.purge_overdue()

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

    def first_schema(self) -> Schema:
        """
        The schema the org begins with: standard objects, and what the source folder brings.
        """
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
        self.late.guard()
        self.note_schema_change()

    def note_schema_change(self) -> None:
        """
        Have describes answer as new to whoever asks whether they are. Two changes never share a second, because whoever
        described between them asks by the second.
        """
        self.schema_changed_at = max(self.clock.now(), self.schema_changed_at + timedelta(seconds=1))

    def have_person_accounts(self) -> None:
        """
        Switch person accounts on, with a record type for them.
        """
        if self.definitions.features.person_accounts:
            return
        self.definitions.features.person_accounts = True
        self.definitions.keep()
        row = {
            "Name": "Person Account",
            "DeveloperName": "PersonAccount",
            "SobjectType": "Account",
            "IsPersonType": True,
        }
        self.loading.create(self.schema["RecordType"], [row])

    def have_currencies(self, corporate: str, rates: Mapping[str, float]) -> None:
        """
        Switch several currencies on: the corporate one and those in ``rates``, units of each for one of the corporate.
        Records that were there before are in the corporate currency.
        """
        if self.definitions.features.currency not in {None, corporate}:
            raise ValueError(f"the corporate currency is {self.definitions.features.currency} already")
        self.definitions.features.currency = corporate
        self.definitions.keep()
        self.loading.create(
            self.schema["CurrencyType"],
            [
                {"IsoCode": code, "ConversionRate": rate, "DecimalPlaces": 2, "IsCorporate": code == corporate}
                for code, rate in {corporate: 1.0, **rates}.items()
            ],
        )
        with self.database.write() as connection:
            for sobject in self.schema:
                for name in ("CurrencyIsoCode", "DefaultCurrencyIsoCode"):
                    if sobject.get(name):
                        connection.execute(
                            f'UPDATE "{sobject.name}" SET "{name}" = ? WHERE "{name}" IS NULL', (corporate,)
                        )

    def become(self, organization_id: str) -> None:
        """
        Take another organisation id, as a refreshed sandbox does. Tokens of the old one end.
        """
        with self.database.write() as connection:
            connection.execute('UPDATE "Organization" SET Id = ?', (organization_id,))
        self.organization_id = organization_id
        self.sessions.expire()

    def user_id(self, username: str) -> str | None:
        """
        The id of the active user of that name.
        """
        row = self.database.reader.execute(
            'SELECT Id FROM "User" WHERE Username = ? AND IsActive = 1', (username,)
        ).fetchone()
        return None if row is None else str(row[0])

    def is_active(self, user_id: str) -> bool:
        """
        Whether the user has not been switched off.
        """
        row = self.database.reader.execute('SELECT IsActive FROM "User" WHERE Id = ?', (user_id,)).fetchone()
        return bool(row and row[0])

    def asker(self, user_id: str, *, tooling: bool = False) -> Asker:
        """
        A user who queries, by the Tooling API or another: what the user may see, and today in the user's time zone.
        """
        row = self.database.reader.execute('SELECT TimeZoneSidKey FROM "User" WHERE Id = ?', (user_id,)).fetchone()
        calendar = Calendar(self.clock.now(), ZoneInfo(row[0] if row and row[0] else "UTC"))
        features = self.definitions.features
        currency = self.default_currency(user_id)
        return Asker(
            user_id,
            self.schema_for(user_id),
            calendar,
            currency=currency,
            corporate=features.currency,
            dated=features.dated_rates,
            tooling=tooling,
            all_rows_allowed=self.settings.all_rows,
        )

    def default_currency(self, user_id: str) -> str | None:
        """
        The currency of a user in an org with several, else None.
        """
        corporate = self.definitions.features.currency
        if corporate is None:
            return None
        row = self.database.reader.execute(
            'SELECT DefaultCurrencyIsoCode FROM "User" WHERE Id = ?', (user_id,)
        ).fetchone()
        return row[0] if row and row[0] else corporate

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
        self.access.watch()
        if self.database.writer.execute('SELECT COUNT(*) FROM "Organization"').fetchone()[0]:
            if not self.database.writer.execute('SELECT COUNT(*) FROM "PermissionSet"').fetchone()[0]:
                self._permit_older_users()
            return
        now = self.records.now()
        with self.database.write():
            for name, rows in seed_records(USERNAME, self.number, now).items():
                self.loading.create(self.schema[name], rows)
            # The first user made the org, and so itself.
            admin = self._one('SELECT Id FROM "User" WHERE Username = ?', ADMIN)
            for sobject in self.schema:
                if sobject.get("LastModifiedById"):
                    self.database.writer.execute(f'UPDATE "{sobject.name}" SET LastModifiedById = ?', (admin,))
                if sobject.get("CreatedById"):
                    self.database.writer.execute(f'UPDATE "{sobject.name}" SET CreatedById = ?', (admin,))
            profiles = dict(self.database.writer.execute('SELECT Name, Id FROM "Profile"').fetchall())
            for username, profile in PROFILES.items():
                self.database.writer.execute(
                    'UPDATE "User" SET ProfileId = ? WHERE Username = ?', (profiles[profile], username)
                )
                self._seed_permissions(username, profile, profiles[profile])

    def _permit_older_users(self) -> None:
        """
        Give the users of a folder from before there were permissions what they could do then.
        """
        profiles = dict(self.database.writer.execute('SELECT Name, Id FROM "Profile"').fetchall())
        for username, profile in PROFILES.items():
            if profile in profiles:
                self._seed_permissions(username, profile, profiles[profile])

    def _seed_permissions(self, username: str, profile: str, profile_id: str) -> None:
        """
        The permission set every profile owns, and its assignment to the user.
        """
        powers = {f"Permissions{power}": True for power in ("ApiEnabled", *POWERS[profile])}
        label = {"Name": f"X{profile_id}", "Label": profile, "ProfileId": profile_id, "IsOwnedByProfile": True}
        made = self.loading.create(self.schema["PermissionSet"], [{**label, "IsCustom": False, **powers}])
        user = self._one('SELECT Id FROM "User" WHERE Username = ?', username)
        self.loading.create(self.schema["PermissionSetAssignment"], [{"PermissionSetId": made[0], "AssigneeId": user}])

    def schema_for(self, user_id: str) -> Schema:
        """
        The schema as a user sees it: without the fields and records that are kept from the user.
        """
        return self.access.schema_of(user_id)

    def _one(self, statement: str, *parameters: object) -> str:
        return str(self.database.writer.execute(statement, parameters).fetchone()[0])

    def _last_ids(self) -> dict[str, int]:
        """
        The highest number handed out so far per key prefix, deleted records included.
        """
        # Jobs and cursors are not kept, and yet a new process must never give one an id that an old process gave.
        last = dict.fromkeys((JOB_PREFIX, CURSOR_PREFIX), int(time.time()))
        for sobject in self.schema:
            if sobject.name == "Organization":
                # Its id is the org's number, and no more are made.
                continue
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
