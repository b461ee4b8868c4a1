"""
Which companies of a platform are which Salesforce accounts.
"""

import polars as pl

from tests.core.matching.people import groups, reasons_of, rules_of
from worker.core.matching.cluster import Clustering
from worker.core.matching.companies import company_clusters, company_keys

ACCOUNT = "salesforce.account"
COMPANY = "hubspot.company"


def frame(*rows: dict[str, object]) -> pl.DataFrame:
    schema = {
        "stream": pl.String,
        "record_id": pl.String,
        "is_deleted": pl.Boolean,
        "merged_into": pl.String,
        "website": pl.String,
        "created_at": pl.Datetime("us", "UTC"),
        "account_ref": pl.String,
    }
    return pl.DataFrame([{name: row.get(name) for name in schema} for row in rows], schema=schema)


def joined(*rows: dict[str, object]) -> Clustering:
    return company_clusters(frame(*rows))


def test_a_company_joins_the_account_it_is_linked_to_whatever_its_website() -> None:
    found = joined(
        {"stream": ACCOUNT, "record_id": "a1", "website": "acme.com"},
        {"stream": ACCOUNT, "record_id": "a2", "website": "beta.com"},
        {"stream": COMPANY, "record_id": "h1", "website": "https://www.acme.com", "account_ref": "a2"},
    )
    assert groups(found) == {frozenset({"a1"}), frozenset({"a2", "h1"})}
    assert rules_of(found)["h1"] == "platform's account link"


def test_a_company_without_a_link_joins_the_only_account_of_its_domain() -> None:
    found = joined(
        {"stream": ACCOUNT, "record_id": "a1", "website": "www.acme.com"},
        {"stream": COMPANY, "record_id": "h1", "website": "https://shop.acme.com/de"},
    )
    assert groups(found) == {frozenset({"a1", "h1"})}
    assert found.members.filter(pl.col("record_id") == "h1").select("rule", "via").row(0) == (
        "same website domain",
        "domain:acme.com",
    )


def test_two_accounts_of_one_domain_stay_two_and_the_company_waits() -> None:
    found = joined(
        {"stream": ACCOUNT, "record_id": "a1", "website": "acme.com"},
        {"stream": ACCOUNT, "record_id": "a2", "website": "acme.com"},
        {"stream": COMPANY, "record_id": "h1", "website": "acme.com"},
    )
    assert len(groups(found)) == 3
    assert reasons_of(found) == {"h1": "website domain of several accounts"}


def test_a_page_on_facebook_joins_nobody() -> None:
    found = joined(
        {"stream": ACCOUNT, "record_id": "a1", "website": "facebook.com/acme"},
        {"stream": COMPANY, "record_id": "h1", "website": "facebook.com/beta"},
    )
    assert len(groups(found)) == 2


def test_merged_accounts_are_one_company() -> None:
    found = joined(
        {"stream": ACCOUNT, "record_id": "a1"},
        {"stream": ACCOUNT, "record_id": "a2", "is_deleted": True, "merged_into": "a1"},
    )
    assert groups(found) == {frozenset({"a1", "a2"})}


def test_accounts_alone_need_no_link_column() -> None:
    frame = pl.DataFrame(
        {
            "stream": [ACCOUNT],
            "record_id": ["a1"],
            "is_deleted": [False],
            "merged_into": [None],
            "website": [None],
            "created_at": [None],
        }
    )
    assert groups(company_clusters(frame)) == {frozenset({"a1"})}


def test_the_keys_say_which_records_must_be_looked_at_together() -> None:
    keys = company_keys(
        frame(
            {"stream": ACCOUNT, "record_id": "a1", "website": "www.acme.com"},
            {"stream": COMPANY, "record_id": "h1", "website": "https://acme.com/de", "account_ref": "a2"},
        )
    )
    assert set(keys.select("record_id", "key", "rule").iter_rows()) == {
        ("a1", "salesforce.account:a1", "own id"),
        ("a1", "domain:acme.com", "same website domain"),
        ("h1", "hubspot.company:h1", "own id"),
        ("h1", "salesforce.account:a2", "platform's account link"),
        ("h1", "domain:acme.com", "same website domain"),
    }
