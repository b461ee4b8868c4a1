"""
One API request and its answer inside the practice org, independent of the web server.

Composite requests make these themselves, so that a part of one takes the same way as a request of its own.
"""

import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from worker.practice.salesforce.errors import ApiError

JSON_TYPE = "application/json;charset=UTF-8"


@dataclass
class Call:
    """
    A request below ``/services/data/vXX.X/``. ``segments`` are the decoded path parts after the version, ``query`` the
    decoded parameters, ``headers`` have lower-case names. ``version`` is ``60.0``.
    """

    method: str
    version: str
    segments: tuple[str, ...]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    user_id: str
    base_url: str

    @property
    def root(self) -> str:
        """
        The host-relative base of this API version.
        """
        return f"/services/data/v{self.version}"

    @property
    def auto_assign(self) -> bool:
        """
        Whether assignment rules run: unless Sforce-Auto-Assign says FALSE. Absent means they do.
        """
        return self.headers.get("sforce-auto-assign", "TRUE").strip().upper() != "FALSE"

    @property
    def allow_duplicates(self) -> bool:
        """
        Whether Sforce-Duplicate-Rule-Header asks to save in spite of an alerting duplicate rule.
        """
        header = self.headers.get("sforce-duplicate-rule-header", "").lower().replace(" ", "")
        return "allowsave=true" in header.split(";")

    def content(self) -> bytes:
        """
        The body, unpacked if it came as gzip. Raises the 400 JSON_PARSER_ERROR if it says so and is not.
        """
        if self.headers.get("content-encoding", "").lower() == "gzip":
            try:
                return zlib.decompress(self.body, wbits=31)
            except zlib.error as error:
                raise ApiError(400, "JSON_PARSER_ERROR", f"the body is not gzip: {error}") from error
        return self.body

    def json(self) -> Any:
        """
        The body as JSON. Raises the 400 JSON_PARSER_ERROR.
        """
        content = self.content()
        try:
            return json.loads(content)
        except ValueError as error:
            raise ApiError(400, "JSON_PARSER_ERROR", f"Unexpected character or end of input: {error}") from error

    def json_object(self) -> dict[str, Any]:
        """
        The body as a JSON object.
        """
        body = self.json()
        if not isinstance(body, dict):
            raise ApiError(400, "JSON_PARSER_ERROR", "The HTTP entity body is required to be a JSON object")
        return body


@dataclass
class Answer:
    """
    The answer: a status with a JSON ``body``, or with ``chunks`` of bytes (``length`` in all), or with neither.

    ``rows`` and ``kind`` go to the journal.
    """

    status: int = 200
    body: Any = None
    chunks: Iterable[bytes] | None = None
    length: int | None = None
    content_type: str = JSON_TYPE
    headers: dict[str, str] = field(default_factory=dict)
    rows: int | None = None
    kind: str | None = None


def refusal(error: ApiError) -> Answer:
    """
    An error as an answer.
    """
    return Answer(error.status, error.as_json(), headers=dict(error.headers))
