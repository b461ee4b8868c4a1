"""
Which acts were a machine's, and which of two records of the same act stands.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import polars as pl
import pytest

from worker.core.frames import INSTANT
from worker.core.touchpoints.classify import FLAGGED_BY_PLATFORM, TOUCHPOINT
from worker.core.touchpoints.duplicates import SEVERAL_LINKS, standing
from worker.core.touchpoints.rules import Attributes, MachineRules, TouchpointRules

SENT_AT = datetime(2026, 6, 2, 9, 0, 0, tzinfo=UTC)
RULES = TouchpointRules(
    version=1,
    types={},
    attributes=Attributes((), (), (), {}),
    machines=MachineRules(within_seconds_of_delivery=60, links_in_one_second_count=2),
    touches=(),
    channels=(),
    offers=(),
    mediums={},
    same_touch_hours=24,
)


def touch(touch_id: str, seconds: float = 0, **known: Any) -> dict[str, Any]:
    row = dict.fromkeys(TOUCHPOINT) | {
        "touch_id": touch_id,
        "source": "marketo",
        "occurred_at": SENT_AT + timedelta(seconds=seconds),
        "type": "email_click",
        "campaign_key": "marketo:7",
        "person_id": 1,
    }
    return row | known


def judged(touches: Sequence[dict[str, Any]]) -> dict[str, tuple[str | None, str | None]]:
    frame = pl.DataFrame(touches, schema={**TOUCHPOINT, "person_id": pl.Int64, "occurred_at": INSTANT})
    rows = standing(frame, RULES)
    assert rows.height == len(touches)
    return {row["touch_id"]: (row["machine"], row["duplicate_of"]) for row in rows.iter_rows(named=True)}


def machines(*touches: dict[str, Any]) -> set[str]:
    return {touch_id for touch_id, (machine, _) in judged(touches).items() if machine}


DELIVERED = touch("delivered", type="email_delivered")


@pytest.mark.parametrize(("seconds", "is_machine"), [(0, True), (60, True), (61, False), (-1, False)])
def test_a_click_within_a_minute_of_delivery_is_a_machines(seconds: int, is_machine: bool) -> None:
    assert ("click" in machines(DELIVERED, touch("click", seconds))) is is_machine


def test_a_quick_click_in_another_mail_or_by_somebody_else_is_a_persons() -> None:
    assert machines(DELIVERED, touch("click", 5, campaign_key="marketo:8")) == set()
    assert machines(DELIVERED, touch("click", 5, person_id=2)) == set()


def test_several_links_in_one_second_are_a_machines_and_in_two_seconds_a_persons() -> None:
    assert machines(touch("a", 600.1), touch("b", 600.9)) == {"a", "b"}
    assert machines(touch("a", 600.9), touch("b", 601.1)) == set()
    assert judged([touch("a", 600.1), touch("b", 600.9)])["a"][0] == SEVERAL_LINKS


def test_a_form_in_the_same_second_as_a_click_is_nobodys_machine() -> None:
    assert machines(touch("click", 600), touch("form", 600, type="form")) == set()


def test_the_platforms_own_flag_stands() -> None:
    assert judged([touch("bot", 9_999, machine=FLAGGED_BY_PLATFORM)])["bot"][0] == FLAGGED_BY_PLATFORM


def test_what_was_held_to_be_a_machines_is_a_persons_again_when_its_neighbour_goes() -> None:
    assert machines(touch("a", 600.1, machine=SEVERAL_LINKS)) == set()
    form = touch("form", 600, type="form", machine=SEVERAL_LINKS)
    assert machines(form) == set()


def two_routes(hours: float, **other: Any) -> dict[str, tuple[str | None, str | None]]:
    seen = touch("platform", type="webinar_attended", campaign_key="salesforce:701")
    member = touch(
        "member",
        hours * 3_600,
        type="webinar_attended",
        campaign_key="salesforce:701",
        source="salesforce",
    )
    return judged([member | other, seen])


def test_an_act_that_came_by_two_routes_counts_once_and_the_earliest_stands() -> None:
    assert two_routes(24)["member"][1] == "platform"
    assert two_routes(24)["platform"][1] is None
    assert two_routes(-24)["platform"][1] == "member"
    assert two_routes(24.01)["member"][1] is None


@pytest.mark.parametrize(
    "other",
    [
        {"type": "form"},
        {"campaign_key": "salesforce:702"},
        {"person_id": 2},
        {"source": "marketo"},
        {"campaign_key": None},
    ],
)
def test_acts_that_differ_in_kind_campaign_or_person_are_two(other: dict[str, Any]) -> None:
    assert two_routes(1, **other)["member"][1] is None


def test_two_acts_that_both_came_by_both_routes_stay_two() -> None:
    rows = [
        touch(f"{source}-{hour}", hour * 3_600, type="form", source=source)
        for source in ("marketo", "salesforce")
        for hour in (0, 30)
    ]
    kept = [touch_id for touch_id, (_, stands) in judged(rows).items() if stands is None]
    assert len(kept) == 2


def test_the_order_in_which_touches_come_does_not_matter() -> None:
    rows = [
        touch(f"{source}-{number}", number * 40_000, type="form", source=source)
        for source in ("marketo", "salesforce", "events")
        for number in range(6)
    ]
    expected = judged(rows)
    seed = 41
    print(f"seed {seed}")  # noqa: T201 - to bring a failure back
    random = Random(seed)
    for _ in range(20):
        random.shuffle(rows)
        assert judged(rows) == expected


def test_nothing_in_is_nothing_out() -> None:
    frame = pl.DataFrame(schema={**TOUCHPOINT, "person_id": pl.Int64})
    assert standing(frame, RULES).is_empty()
