"""
Names the keys by which a source record can be recognised: its own id, the ids it is linked to, its e-mail address.

It does not decide who is who (``cluster`` does). Called by the resolve flow with all people of all streams.
"""

from dataclasses import dataclass
from typing import Final

import polars as pl

from worker.core.errors import Fatal
from worker.core.frames import INSTANT, Schema
from worker.core.matching.normalize import ROLE_MAILBOXES, normalize_emails, salesforce_ids

# What the keys are read from; further columns of a person's record are ignored.
PERSON_INPUT: Final[Schema] = {
    "stream": pl.String,
    "record_id": pl.String,
    "is_deleted": pl.Boolean,
    "merged_into": pl.String,  # the survivor in the same stream; believed only while the record is deleted
    "email": pl.String,
    "lead_ref": pl.String,
    "contact_ref": pl.String,
    "converted_at": INSTANT,
    "converted_contact_ref": pl.String,
    "created_at": INSTANT,
}

# One row a record and key. Keys of strength "id" name a record, those of strength "email" an address.
KEY: Final[Schema] = {
    "stream": pl.String,
    "record_id": pl.String,
    "key": pl.String,  # "<stream>:<record id>" or "email:<normalized address>"
    "strength": pl.String,  # id, email
    "rule": pl.String,  # one of the rules below
}

OWN: Final = "own id"
MERGED: Final = "merged"
CONVERTED: Final = "converted to contact"
CONTACT_LINK: Final = "platform's contact link"
LEAD_LINK: Final = "platform's lead link"
EMAIL: Final = "same e-mail"

_LEAD_PREFIX: Final = "00Q"  # the first three characters of every Salesforce id of the object
_CONTACT_PREFIX: Final = "003"


@dataclass(frozen=True)
class IdentityRules:
    """
    Which streams are Salesforce's own, and when an e-mail address says too little.

    Every other stream is a marketing platform's. More than ``shared_email_records`` live records of one stream with the
    same address make it a shared mailbox, by which nobody is joined.
    """

    contact_stream: str = "salesforce.contact"
    lead_stream: str = "salesforce.lead"
    role_mailboxes: frozenset[str] = ROLE_MAILBOXES
    shared_email_records: int = 5

    def __post_init__(self) -> None:
        if self.contact_stream == self.lead_stream:
            raise Fatal("HW-150", f"contacts and leads are both said to be the stream {self.contact_stream!r}")
        if self.shared_email_records < 1:
            raise Fatal("HW-150", f"shared_email_records is {self.shared_email_records}; it must be 1 or more")


def identity_keys(people: pl.DataFrame, rules: IdentityRules | None = None) -> pl.DataFrame:
    """
    The keys (KEY) of people's records (PERSON_INPUT), in the order of stream, record id, strength and rule.

    Links are spelt with 18 characters. Where a platform has put a contact's id in its lead field, the id's own prefix
    decides. Addresses of role mailboxes and what cannot be an address give no key.
    """
    rules = rules or IdentityRules()
    people = checked(people, PERSON_INPUT)
    plain = people.with_columns(
        *(_reference(people[name]) for name in ("lead_ref", "contact_ref", "converted_contact_ref", "merged_into")),
        normalize_emails(people["email"]).alias("email"),
    )
    platforms = ~pl.col("stream").is_in([rules.contact_stream, rules.lead_stream])
    keys = pl.concat(
        [
            _keyed(plain, pl.col("stream"), "record_id", OWN),
            _keyed(plain.filter(pl.col("is_deleted")), pl.col("stream"), "merged_into", MERGED),
            _keyed(
                plain.filter(pl.col("stream") == rules.lead_stream),
                pl.lit(rules.contact_stream),
                "converted_contact_ref",
                CONVERTED,
            ),
            *(_links(plain.filter(platforms), column, rules) for column in ("contact_ref", "lead_ref")),
            _emails(plain, rules),
        ]
    )
    return keys.unique().sort("stream", "record_id", "strength", "rule", "key")


def checked(frame: pl.DataFrame, schema: Schema) -> pl.DataFrame:
    """
    The columns of ``schema`` in their types; a missing column or one of another kind is an error that names it.
    """
    missing = sorted(set(schema) - set(frame.columns))
    if missing:
        raise Fatal("HW-901", f"a frame for matching lacks the columns {', '.join(missing)}")
    try:
        return frame.select(pl.col(name).cast(dtype) for name, dtype in schema.items())
    except pl.exceptions.PolarsError as error:
        raise Fatal("HW-901", f"a frame for matching has a column of the wrong type: {error}") from error


def _reference(values: pl.Series) -> pl.Series:
    """
    Ids as Salesforce's interface gives them have 18 characters and stay; those people and platforms keep may have 15.
    """
    trimmed = values.str.strip_chars()
    trimmed = trimmed.set(trimmed == "", None)
    if not (trimmed.str.len_chars() == 15).any():
        return trimmed
    return pl.select(pl.coalesce(salesforce_ids(trimmed), trimmed)).to_series().rename(values.name)


def _keyed(frame: pl.DataFrame, target: pl.Expr, column: str, rule: str) -> pl.DataFrame:
    return frame.filter(pl.col(column).is_not_null()).select(
        "stream",
        "record_id",
        (target + ":" + pl.col(column)).alias("key"),
        pl.lit("id").alias("strength"),
        pl.lit(rule).alias("rule"),
    )


def _links(platforms: pl.DataFrame, column: str, rules: IdentityRules) -> pl.DataFrame:
    prefix = pl.col(column).str.slice(0, 3)
    real = pl.col(column).str.len_chars() == 18
    meant = CONTACT_LINK if column == "contact_ref" else LEAD_LINK
    linked = (
        platforms.filter(pl.col(column).is_not_null())
        .with_columns(
            pl.when(real & (prefix == _CONTACT_PREFIX))
            .then(pl.lit(CONTACT_LINK))
            .when(real & (prefix == _LEAD_PREFIX))
            .then(pl.lit(LEAD_LINK))
            .otherwise(pl.lit(meant))
            .alias("rule")
        )
        .with_columns(
            pl.when(pl.col("rule") == CONTACT_LINK)
            .then(pl.lit(rules.contact_stream))
            .otherwise(pl.lit(rules.lead_stream))
            .alias("target")
        )
    )
    return linked.select(
        "stream",
        "record_id",
        (pl.col("target") + ":" + pl.col(column)).alias("key"),
        pl.lit("id").alias("strength"),
        "rule",
    )


def _emails(people: pl.DataFrame, rules: IdentityRules) -> pl.DataFrame:
    mailbox = pl.col("email").str.extract(r"^([^@+]*)", 1)
    return people.filter(pl.col("email").is_not_null() & ~mailbox.is_in(sorted(rules.role_mailboxes))).select(
        "stream",
        "record_id",
        ("email:" + pl.col("email")).alias("key"),
        pl.lit("email").alias("strength"),
        pl.lit(EMAIL).alias("rule"),
    )
