"""
Accounts as they stood at a past moment, for the reports: standings and turns as they were noted, flags decided again
where they moved since. A batch of accounts at a time; writes nothing.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final, NamedTuple

import polars as pl

from worker.core.engagement.standing import Stood
from worker.core.frames import INSTANT
from worker.flows.as_of import Hindsight, Moment
from worker.flows.replay import AccountsPast, Replayed, flags_as_known_now, flags_as_known_then, known_now_from
from worker.store import past, reports
from worker.store.reports import ACCOUNT_ROW, Horizon

# So many accounts are decided again at a time, to keep memory flat.
AT_A_TIME: Final = 2_000
EVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
STANDING: Final = ("tier", "fit_band", "stage", "in_profile", "qualified")
BOOLEANS: Final = frozenset({"in_profile", "qualified"})
FLAG: Final = ("engaged", "band", "points", "people_count", "since_at", "until_at")


class Flags(NamedTuple):
    """
    ``accounts``: ACCOUNT_ROW; ``turns``: account_id, account, at, engaged.
    """

    accounts: pl.DataFrame
    turns: pl.DataFrame


def flags_at(hindsight: Hindsight, moment: Moment, horizon: Horizon, seen_by: datetime) -> Flags:
    """
    Every account at a moment. What had been decided by then stands, and is decided again only where it is not stored
    any more. If all that is known now counts, an account of which something came late is replayed. ``seen_by`` is the
    moment by the database's clock.
    """
    connection = hindsight.connection
    rows = _as_noted(reports.accounts(connection, horizon), past.standing_then(connection, moment.at))
    turns = reports.engagement_turns(connection, EVER, horizon)
    late = [] if moment.known_then else past.with_news(connection, Horizon(moment.at, seen_by))
    moved = past.decided_at(connection).filter(pl.col("decided_at") > moment.at)["account_id"].to_list()
    for ids in _batches(rows, {*moved} - {*late}):
        stood = flags_as_known_then(hindsight, AccountsPast(hindsight, ids), moment.at)
        rows = _told(rows, stood, FLAG)
    for ids in _batches(rows, {*late}):
        found = flags_as_known_now(hindsight, AccountsPast(hindsight, ids), moment.at)
        rows = _told(rows, found.stood, (*FLAG, *STANDING))
        turns = _turned(turns, found, rows.select("account_id", "account"), known_now_from(hindsight, moment.at))
    return Flags(_first_engaged(rows, turns), turns.sort("at", "account_id"))


def _batches(rows: pl.DataFrame, wanted: set[int]) -> Iterator[list[int]]:
    ids = [number for number in rows["account_id"].sort().to_list() if number in wanted]
    for start in range(0, len(ids), AT_A_TIME):
        yield ids[start : start + AT_A_TIME]


def _as_noted(rows: pl.DataFrame, then: pl.DataFrame) -> pl.DataFrame:
    """
    The accounts with their standing as it was before the first change since (``store.past.standing_then``).
    """
    for name in STANDING:
        value = pl.col("value")
        typed = (value == "true").fill_null(value=False) if name in BOOLEANS else value
        noted = then.filter(pl.col("what") == name).select("account_id", typed.alias(name))
        rows = rows.update(noted, on="account_id", include_nulls=True)
    return rows


def _told(rows: pl.DataFrame, stood: Stood, names: tuple[str, ...]) -> pl.DataFrame:
    """
    The accounts with these columns as they were decided again.
    """
    decided = stood.flags.join(stood.standings.drop("detail"), on="account_id").with_columns(
        points=(pl.col("points_milli") / 1000).round(3)
    )
    told = decided.select("account_id", *(pl.col(name).cast(ACCOUNT_ROW[name]) for name in names))
    return rows.update(told, on="account_id", include_nulls=True)


def _turned(turns: pl.DataFrame, found: Replayed, names: pl.DataFrame, since: datetime) -> pl.DataFrame:
    """
    The turns with those of the replayed accounts in the place of what was noted of them since a moment.
    """
    replayed = found.stood.flags["account_id"]
    kept = turns.filter((pl.col("at") < since) | ~pl.col("account_id").is_in(replayed.implode()))
    own = found.turns.join(names, on="account_id").with_columns(pl.col("at").cast(INSTANT))
    return pl.concat([kept, own.select(turns.columns)])


def _first_engaged(rows: pl.DataFrame, turns: pl.DataFrame) -> pl.DataFrame:
    """
    The accounts with the first turn to engaged that is told of them.
    """
    first = turns.filter("engaged").group_by("account_id").agg(first_at=pl.col("at").min())
    return (
        rows.join(first, on="account_id", how="left", maintain_order="left")
        .with_columns(first_engaged_at=pl.min_horizontal("first_at", pl.when("engaged").then("since_at")))
        .drop("first_at")
    )
