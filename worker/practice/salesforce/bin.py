"""
The recycle bin: deleting, cascading, undeleting, purging, and the log that getDeleted answers from.

Objects without an undelete of their own (campaign members, contact roles) do not pass the bin: they are gone at once
and only the log knows them. What a record's deletion took along comes back with it.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from worker.practice.salesforce.records import fetch
from worker.practice.salesforce.schema import SObject

if TYPE_CHECKING:
    from worker.practice.salesforce.org import Org


class RecycleBin:
    """
    The deletions of one org. Every method runs inside the caller's write transaction.
    """

    def __init__(self, org: "Org") -> None:
        self.org = org

    def delete(self, sobject: SObject, ids: Sequence[str], user_id: str, now: str, *, root: str | None = None) -> int:
        """
        Delete records that are there, children first, and return how many went in all.
        """
        count = 0
        for record_id in ids:
            record = fetch(self.org.database.writer, sobject, record_id)
            if record is None or record.get("IsDeleted"):
                continue
            first = root or record_id
            for child in self.org.schema.children(sobject):
                if child.field.cascade and child.field.stored:
                    owner = self.org.schema[child.sobject]
                    alive = " AND IsDeleted = 0" if owner.soft_deletes else ""
                    rows = self.org.database.writer.execute(
                        f'SELECT Id FROM "{owner.name}" WHERE "{child.field.name}" = ?{alive}', (record_id,)
                    ).fetchall()
                    if child.sobject == "CampaignMember" or rows:
                        count += self.delete(owner, [row[0] for row in rows], user_id, now, root=first)
            self._remove(sobject, record_id, user_id, now, first)
            count += 1
        return count

    def undelete(self, ids: Sequence[str], user_id: str, now: str) -> int:
        """
        Bring records back from the bin with what was deleted along with them; how many came back.
        """
        count = 0
        for record_id in ids:
            rows = self.org.database.writer.execute(
                "SELECT object, id FROM _deletions WHERE id = ? OR root = ?", (record_id, record_id)
            ).fetchall()
            for name, each in rows:
                owner = self.org.schema[name]
                if owner.soft_deletes and owner.undeletable:
                    done = self.org.database.writer.execute(
                        f'UPDATE "{name}" SET IsDeleted = 0, SystemModstamp = ?, LastModifiedDate = ?, '
                        f"LastModifiedById = ? WHERE Id = ? AND IsDeleted = 1{_unmerged(owner)}",
                        (now, now, user_id, each),
                    ).rowcount
                    if done:
                        self.org.database.writer.execute("DELETE FROM _deletions WHERE id = ?", (each,))
                        count += done
        return count

    def purge(self, sobject: SObject, ids: Sequence[str], now: str) -> int:
        """
        Remove records for good, deleted before or not: from then on only getDeleted knows them.
        """
        count = 0
        for record_id in ids:
            count += self.org.database.writer.execute(
                f'DELETE FROM "{sobject.name}" WHERE Id = ?', (record_id,)
            ).rowcount
            self._log(sobject, record_id, now, record_id)
        return count

    def empty(self, before: str | None = None) -> int:
        """
        Purge all deleted records, or those deleted before a stamp; how many.
        """
        count = 0
        for sobject in self.org.schema:
            if sobject.soft_deletes:
                until = "" if before is None else " AND SystemModstamp < ?"
                count += self.org.database.writer.execute(
                    f'DELETE FROM "{sobject.name}" WHERE IsDeleted = 1{until}', () if before is None else (before,)
                ).rowcount
        return count

    def log(self, sobject: SObject, record_id: str, now: str) -> None:
        """
        Note a deletion that happened by other means (a merge).
        """
        self._log(sobject, record_id, now, record_id)

    def _remove(self, sobject: SObject, record_id: str, user_id: str, now: str, root: str) -> None:
        if sobject.soft_deletes and sobject.undeletable:
            stamps = "SystemModstamp = ?, LastModifiedDate = ?, LastModifiedById = ?"
            values: list[object] = [now, now, user_id]
            if not sobject.get("LastModifiedDate"):
                stamps, values = "SystemModstamp = ?", [now]
            self.org.database.writer.execute(
                f'UPDATE "{sobject.name}" SET IsDeleted = 1, {stamps} WHERE Id = ?', [*values, record_id]
            )
        else:
            self.org.database.writer.execute(f'DELETE FROM "{sobject.name}" WHERE Id = ?', (record_id,))
        self._log(sobject, record_id, now, root)

    def _log(self, sobject: SObject, record_id: str, now: str, root: str) -> None:
        if sobject.replicateable:
            self.org.database.writer.execute(
                "INSERT OR REPLACE INTO _deletions (object, id, at, root) VALUES (?, ?, ?, ?)",
                (sobject.name, record_id, now, root),
            )


def _unmerged(sobject: SObject) -> str:
    return " AND MasterRecordId IS NULL" if sobject.get("MasterRecordId") else ""
