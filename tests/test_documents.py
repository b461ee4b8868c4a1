"""
What the documents promise about the code, and the code about them.
"""

import re
from pathlib import Path

from worker.cli.main import COMMANDS

ROOT = Path(__file__).resolve().parent.parent


def sources() -> list[Path]:
    return [path for folder in ("config", "worker", "tasks") for path in (ROOT / folder).rglob("*.py")]


def test_every_error_code_is_explained() -> None:
    used = {code for path in sources() for code in re.findall(r'"(HW-\d{3})"', path.read_text())}
    document = (ROOT / "docs/errors.md").read_text()
    explained = set(re.findall(r"HW-\d{3}", document))
    for first, last in re.findall(r"HW-(\d{3}) to HW-(\d{3})", document):
        explained |= {f"HW-{number}" for number in range(int(first), int(last) + 1)}
    assert used - explained == set()


def test_the_lock_files_hold_hashes_and_no_addresses() -> None:
    parts = ROOT / "tests/clients/parts"
    for file in (ROOT / "requirements.txt", ROOT / "requirements-dev.txt", *parts.glob("*.txt")):
        text = file.read_text()
        assert "://" not in text
        assert "--hash=sha256:" in text
    for file in parts.glob("*/package-lock.json"):
        text = file.read_text()
        assert "://" not in text
        assert text.count('"integrity": "sha512-') == text.count('"version": ')


def test_every_command_that_the_readme_names_exists() -> None:
    named = set(re.findall(r"headwater ([a-z]+(?:-[a-z]+)*)", (ROOT / "README.md").read_text()))
    assert named - set(COMMANDS) == set()


def test_every_link_between_the_documents_leads_somewhere() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} names {target}"
