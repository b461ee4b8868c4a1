"""
The worked cases of this folder: each is credited by ``headwater credit`` and must come out as it says.
"""

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from config.yamlfile import read_yaml
from tests.cli.conftest import Terminal

EXAMPLES = sorted(Path(__file__).parent.glob("*.yaml"))


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Terminal:
    run = Terminal(monkeypatch, capfd)
    run.export(HEADWATER_HOME=tmp_path)
    run.unset("HEADWATER_RULES")
    return run


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_the_worked_case_comes_out_as_told(terminal: Terminal, file: Path) -> None:
    expected: Any = read_yaml(file).data["expected"]
    as_of = expected.pop("as_of", None)
    said = terminal("credit", str(file), "--json", *(["--as-of", as_of] if as_of else []))
    assert said.code == 0, said.err
    assert {
        model: {clock: items_of(told) for clock, told in clocks.items()}
        for model, clocks in said.data["models"].items()
    } == {
        model: {
            clock: {item: (Fraction(str(share)), money) for item, (share, money) in items.items()}
            for clock, items in clocks.items()
        }
        for model, clocks in expected.items()
    }


def items_of(told: dict[str, Any]) -> dict[str, tuple[Fraction, str | None]]:
    rows = {each["touchpoint"]: each for each in told["credits"]} | {k: told[k] for k in ("pending", "unassigned")}
    shares = {name: (Fraction(each["share"]), each["amount"]) for name, each in rows.items()}
    return {name: part for name, part in shares.items() if part[0]}
