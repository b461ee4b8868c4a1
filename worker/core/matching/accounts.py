"""
Says which account a person belongs to (lead-to-account match), by which rule, and who came second.

A contact's own account is never overridden; then come a person's decision, the account of a converted lead, the
platform's link, and the domain of the e-mail address. Names alone match nobody: they only tell who came second. Called
by the resolve flow with all live accounts.
"""

from dataclasses import dataclass
from typing import Final

import polars as pl

from worker.core.errors import Fatal
from worker.core.frames import INSTANT, Schema
from worker.core.matching.keys import checked
from worker.core.matching.normalize import FREE_MAIL, email_domains, normalize_emails, registrable_domains

PERSON_TO_MATCH: Final[Schema] = {
    "person_id": pl.Int64,
    "email": pl.String,
    "country": pl.String,
    "company": pl.String,
    "contact_account_id": pl.Int64,  # golden account ids; null = none
    "converted_account_id": pl.Int64,
    "platform_account_id": pl.Int64,
    "pinned_account_id": pl.Int64,  # what a person has set; the column may be absent
    "matched_account_id": pl.Int64,  # today's match; the column may be absent
}
ACCOUNT_TO_MATCH: Final[Schema] = {
    "account_id": pl.Int64,
    "name": pl.String,
    "website": pl.String,
    "type": pl.String,
    "country": pl.String,
    "created_at": INSTANT,
    "is_deleted": pl.Boolean,
    "is_target": pl.Boolean,  # on a target list; the column may be absent
}
MATCH: Final[Schema] = {
    "person_id": pl.Int64,
    "account_id": pl.Int64,  # null = no match
    "rule": pl.String,  # null = no match
    "runner_up": pl.Int64,
    "why": pl.String,  # at most 255 characters; where there is no match, what barred it
}

DOMAIN: Final = "domain"
_MAY_BE_ABSENT: Final = ("pinned_account_id", "matched_account_id", "is_target")
# column, rule, how the sentence begins; the first that is filled wins
_LINKS: Final = (
    ("contact_account_id", "contact's account", "contact's own account "),
    ("pinned_account_id", "set by a person", "set by a person: "),
    ("converted_account_id", "converted lead's account", "account of the converted lead: "),
    ("platform_account_id", "platform's account link", "marketing platform's account link: "),
)
_LEGAL_FORMS: Final = (
    r"\b(?:incorporated|inc|llc|llp|ltd|limited|corp|corporation|co|company|plc|gmbh|mbh|ag|se|kg|kgaa|ohg|ug|ev|sa|sas|"
    r"sarl|srl|spa|bv|nv|oy|oyj|ab|as|asa|aps|a s|s a|pty|pvt|pte|kk|the|and|und|et)\b"
)


@dataclass(frozen=True)
class AccountRules:
    """
    What the domain match may not do, and how ties are broken.

    ``catch_all_domains``: an account whose contacts have more unrelated domains than that is a catch-all. A domain
    that only contacts show is an account's own from ``contacts_per_domain`` contacts on, or where the account has no
    other.
    """

    partner_types: frozenset[str] = frozenset({"partner", "channel partner / reseller", "reseller"})
    customer_types: frozenset[str] = frozenset({"customer", "customer - direct", "customer - channel"})
    free_mail: frozenset[str] = FREE_MAIL
    catch_all_domains: int = 5
    contacts_per_domain: int = 2

    def __post_init__(self) -> None:
        if self.catch_all_domains < 1 or self.contacts_per_domain < 1:
            raise Fatal("HW-150", "catch_all_domains and contacts_per_domain must be 1 or more")


def match_to_account(people: pl.DataFrame, accounts: pl.DataFrame, rules: AccountRules | None = None) -> pl.DataFrame:
    """
    One row (MATCH) a person, in the order of person_id. ``people`` is PERSON_TO_MATCH, ``accounts`` is
    ACCOUNT_TO_MATCH.

    Contacts among ``people`` also teach which domains an account has, so give all people, or at least all contacts. A
    match by domain that stands today is kept as long as its account still has the domain.
    """
    rules = rules or AccountRules()
    people = _with_domains(_filled(people, PERSON_TO_MATCH), rules)
    accounts = _filled(accounts, ACCOUNT_TO_MATCH).with_columns(pl.col("is_deleted").fill_null(value=False))
    linked = _by_link(people, accounts)
    rest = people.join(linked, on="person_id", how="anti")
    domains = account_domains(people, accounts, rules)
    ranked = _ranked(rest, accounts, domains, rules)
    matched = pl.concat([linked, _by_domain(rest, accounts, domains, ranked)])
    return checked(matched, MATCH).sort("person_id")


def account_domains(people: pl.DataFrame, accounts: pl.DataFrame, rules: AccountRules) -> pl.DataFrame:
    """
    account_id, domain, contacts (how many of the account's have it), barred (null, "partner", "beside a partner" or
    "catch-all").

    ``people`` carry their e-mail's registrable domain in ``domain``.
    """
    live = accounts.filter(~pl.col("is_deleted"))
    websites = live.select("account_id", registrable_domains(live["website"]).alias("domain")).drop_nulls()
    shown = (
        people.filter(pl.col("contact_account_id").is_not_null() & pl.col("domain").is_not_null())
        .group_by(pl.col("contact_account_id").alias("account_id"), "domain")
        .agg(pl.len().cast(pl.Int64).alias("contacts"))
        .join(live.select("account_id"), on="account_id", how="semi")
    )
    brands = pl.col("domain").str.extract(r"^([^.]+)", 1).n_unique()
    catch_all = (
        shown.group_by("account_id").agg(brands.alias("brands")).filter(pl.col("brands") > rules.catch_all_domains)
    )
    sure = shown.filter(
        (pl.col("contacts") >= rules.contacts_per_domain)
        | (~pl.col("account_id").is_in(websites["account_id"].to_list()) & (pl.len().over("account_id") == 1))
    )
    owned = pl.concat([websites, sure.select("account_id", "domain")]).unique()
    partners = live.filter(pl.col("type").str.to_lowercase().is_in(sorted(rules.partner_types))).select("account_id")
    partner_domains = owned.join(partners, on="account_id", how="semi").select("domain").unique()
    beside = pl.col("domain").is_in(partner_domains["domain"].to_list())
    return owned.join(shown, on=["account_id", "domain"], how="left").select(
        "account_id",
        "domain",
        pl.col("contacts").fill_null(0),
        pl.when(pl.col("account_id").is_in(partners["account_id"].to_list()))
        .then(pl.lit("partner"))
        .when(beside)
        .then(pl.lit("beside a partner"))
        .when(pl.col("account_id").is_in(catch_all["account_id"].to_list()))
        .then(pl.lit("catch-all"))
        .alias("barred"),
    )


def _filled(frame: pl.DataFrame, schema: Schema) -> pl.DataFrame:
    absent = [name for name in _MAY_BE_ABSENT if name in schema and name not in frame.columns]
    return checked(frame.with_columns(pl.lit(None, schema[name]).alias(name) for name in absent), schema)


def _with_domains(people: pl.DataFrame, rules: AccountRules) -> pl.DataFrame:
    emails = normalize_emails(people["email"])
    return people.with_columns(emails.alias("email"), email_domains(emails, rules.free_mail).alias("domain"))


def _by_link(people: pl.DataFrame, accounts: pl.DataFrame) -> pl.DataFrame:
    """
    MATCH of those whom a link settles. A link to a deleted account settles nothing, but a contact's own account
    always does.
    """
    names = accounts.select("account_id", "name", "is_deleted")
    found: list[pl.DataFrame] = []
    rest = people
    for column, rule, words in _LINKS:
        hit = rest.filter(pl.col(column).is_not_null()).join(
            names, left_on=column, right_on="account_id", how="left", coalesce=False
        )
        if column != "contact_account_id":
            hit = hit.filter(~pl.col("is_deleted"))
        hit = hit.select(
            "person_id",
            pl.col(column).alias("account_id"),
            pl.lit(rule).alias("rule"),
            pl.lit(None, pl.Int64).alias("runner_up"),
            (pl.lit(words) + pl.col("name").fill_null("(not read yet)")).str.slice(0, 255).alias("why"),
        )
        found.append(hit)
        rest = rest.join(hit, on="person_id", how="anti")
    return pl.concat(found)


def _ranked(people: pl.DataFrame, accounts: pl.DataFrame, domains: pl.DataFrame, rules: AccountRules) -> pl.DataFrame:
    """
    The accounts each person may belong to by domain, best first (place 1, 2 ...), with what the ties are broken by.
    """
    customers = pl.col("type").str.to_lowercase().is_in(sorted(rules.customer_types))
    facts = accounts.select(
        "account_id",
        "name",
        pl.col("is_target").fill_null(value=False),
        customers.fill_null(value=False).alias("customer"),
        pl.col("country").str.strip_chars().str.to_lowercase().alias("account_country"),
        "created_at",
    )
    own_country = pl.col("country").str.strip_chars().str.to_lowercase()
    order = ["person_id", "today", "is_target", "same_country", "customer", "contacts", "created_at", "account_id"]
    descending = [False, True, True, True, True, True, False, False]
    return (
        people.join(domains.filter(pl.col("barred").is_null()), on="domain")
        .join(facts, on="account_id")
        .with_columns(
            (pl.col("account_id") == pl.col("matched_account_id")).fill_null(value=False).alias("today"),
            (own_country == pl.col("account_country")).fill_null(value=False).alias("same_country"),
        )
        .sort(order, descending=descending, nulls_last=True)
        .with_columns((pl.int_range(pl.len()).over("person_id") + 1).alias("place"))
    )


def _by_domain(
    people: pl.DataFrame, accounts: pl.DataFrame, domains: pl.DataFrame, ranked: pl.DataFrame
) -> pl.DataFrame:
    shown = ["person_id", "account_id", "name", "today", "is_target", "same_country", "customer", "contacts"]
    first = ranked.filter(pl.col("place") == 1).select(shown)
    second = ranked.filter(pl.col("place") == 2).select(shown)
    frame = (
        people.join(first, on="person_id", how="left")
        .join(second, on="person_id", how="left", suffix="_2")
        .join(_namesakes(people, accounts, first.select("person_id", "account_id")), on="person_id", how="left")
        .join(_barred(domains, accounts), on="domain", how="left")
    )
    runner_up = pl.coalesce("account_id_2", "namesake_id")
    return frame.select(
        "person_id",
        "account_id",
        pl.when(pl.col("account_id").is_not_null()).then(pl.lit(DOMAIN)).alias("rule"),
        runner_up.alias("runner_up"),
        pl.when(pl.col("account_id").is_not_null()).then(_won()).otherwise(_unmatched()).str.slice(0, 255).alias("why"),
    )


def _won() -> pl.Expr:
    lost_by = (
        pl.when(pl.col("today"))
        .then(pl.lit("matched later"))
        .when(pl.col("is_target") & ~pl.col("is_target_2"))
        .then(pl.lit("on no target list"))
        .when(pl.col("same_country") & ~pl.col("same_country_2"))
        .then(pl.lit("other country"))
        .when(pl.col("customer") & ~pl.col("customer_2"))
        .then(pl.lit("no customer"))
        .when(pl.col("contacts") > pl.col("contacts_2"))
        .then(pl.lit("fewer contacts"))
        .otherwise(pl.lit("newer"))
    )
    by_domain = pl.lit("; runner-up ") + pl.col("name_2").str.slice(0, 80) + " (" + lost_by + ")"
    by_name = pl.when(pl.col("namesake_id").is_not_null()).then(pl.lit("; runner-up ") + _namesake())
    return pl.lit("domain ") + pl.col("domain") + pl.coalesce(by_domain, by_name, pl.lit(""))


def _unmatched() -> pl.Expr:
    says_nothing = pl.lit("the e-mail's domain says nothing about the company (") + (
        pl.col("email").str.extract(r"@(.+)$", 1) + ")"
    )
    reason = (
        pl.when(pl.col("email").is_null())
        .then(pl.lit("no e-mail address"))
        .when(pl.col("domain").is_null())
        .then(says_nothing)
        .when(pl.col("bar").is_not_null())
        .then(pl.lit("domain ") + pl.col("domain") + pl.lit(" is a ") + pl.col("bar"))
        .otherwise(pl.lit("no account has the domain ") + pl.col("domain"))
    )
    by_name = pl.when(pl.col("namesake_id").is_not_null()).then(pl.lit("; nearest by name ") + _namesake())
    return reason + by_name.otherwise(pl.lit(""))


def _namesake() -> pl.Expr:
    return (
        pl.col("namesake").str.slice(0, 80)
        + " ("
        + pl.coalesce(pl.lit("domain ") + pl.col("namesake_domain"), pl.lit("no domain"))
        + ")"
    )


def _namesakes(people: pl.DataFrame, accounts: pl.DataFrame, won: pl.DataFrame) -> pl.DataFrame:
    """
    person_id and the oldest live account whose name is the person's company but for legal form and punctuation, other
    than the one that ``won``.
    """
    live = accounts.filter(~pl.col("is_deleted"))
    known = (
        live.select(
            name_key("name").alias("key"),
            pl.col("account_id").alias("namesake_id"),
            pl.col("name").alias("namesake"),
            registrable_domains(live["website"]).alias("namesake_domain"),
            "created_at",
        )
        .filter(pl.col("key") != "")
        .sort("created_at", "namesake_id", nulls_last=True)
        # Two are enough: if the oldest is the one that won, the next is the one to name.
        .filter(pl.int_range(pl.len()).over("key") < 2)
    )
    return (
        people.select("person_id", name_key("company").alias("key"))
        .join(won, on="person_id", how="left")
        .join(known, on="key", maintain_order="left_right")
        .filter(pl.col("namesake_id") != pl.col("account_id").fill_null(-1))
        .unique("person_id", keep="first", maintain_order=True)
        .select("person_id", "namesake_id", "namesake", "namesake_domain")
    )


def _barred(domains: pl.DataFrame, accounts: pl.DataFrame) -> pl.DataFrame:
    """
    domain and, where every account that has it is barred, whose it is: "partner's: Acme" or "catch-all account's:
    Acme".
    """
    words = pl.col("barred").replace({"partner": "partner's: ", "catch-all": "catch-all account's: "})
    return (
        domains.filter(pl.col("barred").is_in(["partner", "catch-all"]))
        .join(accounts.select("account_id", "name"), on="account_id")
        .sort("domain", "barred", "account_id")
        .select("domain", (words + pl.col("name").str.slice(0, 80)).alias("bar"))
        .unique("domain", keep="last", maintain_order=True)
    )


def name_key(column: str) -> pl.Expr:
    """
    A company's name without case, accents' variants, punctuation and legal form: ``Acme, Inc.`` and ``ACME GmbH`` are
    ``acme``.
    """
    plain = (
        pl.col(column)
        .str.normalize("NFKC")
        .str.to_lowercase()
        .str.replace_all(r"[.'’]", "")
        .str.replace_all(r"[^\p{L}\p{N}]+", " ")
    )
    return plain.str.replace_all(_LEGAL_FORMS, " ").str.replace_all(r"\s+", " ").str.strip_chars()
