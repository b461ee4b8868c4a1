"""
The small world of one history: a practice org on a frozen clock, the real connector, the real flows, a real store.

Everything costs little, so that hundreds of histories fit into a test run: one org, one database, one login; ``begin``
makes all of it as new. Time passes only by ``pass_time``.
"""

import itertools
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import requests
from sqlalchemy import Connection, text

from config.rulefiles import load_rules
from tests.practice_org import REPOSITORY, PracticeOrg
from worker.connectors.http import HttpOptions
from worker.connectors.salesforce.client import Credentials, SalesforceClient
from worker.connectors.salesforce.streams import OVERLAP, ReadLimits, SalesforceSource
from worker.flows.drain import drain, start_cycle, start_sweep
from worker.flows.run import Service
from worker.store import cursors, tables, views
from worker.store.session import connect
from worker.wiring import rules_of

HEARINGS = 10
READING = ("pull", "sweep", "reread")
# What the rules want besides: a field that comes into being, one that is hidden and shown, one that is computed.
EXTRA = {"Lead": ["Fit__c", "Salutation"], "Account": ["Tier__c"], "Contact": ["Salutation", "Firm__c"]}
# Worked out from another record: when that changes, no stamp of the contact moves.
FORMULA = {"name": "Firm__c", "type": "Text", "formula": 'Account.Name & " " & TEXT(Account.Industry)'}


class World:
    """
    One org, one store, and the service between them. ``streams`` and ``limits`` are set anew by each history.
    ``folder`` keeps the org as every history finds it.
    """

    def __init__(self, org: PracticeOrg, database_url: str, folder: Path) -> None:
        self.org = org
        self._new_org = folder / "new-org.sqlite"
        # A login without a signature: sessions end in most histories, and a key costs more to load than a cycle.
        credentials = Credentials(org.url, "headwater", client_secret="practice-secret")
        options = HttpOptions(attempts=3, pause_seconds=0.001)
        self.client = SalesforceClient(credentials, options=options)
        self.client.session.headers["Sforce-Query-Options"] = "batchSize=200"
        self.engine = connect(database_url)
        # A fifth of all statements would ask whether the server is still there, which nobody here restarts.
        self.engine.pool._pre_ping = False
        files = load_rules(REPOSITORY / "config" / "rules")
        self._service = Service(
            engine=self.engine,
            rules=rules_of(files, 0),
            sources={},
            sinks={},
            owner="a history",
            api_floor_percent=Decimal(0),
        )
        self.source: SalesforceSource
        self._descriptions: dict[str, Any] = {}
        self._set_clock(frozen=True)
        self.control("salesforce/reset")
        self.control("salesforce/fields", object="Contact", fields=[FORMULA])
        self.control("salesforce/settings", bulk_seconds=0)
        self.control("salesforce/limits", used=0, allowed=10_000_000)
        self.control("salesforce/snapshot", file=str(self._new_org))

    def close(self) -> None:
        """
        Give back connections.
        """
        self.engine.dispose()
        self.client.session.close()

    def begin(
        self,
        streams: Sequence[str],
        limits: ReadLimits,
        *,
        overlap: timedelta = OVERLAP,
        described_before: timedelta = timedelta(0),
        second: int = 0,
    ) -> None:
        """
        A new org with nobody in it and an empty store, at the next time that is ``second`` seconds past an hour: a
        history is the same again only if the same minutes pass in it. What earlier ones have learned of the objects
        was read ``described_before``.
        """
        self.org.control("DELETE", "faults")
        now = self.now
        now += timedelta(seconds=1 + (second - 1 - int(now.timestamp())) % 3_600)
        self.control("salesforce/restore", file=str(self._new_org))
        self._set_clock(now=now.replace(microsecond=0).isoformat())
        self.source = SalesforceSource(self.client, streams=streams, limits=limits, extra_fields=EXTRA, overlap=overlap)
        self._service = replace(self._service, sources={"salesforce": self.source})
        with self.engine.begin() as connection:
            _empty(connection)
            if self._descriptions:
                read_at = (now - described_before).isoformat()
                objects = {
                    name: {**each, "described_at": read_at} for name, each in self._descriptions["objects"].items()
                }
                known = {**self._descriptions, "objects": objects, "deletions": {}, "unreadable": {}}
                cursors.save_source_state(connection, "salesforce", clock_offset_seconds=0, known=known)

    def remember_descriptions(self) -> None:
        """
        Begin later histories with the descriptions that this one has learned: they cost more than anything else.
        """
        learned = self.source.learned()
        objects = {**self._descriptions.get("objects", {}), **learned["objects"]}
        self._descriptions = {"org": learned["org"], "objects": objects, "appeared": {}}

    def control(self, path: str, **body: Any) -> Any:
        """
        One control call.
        """
        return self.org.control("POST", path, body)

    def pass_time(self, seconds: float) -> None:
        """
        Move the clock; the service hears of it before it next reads, as it would by any answer.
        """
        self._set_clock(advance_seconds=seconds)

    def hear(self) -> None:
        """
        Let the service learn what time it is. An answer that was long on its way does not tell it.
        """
        for _ in range(HEARINGS):
            if self._has_heard:
                return
            self.client.session.get(f"{self.org.url}/services/data")
            self._has_heard = abs(self.client.now() - self._time) < timedelta(seconds=10)
        assert self._has_heard, "the machine is too busy for the service to learn the time"

    def _set_clock(self, **body: Any) -> None:
        self._time = datetime.fromisoformat(self.control("clock", **body)["now"])
        self._has_heard = False

    @property
    def now(self) -> datetime:
        return datetime.fromisoformat(self.org.control("GET", "clock")["now"])

    def poll(self, *, pages: int | None = None, tries: int = 1) -> bool:
        """
        One cycle of reading, begun ``tries`` times where it fails; ``pages`` stops it after so many looks at the
        clock, as a worker that is told to stop. Whether it got through.
        """
        with self.engine.begin() as connection:
            start_cycle(connection, self._service)
        return self._work(pages, tries)

    def sweep(self, *, pages: int | None = None, tries: int = 1) -> bool:
        """
        The daily sweep, as ``poll``.
        """
        with self.engine.begin() as connection:
            start_sweep(connection, self._service)
        return self._work(pages, tries)

    def unproven(self) -> list[str]:
        """
        Streams whose last sweep proves nothing, and why.
        """
        return [
            f"{line['stream']}: {line}"
            for line in self.rows("SELECT stream, is_due, error, proof FROM sweep")
            if line["is_due"]
            or line["error"]
            or line["proof"]["left"]
            or line["proof"]["there"] != line["proof"]["here"]
        ]

    def troubles(self) -> list[dict[str, Any]]:
        """
        What the last runs failed of.
        """
        return self.rows("SELECT flow, error_code, error FROM run WHERE state = 'failed' ORDER BY id DESC LIMIT 5")

    def held_jobs(self) -> list[str]:
        """
        The Bulk jobs that the service waits for.
        """
        return [each["job"] for each in self.rows("SELECT place->>'job' AS job FROM cursor WHERE place ? 'job'")]

    def rows(self, statement: str, **values: object) -> list[dict[str, Any]]:
        """
        What the store holds.
        """
        with self.engine.connect() as connection:
            return views.rows(connection, statement, **values)

    def _work(self, pages: int | None, tries: int) -> bool:
        self.hear()
        looks = itertools.count()
        for _ in range(tries):
            given_up = self._given_up()
            # A job that failed or waits for another is due at once: nobody here waits by the machine's clock.
            with self.engine.begin() as connection:
                connection.execute(text("UPDATE job SET run_at = now() WHERE state = 'ready'"))
            drain(self._service, READING, wants_stop=lambda: pages is not None and next(looks) > pages)
            with self.engine.begin() as connection:
                left = connection.execute(
                    text("SELECT count(*) FROM job WHERE state = 'ready' AND flow = ANY(:flows)"),
                    {"flows": list(READING)},
                ).scalar_one()
            if not left:
                return self._given_up() == given_up
        return False

    def _given_up(self) -> int:
        # Jobs that failed for good, a refused login for one: nothing was read, and the next cycle begins anew.
        with self.engine.begin() as connection:
            found: int = connection.execute(text("SELECT count(*) FROM job WHERE state = 'failed'")).scalar_one()
        return found


class Auditor:
    """
    Another user of the same org with a plain client of his own: what he reads is the truth.
    """

    def __init__(self, org: PracticeOrg) -> None:
        self._org = org
        self._session = requests.Session()
        self._session.trust_env = False
        self._described: dict[str, dict[str, Any]] = {}

    def read(self, paths: Sequence[str]) -> list[dict[str, Any]]:
        """
        The answers of several reads; paths follow ``/services/data/v64.0/``.
        """
        answers: list[dict[str, Any]] = []
        for start in range(0, len(paths), 25):
            body = {
                "batchRequests": [
                    {"method": "GET", "url": f"/services/data/v64.0/{path}"} for path in paths[start : start + 25]
                ]
            }
            answer = self._call("POST", "/services/data/v64.0/composite/batch", json=body)
            assert not answer["hasErrors"], answer
            answers += [each["result"] for each in answer["results"]]
        return answers

    def descriptions(self, objects: Sequence[str], changed: Collection[str]) -> list[dict[str, Any]]:
        """
        The objects described; remembered as long as no field was changed.
        """
        unknown = [name for name in objects if changed or name not in self._described]
        found = dict(zip(unknown, self.read([f"sobjects/{name}/describe" for name in unknown]), strict=True))
        if not changed:
            self._described |= found
        return [found.get(name) or self._described[name] for name in objects]

    def rest(self, page: dict[str, Any]) -> list[dict[str, Any]]:
        """
        All records of a query, its first page given.
        """
        records = list(page["records"])
        while not page["done"]:
            page = self._call("GET", page["nextRecordsUrl"])
            records += page["records"]
        return records

    def _call(self, method: str, path: str, **options: Any) -> Any:
        url = f"{self._org.url}{path}"
        answer = self._session.request(method, url, timeout=120, **options)
        if answer.status_code == 401:
            form = {"grant_type": "client_credentials", "client_id": "headwater", "client_secret": "practice-secret"}
            token = self._session.post(f"{self._org.url}/services/oauth2/token", data=form, timeout=30).json()
            self._session.headers["Authorization"] = f"Bearer {token['access_token']}"
            answer = self._session.request(method, url, timeout=120, **options)
        assert answer.status_code < 300, f"{method} {path}: {answer.status_code} {answer.text[:500]}"
        return answer.json()


def _empty(connection: Connection) -> None:
    # Many small tables: a row by row delete of what a history left is quicker than to truncate each.
    names = [name for name in tables.metadata.tables if name not in {"rule_version", "setting"}]
    connection.exec_driver_sql("; ".join(f'DELETE FROM "{name}"' for name in reversed(names)))
