"""
Keeps the numbers of golden records: a cluster goes on under the id its records already have, and ids that lose
redirect.

It numbers nothing new (the store does) and decides no cluster. Called by the resolve flow after ``cluster``.
"""

from dataclasses import dataclass
from typing import Final

import polars as pl

from worker.core.frames import Schema
from worker.core.matching.keys import checked

_MEMBERS: Final[Schema] = {"stream": pl.String, "record_id": pl.String, "cluster": pl.Int64}
_CROSSWALK: Final[Schema] = {"stream": pl.String, "record_id": pl.String, "golden_id": pl.Int64}


@dataclass(frozen=True)
class Assignment:
    """
    ``clusters``: cluster, golden_id (null = new), in the order of cluster. ``redirects``: old_id, new_id, in that
    order; an old id never redirects to one that redirects itself.
    """

    clusters: pl.DataFrame
    redirects: pl.DataFrame


def stable_ids(members: pl.DataFrame, crosswalk: pl.DataFrame) -> Assignment:
    """
    Which golden id each cluster goes on under.

    Of the ids that its members have, a cluster takes the one that most of them have, then the oldest (lowest). Where
    a cluster has split, the id stays with the part that holds more of its records, then with the one of the first
    record by stream and id. An id that no cluster took redirects to where most of its records went. An id none of
    whose records is given is left alone, so a batch may be part of the whole.
    """
    members = checked(members, _MEMBERS)
    first = members.group_by("cluster").agg((pl.col("stream") + ":" + pl.col("record_id")).min().alias("first"))
    claims = (
        members.join(checked(crosswalk, _CROSSWALK), on=["stream", "record_id"])
        .group_by("cluster", "golden_id")
        .agg(pl.len().alias("members"))
        .join(first, on="cluster")
        .sort("members", "golden_id", "first", descending=[True, False, False])
    )
    taken = _take(claims)
    clusters = members.select(pl.col("cluster").unique()).join(taken, on="cluster", how="left").sort("cluster")
    left_over = claims.filter(~pl.col("golden_id").is_in(taken["golden_id"].to_list()))
    left_over = left_over.unique("golden_id", keep="first", maintain_order=True)
    redirects = (
        left_over.select(pl.col("golden_id").alias("old_id"), "cluster")
        .join(taken.rename({"golden_id": "new_id"}), on="cluster")
        .select("old_id", "new_id")
        .sort("old_id")
    )
    return Assignment(clusters, redirects)


def _take(claims: pl.DataFrame) -> pl.DataFrame:
    """
    cluster, golden_id: the claims met, best first, each cluster and each id once.

    Most clusters have one id that nobody else claims; only the others need to be gone through one by one.
    """
    contested = (pl.len().over("cluster") > 1) | (pl.len().over("golden_id") > 1)
    plain = claims.filter(~contested).select("cluster", "golden_id")
    met: dict[int, int] = {}
    used: set[int] = set()
    for cluster, golden_id in claims.filter(contested).select("cluster", "golden_id").iter_rows():
        if cluster not in met and golden_id not in used:
            met[cluster] = golden_id
            used.add(golden_id)
    fought = pl.DataFrame({"cluster": list(met.keys()), "golden_id": list(met.values())}, schema=plain.schema)
    return pl.concat([plain, fought])
