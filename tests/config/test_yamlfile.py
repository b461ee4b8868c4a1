"""
The strict reader of YAML: what it refuses, on which line it says so, and how it reads values.
"""

import time
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.yamlfile import MAX_BYTES, parse_yaml, read_yaml


def flaws(text: str) -> list[tuple[int, str]]:
    return [(flaw.line, flaw.message) for flaw in parse_yaml(text).flaws]


def test_norway_and_off_are_words_and_numbers_keep_their_digits() -> None:
    data = parse_yaml(
        "country: NO\nswitch: off\nanswer: yes\nweight: 22.50\ndays: 90\nday: 2025-01-01\nflag: true\n"
    ).data
    assert data == {
        "country": "NO",
        "switch": "off",
        "answer": "yes",
        "weight": Decimal("22.50"),
        "days": 90,
        "day": "2025-01-01",
        "flag": True,
    }
    assert str(data["weight"]) == "22.50"


def test_every_key_and_list_item_knows_its_line() -> None:
    lines = parse_yaml("# a comment\nenter:\n  points: 50\nbands:\n  - {band: High}\n  - {band: Low}\n").lines
    assert lines["enter", "points"] == 3
    assert lines["bands", 1, "band"] == 6


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "stands here twice; the first is on line 1"),
        ("a:\n  b: 1\n  b: 2\n", 3, "stands here twice; the first is on line 2"),
        ("a:\n\tb: 1\n", 2, "tab"),
        ("a: &x 1\nb: 2\n", 1, "anchor"),
        ("a: !!python/object/apply:os.system [ls]\n", 1, "tag"),
        ("a: [1, 2\n", 2, "not readable as YAML"),
        ("a: b: c\n", 1, "not readable as YAML"),
        ("a: 1\n---\nb: 2\n", 2, "another document"),
        ("- 1\n- 2\n", 1, "keys and values"),
        ("just a word\n", 1, "keys and values"),
        ("[a, b]: 1\n", 1, "a key must be one word"),
        ("a: \x07\n", 1, "control character"),
    ],
)
def test_what_is_not_plain_yaml_is_refused_on_its_line(text: str, line: int, words: str) -> None:
    found = flaws(text)
    assert [(at, True) for at, message in found if words in message] == [(line, True)], found


def test_all_tabs_are_reported_at_once() -> None:
    assert [line for line, _ in flaws("a:\n\tb: 1\nc:\n\td: 1\n")] == [2, 4]


def test_an_alias_bomb_is_refused_without_growing() -> None:
    bomb = 'a: &a ["x","x","x","x","x","x","x","x","x"]\n' + "".join(
        f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n"
        for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    )
    started = time.monotonic()
    found = flaws(bomb)
    assert all("anchor" in message for _, message in found)
    assert time.monotonic() - started < 5


def test_endless_nesting_is_refused_without_exhausting_the_stack() -> None:
    assert flaws("a: " + "[" * 100_000) == [(1, "nested more than 12 levels deep")]
    assert flaws("{a: " * 100_000) == [(1, "nested more than 12 levels deep")]


def test_a_file_beyond_the_size_bound_is_not_parsed(tmp_path: Path) -> None:
    file = tmp_path / "service.yaml"
    file.write_text("a: " + "x" * MAX_BYTES)
    assert "larger than 256 KB" in read_yaml(file).flaws[0].message


def test_another_encoding_is_named_and_a_byte_order_mark_is_forgiven(tmp_path: Path) -> None:
    file = tmp_path / "service.yaml"
    file.write_bytes(b"a: 1\nname: M\xfcller\n")
    assert [(flaw.line, flaw.message) for flaw in read_yaml(file).flaws] == [
        (2, "not UTF-8; save the file in that encoding")
    ]
    file.write_bytes("\ufeffname: Müller\r\nb: 1\r\n".encode())
    assert read_yaml(file).data == {"name": "Müller", "b": 1}


def test_an_empty_file_and_one_of_comments_hold_nothing() -> None:
    for text in ("", "\n\n", "# nothing\n", "~\n"):
        document = parse_yaml(text)
        assert (document.data, document.flaws) == ({}, [])


@given(st.text(max_size=200))
def test_no_text_makes_the_reader_fail(text: str) -> None:
    document = parse_yaml(text)
    assert isinstance(document.data, dict)
    assert all(flaw.line >= 1 for flaw in document.flaws)
