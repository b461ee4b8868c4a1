"""
A single account and its deal are decided by plans that are kept, and what they read does not grow with the store: not
even where the plans were made while the store was all but empty, and nobody has counted its rows since.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection, text

from config.settings import load_settings
from worker.flows.attribute import attribute
from worker.flows.engage import engage
from worker.flows.run import Run, Service
from worker.store import bulk, dues, jobs
from worker.wiring import build

FLOWS = {"engage": ("account", engage), "attribute": ("opportunity", attribute)}
# Statements are prepared at their sixth turn; what a session plans once is planned by then.
TURNS = 8
GROWN = 20_000
# Each company has one person with one touch, its deal's contact, and a list, a label and a correction to be looked at.
COMPANIES = """
    INSERT INTO account (id, name) OVERRIDING SYSTEM VALUE SELECT n, 'Firm ' || n FROM generate_series(%(a)s, %(b)s) n;
    INSERT INTO person (id, account_id, created_at) OVERRIDING SYSTEM VALUE
    SELECT n, n, now() - interval '200 days' FROM generate_series(%(a)s, %(b)s) n;
    INSERT INTO opportunity (id, account_id, name, stage, amount, outcome, type, record_type_ref, created_at)
    OVERRIDING SYSTEM VALUE
    SELECT n, n, 'Firm ' || n, 'Prospecting', 84000, 'open', 'New Business', '012' || n, now() - interval '30 days'
    FROM generate_series(%(a)s, %(b)s) n;
    INSERT INTO crosswalk (kind, source, record_id, stream, golden_id, rule)
    SELECT kind, 'salesforce', kind || n, 'salesforce.' || stream, n, 'own id' FROM generate_series(%(a)s, %(b)s) n,
    (VALUES ('account', 'account'), ('person', 'contact'), ('opportunity', 'opportunity')) k(kind, stream);
    INSERT INTO source_role (stream, record_id, stamp_at, is_deleted, opportunity_ref, contact_ref)
    SELECT 'salesforce.role', 'role' || n, now(), false, 'opportunity' || n, 'person' || n
    FROM generate_series(%(a)s, %(b)s) n;
    INSERT INTO source_label (stream, record_id, stamp_at, api_name)
    SELECT 'salesforce.record_type', '012' || n, now(), 'Standard' FROM generate_series(%(a)s, %(b)s) n;
    INSERT INTO list_membership (list, account_id, entered_at, left_at, rule_version)
    SELECT 'Old list', n, now(), now(), 1 FROM generate_series(%(a)s, %(b)s) n;
    INSERT INTO sourcing_override (source, record_id, team, reason, said_by)
    SELECT 'salesforce', 'opportunity' || n, 'sales', 'met at the fair', 'Ada' FROM generate_series(%(a)s, %(b)s) n;
    INSERT INTO engagement (account_id, engaged, band, points_milli, people_count, rule_version, saved_at)
    SELECT n, false, 'None', 0, 0, 1, now() FROM generate_series(%(a)s, %(b)s) n;
    INSERT INTO account_standing (account_id, in_profile, intent_milli, stage, group_engaged, group_needed, qualified,
        rule_version)
    SELECT n, false, 0, 'Target', 0, 0, false, 1 FROM generate_series(%(a)s, %(b)s) n;
    INSERT INTO attribution (opportunity_id, influenced, assisted, basis, state, rule_version)
    SELECT n, false, false, 'Account', 'Open', 1 FROM generate_series(%(a)s, %(b)s) n;
    INSERT INTO credit_digest (opportunity_id, digest) SELECT n, 'none' FROM generate_series(%(a)s, %(b)s) n;
    INSERT INTO credit (opportunity_id, clock, item, positions, models)
    SELECT n, 'pipeline', 'unassigned', '', '{}' FROM generate_series(%(a)s, %(b)s) n;
    INSERT INTO touchpoint (touch_id, source, person_ref, occurred_at, type, team, channel, label, earns_credit)
    SELECT 'old' || n, 'salesforce', 'person' || n, now() - interval '40 days', 'form', 'marketing', 'Web', 'Form', true
    FROM generate_series(%(a)s, %(b)s) n
"""


@pytest.fixture
def service(database_url: str, valkey_url: str) -> Iterator[Service]:
    built = build(load_settings(database_url=database_url, redis_url=valkey_url), sources=False)
    yield built
    built.engine.dispose()


def grow(connection: Connection, first: int, last: int) -> None:
    connection.exec_driver_sql(COMPANIES % {"a": first, "b": last})


def uncounted(connection: Connection) -> None:
    """
    Nobody counts the rows of these tables again, so that no plan is made anew.
    """
    names = connection.execute(text("SELECT relname FROM pg_stat_user_tables")).scalars()
    for name in names.all():
        connection.exec_driver_sql(f'ALTER TABLE "{name}" SET (autovacuum_enabled = false)')


def decide(service: Service, number: int, turn: int) -> None:
    """
    A touch of the company's person arrives, and both flows decide.
    """
    with service.engine.begin() as connection:
        connection.execute(
            text(
                """
                INSERT INTO touchpoint (touch_id, source, person_ref, occurred_at, type, team, channel, label,
                    earns_credit)
                VALUES (:id, 'salesforce', :person, now() - interval '35 days', 'form', 'marketing', 'Web', 'Form',
                    true)
                """
            ),
            {"id": f"new{turn}", "person": f"person{number}"},
        )
        for flow, (kind, _) in FLOWS.items():
            dues.note(connection, flow, kind, [number])
            jobs.enqueue(connection, flow)
    for flow, (_, act) in FLOWS.items():
        with service.engine.begin() as connection:
            job = jobs.claim(connection, (flow,), owner="ada", lease=service.limits.lease)
            assert job is not None
            now = datetime.now(UTC)
            run = Run(service.engine, job, jobs.begin_run(connection, job, now), now, service.rules, {}, {})
        act(run)
        with service.engine.begin() as connection:
            jobs.finish(connection, job)
            jobs.end_run(connection, run.run_id, run.tally)
        assert run.tally["accounts decided"] + run.tally["deals decided"] == 1


def rows_read(service: Service) -> int:
    """
    How many rows were read so far, from tables and from indexes, by PostgreSQL's own count.
    """
    with service.engine.begin() as connection:
        connection.execute(text("SELECT pg_stat_force_next_flush()"))
    with service.engine.begin() as connection:
        statement = """
            SELECT (SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) FROM pg_stat_user_tables)
                + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes)
            """
        return int(connection.execute(text(statement)).scalar_one())


def test_a_plan_made_in_an_empty_store_reads_no_more_in_a_full_one(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "LOOK_EVERY_SECONDS", 0)  # else it would take ten seconds to be seen
    with service.engine.begin() as connection:
        uncounted(connection)
        grow(connection, 1, 3)
    for turn in range(TURNS):
        decide(service, 2, turn)
    read = [rows_read(service)]
    decide(service, 2, TURNS)
    read.append(rows_read(service))
    with service.engine.begin() as connection:
        grow(connection, 4, GROWN)
    read.append(rows_read(service))
    decide(service, 2, TURNS + 1)
    read.append(rows_read(service))
    small, large = read[1] - read[0], read[3] - read[2]
    print(f"rows read: {small} in the small store, {large} in the large one")  # noqa: T201 - the figures behind it
    assert large <= 1.5 * small


def test_plans_are_kept_for_few_subjects_and_made_for_many(service: Service) -> None:
    def kept(connection: Connection) -> bool:
        mode = connection.exec_driver_sql("SELECT current_setting('plan_cache_mode')").scalar_one()
        return bool(mode == "force_generic_plan")

    with service.engine.begin() as connection:
        assert not kept(connection)
        bulk.plan_for_few(connection)
        bulk.plan_for(connection, bulk.FEW)
        assert kept(connection)
        bulk.plan_for(connection, bulk.FEW + 1)
        assert not kept(connection)
    with service.engine.begin() as connection:
        grow(connection, 1, 3)
    decide(service, 2, 0)
    with service.engine.begin() as connection:
        assert not kept(connection)
