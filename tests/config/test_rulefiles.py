"""
A folder of rule files: how it is laid over the shipped one, what is reported and where, and what its digest says.
"""

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from config import rulefiles
from config.crosschecks import disagreements
from config.errors import ConfigError
from config.ruleerrors import path_of, words_of
from config.rulefiles import SECTIONS, SHIPPED_RULES, RuleErrors, Rules, load_rules, overlay
from config.yamlfile import Document, Plain


def folder(path: Path, **files: str) -> Path:
    for name, text in files.items():
        (path / f"{name}.yaml").write_text(text, encoding="utf-8")
    return path


def problems(path: Path, **files: str) -> list[str]:
    """
    What is wrong, each as "file:line: message" without the folder.
    """
    with pytest.raises(RuleErrors) as caught:
        load_rules(folder(path, **files))
    return [f"{Path(each.file).name}:{each.line}: {each.message}" for each in caught.value.problems]


def test_a_misspelt_key_is_named_with_its_line_and_the_nearest_right_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config/rules").mkdir(parents=True)
    folder(tmp_path / "config/rules", engagement="# ours\nact_now: []\n\nwindow_dayz: 90\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RuleErrors) as caught:
        load_rules(Path("config/rules"))
    assert (
        '  config/rules/engagement.yaml:4: unknown key "window_dayz". Did you mean "window_days"?'
        in str(caught.value).splitlines()
    )
    assert caught.value.code == "HW-102"
    assert "headwater check" in caught.value.actions


def test_all_errors_of_all_files_come_at_once_by_file_and_line(tmp_path: Path) -> None:
    assert problems(
        tmp_path,
        engagement="bands:\n  - {band: Huge, from_points: 5}\nenter:\n  poinst: 50\nact_now: [demo_reqest]\n",
        attribution="models:\n  mine: {weights: {FT: -1}}\nwrite_model: v\nlookback: 5\n",
        fields="write:\n  Account:\n    engaged: {field: Description}\n",
        service="org: {currency: Euro}\ncycle: {every_minutes: 0}\n",
    ) == [
        'attribution.yaml:2: "FT": must be at least 0',
        'attribution.yaml:3: unknown model "v"',
        'attribution.yaml:4: unknown key "lookback"',
        'engagement.yaml:2: "band": "Huge" is none of High, Medium, Low',
        'engagement.yaml:4: unknown key "poinst". Did you mean "points"?',
        'engagement.yaml:5: unknown touch type "demo_reqest". Did you mean "demo_request"?',
        'fields.yaml:3: "field": "Description" is no custom field; only those are written, their names end in __c',
        'service.yaml:1: "currency": "Euro" is no currency; write its three letters, as EUR',
        'service.yaml:2: "every_minutes": must be at least 1',
    ]


@pytest.mark.parametrize(
    ("section", "text", "expected"),
    [
        ("engagement", "window_days: true\n", 'engagement.yaml:1: "window_days": a whole number is expected'),
        ("engagement", "window_days: ninety\n", 'engagement.yaml:1: "window_days": a whole number is expected'),
        ("engagement", "window_days: 1.5\n", 'engagement.yaml:1: "window_days": a whole number is expected'),
        ("engagement", 'enter: {points: "50"}\n', 'engagement.yaml:1: "points": a number is expected'),
        ("engagement", "enter: 50\n", 'engagement.yaml:1: "enter": keys and values are expected here'),
        ("engagement", "points: {form: {points: .inf}}\n", 'engagement.yaml:1: "points": a number is expected'),
        ("engagement", "points: {webnar: {points: 1}}\n", 'engagement.yaml:1: unknown touch type "webnar"'),
        (
            "engagement",
            "points: {form: {points: 1, most_points: 3}}\n",
            'engagement.yaml:1: "form": a cap needs both "most_points" and "per_days"',
        ),
        (
            "engagement",
            "points: {form: {points: 1, most_points: 3, per_days: 30}}\n",
            'engagement.yaml:1: "per_days": must be 1 or 7',
        ),
        ("engagement", "points: {demo_request: {points: 0}}\n", "engagement.yaml:1: "),
        ("engagement", "stay: {points: 60}\n", 'engagement.yaml:1: "stay.points" is above "enter.points"'),
        ("engagement", "level_weights: {boss: 2}\n", 'engagement.yaml:1: "boss": "boss" is none of c_level'),
        ("service", "org: {timezone: Europe/Belin}\n", 'service.yaml:1: "timezone": "Europe/Belin" is no time zone'),
        ("service", "salesforce: {api_version: 64}\n", 'service.yaml:1: "api_version": "64" is no API version'),
        ("service", "org: {own_domains: acme}\n", 'service.yaml:1: "own_domains" item 1: "acme" is no domain'),
        ("service", "marketing_platform: {kind: marketto}\n", 'Did you mean "marketo"?'),
        ("service", "marketing_platform: {start_on: 5}\n", 'service.yaml:1: "start_on": a day is expected'),
        ("service", "marketing_platform: {start_on: 2025-02-30}\n", 'service.yaml:1: "start_on"'),
        (
            "fields",
            "person: {fields: {emial: {keep: newest}}}\n",
            'unknown field of person "emial". Did you mean "email"?',
        ),
        ("fields", "person: {fields: {email: {keep: latest}}}\n", '"keep": "latest" is none of salesforce'),
        ("fields", "person: {fields: {opted_out: {blank_wins: true}}}\n", "no record comes first"),
        ("fields", "write: {Acount: {engaged: {field: X__c, type: Checkbox}}}\n", 'Did you mean "Account"?'),
        ("fields", "write: {Account: {engagd: {field: X__c, type: Checkbox}}}\n", 'Did you mean "engaged"?'),
        ("fields", "write: {Account: {engaged: {type: Date}}}\n", '"engaged" needs a field of type Checkbox, not Date'),
        ("fields", "write: {Account: {engaged_why: {type: Text(0)}}}\n", "fields.yaml:1: "),
        ("fields", "write: {Account: {engaged_why: {type: Words}}}\n", "fields.yaml:1: "),
        ("fields", "write: {Account: {engaged_why: {field: HW_Engaged__c}}}\n", "both go to HW_Engaged__c"),
        ("fields", "write: {Opportunity: {source_team: {field: StageName}}}\n", '"StageName" is no custom field'),
        ("fields", 'screens: [{label: "Junk: nobody"}]\n', "needs one of"),
        ("attribution", "models: {w: {weights: {FT: 0, LC: 0, OC: 0, middle: 0}}}\n", "add up to nothing"),
        ("attribution", "models: {w: {weights: {FX: 30}}}\n", 'unknown position "FX"'),
        ("attribution", "models: {first: {half_life_days: 30}}\n", 'needs a weight for "middle"'),
        ("attribution", "positions: {demo: {milestone: first demo}}\n", "first touch of type demo_request"),
        ("attribution", "positions: {demo: {milestone: first touch of type dmo}}\n", 'unknown touch type "dmo"'),
        ("attribution", "positions: {FT: {milestone: stage Demo}}\n", "is a position already"),
        ("attribution", "mediums: {CPC: Paid search}\n", 'written in lower case: "cpc"'),
        ("attribution", "types: {open: {label: open, eligible: false, response: true}}\n", "attribution.yaml:1: "),
        ("attribution", "touches: [{from: marketo, type: form}]\n", "is no kind of record"),
        ("attribution", "touches: [{from: marketo.activity, type: from}]\n", 'Did you mean "form"?'),
        ("attribution", "channels: [{types: [form]}]\n", 'exactly one of "channel" and "take"'),
        ("attribution", "channels: [{channel: A, take: medium}]\n", 'exactly one of "channel" and "take"'),
        ("attribution", "models: {w: {channels: {x: 1e-99999999, y: 1}}}\n", "too many digits, to be counted exactly"),
        ("attribution", "models: {w: {weights: {FT: 1e-99999999, LT: 1}}}\n", "too many digits, to be counted exactly"),
        ("attribution", 'models: {w: {channels: {"  ": 1, y: 1}}}\n', "must not be empty"),
        (
            "attribution",
            "touches:\n  - {from: marketo.activity, type: form, where: [{attribute: Link, like: x}]}\n",
            'attribution.yaml:2: "where" item 1: unknown condition "like"',
        ),
        (
            "attribution",
            "touches:\n  - from: marketo.activity\n    type: form\n    where: [{field: asset, in: x, words: y}]\n",
            'attribution.yaml:4: "where" item 1: needs exactly one test',
        ),
        (
            "attribution",
            "touches: [{from: marketo.activity, type: form, where: [{field: assett, equals: x}]}]\n",
            '"assett" is no field; one of asset',
        ),
        (
            "attribution",
            "touches: [{from: marketo.activity, type: form, where: [{field: asset, missing: maybe}]}]\n",
            "take true or false",
        ),
    ],
)
def test_a_wrong_value_is_said_in_plain_words(tmp_path: Path, section: str, text: str, expected: str) -> None:
    found = problems(tmp_path, **{section: text})
    assert any(expected in each for each in found), found
    assert not any("Input should" in each or "Value error" in each for each in found), found


def test_a_broken_file_does_not_hide_the_errors_of_another(tmp_path: Path) -> None:
    found = problems(tmp_path, service="org:\n\tname: x\n", engagement="window_dayz: 1\n")
    assert found[0] == 'engagement.yaml:1: unknown key "window_dayz". Did you mean "window_days"?'
    assert found[1].startswith("service.yaml:2: a tab")


def test_a_misspelt_file_name_is_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "engagment.yaml").write_text("window_days: 30\n")
    assert problems(tmp_path) == ['engagment.yaml:1: unknown rule file. Did you mean "engagement.yaml"?']


def test_an_empty_folder_and_a_missing_one_are_said_to_be_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no rule file"):
        load_rules(tmp_path)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_rules(tmp_path / "nowhere")


def test_a_folder_says_only_what_differs(tmp_path: Path) -> None:
    rules = load_rules(
        folder(
            tmp_path,
            engagement="enter: {points: 60}\nbands: [{band: High, from_points: 60}]\n",
            attribution="models: {u: off, ours: {weights: {FT: 1, CW: 2}}}\n",
        )
    )
    shipped = load_rules()
    assert rules.engagement.enter.points == 60
    assert rules.engagement.enter.people_count == shipped.engagement.enter.people_count
    assert [band.band for band in rules.engagement.bands] == ["High"], "a list is replaced as a whole"
    assert set(rules.attribution.models) == set(shipped.attribution.models) - {"u"} | {"ours"}
    assert rules.service == shipped.service


def test_a_target_can_be_renamed_and_switched_off(tmp_path: Path) -> None:
    targets = load_rules(
        folder(tmp_path, fields="write:\n  Account:\n    engaged: off\n    engaged_why: {field: Why__c}\n  Lead: off\n")
    ).fields.write
    assert "engaged" not in targets["Account"]
    assert targets["Account"]["engaged_why"].field == "Why__c"
    assert str(targets["Account"]["engaged_why"].type) == "Text(255)"
    assert targets["Lead"] == {}


def test_the_digest_is_the_same_however_the_rules_are_laid_out(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one = load_rules(
        folder(
            tmp_path / "a", engagement="half_life_days: 20\nwindow_days: 60\nlevel_weights: {vp: 1.5, director: 2}\n"
        )
    )
    other = load_rules(
        folder(
            tmp_path / "b",
            engagement="# us\nwindow_days:   60\n\nlevel_weights:\n  director: 2.0\n  vp: 1.50\nhalf_life_days: 20\n",
        )
    )
    assert one.digest == other.digest
    assert one.digests == other.digests


def test_the_digest_moves_with_a_value_and_only_in_its_section(tmp_path: Path) -> None:
    changed, shipped = load_rules(folder(tmp_path, engagement="window_days: 91\n")), load_rules()
    assert changed.digest != shipped.digest
    assert {name for name in SECTIONS if changed.digests[name] != shipped.digests[name]} == {"engagement"}


def test_the_order_of_a_list_is_part_of_the_digest(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one = load_rules(folder(tmp_path / "a", attribution="deals: {exclude_types: [Renewal, Clone]}\n"))
    other = load_rules(folder(tmp_path / "b", attribution="deals: {exclude_types: [Clone, Renewal]}\n"))
    assert one.digest != other.digest


def test_a_copy_of_the_shipped_files_is_the_shipped_rules(tmp_path: Path) -> None:
    for file in SHIPPED_RULES.glob("*.yaml"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    assert load_rules(tmp_path).digest == load_rules().digest


def test_rules_cannot_be_changed_once_read() -> None:
    rules = load_rules()
    assert isinstance(rules, Rules)
    with pytest.raises(ValidationError, match="frozen"):
        rules.engagement.window_days = 1  # type: ignore[misc]


def test_numbers_are_text_where_a_platform_numbers_its_types(tmp_path: Path) -> None:
    rules = load_rules(
        folder(
            tmp_path,
            attribution="touches:\n  - {from: marketo.activity, native_type: 100001, type: form,"
            " where: [{attribute: Success, equals: true}, {utm: medium, missing: false}]}\n",
        )
    )
    (rule,) = rules.attribution.touches
    assert rule.native_type == ("100001",)
    success, medium = rule.where
    assert (success.source, success.name, success.test, success.values, success.negated) == (
        "attribute",
        "Success",
        "in",
        ("true",),
        False,
    )
    assert (medium.test, medium.negated) == ("missing", True)


def test_a_position_of_ones_own_can_be_weighed(tmp_path: Path) -> None:
    rules = load_rules(
        folder(
            tmp_path,
            attribution="positions:\n  demo: {milestone: first touch of type demo_request}\n"
            "  proof: {milestone: stage Proof of Concept}\nmodels:\n  ours: {weights: {FT: 20, demo: 50, proof: 30}}\n"
            "write_model: ours\n",
        )
    ).attribution
    assert rules.positions["demo"].touch_type == "demo_request"
    assert rules.positions["proof"].stage == "Proof of Concept"
    assert rules.models["ours"].weights["proof"] == Decimal(30)


JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


def changed(data: Plain, path: list[int], junk: Plain) -> Plain:
    """
    The data with one part of it, found by going down ``path``, replaced by something else.
    """
    if not path or not isinstance(data, dict | list) or not data:
        return junk
    keys = list(data) if isinstance(data, dict) else list(range(len(data)))
    key = keys[path[0] % len(keys)]
    copy = data.copy()
    copy[key] = changed(data[key], path[1:], junk)  # type: ignore[index, call-overload]
    return copy


@settings(max_examples=400)
@given(st.sampled_from(sorted(SECTIONS)), st.lists(st.integers(0, 40), min_size=1, max_size=5), JUNK)
def test_whatever_is_put_in_the_place_of_a_rule_is_read_or_refused_in_words(
    section: str, path: list[int], junk: Plain
) -> None:
    shipped = rulefiles._shipped(section)
    data = changed(shipped.data, path, junk)
    assert isinstance(data, dict)
    place = rulefiles._Place(
        Path(f"{section}.yaml"), Document(data, shipped.lines), shipped, overlay(shipped.data, data)
    )
    rules, errors = rulefiles._validated(SECTIONS[section], place)
    for error in errors:
        assert words_of(error, SECTIONS[section])
        assert place.problem(path_of(error["loc"]), "x").line >= 1
    if rules is not None:
        assert all(words for _, _, words in disagreements({section: rules}))
    assert errors or rules is not None
