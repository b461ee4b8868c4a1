"""
The made-up market's hidden interest: the chances that the generator states are those by which it goes, and they show in
what people do.
"""

from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise
from random import Random

import pytest

from worker.practice.company import Company, Ref, generate
from worker.practice.company.interest import BUYING, STAGES, Interest, live

SEED = 20_261_118
FIRST, LAST = date(2025, 1, 1), date(2026, 6, 30)
ASKED = date(2026, 3, 1)
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@cache
def lives(appetite: float) -> list[tuple[Interest, list[date]]]:
    """
    Four thousand firms, and the days on which each opened an opportunity; each stays open for forty days.
    """
    print(f"seed {SEED}")  # noqa: T201 - to bring a failure back
    random = Random(SEED)
    found = []
    for _ in range(4_000):
        opened: list[date] = []

        def opens(on: date, _state: str, opened: list[date] = opened) -> date:
            opened.append(on)
            return on + timedelta(days=40)

        found.append((live(random, appetite, FIRST, LAST, opens), opened))
    return found


@cache
def company() -> Company:
    return generate(7, NOW)


@pytest.mark.parametrize("appetite", [0.4, 1.0, 2.0])
def test_what_is_said_of_ninety_days_is_what_comes_in_each_state(appetite: float) -> None:
    by_state: dict[str, list[tuple[float, bool]]] = defaultdict(list)
    for firm, opened in lives(appetite):
        soon = any(ASKED <= on < ASKED + timedelta(days=90) for on in opened)
        by_state[firm.state(ASKED)].append((firm.chance(ASKED, 90), soon))
    assert set(by_state) == {*STAGES, BUYING}
    for state in STAGES:
        said = by_state[state][0][0]
        assert {chance for chance, _ in by_state[state]} == {said}
        came = sum(soon for _, soon in by_state[state])
        spread = (len(by_state[state]) * said * (1 - said)) ** 0.5
        assert abs(came - len(by_state[state]) * said) <= 3.5 * spread, state


def test_one_days_chance_is_the_hazard_and_the_nearer_the_higher() -> None:
    firms = {firm.state(ASKED): firm for firm, _ in lives(1.0)}
    assert [firms[state].hazard(ASKED) for state in STAGES] == [stage.opens for stage in STAGES.values()]
    for firm in firms.values():
        assert firm.chance(ASKED, 1) == pytest.approx(firm.hazard(ASKED))
    chances = [firms[state].chance(ASKED, 90) for state in STAGES]
    assert chances == sorted(chances)
    assert chances[-1] > 5 * chances[0]


def test_nothing_opens_while_another_one_is_open() -> None:
    for firm, opened in lives(1.0):
        for on in opened:
            assert firm.state(on) != BUYING
            for day in range(1, 41):
                if on + timedelta(days=day) <= LAST:
                    assert firm.hazard(on + timedelta(days=day)) == firm.chance(on + timedelta(days=day), 90) == 0
        assert all(later - earlier > timedelta(days=40) for earlier, later in pairwise(opened))


def test_journeys_are_all_days_that_are_not_calm() -> None:
    for firm, _ in lives(1.0)[:200]:
        told = {
            spell.first_on + timedelta(days=day): spell.state
            for journey in firm.journeys()
            for spell in journey
            for day in range((spell.last_on - spell.first_on).days + 1)
        }
        every = [firm.first_on + timedelta(days=day) for day in range(len(firm.states))]
        assert told == {on: firm.state(on) for on in every if firm.state(on) != "calm"}


def test_every_opportunity_opened_on_a_day_on_which_its_firm_was_free() -> None:
    made = company()
    opened = [record.fields for record in made.salesforce["Opportunity"] if record.fields["Type"] != "Renewal"]
    own = [fields for fields in opened if fields["AccountId"].key in made.interest]
    assert len(own) == len(opened) - 1, "all but the story's"
    for fields in own:
        on = date.fromisoformat(fields["CreatedDate"][:10])
        assert made.interest[fields["AccountId"].key].hazard(on) > 0, fields


def test_who_is_nearer_reads_more_and_asks_for_prices() -> None:
    made = company()
    days: Counter[str] = Counter()
    for interest in made.interest.values():
        days.update(interest.states)
    acts: Counter[tuple[str, str]] = Counter()
    firms = {person["id"]: person.get("sfdcAccountId") for person in made.people}
    for activity in made.activities:
        firm = firms.get(activity["leadId"])
        if isinstance(firm, Ref) and firm.key in made.interest and activity["activityTypeId"] in {1, 2}:
            state = made.interest[firm.key].state(date.fromisoformat(str(activity["activityDate"])[:10]))
            asset = str(activity["primaryAttributeValue"])
            kind = "sales page" if asset.endswith(("/pricing", "/demo", "/roi-calculator")) else "other"
            acts[state, "form" if activity["activityTypeId"] == 2 else kind] += 1
    rate = {key: count / days[key[0]] for key, count in acts.items()}
    assert rate["calm", "sales page"] < rate["aware", "sales page"] < rate["researching", "sales page"]
    assert rate["researching", "sales page"] < rate["choosing", "sales page"]
    assert rate["aware", "form"] > 5 * rate["calm", "form"]
