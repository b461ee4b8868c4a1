"""
Asking for descriptions and counts, mostly as parts of calls that carry other reads too.

It puts what it hears into the catalogue and says which objects cannot be read; what to do about that is its caller's.
Streams and records call it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from worker.connectors.http import Passing
from worker.connectors.salesforce.catalogue import Catalogue
from worker.connectors.salesforce.classify import ORG_WIDE
from worker.connectors.salesforce.client import Part, SalesforceClient
from worker.connectors.salesforce.mapping import ObjectMap
from worker.core.errors import Fatal, HeadwaterError


class Lookup:
    """
    The catalogue's way to Salesforce. An object of more than ``bulk_above`` rows is a large one.
    """

    def __init__(self, client: SalesforceClient, catalogue: Catalogue, bulk_above: int) -> None:
        self._client = client
        self._catalogue = catalogue
        self._bulk_above = bulk_above
        self._org_id: str | None = None

    @property
    def org_id(self) -> str | None:
        """
        The organisation's id; None before the first ``recall``.
        """
        return self._org_id

    def recall(self, known: Mapping[str, Any]) -> None:
        """
        Take over what an earlier run learned. Raises Fatal HW-217 when that was another organisation.
        """
        self._org_id = self._client.org_id()
        before = known.get("org")
        if before is not None and self._org_id is not None and before[:15] != self._org_id[:15]:
            raise Fatal(
                "HW-217",
                f"this is another organisation ({self._org_id}) than the one read so far ({before})",
                actions=["Point this database at the organisation it belongs to, or use a new database."],
            )
        self._catalogue.recall(known)

    def describe_path(self, source: ObjectMap) -> str:
        """
        The part of a call that describes an object.
        """
        return f"{self._client.path}/sobjects/{source.object_name}/describe"

    def count_path(self, source: ObjectMap) -> str:
        """
        The part of a call that counts an object's rows, deleted ones too.
        """
        where = f" WHERE {' AND '.join(source.conditions)}" if source.conditions else ""
        return self._client.query_path(f"SELECT COUNT() FROM {source.object_name}{where}")

    def is_large(self, count: Part) -> bool:
        """
        Whether a count is above the line. One that timed out or is no number is.
        """
        total = count.body.get("totalSize") if isinstance(count.body, dict) else None
        return count.status >= 300 or not isinstance(total, int) or total > self._bulk_above

    def absorb(self, sources: Iterable[ObjectMap], parts: Iterable[Part]) -> dict[str, HeadwaterError]:
        """
        Take in descriptions; stream -> why its object has none. Raises what concerns the whole organisation.
        """
        now = self._client.now()
        troubles: dict[str, HeadwaterError] = {}
        for source, part in zip(sources, parts, strict=True):
            try:
                self._catalogue.absorb(source, part.result(), now)
            except Passing as error:
                troubles[source.stream] = error  # one part's fault of the moment is not the whole org's
            except HeadwaterError as error:
                if error.code in ORG_WIDE:
                    raise
                if source.is_required or not isinstance(error, Fatal):
                    troubles[source.stream] = cannot_read(source, error)
                else:
                    self._catalogue.note_absent(source, now)
        return troubles

    def describe(self, sources: Sequence[ObjectMap]) -> None:
        """
        Describe objects now, by a call of its own. Raises what keeps one from being read.
        """
        troubles = self.absorb(sources, self._client.batch([self.describe_path(source) for source in sources]))
        for error in troubles.values():
            raise error

    def make_known(self, source: ObjectMap) -> None:
        """
        Describe an object unless it is known.
        """
        if self._catalogue.is_unknown(source):
            self.describe([source])


def cannot_read(source: ObjectMap, error: HeadwaterError | None = None) -> HeadwaterError:
    """
    The error of an object that is not there for us.
    """
    if error is not None and not isinstance(error, Fatal):
        return error
    return Fatal(
        "HW-208",
        f"the integration user cannot read {source.object_name}",
        vendor=error.vendor if error is not None else None,
        actions=[f"Give its permission set Read and View All on {source.object_name}."],
    )
