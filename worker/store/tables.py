"""
Every table of the store, as SQLAlchemy describes them. Migrations make them; nothing here runs.

Four groups: source records as received (one table a shape of ``core.records``), golden records with their crosswalk,
decisions with their reasons, and the machinery (cursors, jobs, runs, plans, outbox). Times are ``timestamptz`` in UTC.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Float,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    Numeric,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.types import TypeEngine

from worker.core.records import ENVELOPE, SHAPES, golden_fields

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_TYPES: dict[str, type[TypeEngine[Any]] | TypeEngine[Any]] = {
    "text": Text,
    "timestamptz": DateTime(timezone=True),
    "date": Date,
    "boolean": Boolean,
    "numeric": Numeric,
    "jsonb": JSONB,
}

AT = DateTime(timezone=True)


def _json(name: str) -> Column[Any]:
    return Column(name, JSONB, nullable=False, server_default=text("'{}'"))


def _now(name: str) -> Column[Any]:
    return Column(name, AT, nullable=False, server_default=func.now())


# ---------------------------------------------------------------------------------------------- source records
#
# Indexes begin with what tells rows apart (an id), never with what many share (a stream, a kind): with stale statistics
# the planner takes a leading column of few values for a good way in, and a first load of 12,000 people took 175 s.


# Shapes whose records are dated themselves, so that one may ask what was known of a past moment then: ``seen_at`` is
# when a record came to the store, by the database's clock, null where that was not noted yet.
DATED = ("activity", "member", "role", "stage_change")


def _source_table(shape: str) -> Table:
    columns = [Column(name, _TYPES[kind]) for name, kind in (ENVELOPE | SHAPES[shape]).items()]
    for column in columns:
        if column.name in {"stream", "record_id"}:
            column.nullable = False
    if shape in DATED:
        columns.append(Column("seen_at", AT, server_default=func.now()))
    return Table(f"source_{shape}", metadata, *columns, PrimaryKeyConstraint("record_id", "stream"))


SOURCE: dict[str, Table] = {shape: _source_table(shape) for shape in SHAPES}

# Only filled cells are worth an entry: no lead has an account, few records anything but their own.
for _shape, _columns in {
    "role": ("opportunity_ref", "contact_ref"),
    "stage_change": ("opportunity_ref",),
    "activity": ("person_ref", "campaign_ref", "actor_ref"),
    "member": ("contact_ref", "lead_ref", "campaign_ref"),
    "opportunity": ("account_ref",),
    "person": ("account_ref",),
    "account": ("parent_ref",),
    "campaign": ("record_id", "linked_ref"),
    "user": ("record_id",),
    "field_change": ("record_ref",),
    "touch_record": ("key", "opportunity_ref"),
}.items():
    for _column in _columns:
        Index(None, SOURCE[_shape].c[_column], postgresql_where=SOURCE[_shape].c[_column].is_not(None))

Index(
    "ix_source_activity_account_ref",
    SOURCE["activity"].c.account_ref,
    postgresql_where=text("account_ref IS NOT NULL AND person_ref IS NULL"),
)

# ---------------------------------------------------------------------------------------------- golden records


def _golden_table(kind: str, *own: Column[Any]) -> Table:
    fields = [Column(name, _TYPES[type_]) for name, type_ in golden_fields(kind).items()]
    return Table(
        kind,
        metadata,
        Column("id", BigInteger, Identity(), primary_key=True),
        *fields,
        *own,
        Column("created_at", AT),  # the creation in Salesforce of its oldest record; null until it has one there
        Column("is_deleted", Boolean, nullable=False, server_default=text("false")),
        _json("provenance"),
        Column("disagreements", Integer, nullable=False, server_default="0"),
        _now("updated_at"),
    )


person = _golden_table(
    "person",
    Column("account_id", BigInteger, index=True),
    Column("account_rule", Text),
    Column("account_why", Text),
    Column("email_domain", Text, index=True),  # registrable; null for free mail and none
    Column("original_source", Text),
    Column("original_source_at", AT),
)
account = _golden_table("account", Column("domain", Text, index=True))
opportunity = _golden_table(
    "opportunity",
    Column("account_id", BigInteger, index=True),
    Column("outcome", Text),  # open won lost; null while its stage is unknown
    Column("closed_at", AT),
)

GOLDEN: dict[str, Table] = {"person": person, "account": account, "opportunity": opportunity}

crosswalk = Table(
    "crosswalk",
    metadata,
    Column("kind", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("record_id", Text, nullable=False),
    Column("stream", Text, nullable=False),
    Column("golden_id", BigInteger, nullable=False),
    Column("rule", Text, nullable=False),
    _now("since_at"),
    PrimaryKeyConstraint("record_id", "source", "kind"),
    Index("ix_crosswalk_golden", "golden_id", "kind"),
)

redirect = Table(
    "redirect",
    metadata,
    Column("kind", Text, nullable=False),
    Column("old_id", BigInteger, nullable=False),
    Column("new_id", BigInteger, nullable=False),
    _now("at"),
    PrimaryKeyConstraint("kind", "old_id"),
)

identity_key = Table(
    "identity_key",
    metadata,
    Column("kind", Text, nullable=False),
    Column("stream", Text, nullable=False),
    Column("record_id", Text, nullable=False),
    Column("key", Text, nullable=False),
    PrimaryKeyConstraint("record_id", "stream", "key", "kind"),
    Index("ix_identity_key_key", "key", "kind"),
)

touchpoint = Table(
    "touchpoint",
    metadata,
    Column("touch_id", Text, primary_key=True),
    Column("source", Text, nullable=False),
    Column("person_ref", Text),  # the record of crosswalk (person, source, person_ref)
    Column("account_ref", Text),  # for an act without a person
    Column("occurred_at", AT, nullable=False),
    Column("type", Text, nullable=False),
    Column("team", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("offer", Text),
    Column("campaign", Text),
    Column("campaign_key", Text),  # one word for a program and the campaign it is linked with
    Column("label", Text, nullable=False),
    Column("earns_credit", Boolean, nullable=False),
    Column("machine", Text),  # why it is held to be a machine's act; null = a person's
    Column("duplicate_of", Text),  # the touch that stands for this one
    _now("seen_at"),  # when it came to the store
    Index("ix_touchpoint_person", "person_ref", "source"),
    Index("ix_touchpoint_account", "account_ref", "source", postgresql_where=text("account_ref IS NOT NULL")),
)

# --------------------------------------------------------------------------------------------------- decisions

rule_version = Table(
    "rule_version",
    metadata,
    Column("number", Integer, Identity(), primary_key=True),
    Column("digest", Text, nullable=False, unique=True),
    _json("rules"),
    _now("first_used_at"),
)

rules_in_force = Table(
    "rules_in_force",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("number", Integer, nullable=False),  # of rule_version
    _now("since_at"),
)

engagement = Table(
    "engagement",
    metadata,
    Column("account_id", BigInteger, primary_key=True),
    Column("engaged", Boolean, nullable=False),
    Column("since_at", AT),
    Column("until_at", AT),
    Column("band", Text, nullable=False),
    Column("points_milli", BigInteger, nullable=False),
    Column("people_count", Integer, nullable=False),
    Column("why", Text),
    _json("detail"),
    Column("rule_version", Integer, nullable=False),
    Column("decided_at", AT),  # by the organisation's clock
    _now("saved_at"),  # by the database's
    Column("review_at", AT),
    Column("alerted_at", AT),  # when somebody was last told that it is engaged
    Index("ix_engagement_review_at", "review_at", postgresql_where=text("review_at IS NOT NULL")),
)

engagement_change = Table(
    "engagement_change",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("account_id", BigInteger, nullable=False, index=True),
    Column("at", AT, nullable=False),
    Column("engaged", Boolean, nullable=False),
    Column("band", Text, nullable=False),
    Column("why", Text),
    Column("rule_version", Integer, nullable=False),
    Column("alert", Boolean, nullable=False, server_default=text("false")),  # this turn is worth telling somebody
)

recheck = Table(  # an account was decided again though nobody had done anything there
    "recheck",
    metadata,
    Column("account_id", BigInteger, nullable=False),
    Column("at", AT, nullable=False),  # by the organisation's clock
    PrimaryKeyConstraint("account_id", "at"),
)

account_standing = Table(
    "account_standing",
    metadata,
    Column("account_id", BigInteger, primary_key=True),
    Column("tier", Text),
    Column("in_profile", Boolean, nullable=False),  # in the ideal customer profile
    Column("fit", Integer),  # 0 to 100; null while it cannot be told
    Column("fit_band", Text),
    Column("intent_milli", BigInteger, nullable=False),
    Column("spiked_at", AT),  # the decision that saw a peak of this week
    Column("stage", Text, nullable=False),
    Column("in_market", Float),  # the chance of an opportunity in 90 days; null where none is told
    Column("group_engaged", Integer, nullable=False),
    Column("group_needed", Integer, nullable=False),
    Column("group_gap", Text),
    Column("qualified", Boolean, nullable=False),
    Column("qualified_since_at", AT),
    _json("detail"),
    Column("rule_version", Integer, nullable=False),
    Column("decided_at", AT),
)

standing_change = Table(
    "standing_change",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("account_id", BigInteger, nullable=False, index=True),
    Column("at", AT, nullable=False),
    Column("what", Text, nullable=False),  # tier in_profile fit_band stage qualified
    Column("old", Text),
    Column("new", Text),
    Column("rule_version", Integer, nullable=False),
)

list_membership = Table(
    "list_membership",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("list", Text, nullable=False),
    Column("account_id", BigInteger, nullable=False),
    Column("entered_at", AT, nullable=False),
    Column("left_at", AT),  # null while it is in it
    Column("rule_version", Integer, nullable=False),
    Index("ix_list_membership_account", "account_id"),
    Index("uq_list_membership_open", "list", "account_id", unique=True, postgresql_where=text("left_at IS NULL")),
)

learnt = Table(
    "learnt",
    metadata,
    Column("kind", Text, primary_key=True),  # in_market fit
    Column("model", JSONB),  # null where the history is too short
    Column("told", Text, nullable=False),  # what was learnt, or why nothing was, in a sentence
    Column("rule_version", Integer, nullable=False),
    Column("learnt_at", AT, nullable=False),
)

# What a model's channels weigh, each time that it was learnt; of what could not be learnt the last attempt.
learning = Table(
    "learning",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("model", Text, nullable=False),
    Column("learner", Text, nullable=False),  # markov shapley
    Column("over_months", Integer, nullable=False),
    Column("basis", Text, nullable=False),  # digest of the rules that make the paths
    Column("since_at", AT, nullable=False),  # deals closed from here on
    Column("until_at", AT, nullable=False),  # and before this
    Column("conversions", Integer, nullable=False),  # won deals with a touch
    Column("nulls", Integer, nullable=False),  # lost ones
    Column("weights", JSONB),  # {"Webinar": "1/3"}, exact; null where the history is too short
    Column("rule_version", Integer, nullable=False),
    Column("learnt_at", AT, nullable=False),  # by the organisation's clock
)

verdict = Table(
    "verdict",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("account_id", BigInteger, nullable=False, index=True),
    Column("at", AT, nullable=False),
    Column("verdict", Text, nullable=False),  # wrong, not interested
    Column("said_by", Text),
    Column("rule_version", Integer),  # of the flag that was spoken of
)

attribution = Table(
    "attribution",
    metadata,
    Column("opportunity_id", BigInteger, primary_key=True),
    Column("source_team", Text),
    Column("source_channel", Text),
    Column("source_offer", Text),
    Column("influenced", Boolean, nullable=False),
    Column("assisted", Boolean, nullable=False),
    Column("marketing_share", Numeric(7, 4)),  # percent of the model that is written back
    Column("basis", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("why", Text),
    Column("remark", Text),  # data that are shown as what they are ("won before its first touch")
    Column("rule_version", Integer, nullable=False),
    Column("decided_at", AT),
    Column("pipeline_rate_ref", Text),  # the exchange rate its pipeline was converted by; null in our own currency
    Column("revenue_rate_ref", Text),
    # {"id": of sourcing_override, "team", "channel", "offer": what the touches say}; null where nobody set the team
    Column("overridden", JSONB),
    Index("ix_attribution_source_channel", "source_channel"),
)

# What administrators say of a deal's sourcing team. Nothing here is ever changed: a correction is a row of its own.
sourcing_override = Table(
    "sourcing_override",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("source", Text, nullable=False),
    Column("record_id", Text, nullable=False),  # the deal's record, which outlives golden ids
    Column("team", Text),  # marketing sales partner customer_success; null gives the touches' answer back
    Column("channel", Text),  # null: that of the team's first touch
    Column("reason", Text, nullable=False),
    Column("said_by", Text, nullable=False),
    _now("said_at"),  # by the database's clock
    Index("ix_sourcing_override_record_id", "record_id", "source"),
)

credit = Table(
    "credit",
    metadata,
    Column("opportunity_id", BigInteger, nullable=False),
    Column("clock", Text, nullable=False),
    Column("item", Text, nullable=False),  # touch pending unassigned
    Column("touch_id", Text),
    Column("occurred_at", AT),
    Column("positions", Text, nullable=False),
    Column(
        "models", JSONB, nullable=False
    ),  # {"w": {"share": "3/10", "units": 2520000}}; exact; units null without amount; corporate_units where converted
    Index("ix_credit_opportunity", "opportunity_id"),
)

credit_digest = Table(
    "credit_digest",
    metadata,
    Column("opportunity_id", BigInteger, primary_key=True),
    Column("digest", Text),  # of the deal's credits as computed last, so that equal ones are not written again
)

# Inside these days (both counted) no credit moves; what changes later is an adjustment on the day it was found.
locked_period = Table(
    "locked_period",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("starts_on", Date, nullable=False),
    Column("ends_on", Date, nullable=False),
    Column("reason", Text, nullable=False),
    Column("locked_by", Text),
    _now("locked_at"),
    CheckConstraint("ends_on >= starts_on", name="order"),
)

adjustment = Table(
    "adjustment",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("opportunity_id", BigInteger, nullable=False),
    Column("clock", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("item", Text, nullable=False),
    Column("touch_id", Text),
    Column("share_before", Text, nullable=False),
    Column("share_after", Text, nullable=False),
    Column("units_delta", BigInteger),
    Column("kind", Text, nullable=False),  # restated: the credits hold it; booked: add it to them on its day
    Column("cause", Text, nullable=False),  # late data, rules
    Column("adjusted_on", Date, nullable=False),
    Column("adjusted_at", AT, nullable=False),
    Column("rule_version", Integer, nullable=False),
    Index("ix_adjustment_opportunity", "opportunity_id"),
)

# --------------------------------------------------------------------------------------------------- machinery

due = Table(
    "due",
    metadata,
    Column("flow", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("key", Text(collation="C"), nullable=False),  # so that "<stream>:" is a range of the key's index
    PrimaryKeyConstraint("flow", "kind", "key"),
)

due_slice = Table(
    "due_slice",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("flow", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("keys", ARRAY(Text), nullable=False),
)

job = Table(
    "job",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("flow", Text, nullable=False),
    Column("lane", Text, nullable=False),  # at most one job of a lane runs at a time
    _json("scope"),
    Column("priority", SmallInteger, nullable=False, server_default="5"),  # 0 first
    Column("state", Text, nullable=False, server_default="ready"),
    _now("run_at"),
    Column("owner", Text),
    Column("until", AT),
    Column("token", BigInteger, nullable=False, server_default="0"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("requested_by", Text),
    Column("error_code", Text),
    Column("error", Text),
    _now("created_at"),
    Column("finished_at", AT),
    CheckConstraint("state IN ('ready', 'leased', 'done', 'failed')", name="state"),
    Index("uq_job_leased_lane", "lane", unique=True, postgresql_where=text("state = 'leased'")),
    Index(
        "uq_job_ready", "flow", "lane", text("md5(scope::text)"), unique=True, postgresql_where=text("state = 'ready'")
    ),
    Index("ix_job_open", "flow", "priority", "id", postgresql_where=text("state IN ('ready', 'leased')")),
)

run = Table(
    "run",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("job_id", BigInteger, nullable=False),
    Column("flow", Text, nullable=False),
    Column("lane", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("now_at", AT, nullable=False),  # the one now of this run, by the organisation's clock
    Column("started_at", AT, nullable=False),
    Column("finished_at", AT),
    _json("tally"),
    Column("error_code", Text),
    Column("error", Text),
    Index("ix_run_lane", "lane", "id"),
    Index("ix_run_running", "job_id", postgresql_where=text("state = 'running'")),
)

schedule = Table(
    "schedule",
    metadata,
    Column("name", Text, primary_key=True),
    Column("every_seconds", Integer, nullable=False),
    _now("next_run"),
)

cursor = Table(
    "cursor",
    metadata,
    Column("stream", Text, primary_key=True),
    Column("watermark", AT),
    Column("lo", AT),
    Column("hi", AT),
    Column("place", JSONB),
    Column("token", Text),
    Column("first_loaded_at", AT),
    _now("updated_at"),
)

source_state = Table(
    "source_state",
    metadata,
    Column("source", Text, primary_key=True),
    Column("clock_offset_seconds", Numeric, nullable=False, server_default="0"),
    _json("known"),
    Column("calls_used", BigInteger),
    Column("calls_allowed", BigInteger),
    _now("answered_at"),
)

secret = Table(
    "secret",
    metadata,
    Column("name", Text, primary_key=True),
    Column("sealed", Text),  # null: nothing has replaced what the settings give
    _now("kept_at"),
)

api_use = Table(
    "api_use",
    metadata,
    Column("source", Text, nullable=False),
    Column("hour_at", AT, nullable=False),  # by the organisation's clock
    Column("purpose", Text, nullable=False),  # writes changes history
    Column("calls", BigInteger, nullable=False),  # ours alone
    PrimaryKeyConstraint("source", "hour_at", "purpose"),
)

api_level = Table(
    "api_level",
    metadata,
    Column("source", Text, nullable=False),
    Column("hour_at", AT, nullable=False),
    Column("used", BigInteger, nullable=False),  # everybody's of the rolling day, as last answered within the hour
    Column("allowed", BigInteger, nullable=False),
    PrimaryKeyConstraint("source", "hour_at"),
)

sweep = Table(
    "sweep",
    metadata,
    Column("stream", Text, primary_key=True),
    Column("is_due", Boolean, nullable=False, server_default=text("true")),
    Column("fields", ARRAY(Text), nullable=False, server_default=text("'{}'")),  # to be filled in along the way
    Column("began_at", AT),  # by the organisation's clock; null between sweeps
    Column("place", JSONB),  # how far the census came
    Column("is_counted", Boolean, nullable=False, server_default=text("false")),  # the census is whole
    Column("calls", Integer, nullable=False, server_default="0"),
    Column("proof", JSONB),  # the last sweep's line, see store.census.prove
    Column("error", Text),  # why it could not be swept
)

# Ids, stamps and deletions as a sweep that is under way saw them.
census = Table(
    "census",
    metadata,
    Column("stream", Text, nullable=False),
    Column("record_id", Text, nullable=False),
    Column("stamp_at", AT),
    Column("is_deleted", Boolean, nullable=False),
)

# Stored records that the platform no longer shows and does not call deleted: kept as last seen.
hidden_record = Table(
    "hidden_record",
    metadata,
    Column("stream", Text, nullable=False),
    Column("record_id", Text, nullable=False),
    _now("since_at"),
    PrimaryKeyConstraint("record_id", "stream"),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("stream", Text, nullable=False),
    Column("record_id", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("whose", Text, nullable=False),  # yours theirs ours
    Column("message", Text, nullable=False),
    _json("payload"),
    Column("attempts", Integer, nullable=False, server_default="1"),
    _now("first_seen_at"),
    _now("last_seen_at"),
    UniqueConstraint("stream", "record_id"),
)

finding = Table(
    "finding",
    metadata,
    Column("key", Text, primary_key=True),
    Column("code", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("actions", JSONB, nullable=False, server_default=text("'[]'")),
    _now("since_at"),
)

setting = Table(
    "setting",
    metadata,
    Column("key", Text, primary_key=True),
    _json("value"),
    _now("updated_at"),
)

plan = Table(
    "plan",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("state", Text, nullable=False),  # planned held approved done
    Column("why_held", Text),
    _json("counts"),
    Column("rule_version", Integer, nullable=False),
    _now("created_at"),
    Column("approved_at", AT),
    Column("approved_by", Text),
    Index("ix_plan_open", "state", postgresql_where=text("state <> 'done'")),
)

# Jobs of a platform's own that writes were handed over to, at most one an object.
bulk_job = Table(
    "bulk_job",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("sink", Text, nullable=False),
    Column("object", Text, nullable=False),
    Column("vendor_id", Text, nullable=False),  # the platform's id of it
    Column("polls", Integer, nullable=False, server_default="0"),
    Column("not_before", AT),
    _now("asked_at"),
    UniqueConstraint("object", "sink"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("object", Text, nullable=False),
    Column("record_id", Text, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("plan_id", BigInteger, ForeignKey("plan.id"), nullable=False),
    Column("state", Text, nullable=False),  # planned sending unknown parked refused
    Column("changes", JSONB, nullable=False),  # [{"field", "old", "new", "reason", "rule_version"}]
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("not_before", AT),
    Column("sent_at", AT),
    Column("decided_again", Boolean, nullable=False, server_default=text("false")),  # while it was on its way
    Column("code", Text),
    Column("message", Text),
    Column("bulk_job_id", BigInteger),  # the job it rides in
    PrimaryKeyConstraint("record_id", "object"),
    Index("ix_outbox_plan", "plan_id", "state"),
    Index("ix_outbox_bulk_job_id", "bulk_job_id", postgresql_where=text("bulk_job_id IS NOT NULL")),
)

written = Table(
    "written",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("object", Text, nullable=False),
    Column("record_id", Text, nullable=False),
    Column("field", Text, nullable=False),
    Column("before", Text),
    Column("after", Text),
    Column("reason", Text),
    Column("rule_version", Integer, nullable=False),
    Column("plan_id", BigInteger, nullable=False),
    Column("run_id", BigInteger, nullable=False),
    Column("result", Text, nullable=False),  # done skipped parked refused gone
    Column("code", Text),
    Column("message", Text),
    Column("at", AT, nullable=False),
    Index("ix_written_record_id", "record_id", "object"),
)
