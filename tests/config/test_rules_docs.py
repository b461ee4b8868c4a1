"""
The manual of the rules and the glossary: nothing that can be set goes unexplained.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from config.rulefiles import SECTIONS, load_rules

DOCS = Path(__file__).parents[2] / "docs"
MANUAL = (DOCS / "rules.md").read_text(encoding="utf-8")
GLOSSARY = (DOCS / "glossary.md").read_text(encoding="utf-8")

WORDS = """
source record, golden record, crosswalk, provenance, survivorship, lead-to-account match, person, account,
opportunity, contact role, buying group, campaign, offer, channel, touchpoint, account act, team, path,
position, first touch, lead creation, opportunity creation, closed won, last touch, middle, credit, basis,
model, lookback window, engagement score, band, engaged, qualified account, fit, in-market, target list, tier,
lifecycle stage, cycle, watermark, outbox, plan, apply, revert, quarantine, resync
"""


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from models_in(argument)


def keys_of(model: type[BaseModel], seen: set[type[BaseModel]]) -> Iterator[str]:
    if model in seen or model.__name__ in ("Predicate", "FieldType", "Milestone"):
        return  # written in a notation of their own, which the manual describes
    seen.add(model)
    for name, field in model.model_fields.items():
        yield field.alias or name
        for inner in models_in(field.annotation):
            yield from keys_of(inner, seen)


@pytest.mark.parametrize("section", sorted(SECTIONS))
def test_every_key_of_a_rule_file_is_in_the_manual(section: str) -> None:
    blocks = re.findall(r"```.*?```", MANUAL, re.DOTALL)
    in_code = " ".join(blocks + re.findall(r"`[^`\n]+`", re.sub(r"```.*?```", "", MANUAL, flags=re.DOTALL)))
    missing = [key for key in keys_of(SECTIONS[section], set()) if not re.search(rf"\b{key}\b", in_code)]
    assert missing == []


def test_the_models_in_the_manual_are_the_shipped_ones() -> None:
    shipped = load_rules().attribution.models
    header, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in MANUAL[MANUAL.index("| model | FT") :].split("\n\n")[0].splitlines()
        if not line.startswith("|---")
    ]
    assert [row[0] for row in rows] == list(shipped)
    for name, *cells in rows:
        told = {position: cell.split(",")[0] for position, cell in zip(header[1:], cells, strict=True) if cell}
        assert told == {position: str(weight) for position, weight in shipped[name].weights.items()}


@pytest.mark.parametrize("word", [word.strip() for word in WORDS.replace("\n", " ").split(",")])
def test_the_glossary_defines_every_word(word: str) -> None:
    heads = [head.lower() for head in re.findall(r"^\*\*(.+?)\*\*", GLOSSARY, re.MULTILINE)]
    assert any(re.search(rf"\b{re.escape(word)}\b", head) for head in heads)
