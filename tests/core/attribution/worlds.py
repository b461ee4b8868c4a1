"""
Small random worlds of deals, people and touches, on few days so that ties and edges are common.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import polars as pl
from hypothesis import strategies as st

from worker.core.attribution import DEFAULT_MODELS, AttributionRules, Model, Position
from worker.core.frames import DEAL, DEAL_PERSON, INSTANT, TOUCH

START = datetime(2026, 3, 1, tzinfo=UTC)
LAST_DAY = 40
STAGE = {"opportunity_id": pl.Int64, "stage": pl.String, "entered_at": INSTANT}
TYPES = ("form", "webinar_attended", "demo_request", "ad_click", "email_open", "meeting")

days = st.integers(0, LAST_DAY).map(lambda day: START + timedelta(days=day))
amounts = st.one_of(
    st.none(), st.integers(-50, 50), st.integers(-(10**7), 10**9), st.sampled_from([2**63 - 1, -(2**63) + 1, 0])
)


@dataclass(frozen=True)
class World:
    """
    Rows as the frames hold them; ``as_of`` is the last day.
    """

    deals: list[dict[str, Any]]
    people: list[dict[str, Any]]
    touches: list[dict[str, Any]]
    stages: list[dict[str, Any]]
    as_of: datetime = START + timedelta(days=LAST_DAY)

    def frames(self) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame, pl.DataFrame]:
        return (
            pl.DataFrame(self.deals, schema=DEAL),
            pl.DataFrame(self.people, schema=DEAL_PERSON),
            pl.DataFrame(self.touches, schema=TOUCH),
            pl.DataFrame(self.stages, schema=STAGE),
        )


def day(month: int, number: int, year: int = 2026) -> datetime:
    """
    Its noon.
    """
    return datetime(year, month, number, 12, tzinfo=UTC)


def deal_row(number: int, created: datetime, closed: datetime | None, **changes: Any) -> dict[str, Any]:
    """
    A deal over one euro: won where it is closed, else open.
    """
    row = {
        "opportunity_id": number,
        "account_id": 1,
        "currency": "EUR",
        "amount_units": 1,
        "digits": 0,
        "created_at": created,
        "closed_at": closed,
        "outcome": "open" if closed is None else "won",
    }
    return row | changes


@st.composite
def deal_rows(draw: st.DrawFn, opportunity_id: int) -> dict[str, Any]:
    outcome = draw(st.sampled_from(["open", "won", "lost"]))
    created = draw(days)
    later = draw(st.integers(-1, LAST_DAY))
    return deal_row(
        opportunity_id,
        created,
        None if outcome == "open" else created + timedelta(days=later),
        account_id=opportunity_id % 2,
        amount_units=draw(amounts),
        digits=draw(st.sampled_from([0, 2, 3])),
        outcome=outcome,
    )


@st.composite
def worlds(draw: st.DrawFn) -> World:
    deal_ids = range(1, draw(st.integers(1, 3)) + 1)
    deals = [draw(deal_rows(number)) for number in deal_ids]
    person_ids = st.integers(1, 4)
    people = [
        {
            "opportunity_id": deal,
            "person_id": person,
            "role": draw(st.sampled_from([None, None, "Decision Maker", ""])),
            "is_primary": draw(st.booleans()),
            "lead_created_at": draw(st.one_of(st.none(), days)),
        }
        for deal in deal_ids
        for person in draw(st.lists(person_ids, max_size=4, unique=True))
    ]
    names = draw(st.lists(st.sampled_from("abcdefghijklmnop"), max_size=12, unique=True))
    touches = [touch_row(name, draw(person_ids), draw(days), draw(st.sampled_from(TYPES))) for name in names]
    stages = [
        {"opportunity_id": deal, "stage": "Negotiation", "entered_at": draw(days)}
        for deal in draw(st.lists(st.sampled_from(list(deal_ids)), max_size=3))
    ]
    return World(deals, people, touches, stages)


def touch_row(name: str, person: int, at: datetime, kind: str) -> dict[str, Any]:
    return {
        "touch_id": name,
        "person_id": person,
        "occurred_at": at,
        "type": kind,
        "team": "sales" if kind == "meeting" else "marketing",
        "channel": ("Webinar", "Paid search", "Event")[ord(name[-1]) % 3],
        "offer": "Cost Control",
        "campaign": None,
    }


POSITIONS = (
    Position("demo", "first_touch_of_type", "demo_request"),
    Position("met", "first_touch_of_type", "meeting"),
    Position("nego", "stage", "Negotiation"),
)
# Opportunity creation tied to a stage.
QUALIFIED = Position("OC", "stage", "Negotiation")
WEIGHTS = st.dictionaries(
    st.sampled_from(["FT", "LC", "OC", "CW", "LT", "demo", "met", "nego", "middle"]),
    st.sampled_from([Decimal(text) for text in ("0", "1", "7.5", "22.5", "30", "0.1", "33.333")]),
    min_size=1,
).filter(lambda weights: any(weights.values()))


CHANNEL_WEIGHTS = st.dictionaries(
    st.sampled_from(["Webinar", "Paid search", "Display"]),
    st.sampled_from([Fraction(text) for text in ("0", "1/3", "0.3", "5/7", "0.123456789012")]),
    min_size=1,
).filter(lambda weights: any(weights.values()))
# How the middle is divided: equally, by age, by what was learnt of the channels.
MIDDLES = st.one_of(
    st.just((None, None)),
    st.tuples(st.sampled_from([1, 30, Decimal("2.5")]), st.none()),
    st.tuples(st.none(), CHANNEL_WEIGHTS),
)


@st.composite
def rule_sets(draw: st.DrawFn) -> AttributionRules:
    own = [Model(f"own{number}", draw(WEIGHTS), *draw(MIDDLES)) for number in range(draw(st.integers(0, 3)))]
    return AttributionRules(
        lookback_days=draw(st.sampled_from([540, 10])),
        account_people_days=draw(st.sampled_from([10, 5, 0])),
        lead_creation_window_days=draw(st.sampled_from([7, 0])),
        path=draw(st.sampled_from(["roles_else_account", "roles_else_account", "roles", "primary", "account"])),
        no_touch=draw(st.sampled_from(["unassigned", "spread"])),
        influence_days=draw(st.sampled_from([90, 5])),
        positions=(*POSITIONS, *draw(st.sampled_from([(), (), (QUALIFIED,)]))),
        models=(*DEFAULT_MODELS, *own),
    )
