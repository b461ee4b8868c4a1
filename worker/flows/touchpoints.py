"""
Carries activities and campaign members into touchpoints: classified by the rules, machines and doubles marked among all
touches of the persons concerned, accounts and deals noted for a new decision. Steps of the resolve flow.
"""

import polars as pl
from sqlalchemy import Connection

from worker.core.touchpoints.classify import classify
from worker.core.touchpoints.duplicates import standing
from worker.core.touchpoints.members import as_activities
from worker.flows.run import Run
from worker.store import dues, golden, matching, touches


def activities(run: Run, connection: Connection, keys: list[str]) -> None:
    """
    Classify changed activities.
    """
    native = touches.activities(connection, golden.split_keys(keys))
    _save(run, connection, keys, classify(native, run.rules.touchpoints))


def members(run: Run, connection: Connection, keys: list[str]) -> None:
    """
    Classify changed campaign members.
    """
    native = touches.members(connection, golden.split_keys(keys))
    dated = as_activities(native, run.rules.touchpoints.members, run.rules.zone)
    _save(run, connection, keys, classify(dated, run.rules.touchpoints))


def campaigns(_run: Run, connection: Connection, keys: list[str]) -> None:
    """
    A campaign's name, type or link changed: its activities and members are classified again.
    """
    acts, memberships = touches.touches_of_campaigns(connection, golden.split_keys(keys))
    dues.note(connection, "resolve", "activity", acts)
    dues.note(connection, "resolve", "member", memberships)


def users(_run: Run, connection: Connection, keys: list[str]) -> None:
    """
    A user's department or title changed: whose team an act was may have changed with it.
    """
    dues.note(connection, "resolve", "activity", touches.touches_of_users(connection, golden.split_keys(keys)))


def of_people(run: Run, connection: Connection, keys: list[str]) -> None:
    """
    Look again at all touches of these persons, and have their accounts and deals decided again.
    """
    person_ids = [int(key) for key in keys]
    acts = touches.of_people(connection, person_ids)
    touches.save_standing(connection, standing(acts, run.rules.touchpoints))
    dues.note(connection, "engage", "account", matching.accounts_of(connection, person_ids))
    dues.note(connection, "attribute", "opportunity", matching.deals_of(connection, person_ids))
    dues.note(connection, "originate", "person", acts["person_id"].unique().to_list())


def _save(run: Run, connection: Connection, keys: list[str], touchpoints: pl.DataFrame) -> None:
    before = touches.owners(connection, keys)
    changed = touches.save(connection, keys, touchpoints)
    after = touchpoints.filter(pl.col("touch_id").is_in(changed))
    left = {before[touch_id] for touch_id in changed if touch_id in before}
    refs = {*left, *after.select("source", "person_ref").drop_nulls().iter_rows()}
    accounts = after.select("source", "account_ref").drop_nulls()
    dues.note(connection, "resolve", "person_touches", touches.people_of(connection, sorted(refs)))
    dues.note(connection, "engage", "account", touches.accounts_of_refs(connection, list(accounts.iter_rows())))
    run.count("touches changed", len(changed))
