"""
Touch records in quantity: the first fill and a rule that moves all credit wait for a person in a plan of their own, and
many of them are made, changed and deleted by jobs.
"""

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.flows.test_bulk_writing import work_without_pauses
from tests.flows.test_touch_records import won
from tests.flows.world import World
from tests.practice_org import PracticeOrg
from tests.service import PACKAGE, Running, fresh_database, practice_org, running
from worker.cli.plan import decide_and_show
from worker.flows.drain import follow_up
from worker.store import outbox

pytestmark = pytest.mark.slow

TOUCH = "HW_Touch__c"
DEALS, OTHERS = 30, 200
INGEST = "/jobs/ingest"


@pytest.fixture(scope="module")
def org() -> Iterator[PracticeOrg]:
    """
    Thirty open deals with two touches each, one that was won long ago, and two hundred that nobody touched.
    """
    with practice_org() as started:
        yield started


@pytest.fixture(scope="module")
def database_url(server_url: str) -> Iterator[str]:
    with fresh_database(server_url) as made:
        yield made


@contextmanager
def by_rules(
    org: PracticeOrg, database_url: str, valkey_url: str, folder: Path, **changes: tuple[str, str]
) -> Iterator[Running]:
    """
    A service by the shipped rules with a text of ``FILE.yaml`` replaced, as after a restart.
    """
    rules = folder / "rules"
    shutil.rmtree(rules, ignore_errors=True)
    shutil.copytree(PACKAGE.parent / "rules", rules)
    for name, (old, new) in changes.items():
        text = (rules / f"{name}.yaml").read_text()
        assert old in text
        (rules / f"{name}.yaml").write_text(text.replace(old, new))
    with running(org, database_url, valkey_url, rules) as service:
        yield service


def filled(service: Running) -> None:
    world = World(service, "acme")
    account = world.account()
    campaign = world.campaign("Webinar")
    people = world.running.org.create(
        "Contact",
        [{"LastName": f"P{n}", "Email": f"p{n}@acme.example", "AccountId": account} for n in range(DEALS)],
    )
    deals = world.running.org.create(
        "Opportunity",
        [
            {
                "Name": f"Deal {n}",
                "AccountId": account,
                "StageName": "Prospecting",
                "Amount": 1_000 + n,
                "CloseDate": world.ago(-60)[:10],
                "CreatedDate": world.ago(30),
            }
            for n in range(DEALS)
        ],
    )
    roles = [
        {"OpportunityId": deal, "ContactId": person, "Role": "User"} for deal, person in zip(deals, people, strict=True)
    ]
    world.running.org.create("OpportunityContactRole", roles)
    for days in (40, 35):
        world.running.org.create(
            "CampaignMember",
            [
                {
                    "CampaignId": campaign if days == 40 else world.campaign("Conference"),
                    "ContactId": person,
                    "Status": "Responded",
                    "HasResponded": True,
                    "FirstRespondedDate": world.ago(days)[:10],
                    "CreatedDate": world.ago(days),
                }
                for person in people
            ],
        )
    won(World(service, "longago"), 760)
    world.running.org.create(
        "Opportunity",
        [{"Name": f"Other {n}", "StageName": "Prospecting", "CloseDate": "2026-12-31"} for n in range(OTHERS)],
    )


def touch_writes(service: Running, mark: int) -> Counter[str]:
    """
    The calls that wrote touch records: jobs by what they do, collections by their method.
    """
    found: Counter[str] = Counter()
    for call in service.calls(mark):
        if call["method"] == "POST" and call["path"].endswith(INGEST) and TOUCH in call["body"]:
            found[json.loads(call["body"])["operation"]] += 1
        elif "composite/sobjects" in call["path"] and (TOUCH in call["path"] or call["method"] == "DELETE"):
            found[call["method"]] += 1
    return found


def approved(service: Running) -> None:
    """
    Approve what waits and send it.
    """
    with service.service.engine.begin() as connection:
        outbox.approve(connection, by="a test")
        follow_up(connection, service.service)
    work_without_pauses(service)


def records(service: Running) -> list[dict[str, Any]]:
    return service.colleague.query(f"SELECT Id, HW_Key__c, HW_Pipeline_Share__c, HW_Opportunity__c FROM {TOUCH}")


def plans(service: Running) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = service.status()["writes"]["plans"]
    return found


BY_JOBS = ("bulk_above_records: 2000", "bulk_above_records: 20")
FEWER = ("most_a_deal: 10", "most_a_deal: 1")
OFF = ("touch_records: {enabled: true", "touch_records: {enabled: false")


def test_touch_records_from_the_first_fill_to_the_last_deletion(
    org: PracticeOrg, database_url: str, valkey_url: str, tmp_path: Path
) -> None:
    with by_rules(org, database_url, valkey_url, tmp_path, fields=OFF) as service:
        filled(service)
        service.settle()
        assert records(service) == []

    # An installation that has been writing for long is switched over.
    with by_rules(org, database_url, valkey_url, tmp_path, service=BY_JOBS) as service:
        mark = service.mark()
        service.cycle()
        assert touch_writes(service, mark) == {}
        (held,) = plans(service)
        assert held["why_held"] == "30 Opportunity (by HW_Touch__c) records would be made or changed for the first time"
        planned = decide_and_show(service.service, examples=0)
        assert [each["object"] for each in planned["objects"]] == [TOUCH]
        assert (planned["creates"], planned["updates"], planned["deletes"]) == (2 * DEALS, 0, 0)
        assert planned["storage_kb"] == 2 * 2 * DEALS, "the deal that was won 760 days ago has none"
        # While it waits, everything else goes out.
        (account,) = service.colleague.query("SELECT Id FROM Account WHERE Name = 'Acme'")
        late = World(service, "late")
        person = late.contact(account["Id"], "Late")
        late.form(late.known(person), 10, "cpc")
        service.cycle()
        assert service.value("SELECT count(*) FROM written WHERE record_id = :id AND result = 'done'", id=person)
        assert records(service) == []

        mark = service.mark()
        approved(service)
        first = records(service)
        assert len(first) == 2 * DEALS
        assert touch_writes(service, mark) == {"upsert": 1}
        stored = "SELECT record_id FROM source_touch_record WHERE NOT is_deleted AND stamp_at IS NULL"
        assert {row["record_id"] for row in service.rows(stored)} == {each["Id"] for each in first}
        service.settle()
        assert records(service) == first

    # A rule that moves all credit waits too, and its deletions and creations are two jobs.
    with by_rules(org, database_url, valkey_url, tmp_path, service=BY_JOBS, fields=FEWER) as service:
        mark = service.mark()
        service.cycle()
        assert touch_writes(service, mark) == {}
        (held,) = plans(service)
        assert "30 of 231 Opportunity (by HW_Touch__c) records would change (13.0 %" in held["why_held"]
        planned = decide_and_show(service.service, examples=0)
        assert (planned["creates"], planned["updates"], planned["deletes"]) == (DEALS, 0, DEALS)
        assert planned["storage_kb"] == 0
        approved(service)
        assert touch_writes(service, mark) == {"delete": 1, "upsert": 1}
        keys = Counter(each["HW_Key__c"].endswith(":others") for each in records(service))
        assert keys == {True: DEALS, False: DEALS}
        service.settle()

        # Nobody responded after all: the touches are gone, and so are their records.
        members = service.colleague.query("SELECT Id FROM CampaignMember")
        unanswered = [{"Id": each["Id"], "Status": "Sent", "HasResponded": False} for each in members]
        service.org.control("POST", "salesforce/update", {"object": "CampaignMember", "records": unanswered})
        mark = service.mark()
        service.cycle()
        approved(service)
        assert records(service) == []
        assert touch_writes(service, mark) == {"delete": 1}
        assert service.value("SELECT count(*) FROM outbox WHERE object = :name", name=TOUCH) == 0
        assert service.value("SELECT count(*) FROM source_touch_record WHERE NOT is_deleted") == 0
