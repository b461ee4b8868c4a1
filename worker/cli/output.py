"""
How commands speak: data on stdout, everything else on stderr, errors in one form, JSON where asked.

Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 68 partly done, 69 still running when the wait ran out,
130 interrupted.
"""

import json
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click

from config.errors import ConfigError
from worker.core.errors import HeadwaterError

DONE, FAILED, USAGE, PARTLY, STILL_RUNNING, INTERRUPTED = 0, 1, 2, 68, 69, 130


@dataclass(frozen=True)
class Speech:
    """
    How this invocation was asked to speak.
    """

    as_json: bool
    quiet: bool
    debug: bool

    def answer(self, data: Any, told: Callable[[], Iterable[str]]) -> None:
        """
        The command's answer: as the JSON envelope, or as the lines that ``told`` makes of it.
        """
        if self.as_json:
            click.echo(json.dumps({"status": 0, "result": data, "warnings": []}, default=str, ensure_ascii=False))
        else:
            for line in told():
                click.echo(line)

    def say(self, line: str) -> None:
        """
        A word beside the answer.
        """
        if not self.quiet:
            click.echo(line, err=True)

    @contextmanager
    def progress(self, title: str) -> Iterator[Callable[[str, str, int], None]]:
        """
        A line on a terminal that counts what flows do; nothing anywhere else.
        """
        if self.quiet or self.as_json or not sys.stderr.isatty():
            yield lambda _flow, _what, _count: None
            return
        from rich.console import Console
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        counts: dict[str, int] = {}
        with Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
        ) as bars:
            bar = bars.add_task(title, total=None)

            def count(flow: str, what: str, number: int) -> None:
                counts[what] = counts.get(what, 0) + number
                bars.update(bar, description=f"{title}  {flow}: {counts[what]:,} {what}")

            yield count


def common(command: Callable[..., Any]) -> Callable[..., Any]:
    """
    The options every command has; the command gets a ``speech``.
    """

    def asked(*args: Any, as_json: bool, quiet: bool, debug: bool, **kwargs: Any) -> Any:
        return command(*args, speech=Speech(as_json, quiet, debug), **kwargs)

    asked.__name__ = command.__name__
    asked.__doc__ = command.__doc__
    asked.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Answer in JSON."),
        click.option("--quiet", "-q", is_flag=True, help="Say nothing beside the answer."),
        click.option("--debug", is_flag=True, help="Show where an error came from."),
    ):
        asked = option(asked)
    return asked


def error_lines(error: HeadwaterError | ConfigError) -> list[str]:
    """
    An error as people read it: the code, what happened, the vendor's words, and what to do.
    """
    lines = [f"Error ({error.code}): {error.message}"]
    if error.vendor:
        lines.append(f"  {error.vendor}")
    if error.actions:
        lines.append("Try this:")
        lines += [f"  {action}" for action in error.actions]
    return [printable(line) for told in lines for line in told.split("\n")]


def error_data(error: HeadwaterError | ConfigError) -> dict[str, Any]:
    """
    An error as JSON.
    """
    return {
        "status": USAGE if isinstance(error, ConfigError) else FAILED,
        "name": error.code,
        "message": error.message,
        "actions": list(error.actions),
        "context": {"vendor": error.vendor},
    }


def table(heads: Sequence[str], lines: Sequence[Sequence[object]], *, right: Sequence[int] = ()) -> list[str]:
    """
    Columns as wide as they need to be; those numbered in ``right`` end under one another.
    """
    cells = [[_shown(cell) for cell in line] for line in lines]
    widths = [max(len(row[column]) for row in [list(heads), *cells]) for column in range(len(heads))]

    def row(values: Sequence[str]) -> str:
        return "  ".join(
            value.rjust(width) if column in right else value.ljust(width)
            for column, (value, width) in enumerate(zip(values, widths, strict=True))
        ).rstrip()

    return [row(list(heads)), *(row(line) for line in cells)]


def _shown(cell: object) -> str:
    match cell:
        case None:
            return "-"
        case bool():
            return "yes" if cell else "no"
        case int():
            return f"{cell:,}"
        case _:
            return printable(str(cell))


def printable(text: str) -> str:
    """
    The text with its control characters spelt out (\\x1b), so that nobody's data steers a terminal.
    """
    if text.isprintable():
        return text
    return "".join(letter.encode("unicode_escape").decode() if _steers(letter) else letter for letter in text)


def _steers(letter: str) -> bool:
    """
    Control and format characters, halves of pairs, line and paragraph separators; joiners are part of words.
    """
    return unicodedata.category(letter) in {"Cc", "Cf", "Cs", "Zl", "Zp"} and letter not in "\u200c\u200d"
