"""`scim-gateway audit`: proves that the audit log is as it was written, and prints the key that it is signed with."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import NoReturn

import click

from gateway.audit.notes import shown
from gateway.audit.tampering import Kind
from gateway.cli import audit_report, audit_search
from gateway.cli.audit_logs import tell
from gateway.cli.check import CONFIG_OPTION, EXIT_INVALID, show_problems
from gateway.cli.errors import told
from gateway.cli.holds import printable
from gateway.journal import KeyUnusable
from gateway.journal.kept import KeptUnusable, deal, read_kept
from gateway.journal.keys import KEY_NAME, public_pem, read_private, read_public
from gateway.journal.listing import segments_of
from gateway.journal.verifying import Request, Verdict, verify
from gateway.settings.mending import draft
from gateway.settings.origins import collect
from gateway.settings.problems import SettingsInvalid

EXIT_TAMPERED = 1
_KEY_HELP = (
    "The public key (PEM) that checkpoints must be signed with; several times, where it was changed: any of them."
)
_FILE = click.Path(path_type=Path, dir_okay=False)
_DIRECTORY = click.Path(path_type=Path, file_okay=False)


@click.group(name="audit")
def command() -> None:
    """Proves that the audit log is as it was written, searches it, and reports from it."""


command.add_command(audit_search.command)
command.add_command(audit_report.command)


@command.command(name="verify", short_help="Proves that the log is as it was written.")
@click.argument("directories", metavar="DIR...", nargs=-1, required=True, type=_DIRECTORY)
@click.option("--from", "first", type=click.IntRange(1), default=1, help="Begin with this line's file.")
@click.option("--to", "last", type=click.IntRange(1), help="End with this line; read on to the next checkpoint.")
@click.option("--key", "key_files", type=_FILE, multiple=True, help=_KEY_HELP)
@click.option(
    "--checkpoint", "checkpoints", type=_FILE, multiple=True, help="Checkpoints kept elsewhere; several times."
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="One JSON object a directory instead of the page, and one for each checkpoint that is of none of them.",
)
def verify_logs(
    *,
    directories: tuple[Path, ...],
    first: int,
    last: int | None,
    key_files: tuple[Path, ...],
    checkpoints: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Proves that the logs in DIR... are as they were written: no line changed, removed, added, moved or cut off.

    What --checkpoint names proves it against whoever owns this machine, if it was kept elsewhere. Exits with 0, or with
    1 when a log was tampered with, cannot be read, or has no line of those that were asked for, when --key or
    --checkpoint is given and no checkpoint holds, or when a file that one of them names holds no key or checkpoint.
    With 74 where its output cannot be written.
    """
    try:
        keys = tuple([read_public(path) for path in key_files])
        kept = [read_kept(path) for path in checkpoints]
    except (OSError, KeyUnusable, KeptUnusable) as error:
        _fail(error)
    for file in kept:
        if file.is_torn:
            click.echo(printable(f"{file.path}: the last checkpoint is unfinished"), err=True)
    hand = deal(kept, directories)
    requests = [
        Request(directory, keys, notes, first, last) for directory, notes in zip(directories, hand.dealt, strict=True)
    ]
    are_good = [_verify(request, as_json=as_json) for request in requests]
    for path, note in hand.left:
        _disown(path, note, as_json=as_json)
    sys.exit(0 if all(are_good) and not hand.left else EXIT_TAMPERED)


def _verify(request: Request, *, as_json: bool) -> bool:
    """Verify a log and tell of it; whether it is good."""
    directory = request.directory
    try:
        verdict = _verified(request, with_bar=not as_json)
    except OSError as error:
        if as_json:
            tell(json.dumps({"directory": str(directory), "ok": False, "error": told(error)}))
        click.echo(printable(told(error)), err=True)
        return False
    has_keys = bool(request.keys)
    tell(json.dumps(_object(directory, verdict, has_keys)) if as_json else _page(directory, verdict, has_keys))
    return _is_good(verdict)


def _disown(path: Path, note: bytes, *, as_json: bool) -> None:
    """Tell of a kept checkpoint that is of none of the logs."""
    kind = Kind.FOREIGN_CHECKPOINT.value
    text = note.partition(b"\n\n")[0]
    why = f"checkpoint {shown(text)} is of none of these logs"
    finding = {"looks_like": kind, "line": 0, "why": why}
    told_of = {"checkpoint": str(path), "ok": False, "finding": finding}
    tell(json.dumps(told_of) if as_json else printable(f"{path}: {kind}: {why}"))


@command.command(name="key", short_help="Prints the public key that checkpoints are signed with.")
@CONFIG_OPTION
def show_key(*, config: Path) -> None:
    """Prints the public key (PEM) that checkpoints are signed with; keep it elsewhere than the log."""
    try:
        settings = draft(collect(config, os.environ), config.parent.absolute()).settings
    except SettingsInvalid as error:
        show_problems(config, error.problems)
        sys.exit(EXIT_INVALID)
    if settings is None:
        click.echo(f"{config}: the settings have errors: scim-gateway check lists them", err=True)
        sys.exit(EXIT_INVALID)
    path = settings.audit.key_file or settings.gateway.state_directory / KEY_NAME
    try:
        pem = public_pem(read_private(path))
    except (OSError, KeyUnusable) as error:
        _fail(error)
    tell(pem, nl=False)


def _verified(request: Request, *, with_bar: bool) -> Verdict:
    """With a progress bar on a terminal.

    Raises:
        OSError: the log cannot be read, or there is none.
    """
    if not with_bar or not sys.stderr.isatty():
        return verify(request)
    total = sum(path.stat().st_size for path in segments_of(request.directory))
    with click.progressbar(length=total, label=printable(str(request.directory)), file=sys.stderr) as bar:
        return verify(request, bar.update)


def _is_good(verdict: Verdict) -> bool:
    return verdict.finding is None and not verdict.is_empty and not verdict.is_unsigned


def _page(directory: Path, verdict: Verdict, has_keys: bool) -> str:
    said = _headlines(verdict)
    if verdict.unchained_before:
        said.append(f"unchained before line {verdict.unchained_before}: an older version wrote what is there")
    if verdict.checkpoints:
        signed = "" if has_keys else ", whose signatures were not checked: give --key"
        hold = "1 checkpoint holds" if verdict.checkpoints == 1 else f"{verdict.checkpoints} checkpoints hold"
        said.append(f"{hold}, up to line {verdict.proven_to}{signed}")
    elif verdict.finding is None:
        said.append(
            "no checkpoint was there for them: nothing shows whether the end was cut off or the whole log replaced"
        )
    said += verdict.remarks
    return "\n".join((f"{printable(str(directory))}: {said[0]}", *[f"  {printable(line)}" for line in said[1:]]))


def _headlines(verdict: Verdict) -> list[str]:
    """What was found, or what is proven, and what is not."""
    finding, first, last = verdict.finding, verdict.first, verdict.last
    if finding is not None:
        where = f" at line {finding.sequence}" if finding.sequence else ""
        return [printable(f"TAMPERED WITH: {finding.kind.value}{where}: {finding.why}")]
    if verdict.is_empty:
        return ["NOTHING PROVEN: no line that was asked for (--from, --to) is in the chain"]
    said = ["NOTHING PROVEN: nothing is signed, for no checkpoint holds"] if verdict.is_unsigned else []
    unsigned = verdict.unsigned_from
    if last and unsigned != first:
        signed_to = verdict.signed_to
        one, several = f"line {first} is as it was", f"lines {first} to {signed_to} are as they were"
        said.append(f"{one if first == signed_to else several} written")
    if unsigned:
        one = f"line {last} is chained; no checkpoint stands for it yet"
        several = f"lines {unsigned} to {last} hang together; no checkpoint stands for them yet"
        said.append(one if unsigned == last else several)
    return said or ["no chained line"]


def _object(directory: Path, verdict: Verdict, has_keys: bool) -> dict[str, object]:
    finding = verdict.finding
    return {
        "directory": str(directory),
        "ok": _is_good(verdict),
        "error": None,
        "first": verdict.first,
        "last": verdict.last,
        "unchained_before": verdict.unchained_before,
        "checkpoints": verdict.checkpoints,
        "signatures_checked": has_keys,
        "proven_to": verdict.proven_to,
        "unsigned_from": verdict.unsigned_from,
        "finding": finding and {"looks_like": finding.kind.value, "line": finding.sequence, "why": finding.why},
        "remarks": verdict.remarks,
    }


def _fail(error: OSError | KeyUnusable | KeptUnusable) -> NoReturn:
    click.echo(printable(told(error)), err=True)
    sys.exit(EXIT_TAMPERED)
