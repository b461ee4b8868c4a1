"""
The recycle bin: deleting, cascading, undeleting, purging, and the log that getDeleted answers from.

Objects without an undelete of their own (campaign members, contact roles) do not pass the bin: they are gone at once
and only the log knows them. What a record's deletion took along comes back with it.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from worker.practice.salesforce.ground import Ground
from worker.practice.salesforce.rows import fetch
from worker.practice.salesforce.schema import SObject
from worker.practice.salesforce.values import stamp

PURGE_EVERY = timedelta(hours=1)


class RecycleBin:
    """
    The deletions of one org. The methods that change records run inside the caller's write transaction.
    """

    def __init__(self, org: Ground) -> None:
        self.org = org
        self._looked: datetime | None = None

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
            if not self._is_logged(record_id):
                self._log(sobject, record_id, now, record_id)
        return count

    def empty(self, before: str | None = None, *, loaded: bool = True) -> int:
        """
        Purge all deleted records, or those deleted before a stamp; how many. What an open transaction holds stays, and
        where not ``loaded`` also what was brought in as deleted: no log says when that was, only its own stamp.
        """
        count = 0
        for sobject in self.org.schema:
            stamped = next((name for name in ("SystemModstamp", "CreatedDate") if sobject.get(name)), None)
            if not sobject.soft_deletes or stamped is None:
                continue
            deleted_at = "(SELECT d.at FROM _deletions d WHERE d.id = t.Id)"
            if loaded:
                deleted_at = f"COALESCE({deleted_at}, t.{stamped})"
            until = "" if before is None else f" AND {deleted_at} < ?"
            count += self.org.database.writer.execute(
                f'DELETE FROM "{sobject.name}" AS t WHERE IsDeleted = 1{until} '
                "AND NOT EXISTS (SELECT 1 FROM _held h WHERE h.id = t.Id)",
                () if before is None else (before,),
            ).rowcount
        return count

    def purge_overdue(self) -> None:
        """
        Purge what has been in the bin longer than ``Settings.bin_days``; looked at once an hour of the practice clock.
        """
        now, days = self.org.clock.now(), self.org.settings.bin_days
        if days <= 0 or (self._looked is not None and abs(now - self._looked) < PURGE_EVERY):
            return
        self._looked = now
        with self.org.database.write():
            self.empty(stamp(now - timedelta(days=days)), loaded=False)

    def forget_deletions(self, before: str) -> int:
        """
        Drop what the log holds from before a stamp; how many. getDeleted then says so in earliestDateAvailable.
        """
        with self.org.database.write() as connection:
            count = connection.execute("DELETE FROM _deletions WHERE at < ?", (before,)).rowcount
            connection.execute("INSERT OR REPLACE INTO _facts VALUES ('deletions_since', ?)", (before,))
            return count

    def deletions_since(self) -> str | None:
        """
        Since when the log is whole, if it was ever cut.
        """
        row = self.org.database.reader.execute("SELECT value FROM _facts WHERE name = 'deletions_since'").fetchone()
        return None if row is None else str(row[0])

    def archive(self, day: str) -> int:
        """
        Archive closed tasks and events dated before ``day``; how many. No stamp moves.
        """
        count = 0
        with self.org.database.write() as connection:
            for name in ("Task", "Event"):
                closed = " AND IsClosed = 1" if name == "Task" else ""
                count += connection.execute(
                    f'UPDATE "{name}" SET IsArchived = 1 WHERE IsArchived = 0 AND ActivityDate < ?{closed}', (day,)
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

    def _is_logged(self, record_id: str) -> bool:
        found = self.org.database.writer.execute("SELECT 1 FROM _deletions WHERE id = ?", (record_id,)).fetchone()
        return found is not None

    def _log(self, sobject: SObject, record_id: str, now: str, root: str) -> None:
        if sobject.replicateable:
            self.org.database.writer.execute(
                "INSERT OR REPLACE INTO _deletions (object, id, at, root) VALUES (?, ?, ?, ?)",
                (sobject.name, record_id, now, root),
            )


def _unmerged(sobject: SObject) -> str:
    return " AND MasterRecordId IS NULL" if sobject.get("MasterRecordId") else ""
