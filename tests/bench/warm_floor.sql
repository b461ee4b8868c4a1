-- The yardstick of a warm cycle: the least that PostgreSQL itself would have to do for the same hundred leads, in plain
-- SQL on the same store, four statements and one commit. It keeps no reasons, merges no records, decides no engagement,
-- follows no changed match, and its weights are plain fractions: less than the rules ask for.
-- Statements are parted by lines that begin with "-- :" and their name.

-- :tables
CREATE TABLE floor_lead (LIKE source_person INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES);
INSERT INTO floor_lead SELECT * FROM source_person;
CREATE TABLE floor_credit (
    opportunity_id bigint, touch_id text, first numeric, last numeric, linear numeric, u numeric, w numeric,
    full_path numeric, time_decay numeric, PRIMARY KEY (opportunity_id, touch_id)
);

-- :upsert
INSERT INTO floor_lead AS t
SELECT p.* FROM jsonb_populate_recordset(NULL::floor_lead, %(leads)s) p
ON CONFLICT (record_id, stream) DO UPDATE SET
    stamp_at = EXCLUDED.stamp_at, email = EXCLUDED.email, title = EXCLUDED.title, phone = EXCLUDED.phone,
    company = EXCLUDED.company, website = EXCLUDED.website, first_name = EXCLUDED.first_name,
    last_name = EXCLUDED.last_name, status = EXCLUDED.status, rating = EXCLUDED.rating, city = EXCLUDED.city,
    country = EXCLUDED.country, owner_ref = EXCLUDED.owner_ref, ours = EXCLUDED.ours
WHERE ROW(t.email, t.title, t.phone, t.company, t.website, t.first_name, t.last_name, t.status, t.rating, t.city, t.country)
    IS DISTINCT FROM ROW(EXCLUDED.email, EXCLUDED.title, EXCLUDED.phone, EXCLUDED.company, EXCLUDED.website,
        EXCLUDED.first_name, EXCLUDED.last_name, EXCLUDED.status, EXCLUDED.rating, EXCLUDED.city, EXCLUDED.country);

-- :candidates
SELECT array_agg(DISTINCT deal) FROM (
    SELECT p.golden_id AS person FROM unnest(%(emails)s::text[]) AS e(address)
    JOIN identity_key k ON k.kind = 'person' AND k.key = 'email:' || e.address
    JOIN crosswalk p ON p.kind = 'person' AND p.source = 'salesforce' AND p.record_id = k.record_id
    UNION
    SELECT p.id FROM unnest(%(domains)s::text[]) AS d(domain) JOIN person p ON p.email_domain = d.domain
    UNION
    SELECT golden_id FROM unnest(%(ids)s::text[]) AS r(record_id)
    JOIN crosswalk p ON p.kind = 'person' AND p.source = 'salesforce' AND p.record_id = r.record_id
) found
JOIN person p ON p.id = found.person
JOIN LATERAL (SELECT id AS deal FROM opportunity o WHERE o.account_id = p.account_id) o ON true;

-- :weights
WITH deal AS (
    SELECT id, account_id, created_at, coalesce(closed_at, %(now)s) AS end_at, outcome, amount FROM opportunity
    WHERE id = ANY(%(deals)s)
), journey AS (
    SELECT d.*, t.touch_id, t.occurred_at, p.created_at AS person_at,
        power(0.5, extract(epoch FROM d.end_at - t.occurred_at) / (30 * 86400.0)) AS decay
    FROM deal d JOIN person p ON p.account_id = d.account_id
    JOIN crosswalk c ON c.kind = 'person' AND c.golden_id = p.id
    JOIN touchpoint t ON t.source = c.source AND t.person_ref = c.record_id AND t.earns_credit
    WHERE t.occurred_at BETWEEN d.created_at - interval '540 days' AND d.end_at
), placed AS (
    SELECT *, count(*) OVER whole AS touches, sum(decay) OVER whole AS decay_sum, row_number() OVER path AS place,
        count(*) FILTER (WHERE occurred_at <= created_at) OVER whole AS to_creation,
        count(*) FILTER (WHERE occurred_at <= person_at) OVER whole AS to_lead
    FROM journey
    WINDOW path AS (PARTITION BY id ORDER BY occurred_at, touch_id), whole AS (PARTITION BY id)
), held AS (
    SELECT *, (place = 1)::int AS ft, (place = greatest(to_lead, 1))::int AS lc, (place = to_creation)::int AS oc,
        (place = touches AND outcome = 'won')::int AS cw, (place = touches)::int AS lt
    FROM placed
), weighed AS (
    SELECT id AS opportunity_id, touch_id, round(amount * ft, 2) AS first, round(amount * lt, 2) AS last,
        round(amount / touches, 2) AS linear,
        round(amount * (0.40 * (ft + lc) + CASE WHEN ft + lc = 0 THEN 0.20 / touches ELSE 0 END), 2) AS u,
        round(amount * (0.30 * (ft + lc + oc) + CASE WHEN ft + lc + oc = 0 THEN 0.10 / touches ELSE 0 END), 2) AS w,
        round(amount * (0.225 * (ft + lc + oc + cw) + CASE WHEN ft + lc + oc + cw = 0 THEN 0.10 / touches ELSE 0 END), 2)
            AS full_path,
        round((amount * decay / decay_sum)::numeric, 2) AS time_decay
    FROM held
)
INSERT INTO floor_credit AS c SELECT * FROM weighed
ON CONFLICT (opportunity_id, touch_id) DO UPDATE SET first = EXCLUDED.first, last = EXCLUDED.last,
    linear = EXCLUDED.linear, u = EXCLUDED.u, w = EXCLUDED.w, full_path = EXCLUDED.full_path,
    time_decay = EXCLUDED.time_decay
WHERE ROW(c.first, c.last, c.linear, c.u, c.w, c.full_path, c.time_decay)
    IS DISTINCT FROM ROW(EXCLUDED.first, EXCLUDED.last, EXCLUDED.linear, EXCLUDED.u, EXCLUDED.w, EXCLUDED.full_path,
        EXCLUDED.time_decay);
