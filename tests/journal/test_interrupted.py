from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from gateway.journal.interrupted import interrupted
from tests.journal.disks import open_segments

INTENT, OUTCOME, OTHER = (
    b'{"v":2,"event":"%s","request":"%s"}\n' % parts
    for parts in ((b"intent", b"req-1"), (b"outcome", b"req-1"), (b"outcome", b"req-2"))
)


def write(directory: Path, *segments: tuple[float, bytes]) -> None:
    """Segments that begin so many seconds after the first, with a line each."""
    for seconds, line in segments:
        opened = open_segments(directory, max_seconds=0.5, now=lambda moment=seconds: 1_800_000_000.0 + moment)  # type: ignore[misc] # bound
        opened.append([line])
        opened.close()


@pytest.mark.parametrize(
    ("segments", "found"),
    [
        ([(0.0, INTENT)], 1),
        ([(0.0, INTENT), (1.0, OUTCOME)], 0),
        ([(0.0, INTENT), *((float(second), OTHER) for second in range(1, 60))], 1),
        ([(0.0, INTENT), *((float(second), OTHER) for second in range(1, 60)), (60.0, OUTCOME)], 0),
        ([(0.0, INTENT), (1000.0, OTHER)], 1),  # the gateway slept meanwhile
        ([(0.0, INTENT), (400.0, OTHER), (1000.0, OTHER)], 0),  # told by the start before
        ([], 0),
    ],
)
def test_an_intent_without_an_end_is_found_however_small_segments_are(
    tmp_path: Path, segments: list[tuple[float, bytes]], found: int
) -> None:
    write(tmp_path, *segments)

    assert len(interrupted(tmp_path)) == found


def test_an_end_that_the_log_has_yet_to_take_over_counts(tmp_path: Path) -> None:
    write(tmp_path, (0.0, INTENT))

    assert interrupted(tmp_path, [OUTCOME]) == ()


def test_a_large_segment_is_not_read_into_memory(tmp_path: Path) -> None:
    opened = open_segments(tmp_path, max_segment_bytes=1 << 30)
    opened.append([INTENT, *[OTHER] * 2_000])
    opened.close()
    tracemalloc.start()
    try:
        found = interrupted(tmp_path)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len(found) == 1
    assert 4 * peak_bytes < (tmp_path / "audit-000001.jsonl").stat().st_size
