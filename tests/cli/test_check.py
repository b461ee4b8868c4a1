"""
``headwater check``: rule files with mistakes in them are told by file and line, all at once, with what was meant.
"""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Terminal

RULES = Path(__file__).resolve().parents[2] / "config" / "rules"
Spoil = Callable[[str, str, str], int]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(RULES, tmp_path / "rules"))


@pytest.fixture
def spoil(folder: Path) -> Spoil:
    """
    Replace the first ``right`` of a file by ``wrong``; returns the line it stands on.
    """

    def replace(file: str, right: str, wrong: str) -> int:
        path = folder / file
        words = path.read_text()
        assert right in words
        path.write_text(words.replace(right, wrong, 1))
        return words[: words.index(right)].count("\n") + 1

    return replace


def test_sound_rules_end_with_0_and_need_no_network_and_no_database(bare: Terminal, folder: Path) -> None:
    said = bare("check", str(folder))
    assert (said.code, said.err) == (0, "")
    assert "are sound" in said.out
    assert bare("check").code == 0


def test_the_answer_as_json_is_one_envelope(bare: Terminal, folder: Path) -> None:
    said = bare("check", str(folder), "--json")
    assert said.data["status"] == 0
    assert said.data["warnings"] == []
    assert said.data["result"]["models"][0] == "first"


@pytest.mark.parametrize(
    ("file", "right", "wrong", "meant"),
    [
        ("engagement.yaml", "window_days:", "windw_days:", "window_days"),
        ("engagement.yaml", "  c_level: 1.5", "  c_levl: 1.5", "c_level"),
        ("attribution.yaml", "write_model: w ", "write_model: liner ", "linear"),
        ("fields.yaml", "  email: {", "  emial: {", "email"),
    ],
)
def test_a_typo_is_told_by_file_and_line_with_what_was_meant(
    bare: Terminal, folder: Path, spoil: Spoil, file: str, right: str, wrong: str, meant: str
) -> None:
    line = spoil(file, right, wrong)
    said = bare("check", str(folder))
    assert said.code == 2
    assert said.out == ""
    told = re.search(rf"{re.escape(file)}:(\d+)", said.err)
    assert told, said.err
    assert abs(int(told[1]) - line) <= 1, said.err
    assert f"Did you mean {meant}" in said.err.replace('"', "").replace("`", ""), said.err


def test_every_mistake_is_told_at_once(bare: Terminal, folder: Path, spoil: Spoil) -> None:
    spoil("engagement.yaml", "window_days: 90", "window_days: ninety")
    spoil("engagement.yaml", "half_life_days: 30", "half_life_days: -1")
    said = bare("check", str(folder))
    assert said.code == 2
    assert "window_days" in said.err
    assert "half_life_days" in said.err


def test_a_file_that_is_no_yaml_is_told_by_its_line(bare: Terminal, folder: Path, spoil: Spoil) -> None:
    line = spoil("engagement.yaml", "act_now: [", "act_now: [[")
    said = bare("check", str(folder))
    assert said.code == 2
    assert re.search(r"engagement\.yaml:\d+", said.err), said.err
    assert line > 1


def test_negative_weights_are_an_error(bare: Terminal, folder: Path, spoil: Spoil) -> None:
    spoil("attribution.yaml", "first: {weights: {FT: 100}}", "first: {weights: {FT: -1}}")
    said = bare("check", str(folder))
    assert said.code == 2
    assert "attribution.yaml:" in said.err


def test_a_mistake_as_json_is_on_standard_output_with_its_code(bare: Terminal, folder: Path, spoil: Spoil) -> None:
    spoil("engagement.yaml", "window_days:", "windw_days:")
    said = bare("check", str(folder), "--json")
    assert said.code == 2
    assert said.data["status"] == 2
    assert re.fullmatch(r"HW-1\d\d", said.data["name"])
    assert "windw_days" in said.data["message"]


def test_a_folder_that_is_not_there_is_wrong_usage(bare: Terminal, tmp_path: Path) -> None:
    said = bare("check", str(tmp_path / "nowhere"))
    assert said.code == 2
    assert "nowhere" in said.err
