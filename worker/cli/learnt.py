"""
What models were learnt to weigh, as people read it: for ``headwater learn`` and ``why``.
"""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from worker.core.attribution.explain import share_percent
from worker.core.attribution.learnings import FEWEST_WON, LearnRule
from worker.core.instants import to_the_minute

SHOWN_CHANNELS = 12


def learning(told: Mapping[str, Any]) -> Iterator[str]:
    """
    One of ``learnings.told``, as JSON has it; with ``clocks`` it says which of a deal's it decided.
    """
    decided = f", decides {' and '.join(told['clocks'])}" if "clocks" in told else ""
    deals = f"{told['conversions']:,} won and {told['nulls']:,} lost deals with a touch"
    period = f"closed from {to_the_minute(told['since_at'])} to {to_the_minute(told['until_at'])}"
    if told["weights"] is None:
        yield (
            f"{told['model']} ({told['learner']}): not learnt yet, and left out. Of deals {period} there are {deals}; "
            f"it takes {FEWEST_WON} won ones. Tried {to_the_minute(told['learnt_at'])}, again every day."
        )
        return
    yield (
        f"{told['model']} ({told['learner']}), learning {told['id']} of {to_the_minute(told['learnt_at'])}{decided}: "
        f"{deals}, {period}, rules v{told['rule_version']}."
    )
    exact = {channel: Fraction(weight) for channel, weight in told["weights"].items()}
    ranked = sorted(exact.items(), key=lambda item: (-item[1], item[0]))
    shown = [f"{channel} {_percent(weight)}" for channel, weight in ranked[:SHOWN_CHANNELS]]
    rest = sum((weight for _, weight in ranked[SHOWN_CHANNELS:]), Fraction(0))
    yield "  " + ", ".join([*shown, *([f"others {_percent(rest)}"] if rest else [])])


def models(rules: Mapping[str, LearnRule], told: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """
    The models that are to be learnt and everything that was learnt of them, the newest first.
    """
    if not rules:
        yield "No model of attribution.yaml is learnt. One line makes one:  markov: {learn: markov, over_months: 12}"
    for model, rule in rules.items():
        found = [each for each in told if each["model"] == model]
        if not found:
            yield f"{model} ({rule.by}): to be learnt within a day of running; left out until then."
        for each in found:
            yield from learning(each)


def _percent(weight: Fraction) -> str:
    return f"{share_percent(weight.numerator, weight.denominator, 1)} %"
