-- A made-up store of %(deals)s deals, ready for attribution, and the yardstick of tests/bench/credit_store.py: the same
-- seven models by PostgreSQL's own window functions over the same tables, written into a table of its own.
-- Statements are parted by lines that begin with "-- :" and their name.

-- :store
-- Three contacts a deal, each with a role, ten touches a deal from 300 days before its creation to its close; the touches
-- were read from the marketing platform, so each person has a record there and one in Salesforce.
SELECT setseed(0.20261118);

INSERT INTO opportunity (id, name, account_ref, account_id, amount, currency, stage, is_closed, is_won, close_on, type,
    outcome, created_at, closed_at)
OVERRIDING SYSTEM VALUE
SELECT o, 'Deal ' || o, '001' || lpad(o::text, 12, '0') || 'AAA', o, 1000 + floor(random() * 49900000) / 100, 'USD',
    CASE outcome WHEN 'won' THEN 'Closed Won' WHEN 'lost' THEN 'Closed Lost' ELSE 'Negotiation' END, outcome <> 'open',
    outcome = 'won', closed_at::date, 'New Business', outcome, created_at,
    CASE WHEN outcome <> 'open' THEN closed_at END
FROM (
    SELECT o, created_at, closed_at,
        CASE WHEN closed_at >= %(now)s THEN 'open' WHEN luck < 0.4 THEN 'won' ELSE 'lost' END AS outcome
    FROM (
        SELECT o, created_at, created_at + (1 + 179 * random()) * interval '1 day' AS closed_at, random() AS luck
        FROM (
            SELECT o, date_trunc('second', %(now)s - (60 + 640 * random()) * interval '1 day') AS created_at
            FROM generate_series(1, %(deals)s) o
        ) created
    ) closed
) deal;

INSERT INTO person (id, first_name, last_name, title, account_id, created_at)
OVERRIDING SYSTEM VALUE
SELECT 3 * (o.id - 1) + n, 'First', 'Last ' || n, 'VP Finance', o.account_id,
    o.created_at - 200 * random() * interval '1 day'
FROM opportunity o CROSS JOIN generate_series(1, 3) n;

INSERT INTO crosswalk (kind, source, record_id, stream, golden_id, rule)
SELECT 'opportunity', 'salesforce', '006' || lpad(id::text, 12, '0') || 'AAA', 'salesforce.opportunity', id, 'own id'
FROM opportunity
UNION ALL
SELECT 'person', 'salesforce', '003' || lpad(id::text, 12, '0') || 'AAA', 'salesforce.contact', id, 'own id'
FROM person
UNION ALL
SELECT 'person', 'marketo', id::text, 'marketo.lead', id, 'salesforce id' FROM person;

INSERT INTO source_role (stream, record_id, stamp_at, created_at, is_deleted, opportunity_ref, contact_ref, role,
    is_primary)
SELECT 'salesforce.opportunity_contact_role', '00K' || lpad(id::text, 12, '0') || 'EAA', %(now)s, %(now)s, false,
    '006' || lpad((1 + (id - 1) / 3)::text, 12, '0') || 'AAA', '003' || lpad(id::text, 12, '0') || 'AAA',
    'Decision Maker', id %% 3 = 1
FROM person;

INSERT INTO touchpoint (touch_id, source, person_ref, occurred_at, type, team, channel, offer, label, earns_credit)
SELECT 'marketo.activity:' || t, 'marketo', (3 * (o.id - 1) + 1 + floor(random() * 3))::bigint::text,
    o.created_at - interval '300 days'
        + random() * (interval '300 days' + (least(o.closed_at, %(now)s) - o.created_at)),
    (ARRAY['form', 'content', 'webinar_attended', 'event_attended', 'demo_request', 'ad_click'])[1 + t %% 6],
    'marketing', (ARRAY['Webinar', 'Paid search', 'Event', 'Content syndication'])[1 + t %% 4],
    (ARRAY['Cost Control', 'Benchmark Report', 'Roadshow'])[1 + t %% 3], 'webinar Cost Control', true
FROM (SELECT t, 1 + (t::bigint * 7919) %% %(deals)s AS deal FROM generate_series(0, 10 * %(deals)s - 1) t) drawn
JOIN opportunity o ON o.id = drawn.deal;

-- :table
CREATE TABLE window_credit (
    opportunity_id bigint, clock text, touch_id text, occurred_at timestamptz, positions text, first numeric,
    last numeric, linear numeric, u numeric, w numeric, full_path numeric, time_decay numeric
);
CREATE INDEX ON window_credit (opportunity_id);

-- :windows
-- One row a touch and clock, one column a model: DECIMAL shares of the amount rounded a touch at a time, so that the
-- credits of a deal need not add up to its amount. It says nothing in words, tells nothing pending or unassigned, and
-- compares nothing with what was written before. Milestones that lack a touch or are still to come, and touches of the
-- same instant at the lead's creation, are left aside: less than the rules ask for.
INSERT INTO window_credit
WITH holder AS (
    SELECT DISTINCT d.golden_id AS opportunity_id, c.golden_id AS person_id
    FROM source_role r
    JOIN crosswalk d ON d.kind = 'opportunity' AND d.source = 'salesforce' AND d.record_id = r.opportunity_ref
    JOIN crosswalk c ON c.kind = 'person' AND c.source = 'salesforce' AND c.record_id = r.contact_ref
    WHERE NOT coalesce(r.is_deleted, false)
), stander AS (
    SELECT h.*, p.created_at AS lead_at,
        first_value(person_id) OVER by_age AS lead_person, first_value(p.created_at) OVER by_age AS first_lead_at
    FROM holder h JOIN person p ON p.id = h.person_id AND NOT p.is_deleted
    WINDOW by_age AS (PARTITION BY opportunity_id ORDER BY p.created_at, person_id)
), journey AS (
    SELECT o.id AS opportunity_id, k.clock, o.amount, o.created_at, o.outcome, s.first_lead_at AS lead_at,
        t.touch_id, t.occurred_at,
        CASE k.clock WHEN 'pipeline' THEN o.created_at ELSE coalesce(o.closed_at, %(now)s) END AS end_at,
        s.person_id = s.lead_person AND t.occurred_at <= s.first_lead_at + interval '7 days' AS of_lead
    FROM opportunity o
    CROSS JOIN unnest(%(clocks)s::text[]) k (clock)
    JOIN stander s ON s.opportunity_id = o.id
    JOIN crosswalk c ON c.kind = 'person' AND c.golden_id = s.person_id
    JOIN touchpoint t ON t.source = c.source AND t.person_ref = c.record_id
    WHERE NOT o.is_deleted AND t.machine IS NULL AND t.duplicate_of IS NULL AND t.team = 'marketing'
        AND t.type IN ('form', 'content', 'webinar_attended', 'event_attended', 'demo_request', 'contact_request',
                       'ad_click', 'campaign_response')
        AND t.occurred_at >= o.created_at - interval '540 days'
        AND t.occurred_at <= CASE k.clock WHEN 'pipeline' THEN o.created_at ELSE coalesce(o.closed_at, %(now)s) END
), faded AS (
    SELECT *, power(0.5::float8, extract(epoch FROM end_at - occurred_at)::float8 / (30 * 86400)) AS decay FROM journey
), placed AS (
    SELECT *,
        sum(decay) OVER whole AS decay_sum,
        count(*) OVER whole AS touches,
        count(*) FILTER (WHERE occurred_at <= created_at) OVER whole AS to_creation,
        row_number() OVER path AS place,
        coalesce(
            max(occurred_at) FILTER (WHERE of_lead AND occurred_at <= lead_at) OVER whole,
            min(occurred_at) FILTER (WHERE of_lead AND occurred_at > lead_at) OVER whole
        ) AS lead_touch_at
    FROM faded
    WINDOW path AS (PARTITION BY opportunity_id, clock ORDER BY occurred_at, touch_id),
        whole AS (PARTITION BY opportunity_id, clock)
), held AS (
    SELECT *,
        (place = 1)::int AS ft,
        coalesce((of_lead AND occurred_at = lead_touch_at)::int, 0) AS lc,
        (place = to_creation)::int AS oc,
        (place = touches AND outcome = 'won' AND clock = 'revenue')::int AS cw,
        (place = touches)::int AS lt
    FROM placed
), weighed AS (
    SELECT *,
        touches - sum((ft + lc > 0)::int) OVER whole AS middle_u,
        touches - sum((ft + lc + oc > 0)::int) OVER whole AS middle_w,
        touches - sum((ft + lc + oc + cw > 0)::int) OVER whole AS middle_full
    FROM held
    WINDOW whole AS (PARTITION BY opportunity_id, clock)
)
SELECT opportunity_id, clock, touch_id, occurred_at,
    concat_ws('; ', CASE WHEN ft = 1 THEN 'FT' END, CASE WHEN lc = 1 THEN 'LC' END, CASE WHEN oc = 1 THEN 'OC' END,
        CASE WHEN cw = 1 THEN 'CW' END, CASE WHEN lt = 1 THEN 'LT' END),
    round(amount * ft, 2),
    round(amount * lt, 2),
    round(amount / touches, 2),
    round(amount * (0.40 * (ft + lc) + CASE WHEN ft + lc = 0 THEN 0.20 / middle_u ELSE 0 END), 2),
    round(amount * (0.30 * (ft + lc + oc) + CASE WHEN ft + lc + oc = 0 THEN 0.10 / middle_w ELSE 0 END), 2),
    round(amount * (0.225 * (ft + lc + oc + cw) + CASE WHEN ft + lc + oc + cw = 0 THEN 0.10 / middle_full ELSE 0 END),
        2),
    round(amount * (decay / decay_sum)::numeric, 2)
FROM weighed;
