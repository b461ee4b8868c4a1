"""
Decides whether a plan may go out unasked, or waits for a person because it would change unusually much.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from worker.core.reconcile.rules import WriteRules


@dataclass(frozen=True)
class PlanSize:
    """
    How much a plan changes of one object: records changed, flags turned, records there are, and whether it is the first
    to make any.
    """

    records_count: int
    flips_count: int
    stored_count: int
    is_first: bool = False


def why_held(sizes: Mapping[str, PlanSize], rules: WriteRules) -> str | None:
    """
    The reason to hold the plan, naming the object and both numbers; None when it may go.
    """
    for name, size in sorted(sizes.items()):
        if size.records_count <= rules.guard_floor_records:
            continue
        if size.is_first:
            return f"{size.records_count:,} {name} records would be made or changed for the first time"
        if size.records_count * 100 > rules.guard_percent * size.stored_count:
            percent = size.records_count * 100 / max(1, size.stored_count)
            return (
                f"{size.records_count:,} of {size.stored_count:,} {name} records would change "
                f"({percent:.1f} %, the limit is {rules.guard_percent} %)"
            )
        if size.flips_count > rules.guard_flips:
            return f"{size.flips_count:,} flags on {name} would turn (the limit is {rules.guard_flips})"
    return None
