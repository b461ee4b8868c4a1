"""
jsforce over http and over https with the practice authority: what its driver saw, held against the org.
"""

import json
from pathlib import Path
from typing import Any

from tests.clients.install import node_client
from tests.clients.program import run_driver
from tests.clients.report import Check, Report, same
from tests.clients.stage import COMPANY, LEADS, PASSWORD, TROUBLE, USERNAME, WINDOW, Stage

DRIVER = Path(__file__).resolve().parent / "drivers" / "jsforce.js"


def run(report: Report, stage: Stage) -> None:
    """
    All of it over http and https; logins and reads through the CONNECT port at Salesforce's own host names.
    """
    folder = node_client("jsforce")
    version = json.loads((folder / "node_modules" / "jsforce" / "package.json").read_text())["version"]
    org = stage.org
    for way, url, own_url in (
        ("http", org.url, org.url),
        ("https", org.https_url, org.https_url),
        ("proxy", "https://login.salesforce.com", "https://acme.my.salesforce.com"),
    ):
        mark = f"js{way}"
        task = {
            "url": url,
            "own_url": own_url,
            "proxy": org.proxy_url if way == "proxy" else "",
            "only_reads": way == "proxy",
            "client_id": "headwater",
            "client_secret": "practice-secret",
            "username": USERNAME,
            "password": PASSWORD,
            "private_key_file": org.private_key_file,
            "mark": mark,
            "company": COMPANY,
            "accounts": stage.accounts[:5],
            "window": WINDOW,
        }
        env = {} if way == "http" else {"NODE_EXTRA_CA_CERTS": org.ca_file}
        answers = run_driver(["node", str(DRIVER)], cwd=folder, env=env, task=task)
        wanted = {**_logins(), **_reads()} if way == "proxy" else checks(mark)
        report.compare(f"jsforce {version} {way}", answers, wanted, stage)


def checks(mark: str) -> dict[str, Check]:
    """
    What each capability of the driver has to have seen, in its order.
    """
    return {**_logins(), **_reads(), **_writes(mark), **_bulk(mark), **_administration(mark)}


def _logged_in(stage: Stage, saw: Any) -> str:
    same((saw["user"], saw["organization"]), _identity(stage))
    same(saw["total"], LEADS)
    return f"as {saw['user']}, counted {saw['total']} leads"


def _identity(stage: Stage) -> tuple[str, str]:
    user = stage.client.values(f"SELECT Id FROM User WHERE Username = '{USERNAME}'")[0]
    return user, stage.client.values("SELECT Id FROM Organization")[0]


def _refused(code: str, words: str = "") -> Check:
    def check(_: Stage, saw: Any) -> str:
        same((saw["refused"], saw["code"], words in saw["words"]), (True, code, True))
        return f"refused: {code}: {' '.join(saw['words'].split())[:90]}"

    return check


def _refreshed(_: Stage, saw: Any) -> str:
    same((saw["refreshes"], saw["total"]), (1, LEADS))
    return "refreshed once, query repeated"


def _logins() -> dict[str, Check]:
    return {
        "login: SOAP": _logged_in,
        "login: SOAP, wrong password": _refused("Error", "INVALID_LOGIN"),
        "login: username and password, OAuth 2": _logged_in,
        "login: JWT bearer": _logged_in,
        "login: client credentials": _logged_in,
        "login: wrong secret": _refused("invalid_client"),
        "login: refresh token after a dead session": _refreshed,
        "logout: OAuth 2": _refused("INVALID_SESSION_ID"),
        "logout: SOAP": _refused("INVALID_SESSION_ID"),
    }


def _all_leads(stage: Stage, saw: Any) -> str:
    same(sorted(saw["found"]), stage.names)
    sizes = f" in pages of {saw['sizes']}" if "sizes" in saw else ""
    return f"{len(saw['found'])} leads{sizes}"


def _deleted_lead(stage: Stage, saw: Any) -> str:
    held = stage.rows(f"SELECT LastName FROM Lead WHERE IsDeleted = true AND Company = '{COMPANY}'", everything=True)
    same(saw["found"], [row["LastName"] for row in held])
    return f"{saw['found']}"


def _identified(stage: Stage, saw: Any) -> str:
    same((saw["user"], saw["organization"], saw["username"]), (*_identity(stage), USERNAME))
    return f"{saw['username']}"


def _family(_: Stage, saw: Any) -> str:
    people = [[f"Contact {n:02}" for n in range(place, 40, 10)] if place < 10 else [] for place in range(12)]
    same([(name, sorted(children)) for name, _, children in saw], [(f"Account {n:02}", people[n]) for n in range(12)])
    return f"{len(saw)} accounts, {sum(len(each[2]) for each in saw)} contacts below them"


def _found(_: Stage, saw: Any) -> str:
    same(saw, [[f"Contact {n:02}", f"Account {n:02}"] for n in range(5)])
    return f"{len(saw)} contacts with their accounts"


def _text(_: Stage, saw: Any) -> str:
    same(saw["text"], TROUBLE)
    return "quotes, line ends and accents unharmed"


def _searched(_: Stage, saw: Any) -> str:
    same(saw["found"], [f"Contact {n:02}" for n in range(40)])
    return f"{len(saw['found'])} contacts by a word of their name"


def _described(stage: Stage, saw: Any) -> str:
    held = stage.client.call("GET", "sobjects/Lead/describe").json()
    same((saw["name"], saw["prefix"]), ("Lead", "00Q"))
    same(saw["fields"], sorted(field["name"] for field in held["fields"]))
    return f"{len(saw['fields'])} fields"


def _objects(stage: Stage, saw: Any) -> str:
    same(saw["objects"], sorted(each["name"] for each in stage.client.call("GET", "sobjects").json()["sobjects"]))
    return f"{len(saw['objects'])} objects"


def _limits(stage: Stage, saw: Any) -> str:
    most = stage.client.call("GET", "limits").json()["DailyApiRequests"]["Max"]
    same((saw["most"], saw["info"]), (most, most))
    return f"{most} calls a day, in body and header"


def _replicated(stage: Stage, saw: Any) -> str:
    same(saw["updated"], sorted(stage.accounts))
    same(saw["deleted"], [stage.deleted_lead])
    return f"{len(saw['updated'])} accounts updated, {len(saw['deleted'])} lead deleted"


def _resources(stage: Stage, saw: Any) -> str:
    same(saw["newest"], stage.client.call("GET", "/services/data").json()[-1]["version"])
    same(saw["query"], "/services/data/v60.0/query")
    return f"newest version {saw['newest']}"


def _counted(_: Stage, saw: Any) -> str:
    same(saw["total"], LEADS)
    return f"{saw['total']} leads"


def _reads() -> dict[str, Check]:
    return {
        "identity": _identified,
        "query, queryMore": _all_leads,
        "query, autoFetch": _all_leads,
        "query, as a stream of records": _all_leads,
        "queryAll with deleted rows": _deleted_lead,
        "query: parents and children": _family,
        "query: troublesome text": _text,
        "sobject.find with conditions": _found,
        "sobject.count": _counted,
        "query: unknown field": _refused("INVALID_FIELD", "No such column 'Nonsense__c' on entity 'Lead'"),
        "search (SOSL)": _searched,
        "describe": _described,
        "describeGlobal": _objects,
        "limits and limitInfo": _limits,
        "updated and deleted": _replicated,
        "versions and resources": _resources,
    }


def _one_row(mark: str) -> Check:
    def check(stage: Stage, saw: Any) -> str:
        held = stage.rows(f"SELECT Name, Rating FROM Account WHERE Id = '{saw['id']}'")
        same(held, [{"Name": f"{mark} einß", "Rating": "Hot"}])
        same((saw["name"], saw["rating"], saw["changed"], saw["destroyed"]), (f"{mark} einß", "Hot", True, True))
        same(stage.count(f"Account WHERE Id = '{saw['gone']}'"), 0)
        same(saw["after"]["code"], "ENTITY_IS_DELETED")
        return "made, changed, read back; the other gone: ENTITY_IS_DELETED"

    return check


def _many_rows(mark: str) -> Check:
    def check(stage: Stage, saw: Any) -> str:
        same(saw, {"made": 250, "changed": 10, "destroyed": 10})
        same(stage.count(f"Contact WHERE LastName LIKE '{mark} m___'"), 240)
        same(stage.count(f"Contact WHERE LastName LIKE '{mark} m___' AND Title = 'CFO'"), 10)
        return "250 made, 10 changed, 10 destroyed; the org has 240"

    return check


def _rows(expected: list[list[Any]], condition: str, held: int) -> Check:
    def check(stage: Stage, saw: Any) -> str:
        same(saw, expected)
        same(stage.count(condition), held)
        return f"{expected}, {held} kept"

    return check


def _several(_: Stage, saw: Any) -> str:
    same(saw, [f"Account {n:02}" for n in range(5)])
    return f"{len(saw)} accounts"


def _upserted(mark: str) -> Check:
    def check(stage: Stage, saw: Any) -> str:
        same(saw, {"created": True, "again": False, "many": [[True, False], [True, True]]})
        held = stage.rows(
            f"SELECT Email, LastName, Title FROM Contact WHERE Email LIKE '{mark}@%.example' ORDER BY Email"
        )
        same(
            [tuple(row.values()) for row in held if row["Email"].split("@")[1] in {"one.example", "two.example"}],
            [(f"{mark}@one.example", f"{mark} upsert", "CEO"), (f"{mark}@two.example", f"{mark} two", None)],
        )
        return "created, then updated; the org has 2"

    return check


def _composed(mark: str) -> Check:
    def check(stage: Stage, saw: Any) -> str:
        same(saw, [201, 201])
        held = stage.rows(f"SELECT Account.Name FROM Contact WHERE LastName = '{mark} composite'")
        same([row["Account"]["Name"] for row in held], [f"{mark} composite"])
        return "account and contact made in one call, the one below the other"

    return check


def _writes(mark: str) -> dict[str, Check]:
    return {
        "create, retrieve, update, destroy one row": _one_row(mark),
        "create, update, destroy many rows (collections)": _many_rows(mark),
        "collections: one bad row among good ones": _rows(
            [[True, []], [False, ["STRING_TOO_LONG"]]], f"Contact WHERE LastName = '{mark} good'", 1
        ),
        "collections: all or none": _rows(
            [[False, ["ALL_OR_NONE_OPERATION_ROLLED_BACK"]], [False, ["STRING_TOO_LONG"]]],
            f"Contact WHERE LastName = '{mark} none'",
            0,
        ),
        "retrieve many rows": _several,
        "upsert by external id, one and many": _upserted(mark),
        "composite request with a reference": _composed(mark),
    }


def _loaded(mark: str, wave: str, seen: dict[str, Any], held: int, company: str) -> Check:
    def check(stage: Stage, saw: Any) -> str:
        same(saw, seen)
        rows = stage.rows(f"SELECT Company, Title FROM Lead WHERE LastName LIKE '{mark} {wave} ___'")
        same((len(rows), {row["Company"] for row in rows}), (held, {company}))
        same(sum(row["Title"] == "CFO" for row in rows), seen["changed"])
        same(stage.count(f"Contact WHERE LastName = '{mark} {wave} upsert'"), 1)
        return f"{seen['made']} made, {seen['changed']} changed, {seen['gone']} gone; the org has {held}"

    return check


def _bad_row(mark: str) -> Check:
    return _rows([[True, []], [False, ["REQUIRED_FIELD_MISSING"]]], f"Lead WHERE LastName = '{mark} b1 fine'", 1)


def _bad_job(mark: str) -> Check:
    def check(stage: Stage, saw: Any) -> str:
        same(saw, {"good": 1, "bad": ["REQUIRED_FIELD_MISSING"], "state": "Aborted"})
        same(stage.count(f"Lead WHERE LastName = '{mark} b2 fine'"), 1)
        same(stage.count(f"Lead WHERE LastName = '{mark} never'"), 0)
        return "one row refused, one taken; the aborted job wrote nothing"

    return check


def _bulk(mark: str) -> dict[str, Check]:
    first = {"made": 120, "changed": 20, "upserted": 1, "gone": 20}
    second = {"made": 300, "changed": 30, "created": ["true", "false"], "gone": 50}
    return {
        "bulk 1.0: query": _all_leads,
        "bulk 1.0: insert, update, upsert, delete": _loaded(mark, "b1", first, 100, 'Bulk, "one"'),
        "bulk 1.0: a bad row": _bad_row(mark),
        "bulk 2.0: query": _all_leads,
        "bulk 2.0: queryAll": _deleted_lead,
        "bulk 2.0: insert, update, upsert, delete": _loaded(mark, "b2", second, 250, 'Bulk, "two"\nlines'),
        "bulk 2.0: bad rows and an aborted job": _bad_job(mark),
    }


def _administration(mark: str) -> dict[str, Check]:
    def field(stage: Stage, saw: Any) -> str:
        same(saw, {"made": True, "type": "Number", "precision": "5", "gone": True})
        same(_has_field(stage, f"{mark}_Score__c"), False)
        return "made, read as Number(5), deleted"

    def tooling(_: Stage, saw: Any) -> str:
        same(isinstance(saw["total"], int), True)
        return f"{saw['total']} custom fields"

    def described(_: Stage, saw: Any) -> str:
        same("CustomObject" in saw["names"], True)
        return f"{len(saw['names'])} kinds of metadata"

    return {
        "tooling: query": tooling,
        "metadata: create, read and delete a custom field": field,
        "metadata: describe": described,
    }


def _has_field(stage: Stage, name: str) -> bool:
    fields = stage.client.call("GET", "sobjects/Lead/describe").json()["fields"]
    return any(each["name"] == name for each in fields)
