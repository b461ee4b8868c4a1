"""
dlt with its Salesforce source: a first load into DuckDB, then one of what changed.

dlt's own way to the source is ``dlt init``, which fetches it from a repository. The same source is carried, as dlt
published it, by the package ingestr up to 0.14; it is installed without the rest of what ingestr asks for. The source
knows one way in, SOAP login at ``DOMAIN.salesforce.com``, so it comes through the CONNECT port.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.clients.install import python_client, python_version
from tests.clients.program import run_driver
from tests.clients.report import Check, Report, same
from tests.clients.stage import PASSWORD, USERNAME, Stage
from tests.clients.values import differing_field

DRIVER = Path(__file__).resolve().parent / "drivers" / "dlt_source.py"
RESOURCES = {
    "account": "Account", "contact": "Contact", "lead": "Lead", "opportunity": "Opportunity", "campaign": "Campaign",
    "campaign_member": "CampaignMember", "opportunity_contact_role": "OpportunityContactRole", "task": "Task",
    "event": "Event", "user": "User", "user_role": "UserRole",
}  # fmt: skip


def run(report: Report, stage: Stage) -> None:
    """
    Both loads, into one database.
    """
    programs = python_client("dlt", loose="dlt-source")
    stage.org.control("POST", "salesforce/settings", {"bulk_seconds": 0})  # simple-salesforce looks again after 5 s
    client = f"dlt {python_version(programs, 'dlt')}, its source"
    with tempfile.TemporaryDirectory(prefix="headwater-dlt-") as folder:
        _load(report, client, stage, Path(folder), programs, "load, from nothing", everything_as_held)
        stage.org.advance(90)
        account = {"Id": stage.accounts[3], "Rating": "Hot"}
        stage.org.control("POST", "salesforce/update", {"object": "Account", "records": [account]})
        stage.org.create("Task", [{"Subject": "Later"}])
        _load(report, client, stage, Path(folder), programs, "load, what changed", everything_as_held)


def _load(
    report: Report, client: str, stage: Stage, folder: Path, programs: Path, capability: str, check: Check
) -> None:
    task = {
        "capability": capability,
        "folder": str(folder),
        "username": USERNAME,
        "password": PASSWORD,
        "domain": "login",
        "resources": list(RESOURCES),
        "fields": sorted({name for sobject in RESOURCES.values() for name in _fields(stage, sobject)}),
    }
    env = {
        "HTTPS_PROXY": stage.org.proxy_url,
        "REQUESTS_CA_BUNDLE": stage.org.ca_file,
        "DLT_DATA_DIR": str(folder / "dlt"),
        "HOME": str(folder),
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "RUNTIME__LOG_LEVEL": "WARNING",
    }
    answers = run_driver([str(programs / "python"), str(DRIVER)], cwd=folder, env=env, task=task)
    if "driver" in answers:
        answers = {capability: answers["driver"]}
    report.compare(client, answers, {capability: check}, stage)


def everything_as_held(stage: Stage, saw: Mapping[str, Any]) -> str:
    """
    Each table has the org's records, those in the bin too (the source asks queryAll), and each of its columns the org's
    values; columns that are not there have none to hold.
    """
    rows = 0
    for resource, sobject in RESOURCES.items():
        fields = _fields(stage, sobject)
        held = {row["Id"]: row for row in stage.rows(f"SELECT {', '.join(fields)} FROM {sobject}", everything=True)}
        seen = {row["id"]: row for row in saw["tables"][resource]}
        same(len(seen), len(saw["tables"][resource]))
        same(sorted(seen), sorted(held))
        for record_id, row in seen.items():
            shown = {name: row.get(saw["spelling"][name]) for name in fields}
            differing = differing_field(shown, held[record_id])
            assert differing is None, f"{sobject} {record_id} {differing}"
        rows += len(seen)
    return f"{len(RESOURCES)} tables, {rows} rows, every field as the org holds it"


def _fields(stage: Stage, sobject: str) -> list[str]:
    """
    The fields the source asks for: all but those that are made of others, a person's name excepted.
    """
    described = stage.client.call("GET", f"sobjects/{sobject}/describe").json()["fields"]
    compounds = {field["compoundFieldName"] for field in described} - {"Name"}
    return [field["name"] for field in described if field["name"] not in compounds]
