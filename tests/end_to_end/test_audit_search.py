"""Search and report on the log of a real gateway: what it writes is what they read."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import sys
from pathlib import Path
from typing import Any

from gateway.audit.tasks import tasks_of
from gateway.rehearsal.application import Application
from tests.end_to_end.guarded import guarded, people, user
from tests.end_to_end.processes import PATIENCE_SECONDS


async def audit(directory: Path, *words: str) -> str:
    """`scim-gateway audit` in a process of its own, with a cache of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", "audit", words[0], str(directory / "audit"), *words[1:]),
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"XDG_CACHE_HOME": str(directory / "cache")},
    )
    async with asyncio.timeout(PATIENCE_SECONDS):
        out, _ = await process.communicate()
    assert process.returncode == 0
    return out.decode()


def sections(told: str, name: str) -> list[dict[str, Any]]:
    return [row for row in map(json.loads, told.splitlines()) if row["section"] == name]


async def test_a_leaver_whom_the_guard_held_is_found_by_name_and_reported_with_who_decided(
    tmp_path: Path, real_application: Application
) -> None:
    ids = await people(real_application, *(f"sought-{number}" for number in range(4)))
    async with guarded(tmp_path, real_application) as it:
        named = {**user("sought-3"), "externalId": "00u3"}
        await it.ask("PUT", f"/Users/{ids[3]}", named)
        assert await it.switch_off(*ids) == [204, 204, 204, 429]
        live = await audit(tmp_path, "search", "--person", "SOUGHT-3@example.com", "--outcome", "held", "--json")
        [hold] = await it.holds()
        [task] = tasks_of(json.loads(live))
        await it.guard("approve", hold["id"], "--task", task, "--reason", "a team left")
        done = await it.switch(ids[3], active=False)
        by_request = await audit(tmp_path, "search", "--request", done.fields["x-request-id"], "--json")
        by_external_id = await audit(tmp_path, "search", "--person", "00u3", "--operation", "user.deactivate")
        told = await audit(tmp_path, "report", "--json")
        table = await audit(tmp_path, "report", "--csv")

    [held] = map(json.loads, live.splitlines())
    assert (held["lost"], held["reason"]) == ([ids[3]], "guard-held")
    assert [json.loads(line)["event"] for line in by_request.splitlines()] == ["intent", "outcome"]
    assert f"id {ids[3]}" in by_external_id
    for row in ("wave-held", "held 429 guard-held", f"executed 204 {hold['id']} attempt 2"):
        assert row in by_external_id
    [leaver] = [row for row in sections(told, "leavers") if row["id"] == ids[3]]
    assert (leaver["person"], leaver["result"], leaver["attempts"]) == ("sought-3@example.com", "done", 2)
    assert leaver["hold"] == hold["id"]
    assert "a team left" in leaver["decision"]
    assert leaver["seconds"] > 0
    assert sections(told, "unsettled") == []
    assert sections(told, "totals")[0]["executed"]["deactivated"] == 4
    assert sum(row["section"] == "leavers" for row in csv.DictReader(io.StringIO(table))) == 4
