"""
An account's flag and standing as people read them: the acts whose points sum to the score, what fit is made of, why it
is at its stage, what makes it likely to buy, who of the buying group is missing, and its lists. Called by ``why``.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from worker.cli.output import table
from worker.core.instants import to_the_minute

SHOWN_ACTS = 25
_LACKS = {
    "fit": "a strong or moderate fit",
    "stage": "the stage Decision or Purchase",
    "people": "more active people",
    "excluded": "not being left out",
}


def flag(answer: dict[str, Any]) -> Iterator[str]:
    """
    Whether it is engaged, the sentence, and every act with its points; they sum to the score.
    """
    found = answer["engagement"]
    yield ""
    if found is None:
        yield "Nothing was decided about its engagement yet."
        return
    detail = found["detail"]
    state = (
        f"engaged since {found['since_at'][:10]}, lapses {found['until_at'][:10]} if quiet"
        if found["engaged"]
        else f"not engaged: {_missing(detail)}"
    )
    decided = to_the_minute(found["decided_at"])
    yield f"{state[0].upper()}{state[1:]}. Band {found['band']}, rules v{found['rule_version']}, decided {decided}."
    if found["why"]:
        yield f"  {found['why']}"
    below = answer.get("below") or {"accounts": 0}
    if below["accounts"]:
        yield f"  Below it stand {below['accounts']:,} accounts, {below['engaged']:,} of them engaged."
    acts = detail.get("acts", [])
    yield (
        f"{points(found['points_milli'])} points (needs {points(detail['enter_points_milli'])} to enter, "
        f"{points(detail['stay_points_milli'])} to stay), {found['people_count']} people "
        f"(needs {detail['people_needed']}), {detail['window_days']} days, halved every {detail['half_life_days']}. "
        "Each act's points are rounded to a thousandth; they sum to the score."
    )
    yield from _acts(acts, {person["id"]: person["name"] for person in answer["people"]})


def _acts(acts: list[dict[str, Any]], names: dict[int, str]) -> Iterator[str]:
    yield from table(
        ("DAY", "ACT", "WHO", "RAW", "WEIGHT", "AGE", "POINTS"),
        [
            [
                act["on"],
                act["label"] + (f" (screened: {act['screened']})" if act["screened"] else ""),
                names.get(act["person_id"], "the account itself" if act["person_id"] is None else "-"),
                points(act["raw_milli"]),
                points(act["weight_milli"]),
                f"{act['age_days']} d",
                points(act["points_milli"]),
            ]
            for act in acts[:SHOWN_ACTS]
        ],
        right=(3, 4, 5, 6),
    )
    if len(acts) > SHOWN_ACTS:
        rest = sum(act["points_milli"] for act in acts[SHOWN_ACTS:])
        yield f"and {len(acts) - SHOWN_ACTS} more acts with {points(rest)} points (all of them: --json)"


def _missing(detail: dict[str, Any]) -> str:
    if detail.get("excluded"):
        return f"excluded ({detail['excluded']})"
    lacks = detail.get("missing") or {}
    words = [
        (lacks.get("points_milli"), f"{points(lacks.get('points_milli', 0))} points"),
        (lacks.get("people"), f"{lacks.get('people')} more people"),
        (lacks.get("human_act"), "a fresh act by a person"),
        (lacks.get("target"), "a place in the customer profile or a target list"),
    ]
    return "lacks " + ", ".join(text for is_lacking, text in words if is_lacking)


def standing(answer: dict[str, Any]) -> Iterator[str]:
    """
    Fit, intent, stage, in-market, buying group, qualified, lists.
    """
    found = answer.get("standing")
    if found is None:
        return
    detail = found["detail"]
    yield ""
    yield _qualified(found, detail)
    yield f"Stage {found['stage']}: {detail['stage_why']}."
    yield from _fit(found, detail)
    yield from _in_market(found, detail)
    spike = detail["spike"]
    topics = f" ({', '.join(detail['topics'])})" if detail["topics"] else ""
    peak = "a spike" if found["spiked_at"] else detail["trend"]
    yield (
        f"Intent {points(found['intent_milli'])} points{topics}. The week before the decision: "
        f"{points(spike['week_milli'])} points by {spike['week_people']} people, the four before "
        f"{points(spike['before_milli'])} on average: {peak}."
    )
    engaged = ", ".join(part.replace("_", " ") for part in detail["group"]) or "nobody whose part is known"
    gap = f"; next to win: {found['group_gap']}" if found["group_gap"] else ""
    yield f"Buying group {found['group_engaged']} of {found['group_needed']} ({engaged}){gap}."
    in_lists = [each["list"] for each in answer["lists"] if each["left_at"] is None]
    profile = "in the ideal customer profile" if found["in_profile"] else "not in the ideal customer profile"
    tier = f"Tier {found['tier']}" if found["tier"] else "No tier"
    yield f"{tier}, {profile}, on {', '.join(in_lists) or 'no target list'}."
    for verdict in answer.get("verdicts") or ():
        yield f"Sales said on {verdict['at'][:10]}: {verdict['verdict']} ({verdict['said_by'] or 'unnamed'})."


def _qualified(found: dict[str, Any], detail: dict[str, Any]) -> str:
    if not found["qualified"]:
        return "Not a qualified account: lacks " + ", ".join(_LACKS.get(word, word) for word in detail["missing"]) + "."
    held = f"; held, now lacks {', '.join(_LACKS[word] for word in detail['missing'])}" if detail["missing"] else ""
    return f"Qualified account since {found['qualified_since_at'][:10]}{held}."


def _fit(found: dict[str, Any], detail: dict[str, Any]) -> Iterator[str]:
    if found["fit"] is None:
        yield f"Fit unknown: {detail['fit_told'] or 'no factors are given and nothing was learnt yet'}"
        return
    total = sum(added for _, added in detail["fit_factors"])
    cut = "" if total == found["fit"] else f" (the factors sum to {total}; a fit is between 0 and 100)"
    yield f"Fit {found['fit']}, {found['fit_band']}{cut}:"
    yield from table(("FACTOR", "POINTS"), [[name, f"{added:+d}"] for name, added in detail["fit_factors"]], right=(1,))


def _in_market(found: dict[str, Any], detail: dict[str, Any]) -> Iterator[str]:
    if found["in_market"] is None:
        told = detail["in_market_told"] or "In-market: nothing was learnt yet."
        is_learnt = detail["in_market_why"] != []
        yield "In-market is not asked: an opportunity is open, or the account is left out." if is_learnt else told
        return
    why = ", ".join(f"{words} x{times:g}" for words, times in detail["in_market_why"])
    yield (
        f"In-market {found['in_market']:.1%} within 90 days, {detail['in_market_times']:g} times the average; "
        f"what moves its odds: {why}."
    )


def points(milli: int) -> str:
    """
    Thousandths of a point as points.
    """
    return format(Decimal(milli) / 1000, "f").rstrip("0").rstrip(".") if milli % 1000 else str(milli // 1000)
