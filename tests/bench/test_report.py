"""The bench's pure parts: what wrk, h2load and py-spy say, medians and spreads, the table, the targets."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.bench.__main__ import file_system
from tests.bench.load import Load, LoadFailed, parse_h2load, parse_wrk, percentile
from tests.bench.processes import TICKS_PER_SECOND, core_seconds
from tests.bench.profiling import own_time, parse_stacks, whole_time
from tests.bench.report import Measured, as_json, disturbances, summarise, table, verdicts

WRK = """Running 6s test @ https://127.0.0.1:8443
  1 threads and 32 connections
SUMMARY {"requests": 1200, "microseconds": 6000000, "bad_statuses": %d, "broken": 0, "timeouts": 1}
"""
SAMPLES = {
    "gateway": [{"get_cpu_us": value, "p99_ms": value / 20} for value in (90.0, 120.0, 100.0)],
    "haproxy": [{"get_cpu_us": value, "p99_ms": 1.0} for value in (25.0, 25.0, 24.0)],
}


def test_wrk_s_bad_statuses_and_timeouts_are_bad_answers() -> None:
    assert parse_wrk(WRK % 2) == Load(requests=1200, seconds=6.0, bad=3)


def test_a_wrk_without_summary_is_a_failure() -> None:
    with pytest.raises(LoadFailed, match="unable to connect"):
        parse_wrk("unable to connect to 127.0.0.1:8443")


def test_h2load_s_microseconds_are_read_as_milliseconds() -> None:
    assert parse_h2load("1795490611492547\t200\t350\n1795490611492949\t200\t1250\n") == [0.35, 1.25]


@pytest.mark.parametrize("status", ["429", "-1"])
def test_an_answer_at_a_fixed_rate_that_is_not_200_is_a_failure(status: str) -> None:
    with pytest.raises(LoadFailed, match=status):
        parse_h2load(f"1795490611492547\t{status}\t350\n")


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50), (0.99, 99), (1.0, 100), (0.001, 1)])
def test_a_percentile_is_the_nearest_rank(share: float, expected: float) -> None:
    assert percentile([float(value) for value in range(100, 0, -1)], share) == expected


def test_a_summary_has_the_median_and_the_spread() -> None:
    assert summarise(SAMPLES)["gateway"]["get_cpu_us"] == Measured(median=100.0, least=90.0, most=120.0)


def test_bench_json_has_medians_by_name_and_spreads_beside() -> None:
    said = json.loads(as_json(summarise(SAMPLES), {"python": "3.11.7"}, datetime(2026, 11, 24, tzinfo=UTC)))

    assert said["date"] == "2026-11-24T00:00:00+00:00"
    assert said["versions"] == {"python": "3.11.7"}
    assert said["results"]["gateway"]["get_cpu_us"] == 100.0
    assert said["results"]["gateway"]["spread"]["get_cpu_us"] == [90.0, 120.0]


def test_the_table_has_a_column_for_each_system_and_a_dash_for_what_was_not_measured() -> None:
    lines = table(summarise(SAMPLES)).splitlines()

    assert lines[0].split() == ["gateway", "haproxy"]
    assert lines[1].split()[-4:] == ["100.0", "(90.0..120.0)", "25.0", "(24.0..25.0)"]
    assert lines[3].split()[-2:] == ["-", "-"]


def test_targets_are_said_where_everything_was_measured() -> None:
    said = list(verdicts(summarise(SAMPLES)))

    assert [line.split()[-1] for line in said] == ["ok", "ok"]  # a GET against HAProxy, and p99
    assert "4.00 x" in said[0]


def test_a_target_missed_is_said() -> None:
    slow = {"gateway": [{"get_cpu_us": 126.0}], "haproxy": [{"get_cpu_us": 25.0}]}

    assert next(verdicts(summarise(slow))).endswith("missed")


def test_what_the_audit_log_adds_is_the_difference_to_a_gateway_without_one() -> None:
    recorded = {"patch_p99_ms": 7.0, "fdatasync_p99_ms": 0.5}
    samples = {"gateway": [recorded], "unrecorded": [{"patch_p99_ms": 4.0}]}

    [p99] = verdicts(summarise(samples))
    assert p99.endswith("6.00 x    at most 8  ok")


def test_a_core_shared_with_others_is_said() -> None:
    shared = {"nginx": [{"core_taken_by_others": 0.5}], "caddy": [{"core_taken_by_others": 0.01}]}

    assert [line.partition(":")[0] for line in disturbances(summarise(shared))] == ["nginx"]


def test_own_time_is_the_innermost_function_s_and_whole_time_counts_a_stack_once() -> None:
    stacks = parse_stacks("main (a.py:1);step (b.py:2);step (b.py:2) 3\nmain (a.py:1) 1\n 2\n")

    assert own_time(stacks) == {"step (b.py:2)": 3, "main (a.py:1)": 1, "(no Python)": 2}
    assert whole_time(stacks) == {"step (b.py:2)": 3, "main (a.py:1)": 4, "(no Python)": 2}


def test_a_core_is_used_in_all_but_idle_and_iowait() -> None:
    statistics = "cpu  9 9 9 9 9 9 9 9 9 9\ncpu0 100 20 30 4000 5000 6 7 8 0 0\ncpu1 1 1 1 1 1 1 1 1 0 0\n"

    assert core_seconds(0, statistics) == 163 / TICKS_PER_SECOND


@pytest.mark.parametrize(("directory", "kind"), [("/srv/gateway/build", "ext4"), ("/srv/fast/build", "tmpfs")])
def test_the_file_system_is_that_of_the_nearest_mount(directory: str, kind: str) -> None:
    mounts = "rootfs / overlay rw 0 0\n/dev/vda / ext4 rw 0 0\ntmpfs /srv/fast tmpfs rw 0 0\n"

    assert file_system(Path(directory), mounts) == kind
