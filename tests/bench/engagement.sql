-- The yardstick of tests/bench/engagement.py: the same points, caps, weights, half-life, thresholds and reasons in one
-- plain aggregate. One row an account: score, people, flag, and the list of acts that made it, as JSON. Caps are counted
-- by a window, acts of nobody cut at their limit as a sum and not act by act; no memory of earlier flags, no hold, no
-- day of lapse, no sentence: less than the rules ask for.
WITH
priced AS (
    SELECT
        a.account_id, a.person_id, a.act_id, a.occurred_at, a.type, a.label, a.screened,
        p.points * coalesce(l.weight, 1) AS base,
        p.points AS raw, coalesce(l.weight, 1) AS weight, p.most, p.per_week,
        date_diff('day', a.occurred_at::DATE, $now::DATE) AS age_days
    FROM acts a
    JOIN points p USING (type)
    LEFT JOIN levels l USING (level)
    WHERE a.occurred_at <= $now AND date_diff('day', a.occurred_at::DATE, $now::DATE) < 90
),
placed AS (
    SELECT
        *,
        row_number() OVER (
            PARTITION BY account_id, person_id, type,
                CASE WHEN per_week THEN date_trunc('week', occurred_at) ELSE date_trunc('day', occurred_at) END
            ORDER BY occurred_at DESC, act_id DESC
        ) AS place
    FROM priced
),
aged AS (
    SELECT
        *,
        CASE WHEN screened IS NOT NULL OR (most IS NOT NULL AND place > most) THEN 0
             ELSE round(base * power(2, -age_days / 30.0), 3) END AS worth
    FROM placed
),
summed AS (
    SELECT
        account_id,
        coalesce(sum(worth) FILTER (person_id IS NOT NULL), 0)
            + least(coalesce(sum(worth) FILTER (person_id IS NULL), 0), 20) AS score,
        count(DISTINCT person_id) FILTER (worth > 0) AS people,
        max(occurred_at) FILTER (person_id IS NOT NULL AND worth > 0) AS human_at,
        max(occurred_at) FILTER (type IN ('demo_request', 'pricing_request', 'contact_request') AND worth > 0
                                 AND person_id IS NOT NULL) AS request_at,
        -- reasons
        to_json(list({
            'act_id': act_id, 'person_id': person_id, 'type': type, 'label': label, 'on': occurred_at::DATE,
            'raw': raw, 'weight': weight, 'age_days': age_days, 'points': worth, 'screened': screened
        } ORDER BY occurred_at DESC, act_id DESC) FILTER (worth > 0 OR screened IS NOT NULL)) AS acts,
        -- end of reasons
        count(*) AS act_count
    FROM aged
    GROUP BY account_id
)
SELECT
    c.account_id,
    coalesce(s.score, 0) AS score,
    coalesce(s.people, 0) AS people,
    coalesce(
        s.request_at::DATE > $now::DATE - 14
        OR (s.score >= 50 AND s.people >= CASE WHEN c.employees < 50 THEN 1 ELSE 2 END
            AND s.human_at::DATE > $now::DATE - 14), false
    ) AS engaged,
    -- reasons
    s.acts,
    -- end of reasons
    s.act_count
FROM accounts c
LEFT JOIN summed s USING (account_id)
