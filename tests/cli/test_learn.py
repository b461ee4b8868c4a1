"""
``headwater learn``: a table of paths, and everything that can be wrong with one.
"""

from fractions import Fraction
from pathlib import Path

import pytest

from tests.cli.conftest import Terminal
from worker.cli.learnt import learning

TABLE = "path,conversions,nulls\nC1 > C2 > C3,1,0\nC1,0,1\n\nC2 > C3,0,1\n"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    file = tmp_path / "paths.csv"
    file.write_text(TABLE)
    return file


def test_markov_tells_each_channels_weight_and_removal_effect(bare: Terminal, table: Path) -> None:
    said = bare("learn", str(table), "--model", "markov", "--json")
    assert (said.code, said.err) == (0, "")
    assert said.data["model"] == "markov"
    assert (said.data["conversions"], said.data["nulls"]) == (1, 2)
    assert said.data["channels"]["C1"] == {"weight": 0.2, "share": "0.2", "conversions": 0.2, "removal_effect": 0.5}
    assert [each["weight"] for each in said.data["channels"].values()] == [0.2, 0.4, 0.4]


def test_shapley_is_exact(bare: Terminal, table: Path) -> None:
    said = bare("learn", str(table), "--model", "shapley", "--json")
    assert {channel: each["share"] for channel, each in said.data["channels"].items()} == dict.fromkeys(
        ("C1", "C2", "C3"), "1/3"
    )


def test_what_is_learnt_can_be_pasted_into_a_deals_models(bare: Terminal, table: Path, tmp_path: Path) -> None:
    said = bare("learn", str(table), "--model", "shapley")
    assert said.code == 0
    line = said.out.splitlines()[-1]
    deal = tmp_path / "deal.yaml"
    deal.write_text(
        "opportunity: {id: o1, amount: 100, currency: EUR, created_at: 2026-01-03T12:00:00Z, outcome: open}\n"
        "people: [{id: p1, role: User}]\n"
        "touchpoints: [{id: t1, person: p1, at: 2026-01-01T12:00:00Z, channel: C1}]\n"
        f"models:\n{line}\n"
    )
    told = bare("credit", str(deal), "--json").data["models"]["shapley"]["pipeline"]
    assert told["credits"][0]["amount"] == "100.00"


def test_nulls_may_be_left_out_and_the_columns_stand_in_any_order(bare: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "paths.csv"
    file.write_text('\ufeffConversions,Path\n2.0,"paid, social>demo"\n')
    said = bare("learn", str(file), "--model", "shapley", "--json")
    assert said.code == 0, said.err
    assert set(said.data["channels"]) == {"paid, social", "demo"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("path,conversion,nulls\na,1,0\n", ':1: unknown column "conversion". Did you mean "conversions"?'),
        ("path;conversions\na;1\n", ':1: unknown column "path;conversions"'),
        ("conversions,nulls\n1,0\n", ':1: the column "path" is missing'),
        ("path,path,conversions\na,a,1\n", ':1: two columns are named "path"'),
        ("", ':1: the column "path" is missing'),
        ("path,conversions,nulls\n", ":2: there is no path under the header"),
        ("path,conversions,nulls\na,1,0\na > > b,1,0\n", ':3: "a > > b" names no channel in one place'),
        ("path,conversions,nulls\n,1,0\n", ':2: "" names no channel'),
        ("path,conversions,nulls\na,one,0\n", ':2: conversions: "one" is no count'),
        ("path,conversions,nulls\na,1,-1\n", ':2: nulls: "-1" is no count'),
        ("path,conversions,nulls\na,1.5,0\n", ':2: conversions: "1.5" is no count'),
        ("path,conversions,nulls\na,1\n", ":2: 2 values under 3 columns"),
        ('path,conversions,nulls\n"a,1,2\n', ":2: not readable as CSV"),
    ],
)
def test_what_is_wrong_is_told_by_its_line(bare: Terminal, tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "paths.csv"
    file.write_text(text)
    said = bare("learn", str(file), "--model", "markov")
    assert (said.code, said.out) == (2, "")
    assert f"{file}{words}" in said.err


def test_a_table_that_is_wrong_throughout_is_told_by_its_first_lines(bare: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "paths.csv"
    file.write_text("path,conversions,nulls\n" + "a,x,0\n" * 1000)
    said = bare("learn", str(file), "--model", "markov")
    assert "the first 20 things to correct" in said.err
    assert said.err.count("is no count") == 20


def test_a_table_in_another_encoding_says_so(bare: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "paths.csv"
    file.write_bytes("path,conversions\nBüro,1\n".encode("latin-1"))
    assert f"{file}:2: not UTF-8" in bare("learn", str(file), "--model", "markov").err


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-16-le"])
def test_a_table_in_utf_16_is_told_by_that_name(bare: Terminal, tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "paths.csv"
    file.write_bytes(TABLE.encode(encoding))
    said = bare("learn", str(file), "--model", "markov")
    assert said.code == 2
    assert "one thing to correct" in said.err
    assert f"{file}:1: the file is UTF-16; save it as UTF-8" in said.err


@pytest.mark.slow
def test_with_nothing_at_all_it_shows_what_is_learnt_by_itself(headwater: Terminal) -> None:
    said = headwater("learn")
    assert said.code == 0, said.err
    assert said.out.startswith("No model of attribution.yaml is learnt.")
    assert headwater("learn", "--json").data["result"] == {"models": [], "learnings": []}


def test_a_learning_is_told_with_what_it_was_learnt_from() -> None:
    told = {
        "id": 7, "model": "markov", "learner": "markov", "since_at": "2025-11-01T00:00:00Z",
        "until_at": "2026-11-01T00:00:00Z", "conversions": 212, "nulls": 340, "rule_version": 4,
        "weights": {"Webinar": "1/3", "Paid search": "2/3"}, "learnt_at": "2026-11-01T09:00:00Z",
    }  # fmt: skip
    first, second = learning(told | {"clocks": ["pipeline", "revenue"]})
    assert first == (
        "markov (markov), learning 7 of 2026-11-01 09:00 UTC, decides pipeline and revenue: 212 won and 340 lost deals "
        "with a touch, closed from 2025-11-01 00:00 UTC to 2026-11-01 00:00 UTC, rules v4."
    )
    assert second == "  Paid search 66.7 %, Webinar 33.3 %"
    (line,) = learning(told | {"weights": None, "conversions": 12})
    assert "not learnt yet, and left out" in line
    assert "12 won and 340 lost deals with a touch; it takes 30 won ones" in line


@pytest.mark.slow
def test_our_own_deals_of_a_period_are_learnt_from(headwater: Terminal) -> None:
    said = headwater("learn", "--model", "markov", "--from", "2001-01-01", "--to", "2001-03-31", "--json")
    assert (said.code, said.data["name"]) == (1, "HW-144")


def test_either_a_table_or_a_period_is_named(bare: Terminal, table: Path) -> None:
    assert bare("learn", "--model", "markov").code == 2
    assert bare("learn", "--model", "markov", "--from", "2001-01-01").code == 2
    both = bare("learn", str(table), "--model", "markov", "--from", "2001-01-01", "--to", "2001-03-31")
    assert (both.code, "either" in both.err) == (2, True)


def test_without_a_conversion_there_is_nothing_to_learn(bare: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "paths.csv"
    file.write_text("path,conversions,nulls\na,0,7\n")
    said = bare("learn", str(file), "--model", "shapley", "--json")
    assert (said.code, said.data["name"]) == (1, "HW-144")
    assert said.data["actions"] == ["add the paths that converted to the table, with their number under conversions"]
    assert bare("learn", str(file)).code == 2


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("webinar -> demo", "is written with arrows; write paid_search > webinar"),
        ("webinar → demo", "is written with arrows; write paid_search > webinar"),
        ("webinar→demo", "is written with arrows; write paid_search > webinar"),
        ("webinar | demo", "is written with bars; write paid_search > webinar"),
    ],
)
def test_arrows_and_bars_are_not_taken_for_names(bare: Terminal, tmp_path: Path, path: str, words: str) -> None:
    file = tmp_path / "paths.csv"
    file.write_text(f"path,conversions\n{path},3\n")
    said = bare("learn", str(file), "--model", "markov")
    assert said.code == 2
    assert f'{file}:2: "{path}" {words}' in said.err


def test_markov_weights_add_up_to_one_exactly(bare: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "paths.csv"
    file.write_text("path,conversions,nulls\nd,7,0\nb,0,3\nb > b > c,7,0\n")
    channels = bare("learn", str(file), "--model", "markov", "--json").data["channels"]
    assert sum(Fraction(channel["share"]) for channel in channels.values()) == 1


def test_puzyrovs_example_gives_three_fifths_to_the_ads(bare: Terminal, tmp_path: Path) -> None:
    """
    Published by Serhii Puzyrov: of five journeys that begin with 4/5 ads and 1/5 mailing four convert. Without ads only
    mailing's 1/5 is left of 4/5, without mailing the 2/4 of ads that convert at once.
    """
    file = tmp_path / "paths.csv"
    file.write_text("path,conversions,nulls\ngoogle ads,2,1\nmailing,1,0\ngoogle ads > mailing,1,0\n")
    told = bare("learn", str(file), "--model", "markov", "--json").data["channels"]
    assert {channel: each["removal_effect"] for channel, each in told.items()} == pytest.approx(
        {"google ads": 0.75, "mailing": 0.5}, abs=1e-12
    )
    assert {channel: each["conversions"] for channel, each in told.items()} == {"google ads": 2.4, "mailing": 1.6}


def test_a_published_set_of_coalitions_has_its_shapley_values(bare: Terminal, tmp_path: Path) -> None:
    """
    Conversions of a hundred by Facebook, Organic and LinkedIn, as published with the worth of each set: 20, 10, 17, and
    47, 67, 27 of two, 100 of all.
    """
    file = tmp_path / "paths.csv"
    file.write_text("path,conversions\nF,20\nO,10\nL,17\nO > F,17\nF > L,30\nF > L > O,3\nO > F > L,3\n")
    told = bare("learn", str(file), "--model", "shapley", "--json").data["channels"]
    # F joins the others in six orders: 20 twice, 47 - 10, 67 - 17, and 100 - 27 twice.
    assert Fraction(told["F"]["share"]) == Fraction(2 * 20 + 37 + 50 + 2 * 73, 600) == Fraction("0.455")
    assert [told[channel]["share"] for channel in "FOL"] == ["0.455", "0.205", "0.34"]
