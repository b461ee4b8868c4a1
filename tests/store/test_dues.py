"""
What is noted waits until whoever takes it has acted on it.
"""

from collections.abc import Callable

from sqlalchemy import Connection, Engine

from worker.store import dues

Open = Callable[[], Connection]


def note(engine: Engine, flow: str, kind: str, *keys: object) -> None:
    with engine.begin() as connection:
        dues.note(connection, flow, kind, keys)


def test_noting_a_subject_twice_is_once_and_taking_it_takes_it(connection: Connection) -> None:
    dues.note(connection, "engage", "account", [7, 7, 8])
    dues.note(connection, "engage", "account", [8])
    assert dues.count(connection, "engage") == 2
    assert dues.take(connection, "engage", "account", 10) == ["7", "8"]
    assert dues.take(connection, "engage", "account", 10) == []


def test_a_flow_takes_its_own_kind_and_so_many(connection: Connection) -> None:
    dues.note(connection, "engage", "account", range(100, 110))
    dues.note(connection, "engage", "person", [1])
    dues.note(connection, "attribute", "account", [2])
    taken = dues.take(connection, "engage", "account", 4)
    assert len(taken) == 4
    assert len(dues.take(connection, "engage", "account", 100)) == 6


def test_what_is_taken_comes_back_when_its_transaction_does_not_commit(engine: Engine) -> None:
    note(engine, "engage", "account", 7)
    with engine.connect() as connection:
        assert dues.take(connection, "engage", "account", 10) == ["7"]
        connection.rollback()
    with engine.begin() as connection:
        assert dues.take(connection, "engage", "account", 10) == ["7"]


def test_two_who_take_at_once_share_and_do_not_wait(engine: Engine, opened: Open) -> None:
    note(engine, "engage", "account", *range(100, 110))
    first, second = opened(), opened()
    one = dues.take(first, "engage", "account", 5)
    two = dues.take(second, "engage", "account", 100)
    assert len(one) == len(two) == 5
    assert not set(one) & set(two)


def test_the_records_of_one_stream_are_told_from_those_of_another(connection: Connection) -> None:
    keys = ["salesforce.lead:00Q1", "salesforce.lead:00Q2", "salesforce.lead2:x", "salesforce.contact:0031", "s:1"]
    dues.note(connection, "plan", "person", keys)
    assert dues.take_of(connection, "plan", "person", "salesforce.lead", 10) == ["00Q1", "00Q2"]
    assert dues.drop_others(connection, "plan", ["salesforce.contact"]) == 2
    assert dues.take_of(connection, "plan", "person", "salesforce.contact", 10) == ["0031"]


def test_the_flows_that_have_something_waiting_are_named_once_each(connection: Connection) -> None:
    assert dues.waiting(connection) == []
    dues.note(connection, "resolve", "person", range(50))
    dues.note(connection, "engage", "account", [1])
    dues.note(connection, "resolve", "account", [2])
    assert sorted(dues.waiting(connection)) == ["engage", "resolve"]


def test_nothing_noted_is_nothing_written(connection: Connection) -> None:
    dues.note(connection, "engage", "account", [])
    assert dues.count(connection, "engage") == 0
