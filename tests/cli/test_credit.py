"""
``headwater credit``: a deal described in a file, and everything that can be wrong with one.
"""

import io
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.jsonfile import parse_json
from tests.cli.conftest import Terminal

DEAL: dict[str, Any] = {
    "opportunity": {
        "id": "o1",
        "amount": "84000.00",
        "currency": "USD",
        "created_at": "2020-01-03T12:00:00Z",
        "closed_at": None,
        "outcome": "open",
    },
    "people": [{"id": "p1", "role": "Decision Maker", "lead_created_at": "2020-01-01T12:00:00Z"}],
    "touchpoints": [{"id": "t1", "person": "p1", "at": "2020-01-01T12:00:00Z", "positions": ["FT", "LC"]}],
    "models": {"w": {"weights": {"FT": 30, "LC": 30, "OC": 30, "middle": 10}}},
}


@pytest.fixture
def described(tmp_path: Path) -> Any:
    """
    Writes the deal with parts of it changed, by path; returns the file.
    """

    def write(changes: dict[str, Any] | None = None, name: str = "deal.json") -> str:
        told = json.loads(json.dumps(DEAL))
        for path, value in (changes or {}).items():
            *above, last = [int(part) if part.isdigit() else part for part in path.split(".")]
            here: Any = told
            for part in above:
                here = here[part]
            if value is ...:
                del here[last]
            else:
                here[last] = value
        file = tmp_path / name
        file.write_text(json.dumps(told, indent=1))
        return str(file)

    return write


def amounts(said: Any, model: str = "w", clock: str = "pipeline") -> dict[str, str]:
    told = said.data["models"][model][clock]
    rows = {each["touchpoint"]: each for each in told["credits"]} | {k: told[k] for k in ("pending", "unassigned")}
    return {name: each["amount"] for name, each in rows.items() if each["share"] != "0"}


def test_the_answer_as_json_is_the_credits_and_nothing_around_them(bare: Terminal, described: Any) -> None:
    said = bare("credit", described(), "--json")
    clock = {
        "credits": [{"touchpoint": "t1", "positions": ["FT", "LC"], "share": "0.6", "amount": "50400.00"}],
        "pending": {"share": "0.4", "amount": "33600.00"},
        "unassigned": {"share": "0", "amount": "0.00"},
    }
    assert (said.code, said.err) == (0, "")
    assert said.data == {"opportunity": "o1", "currency": "USD", "models": {"w": {"pipeline": clock, "revenue": clock}}}


def test_yaml_says_the_same_as_json(bare: Terminal, tmp_path: Path, described: Any) -> None:
    file = tmp_path / "deal.yaml"
    file.write_text(
        "opportunity: {id: o1, amount: 84000, currency: USD, created_at: 2020-01-03T12:00:00Z, outcome: open}  # open\n"
        "people: [{id: p1, role: Decision Maker, lead_created_at: 2020-01-01 13:00:00+01:00}]\n"
        "touchpoints:\n  - {id: t1, person: p1, at: 2020-01-01T12:00:00Z, positions: [FT, LC]}\n"
        "models: {w: {weights: {FT: '30', LC: 30.0, OC: 30, middle: 10}}}\n"
    )
    assert bare("credit", str(file), "--json").data == bare("credit", described(), "--json").data


def test_a_deal_may_come_from_standard_input(bare: Terminal, described: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    text = Path(described()).read_bytes()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text)))
    assert amounts(bare("credit", "-", "--json")) == {"t1": "50400.00", "pending": "33600.00"}


def test_without_models_those_of_the_rules_are_taken_and_one_can_be_chosen(bare: Terminal, described: Any) -> None:
    file = described({"models": ..., "touchpoints.0.positions": ...})
    every = bare("credit", file, "--json").data["models"]
    assert list(every) == ["first", "last", "lead_creation", "linear", "u", "w", "full_path", "time_decay"]
    only = bare("credit", file, "--json", "--model", "u").data["models"]
    assert only == {"u": every["u"]}


def test_on_a_terminal_it_is_a_table_with_a_bar_for_each_share(bare: Terminal, described: Any) -> None:
    bare.export(COLUMNS="100")
    said = bare("credit", described())
    assert said.code == 0
    assert "o1: 84,000.00 USD, open" in said.out
    lines = {line.split()[0]: line for line in said.out.splitlines() if line}
    assert "60.00 %  50,400.00  ██████████████████" in lines["t1"]
    assert "40.00 %  33,600.00  ████████████" in lines["(pending)"]


@pytest.mark.parametrize(
    ("amount", "currency", "credited", "pending"),
    [
        ("84000.00", "USD", "50400.00", "33600.00"),
        (84000, "USD", "50400.00", "33600.00"),
        (84000.5, "USD", "50400.30", "33600.20"),
        ("100.005", "USD", "60.003", "40.002"),
        ("1001", "JPY", "601", "400"),
        (1001.0, "JPY", "601", "400"),
        ("1001.0", "JPY", "600.6", "400.4"),
        ("0.001", "KWD", "0.001", "0.000"),
        (7, "KWD", "4.200", "2.800"),
        ("-0.01", "EUR", "-0.01", "0.00"),
        ("0", "EUR", "0.00", "0.00"),
        (None, "EUR", None, None),
        ("9000000000000.99", "EUR", "5400000000000.59", "3600000000000.40"),
    ],
)
def test_money_is_counted_in_the_finer_of_the_currencys_unit_and_the_amounts_own(
    bare: Terminal, described: Any, amount: object, currency: str, credited: str, pending: str
) -> None:
    file = described({"opportunity.amount": amount, "opportunity.currency": currency})
    assert amounts(bare("credit", file, "--json")) == {"t1": credited, "pending": pending}


def test_a_day_alone_is_a_day_of_the_organisations_and_the_same_day_counts_as_before(
    bare: Terminal, described: Any
) -> None:
    same_day = described(
        {
            "opportunity.created_at": "2020-01-03T06:00:00Z",
            "touchpoints.0.at": "2020-01-03",
            "people.0.lead_created_at": "2020-01-03T05:00:00Z",
            "touchpoints.0.positions": ...,
        }
    )
    # Midnight of the day in New York is five o'clock, the lead's own instant.
    assert amounts(bare("credit", same_day, "--json")) == {"t1": "84000.00"}
    closed = described(
        {
            "opportunity.outcome": "won",
            "opportunity.closed_at": "2020-01-31",
            "touchpoints.0.at": "2020-02-01T04:59:59Z",
            "touchpoints.0.positions": ...,
        }
    )
    # The close is the last second of its day, and its touch is in.
    assert "t1" in amounts(bare("credit", closed, "--json"), clock="revenue")


def test_a_touch_after_the_instant_asked_for_has_not_happened(bare: Terminal, described: Any) -> None:
    late = {"id": "t2", "person": "p1", "at": "2020-02-01T12:00:00Z", "positions": ["OC"]}
    file = described({"touchpoints": [*DEAL["touchpoints"], late]})
    # With every milestone reached and no touch in the middle, its 10 go to the others: 60 and 30 of 90.
    assert amounts(bare("credit", file, "--json"), clock="revenue") == {"t1": "56000.00", "t2": "28000.00"}
    before = bare("credit", file, "--json", "--as-of", "2020-01-31T12:00:00Z")
    assert amounts(before, clock="revenue") == {"t1": "50400.00", "pending": "33600.00"}
    not_yet = bare("credit", file, "--json", "--as-of", "2020-01-01T12:00:00Z")
    assert (not_yet.code, not_yet.data["name"]) == (1, "HW-131")
    assert bare("credit", file, "--as-of", "2020-01-31T12:00:00").code == 2


def test_what_is_planned_counts_unless_an_instant_is_asked_for(bare: Terminal, described: Any) -> None:
    file = described({"touchpoints.0.positions": ..., "touchpoints.0.at": "2999-01-01T00:00:00Z"})
    assert "t1" in amounts(bare("credit", file, "--json"), clock="revenue")


def test_a_position_that_no_rule_defines_is_known_from_the_touches(bare: Terminal, described: Any) -> None:
    file = described(
        {
            "touchpoints.0.positions": ["FT", "MQL", "met at a fair"],
            "models": {"own": {"weights": {"FT": 1, "MQL": 1, "SAL": 2}}},
        }
    )
    said = bare("credit", file, "--json")
    assert amounts(said, "own") == {"t1": "42000.00", "pending": "42000.00"}
    assert said.data["models"]["own"]["pipeline"]["credits"][0]["positions"] == ["FT", "MQL", "met at a fair"]


@pytest.mark.parametrize(
    ("changes", "line_of", "words"),
    [
        ({"opportunity.curency": "USD"}, '"curency"', 'unknown key "curency". Did you mean "currency"?'),
        ({"touchpoint": []}, '"touchpoint"', 'unknown key "touchpoint". Did you mean "touchpoints"?'),
        ({"touchpoints": ...}, "{", 'missing "touchpoints"'),
        ({"opportunity.created_at": ...}, '"opportunity"', 'missing "created_at"'),
        ({"opportunity.outcome": "wno"}, '"outcome"', '"wno" is none of open, won, lost. Did you mean "won"?'),
        ({"opportunity.outcome": "won"}, '"outcome"', 'a deal that is won needs "closed_at"'),
        ({"opportunity.amount": "84,000.00"}, '"amount"', '"84,000.00" is no number'),
        ({"opportunity.amount": True}, '"amount"', "a number is expected"),
        ({"opportunity.amount": "NaN"}, '"amount"', "is no number"),
        ({"opportunity.amount": "1e30"}, '"amount"', "too large"),
        ({"opportunity.amount": 92233720368547758.07}, '"amount"', "too large"),
        ({"opportunity.currency": "dollars"}, '"currency"', '"dollars" is no currency'),
        ({"opportunity.created_at": "2020-01-03T12:00:00"}, '"created_at"', "says no time zone"),
        ({"opportunity.created_at": "3 January"}, '"created_at"', "is no instant"),
        ({"opportunity.closed_at": "9999-12-31"}, '"closed_at"', "is no instant of the years 1900 to 8999"),
        ({"opportunity.created_at": 1578052800}, '"created_at"', "an instant is expected"),
        ({"opportunity.created_at": None}, '"created_at"', "an instant is expected"),
        ({"touchpoints.0.at": "2020-01-32T12:00:00Z"}, '"at"', "is no instant"),
        ({"touchpoints.0.person": "p2"}, '"person"', 'touch "t1" is of "p2", who is not among the people'),
        ({"touchpoints.0.positions": ["ft"]}, '"ft"', 'unknown position "ft". Did you mean "FT"?'),
        ({"touchpoints.0.positions": ["middle"]}, '"middle"', "write []"),
        ({"touchpoints.0.positions": ["FT", "FT"]}, '"FT"', '"FT" stands twice on one touch'),
        ({"models.w.weights.FTT": 5}, '"FTT"', 'unknown position "FTT". Did you mean "FT"?'),
        ({"models.w.weights.FT": -5}, '"FT": -5', "must be at least 0"),
        ({"models.w.weights.FT": "lots"}, '"FT": "lots"', "a number is expected"),
        ({"models.w.weights": {"FT": 0}}, '"w"', "the weights add up to nothing"),
        ({"models.w": {}}, '"w"', 'needs "weights", "half_life_days"'),
        ({"models": {}}, '"models"', "there is no model"),
        ({"models.d": {"half_life_days": 0}}, '"half_life_days"', "must be more than 0"),
        ({"models.d": {"half_life_days": "0.0000001"}}, '"half_life_days"', "at most 6 digits may stand behind the"),
        ({"models.w.weights.FT": "1/0"}, '"FT": "1/0"', "a number is expected"),
        ({"models.w.weights.FT": "-1/3"}, '"FT": "-1/3"', "a number is expected"),
        ({"models.w.weights.FT": 30.0123456789}, '"w"', "the weights are finer than a billionth of their sum"),
        ({"models.middle": {"half_life_days": 7}}, '"middle": {', "this cannot be a model name"),
        ({"touchpoints.0.positions": [f"P{n}" for n in range(40)]}, '"touchpoints"', "45 positions are defined"),
        ({"touchpoints.0.id": "x" * 300}, '"id": "xx', "must not be longer than 255"),
        ({"no_touch": "spred"}, '"no_touch"', 'Did you mean "spread"?'),
        ({"positions": {"demo": {"milestone": "the demo"}}}, '"demo"', "first touch of type"),
    ],
)
def test_what_is_wrong_is_told_by_its_line(
    bare: Terminal, described: Any, changes: dict[str, Any], line_of: str, words: str
) -> None:
    file = described(changes)
    said = bare("credit", file)
    assert (said.code, said.out) == (2, "")
    lines = Path(file).read_text().splitlines()
    places = {f"{file}:{number}" for number, line in enumerate(lines, start=1) if line_of in line}
    told = [line for line in said.err.splitlines() if words in line]
    assert told, said.err
    assert any(f"{place}: " in told[0] for place in places), (told, places)


def test_ids_that_stand_twice_name_both_lines(bare: Terminal, described: Any) -> None:
    said = bare("credit", described({"touchpoints": DEAL["touchpoints"] * 2, "people": DEAL["people"] * 2}))
    assert said.code == 2
    assert said.err.count("stands here twice; the first is on line") == 2


def test_every_mistake_is_told_at_once_and_as_json_where_asked(bare: Terminal, described: Any) -> None:
    file = described({"opportunity.outcome": "maybe", "touchpoints.0.at": "noon", "people.0.id": ...})
    said = bare("credit", file, "--json")
    assert (said.code, said.data["name"]) == (2, "HW-130")
    assert "3 things to correct" in said.data["message"]


def test_a_derived_position_must_be_defined(bare: Terminal, described: Any) -> None:
    said = bare("credit", described({"touchpoints.0.positions": ..., "models.w.weights.MQL": 5}))
    assert said.code == 2
    assert 'unknown position "MQL"' in said.err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"opportunity": {"id": "o1",}}', ":1: not readable as JSON: a key in double quotes is expected"),
        ('{"people": [],\n "people": []}', ':2: "people" stands here twice; the first is on line 1'),
        ('{"people": [1, 2}', ":1: not readable as JSON: a comma or a closing bracket is expected"),
        ('{"people": NaN}', ":1: not readable as JSON: a value is expected"),
        ('{"people": "\\ud800"}', ":1: not readable as JSON: half a character"),
        ("[]", ":1: the file must hold keys and values in braces"),
        ("{} {}", ":1: not readable as JSON: something stands behind the end"),
        ("[" * 10_000, ":1: not readable as JSON: nested more than 12 levels deep"),
        ("", ":1: the file is empty"),
        ("\n \n", ":1: the file is empty"),
        ("{}", ":1: the file says nothing of a deal"),
    ],
)
def test_a_file_that_is_no_json_is_told_by_its_line(bare: Terminal, tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "deal.json"
    file.write_text(text)
    said = bare("credit", str(file))
    assert said.code == 2
    assert f"{file}{words}" in said.err


def test_a_file_that_is_no_yaml_is_told_by_its_line(bare: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "deal.yaml"
    file.write_text("opportunity: {id: o1\npeople: []\n")
    said = bare("credit", str(file))
    assert said.code == 2
    assert f"{file}:2: not readable as YAML" in said.err
    file.write_bytes(b"opportunity: \xff\n")
    assert f"{file}:1: not UTF-8" in bare("credit", str(file)).err


def test_wrong_usage_ends_with_2(bare: Terminal, described: Any, tmp_path: Path) -> None:
    assert bare("credit", str(tmp_path / "nowhere.json")).code == 2
    said = bare("credit", described(), "--model", "ww")
    assert said.code == 2
    assert "Did you mean w?" in said.err


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8"), max_size=8),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=4), below, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=4), PLAIN, max_size=4), st.sampled_from([None, 1, "\t"]))
def test_json_is_read_as_python_reads_it(data: dict[str, Any], indent: Any) -> None:
    document = parse_json(json.dumps(data, indent=indent))
    assert (document.flaws, document.data) == ([], data)


@given(st.text(alphabet='{}[]",:0123eE+-. \n\\"nulltrefas', max_size=30))
def test_whatever_is_no_json_is_a_flaw_and_never_a_crash(text: str) -> None:
    document = parse_json(text)
    try:
        known = json.loads(text)
    except ValueError:
        assert document.flaws
    else:
        assert document.flaws or document.data == known


def test_a_person_without_a_role_changes_nothing_not_even_the_instant_that_ages_count_from(
    described: Any, bare: Terminal
) -> None:
    parts = {
        "people": [{"id": "p1", "role": "User", "lead_created_at": "2026-10-01T12:00:00Z"}, {"id": "p2"}],
        "opportunity.created_at": "2026-11-01T12:00:00Z",
        "touchpoints": [
            {"id": "t1", "person": "p1", "at": "2026-10-01T12:00:00Z"},
            {"id": "t2", "person": "p1", "at": "2026-10-08T12:00:00Z"},
        ],
        "models": {"w": {"half_life_days": 7}},
    }
    late = {"id": "t3", "person": "p2", "at": "2027-11-01T12:00:00Z"}
    alone = bare("credit", described(parts), "--json").data
    assert bare("credit", described(parts | {"touchpoints": [*parts["touchpoints"], late]}), "--json").data == alone
    shares = [float(Fraction(each["share"])) for each in alone["models"]["w"]["pipeline"]["credits"]]
    assert shares == pytest.approx([1 / 3, 2 / 3])  # a week is one half-life


def test_pipeline_shares_stay_when_only_a_later_touch_carries_positions(described: Any, bare: Terminal) -> None:
    parts = {
        "touchpoints": [
            {"id": "t1", "person": "p1", "at": "2020-01-01T12:00:00Z"},
            {"id": "t2", "person": "p1", "at": "2020-02-01T12:00:00Z", "positions": ["LC"]},
        ]
    }
    before, after = (
        bare("credit", described(parts), "--json", "--as-of", day).data["models"]["w"]["pipeline"]
        for day in ("2020-01-15", "2020-03-01")
    )
    assert before == after


def test_ids_that_look_like_numbers_stay_as_they_are_written(tmp_path: Path, bare: Terminal) -> None:
    file = tmp_path / "deal.yaml"
    file.write_text(
        "opportunity: {id: 007, amount: 10, created_at: 2020-01-03, outcome: open}\n"
        "people: [{id: 1e3, role: User}]\n"
        "touchpoints: [{id: 1.50, person: 1e3, at: 2020-01-01}, {id: 1.5, person: 1e3, at: 2020-01-02}]\n"
    )
    told = bare("credit", str(file), "--model", "linear", "--json").data
    assert told["opportunity"] == "007"
    assert [each["touchpoint"] for each in told["models"]["linear"]["pipeline"]["credits"]] == ["1.50", "1.5"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"touchpoints.0.positions": ["First Touch"]}, 'No model weighs the position "First Touch"'),
        ({"opportunity.outcome": "won", "opportunity.closed_at": "2019-01-01"}, "closed before it was created"),
        ({"opportunity.closed_at": "2021-01-01"}, "closed_at says nothing"),
        ({"opportunity.currency": "JPN"}, "JPN is no currency of ISO 4217: its money is counted with 2 digits"),
    ],
)
def test_what_is_likely_a_slip_is_said_beside_the_answer(
    described: Any, bare: Terminal, changes: dict[str, Any], words: str
) -> None:
    said = bare("credit", described(changes), "--json")
    assert said.code == 0
    assert words in said.err


def test_a_position_that_many_touches_share_is_divided_among_them(described: Any, bare: Terminal) -> None:
    touches = [
        {"id": f"t{n:02}", "person": "p1", "at": "2020-01-01T12:00:00Z", "positions": ["FT"]} for n in range(23)
    ] + [{"id": f"u{n:02}", "person": "p1", "at": "2020-01-02T12:00:00Z", "positions": ["LC"]} for n in range(19)]
    said = bare(
        "credit", described({"touchpoints": touches, "models": {"w": {"weights": {"FT": 1, "LC": 2}}}}), "--json"
    )
    assert {each["share"] for each in said.data["models"]["w"]["pipeline"]["credits"]} == {"1/69", "2/57"}


def test_names_and_notes_are_for_the_reader_and_what_is_misspelt_is_not_taken_for_one(
    described: Any, bare: Terminal
) -> None:
    told = bare("credit", described(), "--json").data
    notes = {"opportunity.name": "Acme", "people.0.note": ["twice"], "touchpoints.0.source": 3, "source": "a page"}
    assert bare("credit", described(notes), "--json").data == told
    assert 'unknown key "names"' in bare("credit", described({"opportunity.names": "Acme"})).err


def test_an_open_deals_close_is_no_instant_that_ages_count_from(described: Any, bare: Terminal) -> None:
    early = {"id": "t0", "person": "p1", "at": "2019-12-25T09:00:00Z"}
    parts = {"touchpoints": [early, DEAL["touchpoints"][0]], "models": {"w": {"half_life_days": 7}}}
    told = bare("credit", described(parts), "--json").data
    planned = bare("credit", described(parts | {"opportunity.closed_at": "2020-02-11T10:11:12Z"}), "--json")
    assert (planned.data, "closed_at says nothing" in planned.err) == (told, True)


def test_thirds_may_be_written_as_such(described: Any, bare: Terminal) -> None:
    late = {"id": "t2", "person": "p1", "at": "2020-01-02T12:00:00Z", "positions": []}
    parts = {"touchpoints": [*DEAL["touchpoints"], late]}
    weights = [
        {"FT": "1/3", "OC": "1/6", "middle": 0.5},
        {"FT": 2, "OC": 1, "middle": 3},
        {"FT": 0.3333333333333333, "OC": 0.16666666666666666, "middle": 0.5},
    ]
    told = [bare("credit", described(parts | {"models.w.weights": each}), "--json").data for each in weights]
    assert told[0] == told[1] == told[2]
    assert amounts(bare("credit", described(parts | {"models.w.weights": weights[0]}), "--json")) == {
        "t1": "28000.00",
        "t2": "42000.00",
        "pending": "14000.00",
    }


def test_what_steers_a_terminal_is_spelt_out_and_lines_fit_eighty_columns(described: Any, bare: Terminal) -> None:
    bare.export(COLUMNS="80")
    strange = {
        "id": "\x1b[31mred " + "long " * 40,
        "channel": "two\nlines",
        "offer": "a white paper of some forty letters, or more",
    }
    said = bare("credit", described({"touchpoints.0": DEAL["touchpoints"][0] | strange}))
    assert said.code == 0
    assert not [letter for letter in said.out if not letter.isprintable() and letter != "\n"]
    assert "\\x1b[31mred…" in said.out
    assert "two\\nlines" in said.out
    assert max(len(line) for line in said.out.splitlines()) <= 80
    assert "█" in said.out


def test_a_file_of_nothing_but_days_is_counted_in_days(bare: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "deal.yaml"
    # A week is one half-life, also over the night on which clocks are put forward; the lookback counts both its ends.
    file.write_text(
        "opportunity: {id: o1, amount: 15, created_at: 2026-03-29, closed_at: 2026-03-29, outcome: won}\n"
        "people: [{id: p1, role: User, lead_created_at: 2026-03-08}]\n"
        "touchpoints:\n"
        "  - {id: a, person: p1, at: 2026-03-01}\n"
        "  - {id: b, person: p1, at: 2026-03-08}\n"
        "  - {id: c, person: p1, at: 2026-03-22}\n"
        "  - {id: d, person: p1, at: 2026-03-29}\n"
        "  - {id: of old, person: p1, at: 2024-10-05}\n"
        "models: {decay: {half_life_days: 7}, first: {weights: {FT: 1}}, lead: {weights: {LC: 1}}}\n"
    )
    told = bare("credit", str(file), "--json")
    # Of 540 days 77 half-lives and one day have passed: nothing is left of it.
    weights = {"a": Fraction(1, 16), "b": Fraction(1, 8), "c": Fraction(1, 2), "d": Fraction(1)}
    for clock in ("pipeline", "revenue"):
        shares = {
            each["touchpoint"]: Fraction(each["share"]) for each in told.data["models"]["decay"][clock]["credits"]
        }
        assert shares == {name: weight / sum(weights.values()) for name, weight in weights.items()}
        assert amounts(told, "first", clock) == {"of old": "15.00"}
        assert amounts(told, "lead", clock) == {"b": "15.00"}
    # Somebody without a role changes nothing, also by telling the minute.
    text = file.read_text().replace("people: [", "people: [{id: p2}, ")
    file.write_text(text.replace("touchpoints:", "touchpoints:\n  - {id: e, person: p2, at: 2026-03-02T08:00:00Z}"))
    assert bare("credit", str(file), "--json").data == told.data


def test_a_yaml_file_that_would_take_minutes_is_asked_for_as_json(bare: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "deal.yaml"
    file.write_text("story: >\n" + "  a long one\n" * 400_000)
    said = bare("credit", str(file))
    assert said.code == 2
    assert f"{file}:1: larger than 4 MB" in said.err


def test_an_error_does_not_steer_the_terminal_either(described: Any, bare: Terminal) -> None:
    said = bare("credit", described({"touchpoints.0.person": "\x1b[2Jnobody"}))
    assert said.code == 2
    assert 'is of "\\x1b[2Jnobody", who is not among the people' in said.err
    assert "\x1b" not in said.err


def test_a_close_that_comes_after_the_instant_asked_for_is_pending_whatever_a_touch_carries(
    described: Any, bare: Terminal
) -> None:
    parts: dict[str, Any] = {
        "opportunity.amount": "1000.00",
        "opportunity.closed_at": "2020-06-01T12:00:00Z",
        "opportunity.outcome": "won",
        "touchpoints": [
            {"id": "t1", "person": "p1", "at": "2020-01-01T12:00:00Z", "positions": ["FT", "LC"]},
            {"id": "t2", "person": "p1", "at": "2020-01-02T12:00:00Z", "positions": ["OC"]},
            {"id": "t3", "person": "p1", "at": "2020-05-20T12:00:00Z", "positions": ["CW"]},
        ],
        "models": {"w": {"weights": {"FT": 22.5, "LC": 22.5, "OC": 22.5, "CW": 22.5, "middle": 10}}},
    }
    shared = {"t1": "500.00", "t2": "250.00", "t3": "250.00"}
    before = {"t1": "450.00", "t2": "225.00", "t3": "100.00", "pending": "225.00"}
    for outcome in ("won", "lost"):
        file = described(parts | {"opportunity.outcome": outcome})
        assert amounts(bare("credit", file, "--json"), clock="revenue") == shared
        assert amounts(bare("credit", file, "--json", "--as-of", "2020-06-01T12:00:00Z"), clock="revenue") == shared
        earlier = bare("credit", file, "--json", "--as-of", "2020-05-25T00:00:00Z")
        assert amounts(earlier, clock="revenue") == before
        assert earlier.data["models"]["w"]["revenue"]["credits"][2]["positions"] == []
    # The same deal with its positions derived says the same.
    plain = [{key: value for key, value in each.items() if key != "positions"} for each in parts["touchpoints"]]
    twin = bare("credit", described(parts | {"touchpoints": plain}), "--json", "--as-of", "2020-05-25T00:00:00Z")
    assert amounts(twin, clock="revenue") == before
    # A deal that was never closed has no date of a close: there the touch says it.
    still_open = described(parts | {"opportunity.outcome": "open", "opportunity.closed_at": None})
    for asked in ([], ["--as-of", "2020-05-25T00:00:00Z"]):
        assert amounts(bare("credit", still_open, "--json", *asked), clock="revenue") == shared


@pytest.mark.parametrize("weighed", ["FT", "demo"])
@pytest.mark.parametrize("carried", [["demo"], [f"P{n}" for n in range(40)], []])
def test_what_a_person_without_a_role_carries_names_no_position(
    described: Any, bare: Terminal, weighed: str, carried: list[str]
) -> None:
    touches = [
        {"id": "t1", "person": "p1", "at": "2020-01-01T12:00:00Z", "type": "form"},
        {"id": "t2", "person": "p1", "at": "2020-01-02T12:00:00Z", "type": "demo"},
    ]
    parts = {
        "people": [DEAL["people"][0], {"id": "p2", "role": None}],
        "models": {"w": {"weights": {weighed: 30, "LC": 30, "OC": 30, "middle": 10}}},
    }
    stranger = {"id": "x1", "person": "p2", "at": "2020-01-02T13:00:00Z", "type": "form", "positions": carried}
    alone = bare("credit", described(parts | {"touchpoints": touches}), "--json")
    beside = bare("credit", described(parts | {"touchpoints": [*touches, stranger]}), "--json")
    assert alone.code == (0 if weighed == "FT" else 2)
    if alone.code == 0:
        assert (beside.code, beside.data, beside.err) == (0, alone.data, alone.err)
    else:
        assert (beside.code, 'unknown position "demo"' in beside.err) == (2, True)
    # Where nobody has a role, everybody may stand, and what they carry counts.
    nobody = parts | {"people": [{"id": "p1"}, {"id": "p2"}], "touchpoints": [*touches, stranger]}
    assert bare("credit", described(nobody), "--json").code == (2 if len(carried) == 40 else 0)


def test_positions_without_brackets_are_asked_for_with_them(bare: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "deal.yaml"
    text = (
        "opportunity: {id: o1, amount: 10, created_at: 2020-01-03, outcome: open}\n"
        "people: [{id: p1, role: User}]\n"
        "touchpoints:\n  - id: t1\n    person: p1\n    at: 2020-01-01\n    positions: POSITIONS\n"
    )
    for written in ("FT, LC", "FT,LC", "FT; LC"):
        file.write_text(text.replace("POSITIONS", written))
        said = bare("credit", str(file))
        assert said.code == 2
        assert f'{file}:7: "positions": "{written}" is one text and not several positions; write [FT, LC]' in said.err
    file.write_text(text.replace("POSITIONS", "FT"))
    told = bare("credit", str(file), "--model", "first", "--json").data["models"]["first"]["pipeline"]["credits"]
    assert told[0]["positions"] == ["FT"]


@pytest.mark.parametrize(
    "model",
    [
        "{weights: {FT: NUMBER, LC: 30}}",
        "{weights: {FT: 1, middle: 1}, half_life_days: NUMBER}",
        "{channels: {web: NUMBER, fair: 1}}",
    ],
)
@pytest.mark.parametrize("number", ["1e99999", "1e-99999", "1e99999999", "1e-99999999", "0." + "3" * 5000])
def test_a_number_without_end_is_refused_at_once(bare: Terminal, tmp_path: Path, model: str, number: str) -> None:
    text = (
        "opportunity: {id: o1, amount: 10, created_at: 2020-01-03, outcome: open}\n"
        "people: [{id: p1, role: User}]\n"
        "touchpoints: [{id: t1, person: p1, at: 2020-01-01, channel: web}]\n"
    )
    file = tmp_path / "deal.yaml"
    for written in (number, f'"{"0" * 1000}{number}"'):
        file.write_text(f"{text}models:\n  m: {model.replace('NUMBER', written)}\n")
        said = bare("credit", str(file))
        assert (said.code, said.out) == (2, "")
        assert f"{file}:5: " in said.err
        assert "too large, or with too many digits, to be counted exactly" in said.err


@pytest.mark.parametrize(
    ("models", "name", "words"),
    [
        ({"w": {"weights": {"FT": 1e-30, "LC": 30, "middle": 10}}}, "w", "finer than a billionth of their sum"),
        (
            {"w": {"weights": {"FT": 1, "LC": 1e-13, "middle": 10}, "half_life_days": 7}},
            "w",
            "finer than a millionth of their sum",
        ),
        ({"w": {"channels": {"web": 1, "fair": 1e-30}}}, "fair", '"fair" is too small beside the others'),
    ],
)
def test_a_weight_too_small_to_be_divided_is_refused_and_not_dropped(
    described: Any, bare: Terminal, models: dict[str, Any], name: str, words: str
) -> None:
    file = described({"models": models})
    said = bare("credit", file)
    assert (said.code, said.out) == (2, "")
    (line,) = (n for n, text in enumerate(Path(file).read_text().splitlines(), start=1) if f'"{name}": ' in text)
    assert f"{file}:{line}: " in said.err
    assert words in said.err


def test_a_weight_may_be_a_billionth_of_the_others_and_a_channels_a_million_times_less(
    described: Any, bare: Terminal
) -> None:
    exact = {"w": {"weights": {"FT": 0.001, "OC": 900_000, "middle": 99_999.999}}}
    told = bare("credit", described({"models": exact | {"c": {"channels": {"web": 10**15 - 1, "fair": 1}}}}), "--json")
    assert told.code == 0, told.err
    assert told.data["models"]["w"]["pipeline"]["credits"][0]["share"] == "0.000000001"


@pytest.mark.parametrize("number", ["9" * 5000, "1e" + "9" * 30])
def test_a_number_in_json_that_no_computer_counts_is_told_by_its_line(
    described: Any, bare: Terminal, number: str
) -> None:
    file = described()
    text = Path(file).read_text().replace('"84000.00"', number)
    Path(file).write_text(text)
    said = bare("credit", file)
    assert said.code == 2
    assert f"{file}:4: " in said.err
    assert '"amount"' in said.err
    Path(file).write_text(Path(described()).read_text().replace('"FT": 30', f'"FT": {number}'))
    weighed = bare("credit", file)
    assert (weighed.code, '"FT"' in weighed.err) == (2, True)


def test_ids_in_json_stay_as_they_are_written_too(bare: Terminal, described: Any) -> None:
    file = described({"touchpoints.0.person": 1, "people.0.id": 1, "touchpoints.0.id": 2, "opportunity.id": 3})
    text = Path(file).read_text().replace('"id": 1,', '"id": 1e5,').replace('"person": 1,', '"person": 1e5,')
    long = "8" * 5000
    Path(file).write_text(text.replace('"id": 2,', '"id": 1.50,').replace('"id": 3,', '"id": 1E2,'))
    told = bare("credit", file, "--json").data
    assert told["opportunity"] == "1E2"
    assert told["models"]["w"]["pipeline"]["credits"][0]["touchpoint"] == "1.50"
    Path(file).write_text(text.replace('"id": 2,', f'"id": {long},'))
    assert "must not be longer than 255" in bare("credit", file).err


@pytest.mark.parametrize(
    ("changes", "line_of", "words"),
    [
        ({"models.w ": {"half_life_days": 7}}, '"w "', '"w " and "w" are the same name; the first is on line'),
        ({"models.w.weights.FT ": 5}, '"FT "', '"FT " and "FT" are the same name; the first is on line'),
        ({"models.c": {"channels": {"web": 1, " web": 2}}}, '" web"', '" web" and "web" are the same name'),
        ({"models.c": {"channels": {"web": 1, "  ": 2}}}, '"  "', '"  " is no name; it must not be empty'),
        (
            {"positions": {"d": {"milestone": "stage A"}, "d ": {"milestone": "stage B"}}},
            '"d "',
            '"d " and "d" are the same name',
        ),
        ({"touchpoints.0.positions": ["FT", "FT "]}, '"FT "', '"FT" stands twice on one touch'),
        ({"opportunity.id": "  "}, '"id": "  "', '"id": must not be empty'),
        ({"opportunity.id": ""}, '"id": ""', '"id": must not be empty'),
        ({"people.0.id": " \t"}, '"id": " \\t"', '"id": must not be empty'),
        ({"touchpoints.0.positions": [" "]}, '" "', "must not be empty"),
        ({"touchpoints.0.positions": ["F t"]}, '"F t"', 'unknown position "F t". Did you mean "FT"?'),
        ({"touchpoints.0.positions": ["Lt "]}, '"Lt "', 'unknown position "Lt". Did you mean "LT"?'),
        ({"touchpoints.0.positions": ["Middle"]}, '"Middle"', "write []"),
        ({"models.w.weights.lc": 5}, '"lc"', 'unknown position "lc". Did you mean "LC"?'),
    ],
)
def test_names_that_are_the_same_or_empty_once_trimmed_are_told_by_their_line(
    bare: Terminal, described: Any, changes: dict[str, Any], line_of: str, words: str
) -> None:
    test_what_is_wrong_is_told_by_its_line(bare, described, changes, line_of, words)


def test_a_carried_position_that_differs_by_more_than_case_is_ones_own(described: Any, bare: Terminal) -> None:
    file = described(
        {
            "touchpoints.0.positions": ["FT1", "LT2", "stage2"],
            "positions": {"stage1": {"milestone": "stage Negotiation"}},
            "models": {"own": {"weights": {"FT1": 1, "LT2": 1, "stage2": 1, "stage3": 1}}},
        }
    )
    said = bare("credit", file, "--json")
    assert (said.code, said.err) == (0, "")
    assert amounts(said, "own") == {"t1": "63000.00", "pending": "21000.00"}


@pytest.mark.parametrize("text", ["- opportunity\n", "opportunity\n"])
def test_a_file_without_keys_is_told_a_key_that_a_deal_has(bare: Terminal, tmp_path: Path, text: str) -> None:
    file = tmp_path / "deal.yaml"
    file.write_text(text)
    said = bare("credit", str(file))
    assert said.code == 2
    assert f"{file}:1: the file must hold keys and values, such as  opportunity: {{" in said.err
