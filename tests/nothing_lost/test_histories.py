"""
Whatever happens in the org, and whatever befalls the service that polls it: after it quiets, the store is the org.
"""

import random
from collections import Counter

import pytest

from tests.nothing_lost.history import INGREDIENTS, PATIENCE, History
from tests.nothing_lost.truth import Truth, story_of
from tests.nothing_lost.world import Auditor, World

PARTS = 4
# Each ingredient is the subject of one history in forty; fewer than so many of this many say that its story broke.
ENOUGH = 200
LEAST_SHARE = 0.01


@pytest.fixture(scope="module")
def held() -> Counter[str]:
    """
    In how many histories of this run each ingredient came up, and how many there were ("histories").
    """
    return Counter()


@pytest.fixture(scope="module")
def first_seed() -> int:
    """
    The seeds of a run follow one another, so that each ingredient has its turn.
    """
    return random.SystemRandom().randrange(1, 1_000_000_000)


@pytest.mark.slow
@pytest.mark.timeout(4 * 3_600)
@pytest.mark.parametrize("part", range(PARTS))
def test_after_any_history_the_store_is_the_org(
    world: World, held: Counter[str], first_seed: int, request: pytest.FixtureRequest, part: int
) -> None:
    again: int | None = request.config.getoption("--history-seed")
    if again is not None:
        seeds = range(again, again + (part == 0))
    else:
        count = -(-request.config.getoption("--histories") // PARTS)
        seeds = range(first_seed + part * count, first_seed + (part + 1) * count)
    auditor = Auditor(world.org)
    for seed in seeds:
        history = History(world, seed)
        _live(world, auditor, history)
        held.update(["histories", *history.ingredients])
    # Shown by -s: a run of thousands says what it was made of.
    total = held["histories"]
    print(f"{total} histories up to seed {seeds.stop - 1}: {dict(held.most_common())}")  # noqa: T201 - see above
    if total >= ENOUGH:
        rare = {each: held[each] for each in INGREDIENTS if held[each] < LEAST_SHARE * total}
        assert not rare, f"too rare in the {total} histories up to seed {seeds.stop - 1}: {rare}"


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
