"""
Deals described by days alone, or by days beside instants.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Terminal

# The first touch came 540 days before the creation, which lies in summer time in New York, unlike the others.
DEAL: dict[str, Any] = {
    "opportunity": {
        "id": "o1",
        "amount": "100000.00",
        "currency": "USD",
        "created_at": "2020-03-20",
        "outcome": "open",
    },
    "people": [{"id": "p1", "role": "DM"}],
    "touchpoints": [
        {"id": "t0", "person": "p1", "at": "2018-09-27", "type": "form"},
        {"id": "t1", "person": "p1", "at": "2020-03-01", "type": "form"},
        {"id": "t2", "person": "p1", "at": "2020-03-15", "type": "form"},
    ],
    "models": {"decay": {"half_life_days": 7}, "linear": {"weights": {"middle": 1}}},
}
LATER = {"id": "t9", "person": "p1", "type": "form"}


@pytest.fixture
def credited(bare: Terminal, tmp_path: Path) -> Any:
    def credit(deal: dict[str, Any], *options: str) -> dict[str, Any]:
        path = tmp_path / "deal.json"
        path.write_text(json.dumps(deal), encoding="utf-8")
        said = bare("credit", str(path), "--json", *options)
        assert said.code == 0, said
        return json.loads(said.out)["models"]  # type: ignore[no-any-return]

    return credit


def amounts(part: dict[str, Any]) -> dict[str, str]:
    return {each["touchpoint"]: each["amount"] for each in part["credits"]}


def positions(part: dict[str, Any]) -> dict[str, list[str]]:
    return {each["touchpoint"]: each["positions"] for each in part["credits"]}


@pytest.mark.parametrize(
    ("told", "options"),
    [
        ({}, ()),
        ({}, ("--as-of", "2021-01-01")),
        ({}, ("--as-of", "2021-01-01T00:00:00Z")),
        ({"opportunity": {"closed_at": "2020-12-01T00:00:00Z"}}, ()),
        ({"opportunity": {"closed_at": "2020-06-01T17:00:00Z", "outcome": "won"}}, ()),
        ({"touchpoints": [{**LATER, "at": "2020-05-01T10:00:00Z"}]}, ()),
        ({"touchpoints": [{**LATER, "at": "2020-05-01"}]}, ()),
        ({"people": {"lead_created_at": "2020-03-01T15:00:00Z"}}, ()),
    ],
)
def test_no_instant_told_beside_days_moves_the_pipeline(credited: Any, told: dict[str, Any], options: Any) -> None:
    deal = {
        **DEAL,
        "opportunity": DEAL["opportunity"] | told.get("opportunity", {}),
        "people": [DEAL["people"][0] | told.get("people", {})],
        "touchpoints": DEAL["touchpoints"] + told.get("touchpoints", []),
    }
    found = credited(deal, *options)
    assert amounts(found["linear"]["pipeline"]) == {"t0": "33333.34", "t1": "33333.33", "t2": "33333.33"}
    assert amounts(found["decay"]["pipeline"]) == {"t1": "20000.00", "t2": "80000.00"}


def test_times_of_day_put_a_days_touches_in_order(credited: Any) -> None:
    touches = [
        {"id": "a", "person": "p1", "at": "2020-03-15T18:00:00Z", "type": "form"},
        {"id": "b", "person": "p1", "at": "2020-03-15T17:00:00Z", "type": "form"},
        {"id": "c", "person": "p1", "at": "2020-03-15", "type": "form"},
    ]
    found = credited({**DEAL, "touchpoints": touches})["linear"]["pipeline"]
    assert positions(found) == {"c": ["FT"], "b": [], "a": ["OC", "LT"]}
    assert [each["touchpoint"] for each in found["credits"]] == ["c", "b", "a"]


def test_a_touch_late_on_the_day_of_the_creation_counts_as_before(credited: Any) -> None:
    late = {**LATER, "at": "2020-03-20T23:59:59.900-04:00"}
    found = credited({**DEAL, "touchpoints": [*DEAL["touchpoints"], late]})["linear"]["pipeline"]
    assert positions(found)["t9"] == ["OC", "LT"]


@pytest.mark.parametrize(
    "opportunity",
    [
        {"created_at": "2020-01-03T15:00:00Z", "outcome": "open"},
        {"created_at": "2020-01-03", "outcome": "open"},
        {"created_at": "2020-01-01T09:00:00Z", "closed_at": "2020-01-03T15:00:00Z", "outcome": "won"},
    ],
)
def test_a_lead_created_on_the_day_of_the_clock_is_created_by_then(credited: Any, opportunity: dict[str, str]) -> None:
    deal = {
        "opportunity": {"id": "o1", "amount": "1000.00", "currency": "USD", **opportunity},
        "people": [{"id": "p1", "role": "DM", "lead_created_at": "2020-01-03"}],
        "touchpoints": [
            {"id": "t1", "person": "p1", "at": "2020-01-02", "type": "form"},
            {"id": "t2", "person": "p1", "at": "2020-01-03", "type": "form"},
        ],
        "models": {"w": {"weights": {"FT": 30, "LC": 30, "OC": 30, "middle": 10}}},
    }
    revenue = credited(deal)["w"]["revenue"]
    assert revenue["pending"]["share"] == "0"
    assert "LC" in positions(revenue)["t2"]
