-- The yardstick of a pull: the store's own table of people, typed and keyed the same way and empty. Leads come with one
-- further field, for which the store has a JSON column and this table one of its own.
DROP TABLE IF EXISTS yardstick;
CREATE TABLE yardstick (LIKE source_person INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES);
ALTER TABLE yardstick ALTER stream SET DEFAULT 'salesforce.lead', ADD salutation text;
CHECKPOINT;
