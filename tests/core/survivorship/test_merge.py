"""
One golden record of several source records, and where each value is from.
"""

import json
from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.core import records
from worker.core.errors import Fatal
from worker.core.survivorship.merge import MEMBER_ENVELOPE, Merged, merge, read_provenance
from worker.core.survivorship.rules import ACCOUNT_RULES, OPPORTUNITY_RULES, PERSON_RULES, FieldRule, MergeRules

CONTACT, LEAD, MARKETO, HUBSPOT = "salesforce.contact", "salesforce.lead", "marketo.person", "hubspot.person"
SALESFORCE_FIRST = (CONTACT, LEAD)


def day(number: int) -> datetime:
    return datetime(2026, 3, number, tzinfo=UTC)


def member(stream: str, golden_id: int = 1, *, changed: int = 10, created: int = 1, **values: Any) -> dict[str, Any]:
    envelope = {
        "stream": stream,
        "record_id": f"{stream[0]}{changed}",
        "stamp_at": day(changed),
        "created_at": day(created),
    }
    return {"golden_id": golden_id, "is_deleted": False, **envelope, **values}


def merged(
    *members: dict[str, Any], dtype: Any = pl.String, order: tuple[str, ...] = SALESFORCE_FIRST, **rule: Any
) -> Merged:
    """
    The members with one field, ``title``, of the given type and rule.
    """
    schema = {"golden_id": pl.Int64, **MEMBER_ENVELOPE, "title": dtype}
    frame = pl.DataFrame([{name: row.get(name) for name in schema} for row in members], schema=schema)
    return merge(frame, MergeRules({"title": FieldRule(**rule)}, stream_order=order))


def kept(*members: dict[str, Any], dtype: Any = pl.String, **rule: Any) -> Any:
    return merged(*members, dtype=dtype, **rule).golden["title"].to_list()[0]


def told(found: Merged) -> dict[str, Any]:
    golden = found.golden.row(0, named=True)
    return read_provenance(golden["provenance"], {"title": golden["title"]})


def test_salesforce_beats_a_newer_platform() -> None:
    assert kept(member(CONTACT, title="CFO"), member(MARKETO, changed=20, title="VP"), keep="salesforce") == "CFO"


def test_the_platform_beats_a_newer_salesforce_where_the_rule_says_so() -> None:
    assert kept(member(CONTACT, changed=20, title="CFO"), member(MARKETO, title="VP"), keep="platform") == "VP"


def test_a_named_system_beats_the_others() -> None:
    members = (member(CONTACT, title="CFO"), member(MARKETO, title="VP"), member(HUBSPOT, title="CIO"))
    assert kept(*members, keep="hubspot") == "CIO"


def test_a_contact_speaks_before_a_newer_lead() -> None:
    assert kept(member(LEAD, changed=20, title="Old"), member(CONTACT, title="CFO")) == "CFO"


def test_of_two_records_of_one_stream_the_newer_speaks() -> None:
    assert kept(member(LEAD, changed=5, title="Clerk"), member(LEAD, changed=6, title="CFO")) == "CFO"


@pytest.mark.parametrize("blank", [None, "", "  "])
def test_a_blank_never_beats_a_value(blank: str | None) -> None:
    assert kept(member(CONTACT, title=blank), member(MARKETO, title="VP")) == "VP"


def test_a_blank_wins_where_the_rule_says_so_and_the_loser_is_told() -> None:
    found = merged(member(CONTACT, title=" "), member(MARKETO, title="VP"), blank_wins=True)
    assert found.golden["title"].to_list() == [None]
    assert told(found)["title"]["stream"] == CONTACT
    assert told(found)["title"]["lost"] == [{"stream": MARKETO, "record_id": "m10", "value": "VP"}]


def test_the_newest_change_wins_among_all_systems() -> None:
    assert kept(member(CONTACT, changed=5, title="CFO"), member(MARKETO, changed=6, title="VP"), keep="newest") == "VP"


def test_the_first_filled_is_the_earliest_records_even_if_it_was_deleted() -> None:
    members = (
        member(CONTACT, created=3, title="Web"),
        member(LEAD, created=2, title="Webinar", is_deleted=True),
        member(MARKETO, created=1, title=""),
    )
    assert kept(*members, keep="first_filled") == "Webinar"


def test_a_live_record_speaks_before_a_deleted_one() -> None:
    assert kept(member(CONTACT, title="Gone", is_deleted=True), member(MARKETO, title="VP")) == "VP"
    assert kept(member(CONTACT, title="Gone", is_deleted=True), member(MARKETO)) == "Gone"


@pytest.mark.parametrize(
    ("values", "answer"),
    [((False, True), True), ((None, True), True), ((False, None), False), ((None, None), None)],
)
def test_one_yes_is_enough(values: tuple[bool | None, bool | None], answer: bool | None) -> None:
    members = (member(CONTACT, title=values[0]), member(MARKETO, title=values[1]))
    assert kept(*members, dtype=pl.Boolean, keep="any_true", compare="exact") is answer


def test_the_yes_of_a_deleted_record_does_not_count() -> None:
    members = (member(CONTACT, title=False), member(MARKETO, title=True, is_deleted=True))
    assert kept(*members, dtype=pl.Boolean, keep="any_true", compare="exact") is False


@pytest.mark.parametrize(("keep", "answer"), [("largest", 250.0), ("smallest", 40.0)])
def test_the_largest_and_the_smallest_go_by_value(keep: str, answer: float) -> None:
    members = (member(CONTACT, title=40.0), member(MARKETO, title=250.0), member(HUBSPOT))
    assert kept(*members, dtype=pl.Float64, keep=keep) == answer


def test_every_value_says_where_it_is_from_and_what_lost() -> None:
    found = merged(member(CONTACT, title="CFO"), member(LEAD, title="cfo "), member(MARKETO, changed=20, title="VP"))
    assert told(found) == {
        "title": {
            "value": "CFO",
            "stream": CONTACT,
            "record_id": "s10",
            "at": "2026-03-10T00:00:00Z",
            "rule": "salesforce",
            "lost": [{"stream": MARKETO, "record_id": "m20", "value": "VP"}],
        }
    }


def test_a_record_alone_is_the_source_of_all_its_values() -> None:
    found = merged(member(MARKETO, title='Head of "R&D"\n'))
    golden = found.golden.row(0, named=True)
    assert json.loads(golden["provenance"]) == {
        "*": {
            "stream": MARKETO,
            "record_id": "m10",
            "at": "2026-03-10T00:00:00Z",
            "rule": "only source",
            "lost": [],
        }
    }
    assert told(found)["title"]["value"] == golden["title"]
    assert golden["disagreements"] == 0


def test_an_empty_field_has_no_provenance() -> None:
    assert told(merged(member(CONTACT), member(MARKETO))) == {}
    assert told(merged(member(CONTACT, title=" "))) == {}


def test_systems_that_differ_are_counted_and_listed() -> None:
    found = merged(member(CONTACT, title="CFO"), member(MARKETO, title="VP"), member(HUBSPOT, title="cfo"))
    assert found.golden["disagreements"].to_list() == [1]
    assert found.disagreements.to_dicts() == [
        {
            "golden_id": 1,
            "field": "title",
            "kept_stream": CONTACT,
            "kept_value": "CFO",
            "other_stream": MARKETO,
            "other_value": "VP",
        }
    ]


def test_records_of_one_system_that_differ_are_no_disagreement() -> None:
    found = merged(member(CONTACT, title="CFO"), member(LEAD, title="Clerk"), member(MARKETO, title="CFO"))
    assert found.disagreements.is_empty()


def test_a_system_is_heard_by_its_best_live_record() -> None:
    found = merged(
        member(CONTACT, title="CFO"),
        member(MARKETO, changed=20, title="CFO"),
        member(MARKETO, changed=5, title="Clerk"),
        member(HUBSPOT, title="VP", is_deleted=True),
    )
    assert found.disagreements.is_empty()


@pytest.mark.parametrize(
    ("compare", "one", "other", "same"),
    [
        ("text", "Acme  Inc", "ACME inc ", True),
        ("text", "250.0", "250", True),
        ("text", "Acme", "Acme Inc", False),
        ("exact", "Acme", "acme", False),
        ("digits", "+49 89 1234567", "089/1234567", True),
        ("digits", "+49 89 1234567", "+49 89 1234568", False),
        ("digits", "call me", "never", False),
        ("address", "https://www.acme.com/", "acme.com", True),
        ("address", "Ann@Acme.com", "ann@acme.com", True),
        ("address", "acme.com", "acme.de", False),
        ("never", "005A", "17", True),
    ],
)
def test_what_counts_as_the_same(compare: str, one: str, other: str, same: bool) -> None:
    found = merged(member(CONTACT, title=one), member(MARKETO, title=other), compare=compare)
    assert found.disagreements.is_empty() is same


@pytest.mark.parametrize(
    ("dtype", "one", "other", "text"),
    [
        (pl.Date, date(2026, 1, 1), date(2026, 2, 1), "2026-01-01"),
        (pl.Decimal(18, 2), 12, 13, "12.00"),
        (pl.Boolean, True, False, "true"),
        (pl.Int64, 5, 6, "5"),
    ],
)
def test_values_keep_their_type_and_are_told_as_text(dtype: Any, one: Any, other: Any, text: str) -> None:
    found = merged(member(CONTACT, title=one), member(MARKETO, title=other), dtype=dtype)
    assert found.golden.schema["title"] == dtype
    assert told(found)["title"]["value"] == text
    assert found.golden["disagreements"].to_list() == [1]


def test_golden_records_do_not_mix() -> None:
    found = merged(
        member(CONTACT, 1, title="CFO"),
        member(MARKETO, 2, title="VP"),
        member(LEAD, 3),
        member(MARKETO, 3, title="CIO"),
    )
    assert dict(found.golden.select("golden_id", "title").iter_rows()) == {1: "CFO", 2: "VP", 3: "CIO"}
    assert found.golden["members"].to_list() == [1, 1, 2]


def test_a_field_may_have_the_name_of_an_envelope_column() -> None:
    schema = {"golden_id": pl.Int64, **MEMBER_ENVELOPE}
    frame = pl.DataFrame([member(CONTACT, created=3), member(LEAD, created=2)], schema=schema)
    found = merge(frame, MergeRules({"created_at": FieldRule(keep="smallest")}))
    assert found.golden["created_at"].to_list() == [day(2)]


SHAPES = {"person": PERSON_RULES, "account": ACCOUNT_RULES, "opportunity": OPPORTUNITY_RULES}
TYPES: dict[str, Any] = {
    "text": pl.String,
    "numeric": pl.Decimal(18, 2),
    "boolean": pl.Boolean,
    "timestamptz": pl.Datetime("us", "UTC"),
    "date": pl.Date,
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_default_rules_name_fields_that_exist_and_merge(shape: str) -> None:
    schema = {
        "golden_id": pl.Int64,
        **MEMBER_ENVELOPE,
        **{name: TYPES[kind] for name, kind in records.SHAPES[shape].items()},
    }
    frame = pl.DataFrame(
        [{name: row.get(name) for name in schema} for row in (member(CONTACT), member(MARKETO), member(LEAD, 2))],
        schema=schema,
    )
    found = merge(frame, SHAPES[shape])
    assert found.golden.height == 2
    assert set(SHAPES[shape].fields) <= set(found.golden.columns)


def test_no_records_make_no_golden_records() -> None:
    found = merged()
    assert found.golden.is_empty()
    assert {"golden_id", "title", "provenance", "disagreements", "members"} == set(found.golden.columns)


def test_a_missing_column_is_named() -> None:
    with pytest.raises(Fatal, match="the columns phone, title"):
        merge(
            pl.DataFrame(schema={"golden_id": pl.Int64, **MEMBER_ENVELOPE}),
            MergeRules({"title": FieldRule(), "phone": FieldRule()}),
        )


def test_a_record_given_twice_is_refused() -> None:
    with pytest.raises(Fatal, match="more than once"):
        merged(member(CONTACT, title="CFO"), member(CONTACT, title="CFO"))


def test_a_cluster_without_a_number_is_refused() -> None:
    with pytest.raises(Fatal, match="1 records to merge have no golden_id"):
        merged(member(CONTACT, None))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"keep": "Newest!"}, "keep is 'Newest!'"),
        ({"compare": "loosely"}, "compare is 'loosely'"),
        ({"keep": "any_true", "blank_wins": True}, "a blank cannot win"),
    ],
)
def test_a_rule_that_means_nothing_is_refused(rule: dict[str, Any], words: str) -> None:
    with pytest.raises(Fatal, match=words):
        FieldRule(**rule)


def test_any_true_needs_a_field_of_yes_and_no() -> None:
    with pytest.raises(Fatal, match="title, which holds no true or false"):
        merged(member(CONTACT, title="yes"), keep="any_true")


VALUES = st.sampled_from([None, "", "CFO", "cfo", "VP", "Clerk"])


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([CONTACT, LEAD, MARKETO, HUBSPOT]),
            st.integers(1, 3),
            VALUES,
            st.booleans(),
            st.integers(1, 4),
        ),
        min_size=1,
        max_size=12,
    ),
    st.sampled_from(["salesforce", "platform", "newest", "first_filled", "marketo", "largest", "smallest"]),
    st.randoms(use_true_random=False),
)
def test_whatever_the_records_and_their_order(rows: list[tuple[Any, ...]], keep: str, chance: Any) -> None:
    members = [
        member(stream, golden, changed=changed, title=value, is_deleted=gone, record_id=str(number))
        for number, (stream, golden, value, gone, changed) in enumerate(rows)
    ]
    once = merged(*members, keep=keep)
    shuffled = list(members)
    chance.shuffle(shuffled)
    again = merged(*shuffled, keep=keep)
    assert once.golden.equals(again.golden)
    assert once.disagreements.equals(again.disagreements)
    for golden in once.golden.iter_rows(named=True):
        own = [row for row in members if row["golden_id"] == golden["golden_id"]]
        filled = [row for row in own if row["title"]]
        # A value is kept exactly where somebody has one, and it is the value of the record it is said to be from.
        assert (golden["title"] is None) == (not filled)
        if filled:
            held = read_provenance(golden["provenance"], {"title": golden["title"]})["title"]
            source = next(row for row in own if row["record_id"] == held["record_id"])
            assert source["title"] == golden["title"] == held["value"]
            if any(not row["is_deleted"] for row in filled) and keep != "first_filled":
                assert not source["is_deleted"]
