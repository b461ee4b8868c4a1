"""
The made-up company is the same every time, as dirty as real ones, and tells its story to the real engines.
"""

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any

import polars as pl
import pytest

from config.rulefiles import load_rules
from tests.practice_org import REPOSITORY, PracticeOrg
from worker.core.attribution.allot import allot
from worker.core.attribution.path import build_paths
from worker.core.engagement.flags import flag
from worker.core.engagement.levels import level_and_role
from worker.core.errors import Fatal
from worker.core.frames import ACT, DEAL, DEAL_PERSON, ENGAGEMENT_ACCOUNT, TOUCH
from worker.core.touchpoints.classify import ACTIVITY, classify
from worker.core.touchpoints.duplicates import standing
from worker.practice.company import STORY, Company, Ref, fill, generate
from worker.practice.marketo.times import parse_instant
from worker.wiring import rules_of

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SEEDS = (7, 2026, 31_337)


@cache
def company(seed: int) -> Company:
    return generate(seed, NOW)


@cache
def rules() -> Any:
    return rules_of(load_rules(), 1)


def spelled(made: Company) -> str:
    return json.dumps([made.salesforce, made.programs, made.people, made.changes, made.members, made.activities])


def everything(made: Company) -> Iterator[dict[str, Any]]:
    for records in made.salesforce.values():
        for record in records:
            yield record.fields
    for rows in (made.programs, made.people, made.changes, made.members, made.activities):
        yield from rows


# The same every time


def test_the_same_seed_and_moment_give_the_same_company_to_the_byte() -> None:
    assert spelled(generate(7, NOW)) == spelled(company(7))
    assert spelled(generate(8, NOW)) != spelled(company(7))


def test_another_process_with_other_hashing_gives_the_same_company() -> None:
    script = (
        "import hashlib, json; from datetime import UTC, datetime; from worker.practice.company import generate; "
        "c = generate(7, datetime(2026, 11, 22, 12, 0, tzinfo=UTC)); "
        "t = json.dumps([c.salesforce, c.programs, c.people, c.changes, c.members, c.activities]); "
        "print(hashlib.sha256(t.encode()).hexdigest())"
    )
    prints = {
        subprocess.run(
            [sys.executable, "-c", script],
            cwd=REPOSITORY,
            env={"PYTHONHASHSEED": seed, "PATH": ""},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(prints) == 1


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        generate(7, datetime(2026, 11, 22))  # noqa: DTZ001 - the point


# What it holds


@pytest.mark.parametrize("seed", SEEDS)
def test_the_company_has_the_size_that_was_asked_for(seed: int) -> None:
    made = company(seed)
    accounts, deals = made.salesforce["Account"], made.salesforce["Opportunity"]
    assert 395 <= len(accounts) <= 405
    assert 240 <= len(deals) <= 350
    assert 4_500 <= len(made.people) <= 5_200
    stages = Counter(deal.fields["StageName"] for deal in deals)
    still_open = len(deals) - stages["Closed Won"] - stages["Closed Lost"]
    assert min(stages["Closed Won"], stages["Closed Lost"]) >= 60
    assert still_open >= 20
    with_roles = {role.fields["OpportunityId"] for role in made.salesforce["OpportunityContactRole"]}
    assert 0.6 < len(with_roles) / len(deals) < 0.75
    history = Counter(row.fields["OpportunityId"].key for row in made.salesforce["OpportunityHistory"])
    assert set(history) == {deal.key for deal in deals}
    kinds = Counter(activity["activityTypeId"] for activity in made.activities)
    assert {1, 2, 6, 7, 10, 11, 12, 32, 37, 104, 147} <= set(kinds)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_reference_points_at_a_record_and_every_key_is_there_once(seed: int) -> None:
    made = company(seed)
    keys = [Ref(name, record.key) for name, records in made.salesforce.items() for record in records]
    assert len(keys) == len(set(keys))
    pointed = {value for fields in everything(made) for value in fields.values() if isinstance(value, Ref)}
    assert pointed <= set(keys)
    numbers = {person["id"] for person in made.people}
    gone = {activity["leadId"] for activity in made.activities if activity["activityTypeId"] == 37}
    assert {activity["leadId"] for activity in made.activities} <= numbers | gone
    assert not numbers & gone


@pytest.mark.parametrize("seed", SEEDS)
def test_every_domain_is_one_that_cannot_exist(seed: int) -> None:
    text = spelled(company(seed))
    for address in re.findall(r"[^\s\"]+@([^\s\"]+)", text):
        assert address.lower().endswith(".example"), address
    for host in re.findall(r"https?://([^/\"\\ ]+)", text):
        assert host.endswith(".example"), host


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_has_happened_after_the_present(seed: int) -> None:
    made = company(seed)
    present = int(NOW.timestamp())
    for activity in made.activities:
        assert parse_instant(activity["activityDate"]) <= present
    for records in made.salesforce.values():
        for record in records:
            created = record.fields.get("CreatedDate")
            assert created is None or parse_instant(created) <= present, record
    deals = {deal.key: deal.fields for deal in made.salesforce["Opportunity"]}
    for row in made.salesforce["OpportunityHistory"]:
        deal = deals[row.fields["OpportunityId"].key]
        assert parse_instant(deal["CreatedDate"]) <= parse_instant(row.fields["CreatedDate"]) <= present


def test_the_company_is_as_dirty_as_real_ones() -> None:
    made = company(7)
    leads = [record.fields for record in made.salesforce["Lead"]]
    emails = Counter(lead["Email"].lower() for lead in leads if lead.get("Email"))
    assert sum(count > 1 for count in emails.values()) >= 100, "duplicates"
    assert sum(bool(lead.get("MasterRecordId")) for lead in leads) == 60, "merged leads"
    assert sum(bool(lead.get("IsConverted")) for lead in leads) >= 300, "converted leads"
    assert sum(lead.get("Email", "").endswith(STORY.free_mail_domains) for lead in leads) >= 100, "free mail"
    twins = Counter(person["email"] for person in made.people)
    assert sum(count > 1 for count in twins.values()) >= 50, "people whom Marketo has twice"
    assert sum(person["email"].startswith("info@") for person in made.people) >= 3, "shared mailboxes"
    assert len(made.changes) == 40, "people who changed firms"
    assert sum("committed_at" in activity for activity in made.activities) >= 25, "late activities"
    bots = [a for a in made.activities if a["activityTypeId"] == 11 and a["attributes"]["Is Bot Activity"]]
    assert len(bots) >= 100, "bot clicks"
    types = Counter(account.fields.get("Type") for account in made.salesforce["Account"])
    assert min(types["Competitor"], types["Channel Partner / Reseller"], types["Test"]) >= 1
    staff = [person for person in made.people if person["email"].endswith(f"@{STORY.own_domain}")]
    assert len(staff) >= 10
    names = "".join(person["lastName"] for person in made.people)
    assert any(ord(letter) > 0x3000 for letter in names)
    tied = sum("sfdcType" in person for person in made.people)
    assert 0.6 < tied / len(made.people) < 0.9


def test_the_same_touch_comes_by_two_routes() -> None:
    made = company(7)
    tied = {program["id"]: program["sfdcId"] for program in made.programs if "sfdcId" in program}
    assert len(tied) > 15
    assert len(tied) < len(made.programs)
    contact_of = {person["id"]: person.get("sfdcContactId") for person in made.people}
    attended = {
        (tied.get(activity["primaryAttributeValueId"]), contact_of.get(activity["leadId"]))
        for activity in made.activities
        if activity["activityTypeId"] == 104 and activity["attributes"]["New Status"] == "Attended"
    }
    members = {
        (record.fields["CampaignId"], record.fields.get("ContactId"))
        for record in made.salesforce["CampaignMember"]
        if record.fields["Status"] == "Attended"
    }
    assert len({pair for pair in attended & members if None not in pair}) > 100


# The story, told to the real engines


def native(made: Company) -> pl.DataFrame:
    """
    Marketo's activities as the connector would store them.
    """
    programs = {program["id"]: program for program in made.programs}
    rows = []
    for number, activity in enumerate(made.activities):
        by_program = activity["activityTypeId"] == 104
        program = programs.get(activity.get("primaryAttributeValueId")) if by_program else None
        attributes = {
            name: str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in activity.get("attributes", {}).items()
            if value is not None
        }
        known: dict[str, Any] = dict.fromkeys(ACTIVITY) | {
            "touch_id": f"marketo.activity:{number}",
            "origin": "marketo.activity",
            "source": "marketo",
            "person_ref": str(activity["leadId"]),
            "occurred_at": datetime.fromtimestamp(parse_instant(activity["activityDate"]), UTC),
            "native_type": str(activity["activityTypeId"]),
            "asset": activity.get("primaryAttributeValue"),
            "attributes": json.dumps(attributes),
        }
        if program is not None:
            key = {"campaign_name": program["name"], "campaign_type": program["channel"]}
            known |= {**key, "campaign_key": str(program["id"])}
        rows.append(known)
    return pl.DataFrame(rows, schema=ACTIVITY)


def touches_of(made: Company) -> pl.DataFrame:
    """
    What counts: every touch of a person that is neither a machine's nor told twice.
    """
    found = classify(native(made), rules().touchpoints).with_columns(person_id=pl.col("person_ref").cast(pl.Int64))
    judged = standing(found, rules().touchpoints)
    counted = found.drop("machine").join(judged, on="touch_id")
    return counted.filter(pl.col("machine").is_null() & pl.col("duplicate_of").is_null())


def flags_of(made: Company) -> pl.DataFrame:
    """
    Every account's flag at the present, people matched by Marketo's account id and else by their domain.
    """
    accounts = {record.key: (place, record.fields) for place, record in enumerate(made.salesforce["Account"])}
    domains = {
        str(fields["Website"]).removeprefix("https://www."): key
        for key, (_, fields) in accounts.items()
        if "Website" in fields
    }
    people = []
    for person in made.people:
        tie = person.get("sfdcAccountId")
        key = tie.key if isinstance(tie, Ref) else domains.get(person["email"].split("@")[1])
        if key is not None:
            level, role = level_and_role(person.get("title"), rules().levels)
            people.append((person["id"], accounts[key][0], level, role))
    kinds = {"person_id": pl.Int64, "account_id": pl.Int64, "level": pl.String, "role_label": pl.String}
    known = pl.DataFrame(people, schema=kinds, orient="row")
    acts = touches_of(made).join(known, on="person_id").rename({"touch_id": "act_id"}).select(list(ACT))
    rows = [
        (place, fields["Name"], fields.get("NumberOfEmployees"), fields.get("Type"), False, None, None)
        for place, fields in accounts.values()
    ]
    frame = pl.DataFrame(rows, schema=ENGAGEMENT_ACCOUNT, orient="row")
    found = flag(frame, acts, rules().engagement, now=NOW)
    return found.join(frame.select("account_id", "name", "type"), on="account_id")


@pytest.mark.parametrize("seed", SEEDS)
def test_one_account_in_twenty_to_one_in_seven_is_engaged_and_the_storys_is_among_them(seed: int) -> None:
    flags = flags_of(company(seed))
    engaged = flags.filter("engaged")
    assert 1 / 20 <= engaged.height / flags.height <= 1 / 7, f"seed {seed}"
    assert not set(engaged["type"].to_list()) & {"Competitor", "Test", "Channel Partner / Reseller"}
    (story,) = engaged.filter(pl.col("name") == STORY.account).to_dicts()
    assert story["people_count"] == 3
    assert "3 people (VP Finance, 2 IT): demo request" in story["why"]
    assert f"webinar {STORY.webinar}" in story["why"]
    assert re.search(r"pricing[^,]* 2x", story["why"])


def test_the_storys_account_was_quiet_a_fortnight_before() -> None:
    made = company(7)
    before = Company(made.seed, made.now, made.salesforce, made.programs, made.people)
    before.activities = [activity for activity in made.activities if activity["activityDate"] < "2026-11-08"]
    (story,) = flags_of(before).filter(pl.col("name") == STORY.account).to_dicts()
    assert story["engaged"] is False


def test_the_storys_deal_gives_its_credit_to_first_touch_lead_opportunity_and_the_middle() -> None:
    made = company(7)
    deal = next(record for record in made.salesforce["Opportunity"] if record.fields["Name"] == STORY.deal)
    won = next(
        row.fields["CreatedDate"]
        for row in made.salesforce["OpportunityHistory"]
        if row.fields["OpportunityId"].key == deal.key and row.fields["StageName"] == "Closed Won"
    )
    leads = {record.key: record.fields for record in made.salesforce["Lead"]}
    contacts = {record.key: record.fields for record in made.salesforce["Contact"]}
    numbers = {person["sfdcContactId"].key: person["id"] for person in made.people if "sfdcContactId" in person}

    def moment(text: str) -> datetime:
        return datetime.fromtimestamp(parse_instant(text), UTC)

    roles = [r.fields for r in made.salesforce["OpportunityContactRole"] if r.fields["OpportunityId"].key == deal.key]
    people = [
        (
            1,
            numbers[role["ContactId"].key],
            role["Role"],
            role["IsPrimary"],
            moment(leads.get(role["ContactId"].key, contacts[role["ContactId"].key])["CreatedDate"]),
        )
        for role in roles
    ]
    created = moment(deal.fields["CreatedDate"])
    cents = round(deal.fields["Amount"] * 100)
    row = {"opportunity_id": 1, "account_id": 1, "currency": STORY.currency, "amount_units": cents, "digits": 2}
    row |= {"created_at": created, "closed_at": moment(won), "outcome": "won"}
    deals = pl.DataFrame([row], schema=DEAL)
    paths = build_paths(
        deals,
        pl.DataFrame(people, schema=DEAL_PERSON, orient="row"),
        touches_of(made).select(list(TOUCH)),
        rules().attribution,
        as_of=NOW,
    )
    credit = allot(deals, paths, rules().attribution).filter((pl.col("model") == "w") & (pl.col("clock") == "revenue"))
    shown = credit.join(touches_of(made).select("touch_id", "type", "channel"), on="touch_id", how="left")
    told = {row["positions"] or f"middle {place}": row for place, row in enumerate(shown.to_dicts())}
    assert told["FT"]["channel"] == "Paid search"
    assert told["LC"]["type"] == "webinar_attended"
    assert told["OC"]["type"] == "demo_request"
    assert [told[position]["amount_units"] for position in ("FT", "LC", "OC")] == [2_520_000] * 3
    middle = [row["amount_units"] for name, row in told.items() if name.startswith("middle")]
    assert len(middle) >= 3
    assert sum(middle) == 840_000
    assert credit["amount_units"].sum() == cents


# Filled in


def test_the_company_is_filled_into_a_running_server_once_and_soon() -> None:
    made = company(7)
    with PracticeOrg(clock=NOW.isoformat()) as org:
        told: list[str] = []
        report = fill(made, org.url, lambda label, *_: told.append(label))
        assert report.seconds < 20
        assert report.made == {
            **{f"salesforce.{name}": len(records) for name, records in made.salesforce.items()},
            "marketo.programs": len(made.programs),
            "marketo.people": len(made.people),
            "marketo.members": len(made.members),
            "marketo.activities": len(made.activities),
        }
        assert "marketo.activities" in told
        there = org.control("GET", "salesforce/counts")
        for name in (
            "Account",
            "Contact",
            "Lead",
            "Opportunity",
            "OpportunityHistory",
            "CampaignMember",
            "Task",
            "Event",
        ):
            assert there[name] == len(made.salesforce[name]), name
        counts = org.control("GET", "marketo/counts")
        assert counts["people"] == len(made.people)
        present = int(NOW.timestamp())
        shown = [a for a in made.activities if parse_instant(a.get("committed_at", a["activityDate"])) <= present]
        kinds = Counter(activity["activityTypeId"] for activity in shown)
        for kind in (1, 2, 10, 11, 37, 104):
            assert counts["activities"][str(kind)] == kinds[kind]
        with pytest.raises(Fatal, match="HW-572"):
            fill(made, org.url)
