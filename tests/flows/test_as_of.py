"""
What held at a past moment, and what changed since: held against what had really been decided then, on a virtual clock.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.flows.rules import folder_of, hindsight_of, in_force_with
from tests.flows.world import World
from tests.service import Running
from worker.core.timeline import Lens
from worker.flows.as_of import Credited, credit_as, credits_as
from worker.flows.replay import AccountsPast, engaged_of, flags_as_known_now, flags_as_known_then
from worker.flows.since import Since, credits_since, flag_since

pytestmark = pytest.mark.slow
DAY = 86_400
A_MOMENT = timedelta(seconds=10)
NEWSLETTER = {"attribution.yaml": "mediums: {newsletter: Newsletter}\n"}


@pytest.fixture
def service(own_service: Running) -> Running:
    return own_service


class Scene:
    """
    An account with two people and a deal, read once.
    """

    def __init__(self, service: Running, name: str) -> None:
        self.service, self.world = service, World(service, name)
        self.account = self.world.account(NumberOfEmployees=500)
        self.ada = self.world.contact(self.account, "Ada", Title="VP Finance")
        self.bob = self.world.contact(self.account, "Bob")
        self.people = [self.world.known(self.ada), self.world.known(self.bob)]
        for number, person in enumerate(self.people):
            self.world.form(person, 52 + number, "cpc")
            self.world.form(person, 3 + number, "organic", asset="Demo Request")
        self.deal = self.world.deal(self.account)
        self.world.role(self.deal, self.ada)
        service.cycle()

    def moment(self) -> datetime:
        """
        The present one, when all that was read has surely come: the two clocks are tied to each other by whole seconds.
        """
        return self.world.now + A_MOMENT

    def credits(self) -> list[tuple[Any, ...]]:
        """
        What is stored, as it can be compared.
        """
        return _in_order(self.service.why("opportunity", self.deal)["credits"])

    def flag(self) -> dict[str, Any]:
        answer = self.service.why("account", self.account)
        return _flag(answer["engagement"], answer["standing"])

    def credits_as(self, at: datetime, lens: Lens) -> Credited:
        with hindsight_of(self.service) as hindsight:
            deal = self.service.golden_id("opportunity", self.deal)
            found = credit_as(hindsight, deal, hindsight.rules_at(at), lens, at)
        assert found is not None
        return found

    def flag_as(self, at: datetime, *, known_then: bool) -> dict[str, Any]:
        with hindsight_of(self.service) as hindsight:
            account = AccountsPast(hindsight, [self.service.golden_id("account", self.account)])
            then, now = flags_as_known_then, flags_as_known_now
            stood = then(hindsight, account, at) if known_then else now(hindsight, account, at).stood
            found = engaged_of(stood, 0)
            return _flag(found.flag, found.standing)

    def flag_since(self, at: datetime) -> Since:
        with hindsight_of(self.service) as hindsight:
            return flag_since(hindsight, AccountsPast(hindsight, [self.service.golden_id("account", self.account)]), at)

    def credits_since(self, at: datetime) -> Since:
        with hindsight_of(self.service) as hindsight:
            return credits_since(hindsight, self.service.golden_id("opportunity", self.deal), at)

    def late_form(self, person: int, before: datetime, days: float, medium: str) -> None:
        """
        A form that was filled in so many days before an instant and comes now.
        """
        self.world.form(person, (self.world.now - before) / timedelta(days=1) + days, medium)


def come_late(service: Running, name: str, days: int) -> tuple[Scene, datetime]:
    """
    A scene and an instant of it: what was filled in 40 days before that instant came so many days after it.
    """
    scene = Scene(service, name)
    at = scene.moment()
    service.advance(days * DAY)
    scene.late_form(scene.people[0], at, 40, "newsletter")
    service.cycle()
    return scene, at


def _plain(models: Any) -> list[tuple[str, str, int | None]]:
    told = json.loads(models) if isinstance(models, str) else models
    return sorted((name, str(Fraction(each["share"])), each["units"]) for name, each in told.items())


def _in_order(rows: Iterable[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
    return sorted(
        (row["clock"], row["item"], str(row["touch_id"]), row["positions"], *_plain(row["models"])) for row in rows
    )


def comparable(credited: Credited) -> list[tuple[Any, ...]]:
    return _in_order(credited.credits)


def undecayed(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [tuple(cell for cell in row if cell[:1] != ("time_decay",)) for row in rows]


def _flag(flag: Mapping[str, Any], standing: Mapping[str, Any]) -> dict[str, Any]:
    names = ("engaged", "band", "points_milli", "people_count", "why")
    return {name: flag[name] for name in names} | {name: standing[name] for name in ("stage", "qualified")}


def linear(credited: Credited | None, clock: str = "pipeline") -> dict[str, Decimal]:
    """
    What each channel has of the deal by the linear model.
    """
    found: dict[str, Decimal] = {}
    if credited is None:
        return found
    for row in credited.credits:
        units = {name: units for name, _, units in _plain(row["models"])}.get("linear")
        if row["clock"] == clock and units:
            channel = row["channel"] or row["item"]
            found[channel] = found.get(channel, Decimal(0)) + Decimal(units).scaleb(-credited.digits)
    return found


def test_a_past_moment_as_it_was_known_is_what_had_been_decided(service: Running) -> None:
    scene = Scene(service, "maple")
    decided_at = datetime.fromisoformat(service.why("opportunity", scene.deal)["attribution"]["decided_at"])
    flagged_at = datetime.fromisoformat(service.why("account", scene.account)["engagement"]["decided_at"])
    credits, flag = scene.credits(), scene.flag()

    service.advance(5 * DAY)
    scene.late_form(scene.people[0], decided_at, 20, "newsletter")
    scene.world.form(scene.people[1], 0.01, "cpc", asset="Demo Request")
    scene.world.role(scene.deal, scene.bob)
    service.colleague.update("Opportunity", [{"Id": scene.deal, "StageName": "Closed Won", "Amount": 90_000}])
    service.cycle()
    service.advance(30 * DAY)
    assert scene.credits() != credits
    assert scene.flag() != flag

    then = scene.credits_as(decided_at, Lens(decided_at, decided_at))
    assert comparable(then) == credits
    assert (then.deal["outcome"], then.deal["amount"]) == ("open", Decimal(84_000))
    assert scene.flag_as(flagged_at, known_then=True) == flag
    # What holds now comes out as it is stored, too.
    assert comparable(scene.credits_as(scene.world.now, Lens(scene.world.now))) == scene.credits()


def test_as_we_know_it_now_a_late_act_counts_for_the_past(service: Running) -> None:
    scene, at = come_late(service, "birch", 5)
    then, now = scene.credits_as(at, Lens(at, at)), scene.credits_as(at, Lens(at))
    assert linear(then) == {"Paid search": Decimal(84_000)}
    assert linear(now) == {"Paid search": Decimal(42_000), "E-mail": Decimal(42_000)}
    known_then, known_now = (scene.flag_as(at, known_then=known_then) for known_then in (True, False))
    assert known_now["points_milli"] > known_then["points_milli"]
    assert (known_then["engaged"], known_now["engaged"]) == (True, True)


def test_an_account_was_not_engaged_before_its_people_did_anything(service: Running) -> None:
    scene = Scene(service, "cedar")
    week_ago = scene.world.now - timedelta(days=7)
    assert not scene.flag_as(week_ago, known_then=False)["engaged"]
    assert scene.flag_as(scene.world.now, known_then=False)["engaged"]


def test_a_flag_that_lapsed_in_a_pause_is_not_kept_by_the_little_that_came_after_it(service: Running) -> None:
    world = World(service, "alder")
    account = world.account(NumberOfEmployees=500)
    ada = world.known(world.contact(account, "Ada", Title="VP Finance"))
    bob = world.known(world.contact(account, "Bob"))
    for number in range(4):
        world.form(ada, 60 + number / 10, "cpc")
    world.form(bob, 60, "cpc")
    world.form(ada, 5, "cpc")
    service.cycle()

    def flag(days_ago: float) -> tuple[bool, bool]:
        with hindsight_of(service) as hindsight:
            accounts = AccountsPast(hindsight, [service.golden_id("account", account)])
            found = flags_as_known_now(hindsight, accounts, world.now - timedelta(days=days_ago)).stood
        points = found.flags["points_milli"].item()
        return found.flags["engaged"].item(), 25_000 <= points < 50_000

    assert [flag(days) for days in (59, 30, 10, 4)] == [(True, False), (True, True), (False, False), (False, True)]


def test_a_deal_that_was_not_there_yet_has_no_credit(service: Running) -> None:
    scene = Scene(service, "fir")
    with hindsight_of(service) as hindsight:
        at = scene.world.now - timedelta(days=31)
        number = service.golden_id("opportunity", scene.deal)
        assert credit_as(hindsight, number, hindsight.rules_at(at), Lens(at), at) is None


def test_since_names_new_acts_and_what_time_took_away(service: Running) -> None:
    scene = Scene(service, "larch")
    at, was = scene.moment(), scene.flag()
    service.advance(10 * DAY)
    scene.world.form(scene.people[0], 0.01, "cpc", asset="Cost Control")
    service.cycle()
    found = scene.flag_since(at)
    points = [value.flag["points_milli"] for value in found.values]
    assert points[0] == was["points_milli"]
    assert points[1] < points[0]
    assert points[2] > points[1]
    assert points[2] == points[3] == points[4] == scene.flag()["points_milli"]
    assert [act["what"] for act in found.happened] == ["form Cost Control"]
    assert (found.late, found.changed_keys) == ([], [])


def test_since_names_a_rule(service: Running, tmp_path: Path) -> None:
    scene = Scene(service, "rowan")
    scene.world.form(scene.people[0], 60, "newsletter")
    service.cycle()
    at = scene.moment()
    service.advance(2 * DAY)
    in_force_with(service, folder_of(tmp_path / "rules", NEWSLETTER | {"engagement.yaml": "half_life_days: 60\n"}))
    found = scene.credits_since(at)
    then, data, rules, late = (linear(value) for value in found.values)
    assert then == data == {"Paid search": Decimal(42_000), "E-mail": Decimal(42_000)}
    assert rules == late == {"Paid search": Decimal(42_000), "Newsletter": Decimal(42_000)}
    assert (found.rules_then, found.rules_now) == (1, 2)
    assert found.changed_keys == ["engagement.half_life_days", "attribution.mediums"]
    flag = scene.flag_since(at)
    points = [value.flag["points_milli"] for value in flag.values]
    assert points[1] == points[2] < points[3] == points[4] == scene.flag()["points_milli"]
    # Touches decay up to the second at which one asks.
    assert undecayed(comparable(found.values[-1])) == undecayed(scene.credits())


def test_since_names_what_came_late(service: Running) -> None:
    scene, at = come_late(service, "aspen", 2)
    found = scene.credits_since(at)
    then, data, rules, late = (linear(value) for value in found.values)
    assert then == data == rules == {"Paid search": Decimal(84_000)}
    assert late == {"Paid search": Decimal(42_000), "E-mail": Decimal(42_000)}
    assert [act["what"] for act in found.late] == ["form Newsletter sign-up"]
    assert found.happened == []
    flag = scene.flag_since(at)
    points = [value.flag["points_milli"] for value in flag.values]
    assert points[1] == points[2] == points[3] < points[4] == scene.flag()["points_milli"]


def test_since_tells_a_late_act_that_engaged_an_account(service: Running) -> None:
    world = World(service, "hazel")
    account = world.account(NumberOfEmployees=500)
    person = world.known(world.contact(account, "Ada", Title="VP Finance"))
    world.form(person, 20, "cpc")
    service.cycle()
    at = world.now + A_MOMENT
    service.advance(2 * DAY)
    world.form(person, 5, "cpc", asset="Demo Request")
    service.cycle()
    with hindsight_of(service) as hindsight:
        found = flag_since(hindsight, AccountsPast(hindsight, [service.golden_id("account", account)]), at)
    assert [value.flag["engaged"] for value in found.values] == [False, False, False, False, True]


def test_a_late_role_is_late_data_and_a_new_one_is_news(service: Running) -> None:
    scene = Scene(service, "linden")
    scene.world.form(scene.people[1], 60, "newsletter")
    service.cycle()
    at = scene.moment()
    service.advance(2 * DAY)
    scene.world.role(scene.deal, scene.bob, CreatedDate=scene.world.ago(4))
    service.cycle()
    found = scene.credits_since(at)
    then, data, rules, late = (linear(value) for value in found.values)
    assert then == data == rules == {"Paid search": Decimal(84_000)}
    assert late == {"Paid search": Decimal(56_000), "E-mail": Decimal(28_000)}
    assert [each["what"] for each in found.late] == ["contact role User"]


def test_a_deal_that_grew_and_was_won_is_told_as_data(service: Running) -> None:
    scene = Scene(service, "poplar")
    at = scene.moment()
    service.advance(2 * DAY)
    service.colleague.update("Opportunity", [{"Id": scene.deal, "StageName": "Closed Won", "Amount": 90_000}])
    service.cycle()
    found = scene.credits_since(at)
    then, data, rules, late = (linear(value) for value in found.values)
    assert then == {"Paid search": Decimal(84_000)}
    assert data == rules == late == {"Paid search": Decimal(90_000)}
    outcomes = [value.deal["outcome"] for value in found.values]
    assert outcomes == ["open", "won", "won", "won"]


def test_several_deals_at_once_come_out_as_each_by_itself(service: Running) -> None:
    scene, other = Scene(service, "willow"), Scene(service, "yew")
    at = scene.moment()
    with hindsight_of(service) as hindsight:
        ids = [service.golden_id("opportunity", each.deal) for each in (scene, other)]
        together = credits_as(hindsight, ids, hindsight.rules_at(at), Lens(at), at)
    alone = [each.credits_as(at, Lens(at)).credits for each in (scene, other)]
    assert together.credits.to_dicts() == [row for rows in alone for row in rows]


def test_a_renewal_says_that_it_earns_nothing(service: Running) -> None:
    scene = Scene(service, "acacia")
    service.colleague.update("Opportunity", [{"Id": scene.deal, "Type": "Renewal"}])
    service.cycle()
    found = scene.credits_as(scene.world.now, Lens(scene.world.now))
    assert (found.reason, found.credits, found.attribution) == ("type Renewal", [], None)
