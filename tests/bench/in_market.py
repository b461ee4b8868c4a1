"""
Measures what in-market learns on the made-up company of the demo, on months and companies it has never seen: the area
under the curve beside the truth's own and beside a plain count of recent acts, and how far its chances are from what
came.

The truth is the generator's (``Interest.chance``): what follows for the next 90 days from how close a firm is to buying
as the day begins, which no system is told. One company is small, so several seeds are taken as one history, in two
halves: what is learnt from one half is measured on the other half's held-out months. Nothing depends on today. Run by
``make bench`` (``B=in_market``), or alone with the first of the seeds:

    python -m tests.bench.in_market [SEED]
"""

import json
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from functools import cache
from typing import Any, Final, NamedTuple

import polars as pl

from config.rulefiles import load_rules
from tests.bench.ground import Report
from worker.core.engagement.in_market import (
    HELD_OUT_MONTHS,
    HORIZON_DAYS,
    PAST_ACCOUNT,
    PAST_ACT,
    PAST_DEAL,
    InMarket,
    kinds_of,
    learn_in_market,
    months_between,
    snapshots,
)
from worker.core.engagement.levels import levels
from worker.core.engagement.logistic import auc, calibration_error
from worker.core.rules import Rules
from worker.core.touchpoints.classify import ACTIVITY, classify
from worker.practice.company import STORY, Company, generate
from worker.practice.company.interest import Interest
from worker.wiring import rules_of

SEED: Final = 1
COMPANIES: Final = 16
NOW: Final = datetime(2026, 11, 18, 9, tzinfo=UTC)
AUC_OF_TRUTH, ABOVE_BASELINE, CALIBRATION = 0.95, 0.05, 0.05
OF_A_SEED: Final = 10_000  # account ids of one company
SALES_ACTS: Final = {"Call": "call", "Email": "sales_email", "Meeting": "meeting"}


class History(NamedTuple):
    """
    Several companies as one: PAST_ACT, PAST_ACCOUNT, PAST_DEAL, and by account what nobody sees.
    """

    acts: pl.DataFrame
    accounts: pl.DataFrame
    deals: pl.DataFrame
    interest: dict[int, Interest]

    def known_on(self, day: date) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
        """
        Acts, accounts and deals as they were known on the morning of a day.
        """
        is_over = (pl.col("closed_on") < day).fill_null(value=False)
        deals = self.deals.filter(pl.col("created_on") < day).with_columns(
            closed_on=pl.when(is_over).then("closed_on"),
            outcome=pl.when(is_over).then("outcome").otherwise(pl.lit("open")),
        )
        return self.acts.filter(pl.col("occurred_on") < day), self.accounts, deals

    def truth(self, rows: pl.DataFrame) -> pl.Series:
        """
        The true chance of snapshots' rows.
        """
        asked = rows.select("account_id", "day").iter_rows()
        return pl.Series([self.interest[account].chance(day, HORIZON_DAYS) for account, day in asked])


@cache
def shipped() -> Rules:
    """
    The rules that come with the product.
    """
    return rules_of(load_rules(), 0)


def history(seeds: Sequence[int], now: datetime = NOW) -> History:
    """
    The possible buyers of these seeds' companies, all that they did and all that they opened, renewals aside.
    """
    parts: list[tuple[pl.DataFrame, ...]] = []
    interest: dict[int, Interest] = {}
    for place, seed in enumerate(seeds):
        company = generate(seed, now)
        numbers = {key: place * OF_A_SEED + number for number, key in enumerate(company.interest)}
        interest |= {numbers[key]: each for key, each in company.interest.items()}
        parts.append((_acts(company, numbers), _accounts(company, numbers), _deals(company, numbers)))
    acts, accounts, deals = (pl.concat(frames) for frames in zip(*parts, strict=True))
    return History(acts, accounts, deals, interest)


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
        account = record.fields["AccountId"].key
        stage, at = last[record.key]
        outcome = {"Closed Won": "won", "Closed Lost": "lost"}.get(stage, "open")
        if account in numbers and record.fields["Type"] != "Renewal":
            closed_on = None if outcome == "open" else _day(at)
            rows.append((numbers[account], _day(record.fields["CreatedDate"]), closed_on, outcome))
    return pl.DataFrame(rows, schema=PAST_DEAL, orient="row")


def _acts(company: Company, numbers: dict[str, int]) -> pl.DataFrame:
    """
    What people did by the shipped touch rules, and what sales did. A person is an e-mail address; whose it is, says
    their contact, and else their domain.
    """
    homes = dict(_homes(company))
    people: dict[str, tuple[str | None, str | None]] = {}  # address -> account, title
    who: dict[object, str] = {}  # whatever an act points at -> address
    for record in [*company.salesforce["Contact"], *company.salesforce["Lead"]]:
        address = str(record.fields.get("Email", f"{record.key}@nowhere.example")).lower()
        account = record.fields.get("AccountId")
        home = homes.get(address.rpartition("@")[2]) if account is None else account.key
        who["Lead" if account is None else "Contact", record.key] = address
        people.setdefault(address, (home, record.fields.get("Title")))
    for person in company.people:
        address = str(person["email"]).lower()
        who[str(person["id"])] = address
        people.setdefault(address, (homes.get(address.rpartition("@")[2]), person.get("title")))
    done = [(who.get(ref), kind, on) for ref, kind, on in [*_marketing(company), *_sales(company)]]
    numbered = [
        (address, numbers[home], numbers[home] * 1_000 + number, title)
        for number, (address, (home, title)) in enumerate(people.items())
        if home in numbers
    ]
    known = pl.DataFrame(
        numbered,
        schema={"who": pl.String, "account_id": pl.Int64, "person_id": pl.Int64, "title": pl.String},
        orient="row",
    )
    known = known.join(levels(known["title"], shipped().levels), on="title", how="left", nulls_equal=True)
    acts = pl.DataFrame(done, schema={"who": pl.String, "type": pl.String, "occurred_on": pl.Date}, orient="row")
    return acts.join(known, on="who").select(pl.col(name).cast(kind) for name, kind in PAST_ACT.items())


def _homes(company: Company) -> Iterator[tuple[str, str]]:
    """
    Domain -> account: those of contacts, and the accounts' own websites before them.
    """
    for record in company.salesforce["Contact"]:
        domain = str(record.fields.get("Email", "")).lower().rpartition("@")[2]
        if domain not in STORY.free_mail_domains:
            yield domain, record.fields["AccountId"].key
    for record in company.salesforce["Account"]:
        if "Website" in record.fields:
            yield str(record.fields["Website"]).rpartition("www.")[2], record.key


def _marketing(company: Company) -> Iterator[tuple[object, str, date]]:
    programs = {program["id"]: program for program in company.programs}
    rows = []
    for number, activity in enumerate(company.activities):
        program = programs.get(activity.get("primaryAttributeValueId"), {}) if activity["activityTypeId"] == 104 else {}
        texts = {
            name: str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in activity.get("attributes", {}).items()
            if value is not None
        }
        known = {
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
        rows.append({name: known.get(name) for name in ACTIVITY})
    touches = classify(pl.DataFrame(rows, schema=ACTIVITY), shipped().touchpoints).filter(pl.col("machine").is_null())
    return touches.select("person_ref", "type", pl.col("occurred_at").dt.date()).iter_rows()


def _sales(company: Company) -> Iterator[tuple[object, str, date]]:
    for name, stamp in (("Task", "CompletedDateTime"), ("Event", "StartDateTime")):
        for record in company.salesforce[name]:
            who = record.fields.get("WhoId")
            if who is not None:
                yield (who.object_name, who.key), SALES_ACTS[record.fields["Type"]], _day(record.fields[stamp])


def _day(stamp: object) -> date:
    return date.fromisoformat(str(stamp)[:10])


def measured(taught: History, tested: History) -> tuple[InMarket, pl.DataFrame]:
    """
    What is learnt from one history, and of the other's held-out months: day, opened, said, truth, acts_30.
    """
    kinds = kinds_of(shipped().engagement)
    model = learn_in_market(taught.acts, taught.accounts, taught.deals, kinds, today=NOW.date())
    assert isinstance(model, InMarket), model
    months = months_between(model.held_out_from, NOW.date())[:HELD_OUT_MONTHS]
    rows = snapshots(tested.acts, tested.accounts, tested.deals, kinds, months)
    return model, rows.select("day", "opened", "acts_30", said=model.chance(), truth=tested.truth(rows))


def measure(seed: int = SEED, companies: int = COMPANIES) -> dict[str, Any]:
    """
    The figures of ``companies`` companies from ``seed`` on.
    """
    middle = seed + companies // 2
    halves = [history(range(seed, middle)), history(range(middle, seed + companies))]
    found = [measured(*halves), measured(*reversed(halves))]
    rows, model = pl.concat([rows for _, rows in found]), found[0][0]
    scores = {name: auc(rows[name], rows["opened"]) for name in ("said", "truth", "acts_30")}
    return {
        "seeds": f"{seed} to {seed + companies - 1}, in two halves",
        "accounts": sum(half.accounts.height for half in halves),
        "acts": sum(half.acts.height for half in halves),
        "opportunities": sum(half.deals.height for half in halves),
        "learnt from": f"{model.learnt_from} on, {model.measured['taught_openings']:,.0f} openings in the first half",
        "held out": " and ".join(f"{day:%Y-%m-%d}" for day in rows["day"].unique().sort()),
        "rows": rows.height,
        "openings": int(rows["opened"].sum()),
        "auc": scores["said"],
        "auc of the truth": scores["truth"],
        "auc of the baseline (acts in 30 days)": scores["acts_30"],
        "share of the truth's auc": scores["said"] / scores["truth"],
        "above the baseline": scores["said"] - scores["acts_30"],
        "calibration error": calibration_error(rows["said"], rows["opened"]),
        "calibration error of the truth": calibration_error(rows["truth"], rows["opened"]),
    }


def run(report: Report, *, small: bool, rounds: int | None) -> None:
    """
    In-market on months and companies it has not seen, against the truth they were drawn from.
    """
    show(report, measure(companies=4 if small else COMPANIES))


def show(report: Report, figures: dict[str, Any]) -> None:
    """
    The figures, and the three bounds as what must not be exceeded.
    """
    cells = {name: f"{value:.4f}" if isinstance(value, float) else value for name, value in figures.items()}
    report.table(("", ""), list(cells.items()))
    lost, above = 1 - figures["share of the truth's auc"], figures["above the baseline"]
    report.bound(f"of the truth's auc, {1 - lost:.1%} are reached; missing", lost, goal=1 - AUC_OF_TRUTH, unit="")
    report.bound(
        f"{above:.3f} above the baseline, {ABOVE_BASELINE} are wanted; missing",
        max(0.0, ABOVE_BASELINE - above),
        goal=0,
        unit="",
    )
    report.bound("calibration error", figures["calibration error"], goal=CALIBRATION, unit="")


def main() -> int:
    report = Report()
    show(report, measure(int(sys.argv[1]) if len(sys.argv) > 1 else SEED))
    return 1 if report.broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
