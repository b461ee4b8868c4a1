"""
What the practice Marketo remembers: over a stop, over a thousand people, and without losing its order.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.practice.marketo.conftest import Practice
from worker.practice.clock import Clock
from worker.practice.marketo.access import Access
from worker.practice.marketo.database import open_database
from worker.practice.marketo.log import ActivityLog, NewActivity
from worker.practice.marketo.org import MarketoOrg
from worker.practice.marketo.times import parse_instant, spell, spell_asset

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def opened(path: Path | None = None) -> MarketoOrg:
    clock = Clock(NOON)
    clock.freeze()
    return MarketoOrg(clock, Access("headwater", "practice-secret"), path)


def act(at: int, **more: Any) -> NewActivity:
    return NewActivity(1, at, 1, None, None, f"at {at}", "[]", **more)


def walk(log: ActivityLog, position: int, now: int, count: int = 7) -> Iterator[int]:
    more = True
    while more:
        rows, more = log.page(position, count, now)
        for row in rows:
            position = row.position
            yield row.at


def test_everything_is_there_again_after_a_stop(tmp_path: Path) -> None:
    org = opened(tmp_path / "marketo.db")
    org.add_field("region", "Region", "string", 40)
    ada, gone = org.save_people([{"email": "ada@analytical.example", "region": "North"}, {"lastName": "Gone"}])
    (program,) = org.save_programs([{"name": "Cost Control", "type": "Event", "channel": "Webinar"}])
    org.save_members([{"programId": program, "leadId": ada, "statusName": "Registered"}])
    start = org.log.start(0, org.now())
    org.delete_people([gone])
    org.close()

    again = opened(tmp_path / "marketo.db")
    assert again.people.find("region", ["North"], after=0, limit=9)[0] == 1
    assert again.programs.members(program, after=0)[0]["statusName"] == "Registered"
    assert [row.type for row in again.log.page(start, 300, again.now())[0]] == [12, 12, 37]
    assert again.save_people([{"lastName": "New"}]) == [gone + 1], "the id of somebody deleted is never given again"
    assert "region" in again.searchable_custom
    # The log was being read before the stop, so what comes now stands at its end, whatever its date.
    again.put_activities([{"leadId": ada, "activityTypeId": 1, "activityDate": "2020-01-01"}])
    assert [row.type for row in again.log.page(start, 300, again.now())[0]] == [12, 12, 37, 12, 1]
    again.close()


@given(
    history=st.lists(st.integers(0, 1000)),
    later=st.lists(st.tuples(st.integers(0, 1000), st.booleans())),
    since=st.integers(0, 1000),
)
def test_a_fresh_token_sees_everything_since_its_instant(
    history: list[int], later: list[tuple[int, bool]], since: int
) -> None:
    log = ActivityLog(open_database(None))
    log.put([act(at) for at in history], now=1000)
    log.start(0, now=1000)
    for at, behind in later:
        log.put([act(at, behind=behind)], now=1000)
    seen = [at for at in walk(log, log.start(since, now=1000), now=1000) if at >= since]
    assert sorted(seen) == sorted(at for at in [*history, *(at for at, _ in later)] if at >= since)


@given(rows=st.lists(st.tuples(st.integers(0, 500), st.one_of(st.none(), st.integers(500, 1000))), max_size=40))
def test_a_cursor_that_goes_on_sees_every_commit_once_and_in_order(rows: list[tuple[int, int | None]]) -> None:
    log = ActivityLog(open_database(None))
    position = log.start(0, now=0)
    log.put([act(at, committed_at=committed) for at, committed in rows], now=500)
    seen: list[int] = []
    for now in range(500, 1001, 100):
        page, more = log.page(position, 300, now)
        assert not more
        seen += [row.at for row in page]
        position = page[-1].position if page else position
    commits = sorted((500 if committed is None else committed, place) for place, (_, committed) in enumerate(rows))
    assert seen == [rows[place][0] for _, place in commits]


def test_a_fresh_token_in_a_long_log_begins_near_its_instant() -> None:
    log = ActivityLog(open_database(None))
    random = Random(20261120)
    instants = [random.randrange(1_000_000) for _ in range(50_000)]
    log.put([act(at) for at in instants], now=1_000_000)
    start = log.start(999_000, now=1_000_000)
    rows, _ = log.page(start, 300, now=1_000_000)
    assert rows[0].at == min(at for at in instants if at >= 999_000)


def test_old_activities_can_be_purged() -> None:
    log = ActivityLog(open_database(None))
    log.put([act(at) for at in (10, 20, 30)], now=100)
    start = log.start(0, now=100)
    assert log.purge(before=25) == 2
    assert list(walk(log, start, now=100)) == [30]


def test_members_follow_the_survivor_of_a_merge() -> None:
    org = opened()
    winner, loser = org.save_people([{"email": "ada@analytical.example"}, {"email": "a.lovelace@analytical.example"}])
    first, second = org.save_programs([{"name": name, "type": "Event", "channel": "Webinar"} for name in ("A", "B")])
    org.save_members(
        [
            {"programId": first, "leadId": winner, "statusName": "Attended"},
            {"programId": first, "leadId": loser, "statusName": "Registered"},
            {"programId": second, "leadId": loser, "statusName": "Registered"},
        ]
    )
    org.merge_people(winner, [loser])
    assert [(m["leadId"], m["statusName"]) for m in org.programs.members(first, after=0)] == [(winner, "Attended")]
    assert [(m["leadId"], m["statusName"]) for m in org.programs.members(second, after=0)] == [(winner, "Registered")]
    with pytest.raises(ValueError, match=f"no such person: {loser}"):
        org.merge_people(winner, [loser])


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"shoeSize": 44}, "person 0: unknown field 'shoeSize'"),
        ({"sfdcId": "00Q000000000001AAA"}, "sfdcId is null for every person"),
        ({"createdAt": "yesterday"}, "not an instant: 'yesterday'"),
    ],
)
def test_a_person_who_cannot_be_is_refused_and_none_of_the_batch_is_made(record: dict[str, Any], words: str) -> None:
    org = opened()
    with pytest.raises(ValueError, match=words):
        org.save_people([record, {"lastName": "Lovelace"}])
    with pytest.raises(ValueError, match="unknown field"):
        org.save_people([{"lastName": "Lovelace"}, {"shoeSize": 44}])
    assert org.people.count() == 0


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"activityTypeId": 1, "activityDate": "2026-11-01"}, "activity 0: leadId is missing"),
        ({"leadId": 1, "activityTypeId": 99, "activityDate": "2026-11-01"}, "no activity type 99"),
        ({"leadId": 1, "activityTypeId": 1, "activityDate": "soon"}, "not an instant"),
    ],
)
def test_an_activity_that_cannot_be_is_refused(record: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        opened().put_activities([record])


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-11-01T00:00:00Z", 1793491200),
        ("2026-11-01T00:00:00+0000", 1793491200),
        ("2026-11-01T00:00:00Z+0000", 1793491200),
        ("2026-10-31T16:00:00-08:00", 1793491200),
        ("2026-11-01 01:00:00.123+01:00", 1793491200),
        ("2026-11-01", 1793491200),
    ],
)
def test_every_spelling_of_an_instant_is_the_same_instant(text: str, seconds: int) -> None:
    assert parse_instant(text) == seconds
    assert spell(seconds) == "2026-11-01T00:00:00Z"
    assert spell_asset(seconds) == "2026-11-01T00:00:00Z+0000"


def test_an_eleventh_call_at_once_is_refused_where_the_limit_is_on(practice: Practice) -> None:
    practice.sign_in()
    practice.control("marketo/limits", {"concurrency": True})

    def ask(_: int) -> str | None:
        answer = practice.get("v1/activities/types.json")
        return None if answer["success"] else str(answer["errors"][0]["code"])

    org: MarketoOrg = practice.state.marketo
    with ThreadPoolExecutor(14) as pool:
        with org.lock:  # while the org is held, calls pile up before it
            asked = [pool.submit(ask, number) for number in range(14)]
            deadline = time.monotonic() + 30
            while sum(future.done() for future in asked) < 4 and time.monotonic() < deadline:
                time.sleep(0.01)
        codes = [future.result() for future in asked]
    assert sorted(codes, key=str) == ["615"] * 4 + [None] * 10
