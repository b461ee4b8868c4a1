"""
The practice orgs' page of documentation: its lines run, and it names what there is.
"""

import re
import shutil
import subprocess
from dataclasses import fields
from pathlib import Path

import pytest

from tests.practice_org import PracticeOrg
from worker.cli.practice import serve_command
from worker.practice.disturbances import KINDS
from worker.practice.salesforce import control
from worker.practice.salesforce.settings import Settings

PAGE = (Path(__file__).resolve().parents[2] / "docs/practice.md").read_text()
SERVED_AT = "http://127.0.0.1:8380"


def pasted() -> list[tuple[str, str]]:
    """
    Each line of the page's shell blocks with what its output has to contain (empty where the page says nothing).
    """
    lines = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
    expected = [after.removeprefix("# -> ") if after.startswith("# -> ") else "" for after in [*lines[1:], ""]]
    return [(line, words) for line, words in zip(lines, expected, strict=True) if not line.startswith("#")]


def test_every_line_of_the_page_does_what_the_page_says() -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    lines = pasted()
    with PracticeOrg() as org:
        marked = "".join(f"{line.replace(SERVED_AT, org.url)}\necho; echo @@{n}\n" for n, (line, _) in enumerate(lines))
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", marked], capture_output=True, text=True, timeout=120, check=False
        )
    assert done.returncode == 0, done.stderr
    outputs = re.split(r"@@\d+\n", done.stdout)
    assert len(lines) > 50
    for (line, words), output in zip(lines, outputs, strict=False):
        assert words in output, f"{line}\nsaid {output!r}\nand the page promises {words!r}"
        assert words or '"error' not in output, f"{line}\nsaid {output!r}"


def test_the_page_names_every_kind_of_fault_and_every_setting() -> None:
    assert {name for name in KINDS if f"`{name}`" not in PAGE} == set()
    assert {each.name for each in fields(Settings) if f"`{each.name}`" not in PAGE} == set()


def test_the_page_tells_the_defaults_that_are() -> None:
    told: dict[str, str] = {}
    for names, values in re.findall(r"^\| (`[a-z0-9_`, ]+`) \| ([^|]+) \|", PAGE, re.MULTILINE):
        for name, value in zip(re.findall(r"`(\w+)`", names), values.split(", ") * 2, strict=False):
            told[name] = value.strip()
    for each in fields(Settings):
        shown = str(each.default).lower().replace("1000000000", "10^9")
        assert told[each.name] == shown, each.name


def test_the_page_names_every_option_of_serve() -> None:
    shared = {"--debug", "--quiet", "-q", "--json"}
    options = {name for each in serve_command.params for name in each.opts} - shared
    assert {name for name in options if f"`{name}" not in PAGE} == set()


def test_the_page_names_every_control_call() -> None:
    source = Path(control.__file__).parent
    names = set()
    for file in ("control.py", "record_control.py", "schema_control.py"):
        names |= set(re.findall(r'^\s+\("([a-z_]+)", "(?:POST|GET|DELETE)"', (source / file).read_text(), re.MULTILINE))
        names |= set(re.findall(r'^            "([a-z_]+)": self\.', (source / file).read_text(), re.MULTILINE))
    assert len(names) > 30
    assert {name for name in names if f"`{name}`" not in PAGE and f"salesforce/{name}" not in PAGE} == set()
