"""Conformance suites of others and our own rehearsal, through a gateway: the application behind it seems unchanged."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gateway.rehearsal.application import application_running
from tests.houses import house_in_a_thread
from tests.worlds import PATH, UPSTREAM_TOKEN

SECONDS = 90
LIMITS = {"requests_per_second": 100_000, "burst": 100_000}  # the suites send hundreds of requests a second
VERBATIM = {"sync_passwords": True}  # the one default of the policy that takes something out of a write

# What the suites see of a tenant's defaults: (status, check, reason) without and with the gateway, and why.
POLICY_DIFFERENCES = (
    # A PATCH of nothing but a password leaves nothing to send once `sync_passwords = false` has dropped it, and to
    # answer "done" would be a lie (docs/decisions.md).
    (
        ("SUCCESS", "check_add_attribute", "Successfully added attribute 'password'"),
        ("ERROR", "check_add_attribute", "Failed to add attribute 'password': <operation-forbidden>"),
    ),
    (
        ("SUCCESS", "check_replace_attribute", "Successfully replaced attribute 'password'"),
        ("ERROR", "check_replace_attribute", "Failed to replace attribute 'password': <operation-forbidden>"),
    ),
)

Check = tuple[str, str, str]  # status, name, reason


@dataclass(frozen=True, slots=True)
class Server:
    """Where a suite is sent."""

    url: str
    token: str = field(repr=False)
    ca_file: Path | None = None


Suite = Callable[[Server], list[Check]]


@contextmanager
def bare() -> Iterator[Server]:
    """A fresh application, called directly."""
    with application_running(path=PATH, token=UPSTREAM_TOKEN) as application:
        yield Server(application.url, application.token)


@contextmanager
def gated(directory: Path, **changes: Any) -> Iterator[Server]:
    """A fresh application behind a gateway; `changes` are the tenant's."""
    with (
        application_running(path=PATH, token=UPSTREAM_TOKEN) as application,
        house_in_a_thread(directory, application.origin, limits=LIMITS, **changes) as it,
    ):
        yield Server(it.base_url, it.token, it.ca_file)


def run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A subprocess; secrets go by its environment, for every user of the host can read an argv."""
    return subprocess.run(  # exit codes are judged by whoever reads the output
        command, env=os.environ | environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )


def trusted(server: Server) -> dict[str, str]:
    return {} if server.ca_file is None else {"SSL_CERT_FILE": str(server.ca_file)}


def scim2_test(server: Server) -> list[Check]:
    """Every check of `scim2 test`, in its order."""
    program = Path(sys.executable).with_name("scim2")
    header = f"Authorization: Bearer {server.token}"
    done = run(program, "--url", server.url, "test", "-v", SCIM_CLI_HEADERS=header, **trusted(server))
    assert "Traceback" not in done.stderr, done.stderr
    found = re.findall(r"^([A-Z]+) (\w+)$(?:\n  (.*))?", done.stdout, re.MULTILINE)
    return [(status, name, stable(reason)) for status, name, reason in found]


_SANITY = (
    "import os; from scim_sanity.cli import main; "
    "main(['probe', os.environ['SANITY_URL'], '--token', os.environ['SANITY_TOKEN'], '--json-output', "
    "'--i-accept-side-effects', *os.environ['SANITY_MORE'].split()])"
)


def scim_sanity_probe(server: Server) -> list[Check]:
    """Every result of `scim-sanity probe`, in its order. It takes a token by its arguments only: they are made inside
    its process."""
    more = "" if server.ca_file is None else f"--ca-bundle {server.ca_file}"
    done = run(
        sys.executable, "-c", _SANITY, SANITY_URL=server.url, SANITY_TOKEN=server.token, SANITY_MORE=more
    )  # fmt: skip
    report = json.loads(done.stdout)
    results = [(r["status"], f"{r['phase']}: {r['name']}", stable(r.get("message", ""))) for r in report["results"]]
    assert len(results) == report["summary"]["total"]
    return results


def stable(reason: str) -> str:
    """A reason without what differs from run to run: origins, identifiers; a refusal as its slug alone."""
    reason = re.sub(r"https?://[^/\s'\"]+", "<origin>", reason)
    reason = re.sub(r"(?<=-)[0-9a-f]{8}(?=')", "<id>", reason)
    reason = re.sub(r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}", "<id>", reason)
    return re.sub(r"[^:]*\[([a-z-]+), request [^]]+\]", r" <\1>", reason)


def executed(checks: list[Check]) -> int:
    return sum(status.lower() not in ("skip", "skipped") for status, _, _ in checks)


@pytest.fixture(scope="module")
def directly() -> dict[Suite, list[Check]]:
    """What the suites say of the application itself."""
    said: dict[Suite, list[Check]] = {}
    for suite in (scim2_test, scim_sanity_probe):
        with bare() as server:
            said[suite] = suite(server)
    return said


# What servers do differently, so that nobody can tell who loses access, is refused (docs/scim-divergences.md).
AMBIGUITIES: dict[Suite, tuple[tuple[Check, Check], ...]] = {
    scim2_test: (
        (
            ("SUCCESS", "check_remove_attribute", "Successfully removed attribute 'active'"),
            ("ERROR", "check_remove_attribute", "Failed to remove attribute 'active': <value-malformed>"),
        ),
    ),
    scim_sanity_probe: (
        (
            ("pass", "Phase 3 — Group CRUD Lifecycle: PUT /Groups/{id}", ""),
            ("fail", "Phase 3 — Group CRUD Lifecycle: PUT /Groups/{id}", "Expected HTTP 200, got 400 (RFC 7644 §3.3)"),
        ),
        (
            ("pass", "Phase 3 — Group CRUD Lifecycle: GET /Groups/{id} after PUT", "displayName update persisted"),
            (
                "fail",
                "Phase 3 — Group CRUD Lifecycle: GET /Groups/{id} after PUT",
                "Expected displayName='Updated-<id>', got 'scim-sanity-test-group-<id>'",
            ),
        ),
    ),
}


def differing(directly: list[Check], through: list[Check]) -> set[tuple[Check, Check]]:
    return {pair for pair in zip(directly, through, strict=True) if pair[0] != pair[1]}


@pytest.mark.parametrize(("suite", "at_least"), [(scim2_test, 100), (scim_sanity_probe, 25)])
def test_a_suite_finds_the_same_with_and_without_the_gateway_but_for_what_is_ambiguous(
    suite: Suite, at_least: int, directly: dict[Suite, list[Check]], tmp_path: Path
) -> None:
    with gated(tmp_path, **VERBATIM) as server:
        through = suite(server)

    assert executed(through) >= at_least
    assert differing(directly[suite], through) == set(AMBIGUITIES[suite])


def test_by_default_the_policy_is_all_that_differs_besides(directly: dict[Suite, list[Check]], tmp_path: Path) -> None:
    with gated(tmp_path) as server:
        through = scim2_test(server)

    assert differing(directly[scim2_test], through) == {*AMBIGUITIES[scim2_test], *POLICY_DIFFERENCES}


def test_a_probe_finds_the_same_by_default(directly: dict[Suite, list[Check]], tmp_path: Path) -> None:
    with gated(tmp_path) as server:
        through = scim_sanity_probe(server)

    assert differing(directly[scim_sanity_probe], through) == set(AMBIGUITIES[scim_sanity_probe])


def test_the_application_passes_every_check_so_that_a_broken_gateway_would_show(
    directly: dict[Suite, list[Check]],
) -> None:
    assert Counter(status for status, _, _ in directly[scim2_test]).keys() == {"SUCCESS"}
    assert executed(directly[scim2_test]) >= 100


@pytest.mark.parametrize(
    ("dialect", "client"), [("oin", "okta"), ("aiw", "okta"), ("entra", "entra"), ("entra-flag", "entra")]
)
def test_a_rehearsal_passes_through_the_gateway(dialect: str, client: str, tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("scim-gateway")
    with gated(tmp_path, client=client) as server:
        assert server.ca_file is not None
        options = ("--url", server.url, "--dialect", dialect, "--ca-file", server.ca_file, "--json")
        done = run(program, "rehearse", *options, SCIM_GATEWAY_TOKEN=server.token)

    report = json.loads(done.stdout.splitlines()[-1])
    assert [step for step in report["steps"] if step["outcome"] != "passed"] == []
    assert (report["failed"], report["not_run"]) == (0, 0)
    assert report["passed"] == len(report["steps"]) > 25
    assert done.returncode == 0
    assert server.token not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("at https://localhost:1/a and http://127.0.0.1:2/a", "at <origin>/a and <origin>/a"),
        ("id c30c6d89c44444e49b2414df2fc4013b", "id <id>"),
        ("/5e4272e5-0afd-4c32-975a-f6c9383c542a is", "/<id> is"),
        ("Failed 'x': No. Never. [operation-forbidden, request req-1]", "Failed 'x': <operation-forbidden>"),
        ("Expected HTTP 200, got 204 (RFC 7644)", "Expected HTTP 200, got 204 (RFC 7644)"),
    ],
)
def test_a_stable_reason_keeps_what_was_found(reason: str, expected: str) -> None:
    assert stable(reason) == expected
