"""
Gives what a deal's touches earned and the records that stand for them in the organisation, and remembers what those
hold since we wrote them. Called by the plan flow and by what settles answers; what should be is ``core``'s to say.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from worker.store.bulk import cursor_of


def note_deals(connection: Connection, stream: str, golden_ids: Iterable[int]) -> None:
    """
    Have the touch records of these deals looked at by the plan; ``stream`` is the deals' own.
    """
    cursor_of(connection).execute(
        """
        INSERT INTO due (flow, kind, key)
        SELECT 'plan', 'touch_record', stream || ':' || record_id FROM crosswalk
        WHERE kind = 'opportunity' AND stream = %s AND golden_id = ANY(%s) ORDER BY 3 ON CONFLICT DO NOTHING
        """,
        (stream, list(golden_ids)),
    )


def note_all_deals(connection: Connection, stream: str) -> None:
    """
    The same for every deal that anything was decided of.
    """
    cursor_of(connection).execute(
        """
        INSERT INTO due (flow, kind, key)
        SELECT 'plan', 'touch_record', c.stream || ':' || c.record_id FROM crosswalk c
        JOIN attribution a ON a.opportunity_id = c.golden_id
        WHERE c.kind = 'opportunity' AND c.stream = %s ORDER BY 3 ON CONFLICT DO NOTHING
        """,
        (stream,),
    )


def deals_of(connection: Connection, stream: str, record_ids: Sequence[str]) -> list[str]:
    """
    The deals that these touch records stand beneath.
    """
    rows = cursor_of(connection).execute(
        """
        SELECT DISTINCT opportunity_ref FROM source_touch_record
        WHERE record_id = ANY(%s) AND stream = %s AND opportunity_ref IS NOT NULL
        """,
        (list(record_ids), stream),
    )
    return [ref for (ref,) in rows.fetchall()]


def deals(connection: Connection, stream: str, refs: Sequence[str]) -> list[Mapping[str, Any]]:
    """
    Those of the deals that are there and were decided of: opportunity_ref, currency, amount digits, closed_at (None
    while open), state and rule_version of the decision. Ordered by opportunity_ref.
    """
    rows = cursor_of(connection).execute(
        """
        SELECT c.record_id, o.currency, scale(trim_scale(o.amount)), CASE WHEN o.outcome <> 'open' THEN o.closed_at END,
            a.state, a.rule_version
        FROM crosswalk c
        JOIN source_opportunity s ON s.record_id = c.record_id AND s.stream = c.stream
            AND NOT coalesce(s.is_deleted, false)
        JOIN opportunity o ON o.id = c.golden_id AND NOT o.is_deleted
        JOIN attribution a ON a.opportunity_id = o.id
        WHERE c.kind = 'opportunity' AND c.stream = %s AND c.record_id = ANY(%s) ORDER BY 1
        """,
        (stream, list(refs)),
    )
    names = ("opportunity_ref", "currency", "amount_scale", "closed_at", "state", "rule_version")
    return [dict(zip(names, row, strict=True)) for row in rows.fetchall()]


def credits(connection: Connection, stream: str, refs: Sequence[str], model: str) -> list[Mapping[str, Any]]:
    """
    What each touch of these deals earned under a model, a row a clock, in the order of deal, instant, touch and clock;
    with what is known of the touch, and the live contact and campaign of the deals' own source behind it.
    """
    rows = cursor_of(connection).execute(
        """
        SELECT c.record_id, k.clock, k.touch_id, k.occurred_at, k.positions, k.models->%(model)s,
            t.type, t.channel, t.offer, t.team,
            (SELECT p.record_id FROM crosswalk own
             JOIN crosswalk p ON p.kind = 'person' AND p.golden_id = own.golden_id AND p.stream = c.source || '.contact'
             JOIN source_person s ON s.record_id = p.record_id AND s.stream = p.stream
                AND NOT coalesce(s.is_deleted, false)
             WHERE own.kind = 'person' AND own.source = t.source AND own.record_id = t.person_ref
             -- A person of two contacts is shown as the one who acted, else as the same one each time.
             ORDER BY (p.record_id = t.person_ref) DESC, p.record_id LIMIT 1),
            (SELECT s.record_id FROM source_campaign s WHERE s.stream = c.source || '.campaign'
                AND s.record_id = substr(t.campaign_key, length(c.source) + 2) AND NOT coalesce(s.is_deleted, false)
                AND starts_with(t.campaign_key, c.source || ':'))
        FROM crosswalk c JOIN credit k ON k.opportunity_id = c.golden_id AND k.item = 'touch'
        LEFT JOIN touchpoint t ON t.touch_id = k.touch_id
        WHERE c.kind = 'opportunity' AND c.stream = %(stream)s AND c.record_id = ANY(%(refs)s)
            AND k.models ? %(model)s AND k.occurred_at IS NOT NULL
        ORDER BY c.record_id, k.occurred_at, k.touch_id, k.clock
        """,
        {"stream": stream, "refs": list(refs), "model": model},
    )
    touch = ("type", "channel", "offer", "team", "contact_ref", "campaign_ref")
    names = ("opportunity_ref", "clock", "touch_id", "occurred_at", "positions", "credit", *touch)
    return [dict(zip(names, row, strict=True)) for row in rows.fetchall()]


def held(connection: Connection, stream: str, refs: Sequence[str]) -> list[Mapping[str, Any]]:
    """
    The live records beneath these deals as last seen: record_id, key, opportunity_ref, ours (field -> text).
    """
    rows = cursor_of(connection).execute(
        """
        SELECT record_id, key, opportunity_ref, coalesce(ours, '{}') FROM source_touch_record
        WHERE opportunity_ref = ANY(%s) AND stream = %s AND NOT coalesce(is_deleted, false) ORDER BY record_id
        """,
        (list(refs), stream),
    )
    return [dict(zip(("record_id", "key", "opportunity_ref", "ours"), row, strict=True)) for row in rows.fetchall()]


def waiting_keys(connection: Connection, object_name: str, refs: Sequence[str]) -> list[str]:
    """
    The keys of these deals of which something is in the outbox.
    """
    rows = cursor_of(connection).execute(
        "SELECT record_id FROM outbox WHERE object = %s AND split_part(record_id, ':', 1) = ANY(%s)",
        (object_name, list(refs)),
    )
    return [key for (key,) in rows.fetchall()]


def has_any(connection: Connection, stream: str) -> bool:
    """
    Whether the organisation holds a record of ours.
    """
    found = cursor_of(connection).execute(
        """
        SELECT 1 FROM source_touch_record WHERE stream = %s AND NOT coalesce(is_deleted, false)
            AND starts_with(key, opportunity_ref || ':') LIMIT 1
        """,
        (stream,),
    )
    return found.fetchone() is not None


def planned_deals(connection: Connection, object_name: str) -> int:
    """
    How many deals' records the plan being drawn up would change.
    """
    number: int = (
        cursor_of(connection)
        .execute(
            """
            SELECT count(DISTINCT split_part(o.record_id, ':', 1)) FROM outbox o
            JOIN plan p ON p.id = o.plan_id AND p.state = 'drafting' WHERE o.object = %s
            """,
            (object_name,),
        )
        .fetchone()[0]
    )
    return number


def forget(connection: Connection, object_name: str) -> int:
    """
    Leave out of plan and outbox what is not on its way: these records are not written any more. Returns how many rows.
    """
    cursor = cursor_of(connection)
    cursor.execute("DELETE FROM due WHERE flow = 'plan' AND kind = 'touch_record'")
    gone: int = cursor.execute(
        "DELETE FROM outbox WHERE object = %s AND state NOT IN ('sending', 'unknown')", (object_name,)
    ).rowcount
    return gone


def now_hold(
    connection: Connection,
    stream: str,
    values: Mapping[str, Mapping[str, str | None]],
    made: Mapping[str, str],
    gone: Sequence[str],
) -> None:
    """
    Note what the records of these keys hold since we wrote them (field -> text, None = empty), which ids those have that
    came into being, and which keys have no record any more, so that reading our own writes back is no news.
    """
    cursor = cursor_of(connection)
    created = sorted(made)
    cursor.execute(
        """
        INSERT INTO source_touch_record AS s (stream, record_id, is_deleted, key, opportunity_ref, ours)
        SELECT %s, w.record_id, false, w.key, split_part(w.key, ':', 1), jsonb_strip_nulls(w.ours)
        FROM unnest(%s::text[], %s::text[], %s::jsonb[]) AS w(record_id, key, ours)
        ON CONFLICT (record_id, stream) DO UPDATE
            SET is_deleted = false, ours = jsonb_strip_nulls(coalesce(s.ours, '{}') || EXCLUDED.ours)
        """,
        (stream, [made[key] for key in created], created, [json.dumps(dict(values.get(key, {}))) for key in created]),
    )
    changed = [key for key in values if key not in made]
    cursor.execute(
        """
        UPDATE source_touch_record s SET ours = jsonb_strip_nulls(coalesce(s.ours, '{}') || w.ours)
        FROM unnest(%s::text[], %s::jsonb[]) AS w(key, ours)
        WHERE s.key = w.key AND s.stream = %s AND NOT coalesce(s.is_deleted, false)
        """,
        (changed, [json.dumps(dict(values[key])) for key in changed], stream),
    )
    cursor.execute(
        "UPDATE source_touch_record SET is_deleted = true WHERE key = ANY(%s) AND stream = %s", (list(gone), stream)
    )
