"""
OpportunityHistory: a row when an opportunity is created and whenever stage, amount, probability or close date move.

A privileged loader may bring the rows itself; then those this module wrote for the same opportunities give way.
"""

from collections.abc import Iterable
from typing import Any

from worker.practice.salesforce.ground import Ground
from worker.practice.salesforce.records import HISTORY_FIELDS
from worker.practice.salesforce.rows import insert


class History:
    """
    Writes history rows. Every method runs inside the caller's write transaction.
    """

    def __init__(self, org: Ground) -> None:
        self.org = org

    def write(self, new: dict[str, Any], old: dict[str, Any] | None, user_id: str, at: str) -> None:
        """
        A row for an opportunity as saved, stamped ``at``, if anything it records has moved (or it is new).
        """
        if old is not None and all(new.get(name) == old.get(name) for name in HISTORY_FIELDS):
            return
        sobject = self.org.schema["OpportunityHistory"]
        row = {
            "Id": self.org.ids.take(sobject.prefix)[0],
            "OpportunityId": new["Id"],
            "CreatedById": user_id,
            "CreatedDate": at,
            "SystemModstamp": at,
            "IsDeleted": 0,
            **{
                name: new.get(name)
                for name in ("StageName", "Amount", "ExpectedRevenue", "CloseDate", "Probability", "ForecastCategory")
            },
            "PrevAmount": old.get("Amount") if old else None,
            "PrevCloseDate": old.get("CloseDate") if old else None,
        }
        insert(self.org.database.writer, sobject, row)
        self.org.database.writer.execute("INSERT INTO _own_history VALUES (?, ?)", (new["Id"], row["Id"]))

    def give_way(self, opportunities: Iterable[str]) -> None:
        """
        Remove the rows this module wrote for these opportunities, because their true history is being loaded.
        """
        for each in opportunities:
            self.org.database.writer.execute(
                'DELETE FROM "OpportunityHistory" WHERE Id IN (SELECT id FROM _own_history WHERE opportunity = ?)',
                (each,),
            )
            self.org.database.writer.execute("DELETE FROM _own_history WHERE opportunity = ?", (each,))
