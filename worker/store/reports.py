"""
The rows that reports are made of: people, accounts, deals, credits, campaigns, handovers, and what data lack. Reads
only; each function gives a frame with one row a thing, and sums up nothing. Called by the reports.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import polars as pl
from sqlalchemy import Connection

from worker.core.deals import MINOR_DIGITS
from worker.core.frames import INSTANT
from worker.core.funnel.totals import MONEY
from worker.store.bulk import Schema, cursor_of, fetch

NOT_CREDITED: Final = "Not credited"
# What nobody gets of a deal, as a channel.
NOBODYS: Final = {"pending": "Pending", "unassigned": "No marketing touch"}
# How long before its creation a deal's journey begins.
JOURNEY_DAYS: Final = 540


class Horizon(NamedTuple):
    """
    How far one looks: at what happened by ``until`` (the organisation's clock) and had come by ``seen_by`` (the
    database's). None is no bound.
    """

    until: datetime | None = None
    seen_by: datetime | None = None

    @property
    def bound(self) -> dict[str, datetime | str]:
        """
        The same as values for a statement.
        """
        return {"until": self.until or "infinity", "seen_by": self.seen_by or "infinity"}


PRESENT: Final = Horizon()
# Whether touch ``t`` counts within a horizon: one whose double lies beyond it stands for itself.
_COUNTS: Final = """t.machine IS NULL AND t.occurred_at <= %(until)s AND t.seen_at <= %(seen_by)s
    AND (t.duplicate_of IS NULL OR EXISTS (SELECT 1 FROM touchpoint f WHERE f.touch_id = t.duplicate_of
         AND (f.occurred_at > %(until)s OR f.seen_at > %(seen_by)s)))"""
_SIZE: Final = """
    CASE WHEN {0}.employees IS NULL THEN NULL WHEN {0}.employees < 50 THEN '1-49' WHEN {0}.employees < 250 THEN '50-249'
         WHEN {0}.employees < 1000 THEN '250-999' ELSE '1000+' END
"""

# What one item ``c`` of a deal ``o`` gets under a model, and how many digits the deal's whole units have after the point.
_SHARE: Final = """split_part(c.models->%(model)s->>'share', '/', 1)::float8
    / coalesce(nullif(split_part(c.models->%(model)s->>'share', '/', 2), ''), '1')::float8"""
_UNITS: Final = "(c.models->%(model)s->>'units')::numeric"
_DIGITS: Final = """greatest(coalesce((%(minor)s::jsonb->>coalesce(o.currency, %(home)s))::int, 2),
    scale(trim_scale(o.amount)))"""

DEAL_ROW: Final[Schema] = {
    "opportunity_id": pl.Int64,
    "account_id": pl.Int64,
    "record_id": pl.String,
    "deal": pl.String,
    "account": pl.String,
    "type": pl.String,
    "size": pl.String,
    "industry": pl.String,
    "country": pl.String,
    "stage": pl.String,
    "outcome": pl.String,
    "created_at": INSTANT,
    "closed_at": INSTANT,
    "closes_at": INSTANT,  # noon of CloseDate, else the close
    "currency": pl.String,
    "amount": MONEY,
    "team": pl.String,  # null where nothing opened it
    "channel": pl.String,
    "offer": pl.String,
    "influenced": pl.Boolean,
    "assisted": pl.Boolean,
    "basis": pl.String,
    "state": pl.String,
    "remark": pl.String,
    "why": pl.String,
    "set_by_hand": pl.Boolean,  # the team, by an administrator
}


def deals(connection: Connection, home_currency: str, zone: str, *, with_deleted: bool = False) -> pl.DataFrame:
    """
    DEAL_ROW of every deal, by creation and id; those that are deleted only if asked for. ``state`` is *Not credited*
    where rules leave it out.
    """
    return fetch(
        connection,
        f"""
        SELECT o.id, o.account_id, c.record_id, o.name, a.name, o.type, {_SIZE.format("a")}, a.industry, a.country,
               o.stage, o.outcome, o.created_at, o.closed_at, coalesce((o.close_on + time '12:00') AT TIME ZONE %(zone)s, o.closed_at),
               coalesce(o.currency, %(home)s), o.amount, d.source_team, d.source_channel,
               d.source_offer, coalesce(d.influenced, false), coalesce(d.assisted, false), d.basis, d.state, d.remark, d.why,
               d.overridden IS NOT NULL
        FROM opportunity o
        LEFT JOIN account a ON a.id = o.account_id
        LEFT JOIN attribution d ON d.opportunity_id = o.id
        LEFT JOIN LATERAL (SELECT min(record_id) AS record_id FROM crosswalk
            WHERE kind = 'opportunity' AND golden_id = o.id) c ON true
        WHERE NOT o.is_deleted OR %(deleted)s ORDER BY o.created_at NULLS LAST, o.id
        """,
        {"home": home_currency, "zone": zone, "deleted": with_deleted},
        DEAL_ROW,
    )


CREDIT_ROW: Final[Schema] = {
    "opportunity_id": pl.Int64,
    "deal": pl.String,
    "outcome": pl.String,
    "currency": pl.String,
    "created_at": INSTANT,
    "closed_at": INSTANT,
    "counted_at": INSTANT,  # what puts it into a period: the deal's creation, for revenue its CloseDate
    "clock": pl.String,
    "item": pl.String,
    "touch_id": pl.String,
    "occurred_at": INSTANT,
    "positions": pl.String,
    "type": pl.String,
    "team": pl.String,
    "channel": pl.String,
    "offer": pl.String,
    "campaign": pl.String,
    "person": pl.String,
    "share": pl.Float64,
    "amount": MONEY,  # null where the deal has none
}


def credits(connection: Connection, model: str, home_currency: str, zone: str) -> pl.DataFrame:
    """
    CREDIT_ROW: who gets what of each credited deal under one model, on both clocks; what nobody gets has the channel
    *Pending* or *No marketing touch*. By deal, clock and instant.
    """
    return fetch(
        connection,
        f"""
        SELECT o.id, o.name, o.outcome, coalesce(o.currency, %(home)s), o.created_at, o.closed_at,
               CASE c.clock WHEN 'pipeline' THEN o.created_at
                    ELSE coalesce((o.close_on + time '12:00') AT TIME ZONE %(zone)s, o.closed_at) END, c.clock, c.item,
               c.touch_id, c.occurred_at, c.positions, t.type, t.team,
               CASE c.item WHEN 'pending' THEN 'Pending' WHEN 'unassigned' THEN 'No marketing touch'
                    ELSE coalesce(t.channel, 'Other') END,
               t.offer, t.campaign, nullif(concat_ws(' ', p.first_name, p.last_name), ''),
               {_SHARE}, {_UNITS} * 10::numeric ^ -{_DIGITS}
        FROM credit c
        JOIN opportunity o ON o.id = c.opportunity_id AND NOT o.is_deleted
        LEFT JOIN touchpoint t ON t.touch_id = c.touch_id
        LEFT JOIN crosswalk k ON k.kind = 'person' AND k.source = t.source AND k.record_id = t.person_ref
        LEFT JOIN person p ON p.id = k.golden_id
        WHERE c.models ? %(model)s
        ORDER BY o.id, c.clock, c.occurred_at NULLS LAST, c.touch_id, c.item
        """,
        {"model": model, "home": home_currency, "zone": zone, "minor": json.dumps(MINOR_DIGITS)},
        CREDIT_ROW,
    )


PERSON_ROW: Final[Schema] = {
    "person_id": pl.Int64,
    "person": pl.String,
    "account_id": pl.Int64,
    "account": pl.String,
    "country": pl.String,
    "entered_at": INSTANT,
    "original_source_at": INSTANT,
    "channel": pl.String,  # the original source
    "offer": pl.String,  # of the earliest act that earns credit
}


def people(connection: Connection, horizon: Horizon = PRESENT) -> pl.DataFrame:
    """
    PERSON_ROW of everybody who is not deleted, by entry and id: entered at their creation in Salesforce or their first
    act, whichever came first.
    """
    return fetch(
        connection,
        """
        WITH first AS (
            SELECT DISTINCT ON (k.golden_id) k.golden_id, t.occurred_at, t.offer FROM touchpoint t
            JOIN crosswalk k ON k.kind = 'person' AND k.source = t.source AND k.record_id = t.person_ref
            WHERE t.earns_credit AND t.machine IS NULL AND t.occurred_at <= %(until)s AND t.seen_at <= %(seen_by)s
            ORDER BY k.golden_id, t.occurred_at, t.touch_id
        ), came AS (
            SELECT golden_id, min(since_at) AS at FROM crosswalk WHERE kind = 'person' GROUP BY golden_id
        )
        SELECT p.id, concat_ws(' ', p.first_name, p.last_name), a.id, a.name, p.country,
               least(p.created_at, first.occurred_at), p.original_source_at, p.original_source, first.offer
        FROM person p
        LEFT JOIN came ON came.golden_id = p.id
        LEFT JOIN account a ON a.id = p.account_id
        LEFT JOIN first ON first.golden_id = p.id
        WHERE NOT p.is_deleted AND coalesce(least(p.created_at, first.occurred_at) <= %(until)s, true)
            AND coalesce(came.at <= %(seen_by)s, true)
        ORDER BY 6 NULLS LAST, p.id
        """,
        horizon.bound,
        PERSON_ROW,
    )


def ties(connection: Connection, horizon: Horizon = PRESENT) -> pl.DataFrame:
    """
    Who is on which deal, by a contact role or because their lead was converted into it, each once: person_id,
    opportunity_id.
    """
    return fetch(
        connection,
        """
        WITH tie AS (
            SELECT k.golden_id AS person_id, r.opportunity_ref FROM source_role r
            JOIN crosswalk k ON k.kind = 'person' AND k.record_id = r.contact_ref
                AND k.source = split_part(r.stream, '.', 1)
            LEFT JOIN source_opportunity gone ON gone.record_id = r.opportunity_ref AND gone.is_deleted
            WHERE (NOT coalesce(r.is_deleted, false) OR gone.stamp_at > %(until)s)
                AND coalesce(r.created_at <= %(until)s, true)
                AND coalesce(r.seen_at <= %(seen_by)s, true)
            UNION
            SELECT k.golden_id, s.converted_opportunity_ref FROM source_person s
            JOIN crosswalk k ON k.kind = 'person' AND k.record_id = s.record_id AND k.stream = s.stream
            WHERE s.converted_opportunity_ref IS NOT NULL AND NOT coalesce(s.is_deleted, false)
                AND coalesce(s.converted_at <= %(until)s, true)
        )
        SELECT DISTINCT tie.person_id, k.golden_id FROM tie
        JOIN crosswalk k ON k.kind = 'opportunity' AND k.record_id = tie.opportunity_ref ORDER BY 1, 2
        """,
        horizon.bound,
        {"person_id": pl.Int64, "opportunity_id": pl.Int64},
    )


ACCOUNT_ROW: Final[Schema] = {
    "account_id": pl.Int64,
    "account": pl.String,
    "type": pl.String,
    "industry": pl.String,
    "size": pl.String,
    "country": pl.String,
    "tier": pl.String,
    "fit_band": pl.String,
    "stage": pl.String,  # buying stage
    "band": pl.String,
    "in_profile": pl.Boolean,  # the ideal customer profile
    "is_listed": pl.Boolean,  # on a target list
    "engaged": pl.Boolean,
    "qualified": pl.Boolean,
    "points": pl.Float64,
    "people_count": pl.Int64,
    "since_at": INSTANT,
    "until_at": INSTANT,
    "entered_at": INSTANT,  # when it came onto a target list; else its creation
    "first_engaged_at": INSTANT,
}


def accounts(connection: Connection, horizon: Horizon = PRESENT) -> pl.DataFrame:
    """
    ACCOUNT_ROW of every account that is not deleted, by entry and id. Entry, lists and the first flag lie within the
    horizon; the flag and where the account stands are the stored ones.
    """
    return fetch(
        connection,
        f"""
        SELECT a.id, a.name, a.type, a.industry, {_SIZE.format("a")}, a.country, s.tier, s.fit_band, s.stage,
               coalesce(e.band, 'None'), coalesce(s.in_profile, false), coalesce(l.is_listed, false),
               coalesce(e.engaged, false), coalesce(s.qualified, false), coalesce(e.points_milli, 0) / 1000.0,
               coalesce(e.people_count, 0), e.since_at, e.until_at, entry.at,
               least(CASE WHEN e.since_at <= %(until)s THEN e.since_at END, h.first_engaged_at)
        FROM account a
        LEFT JOIN engagement e ON e.account_id = a.id
        LEFT JOIN account_standing s ON s.account_id = a.id
        LEFT JOIN (SELECT account_id, min(entered_at) AS entered_at,
                       bool_or(left_at IS NULL OR left_at > %(until)s) AS is_listed
                   FROM list_membership WHERE entered_at <= %(until)s GROUP BY account_id) l ON l.account_id = a.id
        LEFT JOIN (SELECT account_id, min(at) AS first_engaged_at FROM engagement_change
                   WHERE engaged AND at <= %(until)s GROUP BY account_id) h ON h.account_id = a.id
        LEFT JOIN (SELECT k.golden_id, min(s.created_at) AS created_at, min(k.since_at) AS came_at FROM crosswalk k
                   JOIN source_account s ON s.record_id = k.record_id AND s.stream = k.stream
                   WHERE k.kind = 'account' GROUP BY k.golden_id) b ON b.golden_id = a.id
        CROSS JOIN LATERAL (SELECT coalesce(l.entered_at, b.created_at) AS at) entry
        WHERE NOT a.is_deleted AND coalesce(b.created_at <= %(until)s, true) AND coalesce(b.came_at <= %(seen_by)s, true)
        ORDER BY entry.at NULLS LAST, a.id
        """,
        horizon.bound,
        ACCOUNT_ROW,
    )


CAMPAIGN_ROW: Final[Schema] = {
    "campaign": pl.String,
    "channel": pl.String,
    "type": pl.String,
    "status": pl.String,
    "start_on": pl.Date,
    "end_on": pl.Date,
    "cost": MONEY,
    "currency": pl.String,
    "people": pl.Int64,
    "accounts": pl.Int64,
    "touches": pl.Int64,
    "first_touch_at": INSTANT,
}


def campaigns(connection: Connection, home_currency: str, horizon: Horizon = PRESENT) -> pl.DataFrame:
    """
    CAMPAIGN_ROW: every campaign that somebody was touched by or that costs something, once for a program and the
    campaign it is linked with; people, accounts and touches are those that may earn credit. By name.
    """
    return fetch(
        connection,
        f"""
        WITH touched AS (
            SELECT t.campaign, min(t.channel) AS channel, count(*) AS touches, count(DISTINCT k.golden_id) AS people,
                   count(DISTINCT p.account_id) AS accounts, min(t.occurred_at) AS first_touch_at
            FROM touchpoint t
            LEFT JOIN crosswalk k ON k.kind = 'person' AND k.source = t.source AND k.record_id = t.person_ref
            LEFT JOIN person p ON p.id = k.golden_id
            WHERE t.campaign IS NOT NULL AND t.earns_credit AND {_COUNTS}
            GROUP BY t.campaign
        ), told AS (
            SELECT name, min(type) AS type, min(status) AS status, min(start_on) AS start_on, max(end_on) AS end_on,
                   max(cost) AS cost, min(currency) AS currency
            FROM source_campaign WHERE NOT coalesce(is_deleted, false) AND name IS NOT NULL
                AND coalesce(created_at <= %(until)s, true) GROUP BY name
        )
        SELECT coalesce(t.campaign, c.name), t.channel, c.type, c.status, c.start_on, c.end_on, c.cost,
               coalesce(c.currency, %(home)s), coalesce(t.people, 0), coalesce(t.accounts, 0), coalesce(t.touches, 0),
               t.first_touch_at
        FROM touched t FULL JOIN told c ON c.name = t.campaign
        WHERE t.campaign IS NOT NULL OR c.cost > 0 ORDER BY 1
        """,
        {"home": home_currency, **horizon.bound},
        CAMPAIGN_ROW,
    )


HANDOVER_ROW: Final[Schema] = {
    "person_id": pl.Int64,
    "person": pl.String,
    "account": pl.String,
    "channel": pl.String,
    "asked": pl.String,  # what the person did
    "asked_at": INSTANT,
    "first_sales_touch_at": INSTANT,
    "attempts": pl.Int64,  # sales touches within 30 days
    "on_deal": pl.Boolean,  # on a deal created afterwards
}
HANDOVER_TYPES: Final = ("demo_request", "pricing_request", "contact_request")


def handovers(connection: Connection, since: datetime, horizon: Horizon = PRESENT) -> pl.DataFrame:
    """
    HANDOVER_ROW: the first hand that each person raised (a demo, a price, a call) since then, and what sales did about
    it. By instant.
    """
    return fetch(
        connection,
        f"""
        WITH asked AS (
            SELECT DISTINCT ON (k.golden_id) k.golden_id AS person_id, t.channel, t.label, t.occurred_at
            FROM touchpoint t
            JOIN crosswalk k ON k.kind = 'person' AND k.source = t.source AND k.record_id = t.person_ref
            WHERE t.type = ANY(%(types)s) AND t.machine IS NULL AND t.occurred_at >= %(since)s
                AND t.occurred_at <= %(until)s AND t.seen_at <= %(seen_by)s
            ORDER BY k.golden_id, t.occurred_at, t.touch_id
        )
        SELECT p.id, concat_ws(' ', p.first_name, p.last_name), a.name, q.channel, q.label, q.occurred_at, s.first_at,
               coalesce(s.attempts, 0), EXISTS (
                   SELECT 1 FROM crosswalk k
                   JOIN source_role r ON r.contact_ref = k.record_id AND NOT coalesce(r.is_deleted, false)
                       AND coalesce(r.created_at <= %(until)s, true) AND coalesce(r.seen_at <= %(seen_by)s, true)
                   JOIN crosswalk ko ON ko.kind = 'opportunity' AND ko.record_id = r.opportunity_ref
                   JOIN opportunity o ON o.id = ko.golden_id AND NOT o.is_deleted AND o.created_at >= q.occurred_at
                       AND o.created_at <= %(until)s
                   WHERE k.kind = 'person' AND k.golden_id = p.id)
        FROM asked q
        JOIN person p ON p.id = q.person_id AND NOT p.is_deleted
        LEFT JOIN account a ON a.id = p.account_id
        LEFT JOIN LATERAL (
            SELECT min(t.occurred_at) AS first_at,
                   count(*) FILTER (WHERE t.occurred_at < q.occurred_at + interval '30 days') AS attempts
            FROM crosswalk k JOIN touchpoint t ON t.source = k.source AND t.person_ref = k.record_id
            WHERE k.kind = 'person' AND k.golden_id = p.id AND t.team = 'sales' AND t.earns_credit IS NOT NULL
                AND t.type IN ('meeting', 'call', 'sales_email') AND t.occurred_at >= q.occurred_at
                AND {_COUNTS}) s ON true
        ORDER BY q.occurred_at, p.id
        """,
        {"types": list(HANDOVER_TYPES), "since": since, **horizon.bound},
        HANDOVER_ROW,
    )


GAP_ROW: Final[Schema] = {
    "check": pl.String,
    "of": pl.String,
    "record_id": pl.String,
    "what": pl.String,
    "is_gap": pl.Boolean,
}

# What data must have before numbers mean much: name -> what is looked at, and the rows (id, words, whether it lacks it).
_CHECKS: Final[Mapping[str, tuple[str, str]]] = {
    "deals without a contact role": (
        "deals",
        """
        SELECT k.record_id, o.name, NOT EXISTS (SELECT 1 FROM source_role r
            WHERE r.opportunity_ref = k.record_id AND NOT coalesce(r.is_deleted, false))
        FROM opportunity o JOIN crosswalk k ON k.kind = 'opportunity' AND k.golden_id = o.id WHERE NOT o.is_deleted
        """,
    ),
    "deals without an amount": (
        "deals",
        """
        SELECT k.record_id, o.name, o.amount IS NULL
        FROM opportunity o JOIN crosswalk k ON k.kind = 'opportunity' AND k.golden_id = o.id WHERE NOT o.is_deleted
        """,
    ),
    "deals without an account": (
        "deals",
        """
        SELECT k.record_id, o.name, o.account_id IS NULL
        FROM opportunity o JOIN crosswalk k ON k.kind = 'opportunity' AND k.golden_id = o.id WHERE NOT o.is_deleted
        """,
    ),
    "leads without an account": (
        "open leads",
        """
        SELECT s.record_id, coalesce(p.company, p.email), p.account_id IS NULL FROM source_person s
        JOIN crosswalk k ON k.kind = 'person' AND k.record_id = s.record_id AND k.stream = s.stream
        JOIN person p ON p.id = k.golden_id
        WHERE s.stream = 'salesforce.lead' AND s.converted_at IS NULL AND NOT coalesce(s.is_deleted, false)
        """,
    ),
    "people without an e-mail address": (
        "people",
        """
        SELECT k.record_id, concat_ws(' ', p.first_name, p.last_name), p.email IS NULL FROM person p
        JOIN LATERAL (SELECT min(record_id) AS record_id FROM crosswalk WHERE kind = 'person' AND golden_id = p.id) k ON true
        WHERE NOT p.is_deleted
        """,
    ),
    "campaigns without a type": (
        "campaigns",
        """
        SELECT record_id, name, type IS NULL FROM source_campaign
        WHERE stream = 'salesforce.campaign' AND NOT coalesce(is_deleted, false)
        """,
    ),
    "campaigns whose members were never moved on": (
        "campaigns with members",
        """
        SELECT c.record_id, c.name, NOT bool_or(coalesce(m.has_responded OR m.status <> first.name, false))
        FROM source_campaign c
        JOIN source_member m ON m.campaign_ref = c.record_id AND NOT coalesce(m.is_deleted, false)
        LEFT JOIN source_member_status first
            ON first.campaign_ref = c.record_id AND first.is_default AND NOT coalesce(first.is_deleted, false)
        WHERE c.stream = 'salesforce.campaign' AND NOT coalesce(c.is_deleted, false) GROUP BY c.record_id, c.name
        """,
    ),
    "campaigns without a status that is a response": (
        "campaigns with members",
        """
        SELECT c.record_id, c.name, NOT bool_or(coalesce(s.has_responded, false)) FROM source_campaign c
        JOIN source_member_status s ON s.campaign_ref = c.record_id AND NOT coalesce(s.is_deleted, false)
        WHERE c.stream = 'salesforce.campaign' AND NOT coalesce(c.is_deleted, false)
            AND EXISTS (SELECT FROM source_member m
                WHERE m.campaign_ref = c.record_id AND NOT coalesce(m.is_deleted, false))
        GROUP BY c.record_id, c.name
        """,
    ),
    "touches in channel Other": (
        "touches that may earn credit",
        """
        SELECT touch_id, label, channel = 'Other' FROM touchpoint
        WHERE earns_credit AND machine IS NULL AND duplicate_of IS NULL
        """,
    ),
}


def gaps(connection: Connection) -> pl.DataFrame:
    """
    GAP_ROW: everything that was looked at, one row a thing and check, and whether it lacks what the check asks for. In
    the order of the checks, then ids.
    """
    return pl.concat(
        fetch(
            connection,
            f"SELECT '{check}', '{of}', r.* FROM ({statement}) r ORDER BY 3",
            {},
            GAP_ROW,
        )
        for check, (of, statement) in _CHECKS.items()
    )


def touches_by_day(connection: Connection, since: datetime, horizon: Horizon = PRESENT) -> pl.DataFrame:
    """
    Eligible touches since then: touch_id, occurred_at, type, team, channel, campaign, person_id, account_id. By instant.
    """
    return fetch(
        connection,
        f"""
        SELECT t.touch_id, t.occurred_at, t.type, t.team, t.channel, t.campaign, k.golden_id, p.account_id
        FROM touchpoint t
        LEFT JOIN crosswalk k ON k.kind = 'person' AND k.source = t.source AND k.record_id = t.person_ref
        LEFT JOIN person p ON p.id = k.golden_id
        WHERE t.earns_credit AND t.occurred_at >= %(since)s AND {_COUNTS}
        ORDER BY t.occurred_at, t.touch_id
        """,
        {"since": since, **horizon.bound},
        {
            "touch_id": pl.String,
            "occurred_at": INSTANT,
            "type": pl.String,
            "team": pl.String,
            "channel": pl.String,
            "campaign": pl.String,
            "person_id": pl.Int64,
            "account_id": pl.Int64,
        },
    )


BEFORE_ROW: Final[Schema] = {
    "account_id": pl.Int64,
    "acts": pl.Int64,  # of types that are worth points
    "people": pl.Int64,  # who did them
    "active_days": pl.Int64,  # days (UTC) with one
    "marketing_touches": pl.Int64,  # that may earn credit
    "high_value_pages": pl.Int64,
    "content": pl.Int64,
    "webinars": pl.Int64,
    "events": pl.Int64,
    "requests": pl.Int64,
    "sales_touches": pl.Int64,
}


def acts_before(
    connection: Connection,
    until: pl.DataFrame,
    days: int,
    types: Mapping[str, Sequence[str]],
    horizon: Horizon = PRESENT,
) -> pl.DataFrame:
    """
    BEFORE_ROW: what happened at these accounts within so many days before an instant of each (``until``: account_id,
    until_at), by their people or by nobody known; accounts without anything are left out. ``types`` names the acts
    that are worth points, those that are ``requests`` and those of ``sales``. By account.
    """
    return fetch(
        connection,
        f"""
        WITH span AS (
            SELECT account_id, until_at, until_at - %(days)s * interval '1 day' AS since_at
            FROM unnest(%(accounts)s::bigint[], %(instants)s::timestamptz[]) AS s(account_id, until_at)
        ), act AS (
            SELECT s.account_id, p.id AS person_id, t.*
            FROM span s
            JOIN person p ON p.account_id = s.account_id AND NOT p.is_deleted
            JOIN crosswalk k ON k.kind = 'person' AND k.golden_id = p.id
            JOIN touchpoint t ON t.source = k.source AND t.person_ref = k.record_id
                AND t.occurred_at >= s.since_at AND t.occurred_at < s.until_at
            WHERE {_COUNTS}
            UNION ALL
            SELECT s.account_id, NULL, t.*
            FROM span s
            JOIN crosswalk k ON k.kind = 'account' AND k.golden_id = s.account_id
            JOIN touchpoint t ON t.source = k.source AND t.account_ref = k.record_id AND t.person_ref IS NULL
                AND t.occurred_at >= s.since_at AND t.occurred_at < s.until_at
            WHERE {_COUNTS}
        )
        SELECT account_id, count(*) FILTER (WHERE is_worth), count(DISTINCT person_id) FILTER (WHERE is_worth),
               count(DISTINCT (occurred_at AT TIME ZONE 'UTC')::date) FILTER (WHERE is_worth),
               count(*) FILTER (WHERE earns_credit AND team = 'marketing'),
               count(*) FILTER (WHERE type = 'high_value_page'), count(*) FILTER (WHERE type = 'content'),
               count(*) FILTER (WHERE type = 'webinar_attended'), count(*) FILTER (WHERE type = 'event_attended'),
               count(*) FILTER (WHERE type = ANY(%(requests)s)), count(*) FILTER (WHERE type = ANY(%(sales)s))
        FROM act CROSS JOIN LATERAL (SELECT type = ANY(%(worth)s) AS is_worth) w
        GROUP BY account_id ORDER BY account_id
        """,
        {
            "accounts": until["account_id"].to_list(),
            "instants": until["until_at"].to_list(),
            "days": days,
            **{name: list(types[name]) for name in ("worth", "requests", "sales")},
            **horizon.bound,
        },
        BEFORE_ROW,
    )


def acts_by_month(connection: Connection, types: Sequence[str], horizon: Horizon = PRESENT) -> pl.DataFrame:
    """
    How many acts of these types are kept of each month (UTC): month_at, acts. By month.
    """
    return fetch(
        connection,
        """
        SELECT date_trunc('month', occurred_at, 'UTC'), count(*) FROM touchpoint
        WHERE type = ANY(%(types)s) AND occurred_at <= %(until)s AND seen_at <= %(seen_by)s GROUP BY 1 ORDER BY 1
        """,
        {"types": list(types), **horizon.bound},
        {"month_at": INSTANT, "acts": pl.Int64},
    )


def engagement_turns(connection: Connection, since: datetime, horizon: Horizon = PRESENT) -> pl.DataFrame:
    """
    When accounts were decided to be engaged or no longer so since then: account_id, account, at, engaged. By instant.
    """
    return fetch(
        connection,
        """
        SELECT c.account_id, a.name, c.at, c.engaged FROM engagement_change c JOIN account a ON a.id = c.account_id
        WHERE c.at >= %(since)s AND c.at <= %(until)s ORDER BY c.at, c.id
        """,
        {"since": since, **horizon.bound},
        {"account_id": pl.Int64, "account": pl.String, "at": INSTANT, "engaged": pl.Boolean},
    )


JOURNEY_ROW: Final[Schema] = {
    "at": INSTANT,
    "event": pl.String,  # touch, deal created, stage, deal won, deal lost; pending or unassigned stand at the end
    "what": pl.String,
    "person": pl.String,
    "team": pl.String,
    "channel": pl.String,
    "offer": pl.String,
    "campaign": pl.String,
    "positions": pl.String,
    "pipeline_share": pl.Float64,
    "pipeline": MONEY,
    "revenue_share": pl.Float64,
    "revenue": MONEY,
}


def journey(connection: Connection, opportunity_id: int, model: str, home_currency: str) -> pl.DataFrame:
    """
    JOURNEY_ROW: every act, eligible or not, of the people on one deal up to its close (of the account's people where
    nobody has a role), its milestones between them, and what nobody gets. In order of time.
    """
    return fetch(
        connection,
        f"""
        WITH deal AS (
            SELECT o.*, {_DIGITS} AS digits FROM opportunity o WHERE o.id = %(id)s
        ), ref AS (
            SELECT record_id FROM crosswalk WHERE kind = 'opportunity' AND golden_id = %(id)s
        ), role AS (
            SELECT k.golden_id AS person_id FROM ref JOIN source_role r ON r.opportunity_ref = ref.record_id
                AND NOT coalesce(r.is_deleted, false)
            JOIN crosswalk k ON k.kind = 'person' AND k.record_id = r.contact_ref
        ), member AS (
            SELECT person_id FROM role
            UNION SELECT p.id FROM deal d JOIN person p ON p.account_id = d.account_id AND NOT p.is_deleted
            WHERE NOT EXISTS (SELECT 1 FROM role)
        ), share AS (
            SELECT c.item, c.touch_id, c.positions, c.clock,
                {_SHARE} AS share, {_UNITS} * 10::numeric ^ -d.digits AS amount
            FROM credit c JOIN deal d ON d.id = c.opportunity_id
        ), touched AS (
            SELECT t.touch_id, t.occurred_at, t.label, concat_ws(' ', p.first_name, p.last_name) AS person, t.team,
                t.channel, t.offer, t.campaign, t.type
            FROM member m JOIN person p ON p.id = m.person_id
            JOIN crosswalk k ON k.kind = 'person' AND k.golden_id = m.person_id
            JOIN touchpoint t ON t.source = k.source AND t.person_ref = k.record_id
            CROSS JOIN deal d
            WHERE t.machine IS NULL AND t.duplicate_of IS NULL AND t.type NOT LIKE 'email%%'
                AND t.occurred_at >= d.created_at - interval '{JOURNEY_DAYS} days'
                AND t.occurred_at <= coalesce(d.closed_at, 'infinity')
        ), event AS (
            SELECT t.occurred_at AS at, 'touch' AS event, t.label AS what, t.person, t.team, t.channel, t.offer,
                t.campaign, coalesce(r.positions, p.positions) AS positions, p.share AS pipeline_share,
                p.amount AS pipeline, r.share AS revenue_share, r.amount AS revenue, 1 AS place
            FROM touched t
            LEFT JOIN share p ON p.touch_id = t.touch_id AND p.clock = 'pipeline'
            LEFT JOIN share r ON r.touch_id = t.touch_id AND r.clock = 'revenue'
            UNION ALL
            SELECT d.created_at, 'deal created', d.name, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 2
            FROM deal d
            UNION ALL
            SELECT s.created_at, 'stage', s.stage, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 3
            FROM ref JOIN source_stage_change s ON s.opportunity_ref = ref.record_id
            UNION ALL
            SELECT d.closed_at, 'deal ' || d.outcome, d.name, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 4
            FROM deal d WHERE d.closed_at IS NOT NULL
            UNION ALL
            SELECT NULL, s.item, CASE s.item WHEN 'pending' THEN 'Pending' ELSE 'No marketing touch' END, NULL, NULL,
                NULL, NULL, NULL, NULL, max(s.share) FILTER (WHERE s.clock = 'pipeline'),
                max(s.amount) FILTER (WHERE s.clock = 'pipeline'), max(s.share) FILTER (WHERE s.clock = 'revenue'),
                max(s.amount) FILTER (WHERE s.clock = 'revenue'), 5
            FROM share s WHERE s.touch_id IS NULL AND s.share IS NOT NULL GROUP BY s.item
        )
        SELECT at, event, what, person, team, channel, offer, campaign, positions, pipeline_share, pipeline,
               revenue_share, revenue
        FROM event ORDER BY at NULLS LAST, place, what
        """,
        {"id": opportunity_id, "model": model, "home": home_currency, "minor": json.dumps(MINOR_DIGITS)},
        JOURNEY_ROW,
    )


def standing_of(connection: Connection) -> dict[str, Any]:
    """
    ``at``: the last decision's instant, ``rules``: the version of the rules in force; both None before there is any.
    """
    row = (
        cursor_of(connection)
        .execute(
            """
            SELECT greatest((SELECT max(decided_at) FROM attribution), (SELECT max(decided_at) FROM engagement)),
                   (SELECT max(rule_version) FROM attribution)
            """
        )
        .fetchone()
    )
    at, version = row or (None, None)
    return {"at": at, "rules": version}
