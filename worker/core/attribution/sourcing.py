"""
Decides a deal's source where an administrator has set its sourcing team: which statement holds, and which channel and
offer go with it.

``path`` finds the source by the touches. Pure; called by the attribution and as-of flows.
"""

from datetime import datetime
from typing import Final

import polars as pl

from worker.core.attribution.journey import find_candidates, follow, in_path_order, number_deals
from worker.core.attribution.rules import AttributionRules
from worker.core.columns import constant
from worker.core.frames import INSTANT, Schema

# What an administrator said of one deal.
STATEMENT: Final[Schema] = {
    "opportunity_id": pl.Int64,
    "override_id": pl.Int64,  # grows with time
    "team": pl.String,  # null: what the touches say
    "channel": pl.String,  # null: that of the team's first touch
    "said_at": INSTANT,
}

# The source of a deal whose sourcing team was set.
OVERRIDE: Final[Schema] = {
    "opportunity_id": pl.Int64,
    "override_id": pl.Int64,
    "team": pl.String,
    "channel": pl.String,
    "offer": pl.String,
    "said_at": INSTANT,
}

# The channel where the team has no touch up to creation, and none was named.
BY_HAND: Final = "Set by an administrator"


def in_force(said: pl.DataFrame) -> pl.DataFrame:
    """
    The last STATEMENT of each deal, by deal; of those that give the touches' answer back there is none.
    """
    last = said.sort("override_id").unique("opportunity_id", keep="last").filter(pl.col("team").is_not_null())
    return last.select(list(STATEMENT)).sort("opportunity_id")


def with_openings(
    statements: pl.DataFrame,
    deals: pl.DataFrame,
    people: pl.DataFrame,
    touches: pl.DataFrame,
    rules: AttributionRules,
    *,
    as_of: datetime,
) -> pl.DataFrame:
    """
    OVERRIDE of statements that are in force: channel and offer are those of the team's first touch up to the deal's
    creation, as they would be had no other team touched it before. A channel that was named stands without an offer;
    with neither, BY_HAND. ``deals``, ``people`` and ``touches`` as for ``build_paths``.
    """
    numbered = number_deals(deals.join(statements, on="opportunity_id", how="semi"), as_of)
    found, _ = follow(numbered, find_candidates(numbered, people, rules), touches, rules)
    journeys = in_path_order(numbered, found)
    said = touches.select("team", "channel", "offer")[journeys["touch"]].rename(lambda name: f"touch_{name}")
    first = (
        journeys.select("row", "occurred_at")
        .hstack(said)
        .join(numbered.select("row", "opportunity_id", "created_at"), on="row", maintain_order="left")
        .join(statements.select("opportunity_id", "team"), on="opportunity_id", maintain_order="left")
        .filter((pl.col("touch_team") == pl.col("team")) & (pl.col("occurred_at") <= pl.col("created_at")))
        .unique("opportunity_id", keep="first", maintain_order=True)
        .select("opportunity_id", "touch_channel", "touch_offer")
    )
    return (
        statements.join(first, on="opportunity_id", how="left", maintain_order="left")
        .with_columns(
            offer=pl.when(pl.col("channel").is_null()).then("touch_offer"),
            channel=pl.coalesce("channel", "touch_channel", pl.lit(BY_HAND)),
        )
        .select(pl.col(name).cast(kind) for name, kind in OVERRIDE.items())
    )


def overridden(decided: pl.DataFrame, overrides: pl.DataFrame) -> pl.DataFrame:
    """
    ``decided`` (opportunity_id, source_team, source_channel, source_offer and more) with the source of OVERRIDE where
    there is one, and ``overridden``: JSON of the override's id and of what the touches say, null elsewhere.
    """
    if overrides.is_empty():
        return decided.hstack([constant(None, decided.height, pl.String).alias("overridden")])
    is_set = pl.col("override_id").is_not_null()
    by_touches = pl.struct(
        pl.col("override_id").alias("id"),
        *(pl.col(f"source_{name}").alias(name) for name in ("team", "channel", "offer")),
    )
    return (
        decided.join(overrides.drop("said_at"), on="opportunity_id", how="left", maintain_order="left")
        .with_columns(
            *(
                pl.when(is_set).then(name).otherwise(f"source_{name}").alias(f"source_{name}")
                for name in ("team", "channel", "offer")
            ),
            overridden=pl.when(is_set).then(by_touches.struct.json_encode()),
        )
        .select(*decided.columns, "overridden")
    )
