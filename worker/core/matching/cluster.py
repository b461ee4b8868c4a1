"""
Joins source records that are one person, by certain keys only, and says of each by which.

In this order: merges and conversions; a lead to the single contact with its e-mail; the platform's links to live
records; a platform's person (or a deleted lead) to the single contact with its e-mail, else to the single open lead;
links to records that are gone; people known to platforms only, by e-mail. What is ambiguous is joined by nothing and
listed for review. Contacts are never joined by e-mail, and a deleted record attracts nobody. Called by the resolve
flow.
"""

from dataclasses import dataclass
from typing import Final

import polars as pl

from worker.core.errors import Fatal
from worker.core.frames import Schema
from worker.core.matching.forest import Forest
from worker.core.matching.keys import (
    CONTACT_LINK,
    CONVERTED,
    EMAIL,
    KEY,
    LEAD_LINK,
    MERGED,
    OWN,
    PERSON_INPUT,
    IdentityRules,
    checked,
)

MEMBER: Final[Schema] = {
    "stream": pl.String,
    "record_id": pl.String,
    "cluster": pl.Int64,  # equal = one person; has no meaning beyond the call
    "rule": pl.String,  # by which the record joined; "own id" for the one the others joined
    "via": pl.String,  # the key by which it joined
}

# What needs a person's eye: a record that two answers claim, and so has none.
REVIEW: Final[Schema] = {
    "stream": pl.String,
    "record_id": pl.String,
    "reason": pl.String,
    "candidates": pl.List(pl.String),  # "<stream>:<record id>", sorted
}

LINKS_DISAGREE: Final = "lead and contact links disagree"
SEVERAL_CONTACTS: Final = "e-mail of several contacts"
SEVERAL_LEADS: Final = "e-mail of several leads"


@dataclass(frozen=True)
class Clustering:
    """
    ``members`` (MEMBER, every record once) and ``reviews`` (REVIEW), both in the order of stream and record id.
    """

    members: pl.DataFrame
    reviews: pl.DataFrame


def cluster(people: pl.DataFrame, keys: pl.DataFrame, rules: IdentityRules | None = None) -> Clustering:
    """
    Who is one person. ``people`` is PERSON_INPUT with distinct (stream, record id), ``keys`` is KEY of the same people.

    The answer does not depend on the order of rows. All records that may share a key must be given: whether an address
    is unique is asked of these only.
    """
    if people.select("stream", "record_id").is_duplicated().any():
        raise Fatal("HW-901", "matching was given a record more than once")
    keys = checked(keys, KEY)
    if keys["rule"].is_in([OWN, EMAIL]).all() and keys["key"].is_unique().all():
        return _each_alone(checked(people, PERSON_INPUT))
    joins = _Joins(people, keys, rules or IdentityRules())
    joins.join_merges_and_conversions()
    joins.join_leads_to_contacts()
    joins.join_live_links()
    joins.join_followers()
    joins.join_gone_links()
    joins.join_platform_only()
    return joins.result()


def _each_alone(people: pl.DataFrame) -> Clustering:
    """
    What comes out where no record links to another and no address is shared: the usual case when few records change.
    """
    members = (
        people.sort("stream", "record_id")
        .with_row_index("cluster")
        .select(
            "stream",
            "record_id",
            pl.col("cluster").cast(pl.Int64),
            pl.lit(OWN).alias("rule"),
            (pl.col("stream") + ":" + pl.col("record_id")).alias("via"),
        )
    )
    return Clustering(members, pl.DataFrame(schema=REVIEW))


class _Joins:
    """
    The records as numbered nodes, the groups so far, and how each came in.

    Nodes 0 ... n-1 are the records in order of stream and id; from n on come ids that links name and no record has.
    """

    def __init__(self, people: pl.DataFrame, keys: pl.DataFrame, rules: IdentityRules) -> None:
        people = checked(people, PERSON_INPUT).with_columns(pl.col("is_deleted").fill_null(value=False))
        emails = _unshared_emails(people, keys, rules)
        self.records = (
            people.drop("email")
            .sort("stream", "record_id")
            .with_row_index("node")
            .join(emails, on=["stream", "record_id"], how="left", maintain_order="left")
            .select(
                pl.col("node").cast(pl.Int64),
                "stream",
                "record_id",
                (pl.col("stream") + ":" + pl.col("record_id")).alias("own"),
                (~pl.col("is_deleted")).alias("live"),
                "email",
                (pl.col("stream") == rules.contact_stream).alias("contact"),
                (pl.col("stream") == rules.lead_stream).alias("lead"),
                (pl.col("converted_at").is_not_null() | pl.col("converted_contact_ref").is_not_null()).alias(
                    "converted"
                ),
            )
        )
        self.links = self._numbered(keys.filter((pl.col("strength") == "id") & (pl.col("rule") != OWN)))
        size = max(self.records.height, int(self.links["to"].max() or 0) + 1)  # type: ignore[arg-type]
        self.forest = Forest(size)
        self.how: list[pl.DataFrame] = []
        self.reviews: list[pl.DataFrame] = []
        self.settled: set[int] = set()

    def _numbered(self, links: pl.DataFrame) -> pl.DataFrame:
        known = self.records.select("own", pl.col("node").alias("to"))
        unknown = links.select(pl.col("key").alias("own")).unique().join(known, on="own", how="anti").sort("own")
        unknown = unknown.with_row_index("to", offset=self.records.height).select("own", pl.col("to").cast(pl.Int64))
        return (
            links.join(self.records.select("stream", "record_id", "node"), on=["stream", "record_id"])
            .join(pl.concat([known, unknown]), left_on="key", right_on="own")
            .select("node", "to", "key", "rule")
            .sort("node", "to", "rule")
        )

    def groups(self) -> pl.DataFrame:
        """
        The records with their present group, and what there is in that group.
        """
        roots = pl.Series("group", self.forest.roots()[: self.records.height], dtype=pl.Int64)
        frame = self.records.with_columns(roots)
        return frame.with_columns(
            (pl.col("contact").any().over("group")).alias("has_contact"),
            ((pl.col("contact") | pl.col("lead")).any().over("group")).alias("has_crm"),
            ((pl.col("lead") & pl.col("live")).any().over("group")).alias("has_live_lead"),
            (((pl.col("contact") | pl.col("lead")) & pl.col("live")).any().over("group")).alias("has_live_crm"),
            (pl.col("live").any().over("group")).alias("has_live"),
        )

    def join_merges_and_conversions(self) -> None:
        # A merge settles where a record went, whatever it was converted to before: one way out of each record, so two
        # live contacts never meet.
        edges = self.links.filter(pl.col("rule").is_in([MERGED, CONVERTED])).sort(
            "rule", "node", descending=[True, False]
        )
        edges = edges.unique("node", keep="first", maintain_order=True)
        self._join(edges.select("node", "to", "rule", pl.col("key").alias("via")))

    def join_leads_to_contacts(self) -> None:
        groups = self.groups()
        leads = groups.filter(
            pl.col("lead")
            & pl.col("live")
            & ~pl.col("converted")
            & ~pl.col("has_contact")
            & pl.col("email").is_not_null()
        )
        self._join_by_email(leads, _contacts_by_email(groups), SEVERAL_CONTACTS)

    def join_live_links(self) -> None:
        groups = self.groups()
        live = groups.filter("has_live_crm").select("group").unique()
        links = self._platform_links(groups).join(live, left_on="target", right_on="group", how="semi")
        found = links.group_by("group").agg(pl.col("target").n_unique().alias("answers"), pl.col("key").unique().sort())
        good = links.join(found.filter(pl.col("answers") == 1).select("group"), on="group", how="semi")
        self._join(good.select("node", pl.col("target").alias("to"), "rule", pl.col("key").alias("via")))
        bad = found.filter(pl.col("answers") > 1)
        self._review(groups, bad.select("group", pl.col("key").alias("candidates")), LINKS_DISAGREE)
        self.settled.update(found["group"].to_list())

    def join_followers(self) -> None:
        groups = self.groups()
        free = ~pl.col("has_contact") & ~pl.col("has_live_crm") & pl.col("email").is_not_null() & ~pl.col("contact")
        # The live records of a group speak for it; a group of deleted ones has only those.
        speaks = pl.col("live") | ~pl.col("has_live")
        followers = groups.filter(free & speaks & ~pl.col("group").is_in(list(self.settled)))
        answered = self._join_by_email(followers, _contacts_by_email(groups), SEVERAL_CONTACTS)
        followers = followers.filter(~pl.col("group").is_in(answered.to_list()))
        self._join_by_email(followers, _open_leads_by_email(groups), SEVERAL_LEADS)

    def join_gone_links(self) -> None:
        groups = self.groups()
        links = self._platform_links(groups).filter(~pl.col("group").is_in(list(self.settled)))
        first = links.sort("group", "rule", "target").group_by("group", maintain_order=True).first()
        self._join(first.select("node", pl.col("target").alias("to"), "rule", pl.col("key").alias("via")))

    def join_platform_only(self) -> None:
        groups = self.groups()
        alone = groups.filter(
            ~pl.col("has_crm") & pl.col("email").is_not_null() & ~pl.col("group").is_in(list(self.settled))
        )
        # A platform's own rule is one person an address. Only where a live record has it does it speak for somebody.
        # Two links to different records that are gone contradict each other, so that address joins nothing.
        linked = (
            self.links.filter(pl.col("rule").is_in([CONTACT_LINK, LEAD_LINK])).join(groups, on="node")["group"].unique()
        )
        claims = pl.col("group").filter(pl.col("group").is_in(linked.to_list())).n_unique().over("email")
        several = pl.col("group").n_unique().over("email") > 1
        shared = alone.filter(pl.col("live").any().over("email") & several & (claims <= 1))
        first = (
            shared.sort(~pl.col("live"), "node")
            .group_by("email", maintain_order=True)
            .agg(pl.col("node").first().alias("to"))
        )
        pairs = shared.join(first, on="email").filter(pl.col("node") != pl.col("to"))
        self._join(pairs.select("node", "to", pl.lit(EMAIL).alias("rule"), ("email:" + pl.col("email")).alias("via")))

    def result(self) -> Clustering:
        how = pl.concat(self.how).unique("node", keep="first", maintain_order=True)
        members = (
            self.groups()
            .join(how, on="node", how="left", maintain_order="left")
            .select(
                "stream",
                "record_id",
                pl.col("group").alias("cluster"),
                pl.col("rule").fill_null(OWN),
                pl.coalesce("via", "own").alias("via"),
            )
        )
        reviews = pl.concat([pl.DataFrame(schema=REVIEW), *self.reviews]).sort("stream", "record_id", "reason")
        return Clustering(members, reviews)

    def _platform_links(self, groups: pl.DataFrame) -> pl.DataFrame:
        """
        node, group, target group, key and rule of the links of platform groups; a deleted record's count where none
        is live.
        """
        roots = pl.DataFrame({"to": range(len(self.forest.roots())), "target": self.forest.roots()})
        return (
            self.links.filter(pl.col("rule").is_in([CONTACT_LINK, LEAD_LINK]))
            .join(groups.filter(~pl.col("has_crm") & (pl.col("live") | ~pl.col("has_live"))), on="node")
            .join(roots, on="to")
            .select("node", "group", "target", "key", "rule")
            .sort("node", "rule", "target")
        )

    def _join_by_email(self, followers: pl.DataFrame, targets: pl.DataFrame, ambiguous: str) -> pl.Series:
        """
        Join each follower's group to the one group that answers to its address; the groups that had any answer.
        """
        pairs = (
            followers.select("node", "group", "email")
            .join(targets, on="email")
            .filter(pl.col("group") != pl.col("target"))
        )
        found = pairs.group_by("group").agg(
            pl.col("target").n_unique().alias("answers"), pl.col("candidate").unique().sort()
        )
        single = pairs.join(found.filter(pl.col("answers") == 1), on="group", how="semi").sort("node")
        single = single.select(
            "node", pl.col("target").alias("to"), pl.lit(EMAIL).alias("rule"), ("email:" + pl.col("email")).alias("via")
        )
        many = found.filter(pl.col("answers") > 1).select("group", pl.col("candidate").alias("candidates"))
        self._review(followers, many, ambiguous)
        self._join(single.unique(["node", "to"], keep="first", maintain_order=True))
        self.settled.update(found["group"].to_list())
        return found["group"]

    def _join(self, edges: pl.DataFrame) -> None:
        edges = edges.filter(pl.col("node") != pl.col("to"))
        self.forest.join(zip(edges["node"].to_list(), edges["to"].to_list(), strict=True))
        self.how.append(edges.select("node", "rule", "via").unique("node", keep="first", maintain_order=True))

    def _review(self, groups: pl.DataFrame, found: pl.DataFrame, reason: str) -> None:
        listed = groups.filter(pl.col("live")).unique("node").join(found, on="group")
        self.reviews.append(listed.select("stream", "record_id", pl.lit(reason).alias("reason"), "candidates"))


def _unshared_emails(people: pl.DataFrame, keys: pl.DataFrame, rules: IdentityRules) -> pl.DataFrame:
    emails = keys.filter(pl.col("strength") == "email").select(
        "stream", "record_id", pl.col("key").str.strip_prefix("email:").alias("email")
    )
    live = people.filter(~pl.col("is_deleted")).select("stream", "record_id")
    counts = emails.join(live, on=["stream", "record_id"], how="semi").group_by("stream", "email").len()
    shared = counts.filter(pl.col("len") > rules.shared_email_records)
    return emails.join(shared, on="email", how="anti").unique(
        ["stream", "record_id"], keep="first", maintain_order=True
    )


def _contacts_by_email(groups: pl.DataFrame) -> pl.DataFrame:
    """
    The addresses of live contacts; of a live converted lead too while its contact has not been read yet.
    """
    early = pl.col("lead") & pl.col("converted") & ~pl.col("has_contact")
    return _targets(groups.filter(pl.col("live") & (pl.col("contact") | early)))


def _open_leads_by_email(groups: pl.DataFrame) -> pl.DataFrame:
    return _targets(groups.filter(pl.col("live") & pl.col("lead") & ~pl.col("converted") & ~pl.col("has_contact")))


def _targets(groups: pl.DataFrame) -> pl.DataFrame:
    found = groups.filter(pl.col("email").is_not_null())
    return found.select("email", pl.col("group").alias("target"), pl.col("own").alias("candidate"))
