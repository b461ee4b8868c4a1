"""
Whatever happens in the org, and whatever befalls the service that polls it: after it quiets, the store is the org.
"""

import random

import pytest

from tests.nothing_lost.history import PATIENCE, History
from tests.nothing_lost.truth import Truth, story_of
from tests.nothing_lost.world import Auditor, World

PARTS = 4


@pytest.mark.slow
@pytest.mark.timeout(4 * 3_600)
@pytest.mark.parametrize("part", range(PARTS))
def test_after_any_history_the_store_is_the_org(world: World, request: pytest.FixtureRequest, part: int) -> None:
    again: int | None = request.config.getoption("--history-seed")
    if again is not None:
        seeds = range(again, again + (part == 0))
    else:
        first = random.SystemRandom().randrange(1, 1_000_000_000)
        seeds = range(first, first + -(-request.config.getoption("--histories") // PARTS))
    auditor = Auditor(world.org)
    for seed in seeds:
        _live(world, auditor, History(world, seed))


def _live(world: World, auditor: Auditor, history: History) -> None:
    # Two questions: what the polls alone should have seen, and whether nothing at all is left after the sweep.
    try:
        history.run()
        truth = Truth(history, auditor)
        missed = truth.missed_by_polls(world.engine)
        assert world.sweep(tries=PATIENCE), world.troubles()
        lost = truth.differences(world.engine)
        unproven = world.unproven()
    except Exception as error:
        error.add_note(story_of(history, []))
        raise
    if not history.changed_fields:
        world.remember_descriptions()
    assert not missed, story_of(history, missed)
    assert not lost, story_of(history, lost)
    assert not unproven, story_of(history, unproven)
