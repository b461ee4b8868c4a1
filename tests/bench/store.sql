-- A made-up company of %(leads)s leads, written straight into the source tables as if it had been pulled long ago.
-- A tenth as many accounts and deals, two contacts an account, one campaign response a lead or contact. Every deal of an
-- even account has its two contacts as contact roles; the others have none, so that their account's people count.
-- Ids are Salesforce's in form: a prefix, twelve characters, and the three letters that spell the case of the other
-- fifteen. The mark %(mark)s stands in every id and every company's name, so that the whole can be copied under another.

INSERT INTO source_account (stream, record_id, stamp_at, created_at, is_deleted, ours, name, website, industry, employees,
    type, phone, city, country, owner_ref)
SELECT 'salesforce.account', '001' || %(mark)s || lpad(a::text, 8, '0') || 'AAA', at, at, false, '{}',
    'Firm ' || a || %(mark)s, 'https://www.firm' || a || %(mark)s || '.example', 'Industry ' || a %% 20, 10 + a %% 5000,
    'Prospect', '+1 555 ' || lpad(a::text, 7, '0'), 'City ' || a %% 300, 'Country ' || a %% 30, '005000000000001AAA'
FROM (SELECT a, %(now)s - make_interval(hours => 8760 + a %% 17520) AS at
    FROM generate_series(1, %(leads)s / 10) a) account;

INSERT INTO source_person (stream, record_id, stamp_at, created_at, is_deleted, ours, email, first_name, last_name, title,
    phone, mobile_phone, street, city, state, postal_code, country, lead_source, owner_ref, opted_out, do_not_call,
    account_ref)
SELECT 'salesforce.contact', '003' || %(mark)s || lpad(c::text, 8, '0') || 'AAA', at, at, false, '{}',
    'contact' || c || '@firm' || a || %(mark)s || '.example', 'First' || c %% 500, 'Last' || c, 'VP Finance',
    '+1 556 ' || lpad(c::text, 7, '0'), '+1 557 ' || lpad(c::text, 7, '0'), c || ' Main Street', 'City ' || a %% 300,
    'State ' || a %% 50, lpad((a %% 99999)::text, 5, '0'), 'Country ' || a %% 30, 'Web', '005000000000001AAA', false, false,
    '001' || %(mark)s || lpad(a::text, 8, '0') || 'AAA'
FROM (SELECT c, 1 + (c - 1) / 2 AS a, %(now)s - make_interval(hours => 4380 + c %% 13140) AS at
    FROM generate_series(1, %(leads)s / 5) c) contact;

INSERT INTO source_person (stream, record_id, stamp_at, created_at, is_deleted, ours, email, first_name, last_name, title,
    phone, mobile_phone, company, website, industry, employees, annual_revenue, street, city, state, postal_code, country,
    lead_source, status, rating, owner_ref, opted_out, do_not_call)
SELECT 'salesforce.lead', '00Q' || %(mark)s || lpad(l::text, 8, '0') || 'EAA', at, at, false, '{}',
    'lead' || l || '@firm' || a || %(mark)s || '.example', 'First' || l %% 500, 'Last' || l, 'Director of Operations',
    '+1 558 ' || lpad(l::text, 7, '0'), '+1 559 ' || lpad(l::text, 7, '0'), 'Firm ' || a || %(mark)s,
    'https://www.firm' || a || %(mark)s || '.example', 'Industry ' || a %% 20, 10 + a %% 5000, 100000 + l,
    l || ' Market Street', 'City ' || a %% 300, 'State ' || a %% 50, lpad((a %% 99999)::text, 5, '0'),
    'Country ' || a %% 30, 'Web', 'Open', 'Warm', '005000000000001AAA', false, false
FROM (SELECT l, 1 + (l - 1) / 10 AS a, %(now)s - make_interval(hours => 24 + l %% 13140) AS at
    FROM generate_series(1, %(leads)s) l) lead;

INSERT INTO source_opportunity (stream, record_id, stamp_at, created_at, is_deleted, ours, name, account_ref, amount,
    currency, stage, is_closed, is_won, close_on, type, owner_ref)
SELECT 'salesforce.opportunity', '006' || %(mark)s || lpad(o::text, 8, '0') || 'AAA', at, at, false, '{}',
    'Deal ' || o || %(mark)s, '001' || %(mark)s || lpad(o::text, 8, '0') || 'AAA', 1000 + o %% 250000 + 0.5, 'USD',
    CASE o %% 3 WHEN 0 THEN 'Closed Won' WHEN 1 THEN 'Closed Lost' ELSE 'Negotiation' END, o %% 3 < 2, o %% 3 = 0,
    (at + interval '40 days')::date, 'New Business', '005000000000001AAA'
FROM (SELECT o, %(now)s - make_interval(hours => 1200 + o %% 12000) AS at
    FROM generate_series(1, %(leads)s / 10) o) opportunity;

INSERT INTO source_stage_change (stream, record_id, stamp_at, created_at, is_deleted, opportunity_ref, stage, amount,
    close_on)
SELECT 'salesforce.opportunity_history', '008' || %(mark)s || h || substr(d.record_id, 9, 7) || 'AAA', at, at, false,
    d.record_id, CASE h WHEN 0 THEN 'Qualification' ELSE d.stage END, d.amount, d.close_on
FROM source_opportunity d CROSS JOIN generate_series(0, 1) h
CROSS JOIN LATERAL (SELECT d.created_at + h * interval '35 days' AS at) entered;

INSERT INTO source_role (stream, record_id, stamp_at, created_at, is_deleted, opportunity_ref, contact_ref, role,
    is_primary)
SELECT 'salesforce.opportunity_contact_role', '00K' || %(mark)s || lpad(c::text, 8, '0') || 'EAA', %(now)s, %(now)s, false,
    '006' || %(mark)s || lpad(a::text, 8, '0') || 'AAA', '003' || %(mark)s || lpad(c::text, 8, '0') || 'AAA',
    CASE c %% 2 WHEN 1 THEN 'Decision Maker' ELSE 'Economic Buyer' END, c %% 2 = 1
FROM (SELECT c, 1 + (c - 1) / 2 AS a FROM generate_series(1, %(leads)s / 5) c) contact WHERE a %% 2 = 0;

INSERT INTO source_member (stream, record_id, stamp_at, created_at, is_deleted, campaign_ref, lead_ref, contact_ref,
    status, has_responded, responded_on)
SELECT 'salesforce.campaign_member', '00v' || %(mark)s || lpad(m::text, 8, '0') || 'AAA', at, at, false,
    '701' || lpad((1 + m %% 200)::text, 12, '0') || 'AAA', lead_ref, contact_ref, 'Responded', true, at::date
FROM (
    SELECT l AS m, '00Q' || %(mark)s || lpad(l::text, 8, '0') || 'EAA' AS lead_ref, NULL AS contact_ref,
        %(now)s - make_interval(hours => 12 + (l * 37) %% 14000) AS at
    FROM generate_series(1, %(leads)s) l
    UNION ALL
    SELECT %(leads)s + c, NULL, '003' || %(mark)s || lpad(c::text, 8, '0') || 'AAA',
        %(now)s - make_interval(hours => 12 + (c * 41) %% 14000)
    FROM generate_series(1, %(leads)s / 5) c) response;

-- What all copies share.
INSERT INTO source_stage (stream, record_id, stamp_at, is_deleted, name, is_closed, is_won, sort_order)
VALUES ('salesforce.opportunity_stage', '01J000000000001EAA', %(now)s, false, 'Qualification', false, false, 1),
    ('salesforce.opportunity_stage', '01J000000000002EAA', %(now)s, false, 'Negotiation', false, false, 2),
    ('salesforce.opportunity_stage', '01J000000000003EAA', %(now)s, false, 'Closed Won', true, true, 3),
    ('salesforce.opportunity_stage', '01J000000000004EAA', %(now)s, false, 'Closed Lost', true, false, 4);

INSERT INTO source_campaign (stream, record_id, stamp_at, created_at, is_deleted, name, type, status, start_on)
SELECT 'salesforce.campaign', '701' || lpad(k::text, 12, '0') || 'AAA', %(now)s, %(now)s, false, 'Campaign ' || k,
    CASE k %% 3 WHEN 0 THEN 'Content Syndication' WHEN 1 THEN 'Advertisement' ELSE 'Direct Mail' END, 'Completed',
    (%(now)s - make_interval(days => k * 3))::date
FROM generate_series(1, 200) k;
