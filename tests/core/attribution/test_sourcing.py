"""
A sourcing team that an administrator has set: which statement holds, and what goes with it.
"""

import json
from typing import Any

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from tests.core.attribution.worlds import World, day, deal_row, worlds
from worker.core.attribution import AttributionRules, build_paths, sentences
from worker.core.attribution.sourcing import BY_HAND, STATEMENT, in_force, overridden, with_openings
from worker.core.frames import INSTANT

RULES = AttributionRules(version="3")
TEAMS = ("marketing", "sales", "partner", "customer_success")


AS_OF = day(11, 18)
WEBINAR = ("a", day(6, 2), "webinar_attended", "Webinar", "Cost Control", "marketing")
CALL = ("b", day(6, 20), "call", "Sales outreach", None, "sales")
MEETING = ("c", day(7, 1), "meeting", "Sales outreach", "First talk", "sales")
LATE_PARTNER = ("d", day(8, 1), "campaign_response", "Partner", "Fair", "partner")


def said(*statements: tuple[int, str | None, str | None], deal: int = 1) -> pl.DataFrame:
    rows = [(deal, number, team, channel, day(9, number)) for number, team, channel in statements]
    return pl.DataFrame(rows, schema=STATEMENT, orient="row")


def world(*touches: tuple[Any, ...]) -> World:
    columns = ("touch_id", "occurred_at", "type", "channel", "offer", "team")
    return World(
        [deal_row(1, day(7, 20), day(9, 1))],
        [{"opportunity_id": 1, "person_id": 1, "role": "User", "is_primary": False, "lead_created_at": day(6, 3)}],
        [{"person_id": 1, "campaign": None} | dict(zip(columns, touch, strict=True)) for touch in touches],
        [],
    )


def source_of(told: World, statements: pl.DataFrame) -> dict[str, Any]:
    deals, people, touches, _ = told.frames()
    overrides = with_openings(in_force(statements), deals, people, touches, RULES, as_of=AS_OF)
    paths = build_paths(deals, people, touches, RULES, as_of=AS_OF)
    why = sentences(paths, touches, RULES, model="w", overrides=overrides)["why"].item()
    names = ("opportunity_id", "source_team", "source_channel", "source_offer")
    (row,) = overridden(paths.deals.select(names), overrides).to_dicts()
    return row | {"why": why, "overridden": json.loads(row["overridden"]) if row["overridden"] else None}


def test_the_last_word_of_an_administrator_holds() -> None:
    statements = said((1, "sales", None), (3, "partner", None), (2, "marketing", None))
    assert in_force(statements)["team"].to_list() == ["partner"]
    assert in_force(said((1, "sales", None), (2, None, None))).is_empty()


def test_channel_and_offer_are_those_of_the_teams_own_first_touch() -> None:
    source = source_of(world(MEETING, WEBINAR, CALL), said((7, "sales", None)))
    assert (source["source_team"], source["source_channel"], source["source_offer"]) == (
        "sales",
        "Sales outreach",
        None,
    )
    assert source["overridden"] == {"id": 7, "team": "marketing", "channel": "Webinar", "offer": "Cost Control"}


def test_a_team_without_a_touch_before_creation_is_said_to_be_set_by_hand() -> None:
    source = source_of(world(WEBINAR, LATE_PARTNER), said((1, "partner", None)))
    assert (source["source_channel"], source["source_offer"]) == (BY_HAND, None)


def test_a_channel_that_was_named_stands_and_brings_no_offer_of_another() -> None:
    source = source_of(world(WEBINAR, MEETING), said((1, "sales", "Fair in Lyon")))
    assert (source["source_channel"], source["source_offer"]) == ("Fair in Lyon", None)


def test_a_deal_without_any_touch_can_be_set_too() -> None:
    source = source_of(world(), said((1, "customer_success", None)))
    assert (source["source_team"], source["source_channel"]) == ("customer_success", BY_HAND)
    assert source["overridden"]["team"] == "none"
    assert source["why"].startswith("Source set to customer success by an administrator 1 Sep 2026; no touch before")


def test_the_sentence_says_that_it_was_set_by_an_administrator_and_still_what_opened_the_deal() -> None:
    source = source_of(world(WEBINAR), said((1, "sales", None)))
    assert source["why"] == (
        "Source set to sales by an administrator 1 Sep 2026; opened by webinar Cost Control 2 Jun 2026; no marketing "
        "touch at close. W v3, 1 person by role."
    )


def test_without_a_statement_nothing_is_said_and_nothing_set() -> None:
    source = source_of(world(WEBINAR), said())
    assert (source["source_team"], source["overridden"]) == ("marketing", None)
    assert "administrator" not in source["why"]


@given(worlds(), st.data())
def test_every_deal_keeps_exactly_one_team_whatever_is_set(told: World, data: st.DataObject) -> None:
    """
    So the teams add up to all of the pipeline. And to set what the touches say anyway changes no channel and no offer.
    """
    deals, people, touches, _ = told.frames()
    paths = build_paths(deals, people, touches, RULES, as_of=told.as_of)
    names = ("opportunity_id", "source_team", "source_channel", "source_offer")
    by_touches = paths.deals.select(names)
    teams = {number: data.draw(st.sampled_from([None, *TEAMS])) for number in by_touches["opportunity_id"]}
    rows = [(number, 1, team, None, told.as_of) for number, team in teams.items()]
    statements = in_force(pl.DataFrame(rows, schema=STATEMENT, orient="row"))
    decided = overridden(by_touches, with_openings(statements, deals, people, touches, RULES, as_of=told.as_of))
    assert decided["opportunity_id"].to_list() == by_touches["opportunity_id"].to_list()
    assert decided["source_channel"].dtype == pl.String
    for was, now in zip(by_touches.iter_rows(named=True), decided.iter_rows(named=True), strict=True):
        wanted = teams[was["opportunity_id"]]
        assert now["source_team"] == (wanted or was["source_team"])
        if wanted in (None, was["source_team"]):
            assert {name: now[name] for name in names} == was
        assert (now["overridden"] is None) == (wanted is None)


def test_instants_are_kept_as_they_were_said() -> None:
    assert in_force(said((1, "sales", None))).schema["said_at"] == INSTANT
