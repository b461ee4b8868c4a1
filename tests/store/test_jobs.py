"""
Who may do which job: leases, fencing tokens, lanes, and a schedule that two may ask.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, Engine, text

from worker.core.errors import LeaseLost
from worker.store import jobs

MINUTE = timedelta(minutes=1)
GONE = timedelta(seconds=-1)
Open = Callable[[], Connection]


def ask(engine: Engine, flow: str = "pull", **asked: object) -> int | None:
    with engine.begin() as connection:
        return jobs.enqueue(connection, flow, **asked)  # type: ignore[arg-type]


def claim(engine: Engine, *flows: str, owner: str = "ada", lease: timedelta = MINUTE) -> jobs.Job | None:
    with engine.begin() as connection:
        return jobs.claim(connection, flows or ("pull",), owner=owner, lease=lease)


def claimed(engine: Engine, *flows: str, owner: str = "ada", lease: timedelta = MINUTE) -> jobs.Job:
    job = claim(engine, *flows, owner=owner, lease=lease)
    assert job is not None
    return job


def states(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return [row.state for row in connection.execute(text("SELECT state FROM job ORDER BY id"))]


def test_a_job_is_given_to_one_holder(engine: Engine) -> None:
    ask(engine)
    assert claim(engine, owner="ada") is not None
    assert claim(engine, owner="ben") is None


def test_a_job_being_claimed_by_somebody_else_is_passed_over(engine: Engine, opened: Open) -> None:
    ask(engine, lane="pull:salesforce")
    ask(engine, lane="pull:marketo")
    first, second = opened(), opened()
    one = jobs.claim(first, ("pull",), owner="ada", lease=MINUTE)
    two = jobs.claim(second, ("pull",), owner="ben", lease=MINUTE)
    assert one is not None
    assert two is not None
    assert {one.lane, two.lane} == {"pull:salesforce", "pull:marketo"}


def test_the_same_work_waiting_is_not_doubled_but_brought_forward(engine: Engine) -> None:
    first = ask(engine, scope={"a": 1, "b": 2}, after=MINUTE, priority=5)
    second = ask(engine, scope={"b": 2, "a": 1}, priority=1)
    assert first == second
    assert claimed(engine).id == first
    assert ask(engine, scope={"a": 1, "b": 2}) != first  # asked for again while it runs: once more after


def test_other_work_of_the_same_flow_stands_beside_it(engine: Engine) -> None:
    assert ask(engine, scope={"source": "salesforce"}) != ask(engine, scope={"source": "marketo"})


def test_the_most_urgent_job_comes_first_and_of_those_the_oldest(engine: Engine) -> None:
    routine = ask(engine, "pull", lane="a")
    asked_for = ask(engine, "resync", lane="b", priority=jobs.ASKED_FOR)
    later = ask(engine, "pull", lane="c")
    assert [claimed(engine, "pull", "resync").id for _ in range(3)] == [asked_for, routine, later]


def test_a_job_that_is_not_due_yet_is_left(engine: Engine) -> None:
    ask(engine, after=MINUTE)
    assert claim(engine) is None
    with engine.connect() as connection:
        waits = jobs.seconds_to_next(connection)
        assert jobs.ready_flows(connection) == []
        assert jobs.open_count(connection) == 1
    assert waits is not None
    assert 50 < waits <= 60


def test_jobs_of_other_flows_are_left(engine: Engine) -> None:
    ask(engine, "plan")
    assert claim(engine, "pull", "apply") is None


def test_at_most_one_job_of_a_lane_runs(engine: Engine) -> None:
    ask(engine, "pull", lane="pull:salesforce", scope={"n": 1})
    ask(engine, "resync", lane="pull:salesforce", scope={"n": 2})
    first = claimed(engine, "pull", "resync")
    assert claim(engine, "pull", "resync") is None
    with engine.begin() as connection:
        jobs.finish(connection, first)
    assert claimed(engine, "pull", "resync").id != first.id


def test_two_that_claim_jobs_of_one_lane_at_once_get_one_between_them(engine: Engine) -> None:
    for turn in range(10):
        ask(engine, lane="lane", scope={"turn": turn, "n": 1})
        ask(engine, lane="lane", scope={"turn": turn, "n": 2})
        with ThreadPoolExecutor(2) as pool:
            got = [job for job in pool.map(lambda owner: claim(engine, owner=owner), ("ada", "ben")) if job]
        assert len(got) == 1
        with engine.begin() as connection:
            jobs.finish(connection, got[0])
            connection.execute(text("UPDATE job SET state = 'done' WHERE state = 'ready'"))


def test_many_that_claim_at_once_get_every_job_once(engine: Engine) -> None:
    for number in range(40):
        ask(engine, lane=f"lane {number}")

    def work(owner: int) -> list[int]:
        mine = []
        while (job := claim(engine, owner=str(owner))) is not None:
            mine.append(job.id)
        return mine

    with ThreadPoolExecutor(4) as pool:
        done = [number for mine in pool.map(work, range(4)) for number in mine]
    assert sorted(done) == sorted(set(done))
    assert len(done) == 40


def test_a_job_whose_lease_ran_out_is_taken_over_and_its_first_holder_can_change_nothing(engine: Engine) -> None:
    ask(engine)
    slow = claimed(engine, owner="ada", lease=GONE)
    second = claimed(engine, owner="ben")
    assert (second.id, second.token, second.attempts) == (slow.id, slow.token + 1, 2)
    for attempt in (
        lambda connection: jobs.hold(connection, slow, MINUTE),
        lambda connection: jobs.finish(connection, slow),
        lambda connection: jobs.postpone(connection, slow, MINUTE),
    ):
        with pytest.raises(LeaseLost), engine.begin() as connection:
            attempt(connection)
    with engine.begin() as connection:
        jobs.hold(connection, second, MINUTE)
        jobs.finish(connection, second)
    assert states(engine) == ["done"]


def test_what_a_holder_wrote_is_lost_when_its_lease_is(engine: Engine) -> None:
    ask(engine)
    slow = claimed(engine, lease=GONE)
    claimed(engine, owner="ben")

    def write_late(connection: Connection) -> None:
        connection.execute(text("INSERT INTO setting (key, value) VALUES ('late', '{}')"))
        jobs.hold(connection, slow, MINUTE)

    with pytest.raises(LeaseLost), engine.begin() as connection:
        write_late(connection)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM setting")).scalar_one() == 0


def test_a_job_cannot_be_taken_over_in_the_middle_of_a_unit_of_work(engine: Engine, opened: Open) -> None:
    ask(engine)
    job = claimed(engine, lease=GONE)
    working = opened()
    jobs.hold(working, job, GONE)  # the lease is over again at once, but the transaction goes on
    assert claim(engine, owner="ben") is None
    working.rollback()
    assert claim(engine, owner="ben") is not None


def test_a_holder_that_goes_on_keeps_its_lease(engine: Engine) -> None:
    ask(engine)
    job = claimed(engine, lease=timedelta(milliseconds=1))
    with engine.begin() as connection:
        jobs.hold(connection, job, MINUTE)
    assert claim(engine, owner="ben") is None


def test_a_job_that_is_put_off_comes_again_with_the_same_scope(engine: Engine) -> None:
    ask(engine, lane="pull:marketo", scope={"source": "marketo"}, requested_by="cli")
    job = claimed(engine)
    with engine.begin() as connection:
        jobs.postpone(connection, job, timedelta(0))
    again = claimed(engine)
    assert (again.lane, again.scope, again.requested_by, again.attempts) == (job.lane, job.scope, "cli", 2)
    assert again.id == job.id


def test_a_job_that_is_put_off_goes_together_with_the_same_work_waiting(engine: Engine) -> None:
    ask(engine)
    job = claimed(engine)
    waiting = ask(engine, after=timedelta(hours=1))
    with engine.begin() as connection:
        jobs.postpone(connection, job, timedelta(0))
    assert claimed(engine).id == waiting
    assert claim(engine) is None


def test_a_failed_job_keeps_its_words(engine: Engine) -> None:
    ask(engine)
    with engine.begin() as connection:
        jobs.finish(connection, claimed(engine), error_code="HW-205", error="the session is refused")
    with engine.connect() as connection:
        assert connection.execute(text("SELECT state, error_code, error FROM job")).one() == (
            "failed",
            "HW-205",
            "the session is refused",
        )


def test_a_cycle_that_is_due_is_given_to_one_of_two_who_ask_at_once(engine: Engine) -> None:
    with engine.begin() as connection:
        jobs.ensure_schedule(connection, "cycle", timedelta(minutes=5))

    def ask_for_cycles(_: int) -> list[str]:
        with engine.begin() as connection:
            return jobs.take_due_cycles(connection)

    with ThreadPoolExecutor(4) as pool:
        taken = [name for names in pool.map(ask_for_cycles, range(8)) for name in names]
    assert taken == ["cycle"]


def test_a_changed_interval_waits_for_the_next_run(engine: Engine) -> None:
    with engine.begin() as connection:
        jobs.ensure_schedule(connection, "cycle", timedelta(minutes=5))
        assert jobs.take_due_cycles(connection) == ["cycle"]
        jobs.ensure_schedule(connection, "cycle", timedelta(seconds=1))
        assert jobs.take_due_cycles(connection) == []


def run(engine: Engine, lane: str, *, failed: bool = False) -> int:
    ask(engine, lane=lane)
    job = claimed(engine)
    with engine.begin() as connection:
        number = jobs.begin_run(connection, job, datetime(2026, 11, 18, 9, tzinfo=UTC))
        code = "HW-210" if failed else None
        jobs.end_run(connection, number, {"rows read": 3}, error_code=code, error="refused" if failed else None)
        jobs.finish(connection, job, error_code=code)
    return number


def test_failures_are_counted_since_the_last_run_that_was_done(engine: Engine) -> None:
    for failed in (True, False, True, True):
        run(engine, "pull:salesforce", failed=failed)
    run(engine, "pull:marketo", failed=True)
    with engine.connect() as connection:
        assert jobs.failures_in_a_row(connection, "pull:salesforce") == 2
        assert jobs.failures_in_a_row(connection, "never run") == 1


def test_old_runs_are_forgotten_but_never_a_lanes_newest(engine: Engine) -> None:
    first, newest = run(engine, "lane"), run(engine, "lane")
    with engine.begin() as connection:
        connection.execute(text("UPDATE run SET finished_at = now() - interval '90 days'"))
        connection.execute(text("UPDATE job SET finished_at = now() - interval '90 days'"))
        assert jobs.trim(connection, keep_days=30) == 3
        left = [row["id"] for row in jobs.last_runs(connection)]
    assert left == [newest]
    assert first != newest
