"""Reading a log in stretches: whole lines, all of them, and none that is still being written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.journal.stretches import STRETCH_BYTES, Stretch, read_lines, stretches_of


def segment(directory: Path, number: int, content: bytes) -> Path:
    path = directory / f"audit-{number:06}.jsonl"
    path.write_bytes(content)
    return path


def lines_of(directory: Path) -> list[bytes]:
    return [line for stretch in stretches_of(directory) for line in read_lines(stretch)]


def test_all_lines_come_in_their_order_and_half_a_line_does_not(tmp_path: Path) -> None:
    lines = [b"%07d" % number + b"x" * 500 for number in range(2 * STRETCH_BYTES // 500)]
    segment(tmp_path, 1, b"\n".join(lines) + b"\n")
    segment(tmp_path, 2, b"")
    segment(tmp_path, 3, b"one\ntwo\nhal")

    assert lines_of(tmp_path) == [*lines, b"one", b"two"]
    assert len(list(stretches_of(tmp_path))) > 3


def test_a_line_longer_than_a_stretch_is_whole(tmp_path: Path) -> None:
    lines = [b"a", b"b" * (2 * STRETCH_BYTES), b"c"]
    segment(tmp_path, 1, b"\n".join(lines) + b"\nd")

    assert lines_of(tmp_path) == lines


def test_a_file_without_a_whole_line_has_none(tmp_path: Path) -> None:
    segment(tmp_path, 1, b"x" * 100_000)

    assert lines_of(tmp_path) == []


def test_what_was_cut_or_deleted_meanwhile_is_passed_over(tmp_path: Path) -> None:
    path = segment(tmp_path, 1, b"one\ntwo\n")
    stretch = Stretch(path, 0, 8)
    path.write_bytes(b"one\ntw")

    assert read_lines(stretch) == [b"one"]
    path.unlink()
    assert read_lines(stretch) == []


NAMES = st.text(st.sampled_from('aAsSkK/"\\% \x1b\xdf\xfc\u017f\u212a'), min_size=1, max_size=3)


@given(st.lists(NAMES, max_size=6), NAMES, st.booleans())
def test_no_line_that_holds_a_text_is_kept_back(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], asked: str, ascii_only: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "audit-000001.jsonl"
    lines = [json.dumps({"name": name}, ensure_ascii=ascii_only).encode() for name in names]
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    found = read_lines(Stretch(path, 0, path.stat().st_size), frozenset((asked.casefold(),)))

    holding = [line for line, name in zip(lines, names, strict=True) if asked.casefold() in name.casefold()]
    assert [line for line in found if line in holding] == holding


def test_lines_that_hold_no_text_are_kept_back(tmp_path: Path) -> None:
    path = segment(tmp_path, 1, b'{"a":"anna"}\n{"a":"bo"}\n{"a":"ANNA anna"}\n{"a":"\\u0061"}\n')

    found = read_lines(Stretch(path, 0, path.stat().st_size), frozenset({"anna"}))
    assert found == [b'{"a":"anna"}', b'{"a":"ANNA anna"}', b'{"a":"\\u0061"}']
