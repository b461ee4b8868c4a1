"""
The Singer tap-salesforce, which logs in at ``login.salesforce.com`` and nowhere else: through the CONNECT port.

It has no driver: its own program discovers and syncs, by REST and by Bulk 1.0, and what it wrote is held against the
org, record by record and field by field.
"""

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.clients.install import python_client, python_version
from tests.clients.program import ProgramError, run_program
from tests.clients.report import Report, same
from tests.clients.stage import LEADS, PASSWORD, USERNAME, Stage
from tests.clients.values import differing_field

START = "2015-01-01T00:00:00Z"
NAME = "tap-salesforce"
QUERY_TIMEOUT = json.dumps([{"errorCode": "QUERY_TIMEOUT", "message": "Your query request was running for too long."}])
FAILED_BATCH = (
    '<batchInfo xmlns="http://www.force.com/2009/06/asyncapi/dataload"><id>751000000000001</id>'
    "<jobId>750000000000001</jobId><state>Failed</state>"
    "<stateMessage>InvalidBatch : Failed to process query: QUERY_TIMEOUT: Your query request was running for too long."
    "</stateMessage></batchInfo>"
)
FIELDS_AT_ONCE = 40  # of a truth query, whose address must stay short


def run(report: Report, stage: Stage) -> None:
    """
    Both transports of the tap.
    """
    programs = python_client("singer", build=True)
    stage.org.control("POST", "salesforce/settings", {"bulk_seconds": 0})  # the tap looks again after 20 s only
    for api in ("REST", "BULK"):
        with tempfile.TemporaryDirectory(prefix="headwater-singer-") as folder:
            tap = Tap(programs, Path(folder), stage, api)
            _run_all(report, f"{NAME} {tap.version} {api}", tap)


def _run_all(report: Report, client: str, tap: "Tap") -> None:
    """
    One capability after the other; each stands on the one before.
    """
    steps: list[tuple[str, Callable[[], str]]] = [
        ("login: refresh token that rotates", tap.login_twice),
        ("discover", tap.discover),
        ("sync, from nothing", tap.sync_everything),
        ("sync, from the last state", tap.sync_changes),
    ]
    if tap.api == "REST":
        steps.append(("sync, windows after QUERY_TIMEOUT", tap.sync_in_windows))
    else:
        steps.append(("sync, PK chunking after QUERY_TIMEOUT", tap.sync_in_chunks))
    for place, (capability, step) in enumerate(steps):
        try:
            report.line(client, capability, "ok", step())
            continue
        except ProgramError as error:
            report.line(client, capability, "FAILED", str(error))
        except AssertionError as difference:
            report.line(client, capability, "DIFFERS", str(difference)[:300])
        for later, _ in steps[place + 1 :]:
            report.line(client, later, "FAILED", f"not tried, because it stands on: {capability}")
        return


@dataclass
class Synced:
    """
    What a sync wrote: records by stream, and the last state.
    """

    records: dict[str, list[dict[str, Any]]]
    state: dict[str, Any]


class Tap:
    """
    The tap with its files in ``folder``.
    """

    def __init__(self, programs: Path, folder: Path, stage: Stage, api: str) -> None:
        self.program = str(programs / NAME)
        self.folder = folder
        self.stage = stage
        self.api = api
        self.version = python_version(programs, "tap_salesforce")
        self.catalog: dict[str, Any] = {}
        self.state: dict[str, Any] = {}
        config = {
            "client_id": "headwater",
            "client_secret": "practice-secret",
            "refresh_token": _refresh_token(stage),
            "start_date": START,
            "api_type": api,
            "select_fields_by_default": True,
            "quota_percent_per_run": 50,
        }
        self._write("config", config)

    def login_twice(self) -> str:
        """
        Where the org gives a new refresh token with every login, the tap keeps it and logs in with it the next time.
        """
        file = self.folder / "config.json"
        tokens = [json.loads(file.read_text())["refresh_token"]]
        self.stage.org.control("POST", "salesforce/settings", {"rotate_refresh_tokens": True})
        try:
            for _ in range(2):
                self._run("--discover")
                tokens.append(json.loads(file.read_text())["refresh_token"])
        finally:
            self.stage.org.control("POST", "salesforce/settings", {"rotate_refresh_tokens": False})
        same(len(set(tokens)), 3)
        return "two logins, each with the token the last one gave"

    def discover(self) -> str:
        """
        The catalog has every object the org shows, and every field of each.
        """
        self.catalog = json.loads(self._run("--discover"))
        fields = {each["stream"]: set(each["schema"]["properties"]) for each in self.catalog["streams"]}
        objects = {each["name"] for each in self.stage.client.call("GET", "sobjects").json()["sobjects"]}
        assert {"Lead", "Account", "Contact", "Opportunity", "Task", "User"} <= fields.keys()
        # The tap's own list of objects that it leaves out; what it takes must be described in full.
        for name, seen in fields.items():
            held = self.stage.client.call("GET", f"sobjects/{name}/describe").json()["fields"]
            same(sorted(seen), sorted(field["name"] for field in held))
        left_out = sorted(objects - fields.keys())
        for each in self.catalog["streams"]:
            whole = next(entry for entry in each["metadata"] if not entry["breadcrumb"])["metadata"]
            whole["selected"] = True
            keys = whole.get("valid-replication-keys", [])
            whole |= {"replication-method": "INCREMENTAL", "replication-key": keys[0]} if keys else {}
        words = f"; the tap leaves out {', '.join(left_out)}" if left_out else ""
        return f"{len(fields)} streams, {sum(map(len, fields.values()))} fields{words}"

    def sync_everything(self) -> str:
        """
        All records of all streams, the binned lead with them.
        """
        synced = self._sync({})
        rows = 0
        for stream, records in synced.records.items():
            rows += self._compare(stream, records, "")
        leads = synced.records["Lead"]
        same(sum(record["IsDeleted"] for record in leads), 1)
        self.state = synced.state
        return f"{len(synced.records)} streams, {rows} records, every field as the org holds it; {len(leads)} leads"

    def sync_changes(self) -> str:
        """
        From the bookmarks on: one lead changed, one account made, one contact deleted.
        """
        org = self.stage.org
        org.advance(90)
        lead = self.stage.leads["Lead 0007"]
        org.control("POST", "salesforce/update", {"object": "Lead", "records": [{"Id": lead, "Title": "CFO"}]})
        account = org.create("Account", [{"Name": f"New {self.api}"}])[0]
        contact = self.stage.contacts.pop()
        org.control("POST", "salesforce/delete", {"object": "Contact", "ids": [contact]})
        synced = self._sync(self.state)
        for stream, records in synced.records.items():
            key = self._replication_key(stream)
            since = self.state["bookmarks"].get(stream, {}).get(key, START)
            self._compare(stream, records, f" WHERE {key} >= {since}" if key else "")
        seen = {stream: {record["Id"]: record for record in records} for stream, records in synced.records.items()}
        same(seen["Lead"][lead]["Title"], "CFO")
        same(seen["Account"][account]["Name"], f"New {self.api}")
        same(seen["Contact"][contact]["IsDeleted"], True)
        counts = ", ".join(f"{len(seen[name])} of {name}" for name in ("Lead", "Account", "Contact"))
        return f"{counts} came again; the three changes among them"

    def sync_in_windows(self) -> str:
        """
        QUERY_TIMEOUT on the first query of leads: the tap halves its window and still has them all.
        """
        action = {"status": 400, "body": QUERY_TIMEOUT, "content_type": "application/json;charset=UTF-8"}
        self.stage.org.fault(action, system="salesforce", path_contains="FROM+Lead", times=1)
        synced = self._sync({}, only="Lead")
        same(len({record["Id"] for record in synced.records["Lead"]}), LEADS + 1)
        asked = [each for each in self.stage.org.journal("salesforce") if "FROM+Lead" in each["query"]]
        statuses = [each["status"] for each in asked if "%3C" in each["query"] or each["status"] == 400]
        assert statuses[:2] == [400, 200], f"windows were asked with {statuses}"
        return f"{LEADS + 1} leads in two windows after QUERY_TIMEOUT"

    def sync_in_chunks(self) -> str:
        """
        QUERY_TIMEOUT as the state of the first batch of leads: the tap asks for PK chunking and still has them all.
        """
        action = {"status": 200, "body": FAILED_BATCH, "content_type": "application/xml"}
        self.stage.org.fault(action, system="salesforce", method="GET", path_contains="/batch/", times=1)
        before = self.stage.org.journal("salesforce")[-1]["seq"]
        synced = self._sync({}, only="Lead")
        same(len({record["Id"] for record in synced.records["Lead"]}), LEADS + 1)
        asked = [each["headers"] for each in self.stage.org.journal("salesforce", after=before)]
        headers = {each["sforce-enable-pkchunking"] for each in asked if "sforce-enable-pkchunking" in each}
        same(len(headers), 1)
        return f"{LEADS + 1} leads by Sforce-Enable-PKChunking: {headers.pop()}"

    def _replication_key(self, stream: str) -> str | None:
        entry = next(each for each in self.catalog["streams"] if each["stream"] == stream)
        whole = next(each["metadata"] for each in entry["metadata"] if not each["breadcrumb"])
        return whole.get("replication-key")

    def _compare(self, stream: str, records: list[dict[str, Any]], condition: str) -> int:
        """
        How many records, each as the org holds it: same ids, and each field of each the same value.
        """
        held: dict[str, dict[str, Any]] = {}
        names = sorted(records[0]) if records else ["Id"]
        for start in range(0, len(names), FIELDS_AT_ONCE):
            columns = ", ".join(dict.fromkeys(["Id", *names[start : start + FIELDS_AT_ONCE]]))
            for row in self.stage.rows(f"SELECT {columns} FROM {stream}{condition}", everything=True):
                held.setdefault(row["Id"], {}).update(row)
        seen = {record["Id"]: record for record in records}
        same(len(seen), len(records))
        same(sorted(seen), sorted(held))
        for record_id, record in seen.items():
            differing = differing_field(record, held[record_id])
            assert differing is None, f"{stream} {record_id} {differing}"
        return len(records)

    def _sync(self, state: Mapping[str, Any], only: str | None = None) -> Synced:
        streams = [each for each in self.catalog["streams"] if only in (None, each["stream"])]
        catalog = self._write("catalog", {"streams": streams})
        output = self._run("--properties", str(catalog), "--state", str(self._write("state", state)))
        synced = Synced({each["stream"]: [] for each in streams}, {})
        for line in output.splitlines():
            message = json.loads(line)
            if message["type"] == "RECORD":
                synced.records[message["stream"]].append(message["record"])
            elif message["type"] == "STATE":
                synced.state = message["value"]
        return synced

    def _run(self, *options: str) -> str:
        env = {"HTTPS_PROXY": self.stage.org.proxy_url, "REQUESTS_CA_BUNDLE": self.stage.org.ca_file}
        command = [self.program, "--config", str(self.folder / "config.json"), *options]
        return run_program(command, cwd=self.folder, env=env)

    def _write(self, name: str, content: Mapping[str, Any]) -> Path:
        file = self.folder / f"{name}.json"
        file.write_text(json.dumps(content))
        return file


def _refresh_token(stage: Stage) -> str:
    form = {
        "grant_type": "password", "client_id": "headwater", "client_secret": "practice-secret",
        "username": USERNAME, "password": PASSWORD,
    }  # fmt: skip
    token: str = stage.client.call("POST", "/services/oauth2/token", data=form).json()["refresh_token"]
    return token
