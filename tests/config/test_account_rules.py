"""
The rules that judge accounts: what is refused and where it stands, and lists in files of their own.
"""

from pathlib import Path
from typing import get_args

import pytest

from config.rulefiles import RuleErrors, load_rules
from config.rules_accounts import COMPANY_FACTS, NOT_YET_AT_STAGES, NumberFact, TextFact
from tests.core.engagement.test_standing import stood
from worker.core.engagement import conditions, stages
from worker.core.engagement.buying_group import GroupRules
from worker.core.engagement.standing import StandingRules
from worker.wiring import rules_of


def rules(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text, encoding="utf-8")
    return folder


WRONG = {
    "tiers: [{tier: A, where: [{field: colour, equals: red}]}]": "colour",
    "tiers: [{tier: A, where: [{field: points, at_least: 5}]}]": 'a tier cannot look at "points"',
    "tiers: [{tier: A, where: [{field: employees, equals: 5}]}]": 'write "at_least" or "below"',
    "tiers: [{tier: A, where: [{field: industry, below: 5}]}]": "is a text",
    "tiers: [{tier: A, where: [{field: industry}]}]": "needs exactly one test",
    "tiers: [{tier: A, where: [{extra: Rating, equals: Hot}]}]": '"Rating" is not read',
    "tier_weights: {A: 2}": 'unknown tier "A"',
    "target_lists: [{name: Empty}]": "names nobody",
    "target_lists: [{name: X, accounts: [acme]}]": '"acme" is no Salesforce id and no domain',
    "target_lists: [{name: X, file: missing.txt}]": '"missing.txt" cannot be read',
    "target_lists: [{name: X, file: ../secrets}]": "is no file name",
    "target_lists: [{name: X, where: [{field: list, in: [Y]}]}, {name: Y, accounts: [a.com]}]": (
        'target list before this line "Y"'
    ),
    "target_lists: [{name: X, accounts: [a.com]}, {name: X, accounts: [b.com]}]": "names a list twice",
    "stages: [{stage: Decision, where: [{field: list, in: [X]}]}]": "stages are decided before lists",
    "profile: [{where: [{field: list, in: [X]}]}]": "lists are made after it",
    "target_lists: [{name: X, where: [{field: list, missing: true}]}]": "asks for lists by name",
    "fit: {by: rules}": "needs factors",
    "fit: {moderate_from: 90}": '"moderate_from" must be below',
    "intent: {types: [rumour]}": 'unknown touch type "rumour"',
    "exclude: {tracking_opt_out_fields: [No_Tracking__c]}": '"No_Tracking__c" is not read',
}


@pytest.mark.parametrize(("text", "told"), WRONG.items())
def test_what_makes_no_sense_is_refused_with_its_line(text: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(RuleErrors) as caught:
        load_rules(rules(tmp_path, engagement__yaml=f"# mine\n{text}\n"))
    (problem,) = caught.value.problems
    assert told in problem.message
    assert problem.line == 2


def test_a_list_has_its_members_from_its_file_and_a_changed_file_is_a_changed_rule(tmp_path: Path) -> None:
    folder = rules(
        tmp_path,
        engagement__yaml="target_lists: [{name: Named, accounts: [own.com], file: named.txt}]",
        named__txt="# ours\nacme.com   # the big one\n\n001A00000000abcDEF\nown.com\n",
    )
    first = load_rules(folder)
    assert first.engagement.target_lists[0].accounts == ("own.com", "acme.com", "001A00000000abcDEF")
    rules(tmp_path, named__txt="acme.com\n")
    assert load_rules(folder).digest != first.digest
    rules(tmp_path, named__txt="acme.com\nnot a member\n")
    with pytest.raises(RuleErrors) as caught:
        load_rules(folder)
    assert [(each.line, each.message) for each in caught.value.problems] == [
        (2, '"not a member" is no Salesforce id of an account and no domain')
    ]


def test_the_shipped_rules_are_the_ones_that_core_knows_by_itself() -> None:
    made = rules_of(load_rules(), 1).standing
    assert made.stages == stages.DEFAULT_STAGES
    assert made.qualified == stages.QualifiedRules()
    assert made.group == GroupRules()
    assert made == StandingRules()


def test_every_test_of_a_file_reaches_core(tmp_path: Path) -> None:
    lines = """
tiers:
  - {tier: A, where: [{field: industry, equals: Food}]}
  - {tier: B, where: [{field: industry, in: [Food, Retail], not: true}]}
  - {tier: C, where: [{field: name, contains: Inc}, {field: employees, at_least: 10}, {field: employees, below: 20}]}
  - {tier: D, where: [{field: city, missing: true}]}
  - {tier: E, where: [{field: city, missing: false}]}
  - {tier: F, where: [{field: city, missing: false, not: true}]}
"""
    made = rules_of(load_rules(rules(tmp_path, engagement__yaml=lines)), 1).standing.lists.tiers
    told = [" and ".join(conditions.words(each) for each in tier.where) for tier in made]
    assert told == [
        "industry in Food",
        "industry not in Food, Retail",
        "name contains Inc and employees at least 10 and employees below 20",
        "city empty",
        "city not empty",
        "city empty",
    ]


def on(fact: str) -> str:
    """
    A condition on a fact.
    """
    test = "at_least: 1" if fact in get_args(NumberFact) else "in: [Known]"
    return f"[{{field: {fact}, {test}}}]"


FACTS = (*get_args(NumberFact), *get_args(TextFact))
LINES = {
    "tiers": [f"{{tier: T{n}, where: {on(fact)}}}" for n, fact in enumerate(COMPANY_FACTS)],
    "fit": [f"{{name: {fact}, points: 1, where: {on(fact)}}}" for fact in (*COMPANY_FACTS, "tier")],
    "stages": [f"{{stage: Decision, where: {on(fact)}}}" for fact in FACTS if fact not in NOT_YET_AT_STAGES],
    "target_lists": [
        "{name: Known, accounts: [acme.com]}",
        *(f"{{name: {fact}, where: {on(fact)}}}" for fact in FACTS),
    ],
    "profile": [f"{{where: {on(fact)}}}" for fact in FACTS if fact != "list"],
}


def test_rules_may_name_the_facts_that_core_knows_and_no_others() -> None:
    assert set(get_args(NumberFact)) == conditions.NUMBERS
    assert set(get_args(TextFact)) == conditions.TEXTS


@pytest.mark.parametrize("key", LINES)
def test_every_fact_that_rules_may_look_at_is_known_by_the_time_they_do(key: str, tmp_path: Path) -> None:
    listed = f"[{', '.join(LINES[key])}]"
    text = f"{key}: {listed}" if key != "fit" else f"fit: {{by: rules, factors: {listed}}}"
    made = rules_of(load_rules(rules(tmp_path, engagement__yaml=text)), 1).standing
    assert stood(rules=made).standings.height == 1
