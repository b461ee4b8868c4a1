"""
The keys by which a record can be recognised.
"""

import polars as pl
import pytest

from tests.core.matching.people import contact, frame, lead, marketo
from worker.core.errors import Fatal
from worker.core.matching.keys import KEY, IdentityRules, identity_keys


def keys_of(*records: dict[str, object], rules: IdentityRules | None = None) -> set[tuple[str, str, str]]:
    found = identity_keys(frame(*records), rules)
    return set(found.select("record_id", "key", "rule").iter_rows())


def test_every_record_has_its_own_id_and_its_address() -> None:
    assert keys_of(contact("c1", "Ann@Acme.com")) == {
        ("c1", "salesforce.contact:c1", "own id"),
        ("c1", "email:ann@acme.com", "same e-mail"),
    }


def test_links_conversions_and_merges_are_keys_of_the_record_they_name() -> None:
    found = keys_of(
        lead("l1", converted_contact_ref="c1"),
        lead("l2", merged_into="l1", is_deleted=True),
        marketo("7", lead_ref="l1", contact_ref="c1"),
    )
    assert ("l1", "salesforce.contact:c1", "converted to contact") in found
    assert ("l2", "salesforce.lead:l1", "merged") in found
    assert ("7", "salesforce.lead:l1", "platform's lead link") in found
    assert ("7", "salesforce.contact:c1", "platform's contact link") in found


def test_a_record_that_was_undeleted_has_left_its_merge() -> None:
    assert keys_of(contact("c2", merged_into="c1")) == {("c2", "salesforce.contact:c2", "own id")}


def test_a_role_mailbox_and_a_broken_address_are_no_keys() -> None:
    found = keys_of(lead("l1", "info@acme.com"), lead("l2", "not an address"))
    assert {key for _, key, _ in found} == {"salesforce.lead:l1", "salesforce.lead:l2"}


def test_a_platform_id_of_fifteen_characters_is_spelt_with_eighteen() -> None:
    assert ("7", "salesforce.contact:0035g00000AbCdEAAV", "platform's contact link") in keys_of(
        marketo("7", contact_ref="0035g00000AbCdE")
    )


def test_a_contact_in_the_lead_field_is_taken_for_a_contact() -> None:
    assert ("7", "salesforce.contact:0035g00000AbCdEAAV", "platform's contact link") in keys_of(
        marketo("7", lead_ref="0035g00000AbCdEAAV")
    )


def test_a_salesforce_record_has_no_platform_links() -> None:
    found = keys_of(contact("c1", contact_ref="c9"), lead("l1", lead_ref="l9"))
    assert {rule for _, _, rule in found} == {"own id"}


def test_the_frame_is_as_it_is_written_down() -> None:
    assert dict(identity_keys(frame(contact("c1", "ann@acme.com"))).schema) == dict(KEY)
    assert identity_keys(frame()).is_empty()


def test_a_missing_column_is_named() -> None:
    with pytest.raises(Fatal, match="converted_contact_ref, email"):
        identity_keys(frame(contact("c1")).drop("email", "converted_contact_ref"))


def test_a_column_of_the_wrong_type_is_an_error_and_not_an_empty_answer() -> None:
    with pytest.raises(Fatal, match="wrong type"):
        identity_keys(frame(contact("c1")).with_columns(is_deleted=pl.lit("perhaps")))


def test_contacts_and_leads_cannot_be_one_stream() -> None:
    with pytest.raises(Fatal, match="HW-150"):
        IdentityRules(contact_stream="salesforce.lead")
