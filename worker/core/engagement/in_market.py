"""
Learns from the company's own history how likely an account is to open an opportunity within 90 days, and says it of
accounts now, with the reasons.

History is looked at on the first of each month: what an account's people had done by then, and whether an opportunity
was created in the 90 days from then on. Accounts with an open opportunity are not asked. Logistic regression on the
earlier months; the last months are held out, and on them the chance is calibrated (Platt) and the model measured. No
month is learnt from whose 90 days reach into those held out. A history that is too short gives no model but the
sentence that says so. Called by the learn flow; ``standing`` scores with what it found.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any, Final

import polars as pl

from worker.core.engagement.logistic import Logistic, auc, calibration_error, chance, learn
from worker.core.engagement.rules import EngagementRules, milli
from worker.core.errors import Fatal
from worker.core.frames import Schema

HORIZON_DAYS: Final = 90
LOOKBACK_DAYS: Final = 90
FADE_DAYS: Final = 30.0  # an act's weight in the features is halved every so often
HELD_OUT_MONTHS: Final = 2
STRAY_PERCENT: Final = 2  # the oldest acts, which may lie long before the history that was really kept
LEAST_MONTHS: Final = 6  # of snapshots: about twelve months of acts, with 90 days before the first and after the last
LEAST_OPENINGS: Final = 50  # to learn from, and
LEAST_HELD_OUT: Final = 20  # to calibrate by
RIDGE: Final = 30.0

# What the people of an account did, of the whole of its history.
PAST_ACT: Final[Schema] = {
    "account_id": pl.Int64,
    "person_id": pl.Int64,  # null for an account act
    "occurred_on": pl.Date,
    "type": pl.String,
    "level": pl.String,
}
PAST_ACCOUNT: Final[Schema] = {"account_id": pl.Int64, "employees": pl.Int64, "created_on": pl.Date}
PAST_DEAL: Final[Schema] = {
    "account_id": pl.Int64,
    "created_on": pl.Date,
    "closed_on": pl.Date,  # null while open
    "outcome": pl.String,
}

VISITS, REQUESTS, RESEARCH, SALES = "light", "requests", "research", "sales"
_LEAST_OF_ITS_OWN: Final = 2_000  # thousandths of a point from which a type of act is a feature by itself
# Features beside the counts by kind of act -> the theme that a reader is told. Features of one theme lean on one
# another (who was active in 30 days was so in 90), so that only their sum says something.
_DONE, _WHO = "what its people did", "how many people, and how senior"
_BEFORE, _SIZE = "its deals before", "the size of the company"
STANDING: Final[Mapping[str, str]] = {
    "keen_7": _DONE,
    "keen_14": _DONE,
    "keen_30": _DONE,
    "keen_60": _DONE,
    "light_30": _DONE,
    "keen_people_14": _WHO,
    "keen_people_30": _WHO,
    "keen_people_90": _WHO,
    "people_30": _WHO,
    "senior_60": _WHO,
    "customer": _BEFORE,
    "lost_before": _BEFORE,
    "size_unknown": _SIZE,
    "below_50": _SIZE,
    "below_250": _SIZE,
    "from_1000": _SIZE,
}
_THEMES: Final = {
    REQUESTS: "requests to be called",
    RESEARCH: "acts of the company itself",
    SALES: "meetings and calls of sales",
}


def kinds_of(rules: EngagementRules) -> dict[str, str]:
    """
    Type of act -> the kind it counts as, by what the rules say of it: what engages at once is a request, what sales
    does is sales, a type of 2 points and more is a kind of its own, all others are light. Acts without a person are
    research, whatever their type.
    """
    kinds = {name: name if milli(act.points) >= _LEAST_OF_ITS_OWN else VISITS for name, act in rules.acts.items()}
    return kinds | dict.fromkeys(rules.supporting, SALES) | dict.fromkeys(rules.act_now, REQUESTS)


def names_of(kinds: Mapping[str, str]) -> list[str]:
    """
    The features' names, in their order.
    """
    return [*(f"acts:{kind}" for kind in sorted({*kinds.values(), RESEARCH})), *STANDING]


def theme_of(feature: str) -> str:
    """
    The theme under which a reader is told of a feature.
    """
    return STANDING.get(feature) or _THEMES.get(feature.removeprefix("acts:"), _DONE)


@dataclass(frozen=True)
class InMarket:
    """
    What was learnt. ``average`` is the held-out share of accounts that opened one; the chance of a row is that of
    ``slope`` x log-odds + ``shift``. ``measured`` holds auc, baseline_auc (the number of acts in 30 days alone),
    calibration_error, rows and openings of the held-out months.
    """

    model: Logistic
    slope: float
    shift: float
    average: float
    kinds: Mapping[str, str]
    learnt_from: date
    held_out_from: date
    measured: Mapping[str, float]

    def chance(self) -> pl.Expr:
        """
        The calibrated chance of a row of features.
        """
        return chance(self.model.log_odds() * self.slope + self.shift)

    def as_json(self) -> str:
        """
        To be kept; ``in_market_from`` reads it.
        """
        return json.dumps(asdict(self) | {"kinds": dict(self.kinds)}, default=str, sort_keys=True)


def in_market_from(text: str) -> InMarket | None:
    """
    What ``as_json`` wrote; None where it was learnt from other features than today's.
    """
    found = json.loads(text)
    if found["model"]["names"] != names_of(found["kinds"]):
        return None
    model: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in found["model"].items()
    }
    days = {name: date.fromisoformat(found[name]) for name in ("learnt_from", "held_out_from")}
    return InMarket(**{**found, "model": Logistic(**model), **days})


@dataclass(frozen=True)
class TooShort:
    """
    Why nothing was learnt, in a sentence.
    """

    why: str


def months_between(first: date, last: date) -> list[date]:
    """
    The firsts of months from ``first`` to ``last``, both counted.
    """
    found = []
    month = first.replace(day=1)
    while month <= last:
        if month >= first:
            found.append(month)
        month = (month + timedelta(days=32)).replace(day=1)
    return found


def learn_in_market(
    acts: pl.DataFrame, accounts: pl.DataFrame, deals: pl.DataFrame, kinds: Mapping[str, str], *, today: date
) -> InMarket | TooShort:
    """
    The model of the history up to ``today``. ``acts`` is PAST_ACT, ``accounts`` PAST_ACCOUNT, ``deals`` PAST_DEAL of
    these accounts, none left out.
    """
    if acts.is_empty():
        return TooShort(f"In-market was not learnt: no acts are known, and {LEAST_MONTHS} monthly looks are needed.")
    first = acts["occurred_on"].sort()[acts.height * STRAY_PERCENT // 100]
    months = months_between(first + timedelta(days=LOOKBACK_DAYS), today - timedelta(days=HORIZON_DAYS))
    if len(months) < LEAST_MONTHS:
        return TooShort(
            f"In-market was not learnt: {len(months)} monthly looks with {LOOKBACK_DAYS} days before and "
            f"{HORIZON_DAYS} after them are known, {LEAST_MONTHS} are needed (about twelve months of acts)."
        )
    held_out = months[-HELD_OUT_MONTHS:]
    taught = [month for month in months if month + timedelta(days=HORIZON_DAYS) <= held_out[0]]
    shown = snapshots(acts, accounts, deals, kinds, taught)
    tested = snapshots(acts, accounts, deals, kinds, held_out)
    openings, later = int(shown["opened"].sum()), int(tested["opened"].sum())
    if openings < LEAST_OPENINGS or later < LEAST_HELD_OUT or openings == shown.height or later == tested.height:
        return TooShort(
            f"In-market was not learnt: {openings} openings to learn from and {later} to calibrate by are known, "
            f"{LEAST_OPENINGS} and {LEAST_HELD_OUT} are needed."
        )
    model = learn(shown.select(names_of(kinds)), shown["opened"], ridge=RIDGE)
    slope, shift = _calibrated(model, tested)
    average = later / tested.height
    said = tested.select(p=chance(model.log_odds() * slope + shift))["p"]
    measured = {
        "auc": auc(said, tested["opened"]),
        "baseline_auc": auc(tested["acts_30"], tested["opened"]),
        "calibration_error": calibration_error(said, tested["opened"]),
        "rows": tested.height,
        "openings": later,
        "taught_rows": shown.height,
        "taught_openings": openings,
    }
    return InMarket(model, slope, shift, average, dict(kinds), taught[0], held_out[0], measured)


def _calibrated(model: Logistic, tested: pl.DataFrame) -> tuple[float, float]:
    """
    Platt's slope and shift on the held-out months. Where the log-odds tell nothing there, everybody is average.
    """
    odds = tested.select(z=model.log_odds())
    found = learn(odds, tested["opened"], ridge=1e-6)
    slope = found.coefficients[0] / found.spreads[0]
    return (slope, found.intercept - slope * found.means[0]) if slope > 0 else (0.0, found.intercept)


def snapshots(
    acts: pl.DataFrame, accounts: pl.DataFrame, deals: pl.DataFrame, kinds: Mapping[str, str], days: Sequence[date]
) -> pl.DataFrame:
    """
    One row a day of ``days`` and account that was there without an open opportunity: the features, ``acts_30``, and
    ``opened``, whether an opportunity was created in the 90 days from then on.
    """
    if not days:
        raise Fatal("HW-901", "in-market was asked for snapshots of no day")
    found = []
    for day in days:
        soon = deals.filter(pl.col("created_on").is_between(day, day + timedelta(days=HORIZON_DAYS - 1)))
        found.append(
            features(acts, accounts.filter(pl.col("created_on") < day), deals, kinds, at=day)
            .filter(~pl.col("has_open"))
            .with_columns(opened=pl.col("account_id").is_in(soon["account_id"].unique().implode()), day=pl.lit(day))
        )
    return pl.concat(found)


def features(
    acts: pl.DataFrame, accounts: pl.DataFrame, deals: pl.DataFrame, kinds: Mapping[str, str], *, at: date
) -> pl.DataFrame:
    """
    account_id, the features (``names_of``), ``acts_30`` and ``has_open`` as they stood before the day ``at`` began, one
    row an account, in the order of ``accounts`` (account_id and employees are read). Acts of types without a kind are
    left out. What came before the account's last opportunity was closed led to that one, and what students do leads to
    none: the features count neither, ``acts_30`` counts both.
    """
    age, person = pl.col("age"), pl.col("person_id")
    keen, tells = pl.col("keen"), pl.col("tells")
    senior = pl.col("level").is_in(["c_level", "vp", "director"])
    closed = (
        deals.lazy().filter(pl.col("closed_on") < at).group_by("account_id").agg(spent_on=pl.col("closed_on").max())
    )
    done = (
        acts.lazy()
        .with_columns(
            age=(pl.lit(at) - pl.col("occurred_on")).dt.total_days(),
            kind=pl.when(person.is_null() & pl.col("type").is_in(list(kinds)))
            .then(pl.lit(RESEARCH))
            .otherwise(pl.col("type").replace_strict(kinds, default=None, return_dtype=pl.String)),
        )
        .filter(age.is_between(1, LOOKBACK_DAYS) & pl.col("kind").is_not_null())
        .join(closed, on="account_id", how="left")
        .with_columns(
            keen=~pl.col("kind").is_in([VISITS, SALES]),
            tells=(pl.col("occurred_on") > pl.col("spent_on")).fill_null(value=True)
            & pl.col("level").ne_missing(pl.lit("student")),
        )
        .group_by("account_id")
        .agg(
            *(
                _faded(FADE_DAYS).filter(tells & (pl.col("kind") == kind)).sum().log1p().alias(f"acts:{kind}")
                for kind in sorted({*kinds.values(), RESEARCH})
            ),
            *(_faded(days).filter(tells & keen).sum().log1p().alias(f"keen_{days}") for days in (7, 14, 30, 60)),
            *(
                person.filter(tells & keen & (age <= days)).drop_nulls().n_unique().log1p().alias(f"keen_people_{days}")
                for days in (14, 30, 90)
            ),
            light_30=_faded(30).filter(tells & ~keen).sum().log1p(),
            people_30=person.filter(tells & (age <= 30)).drop_nulls().n_unique().log1p(),
            senior_60=person.filter(tells & senior & (age <= 60)).drop_nulls().n_unique().log1p(),
            acts_30=(age <= 30).sum(),
        )
    )
    day = pl.lit(at)
    year_ago = at - timedelta(days=365)
    had = (
        deals.lazy()
        .filter(pl.col("created_on") < at)
        .group_by("account_id")
        .agg(
            has_open=(pl.col("closed_on").is_null() | (pl.col("closed_on") >= day)).any(),
            customer=((pl.col("outcome") == "won") & (pl.col("closed_on") < day)).any(),
            lost_before=((pl.col("outcome") == "lost") & pl.col("closed_on").is_between(year_ago, day, "left")).any(),
        )
    )
    employees = pl.col("employees")
    return (
        accounts.lazy()
        .select(
            "account_id",
            size_unknown=employees.is_null(),
            below_50=employees < 50,
            below_250=employees.is_between(50, 249),
            from_1000=employees >= 1_000,
        )
        .join(done, on="account_id", how="left", maintain_order="left")
        .join(had, on="account_id", how="left", maintain_order="left")
        .select(
            "account_id",
            *(pl.col(name).cast(pl.Float64).fill_null(0.0) for name in names_of(kinds)),
            pl.col("acts_30").fill_null(0),
            pl.col("has_open").fill_null(value=False),
        )
        .collect()
    )


def _faded(half_life_days: float) -> pl.Expr:
    return (-(pl.col("age") - 1) / half_life_days * math.log(2)).exp()


def reasons(model: InMarket, row: Mapping[str, Any], most: int = 4) -> list[tuple[str, float]]:
    """
    What moves one row of features most, against the average account: (theme, times the odds), the strongest first.
    """
    learnt = model.model
    added: dict[str, float] = {}
    for name, mean, spread, weight in zip(learnt.names, learnt.means, learnt.spreads, learnt.coefficients, strict=True):
        theme = theme_of(name)
        added[theme] = added.get(theme, 0.0) + (row[name] - mean) / spread * weight * model.slope
    strongest = sorted(added.items(), key=lambda each: (-abs(each[1]), each[0]))
    return [(theme, math.exp(odds)) for theme, odds in strongest[:most]]
