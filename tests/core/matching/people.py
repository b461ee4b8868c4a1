"""
Makes source records of people for the tests of matching, with only what a test cares about.
"""

import polars as pl

from worker.core.matching.cluster import Clustering, cluster
from worker.core.matching.keys import PERSON_INPUT, IdentityRules, identity_keys

CONTACT = "salesforce.contact"
LEAD = "salesforce.lead"
MARKETO = "marketo.person"
HUBSPOT = "hubspot.person"


def record(stream: str, record_id: str, **values: object) -> dict[str, object]:
    return {"stream": stream, "record_id": record_id, "is_deleted": False, **values}


def contact(record_id: str, email: str | None = None, **values: object) -> dict[str, object]:
    return record(CONTACT, record_id, email=email, **values)


def lead(record_id: str, email: str | None = None, **values: object) -> dict[str, object]:
    return record(LEAD, record_id, email=email, **values)


def marketo(record_id: str, email: str | None = None, **values: object) -> dict[str, object]:
    return record(MARKETO, record_id, email=email, **values)


def hubspot(record_id: str, email: str | None = None, **values: object) -> dict[str, object]:
    return record(HUBSPOT, record_id, email=email, **values)


def frame(*records: dict[str, object]) -> pl.DataFrame:
    return pl.DataFrame([{name: row.get(name) for name in PERSON_INPUT} for row in records], schema=PERSON_INPUT)


def clustered(*records: dict[str, object], rules: IdentityRules | None = None) -> Clustering:
    people = frame(*records)
    return cluster(people, identity_keys(people, rules), rules)


def groups(found: Clustering) -> set[frozenset[str]]:
    """
    The record ids of each cluster.
    """
    members = found.members.group_by("cluster").agg("record_id")
    return {frozenset(ids) for ids in members["record_id"].to_list()}


def rules_of(found: Clustering) -> dict[str, str]:
    return dict(found.members.select("record_id", "rule").iter_rows())


def reasons_of(found: Clustering) -> dict[str, str]:
    return dict(found.reviews.select("record_id", "reason").iter_rows())
