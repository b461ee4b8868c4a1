"""
What a run says: one line a client and capability, with what was seen, and at the end how many were as the org holds.
"""

import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.clients.stage import Stage

# Given what a client saw: the words for the line. Raises AssertionError where the org holds something else.
Check = Callable[[Stage, Any], str]


@dataclass
class Report:
    """
    Prints lines as they come and counts them by outcome: ``ok``, ``DIFFERS``, ``FAILED``, ``skipped``.
    """

    outcomes: Counter[str] = field(default_factory=Counter)

    def line(self, client: str, capability: str, outcome: str, words: str) -> None:
        """
        One finding.
        """
        self.outcomes[outcome] += 1
        said = " ".join(words.split())
        sys.stdout.write(f"{client:<24} {capability:<52} {outcome:<8} {said}\n")
        sys.stdout.flush()

    def compare(
        self, client: str, answers: Mapping[str, Mapping[str, Any]], checks: Mapping[str, Check], stage: Stage
    ) -> None:
        """
        Hold each of ``checks`` against what the client answered: ``{"saw": ...}`` or ``{"error": ...}`` by capability.
        """
        for capability, check in checks.items():
            answer = answers.get(capability, {"error": "the client ended before it came to this"})
            if "error" in answer:
                self.line(client, capability, "FAILED", str(answer["error"]).strip()[:300])
                continue
            try:
                self.line(client, capability, "ok", check(stage, answer["saw"]))
            except AssertionError as difference:
                self.line(client, capability, "DIFFERS", str(difference)[:300])
            except (KeyError, IndexError, TypeError) as error:
                self.line(client, capability, "DIFFERS", f"its answer has another shape: {error!r}"[:300])
        for stranger in answers.keys() - checks.keys():
            self.line(client, stranger, "DIFFERS", "nothing says what the client should have seen")

    def finish(self) -> int:
        """
        The sum, and the exit code: 1 where anything differed or failed.
        """
        sys.stdout.write("\n" + ", ".join(f"{count} {outcome}" for outcome, count in self.outcomes.items()) + "\n")
        return 1 if self.outcomes["DIFFERS"] + self.outcomes["FAILED"] else 0


def same(seen: Any, held: Any) -> None:
    """
    Raise AssertionError, short, where what a client saw is not what the org holds.
    """
    if seen != held:
        raise AssertionError(f"saw {_short(seen)}, the org holds {_short(held)}")


def _short(value: Any) -> str:
    text = repr(value)
    size = f" ({len(value)} in all)" if isinstance(value, list) else ""
    return text if len(text) < 120 else f"{text[:110]}...{size}"
