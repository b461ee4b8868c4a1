"""
What an org computes by itself when a record is saved: names, what a stage implies, what a status implies.

Functions change the stored values in place. ``given`` holds the lower-case names of fields the writer set; a computed
field that a privileged writer set stays as given. Values come in stored form (``values.py``).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from worker.practice.salesforce.values import STORED_DATETIME

Values = dict[str, Any]


@dataclass
class Facts:
    """
    What the computing needs to know of the org. ``stages`` is keyed by stage name, ``responded`` holds the (campaign
    id, status) pairs that count as a response, ``account_of`` finds the account behind a WhoId or WhatId.
    """

    stages: Mapping[str, Mapping[str, Any]]
    fiscal_start: int
    responded: Callable[[str, str | None], bool]
    account_of: Callable[[str | None, str | None], str | None]


@dataclass(frozen=True)
class Saving:
    """
    One save: the record as it will be, as it was (None when new), the fields the writer set, the stamp.
    """

    new: Values
    old: Values | None
    given: frozenset[str] = field(default_factory=frozenset)
    now: str = ""

    def put(self, name: str, value: Any) -> None:
        """
        Set a computed field unless the writer gave it.
        """
        if name.lower() not in self.given:
            self.new[name] = value

    def changed(self, name: str) -> bool:
        """
        Whether the save gives the field another value than before.
        """
        return self.old is None or self.old.get(name) != self.new.get(name)


def derive(sobject: str, saving: Saving, facts: Facts) -> None:
    """
    Fill the computed fields of one record.
    """
    rule = _RULES.get(sobject)
    if rule is not None:
        rule(saving, facts)


def _person_name(saving: Saving, _: Facts) -> None:
    parts = (saving.new.get("FirstName"), saving.new.get("LastName"))
    saving.put("Name", " ".join(part for part in parts if part) or None)


def _opportunity(saving: Saving, facts: Facts) -> None:
    new = saving.new
    stage = facts.stages.get((new.get("StageName") or "").lower())
    if stage is not None and saving.changed("StageName"):
        saving.put("IsClosed", stage["IsClosed"])
        saving.put("IsWon", stage["IsWon"])
        saving.put("ForecastCategory", stage["ForecastCategory"])
        saving.put("ForecastCategoryName", stage["ForecastCategoryName"])
        saving.put("Probability", stage["DefaultProbability"])
    elif saving.old is None:
        saving.put("ForecastCategory", "Pipeline")
        saving.put("ForecastCategoryName", "Pipeline")
        if new.get("Probability") is None:
            saving.put("Probability", 0.0)
    if saving.old is not None and saving.changed("StageName"):
        saving.put("LastStageChangeDate", saving.now)
    amount, probability = new.get("Amount"), new.get("Probability")
    saving.put("ExpectedRevenue", None if amount is None else round(amount * (probability or 0) / 100, 2))
    if new.get("CloseDate"):
        year, month = int(new["CloseDate"][:4]), int(new["CloseDate"][5:7])
        shifted = month - facts.fiscal_start
        fiscal_year = year + (1 if facts.fiscal_start > 1 and shifted >= 0 else 0)
        quarter = shifted % 12 // 3 + 1
        saving.put("FiscalYear", fiscal_year)
        saving.put("FiscalQuarter", quarter)
        saving.put("Fiscal", f"{fiscal_year} {quarter}")


def _member(saving: Saving, facts: Facts) -> None:
    new = saving.new
    if saving.changed("Status"):
        saving.put("HasResponded", int(facts.responded(new.get("CampaignId") or "", new.get("Status"))))
    if new.get("HasResponded") and not new.get("FirstRespondedDate"):
        day = new.get("CreatedDate") if saving.old is None else saving.now
        saving.put("FirstRespondedDate", (day or saving.now)[:10])


def _task(saving: Saving, facts: Facts) -> None:
    new = saving.new
    closed = (new.get("Status") or "").lower() == "completed"
    saving.put("IsClosed", int(closed))
    saving.put("IsHighPriority", int((new.get("Priority") or "").lower() == "high"))
    saving.put("AccountId", facts.account_of(new.get("WhoId"), new.get("WhatId")))
    if closed and not new.get("CompletedDateTime"):
        saving.put("CompletedDateTime", (new.get("CreatedDate") if saving.old is None else None) or saving.now)
    elif not closed:
        saving.put("CompletedDateTime", None)


def _event(saving: Saving, facts: Facts) -> None:
    new = saving.new
    start = new.get("StartDateTime") or new.get("ActivityDateTime")
    if start:
        saving.put("StartDateTime", start)
        saving.put("ActivityDateTime", start)
        saving.put("ActivityDate", start[:10])
        if new.get("DurationInMinutes") is None and new.get("EndDateTime"):
            span = _moment(new["EndDateTime"]) - _moment(start)
            saving.put("DurationInMinutes", int(span.total_seconds() // 60))
        if new.get("DurationInMinutes") is not None:
            end = _moment(start) + timedelta(minutes=new["DurationInMinutes"])
            saving.put("EndDateTime", end.strftime(STORED_DATETIME))
            saving.put("EndDate", end.strftime(STORED_DATETIME)[:10])
    saving.put("AccountId", facts.account_of(new.get("WhoId"), new.get("WhatId")))


def _moment(stored: str) -> datetime:
    return datetime.strptime(stored, STORED_DATETIME)  # noqa: DTZ007 - stored datetimes are UTC without saying so


_RULES: dict[str, Callable[[Saving, Facts], None]] = {
    "Lead": _person_name,
    "Contact": _person_name,
    "User": _person_name,
    "Opportunity": _opportunity,
    "CampaignMember": _member,
    "Task": _task,
    "Event": _event,
}
