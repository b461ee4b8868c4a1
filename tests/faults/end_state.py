"""
What a run leaves behind, in a form that two runs can be compared in: the store's tables, what was written, and the
organisation's own fields as its API shows them.

Numbers that depend on the order of events are left out or replaced by what they stand for: a golden record is named by
its source records. So are the moments at which things were saved; days and everything decided stay.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Self

import requests
from sqlalchemy import Engine, text

from tests.practice_org import PracticeOrg
from worker.practice.identity import CLIENT_ID, CLIENT_SECRET
from worker.store.tables import SOURCE, metadata

State = dict[str, Counter[str]]

# What depends on when and in which order things happened, and not on what was found.
_LEFT_OUT: Final[dict[str, set[str]]] = {
    "person": {"id", "updated_at", "account_id"},
    "account": {"id", "updated_at"},
    "opportunity": {"id", "updated_at", "account_id"},
    "engagement": {"account_id", "decided_at", "saved_at", "since_at", "alerted_at"},
    "attribution": {"opportunity_id", "decided_at"},
    "credit": {"opportunity_id"},
    "crosswalk": {"golden_id", "since_at"},
    "touchpoint": {"seen_at"},
    "identity_key": set(),
    "written": {"id", "plan_id", "run_id", "at"},
    "quarantine": {"id", "first_seen_at", "last_seen_at", "attempts"},
    # The stamp of a record that we wrote is the moment at which we did.
    **{f"source_{shape}": {"stamp_at", "seen_at"} for shape in SOURCE},
    # These come into being with our own writing, in the order of the calls; their keys tell them apart.
    "source_touch_record": {"stamp_at", "seen_at", "record_id"},
    # These came into being with the organisation, which each scene has anew.
    **{f"source_{shape}": {"stamp_at", "created_at"} for shape in ("stage", "user", "business_hours", "organization")},
}
# The records a row belongs to, in the place of golden numbers.
_NAMED: Final[dict[str, dict[str, str]]] = {
    "person": {"of": "person:id", "account": "account:account_id"},
    "account": {"of": "account:id"},
    "opportunity": {"of": "opportunity:id", "account": "account:account_id"},
    "engagement": {"of": "account:account_id", "since_on": "(t.since_at AT TIME ZONE 'UTC')::date"},
    "attribution": {"of": "opportunity:opportunity_id"},
    "credit": {"of": "opportunity:opportunity_id"},
    "crosswalk": {"of": "crosswalk"},
}
_OBJECTS: Final = ("Account", "Contact", "Lead", "Opportunity", "HW_Touch__c")
# The external id of the records that we make; all others are named by their id.
KEY: Final = "HW_Key__c"
_VERSION: Final = "v60.0"


def end_state(engine: Engine, org: PracticeOrg) -> State:
    """
    Table name -> its rows as text, with how often each is there; ``org.Lead`` and the like are the organisation's.
    """
    state = {name: _rows(engine, name) for name in _LEFT_OUT}
    with Organisation(org) as organisation:
        for name in _OBJECTS:
            state[f"org.{name}"] = Counter(organisation.our_fields(name))
    return state


def differences(expected: State, found: State, most: int = 6) -> list[str]:
    """
    What two states disagree in, the first few rows of each table.
    """
    lines = []
    for name in sorted(expected.keys() | found.keys()):
        missing, extra = expected[name] - found[name], found[name] - expected[name]
        if missing or extra:
            lines.append(f"{name}: {missing.total()} rows are missing, {extra.total()} are too many")
            lines += [f"  missing {row[:600]}" for row in sorted(missing)[:most]]
            lines += [f"  extra   {row[:600]}" for row in sorted(extra)[:most]]
    return lines


def _rows(engine: Engine, name: str) -> Counter[str]:
    kept = [column.name for column in metadata.tables[name].columns if column.name not in _LEFT_OUT[name]]
    cells = [f"'{column}', t.{column}" for column in kept]
    for label, what in _NAMED.get(name, {}).items():
        cells.append(f"'{label}', {_named(what)}")
    statement = f"""
        WITH standing AS MATERIALIZED (
            SELECT kind, golden_id, string_agg(stream || ':' || record_id, ' ' ORDER BY stream, record_id) AS records
            FROM crosswalk GROUP BY 1, 2)
        SELECT jsonb_build_object({", ".join(cells)})::text FROM {name} t
        """
    with engine.connect() as connection:
        rows = connection.execute(text(statement.replace(":", "\\:"))).scalars()
        return Counter(_timeless(name, row) for row in rows)


def _timeless(name: str, row: str) -> str:
    """
    A row without a golden number in its detail, and without what holds only for the second at which it was decided.
    """
    if name == "engagement":
        fields = json.loads(row)
        for act in fields["detail"]["acts"]:
            del act["person_id"]
        return json.dumps(fields, sort_keys=True)
    if name == "credit":
        fields = json.loads(row)
        # An open deal's touches decay up to the present second.
        fields["models"].pop("time_decay", None)
        return json.dumps(fields, sort_keys=True)
    return row


def _named(what: str) -> str:
    if what == "crosswalk":
        return "(SELECT records FROM standing s WHERE s.kind = t.kind AND s.golden_id = t.golden_id)"
    if what.startswith("("):
        return what
    kind, _, column = what.partition(":")
    return f"(SELECT records FROM standing s WHERE s.kind = '{kind}' AND s.golden_id = t.{column})"


class Organisation:
    """
    The practice organisation as any client of its API sees it.
    """

    def __init__(self, org: PracticeOrg) -> None:
        self._base = org.url
        self._session = requests.Session()
        self._session.trust_env = False

    def __enter__(self) -> Self:
        form = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
        answer = self._session.post(f"{self._base}/services/oauth2/token", data=form, timeout=30)
        self._session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def our_fields(self, object_name: str) -> Iterator[str]:
        """
        Each record's id, unless it has a key of ours, and the fields of ours that it holds, as text.
        """
        for record in self.records(object_name):
            told = {name: value for name, value in record.items() if value is not None}
            yield json.dumps({name: value for name, value in told.items() if name != "Id" or KEY not in told})

    def records(self, object_name: str, where: str = "") -> list[dict[str, Any]]:
        """
        The records of an object with its HW_ fields.
        """
        path = f"/services/data/{_VERSION}/sobjects/{object_name}/describe"
        fields = [each["name"] for each in self._get(path)["fields"] if each["name"].startswith("HW_")]
        soql = f"SELECT Id, {', '.join(sorted(fields))} FROM {object_name} {where} ORDER BY Id"
        answer = self._get(f"/services/data/{_VERSION}/query", q=soql)
        records = list(answer["records"])
        while not answer["done"]:
            answer = self._get(answer["nextRecordsUrl"])
            records += answer["records"]
        return [{name: value for name, value in record.items() if name != "attributes"} for record in records]

    def _get(self, path: str, **query: str) -> dict[str, Any]:
        answer = self._session.get(f"{self._base}{path}", params=query, timeout=60)
        assert answer.status_code == 200, answer.text[:2000]
        body: dict[str, Any] = answer.json()
        return body


def doubled_effects(journal: Sequence[Mapping[str, Any]]) -> list[str]:
    """
    Every write that told a record what it held already: (object, record, field) with the value sent twice.

    The journal's writes are replayed in order over fields that are empty at first (an empty checkbox is false). A call
    that was cut off is in it all the same, with the status it had got: what was done counts, not what was heard.
    """
    held: dict[tuple[str, str, str], Any] = {}
    doubled = []
    for entry in journal:
        if entry["method"] != "PATCH" or "/jobs/" in entry["path"] or not (entry["status"] or 0) < 300:
            continue
        for record in json.loads(entry["body"])["records"]:
            for name, value in record.items():
                if name in {"attributes", "id", KEY}:
                    continue
                key = (record["attributes"]["type"], record.get("id") or record[KEY], name)
                before = held.get(key, False if isinstance(value, bool) else None)
                if before == value:
                    doubled.append(f"call {entry['seq']}: {' '.join(key)} was told {value!r} again")
                held[key] = value
    return doubled


def records_sent(journal: Sequence[Mapping[str, Any]]) -> int:
    """
    How many records all writes of the journal carried.
    """
    writes = (entry for entry in journal if entry["method"] == "PATCH")
    return sum(len(json.loads(entry["body"])["records"]) for entry in writes)
