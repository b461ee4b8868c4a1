"""
Which account a person belongs to, and what the sentence says.
"""

from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest

from worker.core.errors import Fatal
from worker.core.matching.accounts import ACCOUNT_TO_MATCH, MATCH, PERSON_TO_MATCH, AccountRules, match_to_account

ACME_US, ACME_DE, BETA, RESELLER = 1, 2, 3, 4


def account(account_id: int, name: str, website: str | None = None, **values: Any) -> dict[str, Any]:
    created_at = datetime(2015 + account_id, 1, 1, tzinfo=UTC)
    return {
        "account_id": account_id,
        "name": name,
        "website": website,
        "is_deleted": False,
        "created_at": created_at,
    } | values


def matches(
    people: list[dict[str, Any]], accounts: list[dict[str, Any]], rules: AccountRules | None = None
) -> pl.DataFrame:
    numbered = [{"person_id": number, **person} for number, person in enumerate(people, start=1)]
    return match_to_account(
        pl.DataFrame([{name: row.get(name) for name in PERSON_TO_MATCH} for row in numbered], schema=PERSON_TO_MATCH),
        pl.DataFrame([{name: row.get(name) for name in ACCOUNT_TO_MATCH} for row in accounts], schema=ACCOUNT_TO_MATCH),
        rules,
    )


def match(
    person: dict[str, Any], *accounts: dict[str, Any], others: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    return matches([person, *(others or [])], list(accounts)).row(0, named=True)


ACME = account(ACME_US, "Acme Corp", "www.acme.com", country="US")


def test_a_contacts_own_account_always_wins() -> None:
    found = match(
        {
            "email": "ann@acme.com",
            "contact_account_id": BETA,
            "pinned_account_id": ACME_US,
            "converted_account_id": ACME_US,
            "platform_account_id": ACME_US,
        },
        ACME,
        account(BETA, "Beta"),
    )
    assert (found["account_id"], found["rule"], found["why"]) == (
        BETA,
        "contact's account",
        "contact's own account Beta",
    )


@pytest.mark.parametrize(
    ("column", "rule"),
    [
        ("pinned_account_id", "set by a person"),
        ("converted_account_id", "converted lead's account"),
        ("platform_account_id", "platform's account link"),
    ],
)
def test_a_link_beats_the_domain(column: str, rule: str) -> None:
    found = match({"email": "ann@acme.com", column: BETA}, ACME, account(BETA, "Beta"))
    assert (found["account_id"], found["rule"]) == (BETA, rule)


def test_a_link_to_a_deleted_account_leaves_it_to_the_domain() -> None:
    found = match({"email": "ann@acme.com", "platform_account_id": BETA}, ACME, account(BETA, "Beta", is_deleted=True))
    assert (found["account_id"], found["rule"]) == (ACME_US, "domain")


def test_the_domain_finds_the_account_and_names_who_came_second() -> None:
    found = match({"email": "ann@mail.acme.com", "company": "ACME, Inc."}, ACME, account(ACME_DE, "Acme GmbH"))
    assert (found["account_id"], found["rule"], found["runner_up"]) == (ACME_US, "domain", ACME_DE)
    assert found["why"] == "domain acme.com; runner-up Acme GmbH (no domain)"


def test_a_deleted_account_has_no_domain() -> None:
    assert match({"email": "ann@acme.com"}, ACME | {"is_deleted": True})["account_id"] is None


TIES = {
    "on no target list": ({"is_target": True}, {"country": "DE", "type": "Customer"}),
    "other country": ({"country": "de "}, {"type": "Customer"}),
    "no customer": ({"type": "Customer"}, {}),
    "newer": ({"created_at": datetime(2001, 1, 1, tzinfo=UTC)}, {}),
}


@pytest.mark.parametrize(("said", "values"), TIES.items())
def test_ties_go_by_target_list_country_customer_and_age(
    said: str, values: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    better = account(9, "Acme Better", "acme.com", **values[0])
    worse = account(5, "Acme Worse", "acme.com", **values[1])
    found = match({"email": "ann@acme.com", "country": "DE"}, worse, better)
    assert (found["account_id"], found["runner_up"]) == (9, 5)
    assert found["why"] == f"domain acme.com; runner-up Acme Worse ({said})"


def test_of_equals_the_account_with_more_contacts_of_the_domain_wins() -> None:
    others = [{"email": f"p{i}@acme.com", "contact_account_id": 9} for i in range(2)]
    found = match(
        {"email": "ann@acme.com"}, account(5, "Acme A", "acme.com"), account(9, "Acme B", "acme.com"), others=others
    )
    assert (found["account_id"], found["why"]) == (9, "domain acme.com; runner-up Acme A (fewer contacts)")


def test_a_match_that_stands_is_not_taken_away_by_a_tie() -> None:
    found = match(
        {"email": "ann@acme.com", "matched_account_id": 5},
        account(5, "Acme Worse", "acme.com"),
        account(9, "Acme Better", "acme.com", is_target=True),
    )
    assert (found["account_id"], found["why"]) == (5, "domain acme.com; runner-up Acme Better (matched later)")


def test_a_match_whose_account_lost_the_domain_does_not_stand() -> None:
    found = match({"email": "ann@acme.com", "matched_account_id": BETA}, ACME, account(BETA, "Beta", "beta.com"))
    assert found["account_id"] == ACME_US


def test_free_mail_never_matches_by_domain_but_a_contact_there_keeps_its_account() -> None:
    gmail = account(5, "Careless", "gmail.com")
    assert match({"email": "ann@gmail.com"}, gmail)["account_id"] is None
    assert match({"email": "ann@gmail.com"}, gmail)["why"] == (
        "the e-mail's domain says nothing about the company (gmail.com)"
    )
    assert match({"email": "ann@gmail.com", "contact_account_id": 5}, gmail)["account_id"] == 5


def test_a_partners_domain_never_wins() -> None:
    found = match(
        {"email": "ann@partner.de"},
        account(RESELLER, "Partner AG", "partner.de", type="Partner"),
        account(5, "Customer of theirs", "partner.de"),
    )
    assert (found["account_id"], found["why"]) == (None, "domain partner.de is a partner's: Partner AG")


def contacts(account_id: int, *domains: str) -> list[dict[str, Any]]:
    return [{"email": f"x@{domain}", "contact_account_id": account_id} for domain in domains]


def test_a_catch_all_account_never_wins_by_domain() -> None:
    misc = account(5, "Misc", "misc.com")
    six = [f"company{i}.com" for i in range(6)]
    found = match({"email": "ann@misc.com"}, misc, others=contacts(5, *six))
    assert (found["account_id"], found["why"]) == (None, "domain misc.com is a catch-all account's: Misc")
    assert match({"email": "ann@misc.com"}, misc, others=contacts(5, *six[:5]))["account_id"] == 5


def test_domains_of_one_brand_are_related_and_make_no_catch_all() -> None:
    brands = [f"acme.{end}" for end in ("de", "fr", "co.uk", "it", "es", "nl", "se")]
    assert match({"email": "ann@acme.com"}, ACME, others=contacts(ACME_US, *brands))["account_id"] == ACME_US


def test_contacts_teach_the_domain_of_an_account_without_a_website() -> None:
    plain = account(5, "Acme")
    assert match({"email": "ann@acme.com"}, plain, others=contacts(5, "acme.com"))["account_id"] == 5


def test_one_consultant_among_the_contacts_teaches_no_domain() -> None:
    others = contacts(ACME_US, "acme.com", "consultants.com")
    assert match({"email": "joe@consultants.com"}, ACME, others=others)["account_id"] is None
    twice = contacts(ACME_US, "acme.com", "acme-group.com", "acme-group.com")
    assert match({"email": "joe@acme-group.com"}, ACME, others=twice)["account_id"] == ACME_US


@pytest.mark.parametrize(
    ("person", "why"),
    [
        ({}, "no e-mail address"),
        ({"email": "broken"}, "no e-mail address"),
        ({"email": "ann@zeta.com"}, "no account has the domain zeta.com"),
        (
            {"email": "ann@zeta.com", "company": "ACME Inc"},
            "no account has the domain zeta.com; nearest by name Acme Corp (domain acme.com)",
        ),
    ],
)
def test_no_match_says_why(person: dict[str, Any], why: str) -> None:
    found = match(person, ACME)
    assert (found["account_id"], found["rule"], found["why"]) == (None, None, why)


def test_a_name_alone_matches_nobody() -> None:
    assert match({"company": "Acme Corp"}, ACME)["account_id"] is None


def test_the_sentence_fits_the_field() -> None:
    long = "Extremely Long Company Name " * 20
    found = match(
        {"email": f"ann@{'a' * 60}.com"}, account(5, long, f"{'a' * 60}.com"), account(6, long, f"{'a' * 60}.com")
    )
    assert found["account_id"] == 5
    assert 100 < len(found["why"]) <= 255


def test_every_person_has_one_row_in_the_written_frame() -> None:
    accounts = [account(number, f"Acme {number}", "acme.com") for number in range(1, 5)]
    found = matches([{"email": "ann@acme.com", "company": "Acme 3"}, {}, {"contact_account_id": 2}], accounts)
    assert dict(found.schema) == dict(MATCH)
    assert found["person_id"].to_list() == [1, 2, 3]


def test_columns_that_may_be_absent_may_be_absent() -> None:
    people = pl.DataFrame(schema=PERSON_TO_MATCH).drop("pinned_account_id", "matched_account_id")
    assert match_to_account(people, pl.DataFrame(schema=ACCOUNT_TO_MATCH).drop("is_target")).is_empty()
    with pytest.raises(Fatal, match="contact_account_id"):
        match_to_account(people.drop("contact_account_id"), pl.DataFrame(schema=ACCOUNT_TO_MATCH))


def test_rules_that_bar_everything_are_refused() -> None:
    with pytest.raises(Fatal, match="HW-150"):
        AccountRules(catch_all_domains=0)
