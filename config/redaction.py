"""
Keeps personal data and secrets out of the log: an allow-list of what may be said, and patterns as a second net.

Pure; called by ``config.logging`` for every line, also those of other people's libraries. It hides rather too much
than too little: who needs the value finds it by the record's id.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any, Final
from uuid import UUID

HIDDEN: Final = "[hidden]"

MAX_TEXT: Final = 8_192  # characters of one value; a longer one is cut, for it is a payload
MAX_ITEMS: Final = 50
MAX_DEPTH: Final = 4

# Keys whose text may be said: names of things of ours or of a system's schema, never of people or companies.
ALLOWED_KEYS: Final = frozenset(
    {
        "action", "actions", "api", "attempt", "batch", "call", "cause", "channel", "class", "client", "clock",
        "code", "column", "columns", "command", "cycle", "digest", "error", "event", "exception", "exit",
        "field", "fields", "file", "flow", "flows", "folder", "format", "from", "func_name", "generation",
        "host", "job", "kind", "lane", "level", "lineno", "logger", "message", "method", "mode", "model",
        "module", "note", "object", "objects", "operation", "outcome", "path", "pid", "place", "platform",
        "port", "priority", "queue", "reason", "result", "role", "route", "rule", "rules", "run", "scope",
        "section", "shape", "source", "stack", "stage", "state", "status", "step", "stream", "streams", "table",
        "target", "task", "team", "thread", "timestamp", "to", "type", "unit", "until", "vendor", "verdict",
        "version", "view", "watermark", "worker",
    }
)  # fmt: skip
ALLOWED_ENDINGS: Final = (
    "_id", "_ids", "_ref", "_code", "_at", "_on", "_count", "_days", "_hours", "_minutes", "_seconds", "_ms",
    "_percent", "_share", "_bits", "_bytes", "_units", "_digest", "_version", "_state", "_kind", "_type",
)  # fmt: skip

# Whatever else they end in, these are never said.
_NEVER: Final = re.compile(
    r"(passw|secret|token|bearer|authori[sz]ation|cookie|session|credential|private|assertion|api_?key|"
    r"e_?mail|phone|mobile|first_?name|last_?name|full_?name|street|address)",
    re.IGNORECASE,
)

_NAMES_OF_KEYS: Final = (
    "access_token|refresh_token|client_secret|client_id|token|password|passwd|secret|assertion|signature|api_?key"
)
_PATTERNS: Final = tuple(
    re.compile(pattern, flags)
    for pattern, flags in (
        (r"-----BEGIN [A-Z ]+-----.*?(?:-----END [A-Z ]+-----|\Z)", re.DOTALL),
        (r"\b[Bb]earer\s+[^\s\"',]+", 0),
        (r"\bBasic\s+[A-Za-z0-9+/=]{8,}", 0),
        (r"\beyJ[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)?", 0),
        (r"\b00D[A-Za-z0-9]{12,15}![A-Za-z0-9._]+", 0),  # a Salesforce session
        (r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}:[a-z0-9]{2,4}\b", 0),  # a Marketo access token
        (r"(?<=://)[^/\s@\"']+(?=@)", 0),  # user and password in an address
        (
            rf"(?<![A-Za-z])(?:{_NAMES_OF_KEYS})[\"']?\s*[=:]\s*[\"']?[^\s&\"',;}}]+",
            re.IGNORECASE,
        ),
        # Bounded, or eight thousand letters in a row would take a second.
        (r"[^\s\"'<>()\[\],;:=@]{1,64}(?:@|%40)[^\s\"'<>()\[\],;:=@]{1,255}\.[A-Za-z][A-Za-z0-9-]*", re.IGNORECASE),
        (r"(?<![\w.])\+\d[\d ().\-/]{6,}\d", 0),  # international
        (r"(?<![\w.:/-])(?!\d{4}-\d\d-\d\d)\(?\d{2,5}\)?[ .\-/]{1,3}\d{2,4}[ .\-/]\d{2,6}(?![\w:])", 0),  # in groups
        (r"(?<![\w.:/-])0\d{8,14}(?![\w.])", 0),  # in one piece
    )
)
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x85\u2028\u2029]")


def redacted(event: Mapping[str, Any]) -> dict[str, Any]:
    """
    The fields of one log line as they may be written. Keys keep their names; what they hold may be ``[hidden]``.
    """
    return {_safe_key(key): _safe(str(key), value, 0) for key, value in event.items()}


def scrubbed(text: str) -> str:
    """
    ``text`` without addresses, phone numbers, tokens, keys and control characters.
    """
    text = text[:MAX_TEXT] + "..." if len(text) > MAX_TEXT else text
    for pattern in _PATTERNS:
        text = pattern.sub(HIDDEN, text)
    return _CONTROL.sub(" ", text)


def _safe_key(key: object) -> str:
    return re.sub(r"[^A-Za-z0-9_.]", "_", scrubbed(str(key)))[:60] or "_"


def _says(key: str) -> bool:
    if _NEVER.search(key):
        return key.endswith(("_count", "_at", "_seconds"))  # email_count, token_at: about it, and not it
    return key in ALLOWED_KEYS or key.endswith(ALLOWED_ENDINGS)


def _safe(key: str, value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool | int | float | Decimal):
        return HIDDEN if value is not None and _NEVER.search(key) and not _says(key) else value
    if isinstance(value, date | timedelta | UUID):
        return str(value)
    if not _says(key) or depth >= MAX_DEPTH:
        return HIDDEN
    if isinstance(value, Enum):
        return _safe(key, value.value, depth)
    if isinstance(value, Mapping):
        pairs = list(value.items())[:MAX_ITEMS]
        return {_safe_key(name): _safe(str(name), inner, depth + 1) for name, inner in pairs}
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, str | bytes | bytearray):
        return [_safe(key, inner, depth + 1) for inner in list(value)[:MAX_ITEMS]]
    if isinstance(value, str | PurePath | BaseException):
        return scrubbed(str(value))
    return HIDDEN
