"""
Says which touches of a deal become records of its own beneath it in the target system, and what each of them holds.

At most so many a deal, those that earn most, and one record that sums all others, so that what the records say adds up
to what the model gave. Nothing here knows what the organisation holds; called by the plan flow.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Final

from worker.core.reconcile.diff import Wanted
from worker.core.reconcile.rules import Target

ALL_OTHERS: Final = "All others"
_OTHERS_KEY: Final = "others"
_KEY_LENGTH: Final = 80
_PLAIN: Final = re.compile(r"[A-Za-z0-9._:-]+")


@dataclass(frozen=True)
class Earned:
    """
    What a touch earned on one clock: its exact share, and its amount in the deal's currency and in the corporate one
    (None where the deal has no amount, or no rate).
    """

    share: Fraction = Fraction(0)
    amount: Decimal | None = None
    corporate: Decimal | None = None


@dataclass(frozen=True)
class CreditedTouch:
    """
    A touch on a deal's path with what it earned under the written model; ``contact_ref`` and ``campaign_ref`` are ids
    of the target system. ``positions`` as "FT; LC".
    """

    touch_id: str
    occurred_at: datetime
    touched_on: date
    pipeline: Earned
    revenue: Earned
    positions: str = ""
    type: str | None = None
    channel: str | None = None
    offer: str | None = None
    team: str | None = None
    contact_ref: str | None = None
    campaign_ref: str | None = None


@dataclass(frozen=True)
class _Line:
    """
    One record to be: its key, what it says beside its numbers, and the touches that it stands for.
    """

    key: str
    said: Mapping[str, object]
    touches: Sequence[CreditedTouch]


def key_of(opportunity_ref: str, touch_id: str) -> str:
    """
    The record's external id, at most 80 characters and the same for ever: "<opportunity id>:<touch id>", or a digest in
    the touch id's place where that is too long or has other characters than letters, digits, ".", "_", ":" and "-".
    """
    key = f"{opportunity_ref}:{touch_id}"
    if len(key) <= _KEY_LENGTH and _PLAIN.fullmatch(touch_id) and touch_id != _OTHERS_KEY:
        return key
    return f"{opportunity_ref}:{hashlib.blake2b(touch_id.encode(), digest_size=16).hexdigest()}"


def opportunity_of(key: str) -> str:
    """
    The opportunity whose record a key names.
    """
    return key.partition(":")[0]


def is_ours(key: str | None, opportunity_ref: str | None) -> bool:
    """
    Whether a record of this opportunity has a key that we gave it.
    """
    return bool(key and opportunity_ref) and opportunity_of(key or "") == opportunity_ref and ":" in (key or "")


def records_of(
    opportunity_ref: str,
    touches: Sequence[CreditedTouch],
    *,
    most: int,
    model: str,
    reason: str,
    targets: Mapping[str, Target],
) -> dict[str, list[Wanted]]:
    """
    What the deal's records should hold, by key. ``model`` as people read it ("W v3"); ``targets`` say to how many
    digits shares and amounts are kept. A touch that earned nothing on either clock has no record.
    """
    earning = [touch for touch in touches if touch.pipeline.share or touch.revenue.share]
    ranked = sorted(earning, key=lambda each: (-_rank(each), each.occurred_at, each.touch_id))
    kept = sorted(ranked[:most], key=lambda each: (each.occurred_at, each.touch_id))
    lines = [_Line(key_of(opportunity_ref, each.touch_id), _said(each), (each,)) for each in kept]
    if ranked[most:]:
        lines.append(_Line(f"{opportunity_ref}:{_OTHERS_KEY}", {"type": ALL_OTHERS}, ranked[most:]))
    numbers = _numbers(lines, targets)
    return {
        line.key: [
            Wanted(name, value, reason)
            for name, value in {
                "key": line.key,
                "opportunity": opportunity_ref,
                "model": model,
                **dict.fromkeys(_SAID),
                **line.said,
                **{name: column[place] for name, column in numbers.items()},
            }.items()
        ]
        for place, line in enumerate(lines)
    }


_SAID: Final = ("contact", "campaign", "touched_on", "type", "channel", "offer", "team", "positions")


def _rank(touch: CreditedTouch) -> Fraction:
    return touch.pipeline.share + touch.revenue.share


def _said(touch: CreditedTouch) -> dict[str, object]:
    return {
        "contact": touch.contact_ref,
        "campaign": touch.campaign_ref,
        "touched_on": touch.touched_on,
        "type": touch.type,
        "channel": touch.channel,
        "offer": touch.offer,
        "team": touch.team,
        "positions": touch.positions or None,
    }


def _numbers(lines: Sequence[_Line], targets: Mapping[str, Target]) -> dict[str, list[Decimal | None]]:
    """
    Our name -> its value for each line, rounded so that the lines add up.
    """
    columns: dict[str, list[Decimal | None]] = {}
    for clock in ("pipeline", "revenue"):
        for name, part, times in (
            ("share", "share", 100),
            ("amount", "amount", 1),
            ("amount_corporate", "corporate", 1),
        ):
            ours = f"{clock}_{name}"
            target = targets.get(ours)
            if target is not None:
                exact = [_sum([getattr(getattr(each, clock), part) for each in line.touches], times) for line in lines]
                columns[ours] = apportioned(exact, target.scale or 0)
    return columns


def _sum(values: Sequence[Fraction | Decimal | None], times: int) -> Fraction | None:
    known = [Fraction(value) for value in values if value is not None]
    return sum(known, Fraction(0)) * times if known else None


def apportioned(values: Sequence[Fraction | None], digits: int) -> list[Decimal | None]:
    """
    The values rounded to so many digits, adding up to their exact sum rounded (halves away from zero): largest
    remainders first, of equal ones the earlier. Values of one sign; None counts as zero, unless all are None.
    """
    if all(value is None for value in values):
        return [None for _ in values]
    sizes = [abs(value or Fraction(0)) * 10**digits for value in values]
    sign = -1 if any(value is not None and value < 0 for value in values) else 1
    floors = [size.numerator // size.denominator for size in sizes]
    total = sum(sizes, Fraction(0))
    left = (2 * total.numerator + total.denominator) // (2 * total.denominator) - sum(floors)
    by_rest = sorted(range(len(sizes)), key=lambda place: (floors[place] - sizes[place], place))
    up = set(by_rest[:left])
    return [Decimal(sign * (floor + (place in up))).scaleb(-digits) for place, floor in enumerate(floors)]
