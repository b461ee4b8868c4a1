"""
Models whose weights are learnt from the company's own closed deals: kept, renewed each month, and applied deal by deal.
"""

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.flows.rules import folder_of, hindsight_of, in_force_with
from tests.flows.test_adjustments import adjusted, day, lock
from tests.flows.world import World
from tests.service import Running
from worker.core.attribution.learn import learn
from worker.core.errors import Fatal
from worker.core.funnel.calendar import Calendar
from worker.core.timeline import Lens
from worker.flows.as_of import Moment, credits_as
from worker.flows.journeys import closed_journeys
from worker.flows.now import now_of
from worker.flows.reports.catalogue import make, make_as_of
from worker.flows.reports.shape import Asked, Report
from worker.store import jobs

pytestmark = pytest.mark.slow
DAY = 86_400
LEARNT = "models: {markov: {learn: markov}, shapley: {learn: shapley, over_months: 6}}\n"


@pytest.fixture
def own_rules(tmp_path: Path) -> Path:
    return folder_of(tmp_path / "rules", {"attribution.yaml": LEARNT})


@pytest.fixture
def service(own_service: Running) -> Running:
    return own_service


def closed(world: World, stage: str, count: int, *media: str, closed_ago: float = 3) -> list[str]:
    """
    So many deals, each with a buyer of its own, who filled in a form by each medium; closed ``closed_ago`` days ago.
    """
    org = world.running.org
    account = world.account()
    kind = f"{stage.rsplit(maxsplit=1)[-1]}{closed_ago:g}{'x'.join(media)}".lower()
    buyers = [f"{kind}{number}@{world.domain}" for number in range(count)]
    person = {"LastName": "Smith", "AccountId": account, "CreatedDate": world.ago(200)}
    contacts = org.create("Contact", [person | {"Email": email} for email in buyers])
    known = {"lastName": "Platform", "createdAt": world.ago(201), "sfdcType": "contact"}
    people = org.control("POST", "marketo/people", {"records": [known | {"sfdcContactId": each} for each in contacts]})
    form = {"activityTypeId": 2, "primaryAttributeValue": "Newsletter sign-up"}
    acts = [
        form
        | {"leadId": number, "activityDate": world.ago(60 - place)}
        | {"attributes": {"Query Parameters": f"utm_medium={medium}"}}
        for number in people["ids"]
        for place, medium in enumerate(media)
    ]
    org.control("POST", "marketo/activities", {"records": acts})
    deal = {"AccountId": account, "StageName": stage, "Amount": 84_000, "CloseDate": world.ago(closed_ago)[:10]}
    deals = org.create("Opportunity", [deal | {"Name": email, "CreatedDate": world.ago(30)} for email in buyers])
    entered = {"StageName": stage, "Amount": 84_000, "CreatedDate": world.ago(closed_ago)}
    org.create(
        "OpportunityHistory", [entered | {"OpportunityId": each, "CloseDate": deal["CloseDate"]} for each in deals]
    )
    pairs = zip(deals, contacts, strict=True)
    org.create("OpportunityContactRole", [{"OpportunityId": d, "ContactId": c, "Role": "User"} for d, c in pairs])
    return list(deals)


def learn_now(service: Running) -> int:
    """
    As the daily bell does; how many learnings there are after it.
    """
    with service.service.engine.begin() as connection:
        jobs.enqueue(connection, "learn")
    service.cycle()
    return len(lessons(service))


def lessons(service: Running, model: str = "markov") -> list[dict[str, Any]]:
    return service.rows("SELECT * FROM learning WHERE model = :model ORDER BY id", model=model)


def decided_by(service: Running, deal: str, model: str = "markov") -> dict[str, int]:
    rows = service.why("opportunity", deal)["credits"]
    return {row["clock"]: row["models"][model]["learnt"] for row in rows if model in row["models"]}


def attribution_report(service: Running) -> Report:
    rules = service.service.rules
    with service.service.engine.connect() as connection:
        asked = Asked(now=now_of(connection), calendar=Calendar(rules.zone, 1), rules=rules, model="markov")
        return make(connection, "attribution", asked)


def taught(service: Running) -> tuple[World, str, str]:
    """
    A company with enough won deals, and one of them; and an open deal of two channels. Learnt.
    """
    world = World(service, "fern")
    won = closed(world, "Closed Won", 20, "cpc", "newsletter")
    closed(world, "Closed Won", 12, "newsletter")
    closed(world, "Closed Lost", 1, "cpc")
    own = World(service, "openfern")
    account = own.account()
    ada = own.contact(account, "Ada")
    person = own.known(ada)
    own.form(person, 60, "cpc")
    own.form(person, 50, "newsletter")
    still_open = own.deal(account)
    own.role(still_open, ada)
    service.cycle()
    assert learn_now(service) == 1
    return world, won[0], still_open


def test_too_short_a_history_says_so_and_leaves_the_model_out_until_there_is_enough(service: Running) -> None:
    world = World(service, "moss")
    deals = closed(world, "Closed Won", 29, "cpc", "newsletter")
    service.cycle()
    assert learn_now(service) == 1
    (lesson,) = lessons(service)
    assert (lesson["weights"], lesson["conversions"], lesson["nulls"]) == (None, 29, 0)
    assert decided_by(service, deals[0]) == {}
    with pytest.raises(Fatal, match="HW-147"):
        attribution_report(service)
    assert "w" in service.why("opportunity", deals[0])["credits"][0]["models"]
    # The same day, as every day while there is too little.
    closed(world, "Closed Won", 1, "newsletter")
    service.cycle()
    assert learn_now(service) == 1
    (lesson,) = lessons(service)
    assert lesson["conversions"] == 30
    assert decided_by(service, deals[0]) == {"pipeline": lesson["id"], "revenue": lesson["id"]}
    assert world.shares(deals[0], "revenue", "shapley")
    (note,) = attribution_report(service).notes
    assert note.startswith(f"markov was learnt once, last on {world.now:%Y-%m-%d} (learning {lesson['id']})")


def test_what_is_kept_is_what_the_deals_of_the_period_teach(service: Running) -> None:
    world, won, _ = taught(service)
    (lesson,) = lessons(service)
    today = world.day()
    assert [str(lesson[name])[:10] for name in ("since_at", "until_at")] == [
        str(today.replace(year=today.year - 1)),
        str(today),
    ]
    with service.service.engine.connect() as connection:
        paths = closed_journeys(connection, service.service.rules, world.now - timedelta(days=365), world.now)
    expected = learn(paths, "markov").weights
    assert {name: str(weight) for name, weight in expected.items()} == lesson["weights"]
    assert (lesson["conversions"], lesson["nulls"], lesson["learner"], lesson["over_months"]) == (32, 1, "markov", 12)
    assert world.shares(won, "pipeline", "markov") == {
        channel: str(weight) for channel, weight in sorted(expected.items(), reverse=True)
    }
    told = {each["model"]: each for each in service.why("opportunity", won)["learnings"]}
    assert told["markov"]["weights"] == lesson["weights"]
    assert told["markov"]["clocks"] == ["pipeline", "revenue"]
    # The first learning is no late data: nothing is told as an adjustment.
    assert adjusted(world, won, model="markov") == []


def test_nothing_is_learnt_again_within_a_month_and_nothing_written(service: Running) -> None:
    taught(service)
    service.settle()
    before = service.rows("SELECT xmin::text, opportunity_id, touch_id, clock FROM credit ORDER BY 2, 4, 3")
    assert learn_now(service) == 1
    assert service.rows("SELECT xmin::text, opportunity_id, touch_id, clock FROM credit ORDER BY 2, 4, 3") == before


def test_a_months_renewal_moves_open_deals_alone_and_every_moment_keeps_its_own(service: Running) -> None:
    world, won, still_open = taught(service)
    first = lessons(service)[0]["id"]
    pipeline, revenue = world.shares(still_open, "pipeline", "markov"), world.shares(won, "revenue", "markov")
    then = world.now + timedelta(seconds=10)
    service.advance(32 * DAY)
    closed(world, "Closed Won", 20, "cpc")
    service.cycle()
    assert learn_now(service) == 2
    second = lessons(service)[1]["id"]
    assert decided_by(service, won) == {"pipeline": first, "revenue": first}
    assert decided_by(service, still_open) == {"pipeline": first, "revenue": second}
    assert world.shares(won, "revenue", "markov") == revenue
    assert world.shares(still_open, "pipeline", "markov") == pipeline
    now_weighs = world.shares(still_open, "revenue", "markov")
    assert now_weighs == lessons(service)[1]["weights"] != pipeline
    numbers = [service.golden_id("opportunity", deal) for deal in (won, still_open)]
    with hindsight_of(service) as hindsight:
        rules = hindsight.rules_at(then)
        was = credits_as(hindsight, numbers, rules, Lens(then, then), then).credits
        never = credits_as(hindsight, numbers, rules, Lens(then), then - timedelta(days=400)).credits
        asked = Asked(now=then, calendar=Calendar(rules.zone, 1), rules=rules, model="markov")
        told = make_as_of(hindsight, "attribution", asked, Moment(then, known_then=True)).tables[0].rows
    assert f'"learnt":{first}' in was["models"].item(0)
    of_open = told.filter(pl.col("opportunity_id") == numbers[1], pl.col("clock") == "revenue")
    assert dict(of_open.select("channel", "amount").rows()) == {
        channel: pytest.approx(Decimal(84_000) * Fraction(share).numerator / Fraction(share).denominator, abs=1)
        for channel, share in pipeline.items()
    }
    assert not any(f'"learnt":{second}' in models for models in was["models"])
    assert not any("markov" in models for models in never["models"])


def test_a_renewal_that_weighs_the_same_has_nothing_credited_again(service: Running) -> None:
    _, _, still_open = taught(service)
    first = lessons(service)[0]["id"]
    service.advance(32 * DAY)
    assert learn_now(service) == 2
    assert lessons(service)[0]["weights"] == lessons(service)[1]["weights"]
    assert decided_by(service, still_open)["revenue"] == first


def test_in_a_locked_period_a_first_learning_is_booked_under_its_own_name(service: Running) -> None:
    world = World(service, "sedge")
    deals = closed(world, "Closed Won", 30, "cpc", "newsletter")
    service.cycle()
    lock(world, day(world, 33), day(world, 27))
    assert learn_now(service) == 1
    assert decided_by(service, deals[0]) == {"revenue": lessons(service)[0]["id"]}
    rows = adjusted(world, deals[0], "pipeline", "markov")
    assert {(row["kind"], row["cause"]) for row in rows} == {("booked", "learning")}
    assert sum(int(str(row["units_delta"])) for row in rows) == 8_400_000
    assert {date.fromisoformat(str(row["adjusted_on"])) for row in rows} == {world.day()}


def test_other_rules_for_touches_have_it_learnt_anew_and_those_for_scores_do_not(
    service: Running, tmp_path: Path
) -> None:
    world, won, _ = taught(service)
    first = lessons(service)[0]["id"]
    other = {"attribution.yaml": LEARNT, "engagement.yaml": "half_life_days: 29\n"}
    in_force_with(service, folder_of(tmp_path / "scores", other))
    assert len(lessons(service)) == 1
    assert decided_by(service, won)["revenue"] == first
    renamed = {"attribution.yaml": LEARNT + "mediums: {newsletter: Newsletter}\n"}
    in_force_with(service, folder_of(tmp_path / "touches", renamed))
    # In the same cycle, once every touch has its new channel.
    _, second = lessons(service)
    assert set(second["weights"]) == {"Paid search", "Newsletter"}
    assert decided_by(service, won) == {"pipeline": second["id"], "revenue": second["id"]}
    assert world.shares(won, "revenue", "markov") == second["weights"]
