"""What becomes of the settings, on record: at a start, at a reload, and over a stop."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway import history
from gateway.journal import Journal
from gateway.metrics import Metrics
from gateway.settings.models import Settings
from gateway.stages.recording import Recording
from tests import worlds
from tests.journal.disks import FailingDisk, content


class Scene:
    """A recording that settings are told to."""

    def __init__(self, journal: Journal, disk: FailingDisk, directory: Path) -> None:
        self.journal, self.disk, self.directory = journal, disk, directory
        self.recording = Recording(journal, Metrics(["jira"], version="test"), instance="gw-1")

    def settings(self, *names: str, **changes: Any) -> Settings:
        credentials = [{"name": name, "token_sha256": worlds.sha256(name)} for name in names]
        tenant = worlds.tenant(credentials=credentials, **changes)
        return worlds.settings(self.directory, tenants={"jira": tenant.model_dump(exclude_unset=True)})

    async def starts(self, settings: Settings) -> None:
        await history.note_start(self.recording, settings, "digest", "1.0")

    def notices(self) -> list[tuple[str, dict[str, Any]]]:
        written = [json.loads(line) for line in content(self.journal.directory).splitlines()]
        return [(line["notice"], line["details"]) for line in written if line["event"] == "notice"]

    def of_credentials(self) -> list[tuple[str, str]]:
        return [(kind, told["credential"]) for kind, told in self.notices() if kind.startswith("credential-")]


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    disk = FailingDisk()
    async with Journal(tmp_path / "audit", disk=disk) as journal:
        yield Scene(journal, disk, tmp_path)


async def test_a_start_tells_the_settings_and_every_credential(scene: Scene) -> None:
    await scene.starts(scene.settings("a", "b"))

    assert scene.notices()[0] == (
        "start",
        {
            "version": "1.0",
            "settings": "digest",
            "credentials": [
                {"tenant": "jira", "credential": "a", "form": "token"},
                {"tenant": "jira", "credential": "b", "form": "token"},
            ],
        },
    )
    assert scene.of_credentials() == [("credential-added", "a"), ("credential-added", "b")]


async def test_a_credential_that_came_while_the_gateway_was_stopped_is_told_once(scene: Scene) -> None:
    await scene.starts(scene.settings("a"))
    await scene.starts(scene.settings("a", "b"))
    await scene.starts(scene.settings("a", "b"))

    assert scene.of_credentials() == [("credential-added", "a"), ("credential-added", "b")]


async def test_a_reload_tells_what_changed_with_the_old_value_and_the_new(scene: Scene) -> None:
    old, new = scene.settings("a"), scene.settings("b", client="entra")
    await scene.starts(old)
    await history.note_reload(scene.recording, old, new, "other")

    assert scene.notices()[2:] == [
        (
            "reload",
            {
                "settings": "other",
                "changes": [{"key": "tenants.jira.client", "kind": "changed", "old": "okta", "new": "entra"}],
            },
        ),
        ("credential-removed", {"tenant": "jira", "credential": "a", "form": "token"}),
        ("credential-added", {"tenant": "jira", "credential": "b", "form": "token"}),
    ]


async def test_a_new_end_is_told_with_the_old_one(scene: Scene) -> None:
    later = worlds.tenant(
        credentials=[{"name": "a", "token_sha256": worlds.sha256("a"), "expires": "2027-11-23T00:00:00Z"}]
    )
    await scene.starts(scene.settings("a"))
    await scene.starts(worlds.settings(scene.directory, tenants={"jira": later.model_dump(exclude_unset=True)}))

    assert scene.notices()[-1] == (
        "credential-changed",
        {
            "tenant": "jira", "credential": "a", "form": "token", "expires": "2027-11-23T00:00:00Z",
            "changed": ["expires"], "expires_before": "never",
        },
    )  # fmt: skip


async def test_a_change_that_could_not_be_told_is_told_at_the_next_start(scene: Scene) -> None:
    scene.disk.free_bytes = 0
    await scene.starts(scene.settings("a"))
    scene.disk.free_bytes = None
    await scene.starts(scene.settings("a"))

    assert scene.of_credentials() == [("credential-added", "a")]


@pytest.mark.parametrize("spoiled", [b"", b"{}x", b'[{"tenant": "jira"}]', b"[1]", b"\xff", b'[{"tenant": []}]'])
async def test_what_was_remembered_and_cannot_be_read_is_told_anew(scene: Scene, spoiled: bytes) -> None:
    await scene.starts(scene.settings("a"))
    (scene.directory / "state" / history.FILE_NAME).write_bytes(spoiled)
    await scene.starts(scene.settings("a"))

    assert scene.of_credentials() == [("credential-added", "a"), ("credential-added", "a")]


async def test_a_state_directory_that_cannot_be_written_keeps_nobody_from_starting(scene: Scene) -> None:
    (scene.directory / "state").write_text("a file where a directory is due")
    await scene.starts(scene.settings("a"))

    assert scene.of_credentials() == [("credential-added", "a")]


async def test_neither_secrets_nor_their_digests_are_on_record(scene: Scene) -> None:
    old = scene.settings("a")
    await scene.starts(old)
    await history.note_reload(scene.recording, old, scene.settings("b", upstream_token="x" * 40), "other")
    kept = (scene.directory / "state" / history.FILE_NAME).read_bytes()

    for secret in (worlds.UPSTREAM_TOKEN, "x" * 40, worlds.sha256("a"), worlds.sha256("b")):
        assert secret.encode() not in content(scene.journal.directory)
        assert secret.encode() not in kept
