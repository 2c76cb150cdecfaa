"""What an instance puts on record of its settings: those it starts with, what a reload changed, each credential that
came, went or changed.

The credentials that it last told of are remembered in the state directory, so a change shows also when it was made
while the instance was stopped.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TypeAlias

from pydantic import TypeAdapter

from gateway.journal.cursors import save_whole
from gateway.settings.differences import (
    CredentialChange,
    KnownCredential,
    credential_changes,
    credentials_of,
    differences,
)
from gateway.settings.models import Settings
from gateway.stages.recording import Recording

log = logging.getLogger(__name__)

FILE_NAME = "credentials-on-record.json"

_KNOWN = TypeAdapter(tuple[KnownCredential, ...])
_Told: TypeAlias = "dict[str, str | tuple[str, ...]]"


async def note_start(recording: Recording, settings: Settings, name: str, version: str) -> None:
    """The gateway starts, with these settings and credentials; `name` is the settings' digest."""
    credentials = tuple(_told(known) for known in credentials_of(settings))
    await recording.tell("start", version=version, settings=name, credentials=credentials)
    await _note_credentials(recording, settings)


async def note_reload(recording: Recording, old: Settings, new: Settings, name: str) -> None:
    """Other settings are in use: what differs, the credentials apart."""
    changes = tuple(
        {key: value for key, value in asdict(difference).items() if value is not None}
        for difference in differences(old, new)
    )
    await recording.tell("reload", settings=name, changes=changes)
    await _note_credentials(recording, new)


async def _note_credentials(recording: Recording, settings: Settings) -> None:
    """A line for each that differs from what is on record; what could not be told is told the next time."""
    file = settings.gateway.state_directory / FILE_NAME
    present = credentials_of(settings)
    changes = credential_changes(await asyncio.to_thread(_read, file), present)
    for change in changes:
        if not await recording.notice(f"credential-{change.kind}", **_told_change(change)):
            return
    if changes:
        try:
            await asyncio.to_thread(save_whole, file, _KNOWN.dump_json(present))
        except OSError as error:
            log.error("%s cannot be written: changes of credentials are told again: %s", file, error)  # noqa: TRY400 - says all


def _read(file: Path) -> tuple[KnownCredential, ...]:
    """What was told of last; nothing, if nobody can read it: rather twice than never."""
    try:
        return _KNOWN.validate_json(file.read_bytes())
    except FileNotFoundError:
        return ()
    except (OSError, ValueError):
        log.exception("%s cannot be read: every credential is told as a new one", file)
        return ()


def _told(known: KnownCredential) -> _Told:
    told: _Told = {"tenant": known.tenant, "credential": known.name, "form": known.form}
    return told | ({"expires": known.expires} if known.expires else {})


def _told_change(change: CredentialChange) -> Mapping[str, str | tuple[str, ...]]:
    told = _told(change.credential)
    if change.before is not None:
        told["changed"] = change.changed
        if "expires" in change.changed:
            told["expires_before"] = change.before.expires or "never"
    return told
