"""
Finds what a change reaches: the accounts a person may belong to, the deals a person, role or stage stands on, the
records to look at again. Every question is asked for a set of subjects and answered through indexes. Called by the
resolve flow.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl
from sqlalchemy import Connection

from worker.core.deals import STAGE, STAGE_ENTRY
from worker.core.matching.accounts import ACCOUNT_TO_MATCH, PERSON_TO_MATCH
from worker.store.bulk import Schema, cursor_of, fetch

OWN_ACCOUNT: Final = "contact's account"

_PEOPLE: Final[Schema] = {name: kind for name, kind in PERSON_TO_MATCH.items() if name != "pinned_account_id"}
_ACCOUNTS: Final[Schema] = {name: kind for name, kind in ACCOUNT_TO_MATCH.items() if name != "is_target"}


@dataclass(frozen=True)
class MovedMatches:
    """
    The persons whose match or its words changed, those among them who came to another account, and the accounts they
    left and came to.
    """

    people: list[int]
    came: list[int]
    old_accounts: list[int]
    new_accounts: list[int]


def candidates(
    connection: Connection, person_ids: Sequence[int], contact_stream: str
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """
    Everything that decides these persons' matches: (PERSON_TO_MATCH rows, ACCOUNT_TO_MATCH rows).

    Beside the persons asked for come the contacts of every account in question: they show which domains are its own.
    """
    values: dict[str, Any] = {"ids": list(person_ids), "contact_stream": contact_stream, "own": OWN_ACCOUNT}
    asked = _people(connection, values)
    cursor = cursor_of(connection)
    cursor.execute(
        """
        WITH domains AS (
            SELECT DISTINCT email_domain FROM person WHERE id = ANY(%(ids)s) AND email_domain IS NOT NULL
        )
        SELECT id FROM account WHERE domain IN (SELECT email_domain FROM domains)
        UNION SELECT account_id FROM person WHERE email_domain IN (SELECT email_domain FROM domains)
            AND account_rule = %(own)s
        """,
        values,
    )
    account_ids = {number for (number,) in cursor.fetchall()} | {
        number
        for name in ("contact_account_id", "converted_account_id", "platform_account_id", "matched_account_id")
        for number in asked[name].drop_nulls().to_list()
    }
    account_ids.discard(None)
    values["accounts"] = sorted(account_ids)
    cursor.execute(
        """
        SELECT id FROM person WHERE account_id = ANY(%(accounts)s) AND account_rule = %(own)s AND NOT id = ANY(%(ids)s)
        """,
        values,
    )
    teachers = [number for (number,) in cursor.fetchall()]
    people = pl.concat([asked, _people(connection, {**values, "ids": teachers})]) if teachers else asked
    accounts = fetch(
        connection,
        """
        SELECT id, name, website, type, country, created_at, is_deleted FROM account
        WHERE id = ANY(%(accounts)s) ORDER BY id
        """,
        values,
        _ACCOUNTS,
    )
    return people, accounts


def _people(connection: Connection, values: dict[str, Any]) -> pl.DataFrame:
    return fetch(
        connection,
        """
        SELECT p.id, p.email, p.country, p.company,
            max(a.golden_id) FILTER (WHERE s.stream = %(contact_stream)s AND a.record_id = s.account_ref),
            max(a.golden_id) FILTER (WHERE a.record_id = s.converted_account_ref),
            max(a.golden_id) FILTER (WHERE s.stream <> %(contact_stream)s AND a.record_id = s.account_ref),
            CASE WHEN p.account_rule = 'domain' THEN p.account_id END
        FROM person p
        LEFT JOIN crosswalk c ON c.kind = 'person' AND c.golden_id = p.id
        LEFT JOIN source_person s ON s.stream = c.stream AND s.record_id = c.record_id
            AND NOT coalesce(s.is_deleted, false)
        LEFT JOIN LATERAL unnest(ARRAY[s.account_ref, s.converted_account_ref]) AS named(ref) ON named.ref IS NOT NULL
        LEFT JOIN crosswalk a ON a.kind = 'account' AND a.source = 'salesforce' AND a.record_id = named.ref
        WHERE p.id = ANY(%(ids)s) AND NOT p.is_deleted GROUP BY p.id ORDER BY p.id
        """,
        values,
        _PEOPLE,
    )


def with_gone(matched: pl.DataFrame, person_ids: Sequence[int]) -> pl.DataFrame:
    """
    The matches with a row for each person who was asked for and is gone: they belong to no account.
    """
    known = set(matched["person_id"])
    gone = [number for number in person_ids if number not in known]
    return pl.concat([matched, pl.DataFrame({"person_id": gone}, schema={"person_id": pl.Int64})], how="diagonal")


def people_of_accounts(connection: Connection, account_ids: Sequence[int]) -> list[int]:
    """
    The persons who belong to these accounts.
    """
    rows = cursor_of(connection).execute("SELECT id FROM person WHERE account_id = ANY(%s)", (list(account_ids),))
    return [number for (number,) in rows.fetchall()]


def note_stream_for_plan(connection: Connection, kind: str, stream: str) -> None:
    """
    Have every record of a stream compared with what it should hold.
    """
    cursor_of(connection).execute(
        f"""
        INSERT INTO due (flow, kind, key) SELECT 'plan', %(kind)s, stream || ':' || record_id FROM source_{kind}
        WHERE stream = %(stream)s ORDER BY 3 ON CONFLICT DO NOTHING
        """,
        {"kind": kind, "stream": stream},
    )


def save_matches(connection: Connection, matched: pl.DataFrame, person_ids: Sequence[int]) -> MovedMatches:
    """
    Keep the matches (MATCH) of ``person_ids``; only rows that differ are written.
    """
    rows = matched.filter(pl.col("person_id").is_in(list(person_ids)))
    cursor = cursor_of(connection)
    cursor.execute(
        """
        WITH wanted AS MATERIALIZED (
            SELECT w.*, p.account_id AS old_id, p.account_rule AS old_rule
            FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::text[]) AS w(id, account_id, rule, why)
            JOIN person p ON p.id = w.id
            WHERE (p.account_id, p.account_rule, p.account_why) IS DISTINCT FROM (w.account_id, w.rule, w.why)
        ), saved AS (
            UPDATE person p SET account_id = w.account_id, account_rule = w.rule, account_why = w.why, updated_at =
            now() FROM wanted w WHERE p.id = w.id ) SELECT id, old_id, account_id FROM wanted
        """,
        tuple(rows[name].to_list() for name in ("person_id", "account_id", "rule", "why")),
    )
    moved = cursor.fetchall()
    return MovedMatches(
        [row[0] for row in moved],
        [row[0] for row in moved if row[1] != row[2]],
        sorted({row[1] for row in moved if row[1] is not None and row[1] != row[2]}),
        sorted({row[2] for row in moved if row[2] is not None and row[1] != row[2]}),
    )


def note_neighbours(connection: Connection, person_ids: Sequence[int]) -> None:
    """
    Have the people matched again whose e-mail domain these contacts have just shown to be their account's.
    """
    cursor_of(connection).execute(
        """
        INSERT INTO due (flow, kind, key)
        SELECT 'resolve', 'match', n.id::text FROM person n
        WHERE n.email_domain IN (
                SELECT email_domain FROM person
                WHERE id = ANY(%(ids)s) AND account_rule = %(own)s AND email_domain IS NOT NULL)
            AND (n.account_rule IS NULL OR n.account_rule = 'domain') AND NOT n.id = ANY(%(ids)s)
        ORDER BY 3
        ON CONFLICT DO NOTHING
        """,
        {"ids": list(person_ids), "own": OWN_ACCOUNT},
    )


def domains_of(connection: Connection, account_ids: Sequence[int]) -> list[str]:
    """
    The domains that these accounts have today.
    """
    rows = cursor_of(connection).execute(
        "SELECT DISTINCT domain FROM account WHERE id = ANY(%s) AND domain IS NOT NULL", (list(account_ids),)
    )
    return [domain for (domain,) in rows.fetchall()]


def note_dependents(connection: Connection, account_refs: Sequence[str], domains: Sequence[str]) -> None:
    """
    Have looked at again what hangs on accounts that came, moved or changed: deals and people that name them, and people
    of their domains.
    """
    cursor_of(connection).execute(
        """
        INSERT INTO due (flow, kind, key)
        SELECT 'resolve', 'opportunity', stream || ':' || record_id FROM source_opportunity
        WHERE account_ref = ANY(%(refs)s)
        UNION
        SELECT 'resolve', 'match', c.golden_id::text FROM source_person s
        JOIN crosswalk c ON c.kind = 'person' AND c.source = split_part(s.stream, '.', 1) AND c.record_id = s.record_id
        WHERE s.account_ref = ANY(%(refs)s)
        UNION
        SELECT 'resolve', 'match', id::text FROM person WHERE email_domain = ANY(%(domains)s)
        ORDER BY 2, 3
        ON CONFLICT DO NOTHING
        """,
        {"refs": list(account_refs), "domains": list(domains)},
    )


def accounts_of(connection: Connection, person_ids: Sequence[int]) -> list[int]:
    """
    The accounts these persons belong to, each once.
    """
    rows = cursor_of(connection).execute(
        "SELECT DISTINCT account_id FROM person WHERE id = ANY(%s) AND account_id IS NOT NULL", (list(person_ids),)
    )
    return [number for (number,) in rows.fetchall()]


def deals_of(connection: Connection, person_ids: Sequence[int]) -> list[int]:
    """
    The golden deals that these persons may stand on: by contact role, or as people of the deal's account.
    """
    rows = cursor_of(connection).execute(
        """
        SELECT o.golden_id FROM crosswalk c
        JOIN source_role r ON r.contact_ref = c.record_id
        JOIN crosswalk o ON o.kind = 'opportunity' AND o.source = split_part(r.stream, '.', 1)
            AND o.record_id = r.opportunity_ref
        WHERE c.kind = 'person' AND c.golden_id = ANY(%(ids)s) AND c.source = split_part(r.stream, '.', 1)
        UNION
        SELECT d.id FROM person p JOIN opportunity d ON d.account_id = p.account_id WHERE p.id = ANY(%(ids)s)
        """,
        {"ids": list(person_ids)},
    )
    return [number for (number,) in rows.fetchall()]


def deals_of_accounts(connection: Connection, account_ids: Sequence[int]) -> list[int]:
    """
    The golden deals of these accounts.
    """
    rows = cursor_of(connection).execute("SELECT id FROM opportunity WHERE account_id = ANY(%s)", (list(account_ids),))
    return [number for (number,) in rows.fetchall()]


def deals_of_roles(connection: Connection, refs: pl.DataFrame) -> list[int]:
    """
    The golden deals of these contact roles.
    """
    rows = cursor_of(connection).execute(
        """
        SELECT DISTINCT o.golden_id FROM unnest(%(streams)s::text[], %(ids)s::text[]) AS k(stream, record_id)
        JOIN source_role r USING (stream, record_id)
        JOIN crosswalk o ON o.kind = 'opportunity' AND o.source = split_part(r.stream, '.', 1)
            AND o.record_id = r.opportunity_ref
        """,
        {"streams": refs["stream"].to_list(), "ids": refs["record_id"].to_list()},
    )
    return [number for (number,) in rows.fetchall()]


def deals_of_history(connection: Connection, refs: pl.DataFrame) -> list[str]:
    """
    The deals ("<stream>:<record id>") whose stage history these rows belong to.
    """
    rows = cursor_of(connection).execute(
        """
        SELECT DISTINCT o.stream || ':' || o.record_id
        FROM unnest(%(streams)s::text[], %(ids)s::text[]) AS k(stream, record_id)
        JOIN source_stage_change h USING (stream, record_id)
        JOIN source_opportunity o ON o.record_id = h.opportunity_ref
        """,
        {"streams": refs["stream"].to_list(), "ids": refs["record_id"].to_list()},
    )
    return [key for (key,) in rows.fetchall()]


def deals_of_labels(connection: Connection, refs: pl.DataFrame) -> list[int]:
    """
    The golden deals whose record type one of these labels names.
    """
    rows = cursor_of(connection).execute(
        """
        SELECT c.golden_id FROM source_opportunity o
        JOIN crosswalk c ON c.kind = 'opportunity' AND c.source = split_part(o.stream, '.', 1)
            AND c.record_id = o.record_id
        WHERE o.record_type_ref = ANY(%(ids)s)
        """,
        {"ids": refs["record_id"].to_list()},
    )
    return [number for (number,) in rows.fetchall()]


def every_deal(connection: Connection) -> list[str]:
    """
    Every deal there is, as "<stream>:<record id>".
    """
    rows = cursor_of(connection).execute("SELECT stream || ':' || record_id FROM source_opportunity")
    return [key for (key,) in rows.fetchall()]


def stage_history(connection: Connection, deal_refs: Sequence[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """
    (STAGE_ENTRY rows of these deals, the organisation's STAGE list).
    """
    entries = fetch(
        connection,
        """
        SELECT opportunity_ref, stage, created_at FROM source_stage_change
        WHERE opportunity_ref = ANY(%(refs)s) AND NOT coalesce(is_deleted, false) AND created_at IS NOT NULL
        ORDER BY opportunity_ref, created_at, record_id
        """,
        {"refs": list(deal_refs)},
        STAGE_ENTRY,
    )
    stages = fetch(
        connection,
        "SELECT name, coalesce(is_closed, false), coalesce(is_won, false) FROM source_stage ORDER BY sort_order, name",
        {},
        STAGE,
    )
    return entries, stages


def accounts_of_deals(connection: Connection, deal_refs: Sequence[str]) -> pl.DataFrame:
    """
    record_id and account_id (golden, null while the account is unknown) of these deals.
    """
    return fetch(
        connection,
        """
        SELECT o.record_id, c.golden_id FROM source_opportunity o
        LEFT JOIN crosswalk c ON c.kind = 'account' AND c.source = split_part(o.stream, '.', 1)
            AND c.record_id = o.account_ref
        WHERE o.record_id = ANY(%(refs)s) ORDER BY o.record_id
        """,
        {"refs": list(deal_refs)},
        {"record_id": pl.String, "account_id": pl.Int64},
    )


def note_for_plan(connection: Connection, kind: str, golden_ids: Iterable[int]) -> None:
    """
    Have every source record of these golden records compared with what it should hold.
    """
    ids = list(golden_ids)
    if not ids:
        return
    cursor_of(connection).execute(
        """
        INSERT INTO due (flow, kind, key)
        SELECT 'plan', kind, stream || ':' || record_id FROM crosswalk WHERE kind = %s AND golden_id = ANY(%s)
        ORDER BY 3
        ON CONFLICT DO NOTHING
        """,
        (kind, ids),
    )
