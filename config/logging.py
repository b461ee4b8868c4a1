"""
Sets up the log: one line an event on stderr, key=value for people or JSON for machines, with nothing personal in it.

Lines of other libraries take the same way out. Called once by each face at its start.
"""

import logging
import sys
import textwrap
from collections.abc import MutableMapping
from typing import Any, Final, Literal, TextIO

import structlog
from structlog.types import Processor

from config.redaction import redacted

# They log addresses and payloads below warnings.
_TALKATIVE: Final = ("urllib3", "requests", "simple_salesforce", "sqlalchemy.engine", "kombu", "amqp")

# What structlog needs between its own steps; it never reaches the line.
_PLUMBING: Final = ("_record", "_from_structlog", "exc_info", "stack_info")


Format = Literal["console", "json"]


def configure_logging(fmt: Format = "console", level: str = "info", stream: TextIO | None = None) -> None:
    """
    Everything from ``level`` up goes to ``stream`` (stderr if None). Calling it again replaces what was set before.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.processors.StackInfoRenderer(),
            structlog.processors.format_exc_info,
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            _redact,
            _renderer(fmt),
        ],
    )
    handler = logging.StreamHandler(sys.stderr if stream is None else stream)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)


def _redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return redacted({key: value for key, value in event.items() if key not in _PLUMBING})


def _renderer(fmt: Format) -> Processor:
    if fmt == "json":
        return structlog.processors.JSONRenderer(sort_keys=True, ensure_ascii=False)
    return _console_line


_logfmt: Final = structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"], drop_missing=True)


def _console_line(logger: Any, method: str, event: MutableMapping[str, Any]) -> str:
    """
    key=value on one line; a traceback follows indented, so that no line of it can pass for an event.
    """
    below = [str(event.pop(key)) for key in ("exception", "stack") if event.get(key)]
    line = str(_logfmt(logger, method, event))
    return "\n".join([line, *(textwrap.indent(text, "    ", lambda _: True) for text in below)])
