-- The yardstick of tests/bench/attribution.py: the same paths and the same seven models in plain window functions, all
-- over one partition so that the data is sorted once. One row a touch on a deal's path at the revenue clock, one column
-- a model. DECIMAL shares times the amount, rounded a touch at a time: nothing is allotted, so the credits of a deal
-- need not add up to its amount. Milestones that lack a touch or are still to come, and touches of the same instant at
-- the lead's creation, are left aside: less than the rules ask for.
WITH
roles AS (
    SELECT DISTINCT opportunity_id, person_id
    FROM people
    WHERE role IS NOT NULL
),
leads AS (
    SELECT opportunity_id, min(lead_created_at) AS lead_at, arg_min(person_id, lead_created_at) AS lead_person
    FROM people
    WHERE role IS NOT NULL
    GROUP BY opportunity_id
),
journey AS (
    SELECT
        d.opportunity_id, d.amount_units, d.created_at, d.outcome, coalesce(d.closed_at, $as_of) AS end_at,
        t.touch_id, t.occurred_at, l.lead_at,
        t.person_id = l.lead_person AND t.occurred_at <= l.lead_at + INTERVAL 7 DAY AS of_lead
    FROM deals d
    JOIN roles r USING (opportunity_id)
    JOIN leads l USING (opportunity_id)
    JOIN touches t ON t.person_id = r.person_id
    WHERE t.team = 'marketing'
      AND t.type IN ('form', 'content', 'webinar_attended', 'event_attended', 'demo_request', 'contact_request',
                     'ad_click', 'campaign_response')
      AND t.occurred_at >= d.created_at - INTERVAL 540 DAY
      AND t.occurred_at <= coalesce(d.closed_at, $as_of)
),
placed AS (
    SELECT
        *,
        power(0.5, epoch(end_at - occurred_at) / (30 * 86400.0)) AS decay,
        sum(power(0.5, epoch(end_at - occurred_at) / (30 * 86400.0))) OVER deal AS decay_sum,
        count(*) OVER deal AS touches,
        count(*) FILTER (occurred_at <= created_at) OVER deal AS to_creation,
        row_number() OVER path AS place,
        coalesce(
            max(occurred_at) FILTER (of_lead AND occurred_at <= lead_at) OVER deal,
            min(occurred_at) FILTER (of_lead AND occurred_at > lead_at) OVER deal
        ) AS lead_touch_at
    FROM journey
    WINDOW path AS (PARTITION BY opportunity_id ORDER BY occurred_at, touch_id), deal AS (PARTITION BY opportunity_id)
),
held AS (
    SELECT
        *,
        (place = 1)::INT AS ft,
        (of_lead AND occurred_at = lead_touch_at)::INT AS lc,
        (place = to_creation)::INT AS oc,
        (place = touches AND outcome = 'won')::INT AS cw,
        (place = touches)::INT AS lt,
        amount_units::DECIMAL(18, 2) AS amount
    FROM placed
),
weighed AS (
    SELECT
        *,
        touches - sum((ft + lc > 0)::INT) OVER deal AS middle_u,
        touches - sum((ft + lc + oc > 0)::INT) OVER deal AS middle_w,
        touches - sum((ft + lc + oc + cw > 0)::INT) OVER deal AS middle_full
    FROM held
    WINDOW deal AS (PARTITION BY opportunity_id)
)
SELECT
    opportunity_id,
    touch_id,
    concat_ws('; ', CASE WHEN ft = 1 THEN 'FT' END, CASE WHEN lc = 1 THEN 'LC' END, CASE WHEN oc = 1 THEN 'OC' END,
              CASE WHEN cw = 1 THEN 'CW' END, CASE WHEN lt = 1 THEN 'LT' END) AS positions,
    (amount * ft)::DECIMAL(18, 2) AS first,
    (amount * lt)::DECIMAL(18, 2) AS last,
    (amount / touches)::DECIMAL(18, 2) AS linear,
    (amount * (0.40 * ft + 0.40 * lc + CASE WHEN ft + lc = 0 THEN 0.20 / middle_u ELSE 0 END))::DECIMAL(18, 2) AS u,
    (amount * (0.30 * (ft + lc + oc) + CASE WHEN ft + lc + oc = 0 THEN 0.10 / middle_w ELSE 0 END))::DECIMAL(18, 2) AS w,
    (amount * (0.225 * (ft + lc + oc + cw)
        + CASE WHEN ft + lc + oc + cw = 0 THEN 0.10 / middle_full ELSE 0 END))::DECIMAL(18, 2) AS full_path,
    (amount * decay / decay_sum)::DECIMAL(18, 2) AS time_decay
FROM weighed
