"""
Carries changed source records into golden ones: who is one person, which account, what a deal has become, which acts
are touches. Each step takes what is due for it and notes what is due next; later steps see what earlier ones decided.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl
import psycopg
import sqlalchemy.exc
import structlog
from sqlalchemy import Connection

from worker.core.deals import created_in_crm, outcomes
from worker.core.errors import HeadwaterError
from worker.core.matching.accounts import match_to_account
from worker.core.matching.cluster import cluster
from worker.core.matching.companies import company_clusters, company_keys
from worker.core.matching.crosswalk import stable_ids
from worker.core.matching.keys import identity_keys
from worker.core.matching.normalize import email_domains, normalize_emails, registrable_domains
from worker.core.records import golden_fields
from worker.core.survivorship.merge import merge
from worker.flows import touchpoints
from worker.flows.run import DATABASE_GONE, Run
from worker.store import bulk, dues, golden, matching, origins, quarantine

# So many subjects in one batch change what the planner should know of the tables.
MANY: Final = 1_000
CHANGED_TABLES: Final = ("person", "account", "opportunity", "crosswalk", "identity_key", "touchpoint", "due")

log = structlog.get_logger()

# What no single record can be blamed for: trouble that is named, and mistakes of ours that would hit every one of them.
NO_RECORDS_FAULT: Final = (
    HeadwaterError,
    *DATABASE_GONE,
    psycopg.ProgrammingError,
    sqlalchemy.exc.ProgrammingError,
    pl.exceptions.SchemaError,
    pl.exceptions.ColumnNotFoundError,
    AttributeError,
    NameError,
)
# More than this many subjects at fault in one run are no fault of theirs: the run ends and says what is wrong with us.
MOST_SET_APART: Final = 10

Step = Callable[[Run, Connection, list[str]], None]


def resolve(run: Run) -> None:
    """
    Take every due subject, step by step in the order in which one step feeds the next, a batch a transaction.

    A batch that fails for no reason we know is halved until the one subject at fault is found; that one is put in
    quarantine and the others go on.
    """
    waiting = _waiting(run)
    for kind, step in STEPS:
        limit = run.limits.batch
        while not run.wants_stop() and kind in waiting:
            taken: list[str] = []
            try:
                waiting = _take_step(run, kind, step, limit, taken)
            except NO_RECORDS_FAULT:
                raise
            except Exception as error:  # noqa: BLE001 - whatever a record does to us, the others go on
                limit = _set_apart(run, kind, taken, error)
            else:
                if not taken:
                    break
                run.count(f"{kind} looked at", len(taken))


def _waiting(run: Run) -> set[str]:
    with run.engine.begin() as connection:
        return dues.kinds_waiting(connection, "resolve")


def _take_step(run: Run, kind: str, step: Step, limit: int, taken: list[str]) -> set[str]:
    """
    One batch of one step, its subjects told in ``taken``. Returns the kinds that wait after it.
    """
    with run.transaction() as connection:
        taken += dues.take(connection, "resolve", kind, limit)
        if taken:
            step(run, connection, taken)
        if len(taken) >= MANY:
            bulk.analyze(connection, *CHANGED_TABLES)
        return dues.kinds_waiting(connection, "resolve")


def _set_apart(run: Run, kind: str, keys: list[str], error: Exception) -> int:
    """
    How many to take next time: half of a batch that failed; all again once the one at fault is in quarantine.
    """
    if not keys or run.tally["set apart"] >= MOST_SET_APART:
        raise error
    with run.transaction() as connection:
        dues.unpack(connection, "resolve", kind)
        if len(keys) > 1:
            return len(keys) // 2
        dues.drop(connection, "resolve", kind, keys)
        stream, _, record_id = keys[0].rpartition(":")
        quarantine.put(connection, stream or kind, record_id, f"{type(error).__name__} while it was reconciled")
    log.warning("subject put in quarantine", kind=kind, reason=type(error).__name__)
    run.count("set apart")
    return run.limits.batch


def _accounts(run: Run, connection: Connection, keys: list[str]) -> None:
    refs = golden.split_keys(keys)
    own = golden.records(connection, "account", refs)
    golden.save_keys(connection, "account", refs, company_keys(own))
    records = golden.records(connection, "account", golden.closure(connection, "account", refs))
    members = company_clusters(records).members
    numbering = _number(connection, "account", members)
    numbered = numbering.members
    merged = merge(_with_ids(records, numbered), run.rules.merge["account"]).golden
    live = _live(merged, records, numbered)
    rows = live.with_columns(domain=registrable_domains(live["website"]))
    before = matching.domains_of(connection, rows["golden_id"].to_list())
    changed = golden.save_golden(connection, "account", rows.rename({"golden_id": "id"}))
    moved = golden.save_crosswalk(connection, "account", numbered)
    after = rows.filter(pl.col("golden_id").is_in(changed))["domain"].drop_nulls().to_list()
    matching.note_dependents(connection, moved, [*before, *after])
    dues.note(connection, "resolve", "match", matching.people_of_accounts(connection, list(numbering.redirects)))
    # A field of the customer's own is no golden field, but rules may look at it.
    own_fields = _behind(refs, numbered) if run.rules.standing.extras() else []
    dues.note(connection, "engage", "account", {*changed, *own_fields})
    run.count("accounts changed", len(changed))


def _people(run: Run, connection: Connection, keys: list[str]) -> None:
    refs = golden.split_keys(keys)
    records = golden.records(connection, "person", refs)
    found = identity_keys(records, run.rules.identity)
    golden.save_keys(connection, "person", refs, found)
    reached = golden.closure(connection, "person", refs)
    if len(reached) != len(records):
        records = golden.records(connection, "person", reached)
        found = identity_keys(records, run.rules.identity)
    clustering = cluster(records, found, run.rules.identity)
    numbering = _number(connection, "person", clustering.members)
    numbered = numbering.members
    members = _with_ids(records, numbered)
    merged = merge(members, run.rules.merge["person"]).golden
    created = created_in_crm(members, run.rules.identity.lead_stream, run.rules.identity.contact_stream)
    live = _live(merged, records, numbered)
    rows = live.with_columns(
        email_domain=email_domains(normalize_emails(live["email"]), run.rules.accounts.free_mail)
    ).join(created, on="golden_id", how="left")
    changed = golden.save_golden(connection, "person", rows.rename({"golden_id": "id"}))
    moved = golden.save_crosswalk(connection, "person", numbered)
    shifted = numbering.concerned(moved)
    own_fields = _behind(refs, numbered) if run.rules.tracking.opt_out_fields else []
    dues.note(connection, "resolve", "match", {*changed, *shifted, *own_fields})
    dues.note(connection, "resolve", "person_touches", shifted)
    _note_accounts_left(connection, numbering.accounts_left)
    run.count("people changed", len(changed))
    run.count("matches for review", clustering.reviews.height)


def _matches(run: Run, connection: Connection, keys: list[str]) -> None:
    """
    Lead-to-account: which account each of these persons belongs to, and why.
    """
    person_ids = [int(key) for key in keys]
    people, accounts = matching.candidates(connection, person_ids, run.rules.identity.contact_stream)
    matched = matching.with_gone(match_to_account(people, accounts, run.rules.accounts), person_ids)
    moved = matching.save_matches(connection, matched, person_ids)
    matching.note_neighbours(connection, moved.came)
    _note_accounts_left(connection, moved.old_accounts)
    touched_accounts = {*moved.old_accounts, *moved.new_accounts, *matching.accounts_of(connection, person_ids)}
    dues.note(connection, "engage", "account", touched_accounts)
    dues.note(connection, "attribute", "opportunity", matching.deals_of(connection, person_ids))
    matching.note_for_plan(connection, "person", person_ids)
    run.count("people matched", len(moved.people))


def _opportunities(run: Run, connection: Connection, keys: list[str]) -> None:
    refs = golden.split_keys(keys)
    records = golden.records(connection, "opportunity", refs)
    members = records.select(
        "stream", "record_id", rule=pl.lit("own id"), cluster=pl.int_range(pl.len()).cast(pl.Int64)
    )
    numbered = _number(connection, "opportunity", members).members
    merged = merge(_with_ids(records, numbered), run.rules.merge["opportunity"]).golden
    entries, stages = matching.stage_history(connection, records["record_id"].to_list())
    ids = numbered.select("record_id", "golden_id")
    ends = outcomes(records, entries, stages, run.rules.zone).join(ids, on="record_id").drop("record_id")
    owners = matching.accounts_of_deals(connection, records["record_id"].to_list())
    created = records.join(ids, on="record_id").select("golden_id", "created_at")
    rows = (
        _live(merged, records, numbered)
        .join(ends, on="golden_id", how="left")
        .join(created, on="golden_id", how="left")
        .join(owners.join(ids, on="record_id").drop("record_id"), on="golden_id", how="left")
    )
    changed = golden.save_golden(connection, "opportunity", rows.rename({"golden_id": "id"}))
    golden.save_crosswalk(connection, "opportunity", numbered)
    dues.note(connection, "attribute", "opportunity", changed)
    # An open, won or lost deal is part of where its account stands.
    holders = rows.filter(pl.col("golden_id").is_in(changed))["account_id"].drop_nulls().unique()
    dues.note(connection, "engage", "account", holders.to_list())
    run.count("deals changed", len(changed))


def _roles(run: Run, connection: Connection, keys: list[str]) -> None:
    """
    A contact role that came, changed or went changes whose touches count for its deal.
    """
    deals = matching.deals_of_roles(connection, golden.split_keys(keys))
    dues.note(connection, "attribute", "opportunity", deals)
    run.count("roles changed", len(keys))


def _stage_changes(_run: Run, connection: Connection, keys: list[str]) -> None:
    dues.note(connection, "resolve", "opportunity", matching.deals_of_history(connection, golden.split_keys(keys)))


def _stages(_run: Run, connection: Connection, _keys: list[str]) -> None:
    """
    An administrator changed what a stage means: every deal is looked at again.
    """
    dues.note(connection, "resolve", "opportunity", matching.every_deal(connection))


def _labels(_run: Run, connection: Connection, keys: list[str]) -> None:
    """
    A record type has another name: rules may name its deals now, or no longer.
    """
    deals = matching.deals_of_labels(connection, golden.split_keys(keys))
    dues.note(connection, "attribute", "opportunity", deals)


@dataclass(frozen=True)
class Numbering:
    """
    ``members`` with their golden ids (stream, record_id, golden_id, rule), the ids they had ``before`` (record id ->
    golden id), retired ids -> survivors in ``redirects``, and the accounts that retired persons belonged to.
    """

    members: pl.DataFrame
    before: Mapping[str, int]
    redirects: Mapping[int, int]
    accounts_left: Sequence[int]

    def concerned(self, moved: Sequence[str]) -> list[int]:
        """
        The golden records that these source records came to, or left and that still are.
        """
        came = self.members.filter(pl.col("record_id").is_in(list(moved)))["golden_id"].to_list()
        left = [self.before[each] for each in moved if each in self.before]
        return sorted({*came, *left} - set(self.redirects))


def _number(connection: Connection, kind: str, members: pl.DataFrame) -> Numbering:
    """
    Give every cluster its golden id: the one it has, or a new number. Retires ids whose records went elsewhere.
    """
    before = golden.crosswalk_of(connection, kind, members.select("stream", "record_id"))
    assignment = stable_ids(members, before)
    fresh = assignment.clusters.filter(pl.col("golden_id").is_null())
    numbers = golden.new_ids(connection, kind, fresh.height)
    ids = pl.concat(
        [
            assignment.clusters.filter(pl.col("golden_id").is_not_null()),
            fresh.with_columns(golden_id=pl.Series(numbers, dtype=pl.Int64)),
        ]
    )
    redirects = dict(assignment.redirects.select("old_id", "new_id").iter_rows())
    accounts_left: list[int] = []
    if kind == "person" and redirects:
        origins.keep_the_earlier(connection, redirects)
        accounts_left = matching.accounts_of(connection, list(redirects))
    golden.drop_golden(connection, kind, assignment.redirects)
    return Numbering(
        members.join(ids, on="cluster").select("stream", "record_id", "golden_id", "rule"),
        dict(before.select("record_id", "golden_id").iter_rows()),
        redirects,
        accounts_left,
    )


def _note_accounts_left(connection: Connection, account_ids: Sequence[int]) -> None:
    """
    Accounts that somebody has left, and their deals, are decided again without that person.
    """
    if not account_ids:
        return
    dues.note(connection, "engage", "account", account_ids)
    dues.note(connection, "attribute", "opportunity", matching.deals_of_accounts(connection, account_ids))


def _with_ids(records: pl.DataFrame, numbered: pl.DataFrame) -> pl.DataFrame:
    return records.join(numbered.select("stream", "record_id", "golden_id"), on=["stream", "record_id"])


def _behind(refs: pl.DataFrame, numbered: pl.DataFrame) -> list[int]:
    """
    The golden records that these source records belong to.
    """
    return numbered.join(refs, on=["stream", "record_id"], how="semi")["golden_id"].unique().to_list()


def _live(merged: pl.DataFrame, records: pl.DataFrame, numbered: pl.DataFrame) -> pl.DataFrame:
    """
    The golden rows with what the store keeps beside their fields: a record is gone when all it stands for is gone.
    """
    gone = (
        _with_ids(records, numbered)
        .group_by("golden_id")
        .agg(is_deleted=pl.col("is_deleted").fill_null(value=False).all())
    )
    kept = [name for name in merged.columns if name in {"golden_id", "provenance", "disagreements", *_ALL_FIELDS}]
    return merged.select(kept).join(gone, on="golden_id", how="left")


_ALL_FIELDS: Final = {name for kind in ("person", "account", "opportunity") for name in golden_fields(kind)}

STEPS: Final[tuple[tuple[str, Step], ...]] = (
    ("stage", _stages),
    ("label", _labels),
    ("stage_change", _stage_changes),
    ("campaign", touchpoints.campaigns),
    ("user", touchpoints.users),
    ("account", _accounts),
    ("opportunity", _opportunities),
    ("person", _people),
    ("match", _matches),
    ("role", _roles),
    ("activity", touchpoints.activities),
    ("member", touchpoints.members),
    ("person_touches", touchpoints.of_people),
)
