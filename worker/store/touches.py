"""
Remembers touchpoints, and gives native activities and campaign members with what is known of their campaign and user.
Called by the resolve flow.
"""

from collections.abc import Sequence
from typing import Final

import polars as pl
from sqlalchemy import Connection

from worker.core.frames import INSTANT
from worker.core.touchpoints.classify import ACTIVITY, TOUCHPOINT
from worker.core.touchpoints.members import MEMBER
from worker.store import tables
from worker.store.bulk import Schema, cursor_of, fetch, upsert

_CAMPAIGN: Final = """
    LEFT JOIN source_campaign c ON c.record_id = a.campaign_ref
        AND split_part(c.stream, '.', 1) = split_part(a.stream, '.', 1)
"""
_CAMPAIGN_KEY: Final = """
    CASE WHEN c.linked_ref IS NOT NULL THEN 'salesforce:' || c.linked_ref
         WHEN a.campaign_ref IS NOT NULL THEN split_part(a.stream, '.', 1) || ':' || a.campaign_ref END
"""


_ACTIVITY: Final = f"""
    a.stream || ':' || a.record_id, split_part(a.stream, '.', 1) || '.activity', split_part(a.stream, '.', 1),
    a.person_ref, a.account_ref, a.occurred_at, a.native_type, a.asset, a.attributes::text, c.name, c.type, c.status,
    {_CAMPAIGN_KEY}, NULL, u.department, u.title, u.user_type
"""
_MEMBER: Final = f"""
    a.stream || ':' || a.record_id, split_part(a.stream, '.', 1) || '.member', split_part(a.stream, '.', 1),
    coalesce(a.contact_ref, a.lead_ref), NULL, NULL, NULL, '{{}}', c.name, c.type, c.status, {_CAMPAIGN_KEY}, a.status,
    NULL, NULL, NULL, a.has_responded, a.responded_on, c.start_on, a.created_at
"""
_USER: Final = "LEFT JOIN source_user u ON u.record_id = a.actor_ref"
# Whose an act is, and when it came to the store, by the database's clock.
OWNED: Final[Schema] = {"golden_id": pl.Int64, "seen_at": INSTANT}
_SEEN: Final = "LEFT JOIN touchpoint t ON t.touch_id = a.stream || ':' || a.record_id"


def activities(connection: Connection, refs: pl.DataFrame) -> pl.DataFrame:
    """
    ACTIVITY rows of the live activities named by ``refs``, ordered by touch id.
    """
    statement = f"""
        SELECT {_ACTIVITY} FROM unnest(%(streams)s::text[], %(ids)s::text[]) AS r(stream, record_id)
        JOIN source_activity a USING (stream, record_id) {_CAMPAIGN} {_USER}
        WHERE NOT coalesce(a.is_deleted, false) ORDER BY 1
    """
    return fetch(connection, statement, _bound(refs), ACTIVITY)


def activities_of(connection: Connection, kind: str, golden_ids: Sequence[int]) -> pl.DataFrame:
    """
    ACTIVITY and OWNED of every live activity of these persons, or (kind ``account``) of these accounts themselves.
    """
    owner = "a.person_ref = k.record_id" if kind == "person" else "a.account_ref = k.record_id AND a.person_ref IS NULL"
    statement = f"""
        SELECT {_ACTIVITY}, k.golden_id, coalesce(a.seen_at, t.seen_at, a.created_at, a.occurred_at)
        FROM crosswalk k JOIN source_activity a ON {owner} AND split_part(a.stream, '.', 1) = k.source
        {_CAMPAIGN} {_USER} {_SEEN}
        WHERE k.kind = %(kind)s AND k.golden_id = ANY(%(ids)s) AND NOT coalesce(a.is_deleted, false) ORDER BY 1
    """
    return fetch(connection, statement, {"kind": kind, "ids": list(golden_ids)}, {**ACTIVITY, **OWNED})


def members(connection: Connection, refs: pl.DataFrame) -> pl.DataFrame:
    """
    MEMBER rows of the live campaign members named by ``refs``, ordered by touch id.
    """
    statement = f"""
        SELECT {_MEMBER} FROM unnest(%(streams)s::text[], %(ids)s::text[]) AS r(stream, record_id)
        JOIN source_member a USING (stream, record_id) {_CAMPAIGN}
        WHERE NOT coalesce(a.is_deleted, false) ORDER BY 1
    """
    return fetch(connection, statement, _bound(refs), MEMBER)


def members_of(connection: Connection, person_ids: Sequence[int]) -> pl.DataFrame:
    """
    MEMBER and OWNED of every live campaign membership of these persons. One that became a touch after it had come was
    seen when it did.
    """
    statement = f"""
        SELECT {_MEMBER}, k.golden_id, coalesce(t.seen_at, a.seen_at, a.created_at)
        FROM crosswalk k
        JOIN source_member a ON (a.contact_ref = k.record_id OR (a.contact_ref IS NULL AND a.lead_ref = k.record_id))
            AND split_part(a.stream, '.', 1) = k.source
        {_CAMPAIGN} {_SEEN}
        WHERE k.kind = 'person' AND k.golden_id = ANY(%(ids)s) AND NOT coalesce(a.is_deleted, false) ORDER BY 1
    """
    return fetch(connection, statement, {"ids": list(person_ids)}, {**MEMBER, **OWNED})


def save(connection: Connection, judged: Sequence[str], touchpoints: pl.DataFrame) -> list[str]:
    """
    Have the touchpoints (TOUCHPOINT) for the touch ids ``judged``: those that are no touch any more go.

    Returns the touch ids that are new, changed or gone.
    """
    kept = set(touchpoints["touch_id"])
    dropped = [touch_id for touch_id in judged if touch_id not in kept]
    gone = (
        cursor_of(connection)
        .execute("DELETE FROM touchpoint WHERE touch_id = ANY(%s) RETURNING touch_id", (dropped,))
        .fetchall()
        if dropped
        else []
    )
    moved = upsert(connection, tables.touchpoint, touchpoints, ("touch_id",))
    return [touch_id for (touch_id,) in (*gone, *moved)]


def people_of(connection: Connection, refs: Sequence[tuple[str, str]]) -> list[int]:
    """
    The golden persons behind (source, person_ref) pairs, each once, sorted.
    """
    rows = cursor_of(connection).execute(
        """
        SELECT DISTINCT c.golden_id FROM unnest(%s::text[], %s::text[]) AS r(source, record_id)
        JOIN crosswalk c ON c.kind = 'person' AND c.source = r.source AND c.record_id = r.record_id ORDER BY 1
        """,
        ([source for source, _ in refs], [record_id for _, record_id in refs]),
    )
    return [number for (number,) in rows.fetchall()]


def of_people(connection: Connection, person_ids: Sequence[int]) -> pl.DataFrame:
    """
    Every touchpoint of these persons (TOUCHPOINT and person_id), whichever of their records it came by.
    """
    cells = ", ".join(f"t.{name}" for name in TOUCHPOINT)
    statement = f"""
        SELECT {cells}, c.golden_id FROM crosswalk c
        JOIN touchpoint t ON t.source = c.source AND t.person_ref = c.record_id
        WHERE c.kind = 'person' AND c.golden_id = ANY(%(ids)s) ORDER BY t.touch_id
    """
    return fetch(connection, statement, {"ids": list(person_ids)}, {**TOUCHPOINT, "person_id": pl.Int64})


def save_standing(connection: Connection, standing: pl.DataFrame) -> list[str]:
    """
    Keep what was decided about machines and duplicates (STANDING); returns the touch ids where it changed.
    """
    rows = cursor_of(connection).execute(
        """
        UPDATE touchpoint t SET machine = s.machine, duplicate_of = s.duplicate_of
        FROM unnest(%s::text[], %s::text[], %s::text[]) AS s(touch_id, machine, duplicate_of)
        WHERE t.touch_id = s.touch_id
            AND (t.machine, t.duplicate_of) IS DISTINCT FROM (s.machine, s.duplicate_of)
        RETURNING t.touch_id
        """,
        tuple(standing[name].to_list() for name in ("touch_id", "machine", "duplicate_of")),
    )
    return [touch_id for (touch_id,) in rows.fetchall()]


def touches_of_campaigns(connection: Connection, refs: pl.DataFrame) -> tuple[list[str], list[str]]:
    """
    The activities and the members that belong to these campaigns, as "<stream>:<record id>" keys.
    """
    cursor = cursor_of(connection)
    found = []
    for shape in ("activity", "member"):
        rows = cursor.execute(
            f"""
            SELECT a.stream || ':' || a.record_id
            FROM unnest(%(streams)s::text[], %(ids)s::text[]) AS r(stream, record_id) JOIN source_{shape} a ON
            a.campaign_ref = r.record_id AND split_part(a.stream, '.', 1) = split_part(r.stream, '.', 1)
            """,
            _bound(refs),
        )
        found.append([key for (key,) in rows.fetchall()])
    return found[0], found[1]


def touches_of_users(connection: Connection, refs: pl.DataFrame) -> list[str]:
    """
    The activities that these users did, as "<stream>:<record id>" keys.
    """
    rows = cursor_of(connection).execute(
        """
        SELECT a.stream || ':' || a.record_id FROM unnest(%(streams)s::text[], %(ids)s::text[]) AS r(stream, record_id)
        JOIN source_activity a ON a.actor_ref = r.record_id
        """,
        _bound(refs),
    )
    return [key for (key,) in rows.fetchall()]


def _bound(refs: pl.DataFrame) -> dict[str, list[str]]:
    return {"streams": refs["stream"].to_list(), "ids": refs["record_id"].to_list()}


def owners(connection: Connection, touch_ids: Sequence[str]) -> dict[str, tuple[str, str]]:
    """
    The (source, person_ref) that each of these touches stands under today; touches without a person are absent.
    """
    rows = cursor_of(connection).execute(
        """
        SELECT touch_id, source, person_ref FROM touchpoint
        WHERE touch_id = ANY(%s) AND person_ref IS NOT NULL
        """,
        (list(touch_ids),),
    )
    return {touch_id: (source, person_ref) for touch_id, source, person_ref in rows.fetchall()}


def accounts_of_refs(connection: Connection, refs: Sequence[tuple[str, str]]) -> list[int]:
    """
    The golden accounts behind (source, account_ref) pairs.
    """
    rows = cursor_of(connection).execute(
        """
        SELECT DISTINCT c.golden_id FROM unnest(%s::text[], %s::text[]) AS r(source, record_id)
        JOIN crosswalk c ON c.kind = 'account' AND c.source = r.source AND c.record_id = r.record_id
        """,
        ([source for source, _ in refs], [record_id for _, record_id in refs]),
    )
    return [number for (number,) in rows.fetchall()]
