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
_WORDS: Final = {
    CONTACT_LINK: ACCOUNT_LINK,
    EMAIL: WEBSITE,
    SEVERAL_CONTACTS: "website domain of several accounts",
    LINKS_DISAGREE: "account links disagree",
}


def company_clusters(companies: pl.DataFrame, account_stream: str = "salesforce.account") -> Clustering:
    """
    Who is one company. ``companies``: stream, record_id, is_deleted, merged_into, website, created_at and, where a
    platform has one, account_ref (its link to a Salesforce account).

    Salesforce accounts are never joined by their website: two accounts of one company stay two, as in Salesforce.
    """
    rules = IdentityRules(contact_stream=account_stream, lead_stream="", shared_email_records=2**31)
    if "account_ref" not in companies.columns:
        companies = companies.with_columns(account_ref=pl.lit(None, pl.String))
    nothing = {
        name: pl.lit(None, dtype)
        for name, dtype in PERSON_INPUT.items()
        if name not in companies.columns or name in ("email", "lead_ref", "contact_ref")
    }
    people = companies.with_columns(**nothing).with_columns(
        contact_ref=pl.when(pl.col("stream") != account_stream).then("account_ref")
    )
    domains = companies.select(
        "stream", "record_id", ("email:" + registrable_domains(companies["website"]).alias("key")).alias("key")
    ).drop_nulls("key")
    keys = identity_keys(people, rules)
    keys = pl.concat([keys, domains.with_columns(strength=pl.lit("email"), rule=pl.lit(EMAIL)).select(keys.columns)])
    found = cluster(people, keys, rules)
    members = found.members.with_columns(
        pl.col("rule").replace(_WORDS), pl.col("via").str.replace(r"^email:", "domain:")
    )
    return Clustering(members, found.reviews.with_columns(pl.col("reason").replace(_WORDS)))
