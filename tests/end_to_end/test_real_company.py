"""
The real company: every lead and every won deal of its two files arrives, and won deals by source channel are what a
join of the files gives, in the report and in the org.
"""

import csv
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.practice_org import PracticeOrg
from tests.service import Running
from worker.core.funnel.calendar import Calendar
from worker.core.reconcile.desired import NO_TOUCH
from worker.flows.reports import catalogue
from worker.flows.reports.shape import Asked, Report
from worker.practice.load import LoadReport, load
from worker.store import views

pytestmark = pytest.mark.slow

EMPTY = "(empty)"
SALES = "Sales outreach"


@dataclass(frozen=True)
class Won:
    """
    A won deal of the files: whose it is, when it was won, and how its lead came and when.
    """

    seller: str
    won_at: datetime
    channel: str
    first_contact_on: datetime


@dataclass(frozen=True)
class Files:
    """
    The two files, read here and by nothing of the product.
    """

    leads: int
    deals: list[Won]

    @property
    def before_first_contact(self) -> list[Won]:
        return [deal for deal in self.deals if deal.won_at < deal.first_contact_on]


@pytest.fixture(scope="module")
def files(olist_folder: Path) -> Files:
    with (olist_folder / "marketing_qualified_leads.csv").open(newline="") as opened:
        leads = {row["mql_id"]: row for row in csv.DictReader(opened)}
    with (olist_folder / "closed_deals.csv").open(newline="") as opened:
        deals = [
            Won(
                seller=row["seller_id"],
                won_at=_instant(row["won_date"]),
                channel=leads[row["mql_id"]]["origin"] or EMPTY,
                first_contact_on=_instant(leads[row["mql_id"]]["first_contact_date"]),
            )
            for row in csv.DictReader(opened)
        ]
    return Files(len(leads), deals)


def _instant(told: str) -> datetime:
    for form in ("%d-%m-%Y", "%Y-%m-%d", "%Y-%m-%d %H:%M:%S", "%d-%m-%Y %H:%M:%S"):
        try:
            return datetime.strptime(told, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    raise ValueError(told)


@pytest.fixture(scope="module")
def loaded(org: PracticeOrg, olist_folder: Path) -> LoadReport:
    return load(olist_folder, org.url)


@pytest.fixture(scope="module")
def written(service: Running, loaded: LoadReport) -> Running:
    service.cycle()
    service.approve()
    return service


def expected(files: Files) -> Counter[str]:
    """
    Won deals by source channel, by a join of the files. A deal that was won before its lead's first contact was not
    brought by that contact: only the representatives had spoken with its people by then.
    """
    counts = Counter(deal.channel for deal in files.deals)
    for deal in files.before_first_contact:
        counts[deal.channel] -= 1
        counts[SALES] += 1
    return +counts


def test_every_row_is_loaded_and_arrives(loaded: LoadReport, written: Running, files: Files) -> None:
    assert loaded.rejected == []
    assert written.value("SELECT count(*) FROM person WHERE NOT is_deleted") == files.leads
    assert written.value("SELECT count(*) FROM opportunity WHERE outcome = 'won'") == len(files.deals)
    assert written.value("SELECT count(DISTINCT name) FROM opportunity") == len({deal.seller for deal in files.deals})
    assert written.value("SELECT count(*) FROM quarantine") == 0
    assert written.value("SELECT count(*) FROM touchpoint WHERE type = 'form'") == files.leads


def test_the_report_counts_won_deals_by_channel_as_the_files_do(written: Running, files: Files) -> None:
    with written.service.engine.connect() as connection:
        report = views.report_sources(connection)
    counted = Counter({row["channel"]: 0 for row in report["rows"]})
    for row in report["rows"]:
        counted[row["channel"]] += row["won_deals"]
    assert +counted == expected(files)
    assert counted[EMPTY] > 0
    assert counted["unknown"] > 0
    assert sum(counted.values()) == len(files.deals)
    assert report["not_credited"] == []


def test_the_org_holds_the_same_numbers(written: Running, files: Files) -> None:
    rows = written.colleague.query(
        "SELECT HW_Source_Channel__c, COUNT(Id) won FROM Opportunity WHERE IsWon = true GROUP BY HW_Source_Channel__c"
    )
    assert Counter({row["HW_Source_Channel__c"]: row["won"] for row in rows}) == expected(files)


def test_a_deal_won_before_its_leads_first_contact_is_listed_as_what_it_is(written: Running, files: Files) -> None:
    early = {deal.seller: deal for deal in files.before_first_contact}
    assert len(early) == 1
    with written.service.engine.connect() as connection:
        remarks = views.report_sources(connection)["remarks"]
    told = {remark["name"]: remark for remark in remarks if "before" in remark["remark"]}
    assert set(told) == set(early)
    for seller, deal in early.items():
        assert told[seller]["first_touch_channel"] == deal.channel
        assert datetime.fromisoformat(told[seller]["first_touch_at"]) == deal.first_contact_on
        assert datetime.fromisoformat(told[seller]["closed_at"]) == deal.won_at
        assert told[seller]["outcome"] == "won"
        (there,) = written.colleague.query(
            "SELECT HW_Source_Channel__c, HW_Marketing_Share__c, HW_Influenced__c FROM Opportunity "
            f"WHERE Name = '{seller}'"
        )
        assert there["HW_Source_Channel__c"] in {SALES, NO_TOUCH}
        assert there["HW_Influenced__c"] is False
        assert there["HW_Marketing_Share__c"] == 0


def test_no_deal_but_the_early_one_is_remarked_on(written: Running, files: Files) -> None:
    with written.service.engine.connect() as connection:
        remarks = views.report_sources(connection)["remarks"]
    assert [remark["name"] for remark in remarks] == [deal.seller for deal in files.before_first_contact]


def test_reading_our_own_writes_back_changes_nothing(written: Running) -> None:
    written.settle()
    mark = written.mark()
    cycle = written.cycle()
    assert written.calls(mark, "write") == []
    assert len(written.calls(mark)) == 1
    assert cycle.total("rows read") == 0


def test_the_funnel_counts_leads_and_won_deals_by_channel_and_by_offer_as_the_files_do(
    written: Running, files: Files, olist_folder: Path
) -> None:
    leads = {row["mql_id"]: row for row in rows_of(olist_folder, "*marketing_qualified_leads*")}
    closed = rows_of(olist_folder, "*closed_deals*")
    early = {deal.seller for deal in files.before_first_contact}
    # Sales had spoken with the early deal's person first: that is where the person comes from.
    met_by_sales = {row["mql_id"] for row in closed if row["seller_id"] in early}
    for dimension, column, by_sales in (("channel", "origin", SALES), ("offer", "landing_page_id", None)):
        came = {key: by_sales if key in met_by_sales else row[column] or EMPTY for key, row in leads.items()}
        (table,) = made(written, "funnel", by=(dimension,), of="people").tables
        lines = table.summed().lines
        assert Counter(dict(lines.select(dimension, "people").iter_rows())) == Counter(came.values())
        won = Counter(dict(lines.select(dimension, "on_won_deal").iter_rows()))
        assert +won == Counter(came[row["mql_id"]] for row in closed)
        assert (table.summed().total["people"], table.summed().total["on_won_deal"]) == (len(leads), len(closed))


def test_attribution_counts_won_deals_by_channel_and_by_offer_as_the_files_do(
    written: Running, files: Files, olist_folder: Path
) -> None:
    leads = {row["mql_id"]: row for row in rows_of(olist_folder, "*marketing_qualified_leads*")}
    early = {deal.seller for deal in files.before_first_contact}
    for dimension, column in (("channel", "origin"), ("offer", "landing_page_id")):
        (table,) = made(written, "attribution", by=(dimension,), model="first").tables
        won: Counter[str | None] = Counter()
        for row in rows_of(olist_folder, "*closed_deals*"):
            # Marketing had not spoken with the early one's people, so it earned nothing there.
            is_early = row["seller_id"] in early
            nobody = NO_TOUCH if dimension == "channel" else None
            won[nobody if is_early else leads[row["mql_id"]][column] or EMPTY] += 1
        lines = table.summed().lines.filter(pl.col("won_deals") > 0)
        assert Counter(dict(lines.select(dimension, pl.col("won_deals").cast(pl.Int64)).iter_rows())) == won


def rows_of(folder: Path, pattern: str) -> list[dict[str, str]]:
    (path,) = folder.glob(pattern)
    with path.open(newline="", encoding="utf-8") as opened:
        return list(csv.DictReader(opened))


def made(running: Running, name: str, **asked: Any) -> Report:
    rules = running.service.rules
    whole = {"model": rules.write_model} | asked
    with running.service.engine.connect() as connection:
        return catalogue.make(connection, name, Asked(datetime.now(UTC), Calendar(rules.zone), rules, **whole))
