"""
Reads acts back as other rules, or another moment, would have them: classified in memory, machines and doubles told
apart. Saves nothing. Called by the preview and as-of flows.
"""

from collections.abc import Sequence

import polars as pl
from sqlalchemy import Connection

from worker.core.frames import TOUCH
from worker.core.rules import Rules
from worker.core.touchpoints.classify import classify
from worker.core.touchpoints.duplicates import standing
from worker.core.touchpoints.members import as_activities
from worker.store import past, touches
from worker.store.decisions import ACT_FACTS


def classified(connection: Connection, kind: str, golden_ids: Sequence[int], rules: Rules) -> pl.DataFrame:
    """
    TOUCHPOINT with OWNED (golden_id, seen_at): what these rules make of all that these persons, or (kind ``account``)
    these accounts themselves, did; machines and doubles among them.
    """
    native = [touches.activities_of(connection, kind, golden_ids)]
    if kind == "person":
        members = touches.members_of(connection, golden_ids)
        owned = members.select("touch_id", *touches.OWNED)
        dated = as_activities(members, rules.touchpoints.members, rules.zone)
        native.append(dated.join(owned, on="touch_id", maintain_order="left"))
    acts = pl.concat(native)
    owned = acts.select("touch_id", *touches.OWNED)
    return classify(acts.drop(*touches.OWNED), rules.touchpoints).join(owned, on="touch_id", maintain_order="left")


def that_stand(acts: pl.DataFrame, rules: Rules) -> pl.DataFrame:
    """
    The acts of persons (``classified``) that are no machine's and stand for themselves, among those given.
    """
    judged = standing(acts.rename({"golden_id": "person_id"}), rules.touchpoints)
    stand = judged.filter(pl.col("machine").is_null() & pl.col("duplicate_of").is_null())
    return acts.join(stand.select("touch_id"), on="touch_id", how="semi").sort("touch_id")


def as_touches(acts: pl.DataFrame) -> pl.DataFrame:
    """
    TOUCH of acts of persons.
    """
    return acts.rename({"golden_id": "person_id"}).select(pl.col(name).cast(kind) for name, kind in TOUCH.items())


def as_facts(people: pl.DataFrame, of_people: pl.DataFrame, of_accounts: pl.DataFrame) -> pl.DataFrame:
    """
    ACT_FACTS of acts that stand, of persons (PERSON_FACTS) and of accounts themselves.
    """
    own = of_people.rename({"golden_id": "person_id"}).join(people, on="person_id")
    lone = of_accounts.filter(pl.col("machine").is_null()).rename({"golden_id": "account_id"})
    return (
        pl.concat([own, lone], how="diagonal_relaxed")
        .rename({"touch_id": "act_id"})
        .with_columns(
            opted_out=pl.col("opted_out").fill_null(value=False),
            is_new=pl.lit(value=False),
        )
        .select(pl.col(name).cast(kind) for name, kind in ACT_FACTS.items())
        .sort("account_id", "occurred_at", "act_id")
    )


def facts_of(connection: Connection, account_ids: Sequence[int], rules: Rules) -> pl.DataFrame:
    """
    ACT_FACTS of these accounts as these rules would have them.
    """
    people = people_of(connection, account_ids, rules)
    acts = that_stand(classified(connection, "person", people["person_id"].to_list(), rules), rules)
    return as_facts(people, acts, classified(connection, "account", account_ids, rules))


def people_of(connection: Connection, account_ids: Sequence[int], rules: Rules) -> pl.DataFrame:
    """
    PERSON_FACTS of these accounts' people, opted out by these rules.
    """
    tracking = rules.tracking
    return past.people_of(
        connection, account_ids, opt_out_fields=tracking.opt_out_fields, email_opt_out=tracking.email_opt_out
    )
