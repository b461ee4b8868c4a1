"""
A client of a running practice server's control API, for whoever fills it: the loader and the made-up company.

Knows addresses and batches, nothing of what is sent. Every call ends within ``CALL_SECONDS``.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self

import requests

from worker.core.errors import Fatal

BATCH: Final = 2000  # records one control call carries
CALL_SECONDS: Final = 120.0

# Told after every batch: what is being put in, how many are in, how many there will be.
Progress = Callable[[str, int, int], None]


class ControlClient:
    """
    Context manager over one session. Raises Fatal HW-570 when the server is not there, HW-571 when it refuses.
    """

    def __init__(self, base_url: str, progress: Progress | None = None) -> None:
        self._base = f"{base_url.rstrip('/')}/__practice__/"
        self._progress = progress
        self._session = requests.Session()
        self._session.trust_env = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._session.close()

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """
        One control call; ``path`` without the leading ``/__practice__/``.
        """
        return self._call("POST", path, body)

    def get(self, path: str) -> dict[str, Any]:
        """
        One question.
        """
        return self._call("GET", path, None)

    def create(self, object_name: str, records: Sequence[Mapping[str, Any]]) -> list[str]:
        """
        Salesforce records, privileged; their ids in order.
        """
        return self._in_batches(
            f"salesforce.{object_name}",
            records,
            lambda batch: self.post("salesforce/create", {"object": object_name, "records": batch})["ids"],
        )

    def update(self, object_name: str, records: Sequence[Mapping[str, Any]]) -> None:
        """
        Salesforce records that exist, privileged; each carries ``Id``.
        """

        def send(batch: Sequence[Mapping[str, Any]]) -> list[str]:
            self.post("salesforce/update", {"object": object_name, "records": batch})
            return [record["Id"] for record in batch]

        self._in_batches(f"salesforce.{object_name} updated", records, send)

    def convert(self, conversions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """
        Lead conversions; their results in order, with accountId, contactId, opportunityId, roleId.
        """
        return self._in_batches(
            "salesforce.conversion",
            conversions,
            lambda batch: self.post("salesforce/convert", {"conversions": batch})["results"],
        )

    def put(self, kind: str, records: Sequence[Mapping[str, Any]]) -> list[int]:
        """
        Marketo ``people``, ``activities`` or ``programs``; their ids in order.
        """
        return self._in_batches(
            f"marketo.{kind}", records, lambda batch: self.post(f"marketo/{kind}", {"records": batch})["ids"]
        )

    def put_members(self, records: Sequence[Mapping[str, Any]]) -> None:
        """
        Marketo program memberships.
        """

        def send(batch: Sequence[Mapping[str, Any]]) -> list[int]:
            self.post("marketo/members", {"records": batch})
            return [record["leadId"] for record in batch]

        self._in_batches("marketo.members", records, send)

    def _in_batches(
        self, label: str, records: Sequence[Mapping[str, Any]], send: Callable[[Sequence[Mapping[str, Any]]], list[Any]]
    ) -> list[Any]:
        made: list[Any] = []
        for batch in _batches(records):
            answers = send(batch)
            if len(answers) != len(batch):
                raise Fatal("HW-571", f"the practice server answered {len(answers)} of {len(batch)} records of {label}")
            made += answers
            if self._progress is not None:
                self._progress(label, len(made), len(records))
        return made

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        try:
            answer = self._session.request(method, self._base + path, json=body, timeout=CALL_SECONDS)
        except requests.RequestException as error:
            raise Fatal(
                "HW-570",
                f"the practice server at {self._base} does not answer ({type(error).__name__})",
                actions=["headwater practice serve"],
            ) from error
        if answer.status_code >= 400:
            try:
                words = str(answer.json()["error"])
            except (ValueError, KeyError, TypeError):
                words = answer.text[:500]
            raise Fatal("HW-571", f"the practice server refused {method} {path} ({answer.status_code})", vendor=words)
        return dict(answer.json()) if answer.content else {}


def _batches(records: Sequence[Mapping[str, Any]]) -> Iterator[Sequence[Mapping[str, Any]]]:
    for start in range(0, len(records), BATCH):
        yield records[start : start + BATCH]
