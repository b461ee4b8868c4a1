-- The yardstick of tests/bench/one_account.py: the rows that one touch makes the service read and write, read and
-- written by plain SQL in one transaction. It decides nothing: what it writes is what the service wrote a moment ago.
-- Statements are parted by lines that begin with "-- :" and their name; they run in this order.

-- :member
SELECT m.*, c.name, c.type, c.status FROM source_member m
LEFT JOIN source_campaign c ON c.record_id = m.campaign_ref AND c.stream = 'salesforce.campaign'
WHERE m.record_id = %(member)s AND m.stream = 'salesforce.campaign_member';

-- :touch
INSERT INTO touchpoint AS t SELECT * FROM json_populate_record(NULL::touchpoint, %(touchpoint)s)
ON CONFLICT (touch_id) DO UPDATE SET occurred_at = EXCLUDED.occurred_at, type = EXCLUDED.type, label = EXCLUDED.label;

-- :owner
SELECT p.id, p.account_id FROM touchpoint t
JOIN crosswalk c ON c.kind = 'person' AND c.source = t.source AND c.record_id = t.person_ref
JOIN person p ON p.id = c.golden_id
WHERE t.touch_id = %(touch)s;

-- :account
SELECT a.*, e.*, s.* FROM account a
LEFT JOIN engagement e ON e.account_id = a.id
LEFT JOIN account_standing s ON s.account_id = a.id
WHERE a.id = %(account)s;

-- :acts
SELECT p.id, p.title, p.email, t.* FROM person p
JOIN crosswalk c ON c.kind = 'person' AND c.golden_id = p.id
JOIN touchpoint t ON t.source = c.source AND t.person_ref = c.record_id
WHERE p.account_id = %(account)s AND NOT p.is_deleted AND t.machine IS NULL AND t.duplicate_of IS NULL
ORDER BY t.occurred_at, t.touch_id;

-- :deals
SELECT o.*, a.*, d.* FROM opportunity o
LEFT JOIN attribution a ON a.opportunity_id = o.id
LEFT JOIN credit_digest d ON d.opportunity_id = o.id
WHERE o.account_id = %(account)s AND NOT o.is_deleted;

-- :people
SELECT o.id, p.id, r.role, r.is_primary, p.created_at FROM opportunity o
JOIN crosswalk d ON d.kind = 'opportunity' AND d.golden_id = o.id
JOIN source_role r ON r.opportunity_ref = d.record_id AND NOT coalesce(r.is_deleted, false)
JOIN crosswalk c ON c.kind = 'person' AND c.source = d.source AND c.record_id = r.contact_ref
JOIN person p ON p.id = c.golden_id
WHERE o.account_id = %(account)s;

-- :credits
SELECT * FROM credit WHERE opportunity_id = ANY(%(deals)s);

-- :flag
INSERT INTO engagement AS e SELECT * FROM json_populate_record(NULL::engagement, %(engagement)s)
ON CONFLICT (account_id) DO UPDATE SET points_milli = EXCLUDED.points_milli, people_count = EXCLUDED.people_count,
    band = EXCLUDED.band, why = EXCLUDED.why, detail = EXCLUDED.detail, review_at = EXCLUDED.review_at,
    decided_at = EXCLUDED.decided_at, saved_at = clock_timestamp();

-- :standing
INSERT INTO account_standing AS s SELECT * FROM json_populate_record(NULL::account_standing, %(standing)s)
ON CONFLICT (account_id) DO UPDATE SET intent_milli = EXCLUDED.intent_milli, stage = EXCLUDED.stage,
    group_engaged = EXCLUDED.group_engaged, detail = EXCLUDED.detail, decided_at = EXCLUDED.decided_at;

-- :attribution
INSERT INTO attribution AS a SELECT * FROM json_populate_recordset(NULL::attribution, %(attributions)s)
ON CONFLICT (opportunity_id) DO UPDATE SET marketing_share = EXCLUDED.marketing_share, why = EXCLUDED.why,
    influenced = EXCLUDED.influenced, decided_at = EXCLUDED.decided_at;

-- :digest
INSERT INTO credit_digest AS d SELECT * FROM json_populate_recordset(NULL::credit_digest, %(digests)s)
ON CONFLICT (opportunity_id) DO UPDATE SET digest = EXCLUDED.digest;

-- :forget
DELETE FROM credit WHERE opportunity_id = ANY(%(deals)s);

-- :credit
INSERT INTO credit SELECT * FROM json_populate_recordset(NULL::credit, %(credits)s);
