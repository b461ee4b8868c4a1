"""
The made-up company, read, decided, planned and written back: what is said about it holds for every record of it.
"""

from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import polars as pl
import pytest

from config.rulefiles import load_rules
from tests.practice_org import PracticeOrg
from tests.service import MACHINERY, Running, moved
from worker.core.deals import MINOR_DIGITS
from worker.core.funnel.calendar import Calendar
from worker.core.funnel.quota import Group, QuotaRules, RevenueTarget
from worker.flows.as_of import Hindsight, Moment
from worker.flows.reports import catalogue
from worker.flows.reports.shape import Asked, Table
from worker.practice.company import STORY, Company, fill, generate
from worker.store import past, reports, views
from worker.wiring import past_rules

pytestmark = pytest.mark.slow

SEED = 2_026
NOW = datetime(2026, 11, 18, 9, 0, tzinfo=UTC)
WRITE_COUNTS = {"n_tup_ins", "n_tup_upd", "n_tup_del"}


@pytest.fixture(scope="module")
def company(org: PracticeOrg) -> Company:
    print(f"seed {SEED}")  # noqa: T201 - to bring a failure back
    made = generate(SEED, NOW)
    org.control("POST", "clock", {"now": NOW.isoformat()})
    fill(made, org.url)
    return made


@pytest.fixture(scope="module")
def decided(service: Running, company: Company) -> Running:
    """
    After the first cycle, with a plan that waits.
    """
    service.cycle()
    return service


@pytest.fixture(scope="module")
def written(decided: Running) -> Running:
    """
    After the first plan was approved and sent, and our own writes were read back.
    """
    decided.approve()
    decided.settle()
    return decided


def salesforce_id(running: Running, sobject: str, name: str) -> str:
    (row,) = running.colleague.query(f"SELECT Id FROM {sobject} WHERE Name = '{name}'")
    return str(row["Id"])


def explained(answer: dict[str, Any]) -> None:
    """
    Every field of an answer says where its value came from, by which rule, and what lost.
    """
    behind = {(record["stream"], record["record_id"]) for record in answer["records"]}
    assert answer["fields"]
    for each in answer["fields"]:
        assert each["value"] is not None, each
        assert (each["stream"], each["record_id"]) in behind, each
        assert each["rule"], each
        for lost in each["lost"]:
            assert (lost["stream"], lost["record_id"]) in behind, each
            assert lost["value"] not in {None, each["value"]}, each


def test_nothing_is_written_before_a_plan_is_approved(decided: Running) -> None:
    assert decided.calls(0, "write") == []
    assert decided.status()["writes"]["approved"] is None
    assert decided.value("SELECT count(*) FROM outbox") > 1_000
    waiting = decided.rows(
        """
        SELECT p.state, array_agg(DISTINCT o.object ORDER BY o.object) AS objects
        FROM plan p JOIN outbox o ON o.plan_id = p.id GROUP BY p.id ORDER BY p.id
        """
    )
    assert waiting == [
        {"state": "planned", "objects": ["Account", "Contact", "Lead", "Opportunity"]},
        {"state": "planned", "objects": ["HW_Touch__c"]},
    ]


def test_everybody_and_every_deal_of_the_orgs_arrives(decided: Running, company: Company) -> None:
    for name, shape, stream in (
        ("Lead", "person", "salesforce.lead"),
        ("Contact", "person", "salesforce.contact"),
        ("Account", "account", "salesforce.account"),
        ("Opportunity", "opportunity", "salesforce.opportunity"),
        ("OpportunityContactRole", "role", "salesforce.opportunity_contact_role"),
        ("CampaignMember", "member", "salesforce.campaign_member"),
    ):
        stored = decided.value(f"SELECT count(*) FROM source_{shape} WHERE stream = :s", s=stream)
        assert stored == len(company.salesforce[name]), name
    activities = decided.value("SELECT count(*) FROM source_activity WHERE stream LIKE 'marketo.%'")
    assert activities > 0
    assert decided.value("SELECT count(*) FROM quarantine") == 0
    unknown = "SELECT count(*) FROM source_person s LEFT JOIN crosswalk c ON c.kind = 'person' AND c.source = \
        split_part(s.stream, '.', 1) AND c.record_id = s.record_id WHERE c.golden_id IS NULL"
    assert decided.value(unknown) == 0


def test_a_persons_fields_say_where_they_come_from_and_what_lost(written: Running) -> None:
    several = written.rows(
        "SELECT golden_id AS id FROM crosswalk WHERE kind = 'person' GROUP BY 1 HAVING count(*) > 2 ORDER BY 1"
    )
    assert several
    losers = 0
    for each in several[:60]:
        with written.service.engine.connect() as connection:
            answer = views.why(connection, "person", each["id"])
        explained(answer)
        losers += sum(len(one["lost"]) for one in answer["fields"])
        assert answer["account"]["why"] or answer["account"]["id"] is None
    assert losers > 0


def test_the_acts_of_an_account_sum_to_its_score(written: Running) -> None:
    answer = written.why("account", salesforce_id(written, "Account", STORY.account))
    explained(answer)
    flag = answer["engagement"]
    assert flag["engaged"], flag
    assert sum(act["points_milli"] for act in flag["detail"]["acts"]) == flag["points_milli"] > 0
    assert len({act["person_id"] for act in flag["detail"]["acts"] if act["points_milli"]}) >= flag["people_count"] > 1


def test_of_every_account_the_acts_sum_to_the_score(written: Running) -> None:
    wrong = written.rows(
        """
        SELECT e.account_id, e.points_milli, s.points FROM engagement e CROSS JOIN LATERAL (
            SELECT coalesce(sum((act->>'points_milli')::bigint), 0) AS points
            FROM jsonb_array_elements(e.detail->'acts') act) s
        WHERE s.points <> e.points_milli
        """
    )
    assert wrong == []
    assert written.value("SELECT count(*) FROM engagement WHERE points_milli > 0") > 50


def test_a_deal_shows_all_models_side_by_side_and_each_sums_to_one(written: Running) -> None:
    answer = written.why("opportunity", salesforce_id(written, "Opportunity", STORY.deal))
    explained(answer)
    assert Decimal(answer["amount"]) == Decimal(STORY.deal_amount)
    shares: dict[tuple[str, str], Fraction] = defaultdict(Fraction)
    for row in answer["credits"]:
        for model, credit in row["models"].items():
            shares[row["clock"], model] += Fraction(credit["share"])
    models = {model.name for model in written.service.rules.attribution.models}
    assert set(shares) == {(clock, model) for clock in ("pipeline", "revenue") for model in models}
    assert set(shares.values()) == {Fraction(1)}
    assert answer["attribution"]["why"]
    touched = [row for row in answer["credits"] if row["item"] == "touch"]
    assert len(touched) > 3
    assert all(row["label"] and row["occurred_at"] for row in touched)


def test_of_every_deal_credit_pending_and_unassigned_sum_to_the_amount(written: Running) -> None:
    deals = {
        row["id"]: row
        for row in written.rows(
            """
            SELECT o.id, o.amount::text AS amount, o.currency, a.state FROM opportunity o
            JOIN attribution a ON a.opportunity_id = o.id WHERE NOT o.is_deleted
            """
        )
    }
    assert len(deals) == written.value("SELECT count(*) FROM opportunity WHERE NOT is_deleted") > 200
    shares: dict[tuple[int, str, str], Fraction] = defaultdict(Fraction)
    units: dict[tuple[int, str, str], list[int | None]] = defaultdict(list)
    for row in written.rows("SELECT opportunity_id, clock, item, models FROM credit"):
        for model, credit in row["models"].items():
            key = (row["opportunity_id"], row["clock"], model)
            shares[key] += Fraction(credit["share"])
            units[key].append(credit["units"])
    credited = {number for number, deal in deals.items() if deal["state"] != "Not credited"}
    models = [model.name for model in written.service.rules.attribution.models]
    assert set(shares) == {(n, clock, model) for n in credited for clock in ("pipeline", "revenue") for model in models}
    for (number, clock, model), share in shares.items():
        assert share == 1, (number, clock, model, share)
        deal = deals[number]
        if deal["amount"] is None:
            assert set(units[number, clock, model]) == {None}
            continue
        amount = Decimal(deal["amount"]).normalize()
        digits = max(MINOR_DIGITS.get(deal["currency"] or "USD", 2), -int(amount.as_tuple().exponent))
        assert sum(units[number, clock, model]) == int(amount.scaleb(digits)), (number, clock, model)
    assert {deal["state"] for deal in deals.values()} >= {"Open", "Final", "Lost"}


def test_the_org_holds_what_was_decided(written: Running) -> None:
    there = written.colleague.query(
        "SELECT HW_Source_Channel__c channel, COUNT(Id) deals FROM Opportunity "
        "WHERE HW_Credit_State__c = 'Final' GROUP BY HW_Source_Channel__c"
    )
    here = written.rows(
        """
        SELECT a.source_channel AS channel, count(*) AS deals FROM attribution a
        JOIN opportunity o ON o.id = a.opportunity_id WHERE a.state = 'Final' AND NOT o.is_deleted GROUP BY 1
        """
    )
    assert {row["channel"]: row["deals"] for row in there} == {row["channel"]: row["deals"] for row in here}
    engaged = written.colleague.query("SELECT Id FROM Account WHERE HW_Engaged__c = true")
    assert len(engaged) == written.value(
        """
        SELECT count(*) FROM engagement e JOIN crosswalk c ON c.kind = 'account' AND c.golden_id = e.account_id
        WHERE e.engaged
        """
    )
    assert engaged
    assert written.value("SELECT count(*) FROM written WHERE result <> 'done'") == 0
    assert written.value("SELECT count(*) FROM outbox") == 0


def test_of_every_deal_the_touch_records_add_up_to_what_the_model_gave(written: Running) -> None:
    there: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in written.colleague.query(
        "SELECT HW_Opportunity__c, HW_Type__c, HW_Pipeline_Share__c, HW_Revenue_Share__c, HW_Pipeline_Amount__c, "
        "HW_Revenue_Amount__c FROM HW_Touch__c"
    ):
        there[row["HW_Opportunity__c"]].append(row)
    credits = written.rows(
        """
        SELECT c.record_id AS deal, k.clock, sum((k.models->'w'->>'units')::numeric) AS units,
            array_agg(k.models->'w'->>'share') AS shares, scale(trim_scale(o.amount)) AS digits, o.currency
        FROM credit k JOIN opportunity o ON o.id = k.opportunity_id AND NOT o.is_deleted
        JOIN attribution a ON a.opportunity_id = o.id AND a.state IN ('Open', 'Final', 'Lost')
        JOIN crosswalk c ON c.kind = 'opportunity' AND c.golden_id = o.id AND c.source = 'salesforce'
        WHERE k.item = 'touch' AND (o.outcome = 'open' OR o.closed_at > CAST(:since AS timestamptz)) GROUP BY o.id, 1, 2
        """,
        since=f"{NOW - timedelta(days=730):%Y-%m-%d}",
    )
    assert len(there) > 100
    assert there.keys() <= {row["deal"] for row in credits}
    for row in credits:
        records = there[row["deal"]]
        clock = row["clock"].title()
        assert len(records) <= 11
        given = sum(map(Fraction, row["shares"]), Fraction(0)) * 100
        told = sum((Decimal(str(each[f"HW_{clock}_Share__c"])) for each in records), Decimal(0))
        assert abs(Fraction(told) - given) <= Fraction(1, 20_000), row["deal"]
        digits = max(MINOR_DIGITS.get(row["currency"], 2), row["digits"] or 0)
        amounts = [each[f"HW_{clock}_Amount__c"] for each in records]
        if row["units"] is None:
            assert set(amounts) <= {None}
        else:
            money = Decimal(row["units"]).scaleb(-digits)
            assert abs(sum((Decimal(str(each or 0)) for each in amounts), Decimal(0)) - money) <= Decimal("0.005")


def test_an_idle_cycle_is_one_call_and_writes_no_row(written: Running) -> None:
    written.settle()
    before = written.counters()
    mark = written.mark()
    cycle = written.cycle()
    calls = written.calls(mark)
    assert [(call["kind"], call["method"]) for call in calls] == [("read", "POST")], calls
    touched = moved(before, written.counters())
    changed = {
        table: counts for table, counts in touched.items() if table not in MACHINERY and WRITE_COUNTS & counts.keys()
    }
    assert changed == {}
    assert cycle.total("rows written") == 0
    assert {run["flow"] for run in cycle.runs} == {"pull"}


def test_passing_time_alone_writes_no_more_than_the_flags_that_lapse(written: Running) -> None:
    """
    A day goes by in which nobody does anything: flags that were said to lapse by then do, and nothing else is touched.
    """
    day = 24 * 3_600
    until = f"{NOW + timedelta(days=2):%Y-%m-%d}"
    lapsing = {
        row["record_id"]
        for row in written.rows(
            """
            SELECT c.record_id FROM engagement e JOIN crosswalk c ON c.kind = 'account' AND c.golden_id = e.account_id
            WHERE e.review_at <= CAST(:until AS timestamptz)
            """,
            until=until,
        )
    }
    last = written.value("SELECT max(id) FROM written")
    written.advance(day)
    written.cycle()
    written.approve()
    touched = written.rows("SELECT DISTINCT object, record_id FROM written WHERE id > :last", last=last)
    assert {row["record_id"] for row in touched} <= lapsing
    assert {row["object"] for row in touched} <= {"Account"}


QUOTA = QuotaRules(
    groups=(Group("outbound", teams=("Sales",)), Group("inbound", teams=("Marketing",))),
    targets=(
        RevenueTarget("2026-Q3", Decimal(900_000), {"inbound": Decimal(60), "outbound": Decimal(25)}),
        RevenueTarget("2026", Decimal(4_000_000), {"inbound": Decimal(100)}),
    ),
)


@pytest.mark.parametrize("name", list(catalogue.REPORTS))
def test_every_number_of_a_report_is_that_of_the_rows_behind_it(written: Running, name: str) -> None:
    rules = replace(written.service.rules, quota=QUOTA)
    looked_at = 0
    with written.service.engine.connect() as connection:
        for of in ("accounts", "people") if name == "funnel" else (None,):
            asked = Asked(NOW, Calendar(rules.zone), rules, rules.write_model, of=of, subject=STORY.deal)
            for table in catalogue.make(connection, name, asked).tables:
                for by in [table.by, *((dimension,) for dimension in table.dimensions)]:
                    looked_at += ties_out(table, by)
    assert looked_at > 20, name


@pytest.mark.parametrize("name", [name for name in catalogue.REPORTS if name not in catalogue.PRESENT_ONLY])
def test_every_number_of_a_past_report_is_that_of_the_rows_behind_it_and_that_of_the_day(
    written: Running, name: str
) -> None:
    engine, files = written.service.engine, load_rules()
    with past.look_only(engine) as connection:
        hindsight = Hindsight(connection, past_rules(engine, files))
        at = hindsight.now - timedelta(minutes=1)
        rules = hindsight.rules_at(at)
        asked = Asked(at, Calendar(rules.zone), rules, rules.write_model, subject=STORY.deal)
        found = catalogue.make_as_of(hindsight, name, asked, Moment(at, known_then=True))
        for table, plain in zip(found.tables, catalogue.make(connection, name, asked).tables, strict=True):
            for by in [table.by, *((dimension,) for dimension in table.dimensions)]:
                ties_out(table, by)
                assert replace(table, by=by).summed().total == pytest.approx(replace(plain, by=by).summed().total)


def ties_out(table: Table, by: tuple[str, ...]) -> int:
    """
    Count and add up, with nothing of the reports' own, the rows behind each line; how many numbers were held against.
    """
    summed = replace(table, by=by).summed()
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for row in table.rows.iter_rows(named=True):
        groups[tuple(row[name] for name in by)].append(row)
    lines = {tuple(line[name] for name in by): line for line in summed.lines.iter_rows(named=True)}
    assert set(lines) == set(groups)
    numbers = 0
    for measure in table.measures:
        if measure.averages or measure.over is not None or measure.ranks_with is not None:
            continue
        found = []
        for key, rows in groups.items():
            chosen = [row for row in rows if measure.where is None or row[measure.where]]
            cells = [row[measure.column] for row in chosen if row[measure.column] is not None] if measure.column else []
            expected = len(chosen) if measure.column is None else sum(cells) if cells else None
            assert lines[key][measure.name] == (
                pytest.approx(expected, abs=1e-6) if measure.unit == "share" else expected
            ), key
            found += [expected] if expected is not None else []
            numbers += 1
        total = summed.total[measure.name]
        assert (total or 0) == (pytest.approx(sum(found), abs=1e-6) if measure.unit == "share" else sum(found))
    return numbers


def test_attribution_adds_up_to_what_salesforce_says_the_deals_are_worth(written: Running) -> None:
    (there,) = written.colleague.query("SELECT SUM(Amount) total FROM Opportunity WHERE IsWon = true")
    rules = written.service.rules
    with written.service.engine.connect() as connection:
        for model in rules.attribution.models:
            report = catalogue.make(connection, "attribution", Asked(NOW, Calendar(rules.zone), rules, model.name))
            (table,) = report.tables
            apart = reports.deals(connection, rules.currency, rules.zone).filter(
                (pl.col("state") == reports.NOT_CREDITED) & (pl.col("outcome") == "won")
            )["amount"]
            won = table.summed().total["won"]
            assert won + apart.sum() == Decimal(str(there["total"])), model.name  # type: ignore[operator]
            assert all("which is what it adds up to" in line for line in report.remarks[:1]), report.remarks
