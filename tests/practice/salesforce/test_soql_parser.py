"""
The SOQL parser: what it reads, and how it refuses the rest.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.practice.salesforce.errors import ApiError
from worker.practice.salesforce.soql.parser import parse
from worker.practice.salesforce.soql.tree import (
    Call,
    Column,
    Comparison,
    Constant,
    FieldGroup,
    Junction,
    Membership,
    Not,
    Path,
    Query,
)


def _where(condition: str) -> object:
    return parse(f"SELECT Id FROM Lead WHERE {condition}").where


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("'Acme'", "string", "Acme"),
        (r"'O\'Hara \"x\" \\ \n\t'", "string", 'O\'Hara "x" \\ \n\t'),
        (r"'\u00fcber'", "string", "über"),
        ("12", "number", "12"),
        ("-1.5e3", "number", "-1.5e3"),
        ("USD5000", "currency", "USD5000"),
        ("true", "boolean", "true"),
        ("NULL", "null", "null"),
        ("2026-11-18", "date", "2026-11-18"),
        ("2026-11-18T09:30:00Z", "datetime", "2026-11-18T09:30:00Z"),
        ("2026-11-18T09:30:00.000+00:00", "datetime", "2026-11-18T09:30:00.000+00:00"),
        ("2026-11-18T09:30:00-0800", "datetime", "2026-11-18T09:30:00-0800"),
        ("TODAY", "word", "today"),
    ],
)
def test_every_kind_of_literal_is_read(text: str, kind: str, value: str) -> None:
    condition = _where(f"Name = {text}")
    assert isinstance(condition, Comparison)
    assert (condition.literal.kind, condition.literal.text) == (kind, value)


def test_a_counted_date_literal_keeps_its_count() -> None:
    condition = _where("CreatedDate >= LAST_N_DAYS:540")
    assert isinstance(condition, Comparison)
    assert (condition.literal.text, condition.literal.count) == ("last_n_days", 540)


@pytest.mark.parametrize(
    ("text", "operator"), [("=", "="), ("!=", "!="), ("<>", "!="), ("<", "<"), ("<=", "<="), (">", ">"), (">=", ">=")]
)
def test_every_comparison_is_read(text: str, operator: str) -> None:
    condition = _where(f"Amount {text} 5")
    assert isinstance(condition, Comparison)
    assert condition.operator == operator


def test_not_in_and_like_and_parentheses_keep_their_structure() -> None:
    condition = _where("(Name LIKE 'A%' OR NOT Company IN ('x', null)) AND Email != null")
    assert isinstance(condition, Junction)
    assert condition.operator == "AND"
    inner = condition.conditions[0]
    assert isinstance(inner, Junction)
    assert inner.operator == "OR"
    assert isinstance(inner.conditions[1], Not)
    assert isinstance(inner.conditions[1].condition, Membership)


def test_a_percent_sign_behind_a_backslash_is_itself() -> None:
    condition = _where(r"Name LIKE '100\% A_me%'")
    assert isinstance(condition, Comparison)
    assert condition.literal == Constant("string", "100% A_me%", condition.literal.at, pattern=r"100\% A_me%")


def test_a_semi_join_holds_a_query() -> None:
    condition = _where("Id NOT IN (SELECT LeadId FROM CampaignMember WHERE HasResponded = true)")
    assert isinstance(condition, Membership)
    assert condition.operator == "NOT IN"
    assert condition.query is not None
    assert condition.query.sobject == "CampaignMember"


def test_the_select_list_takes_paths_children_functions_and_aliases() -> None:
    query = parse(
        "select Id, Owner.Name, (select Id from Contacts limit 3), toLabel(Status), COUNT(Id) n from Account a"
    )
    assert query.alias == "a"
    assert [type(item) for item in query.select] == [Column, Column, Query, Column, Column]
    assert query.select[1] == Column(Path(("Owner", "Name"), 11))
    last = query.select[4]
    assert isinstance(last, Column)
    assert isinstance(last.value, Call)
    assert (last.value.function, last.alias) == ("count", "n")


def test_fields_of_a_group_and_all_clauses_in_order() -> None:
    query = parse(
        "SELECT FIELDS(ALL) FROM Lead USING SCOPE everything WHERE Name != null GROUP BY Name HAVING COUNT(Id) > 1 "
        "ORDER BY Name DESC NULLS LAST, Id LIMIT 200 OFFSET 10 FOR VIEW"
    )
    assert isinstance(query.select[0], FieldGroup)
    assert (query.scope, query.limit, query.offset) == ("everything", 200, 10)
    assert [(item.direction, item.nulls) for item in query.order_by] == [("DESC", "LAST"), ("ASC", None)]


@pytest.mark.parametrize(
    ("soql", "complaint"),
    [
        ("", "unexpected token: '<EOF>'"),
        ("SELECT FROM Lead", "unexpected token: 'FROM'"),
        ("SELECT Id Lead", "unexpected token: '<EOF>'"),
        ("SELECT Id, FROM Lead", "unexpected token: 'FROM'"),
        ("SELECT Id FROM Lead WHERE", "unexpected token: '<EOF>'"),
        ("SELECT Id FROM Lead WHERE Name", "unexpected token: '<EOF>'"),
        ("SELECT Id FROM Lead WHERE Name = ", "unexpected token: '<EOF>'"),
        ("SELECT Id FROM Lead WHERE Name = Company", "unexpected token: 'Company'"),
        ("SELECT Id FROM Lead WHERE a = 1 AND b = 2 OR c = 3", "unexpected token: 'OR'"),
        ("SELECT Id FROM Lead WHERE (Name = 'x'", "unexpected token: '<EOF>'"),
        ("SELECT Id FROM Lead WHERE Name = 'x", "mismatched character '<EOF>'"),
        (r"SELECT Id FROM Lead WHERE Name = '\q'", "Illegal character sequence"),
        ("SELECT Id FROM Lead WHERE Name LIKE 5", "unexpected token: '5'"),
        ("SELECT Id FROM Lead LIMIT five", "unexpected token: 'five'"),
        ("SELECT Id FROM Lead LIMIT -1", "unexpected token: '-1'"),
        ("SELECT Id FROM Lead ORDER Name", "unexpected token: 'Name'"),
        ("SELECT Id FROM Lead; DROP TABLE Lead", "no viable alternative at character ';'"),
        ("SELECT Id FROM Lead WHERE DISTANCE(a, b) < 5", "unexpected token: 'DISTANCE'"),
        ("SELECT SUM() FROM Lead", "unexpected token: 'SUM'"),
        ("SELECT (SELECT (SELECT Id FROM x) FROM Contacts) FROM Account", r"unexpected token: '\('"),
        ("SELECT TYPEOF Who ELSE Id END FROM Task", "unexpected token: 'ELSE'"),
        ("SELECT Id FROM Lead WITH SECURITY_ENFORCED", "unexpected token: 'WITH'"),
        ("UPDATE Lead SET Name = 'x'", "unexpected token: 'UPDATE'"),
        ("SELECT Id FROM Lead WHERE CreatedDate > 2026-11-18T09:30:00", "no viable alternative|unexpected token"),
    ],
)
def test_what_it_does_not_know_is_refused_with_the_place(soql: str, complaint: str) -> None:
    with pytest.raises(ApiError, match=complaint) as caught:
        parse(soql)
    assert caught.value.code == "MALFORMED_QUERY"
    assert "\nERROR at Row:1:Column:" in caught.value.message


def test_the_caret_stands_under_the_trouble_in_a_long_and_a_later_line() -> None:
    soql = "SELECT Id\nFROM Lead\nWHERE " + "Name = 'x' AND " * 20 + "Name ? 'y'"
    with pytest.raises(ApiError) as caught:
        parse(soql)
    _, shown, caret, place, _ = caught.value.message.split("\n")
    column = soql.split("\n")[2].index("?") + 1
    assert place == f"ERROR at Row:3:Column:{column}"
    assert shown[caret.index("^")] == "?"


@given(st.text(max_size=60))
def test_no_text_makes_the_parser_fail_otherwise_than_by_refusing(text: str) -> None:
    try:
        parse(f"SELECT Id FROM Lead WHERE {text}")
    except ApiError as refusal:
        assert refusal.code == "MALFORMED_QUERY"  # noqa: PT017 - either outcome is right, but no third one
