"""
An account's flag and standing as people read them, and what a backtest says.
"""

from datetime import date
from typing import Any

from worker.cli.backtest import told
from worker.cli.why_account import flag, standing
from worker.core.engagement.backtest import Backtest

DETAIL: dict[str, Any] = {
    "fit_told": "Fit was learnt from 40 won and 50 lost accounts.",
    "in_market_told": "In-market was learnt.",
    "fit_factors": [["the average account, without its classes", 44], ["industry in Machinery", 22]],
    "in_market_why": [["requests to be called", 3.1], ["size of the company", 0.8]],
    "stage_why": "requests count at least 1",
    "group": ["economic", "end_user"],
    "lists": ["Named"],
    "topics": [],
    "trend": "rising",
    "spike": {"week_milli": 12_500, "before_milli": 5_000, "week_people": 2},
    "people_needed": 2,
    "missing": [],
    "in_market_times": 3.4,
}
STANDING: dict[str, Any] = {
    "tier": "A",
    "in_profile": True,
    "fit": 66,
    "fit_band": "moderate",
    "intent_milli": 0,
    "spiked_at": None,
    "stage": "Decision",
    "in_market": 0.1234,
    "group_engaged": 2,
    "group_needed": 5,
    "group_gap": "technical",
    "qualified": True,
    "qualified_since_at": "2026-11-01T00:00:00Z",
    "detail": DETAIL,
}


def answer(**values: Any) -> dict[str, Any]:
    return {
        "standing": {**STANDING, **values},
        "lists": [{"list": "Named", "left_at": None}, {"list": "Old", "left_at": "2026-01-01"}],
        "verdicts": [],
    }


def test_a_standing_says_why_in_every_line() -> None:
    lines = list(standing(answer()))
    assert lines[1:3] == [
        "Qualified account since 2026-11-01.",
        "Stage Decision: requests count at least 1.",
    ]
    assert "Fit 66, moderate:" in lines
    assert (
        "In-market 12.3% within 90 days, 3.4 times the average; what moves its odds: requests to be called x3.1, "
        "size of the company x0.8." in lines
    )
    assert "Buying group 2 of 5 (economic, end user); next to win: technical." in lines
    assert "Tier A, in the ideal customer profile, on Named." in lines


def test_what_cannot_be_told_says_so() -> None:
    short = {**DETAIL, "fit_told": "Fit was not learnt: 3 won.", "in_market_why": [], "missing": ["fit", "people"]}
    lines = list(standing(answer(fit=None, in_market=None, qualified=False, detail=short)))
    assert "Not a qualified account: lacks a strong or moderate fit, more active people." in lines
    assert "Fit unknown: Fit was not learnt: 3 won." in lines
    assert "In-market was learnt." in lines


def test_a_fit_that_was_cut_says_what_its_factors_sum_to() -> None:
    high = {**DETAIL, "fit_factors": [["large", 90], ["machines", 30]]}
    assert "Fit 100, strong (the factors sum to 120; a fit is between 0 and 100):" in standing(
        answer(fit=100, fit_band="strong", detail=high)
    )


def test_what_is_missing_is_said_in_words() -> None:
    found = {
        "engaged": False,
        "since_at": None,
        "until_at": None,
        "band": "Low",
        "rule_version": 1,
        "decided_at": "2026-11-18T12:00:00Z",
        "why": None,
        "points_milli": 20_000,
        "people_count": 1,
        "detail": {
            "missing": {"points_milli": 30_000, "people": 1, "human_act": False, "target": True},
            "enter_points_milli": 50_000,
            "stay_points_milli": 25_000,
            "people_needed": 2,
            "window_days": 90,
            "half_life_days": 30,
            "acts": [],
        },
    }
    lines = list(flag({"engagement": found, "people": [], "below": {"accounts": 3, "engaged": 1}}))
    assert lines[1].startswith(
        "Not engaged: lacks 30 points, 1 more people, a place in the customer profile or a target list. Band Low"
    )
    assert "  Below it stand 3 accounts, 1 of them engaged." in lines


def test_a_backtest_says_how_much_the_flag_was_worth() -> None:
    band = {"fit_band": "strong", "flagged": 10, "flagged_opened": 4, "unflagged": 100, "unflagged_opened": 10}
    found = Backtest(date(2025, 11, 18), [band], 10, 4, 0.4, 0.1, 4.0, 4 / 14)
    versions = [{"rule_version": 3, "flagged": 12, "ripe": 8, "opened": 2, "wrong": 1, "not_interested": 0}]
    lines = list(told(found, versions))
    assert (
        "40.0% of 10 flagged accounts opened one; unflagged accounts of the same fit 10.0%, 4.0 times as many." in lines
    )
    assert "28.6% of all openings had been flagged." in lines
    assert any(line.split()[:4] == ["v3", "12", "8", "2"] for line in lines)
