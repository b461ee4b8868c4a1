"""
In-market on the made-up company of the demo, for information: it has no stated hazard, so the truth is worked out from
what its generator throws for.

A firm's time of interest leads to a deal in half of all cases, on a day between 4 days before its end and 18 after, and
the rest of the deals fall on any buyer on any day. Whoever knew the times of interest begun by a day could say no more
than that: ``truth`` is that chance. One company is small, so several seeds are taken as one; the model learns from some
and is measured on the held-out months of others. Called by ``in_market``.
"""

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import count
from random import Random
from typing import Any, Final

import polars as pl

from config.rulefiles import load_rules
from worker.core.engagement.in_market import (
    PAST_ACCOUNT,
    PAST_ACT,
    PAST_DEAL,
    InMarket,
    kinds_of,
    learn_in_market,
    snapshots,
)
from worker.core.engagement.levels import levels
from worker.core.engagement.logistic import auc, calibration_error
from worker.core.rules import Rules
from worker.core.touchpoints.classify import ACTIVITY, classify
from worker.practice.company.calendar import CalendarMaker
from worker.practice.company.cast import NO_BUYERS, Firm, cast_firms, cast_humans
from worker.practice.company.diary import Diary
from worker.practice.company.generate import generate
from worker.practice.company.model import Company, Ref
from worker.practice.company.records import write_users
from worker.practice.company.story import story_humans
from worker.practice.company.touches import Market
from worker.wiring import rules_of

NOW: Final = datetime(2026, 11, 18, tzinfo=UTC)
TODAY: Final = NOW.date()
TAUGHT: Final = range(1, 9)
TESTED: Final = range(101, 109)
OF_A_SEED: Final = 10_000  # firm ids of one seed
LEADS_TO_A_DEAL: Final = 0.5
BEFORE_END, AFTER_END = 4.0, 18.0  # days around the end of a time of interest on which its deal opens

Frames = tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]
Spans = dict[int, list[tuple[float, float]]]


class Watched(Market):
    """
    The market as it is, noting when each time of interest began and ended, in days before the present.
    """

    def __init__(self, diary: Diary, calendar: Any, random: Random) -> None:
        super().__init__(diary, calendar, random)
        self.spans: dict[str, list[tuple[float, float]]] = {}

    def _burst(self, firm: Firm, ended_days_ago: int) -> None:
        before = self._random.getstate()
        length = self._random.uniform(14, 34)
        self._random.setstate(before)
        self.spans.setdefault(firm.key, []).append((ended_days_ago + length, ended_days_ago))
        super()._burst(firm, ended_days_ago)


@cache
def shipped() -> Rules:
    """
    The rules that come with the product.
    """
    return rules_of(load_rules(), 0)


def spans_of(seed: int) -> dict[str, list[tuple[float, float]]]:
    """
    The times of interest of a seed's firms, drawn as ``generate`` draws them.
    """
    company = Company(seed, NOW)
    chance = {room: Random(f"{seed}:{room}") for room in ("cast", "details", "touches")}
    sellers = write_users(company)
    calendar = CalendarMaker(company).make()
    firms = cast_firms(chance["cast"], NOW, sellers[:6])
    story = story_humans(firms, NOW)
    humans = cast_humans(chance["cast"], NOW, firms[2:])
    numbers = count(1)
    for human in [*story, *humans]:
        if human.tie != "absent":
            human.number = next(numbers)
    market = Watched(Diary(company, chance["details"]), calendar, chance["touches"])
    market.plan_bursts(firms[2:])
    market.act(firms[2:], humans)
    return market.spans


def history(seeds: Sequence[int]) -> tuple[Frames, Spans]:
    """
    Acts, accounts and deals of these companies as one, and their buyers' times of interest.
    """
    parts: list[Frames] = []
    spans: Spans = {}
    for place, seed in enumerate(seeds):
        company = generate(seed, NOW)
        numbers = {
            record.key: place * OF_A_SEED + number
            for number, record in enumerate(company.salesforce["Account"])
            if record.fields.get("Type") not in NO_BUYERS
        }
        parts.append((_acts(company, numbers, place), _accounts(company, numbers), _deals(company, numbers)))
        spans |= {numbers[key]: found for key, found in spans_of(seed).items() if key in numbers}
    frames = tuple(pl.concat([part[kind] for part in parts]) for kind in range(3))
    return (frames[0], frames[1], frames[2]), spans


def _accounts(company: Company, numbers: dict[str, int]) -> pl.DataFrame:
    rows = [
        (numbers[record.key], record.fields.get("NumberOfEmployees"), _day(record.fields["CreatedDate"]))
        for record in company.salesforce["Account"]
        if record.key in numbers
    ]
    return pl.DataFrame(rows, schema=PAST_ACCOUNT, orient="row")


def _deals(company: Company, numbers: dict[str, int]) -> pl.DataFrame:
    last: dict[str, tuple[str, str]] = {}
    for record in company.salesforce["OpportunityHistory"]:
        last[record.fields["OpportunityId"].key] = (record.fields["StageName"], record.fields["CreatedDate"])
    rows = []
    for record in company.salesforce["Opportunity"]:
        fields = record.fields
        owner = numbers.get(fields["AccountId"].key)
        stage, at = last.get(record.key, (fields["StageName"], fields["CreatedDate"]))
        outcome = {"Closed Won": "won", "Closed Lost": "lost"}.get(stage, "open")
        if owner is not None and fields["Type"] != "Renewal":
            rows.append((owner, _day(fields["CreatedDate"]), None if outcome == "open" else _day(at), outcome))
    return pl.DataFrame(rows, schema=PAST_DEAL, orient="row")


def _acts(company: Company, numbers: dict[str, int], place: int) -> pl.DataFrame:
    """
    What the people of the firms did, by the shipped touch rules.
    """
    programs = {program["id"]: program for program in company.programs}
    homes = {
        str(record.fields.get("Website", "")).rpartition("www.")[2]: record.key
        for record in company.salesforce["Account"]
    }
    people = {}
    for person in company.people:
        account = person.get("sfdcAccountId")
        by_mail = homes.get(str(person.get("email", "")).rpartition("@")[2])
        people[person["id"]] = (account.key if isinstance(account, Ref) else by_mail, person.get("title"))
    rows = []
    for number, activity in enumerate(company.activities):
        program = programs.get(activity.get("primaryAttributeValueId"), {}) if activity["activityTypeId"] == 104 else {}
        texts = {
            name: str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in activity.get("attributes", {}).items()
            if value is not None
        }
        rows.append(
            {
                "touch_id": f"marketo.activity:{number}",
                "origin": "marketo.activity",
                "source": "marketo",
                "person_ref": str(activity["leadId"]),
                "occurred_at": datetime.fromisoformat(str(activity["activityDate"])),
                "native_type": str(activity["activityTypeId"]),
                "asset": activity.get("primaryAttributeValue"),
                "attributes": json.dumps(texts),
                "campaign_name": program.get("name"),
                "campaign_type": program.get("channel"),
            }
        )
    frame = pl.DataFrame([{name: row.get(name) for name in ACTIVITY} for row in rows], schema=ACTIVITY)
    rules = shipped()
    touches = classify(frame, rules.touchpoints).filter(pl.col("machine").is_null())
    homes_of = pl.DataFrame(
        [
            (str(person), numbers[key], place * 1_000_000 + person, title)
            for person, (key, title) in people.items()
            if key in numbers
        ],
        schema={"person_ref": pl.String, "account_id": pl.Int64, "person_id": pl.Int64, "title": pl.String},
        orient="row",
    )
    known = touches.join(homes_of, on="person_ref")
    known = known.join(levels(known["title"], rules.levels), on="title", how="left", nulls_equal=True)
    return (
        known.select(pl.col(name).cast(kind) for name, kind in PAST_ACT.items() if name != "occurred_on")
        .with_columns(occurred_on=known["occurred_at"].dt.date())
        .select(list(PAST_ACT))
    )


def _day(stamp: object) -> date:
    return date.fromisoformat(str(stamp)[:10])


def truth(spans: Sequence[tuple[float, float]], day: date) -> float:
    """
    The chance that a time of interest that has begun by ``day``, and has led to no deal yet, leads to one from then on.
    """
    ago = (TODAY - day).days
    nothing = 1.0
    for began, ended in spans:
        if began < ago:
            continue
        # Days from ``day`` to the first and the last on which this one's deal may open.
        first, last = ago - ended - BEFORE_END, ago - ended + AFTER_END
        still = min(1.0, max(0.0, last / (last - first)))
        nothing *= 1 - LEADS_TO_A_DEAL * still / (LEADS_TO_A_DEAL * still + 1 - LEADS_TO_A_DEAL)
    return 1 - nothing


def measure() -> dict[str, Any]:
    """
    The figures on companies the model has never seen.
    """
    kinds = kinds_of(shipped().engagement)
    (acts, accounts, deals), _ = history(TAUGHT)
    model = learn_in_market(acts, accounts, deals, kinds, today=TODAY)
    assert isinstance(model, InMarket), model
    (acts, accounts, deals), spans = history(TESTED)
    days = [model.held_out_from, (model.held_out_from + timedelta(days=32)).replace(day=1)]
    rows = snapshots(acts, accounts, deals, kinds, days)
    said = rows.select(p=model.chance())["p"]
    true = pl.Series([truth(spans.get(firm, ()), day) for firm, day in rows["account_id", "day"].iter_rows()])
    return {
        "companies": f"{len(TAUGHT)} learnt from, {len(TESTED)} others measured",
        "rows": rows.height,
        "openings": int(rows["opened"].sum()),
        "auc": round(auc(said, rows["opened"]), 4),
        "auc of the truth": round(auc(true, rows["opened"]), 4),
        "auc of acts in 30 days": round(auc(rows["acts_30"], rows["opened"]), 4),
        "calibration error": round(calibration_error(said, rows["opened"]), 4),
    }
