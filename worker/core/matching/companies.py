"""
Joins the source records of one company: merges, the platform's link to a Salesforce account, a website only one
account has.

The same steps and habits as for people (``cluster``), with the website's domain in the place of the e-mail address.
Which account a person belongs to is not decided here (``accounts`` does that). Called by the resolve flow.
"""

from typing import Final

import polars as pl

from worker.core.matching.cluster import LINKS_DISAGREE, SEVERAL_CONTACTS, Clustering, cluster
from worker.core.matching.keys import CONTACT_LINK, EMAIL, PERSON_INPUT, IdentityRules, identity_keys
from worker.core.matching.normalize import registrable_domains

ACCOUNT_LINK: Final = "platform's account link"
WEBSITE: Final = "same website domain"
ACCOUNT_STREAM: Final = "salesforce.account"
_WORDS: Final = {
    CONTACT_LINK: ACCOUNT_LINK,
    EMAIL: WEBSITE,
    SEVERAL_CONTACTS: "website domain of several accounts",
    LINKS_DISAGREE: "account links disagree",
}


def company_keys(companies: pl.DataFrame, account_stream: str = ACCOUNT_STREAM) -> pl.DataFrame:
    """
    The keys (KEY) of companies' records: their own id, merges, the link to a Salesforce account, and the website as
    ``domain:<registrable domain>`` (strength "email": it says as much about a company as an address about a person).

    ``companies``: stream, record_id, is_deleted, merged_into, website, created_at and, where a platform has one,
    account_ref (its link to a Salesforce account). Two records that share a key may be one company, so a batch must
    hold both.
    """
    ids = identity_keys(_as_people(companies, account_stream), _rules(account_stream))
    domains = companies.select(
        "stream",
        "record_id",
        ("domain:" + registrable_domains(companies["website"].cast(pl.String)).alias("key")).alias("key"),
        pl.lit("email").alias("strength"),
        pl.lit(EMAIL).alias("rule"),
    ).drop_nulls("key")
    return pl.concat([ids, domains]).with_columns(pl.col("rule").replace(_WORDS)).sort("stream", "record_id", "key")


def company_clusters(companies: pl.DataFrame, account_stream: str = ACCOUNT_STREAM) -> Clustering:
    """
    Who is one company, of records as in ``company_keys``; all that share a key must be given.

    Salesforce accounts are never joined by their website: two accounts of one company stay two, as in Salesforce.
    """
    # The steps are those for people; their words are put in and taken out here.
    keys = company_keys(companies, account_stream).with_columns(
        pl.col("key").str.replace("^domain:", "email:"),
        pl.col("rule").replace({word: key for key, word in _WORDS.items()}),
    )
    found = cluster(_as_people(companies, account_stream), keys, _rules(account_stream))
    members = found.members.with_columns(
        pl.col("rule").replace(_WORDS), pl.col("via").str.replace("^email:", "domain:")
    )
    return Clustering(members, found.reviews.with_columns(pl.col("reason").replace(_WORDS)))


def _rules(account_stream: str) -> IdentityRules:
    # A website is not a mailbox: any number of a platform's companies may show the same one.
    return IdentityRules(contact_stream=account_stream, lead_stream="", shared_email_records=2**31)


def _as_people(companies: pl.DataFrame, account_stream: str) -> pl.DataFrame:
    link = pl.col("account_ref") if "account_ref" in companies.columns else pl.lit(None, pl.String)
    given = ("stream", "record_id", "is_deleted", "merged_into", "created_at")
    empty = [name for name in PERSON_INPUT if name not in (*given, "contact_ref")]
    return companies.select(
        *given,
        pl.when(pl.col("stream") != account_stream).then(link).alias("contact_ref"),
        *(pl.lit(None, PERSON_INPUT[name]).alias(name) for name in empty),
    )
