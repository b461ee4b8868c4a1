"""
When a plan waits for a person because it would change unusually much.
"""

from decimal import Decimal

from worker.core.reconcile.guard import PlanSize, why_held
from worker.core.reconcile.rules import WriteRules

RULES = WriteRules({}, {}, {}, guard_percent=Decimal(5), guard_flips=200, guard_floor_records=20)


def held(**sizes: PlanSize) -> str | None:
    return why_held(sizes, RULES)


def test_a_few_records_go_out_however_few_there_are() -> None:
    assert held(Account=PlanSize(20, 20, 20)) is None


def test_more_than_five_percent_of_an_object_waits_and_says_both_numbers() -> None:
    assert held(Account=PlanSize(51, 0, 1_000)) == (
        "51 of 1,000 Account records would change (5.1 %, the limit is 5 %)"
    )
    assert held(Account=PlanSize(50, 0, 1_000)) is None


def test_more_than_two_hundred_flags_turning_waits() -> None:
    assert held(Account=PlanSize(201, 201, 100_000)) == "201 flags on Account would turn (the limit is 200)"
    assert held(Account=PlanSize(201, 200, 100_000)) is None


def test_an_object_of_which_nothing_is_known_to_be_there_waits() -> None:
    assert "would change" in (held(Lead=PlanSize(21, 0, 0)) or "")


def test_one_object_too_many_holds_the_plan() -> None:
    reason = held(Account=PlanSize(1, 0, 1_000), Lead=PlanSize(600, 0, 1_000))
    assert reason is not None
    assert "Lead" in reason


def test_what_an_object_gets_for_the_first_time_waits_however_small_a_part_it_is() -> None:
    assert held(Lead=PlanSize(21, 0, 1_000_000, is_first=True)) == (
        "21 Lead records would be made or changed for the first time"
    )
    assert held(Lead=PlanSize(20, 0, 1_000_000, is_first=True)) is None
