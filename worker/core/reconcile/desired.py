"""
Says what our fields of an account, a deal or a person should hold, from the decisions made about it.

Each value carries its reason. A decision that was never made leaves its fields alone.
"""

from collections.abc import Mapping
from typing import Any

from worker.core.reconcile.diff import Wanted

NO_TOUCH = "No marketing touch"


def for_account(engagement: Mapping[str, Any] | None) -> list[Wanted]:
    """
    The flag, since when, until when, its band and its sentence. An account that was never engaged and has no points
    wants nothing said about it.
    """
    if engagement is None:
        return []
    reason = f"engagement rules v{engagement['rule_version']}: {engagement['why'] or 'no engagement'}"
    return [
        Wanted("engaged", engagement["engaged"], reason),
        Wanted("engaged_since", engagement["since_at"], reason),
        Wanted("engaged_until", engagement["until_at"], reason),
        Wanted("engagement_band", None if engagement["band"] == "None" else engagement["band"], reason),
        Wanted("engaged_why", engagement["why"] if engagement["engaged"] else None, reason),
    ]


def for_opportunity(attribution: Mapping[str, Any] | None) -> list[Wanted]:
    """
    Who opened the deal, by what, marketing's share, on what basis and in what state, and the sentence.
    """
    if attribution is None:
        return []
    reason = f"attribution rules v{attribution['rule_version']}: {attribution['why'] or attribution['state']}"
    return [
        Wanted("source_team", attribution["source_team"], reason),
        Wanted("source_channel", attribution["source_channel"], reason),
        Wanted("source_offer", attribution["source_offer"], reason),
        Wanted("influenced", attribution["influenced"], reason),
        Wanted("marketing_share", attribution["marketing_share"], reason),
        Wanted("credit_basis", attribution["basis"], reason),
        Wanted("credit_state", attribution["state"], reason),
        Wanted("attribution_why", attribution["why"], reason),
    ]


def for_person(person: Mapping[str, Any], account_ref: str | None) -> list[Wanted]:
    """
    The person's original source, the account it was matched to, and why; a contact has no field for the last two.

    ``account_ref`` is the matched account's own id in the target system.
    """
    wanted = []
    if person["original_source"] is not None:
        wanted.append(
            Wanted("original_source", person["original_source"], "channel of the person's first touch; set once")
        )
    why = person["account_why"]
    reason = f"lead-to-account match: {why or 'no match'}"
    wanted.append(Wanted("matched_account", account_ref, reason))
    wanted.append(Wanted("match_why", why if account_ref else None, reason))
    return wanted
