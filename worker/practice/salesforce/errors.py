"""
What the practice org refuses, in Salesforce's own words and codes.

``ApiError`` ends a request; ``RowError`` refuses one record of several and becomes an ``ApiError`` where the request
has only one. Both carry what the JSON bodies need: message, code, field names.
"""

from collections.abc import Mapping, Sequence
from typing import Any


class RowError(Exception):
    """
    One record refused. ``fields`` are the API names the message is about, ``more`` is what Salesforce says beside them
    where the request was for that record alone.
    """

    def __init__(
        self, code: str, message: str, fields: Sequence[str] = (), more: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.fields = list(fields)
        self.more = dict(more or {})

    def as_row(self) -> dict[str, Any]:
        """
        The error inside a collections answer, which says ``statusCode`` where everything else says ``errorCode``.
        """
        return {"statusCode": self.code, "message": self.message, "fields": self.fields}


class ApiError(Exception):
    """
    A request refused with an HTTP status. ``body`` replaces the usual error list where Salesforce sends another shape.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        fields: Sequence[str] | None = None,
        *,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.fields = list(fields) if fields is not None else None
        self.body = body
        self.headers = dict(headers or {})

    def as_json(self) -> Any:
        """
        The JSON body.
        """
        if self.body is not None:
            return self.body
        error: dict[str, Any] = {"message": self.message, "errorCode": self.code}
        if self.fields is not None:
            error["fields"] = self.fields
        return [error]


def not_found() -> ApiError:
    """
    The 404 of an unknown resource or record.
    """
    return ApiError(404, "NOT_FOUND", "The requested resource does not exist")


def from_row(error: RowError, status: int = 400) -> ApiError:
    """
    A refused record as the answer to a request for that record alone.
    """
    if error.code == "ENTITY_IS_DELETED":
        status = 404
    made = ApiError(status, error.code, error.message, error.fields)
    if error.more:
        made.body = [{**made.as_json()[0], **error.more}]
    return made


def lock_refusal(record_id: str = "") -> RowError:
    """
    What a writer hears who comes to a record that somebody else holds.
    """
    words = f"unable to obtain exclusive access to this record or 1 records: {record_id}".rstrip(": ")
    return RowError("UNABLE_TO_LOCK_ROW", words)


def malformed_query(message: str) -> ApiError:
    """
    SOQL the org cannot parse.
    """
    return ApiError(400, "MALFORMED_QUERY", message)
