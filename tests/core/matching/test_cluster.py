"""
Who is one person, by which key, and who is left for a person to look at.
"""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.matching.people import (
    CONTACT,
    LEAD,
    MARKETO,
    clustered,
    contact,
    frame,
    groups,
    hubspot,
    lead,
    marketo,
    reasons_of,
    record,
    rules_of,
)
from worker.core.errors import Fatal
from worker.core.matching.cluster import MEMBER, REVIEW, cluster
from worker.core.matching.keys import IdentityRules, identity_keys


def together(*ids: str) -> frozenset[str]:
    return frozenset(ids)


def test_a_converted_lead_its_contact_and_the_platforms_person_are_one() -> None:
    found = clustered(contact("c1"), lead("l1", converted_contact_ref="c1"), marketo("7", lead_ref="l1"))
    assert groups(found) == {together("c1", "l1", "7")}
    assert rules_of(found) == {"c1": "own id", "l1": "converted to contact", "7": "platform's lead link"}


def test_every_member_names_the_key_it_joined_by() -> None:
    found = clustered(contact("c1", "ann@acme.com"), lead("l1", "ANN@acme.com"))
    assert dict(found.members.select("record_id", "via").iter_rows()) == {
        "c1": "salesforce.contact:c1",
        "l1": "email:ann@acme.com",
    }


def test_a_chain_of_merges_ends_at_the_last_survivor() -> None:
    found = clustered(
        contact("c1"),
        contact("c2", is_deleted=True, merged_into="c1"),
        contact("c3", is_deleted=True, merged_into="c2"),
        marketo("7", contact_ref="c3"),
    )
    assert groups(found) == {together("c1", "c2", "c3", "7")}
    assert rules_of(found)["c3"] == "merged"


def test_a_merge_that_runs_in_a_circle_ends() -> None:
    found = clustered(
        contact("c1", is_deleted=True, merged_into="c2"),
        contact("c2", is_deleted=True, merged_into="c1"),
        contact("c3", is_deleted=True, merged_into="c3"),
    )
    assert groups(found) == {together("c1", "c2"), together("c3")}


def test_a_merge_into_a_record_not_read_yet_still_brings_its_losers_together() -> None:
    found = clustered(
        contact("c2", is_deleted=True, merged_into="c9"), contact("c3", is_deleted=True, merged_into="c9")
    )
    assert groups(found) == {together("c2", "c3")}


def test_a_merge_settles_where_a_lead_went_whatever_it_was_converted_to() -> None:
    found = clustered(
        contact("c1"),
        contact("c2"),
        lead("l1", converted_contact_ref="c1"),
        lead("l2", is_deleted=True, merged_into="l1", converted_contact_ref="c2"),
    )
    assert groups(found) == {together("c1", "l1", "l2"), together("c2")}


def test_two_contacts_with_one_address_stay_two() -> None:
    found = clustered(contact("c1", "ann@acme.com"), contact("c2", "ann@acme.com"))
    assert groups(found) == {together("c1"), together("c2")}


def test_a_platforms_person_with_the_address_of_two_contacts_waits_for_review() -> None:
    found = clustered(contact("c1", "ann@acme.com"), contact("c2", "ann@acme.com"), marketo("7", "ann@acme.com"))
    assert together("7") in groups(found)
    assert found.reviews.to_dicts() == [
        {
            "stream": MARKETO,
            "record_id": "7",
            "reason": "e-mail of several contacts",
            "candidates": ["salesforce.contact:c1", "salesforce.contact:c2"],
        }
    ]


def test_a_lead_with_the_address_of_two_contacts_waits_for_review() -> None:
    found = clustered(contact("c1", "ann@acme.com"), contact("c2", "ann@acme.com"), lead("l1", "ann@acme.com"))
    assert reasons_of(found) == {"l1": "e-mail of several contacts"}


def test_an_address_that_a_merge_has_left_twice_is_one_contacts() -> None:
    found = clustered(
        contact("c1", "ann@acme.com"),
        contact("c2", "ann@acme.com", is_deleted=True, merged_into="c1"),
        lead("l1", "ann@acme.com"),
    )
    assert groups(found) == {together("c1", "c2", "l1")}


def test_a_platforms_person_prefers_the_contact_to_the_lead_of_that_address() -> None:
    found = clustered(contact("c1", "ann@acme.com"), lead("l1", "ann@acme.com"), marketo("7", "ann@acme.com"))
    assert groups(found) == {together("c1", "l1", "7")}


def test_without_a_contact_the_single_open_lead_gets_the_platforms_person() -> None:
    found = clustered(lead("l1", "ann@acme.com"), marketo("7", "ann@acme.com"))
    assert groups(found) == {together("l1", "7")}
    assert rules_of(found) == {"l1": "own id", "7": "same e-mail"}


def test_two_leads_with_one_address_stay_two_and_the_platforms_person_waits() -> None:
    found = clustered(lead("l1", "ann@acme.com"), lead("l2", "ann@acme.com"), marketo("7", "ann@acme.com"))
    assert groups(found) == {together("l1"), together("l2"), together("7")}
    assert reasons_of(found) == {"7": "e-mail of several leads"}


def test_two_leads_with_the_address_of_one_contact_are_that_contact() -> None:
    found = clustered(contact("c1", "ann@acme.com"), lead("l1", "ann@acme.com"), lead("l2", "ann@acme.com"))
    assert groups(found) == {together("c1", "l1", "l2")}


def test_a_role_mailbox_joins_nobody() -> None:
    found = clustered(contact("c1", "info@acme.com"), lead("l1", "info@acme.com"), marketo("7", "info@acme.com"))
    assert len(groups(found)) == 3


def test_an_address_that_half_the_office_uses_joins_nobody() -> None:
    shared = [lead(f"l{i}", "bakery@acme.com") for i in range(6)]
    rules = IdentityRules(shared_email_records=5)
    assert len(groups(clustered(contact("c1", "bakery@acme.com"), *shared, rules=rules))) == 7
    assert len(groups(clustered(contact("c1", "bakery@acme.com"), *shared[:5], rules=rules))) == 1


def test_a_deleted_contact_attracts_nobody() -> None:
    found = clustered(contact("c1", "ann@acme.com", is_deleted=True), lead("l1", "ann@acme.com"))
    assert groups(found) == {together("c1"), together("l1")}


def test_a_deleted_lead_follows_the_live_contact_so_its_history_stays() -> None:
    found = clustered(contact("c1", "ann@acme.com"), lead("l1", "ann@acme.com", is_deleted=True))
    assert groups(found) == {together("c1", "l1")}


def test_a_deleted_contact_never_follows_another_contact() -> None:
    found = clustered(contact("c1", "ann@acme.com"), contact("c2", "ann@acme.com", is_deleted=True))
    assert groups(found) == {together("c1"), together("c2")}


def test_links_to_two_different_people_wait_for_review() -> None:
    found = clustered(
        contact("c1", "ann@acme.com"), lead("l1", "bob@acme.com"), marketo("7", lead_ref="l1", contact_ref="c1")
    )
    assert together("7") in groups(found)
    assert reasons_of(found) == {"7": "lead and contact links disagree"}


def test_links_agree_once_the_lead_has_become_the_contact() -> None:
    found = clustered(
        contact("c1"), lead("l1", converted_contact_ref="c1"), marketo("7", lead_ref="l1", contact_ref="c1")
    )
    assert groups(found) == {together("c1", "l1", "7")}
    assert found.reviews.is_empty()


def test_links_agree_where_the_address_says_that_lead_and_contact_are_one() -> None:
    found = clustered(
        contact("c1", "ann@acme.com"), lead("l1", "ann@acme.com"), marketo("7", lead_ref="l1", contact_ref="c1")
    )
    assert groups(found) == {together("c1", "l1", "7")}


def test_a_link_beats_the_address() -> None:
    found = clustered(contact("c1"), contact("c2", "ann@acme.com"), marketo("7", "ann@acme.com", contact_ref="c1"))
    assert groups(found) == {together("c1", "7"), together("c2")}


def test_a_live_address_beats_a_link_to_a_record_that_is_gone() -> None:
    found = clustered(
        contact("c1", is_deleted=True), contact("c2", "ann@acme.com"), marketo("7", "ann@acme.com", contact_ref="c1")
    )
    assert groups(found) == {together("c1"), together("c2", "7")}


def test_a_link_to_a_record_that_is_gone_keeps_the_history_together() -> None:
    found = clustered(contact("c1", is_deleted=True), marketo("7", "ann@acme.com", contact_ref="c1"))
    assert groups(found) == {together("c1", "7")}
    assert rules_of(found)["7"] == "platform's contact link"


def test_two_platforms_that_name_one_unread_contact_agree() -> None:
    found = clustered(marketo("7", contact_ref="c9"), hubspot("h7", contact_ref="c9"))
    assert groups(found) == {together("7", "h7")}


def test_people_known_to_platforms_only_are_joined_by_address() -> None:
    found = clustered(marketo("7", "ann@acme.com"), hubspot("h7", "Ann@acme.com"), hubspot("h8", "bob@acme.com"))
    assert groups(found) == {together("7", "h7"), together("h8")}


def test_two_links_to_different_unread_contacts_are_not_joined_by_address() -> None:
    found = clustered(marketo("7", "ann@acme.com", contact_ref="c8"), hubspot("h7", "ann@acme.com", contact_ref="c9"))
    assert groups(found) == {together("7"), together("h7")}


def test_a_merge_within_the_platform_takes_the_survivors_links() -> None:
    found = clustered(
        contact("c1"),
        contact("c2"),
        marketo("7", contact_ref="c1"),
        marketo("8", contact_ref="c2", is_deleted=True, merged_into="7"),
    )
    assert groups(found) == {together("c1", "7", "8"), together("c2")}


def test_a_converted_lead_whose_contact_is_not_read_yet_holds_its_address() -> None:
    found = clustered(lead("l1", "ann@acme.com", converted_contact_ref="c9"), marketo("7", "ann@acme.com"))
    assert groups(found) == {together("l1", "7")}


def test_a_converted_lead_whose_contact_was_deleted_attracts_nobody() -> None:
    found = clustered(
        contact("c1", is_deleted=True),
        lead("l1", "ann@acme.com", converted_contact_ref="c1"),
        marketo("7", "ann@acme.com"),
    )
    assert groups(found) == {together("c1", "l1"), together("7")}


def test_the_frames_are_as_they_are_written_down() -> None:
    found = clustered()
    assert (dict(found.members.schema), dict(found.reviews.schema)) == (dict(MEMBER), dict(REVIEW))
    found = clustered(contact("c1", "a@acme.com"), contact("c2", "a@acme.com"), lead("l1", "a@acme.com"))
    assert (dict(found.members.schema), dict(found.reviews.schema)) == (dict(MEMBER), dict(REVIEW))


def test_a_record_given_twice_is_refused() -> None:
    with pytest.raises(Fatal, match="a record more than once"):
        clustered(contact("c1"), contact("c1"))


@st.composite
def worlds(draw: st.DrawFn) -> list[dict[str, Any]]:
    """
    Up to eight contacts, eight leads and eight platform people with links, merges, conversions and four addresses.
    """
    emails = st.sampled_from(["ann@acme.com", "bob@acme.com", "cy@acme.com", "info@acme.com", None])
    contacts = [f"c{i}" for i in range(draw(st.integers(0, 8)))]
    leads = [f"l{i}" for i in range(draw(st.integers(0, 8)))]
    people = [f"m{i}" for i in range(draw(st.integers(0, 8)))]

    def one_of(names: list[str]) -> str | None:
        return draw(st.sampled_from([*names, "gone", None]))

    world: list[dict[str, Any]] = []
    for stream, names in ((CONTACT, contacts), (LEAD, leads), (MARKETO, people)):
        for name in names:
            deleted = draw(st.booleans())
            row: dict[str, Any] = {"email": draw(emails), "is_deleted": deleted}
            row["merged_into"] = one_of(names) if deleted else None
            if stream == LEAD:
                row["converted_contact_ref"] = one_of(contacts)
            if stream == MARKETO:
                row["lead_ref"], row["contact_ref"] = one_of(leads), one_of(contacts)
            world.append(record(stream, name, **row))
    return world


@settings(max_examples=120, deadline=None)
@given(worlds(), st.randoms(use_true_random=False))
def test_the_answer_does_not_depend_on_the_order_of_rows(world: list[dict[str, Any]], chance: Any) -> None:
    people = frame(*world)
    once = cluster(people, identity_keys(people))
    shuffled = list(world)
    chance.shuffle(shuffled)
    again = frame(*shuffled)
    keys = identity_keys(again)
    twice = cluster(again, keys.sample(fraction=1, shuffle=True, seed=chance.randrange(1000)))
    assert once.members.equals(twice.members)
    assert once.reviews.equals(twice.reviews)


@settings(max_examples=120, deadline=None)
@given(worlds())
def test_whatever_the_world_live_contacts_stay_apart_and_everybody_is_somewhere(world: list[dict[str, Any]]) -> None:
    people = frame(*world)
    members = cluster(people, identity_keys(people)).members
    assert sorted(members.select("stream", "record_id").iter_rows()) == sorted(
        (r["stream"], r["record_id"]) for r in world
    )
    live = people.filter(~people["is_deleted"]).join(members, on=["stream", "record_id"])
    contacts = live.filter(live["stream"] == CONTACT)
    assert contacts["cluster"].n_unique() == contacts.height
