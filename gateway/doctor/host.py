"""The gateway's own host: its settings, what ends soon, its feeds, its disk and its record."""

from __future__ import annotations

import asyncio
import os
import secrets
from pathlib import Path
from time import perf_counter

from gateway.audit.chain import read_header
from gateway.doctor.findings import Finding, all_of, fault, ok, warning
from gateway.doctor.visit import Visit
from gateway.journal.keys import KEY_NAME, KeyUnusable, read_private
from gateway.journal.listing import segments_of
from gateway.journal.verifying import Request, Verdict, verify
from gateway.settings.checking import credentials_are_in_date
from gateway.settings.models import Settings
from gateway.settings.problems import Problem

_SYNCS = 5
_BLOCK = b"0" * 4096
_RECENT_SEGMENTS = 2
_DAY_SECONDS = 86_400
_MIB = 1 << 20


async def settings_are_good(visit: Visit) -> Finding:
    """As `scim-gateway check`; what ends is told below."""
    problems = visit.case.problems if visit.case else ()
    return all_of(
        (_of(problem) for problem in problems if not problem.key.endswith(".expires")), otherwise="no problem"
    )


async def nothing_ends_soon(visit: Visit) -> Finding:
    """Credentials that have ended, or will within 30 days."""
    settings = _settings(visit)
    ends = [
        f"{credential.name} until {credential.expires:%Y-%m-%d}"
        for tenant in settings.tenants.values()
        for credential in tenant.credentials
        if credential.expires is not None
    ]
    found = map(_of, credentials_are_in_date(settings, visit.now()))
    return all_of(found, otherwise="; ".join(ends) or "no credential has an end")


async def feeds_are_fresh(visit: Visit) -> Finding:
    """Files of networks that were fetched lately; the client's networks change within weeks."""
    sources = _settings(visit).sources
    return all_of((_feed(visit, name, feed.file) for name, feed in sources.items()), otherwise="no feed is used")


async def disk_has_room(visit: Visit) -> Finding:
    """What the audit log and the state are written to: once it is full, nothing is served."""
    settings = _settings(visit)
    directories = dict.fromkeys((settings.audit.directory, settings.gateway.state_directory))
    return all_of((_room(visit, directory) for directory in directories), otherwise="")


async def disk_syncs_quickly(visit: Visit) -> Finding:
    """Every write waits for two syncs of the record, so a slow disk is a slow gateway."""
    directory, limits = _settings(visit).audit.directory, visit.limits
    try:
        seconds = await asyncio.to_thread(_median_sync, visit, directory)
    except OSError as error:
        who = "run doctor as the gateway's own user" if isinstance(error, PermissionError) else "look at the disk"
        return fault(f"{directory} cannot be written to: {error.strerror}", f"mend that, or {who}")
    seen = f"fdatasync takes {seconds * 1000:.1f} ms in {directory}"
    mend = "put the audit log on a local SSD, not on a network file system or a busy disk: each write waits for two"
    if seconds >= limits.too_slow_sync_seconds:
        return fault(seen, mend)
    return warning(seen, mend) if seconds >= limits.slow_sync_seconds else ok(seen)


async def record_is_whole(visit: Visit) -> Finding:
    """The chain, the Merkle tree and the signatures of the newest files of the audit log."""
    settings = _settings(visit)
    try:
        verdict = await asyncio.to_thread(_verified, settings)
    except FileNotFoundError:
        return warning(
            f"there is no audit log in {settings.audit.directory}",
            "has this gateway ever run with these settings? Compare audit.directory with those it was started with",
        )
    except (OSError, KeyUnusable) as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return fault(f"the audit log cannot be verified: {said}", "run doctor as the gateway's own user, or as root")
    found = verdict.finding
    if found is not None:
        where = f" at line {found.sequence}" if found.sequence else ""
        return fault(
            f"the audit log was tampered with: {found.kind.value}{where}: {found.why}",
            "keep a copy of it and of the disk, find out who could write there; scim-gateway audit verify tells more",
        )
    return ok(_proven(verdict))


def _proven(verdict: Verdict) -> str:
    unsigned, signed_to = verdict.unsigned_from, verdict.signed_to
    said = [f"lines {verdict.first} to {signed_to} are as they were written"] if signed_to >= verdict.first else []
    if unsigned:
        said.append(f"lines {unsigned} to {verdict.last} hang together, and no checkpoint stands for them yet")
    return "; ".join(said)


def _settings(visit: Visit) -> Settings:
    assert visit.settings is not None  # noqa: S101 - checks of the host run with settings only
    return visit.settings


def _of(problem: Problem) -> Finding:
    """A problem of the settings says in one sentence what is wrong and what would be right."""
    make = fault if problem.severity == "error" else warning
    return make(f"{problem.key}: {problem.text}", "correct the settings, then reload; scim-gateway check lists all")


def _feed(visit: Visit, name: str, file: Path) -> Finding:
    try:
        days = (visit.now() - file.stat().st_mtime) / _DAY_SECONDS
    except OSError as error:
        return fault(f"sources.{name}: {file} cannot be read: {error.strerror}", "fetch it anew")
    if days > visit.limits.feed_days:
        return warning(
            f"sources.{name}: {file} was fetched {days:.0f} days ago",
            "mend the job that fetches it: new networks of the client would be refused",
        )
    return ok(f"{name} is {max(0, int(days))} days old")


def _room(visit: Visit, directory: Path) -> Finding:
    try:
        nearest = next(place for place in (directory, *directory.parents) if place.exists())
        free = visit.free_bytes(nearest)
    except OSError as error:
        return fault(f"{directory}: {error.strerror}", "look at the disk, or run doctor as the gateway's own user")
    seen = f"{free // _MIB:,} MiB free in {directory}"
    mend = "make room, or set audit.keep_days; without room nothing is served"
    if free < visit.limits.too_little_space_bytes:
        return fault(seen, mend)
    return warning(seen, mend) if free < visit.limits.little_space_bytes else ok(seen)


def _median_sync(visit: Visit, directory: Path) -> float:
    """Of a small file beside the log, which is gone again afterwards.

    Raises:
        OSError: it cannot be made or written.
    """
    disk, path = visit.disk, directory / f".doctor-{os.getpid()}-{secrets.token_hex(4)}"
    descriptor = disk.create(path)
    took: list[float] = []
    try:
        for _ in range(_SYNCS):
            started_at = perf_counter()
            disk.write(descriptor, _BLOCK)
            disk.sync(descriptor)
            took.append(perf_counter() - started_at)
    finally:
        disk.close(descriptor)
        path.unlink()
    return sorted(took)[_SYNCS // 2]


def _verified(settings: Settings) -> Verdict:
    directory = settings.audit.directory
    segments = segments_of(directory)
    key_file = settings.audit.key_file or settings.gateway.state_directory / KEY_NAME
    keys = (read_private(key_file).public_key(),) if key_file.exists() else ()
    with segments[-_RECENT_SEGMENTS:][0].open("rb") as segment:
        header = read_header(segment.readline().rstrip(b"\n"))
    return verify(Request(directory, keys, first=header.link.sequence + 1 if header else 1))
