"""
Tells what this run of the demo did, and how its company stands, read back from where sales would look: the practice
org's own API.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import requests
from sqlalchemy import Connection, Engine

from worker.cli.money import money
from worker.practice.company import STORY
from worker.practice.server import Endpoints
from worker.store import scopes, views

MODEL = "w"


@dataclass(frozen=True)
class SoFar:
    """
    The newest run and the newest written field before this run of the demo; 0 where there are none.
    """

    run: int
    written: int


def so_far(engine: Engine) -> SoFar:
    """
    Where the store stands now, for telling later what came after.
    """
    with engine.connect() as connection:
        (newest,) = views.rows(
            connection,
            """
            SELECT (SELECT coalesce(max(id), 0) FROM run) AS run, (SELECT coalesce(max(id), 0) FROM written) AS written
            """,
        )
    return SoFar(**newest)


def tell(engine: Engine, endpoints: Endpoints, page: str, before: SoFar, *, kept: bool) -> dict[str, Any]:
    """
    Counts as they stand; what was read and written after ``before``; the account that became engaged, the deal whose
    credit is split, and where to look on. ``kept`` says that the company is that of an earlier run.
    """
    with engine.connect() as connection:
        status = views.status(connection)
        account = _one(connection, "account", STORY.account)
        deal = _one(connection, "opportunity", STORY.deal)
        written = views.rows(
            connection,
            """
            SELECT object, count(DISTINCT record_id) AS records, count(*) AS fields FROM written
            WHERE result = 'done' AND id > :before GROUP BY 1 ORDER BY 1
            """,
            before=before.written,
        )
        (read,) = views.rows(
            connection,
            """
            SELECT coalesce(sum((tally->>'records changed')::bigint), 0)::bigint AS changed FROM run
            WHERE id > :before AND flow = 'pull'
            """,
            before=before.run,
        )
    return {
        "kept": kept,
        "records_changed": read["changed"],
        "counts": status["counts"],
        "written": written,
        "account": {"name": STORY.account, "salesforce": _from_org(endpoints, "Account", account)},
        "deal": {
            "name": STORY.deal,
            "amount": deal.get("amount"),
            "currency": deal.get("currency") or STORY.currency,
            "credits": deal.get("credits", []),
            "salesforce": _from_org(endpoints, "Opportunity", deal),
        },
        "page": page,
        "practice": endpoints.http_url,
    }


def _one(connection: Connection, kind: str, name: str) -> dict[str, Any]:
    found = [each for each in scopes.find(connection, name) if each["kind"] == kind]
    return views.why(connection, kind, found[0]["id"]) if found else {}


def _from_org(endpoints: Endpoints, object_name: str, record: dict[str, Any]) -> dict[str, Any]:
    """
    Our fields of one record as the practice org's API gives them.
    """
    record_ids = [each["record_id"] for each in record.get("records", []) if each["stream"].startswith("salesforce.")]
    if not record_ids:
        return {}
    answer = requests.post(
        f"{endpoints.http_url}/services/oauth2/token",
        data={
            "grant_type": "client_credentials",
            "client_id": endpoints.environment()["SALESFORCE_CLIENT_ID"],
            "client_secret": "practice-secret",
        },
        timeout=30,
    )
    row = requests.get(
        f"{endpoints.http_url}/services/data/v64.0/sobjects/{object_name}/{record_ids[0]}",
        headers={"Authorization": f"Bearer {answer.json()['access_token']}"},
        timeout=30,
    ).json()
    return {name: value for name, value in row.items() if name.startswith("HW_") and value not in (None, "")}


def lines(told: dict[str, Any], seconds: float) -> Iterator[str]:
    """
    The story as people read it.
    """
    counts = told["counts"]
    yield ""
    stands = (
        f"{counts['people']:,} people, {counts['accounts']:,} accounts and {counts['opportunities']:,} deals "
        f"reconciled from Salesforce and Marketo; {counts['touchpoints']:,} touches; {counts['engaged']:,} accounts "
        "engaged."
    )
    if told["kept"]:
        changed = told["records_changed"]
        news = f"{changed:,} records read were new or changed" if changed else "nothing had changed"
        yield f"This start took {seconds:.0f} s: {news} since the last time. As it stands: {stands}"
    else:
        yield f"The first cycle took {seconds:.0f} s: {stands}"
    yield "Written back: " + (
        ", ".join(f"{each['records']:,} {each['object']} ({each['fields']:,} fields)" for each in told["written"])
        or "nothing."
    )
    account = told["account"]
    yield ""
    yield f"{account['name']}, as sales sees it in Salesforce:"
    yield from _fields(account["salesforce"])
    deal = told["deal"]
    yield ""
    yield f"{deal['name']}, {money(deal['amount'], deal['currency'])}, as sales sees it in Salesforce:"
    yield from _fields(deal["salesforce"])
    yield from _split(deal)
    yield ""
    headwater = _command()
    yield "Where to look:"
    yield f"  {headwater} why '{account['name']}'        every act and its points, every field and its source"
    yield f"  {headwater} why '{deal['name']}'   every model's shares"
    yield f"  {headwater} report sources           won deals by the channel that opened them"
    yield f"  {headwater} status                   how everything stands; as a page: {told['page']}"


def _fields(values: dict[str, Any]) -> Iterator[str]:
    for name, value in sorted(values.items()):
        yield f"  {name:<24} {str(value).lower() if isinstance(value, bool) else value}"


def _split(deal: dict[str, Any]) -> Iterator[str]:
    credits = [each for each in deal["credits"] if each["clock"] == "revenue" and MODEL in each["models"]]
    if credits:
        yield "  credit by the W model:"
    for each in credits:
        share = each["models"][MODEL]
        what = f"{each['occurred_at'][:10]} {each['label']}" if each["item"] == "touch" else each["item"]
        amount = "" if share["units"] is None else f"{share['units'] / 100:>12,.2f}"
        yield f"    {float(Fraction(share['share']) * 100):5.1f} % {amount}  {what}  {each['positions']}".rstrip()


def _command() -> str:
    beside = Path(".venv/bin/headwater")
    return str(beside) if beside.exists() else "headwater"
