"""
Looks back: of the accounts that were engaged on a past day, how many opened an opportunity in the 90 days from then on,
against accounts of the same fit that were not?

The flags are replayed by the rules in force, week by week with their memory (who was held stays held), from acts up to
that day only. The unflagged are weighed by the flagged accounts' mix of fit, so that a list of good companies does not
pass for good timing. Called by the backtest command.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

import polars as pl

from worker.core.engagement.flags import conclude, measured, score, typed_accounts
from worker.core.engagement.in_market import HORIZON_DAYS
from worker.core.engagement.rules import EngagementRules

REPLAY_WEEKS: Final = 13
UNKNOWN: Final = "unknown"


@dataclass(frozen=True)
class Backtest:
    """
    ``bands``: one row a fit band with flagged, flagged_opened, unflagged, unflagged_opened. ``precision`` is the share
    of the flagged that opened, ``expected`` that of the unflagged at the same mix of fit, ``lift`` the one by the other
    (None where the other is 0). ``openings_found`` is the share of all openings that had been flagged.
    """

    on: date
    bands: list[dict[str, Any]]
    flagged: int
    opened: int
    precision: float | None
    expected: float | None
    lift: float | None
    openings_found: float | None


def replay(accounts: pl.DataFrame, acts: pl.DataFrame, rules: EngagementRules, *, on: date) -> pl.DataFrame:
    """
    account_id and engaged as they would have stood at the end of the day ``on``. Frames as ``flags.flag`` takes them;
    acts after that day do not count. A rule for targets only is replayed as if everybody were one: who was on which
    list then is not known of every day.
    """
    end = datetime.combine(on, time(23, 59, 59), UTC)
    typed = typed_accounts(accounts).with_columns(was_engaged=pl.lit(value=False), is_target=pl.lit(value=True))
    for weeks in reversed(range(REPLAY_WEEKS)):
        now = end - timedelta(weeks=weeks)
        sums = measured(score(typed, acts, rules, now=now).acts, rules)
        found = conclude(typed, sums, rules, now=now)
        typed = typed.drop("was_engaged", "engaged_since_at").join(
            found.select("account_id", was_engaged="engaged", engaged_since_at="since_at"),
            on="account_id",
            maintain_order="left",
        )
    return typed.select("account_id", engaged="was_engaged")


def compare(flagged: pl.DataFrame, deals: pl.DataFrame, *, on: date) -> Backtest:
    """
    The answer for ``flagged`` (account_id, engaged, fit_band) and the deals (account_id, created_on, closed_on) of
    these accounts. Accounts with an open opportunity on that day are left out: theirs was opened already.
    """
    after = on + timedelta(days=HORIZON_DAYS)
    was_open = deals.filter((pl.col("created_on") <= on) & (pl.col("closed_on").is_null() | (pl.col("closed_on") > on)))
    soon = deals.filter((pl.col("created_on") > on) & (pl.col("created_on") <= after))
    asked = flagged.join(was_open.select("account_id"), on="account_id", how="anti").with_columns(
        fit_band=pl.col("fit_band").fill_null(UNKNOWN),
        opened=pl.col("account_id").is_in(soon["account_id"].unique().implode()),
    )
    engaged, opened = pl.col("engaged"), pl.col("opened")
    bands = (
        asked.group_by("fit_band")
        .agg(
            flagged=engaged.sum(),
            flagged_opened=(engaged & opened).sum(),
            unflagged=(~engaged).sum(),
            unflagged_opened=(~engaged & opened).sum(),
        )
        .sort("fit_band")
        .to_dicts()
    )
    count = sum(band["flagged"] for band in bands)
    hits = sum(band["flagged_opened"] for band in bands)
    expected = _expected(bands)
    openings = int(asked["opened"].sum())
    precision = hits / count if count else None
    return Backtest(
        on=on,
        bands=bands,
        flagged=count,
        opened=hits,
        precision=precision,
        expected=expected,
        lift=precision / expected if precision is not None and expected else None,
        openings_found=hits / openings if openings else None,
    )


def _expected(bands: list[dict[str, Any]]) -> float | None:
    """
    What the unflagged opened, at the flagged accounts' mix of fit; bands without unflagged accounts are left out.
    """
    compared = [band for band in bands if band["flagged"] and band["unflagged"]]
    weight = sum(band["flagged"] for band in compared)
    if not weight:
        return None
    return float(sum(band["flagged"] * _rate(band) for band in compared) / weight)


def _rate(band: Mapping[str, Any]) -> float:
    return float(band["unflagged_opened"] / band["unflagged"])
