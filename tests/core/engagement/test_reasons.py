"""
The sentence and the list behind it.
"""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.engagement.acts import act, flagged

STORY = [
    act("demo_request", 1, days_ago=4, label="demo request", level="vp", role_label="VP Finance"),
    act("high_value_page", 2, days_ago=3, label="pricing page", role_label="IT"),
    act("high_value_page", 3, days_ago=2, label="pricing page", role_label="IT"),
    act("webinar_attended", 2, days_ago=10, label="webinar Cost Control", role_label="IT"),
]


def test_the_sentence_names_roles_counts_acts_and_the_date() -> None:
    assert flagged(*STORY)["why"] == (
        "3 people (VP Finance, 2 IT): demo request 18 Nov 2026, webinar Cost Control, pricing page 2x. "
        "Lapses 17 Jan 2027 if quiet."
    )


def test_the_sentence_says_the_same_on_the_next_days() -> None:
    first = flagged(*STORY)
    since = {"was_engaged": True, "engaged_since_at": first["since_at"]}
    assert flagged(*STORY, now=first["since_at"].replace(day=29), **since)["why"] == first["why"]


def test_people_without_a_known_role_are_counted_as_others() -> None:
    acts = [act("event_attended", person) for person in (1, 2, 3)]
    assert flagged(*acts)["why"].startswith("3 people: event attended 3x.")
    named = act("event_attended", 4, role_label="IT")
    assert flagged(*acts, named)["why"].startswith("4 people (IT, 3 others): event attended 4x.")
    assert flagged(acts[0], named, act("content", 4))["why"].endswith(
        "So far 2 people (IT, 1 other): event attended 2x, content."
    )


@pytest.mark.parametrize(
    ("acts", "why"),
    [
        ([], "No counted act in 90 days."),
        ([act("email_open")], "No counted act in 90 days."),
        ([act("form", label="Guide")], "Not engaged, needs more activity and 1 more person. So far 1 person: Guide."),
        (
            [act("event_attended", 1, days_ago=0.1) for _ in range(3)],
            "Not engaged, needs 1 more person. So far 1 person: event attended 3x.",
        ),
        (
            [act("surge", None)],
            "Not engaged, needs more activity, 2 more people and a fresh act by a person. So far company only: surge.",
        ),
    ],
)
def test_it_says_what_is_missing(acts: list[dict[str, Any]], why: str) -> None:
    assert flagged(*acts)["why"] == why


def test_the_list_says_what_is_missing_in_numbers() -> None:
    detail = json.loads(flagged(act("event_attended", 1))["detail"])
    assert detail["missing"] == {"points_milli": 30_000, "people": 1, "human_act": False, "target": False}
    assert (detail["lapses_on"], detail["rule_version"], detail["window_days"]) == (None, "2026-11", 90)


def test_the_list_holds_every_act_with_its_points_weight_and_age() -> None:
    detail = json.loads(flagged(*STORY)["detail"])
    assert detail["missing"] is None
    assert detail["lapses_on"] == "2027-01-17"
    assert detail["acts"][2] == {
        "act_id": "a0000",
        "person_id": 1,
        "type": "demo_request",
        "label": "demo request",
        "on": "2026-11-18",
        "raw_milli": 50_000,
        "weight_milli": 1_500,
        "age_days": 4,
        "age_factor": 0.911722489,
        "points_milli": 68_379,
        "screened": None,
    }


def test_a_person_who_changed_jobs_is_one_person_with_the_latest_role() -> None:
    acts = [act("demo_request", 1, days_ago=5, role_label="IT"), act("form", 1, role_label="Director IT")]
    assert flagged(*acts)["why"].startswith("1 person (Director IT): ")


def test_many_roles_and_acts_are_cut_to_what_fits_and_counted() -> None:
    acts = [
        act(
            "webinar_attended",
            number,
            label=f"webinar number {number} about the cost of everything",
            role_label=f"Role {number}",
        )
        for number in range(40)
    ]
    why = flagged(*acts)["why"]
    assert len(why) <= 255
    assert why.startswith("40 people (Role 0, Role 1, Role 10, Role 11, 36 others): ")
    assert " more. Lapses " in why


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=300), st.text(max_size=80), st.booleans()), min_size=1, max_size=12))
def test_whatever_the_labels_the_sentence_fits_and_the_list_is_json(rows: list[tuple[str, str, bool]]) -> None:
    acts = [
        act("demo_request" if urgent else "form", number, label=label, role_label=role)
        for number, (label, role, urgent) in enumerate(rows)
    ]
    found = flagged(*acts)
    assert 0 < len(found["why"].encode("utf-16-le", "surrogatepass")) // 2 <= 255
    assert len(json.loads(found["detail"])["acts"]) == len(rows)
