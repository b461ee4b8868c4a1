"""
Read-only answers for people: how the service stands, why a record says what it says, what a plan would change, what a
report counts. Plain mappings that are JSON as they stand. Called by the command line and the console.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection, text

from worker.core.survivorship.merge import read_provenance
from worker.store import census, findings, jobs, learnings
from worker.store.tables import GOLDEN, metadata

NO_TOUCH: Final = "No marketing touch"
_NOT_FIELDS: Final = {
    "id", "provenance", "disagreements", "updated_at", "is_deleted", "account_id", "account_rule", "account_why",
    "email_domain", "domain", "original_source", "created_at", "outcome", "closed_at",
}  # fmt: skip


def rows(connection: Connection, statement: str, **values: object) -> list[dict[str, Any]]:
    """
    A statement's rows as mappings of JSON values: instants and dates as ISO text, decimals as text.
    """
    return [
        {name: plain(value) for name, value in row._mapping.items()}  # noqa: SLF001 - SQLAlchemy's public name for it
        for row in connection.execute(text(statement), values)
    ]


def plain(value: object) -> Any:
    """
    A value as JSON has it.
    """
    match value:
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case date():
            return value.isoformat()
        case Decimal():
            return format(value.normalize(), "f") if value == value.to_integral() else format(value, "f")
        case _:
            return value


def status(connection: Connection) -> dict[str, Any]:
    """
    streams, lanes, calls, sweeps, writes, findings, quarantine, refused: how everything stands now.
    """
    return {
        "streams": rows(
            connection,
            """
            SELECT stream, watermark, first_loaded_at IS NOT NULL AS read_once, hi IS NOT NULL AS reading, updated_at,
                   extract(epoch FROM now() - updated_at)::bigint AS idle_seconds
            FROM cursor ORDER BY stream
            """,
        ),
        "lanes": [{name: plain(value) for name, value in run.items()} for run in jobs.last_runs(connection)],
        "waiting": rows(
            connection,
            "SELECT flow, state, count(*) AS jobs FROM job WHERE state IN ('ready', 'leased') GROUP BY 1, 2 ORDER BY 1, 2",
        ),
        "calls": rows(
            connection,
            """
            SELECT source, calls_used, calls_allowed, answered_at, round(clock_offset_seconds, 1) AS clock_offset_seconds
            FROM source_state ORDER BY source
            """,
        ),
        "sweeps": [{name: plain(value) for name, value in each.items()} for each in census.lines(connection)],
        "writes": {
            "approved": connection.execute(text("SELECT value FROM setting WHERE key = 'writes_approved'")).scalar(),
            "plans": rows(
                connection,
                """
                SELECT p.id, p.state, p.why_held, p.created_at, count(o.record_id) AS records FROM plan p
                LEFT JOIN outbox o ON o.plan_id = p.id WHERE p.state <> 'done' GROUP BY p.id ORDER BY p.id
                """,
            ),
            "refused": rows(
                connection,
                """
                SELECT object, state, code, count(*) AS records, min(record_id) AS example, min(message) AS message
                FROM outbox WHERE state IN ('parked', 'refused', 'unknown') GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
                """,
            ),
        },
        "findings": [{name: plain(value) for name, value in each.items()} for each in findings.standing(connection)],
        "quarantine": rows(
            connection,
            """
            SELECT stream, code, whose, count(*) AS records, min(record_id) AS example, min(message) AS message,
                   min(first_seen_at) AS since FROM quarantine GROUP BY 1, 2, 3 ORDER BY 1, 2
            """,
        ),
        "counts": rows(
            connection,
            """
            SELECT (SELECT count(*) FROM account WHERE NOT is_deleted) AS accounts,
                   (SELECT count(*) FROM engagement WHERE engaged) AS engaged,
                   (SELECT count(*) FROM person WHERE NOT is_deleted) AS people,
                   (SELECT count(*) FROM opportunity WHERE NOT is_deleted) AS opportunities,
                   (SELECT count(*) FROM touchpoint) AS touchpoints,
                   (SELECT coalesce(sum(disagreements), 0) FROM person) AS disagreements
            """,
        )[0],
    }


def changed_after_us(connection: Connection, days: int = 30) -> list[dict[str, Any]]:
    """
    Fields of ours that held something else than we had written when we wrote them again: object, field, how many
    records, and the ids of up to 200 of them.
    """
    return rows(
        connection,
        """
        SELECT object, field, count(DISTINCT record_id) AS records, (array_agg(DISTINCT record_id))[1:200] AS ids
        FROM (
            SELECT object, field, record_id, before, at, lag(id) OVER turns AS earlier, lag(after) OVER turns AS ours
            FROM written WHERE result = 'done' WINDOW turns AS (PARTITION BY object, record_id, field ORDER BY id)
        ) w
        WHERE earlier IS NOT NULL AND before IS DISTINCT FROM ours AND at > now() - make_interval(days => :days)
        GROUP BY 1, 2 ORDER BY 1, 2
        """,
        days=days,
    )


def changed_by_others(connection: Connection, days: int = 30) -> list[dict[str, Any]]:
    """
    Fields of ours that somebody else had changed when they were to be written: object, field, how many records, one of
    them.
    """
    return rows(
        connection,
        """
        SELECT object, field, count(DISTINCT record_id) AS records, min(record_id) AS example FROM written
        WHERE result = 'skipped' AND at > now() - make_interval(days => :days) GROUP BY 1, 2 ORDER BY 1, 2
        """,
        days=days,
    )


def why(connection: Connection, kind: str, golden_id: int) -> dict[str, Any]:
    """
    Everything that explains one golden record: its fields with source, rule and losers, the records behind it, what was
    decided about it and by what, and what was written.
    """
    found = connection.execute(GOLDEN[kind].select().where(GOLDEN[kind].c.id == golden_id)).first()
    if found is None:
        return {}
    row: dict[str, Any] = dict(found._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it
    answer: dict[str, Any] = {
        "kind": kind,
        "id": golden_id,
        "name": _name(kind, row),
        "fields": _fields(row),
        "records": rows(
            connection,
            "SELECT stream, record_id, rule, since_at FROM crosswalk WHERE kind = :kind AND golden_id = :id ORDER BY 1, 2",
            kind=kind,
            id=golden_id,
        ),
    }
    answer |= _ABOUT[kind](connection, golden_id, row)
    answer["written"] = rows(
        connection,
        """
        SELECT w.object, w.record_id, w.field, w.before, w.after, w.result, w.code, w.message, w.reason, w.rule_version, w.at
        FROM crosswalk c JOIN written w ON w.record_id = c.record_id
        WHERE c.kind = :kind AND c.golden_id = :id ORDER BY w.id DESC LIMIT 40
        """,
        kind=kind,
        id=golden_id,
    )
    answer["to_write"] = rows(
        connection,
        """
        SELECT o.object, o.record_id, o.state, p.state AS plan, o.changes, o.code, o.message
        FROM crosswalk c JOIN outbox o ON o.record_id = c.record_id JOIN plan p ON p.id = o.plan_id
        WHERE c.kind = :kind AND c.golden_id = :id ORDER BY 1, 2
        """,
        kind=kind,
        id=golden_id,
    )
    return answer


def _name(kind: str, row: Mapping[str, Any]) -> str:
    if kind == "person":
        return " ".join(filter(None, (row["first_name"], row["last_name"]))) or row["email"] or f"person {row['id']}"
    return row["name"] or f"{kind} {row['id']}"


def _fields(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    values = {name: value for name, value in row.items() if name not in _NOT_FIELDS}
    provenance = row["provenance"]
    told = read_provenance(provenance if isinstance(provenance, str) else json.dumps(provenance), values)
    return [
        {"field": name, **told[name], "value": _trimmed(told[name]["value"])} for name in sorted(told) if name in values
    ]


def _trimmed(value: str | None) -> str | None:
    """
    A number without the zeros that its column's width gave it.
    """
    is_number = value is not None and re.fullmatch(r"-?\d+\.\d+", value)
    return value.rstrip("0").rstrip(".") if value and is_number else value


def _about_person(connection: Connection, golden_id: int, row: Mapping[str, Any]) -> dict[str, Any]:
    account = rows(connection, "SELECT id, name FROM account WHERE id = :id", id=row["account_id"])
    return {
        "created_at": plain(row["created_at"]),
        "original_source": row["original_source"],
        "account": {
            "id": row["account_id"],
            "name": account[0]["name"] if account else None,
            "rule": row["account_rule"],
            "why": row["account_why"],
        },
        "touches": rows(
            connection,
            """
            SELECT t.occurred_at, t.type, t.team, t.channel, t.offer, t.campaign, t.earns_credit, t.machine,
                   t.duplicate_of, t.touch_id
            FROM crosswalk c JOIN touchpoint t ON t.source = c.source AND t.person_ref = c.record_id
            WHERE c.kind = 'person' AND c.golden_id = :id ORDER BY t.occurred_at DESC, t.touch_id LIMIT 200
            """,
            id=golden_id,
        ),
    }


def _about_account(connection: Connection, golden_id: int, row: Mapping[str, Any]) -> dict[str, Any]:
    flag = rows(connection, "SELECT * FROM engagement WHERE account_id = :id", id=golden_id)
    return {
        "domain": row["domain"],
        "engagement": flag[0] if flag else None,
        "history": rows(
            connection,
            """
            SELECT at, engaged, band, why, rule_version, alert FROM engagement_change
            WHERE account_id = :id ORDER BY id DESC
            """,
            id=golden_id,
        ),
        "standing": next(
            iter(rows(connection, "SELECT * FROM account_standing WHERE account_id = :id", id=golden_id)), None
        ),
        "turns": rows(
            connection,
            "SELECT at, what, old, new, rule_version FROM standing_change WHERE account_id = :id ORDER BY id DESC LIMIT 40",
            id=golden_id,
        ),
        "lists": rows(
            connection,
            """
            SELECT list, entered_at, left_at, rule_version FROM list_membership
            WHERE account_id = :id ORDER BY left_at IS NOT NULL, entered_at DESC, list
            """,
            id=golden_id,
        ),
        "verdicts": rows(
            connection,
            "SELECT at, verdict, said_by, rule_version FROM verdict WHERE account_id = :id ORDER BY id DESC",
            id=golden_id,
        ),
        "below": _below(connection, golden_id),
        "people": rows(
            connection,
            """
            SELECT id, concat_ws(' ', first_name, last_name) AS name, title, account_rule AS rule FROM person
            WHERE account_id = :id AND NOT is_deleted ORDER BY name, id LIMIT 100
            """,
            id=golden_id,
        ),
        "deals": rows(
            connection,
            "SELECT id, name, stage, outcome, amount, currency FROM opportunity WHERE account_id = :id ORDER BY created_at",
            id=golden_id,
        ),
    }


def _below(connection: Connection, account_id: int) -> dict[str, Any]:
    """
    How many accounts stand below this one, however far down, and how many of them are engaged: a flag sits on the
    account itself, and its parents show the count.
    """
    return rows(
        connection,
        """
        WITH RECURSIVE tree(id) AS (
            SELECT CAST(:id AS bigint)
            UNION
            SELECT k.golden_id FROM tree t
            JOIN crosswalk c ON c.kind = 'account' AND c.golden_id = t.id
            JOIN source_account s ON s.parent_ref = c.record_id AND NOT coalesce(s.is_deleted, false)
            JOIN crosswalk k ON k.kind = 'account' AND k.record_id = s.record_id AND k.stream = s.stream
        )
        SELECT count(*) AS accounts, count(*) FILTER (WHERE e.engaged) AS engaged
        FROM tree t LEFT JOIN engagement e ON e.account_id = t.id WHERE t.id <> :id
        """,
        id=account_id,
    )[0]


def _about_opportunity(connection: Connection, golden_id: int, row: Mapping[str, Any]) -> dict[str, Any]:
    decided = rows(connection, "SELECT * FROM attribution WHERE opportunity_id = :id", id=golden_id)
    credits = rows(
        connection,
        """
        SELECT c.clock, c.item, c.touch_id, c.occurred_at, c.positions, c.models, t.type, t.channel, t.offer, t.campaign,
               t.label
        FROM credit c LEFT JOIN touchpoint t ON t.touch_id = c.touch_id
        WHERE c.opportunity_id = :id ORDER BY c.clock, c.occurred_at NULLS LAST, c.touch_id, c.item
        """,
        id=golden_id,
    )
    account = rows(connection, "SELECT id, name FROM account WHERE id = :id", id=row["account_id"])
    return {
        "account": account[0] if account else None,
        "amount": plain(row["amount"]),
        "currency": row["currency"],
        "outcome": row["outcome"],
        "created_at": plain(row["created_at"]),
        "closed_at": plain(row["closed_at"]),
        "attribution": decided[0] if decided else None,
        "overrides": rows(
            connection,
            """
            SELECT v.id, v.team, v.channel, v.reason, v.said_by, v.said_at,
                   coalesce((a.overridden->>'id')::bigint = v.id, false) AS holds
            FROM crosswalk k
            JOIN sourcing_override v ON v.source = k.source AND v.record_id = k.record_id
            LEFT JOIN attribution a ON a.opportunity_id = k.golden_id
            WHERE k.kind = 'opportunity' AND k.golden_id = :id ORDER BY v.id DESC
            """,
            id=golden_id,
        ),
        "credits": credits,
        "learnings": learnings_of(connection, credits),
    }


def learnings_of(connection: Connection, credits: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """
    What decided these credits (each with ``models``) where a model's weights are learnt: ``learnings.told``, with
    ``clocks`` that it decided.
    """
    clocks: dict[int, set[str]] = {}
    for row in credits:
        for part in row["models"].values():
            if "learnt" in part:
                clocks.setdefault(part["learnt"], set()).add(row["clock"])
    if not clocks:
        return []
    found = learnings.told(connection, clocks.keys())
    return [
        {name: plain(value) for name, value in each.items()} | {"clocks": sorted(clocks[each["id"]])} for each in found
    ]


_ABOUT: Final = {"person": _about_person, "account": _about_account, "opportunity": _about_opportunity}


def planned(connection: Connection, examples: int) -> dict[str, Any]:
    """
    What waits to be written: plans that wait or are held, counts by object and field, some examples, records in all.
    """
    waiting = "p.state IN ('planned', 'held')"
    return {
        "plans": rows(
            connection, "SELECT id, state, why_held, created_at FROM plan p WHERE " + waiting + " ORDER BY id"
        ),
        "objects": rows(
            connection,
            f"""
            SELECT o.object, count(*) AS records,
                   count(*) FILTER (WHERE o.changes @> '[{{"field": "Id", "new": null}}]') AS deletes,
                   count(*) FILTER (WHERE o.object = 'HW_Touch__c' AND EXISTS (
                       SELECT 1 FROM jsonb_array_elements(o.changes) c
                       WHERE c->>'old' IS NULL AND c->>'new' = o.record_id)) AS creates
            FROM outbox o JOIN plan p ON p.id = o.plan_id WHERE {waiting} GROUP BY 1 ORDER BY 1
            """,
        ),
        "fields": rows(
            connection,
            f"""
            SELECT o.object, c->>'field' AS field, count(*) AS records,
                   count(*) FILTER (WHERE c->>'old' IS NULL) AS first_values,
                   count(*) FILTER (WHERE c->>'new' IS NULL) AS emptied
            FROM outbox o JOIN plan p ON p.id = o.plan_id CROSS JOIN LATERAL jsonb_array_elements(o.changes) c
            WHERE {waiting} GROUP BY 1, 2 ORDER BY 1, 2
            """,
        ),
        "examples": rows(
            connection,
            f"""
            SELECT * FROM (
                SELECT o.object, o.record_id, o.changes,
                       row_number() OVER (PARTITION BY o.object ORDER BY jsonb_array_length(o.changes) DESC,
                       o.record_id) AS n FROM outbox o JOIN plan p ON p.id = o.plan_id WHERE {waiting}) e WHERE n <=
                       :examples ORDER BY object, n
            """,
            examples=examples,
        ),
    }


def report_sources(connection: Connection) -> dict[str, Any]:
    """
    Deals by source channel: created, open, won, lost, and won amount by currency. Each row with the deals behind it by
    count; ``remarks`` lists deals whose data contradict themselves, as they are.
    """
    return {
        "report": "sources",
        "rows": rows(
            connection,
            """
            SELECT coalesce(a.source_channel, :none) AS channel, a.source_team AS team, count(*) AS deals,
                   count(*) FILTER (WHERE o.outcome = 'open') AS open_deals,
                   count(*) FILTER (WHERE o.outcome = 'won') AS won_deals,
                   count(*) FILTER (WHERE o.outcome = 'lost') AS lost_deals,
                   sum(o.amount) FILTER (WHERE o.outcome = 'won') AS won_amount
            FROM opportunity o JOIN attribution a ON a.opportunity_id = o.id
            WHERE NOT o.is_deleted AND a.state <> 'Not credited'
            GROUP BY 1, 2 ORDER BY won_deals DESC, deals DESC, 1
            """,
            none=NO_TOUCH,
        ),
        "not_credited": rows(
            connection,
            """
            SELECT a.why, count(*) AS deals, count(*) FILTER (WHERE o.outcome = 'won') AS won_deals
            FROM opportunity o JOIN attribution a ON a.opportunity_id = o.id
            WHERE NOT o.is_deleted AND a.state = 'Not credited' GROUP BY 1 ORDER BY 2 DESC
            """,
        ),
        "remarks": rows(
            connection,
            """
            SELECT a.remark, o.name, c.record_id, o.created_at, o.closed_at, o.outcome,
                   f.occurred_at AS first_touch_at, f.channel AS first_touch_channel
            FROM attribution a JOIN opportunity o ON o.id = a.opportunity_id
            JOIN crosswalk c ON c.kind = 'opportunity' AND c.golden_id = o.id
            LEFT JOIN LATERAL (
                SELECT t.occurred_at, t.channel FROM source_role r
                JOIN crosswalk p ON p.kind = 'person' AND p.record_id = r.contact_ref
                JOIN crosswalk q ON q.kind = 'person' AND q.golden_id = p.golden_id
                JOIN touchpoint t ON t.source = q.source AND t.person_ref = q.record_id AND t.earns_credit
                    AND t.team = 'marketing' AND t.duplicate_of IS NULL
                WHERE r.opportunity_ref = c.record_id ORDER BY t.occurred_at, t.touch_id LIMIT 1) f ON true
            WHERE a.remark IS NOT NULL AND NOT o.is_deleted ORDER BY o.created_at, o.id
            """,
        ),
        "as_of": rows(connection, "SELECT max(decided_at) AS at, max(rule_version) AS rules FROM attribution")[0],
    }


def stored_records(connection: Connection, stream: str) -> int:
    """
    How many records of a stream are kept.
    """
    shapes = [name.removeprefix("source_") for name in metadata.tables if name.startswith("source_")]
    counts = (
        connection.execute(text(f"SELECT count(*) FROM source_{shape} WHERE stream = :stream"), {"stream": stream})
        for shape in shapes
        if shape != "state"
    )
    return sum(count.scalar_one() for count in counts)
