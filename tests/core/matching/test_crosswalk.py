"""
Golden ids stay where their records are.
"""

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.core.matching.crosswalk import stable_ids


def members(**clusters: int) -> pl.DataFrame:
    return pl.DataFrame(
        [{"stream": "s", "record_id": name, "cluster": cluster} for name, cluster in clusters.items()],
        schema={"stream": pl.String, "record_id": pl.String, "cluster": pl.Int64},
    )


def crosswalk(**ids: int) -> pl.DataFrame:
    return pl.DataFrame(
        [{"stream": "s", "record_id": name, "golden_id": golden} for name, golden in ids.items()],
        schema={"stream": pl.String, "record_id": pl.String, "golden_id": pl.Int64},
    )


def outcome(now: pl.DataFrame, before: pl.DataFrame) -> tuple[dict[int, int | None], dict[int, int]]:
    found = stable_ids(now, before)
    return dict(found.clusters.iter_rows()), dict(found.redirects.iter_rows())


def test_a_new_cluster_waits_for_its_number() -> None:
    assert outcome(members(a=0, b=1), crosswalk(a=7)) == ({0: 7, 1: None}, {})


def test_when_two_become_one_the_id_of_most_records_stays_and_the_other_redirects() -> None:
    assert outcome(members(a=0, b=0, c=0), crosswalk(a=3, b=9, c=9)) == ({0: 9}, {3: 9})


def test_of_equals_the_older_id_stays() -> None:
    assert outcome(members(a=0, b=0), crosswalk(a=9, b=3)) == ({0: 3}, {9: 3})


def test_when_one_becomes_two_the_larger_part_keeps_the_id() -> None:
    assert outcome(members(a=0, b=1, c=1), crosswalk(a=3, b=3, c=3)) == ({0: None, 1: 3}, {})


def test_of_equal_parts_the_one_with_the_first_record_keeps_the_id() -> None:
    assert outcome(members(b=0, a=1), crosswalk(a=3, b=3)) == ({0: None, 1: 3}, {})


def test_who_loses_an_id_to_another_takes_the_next_of_its_own() -> None:
    assert outcome(members(a=0, b=0, c=1, d=1, e=1, f=1), crosswalk(a=5, b=8, c=5, d=5, e=5, f=2)) == (
        {0: 8, 1: 5},
        {2: 5},
    )


def test_an_id_whose_records_are_not_given_is_left_alone() -> None:
    assert outcome(members(a=0), crosswalk(a=7, z=4)) == ({0: 7}, {})


@settings(deadline=None)
@given(
    st.dictionaries(st.sampled_from("abcdefghij"), st.integers(0, 5)),
    st.dictionaries(st.sampled_from("abcdefghij"), st.integers(100, 105)),
)
def test_no_id_is_given_twice_and_none_vanishes(now: dict[str, int], before: dict[str, int]) -> None:
    clusters, redirects = outcome(members(**now), crosswalk(**before))
    given_ids = [golden for golden in clusters.values() if golden is not None]
    assert set(clusters) == set(now.values())
    assert len(set(given_ids)) == len(given_ids)
    known = {golden for name, golden in before.items() if name in now}
    assert set(given_ids) | set(redirects) == known
    assert not set(redirects) & set(given_ids)
    assert set(redirects.values()) <= set(given_ids)


@given(st.dictionaries(st.sampled_from("abcdefghij"), st.integers(0, 5), min_size=1))
def test_asking_again_changes_nothing(now: dict[str, int]) -> None:
    settled = {name: cluster + 100 for name, cluster in now.items()}
    clusters, redirects = outcome(members(**now), crosswalk(**settled))
    assert clusters == {cluster: cluster + 100 for cluster in now.values()}
    assert redirects == {}
