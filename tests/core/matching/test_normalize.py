"""
One spelling for e-mail addresses, domains and Salesforce ids.
"""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.matching.normalize import (
    email_domains,
    is_role_mailbox,
    normalize_email,
    normalize_emails,
    registrable_domain,
    registrable_domains,
    salesforce_id,
    salesforce_ids,
)

EMAILS = {
    "  Ann.Lee@ACME.com. ": "ann.lee@acme.com",
    "mailto:Ann@acme.com?subject=Hi": "ann@acme.com",
    "Ann Lee <ann@acme.com>": "ann@acme.com",
    "ann\u200b@acme.com": "ann@acme.com",
    "ａｎｎ@acme.com": "ann@acme.com",
    "ann@Bücher.de": "ann@xn--bcher-kva.de",
    "ann+news@acme.com": "ann+news@acme.com",
    "o'neil@acme.ie": "o'neil@acme.ie",
    "ann@acme.example": "ann@acme.example",
    "ann@acme": None,
    "ann lee@acme.com": None,
    "ann@acme.com; bob@acme.com": None,
    "ann@192.168.1.1": None,
    "ann..lee@acme.com": None,
    ".ann@acme.com": None,
    "ann@-acme.com": None,
    "ann@xn--zz--.de": None,
    f"{'a' * 65}@acme.com": None,
    "n/a": None,
    "": None,
}


@pytest.mark.parametrize(("written", "meant"), EMAILS.items())
def test_an_address_gets_one_spelling_or_none(written: str, meant: str | None) -> None:
    assert normalize_email(written) == meant


def test_a_column_of_addresses_is_spelt_as_each_alone_and_keeps_its_order() -> None:
    column = pl.Series("email", [*EMAILS, None, *reversed(EMAILS)])
    assert normalize_emails(column).to_list() == [*EMAILS.values(), None, *reversed(EMAILS.values())]
    assert normalize_emails(column).name == "email"


@given(st.lists(st.text(alphabet="ab1.-_@+'Ü ", max_size=12) | st.emails(), max_size=20))
def test_the_fast_way_and_the_slow_way_agree(written: list[str]) -> None:
    assert normalize_emails(pl.Series(written, dtype=pl.String)).to_list() == [
        normalize_email(text) for text in written
    ]


@given(st.emails())
def test_normalizing_twice_changes_nothing(address: str) -> None:
    once = normalize_email(address)
    assert once is None or normalize_email(once) == once


DOMAINS = {
    "http://www.Acme.co.uk/path?q=a@b.com": "acme.co.uk",
    "ann@mail.acme.com": "acme.com",
    "mailto:ann@acme.com": "acme.com",
    "https://user:secret@acme.com:8443/": "acme.com",
    "acme.com:8080": "acme.com",
    "www.acme.com, www.acme.de": "acme.com",
    "www.acme.com.": "acme.com",
    "Bücher.de": "xn--bcher-kva.de",
    "acme.example": "acme.example",
    "acme.myshopify.com": "acme.myshopify.com",
    "10.0.0.1": None,
    "http://[::1]/": None,
    "co.uk": None,
    "acme": None,
    "none yet": None,
    "gmail.com": None,
    "ann@yahoo.co.in": None,
    "https://www.linkedin.com/company/acme": None,
    "facebook.com/acme": None,
    "": None,
}


@pytest.mark.parametrize(("written", "domain"), DOMAINS.items())
def test_a_domain_is_what_a_company_has_registered(written: str, domain: str | None) -> None:
    assert registrable_domain(written) == domain


def test_a_column_of_domains_is_read_as_each_alone() -> None:
    assert registrable_domains(pl.Series([*DOMAINS, None])).to_list() == [*DOMAINS.values(), None]


def test_a_page_on_linkedin_names_no_company_but_an_address_there_does() -> None:
    assert registrable_domain("https://linkedin.com/company/acme") is None
    assert email_domains(pl.Series(["ann@linkedin.com", "ann@gmail.com"])).to_list() == ["linkedin.com", None]


@pytest.mark.parametrize(
    ("address", "role"),
    [("info@acme.com", True), ("sales+uk@acme.com", True), ("infoline@acme.com", False), ("ann.info@acme.com", False)],
)
def test_a_role_mailbox_belongs_to_no_person(address: str, role: bool) -> None:
    assert is_role_mailbox(address) is role


def test_fifteen_characters_become_eighteen() -> None:
    # The example of Salesforce's own documentation.
    assert salesforce_id("001A0000006Vm9r") == "001A0000006Vm9rIAC"


@pytest.mark.parametrize(
    "written", ["001A0000006Vm9rIAC", "001a0000006vm9riac", "001A0000006VM9RIAC", " 001A0000006Vm9r "]
)
def test_an_id_survives_a_spreadsheet(written: str) -> None:
    assert salesforce_id(written) == "001A0000006Vm9rIAC"


@pytest.mark.parametrize(
    "written", ["001A0000006Vm9rIAX", "001A0000006Vm9", "001A0000006Vm9rIA", "001A0000006Vm9!", "", None]
)
def test_what_is_no_id_is_refused(written: str | None) -> None:
    assert salesforce_id(written) is None


@given(st.text(alphabet="abcXYZ0189", min_size=15, max_size=15))
def test_an_id_in_any_one_case_is_restored_from_its_suffix(short: str) -> None:
    full = salesforce_id(short)
    assert full is not None
    assert salesforce_id(full) == full
    assert salesforce_id(full.lower()) == full
    assert salesforce_id(full.upper()) == full
    assert salesforce_ids(pl.Series([full.lower(), short])).to_list() == [full, full]
