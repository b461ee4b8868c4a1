"""
The CSV that Bulk results come in, taken apart as it comes: nothing here holds more of it than a line.

Called for the pages of query jobs and for the results of ingest jobs.
"""

import csv
from codecs import getincrementaldecoder
from collections.abc import Iterator
from itertools import chain
from typing import Final

import requests

from worker.connectors.http import translated
from worker.connectors.salesforce.client import SalesforceClient
from worker.connectors.salesforce.hosts import DOOR
from worker.core.errors import Retriable

_HEADER_BYTES: Final = 256 * 1024
_BOM: Final = b"\xef\xbb\xbf"


class NoHeader(Retriable):
    """
    A result that does not begin with a line of names.
    """


def clean(client: SalesforceClient, response: requests.Response) -> Iterator[bytes]:
    """
    The body in pieces, without what PostgreSQL does not take: NUL, which these CSVs do hold, and what is no UTF-8.
    """
    # A character may be cut by the end of a piece: the decoder keeps its beginning.
    decoder = getincrementaldecoder("utf-8")("replace")
    with translated(DOOR, is_harmless=True):
        for piece in client.session.body(response):
            whole = piece
            if not piece.isascii() or decoder.getstate()[0]:
                whole = decoder.decode(piece).encode()
            yield whole.replace(b"\0", b"") if b"\0" in whole else whole
        if rest := decoder.decode(b"", final=True):
            yield rest.encode()


def split_header(chunks: Iterator[bytes]) -> tuple[list[str], Iterator[bytes]]:
    """
    The names of the first line (none for an empty body), and what follows it. Raises NoHeader HW-203.
    """
    head = b""
    for piece in chunks:
        head += piece
        if b"\n" in head:
            break
        if len(head) > _HEADER_BYTES:
            raise NoHeader("HW-203", "a bulk result has no header line")
    line, _, rest = head.removeprefix(_BOM).partition(b"\n")
    try:
        names = next(csv.reader([line.decode("utf-8", "replace").strip("\r")]), [])
    except csv.Error as error:
        raise NoHeader("HW-203", "a bulk result has no header line that can be read") from error
    return names, chain([rest] if rest else [], chunks)


def cells(chunks: Iterator[bytes]) -> Iterator[list[str]]:
    """
    The lines' values. Raises Retriable HW-203 for what is no CSV.
    """
    try:
        yield from csv.reader(_lines(chunks))
    except csv.Error as error:
        raise Retriable("HW-203", "a bulk result cannot be read as CSV", vendor=str(error)) from error


def _lines(chunks: Iterator[bytes]) -> Iterator[str]:
    # Broken at line feeds alone: text holds other characters that Python takes for the end of a line.
    kept = b""
    for piece in chunks:
        *lines, kept = (kept + piece).split(b"\n")
        for line in lines:
            yield line.decode("utf-8") + "\n"
    if kept:
        yield kept.decode("utf-8")
