"""
What the store remembers of closed deals' channels, and what is learnt from it.
"""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.flows.world import World
from tests.service import Running
from worker.core.attribution.learn import PathCount, learn
from worker.flows.journeys import closed_journeys

pytestmark = pytest.mark.slow


def closed_deal(world: World, stage: str, *media: str) -> str:
    account = world.account()
    ada = world.contact(account, "Ada")
    person = world.known(ada)
    for days_ago, medium in enumerate(media, start=40):
        world.form(person, days_ago, medium)
    deal = world.deal(account)
    world.role(deal, ada)
    world.running.cycle()
    world.running.colleague.update("Opportunity", [{"Id": deal, "StageName": stage}])
    world.running.cycle()
    return deal


def test_won_deals_are_conversions_and_lost_ones_none(service: Running) -> None:
    began = World(service, "nobody").now
    closed_deal(World(service, "oak"), "Closed Won", "newsletter", "cpc")
    closed_deal(World(service, "osier"), "Closed Lost", "newsletter", "cpc")
    closed_deal(World(service, "poplar"), "Closed Won", "newsletter")
    closed_deal(World(service, "privet"), "Closed Won")
    until = World(service, "nobody").now + timedelta(hours=1)
    with service.service.engine.connect() as connection:
        # Days are told where the company is.
        here = until.astimezone(ZoneInfo("America/New_York"))
        paths = closed_journeys(connection, service.service.rules, began - timedelta(hours=1), here)
        assert closed_journeys(connection, service.service.rules, until, until + timedelta(days=1)) == []
    # In time order: what was 41 days ago comes before what was 40 days ago.
    assert paths == [PathCount(("E-mail",), 1, 0), PathCount(("Paid search", "E-mail"), 1, 1)]
    assert set(learn(paths, "markov").weights) == {"E-mail", "Paid search"}
