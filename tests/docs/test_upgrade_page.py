"""The page on upgrades: the files that it tells of are those that an instance keeps, and the versions those written."""

from __future__ import annotations

import re
from pathlib import Path

from gateway import history
from gateway.audit.lines import notice_line
from gateway.journal.locks import LOCK_NAME
from gateway.journal.recovery import NOTES_NAME
from gateway.journal.reserve import RESERVE_NAME
from gateway.server.control import SOCKET_NAME
from gateway.settings.checking import AUDIT_KEY_NAME, GONE_ON_WITH
from gateway.state import credential_keeper, keeper, ledger_store

PAGE = (Path(__file__).parents[2] / "docs" / "upgrade.md").read_text("utf-8")
KEPT = PAGE.split("## What is kept where")[1].split("\n\n")[1]


def test_every_file_that_an_instance_keeps_is_told_of() -> None:
    kept = {*GONE_ON_WITH, AUDIT_KEY_NAME, SOCKET_NAME, LOCK_NAME, NOTES_NAME, RESERVE_NAME}
    kept |= {f"{store.FILE_NAME}{end}" for store in (keeper, credential_keeper) for end in ("", "-wal")}
    kept |= {history.FILE_NAME, "sinks/"}

    assert {name for name in kept if f"`{name}`" not in KEPT} == set()


def test_the_versions_are_those_that_are_written() -> None:
    version = re.findall(rb'"v":\d+', notice_line("start", {}, now=0.0, instance="gw-1"))[0].decode()

    assert f"| lines of the audit log | `{version}` |" in PAGE
    assert f"| `guard.sqlite3` | {ledger_store.HOLDING.version} |" in PAGE
    assert f"| `credentials.sqlite3` | {credential_keeper.HOLDING.version} |" in PAGE
