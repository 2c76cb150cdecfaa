"""What was measured, said: medians and spreads over rounds, a table, and our targets. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

MOST_TAKEN = 0.1  # share of a core

Sample = Mapping[str, float]  # of one system in one round, by the names below

# The name in bench.json, what it says to a reader, and how many decimals they need.
QUANTITIES = (
    ("get_cpu_us", "GET: CPU us a request", 1),
    ("get_requests_per_second", "GET: requests a second", 0),
    ("patch_cpu_us", "PATCH: CPU us a request", 1),
    ("patch_requests_per_second", "PATCH: requests a second", 0),
    ("cpu_us_per_request", "80/20: CPU us a request", 1),
    ("requests_per_second", "80/20: requests a second", 0),
    ("p50_ms", "p50 at 500/s, ms", 2),
    ("p99_ms", "p99 at 500/s, ms", 2),
    ("patch_p99_ms", "PATCH: p99 at 500/s, ms", 2),
    ("fdatasync_p99_ms", "p99 of the disk's fdatasync, ms", 2),
    ("rss_mib_1000_connections", "RSS, 1,000 connections, MiB", 1),
    ("kib_per_connection", "RSS of a connection, KiB", 1),
    ("rss_mib_after_8000_failed_handshakes", "RSS grown, failed handshakes, MiB", 1),
    ("busy", "80/20: its share of its core", 2),
    ("core_taken_by_others", "80/20: others' share of that core", 2),
)


@dataclass(frozen=True, slots=True)
class Measured:
    """One quantity over all rounds."""

    median: float
    least: float
    most: float


Results = Mapping[str, Mapping[str, Measured]]  # by system, by quantity


def summarise(samples: Mapping[str, Sequence[Sample]]) -> dict[str, dict[str, Measured]]:
    """Median and spread of each quantity of each system."""
    return {
        system: {
            name: Measured(median(values), min(values), max(values))
            for name in rounds[0]
            if (values := [sample[name] for sample in rounds])
        }
        for system, rounds in samples.items()
        if rounds
    }


def as_json(results: Results, versions: Mapping[str, str], date: datetime) -> str:
    """build/bench.json: medians by name, the spread of each beside them."""
    plain = {
        system: {name: round(value.median, 3) for name, value in quantities.items()}
        | {"spread": {name: [round(value.least, 3), round(value.most, 3)] for name, value in quantities.items()}}
        for system, quantities in results.items()
    }
    said = {"date": date.isoformat(timespec="seconds"), "versions": dict(versions), "results": plain}
    return json.dumps(said, indent=2) + "\n"


def table(results: Results) -> str:
    """A line for each quantity, a column for each system: `median (least..most)`."""
    rows = [["", *results]]
    for name, says, decimals in QUANTITIES:
        rows.append([says, *(_cell(quantities.get(name), decimals) for quantities in results.values())])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            (row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)))
        )
        for row in rows
    )


def _cell(value: Measured | None, decimals: int) -> str:
    if value is None:
        return "-"
    if value.least == value.most:
        return f"{value.median:.{decimals}f}"
    return f"{value.median:.{decimals}f} ({value.least:.{decimals}f}..{value.most:.{decimals}f})"


@dataclass(frozen=True, slots=True)
class Target:
    """What we want to hold: `found(results)` is at most `most`."""

    says: str
    unit: str
    most: float
    found: Callable[[Results], float]


def _ours(name: str) -> Callable[[Results], float]:
    return lambda results: results["gateway"][name].median


def _ratio(name: str, peer: str) -> Callable[[Results], float]:
    return lambda results: results["gateway"][name].median / results[peer][name].median


def _above(name: str, peer: str) -> Callable[[Results], float]:
    return lambda results: results["gateway"][name].median - results[peer][name].median


def _added_in_syncs(name: str) -> Callable[[Results], float]:
    """What the audit log adds, in times of what the disk itself takes to sync."""
    return lambda results: _above(name, "unrecorded")(results) / results["gateway"]["fdatasync_p99_ms"].median


TARGETS = (
    Target("CPU of a GET, against Caddy", "x", 1.5, _ratio("get_cpu_us", "caddy")),
    Target("CPU of a GET, against HAProxy", "x", 5, _ratio("get_cpu_us", "haproxy")),
    Target("CPU of a PATCH, against HAProxy", "x", 8, _ratio("patch_cpu_us", "haproxy")),
    Target("p99 at 500/s, above HAProxy's", "ms", 5, _above("p99_ms", "haproxy")),
    Target("p99 it adds to a GET, in fdatasyncs", "x", 4, _added_in_syncs("p99_ms")),
    Target("p99 it adds to a PATCH, in fdatasyncs", "x", 8, _added_in_syncs("patch_p99_ms")),
    Target("memory with 1,000 connections", "MiB", 120, _ours("rss_mib_1000_connections")),
    Target("memory of a connection", "KiB", 40, _ours("kib_per_connection")),
    Target("memory after 8,000 failed handshakes", "MiB", 20, _ours("rss_mib_after_8000_failed_handshakes")),
)

# Without a target: to be seen beside them.
COMPARISONS = (("CPU of a PATCH, against Caddy", _ratio("patch_cpu_us", "caddy")),)


def verdict(kept: bool) -> str:
    """Of a target, in a word."""
    return "ok" if kept else "missed"


def verdicts(results: Results) -> Iterator[str]:
    """A line for each target of which everything was measured, and for each comparison."""
    for target in TARGETS:
        found = _if_measured(target.found, results)
        if found is not None:
            said = verdict(found <= target.most)
            yield f"{target.says:<40} {found:8.2f} {target.unit:<3}  at most {target.most:g}  {said}"
    for says, comparison in COMPARISONS:
        found = _if_measured(comparison, results)
        if found is not None:
            yield f"{says:<40} {found:8.2f} x"


def disturbances(results: Results) -> Iterator[str]:
    """A line for each system that shared its core: what it needed of a request is then too much by some."""
    for system, quantities in results.items():
        if (taken := quantities.get("core_taken_by_others")) is not None and taken.most > MOST_TAKEN:
            yield f"{system}: others took up to {taken.most:.0%} of its core; measure again on a quiet machine"


def _if_measured(found: Callable[[Results], float], results: Results) -> float | None:
    try:
        return found(results)
    except KeyError:
        return None
