"""
Rules that the store has kept come back as they were, and are understood by later releases.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from config.errors import ConfigError
from config.rulefiles import DECIDING, Rules, load_rules, stored_rules
from worker.core.rule_changes import changed_keys, not_previewed
from worker.wiring import as_json, rules_of

OWN = {
    "attribution.yaml": """
models:
  markov: {channels: {Paid search: 0.36, Webinar: "16/25"}}
  ours: {weights: {FT: 20, demo: 50.5, OC: 20, middle: 10}}
  u: off
positions:
  demo: {milestone: first touch of type demo_request}
  nego: {milestone: stage Negotiation}
""",
    "engagement.yaml": """
enter: {points: 60.5}
tiers:
  - {tier: A, where: [{extra: Rating, equals: hot}]}
target_lists:
  - {name: Named, file: named.txt}
  - {name: Large, where: [{field: tier, in: [A]}, {field: annual_revenue, below: 1.5, not: true}]}
""",
    "fields.yaml": """
extra: {salesforce.account: [Rating]}
activities: {Demo__c: {person: Contact__c, at: When__c}}
""",
    "named.txt": "named.example\n",
}


@pytest.fixture
def own(tmp_path: Path) -> Rules:
    for name, text in OWN.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return load_rules(tmp_path)


def kept(files: Rules) -> dict[str, Any]:
    """
    What the store gives back.
    """
    found: dict[str, Any] = json.loads(json.dumps(as_json(files), default=str))
    return found


def test_rules_come_back_from_the_store_as_they_were(own: Rules) -> None:
    for files in (own, load_rules()):
        back = stored_rules(kept(files), load_rules())
        assert back.digest == files.digest
        assert rules_of(back, 7) == rules_of(files, 7)


def test_a_model_that_was_off_does_not_come_back(own: Rules) -> None:
    assert "u" not in stored_rules(kept(own), load_rules()).attribution.models


def test_a_key_that_is_newer_than_the_kept_rules_holds_its_shipped_value(own: Rules) -> None:
    old = kept(own)
    del old["engagement"]["window_days"]
    del old["attribution"]["deals"]["exclude_types"]
    assert stored_rules(old, load_rules()).digest == own.digest


def test_kept_rules_that_nobody_understands_any_more_are_refused(own: Rules) -> None:
    old = kept(own)
    old["engagement"]["phase_of_the_moon"] = "full"
    with pytest.raises(ConfigError, match="HW-180"):
        stored_rules(old, load_rules())


def test_the_keys_that_differ_are_named(own: Rules) -> None:
    shipped = kept(load_rules())
    assert changed_keys(shipped, shipped) == []
    assert changed_keys(shipped, kept(own)) == [
        "fields.extra",
        "fields.activities",
        "engagement.enter",
        "engagement.tiers",
        "engagement.target_lists",
        "attribution.positions",
        "attribution.models",
    ]


def test_what_a_preview_cannot_show_is_counted(own: Rules) -> None:
    assert not_previewed(kept(load_rules()), kept(own)) == [
        "1 field not read yet, empty here: salesforce.account.Rating",
        "1 object of acts not read yet in this way: Demo__c",
    ]
    assert set(DECIDING) == set(kept(own))
