"""`scim-gateway guard`: shows what is held, decides on it, and tells from the record what the guard did."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import click

from gateway.cli.check import CONFIG_OPTION
from gateway.cli.guard_report import DEFAULT_WINDOW_SECONDS, as_json_object, page_of_report, read_reductions, reckon
from gateway.cli.holds import holds_of, page_of, printable
from gateway.cli.instance import JSON_OPTION, STATE_OPTION, ask_instance, settings_as_written, state_directory_of
from gateway.cli.moments import read_future, read_past, read_span, shown

_WHEN_APPROVED = """\
Nothing is to be done in the client. Okta retries each held task by itself, which takes up to as long as the task has
already waited; Entra after 6, 12 or 24 hours, or at once by *Restart provisioning* there. `scim-gateway guard list`
shows how many are done."""
_WHEN_DENIED = """\
Nobody loses access by them. Each is refused (403) when the client retries it; Okta then shows it as failed under Tasks,
where somebody mends the cause (a group rule, most often) or dismisses it."""

_TASK_OPTION = click.option("--task", "tasks", multiple=True, help="Only this task; may be given several times.")
_REASON_OPTION = click.option("--reason", help="Why; goes on record with your user's name.")


@click.group(name="guard")
def command() -> None:
    """Shows what the guard holds, decides on it, and reports what it did."""


@command.command(name="list", short_help="Lists what is held, and what was decided.")
@CONFIG_OPTION
@STATE_OPTION
@click.option("--tenant", help="Only this tenant's.")
@click.option("--tasks", is_flag=True, help="Each held task too.")
@JSON_OPTION
def list_holds(*, config: Path, state_directory: Path | None, tenant: str | None, tasks: bool, as_json: bool) -> None:
    """Lists the holds of a running instance: waves of lost access that wait for a decision, or were decided."""
    answer = ask_instance(
        state_directory or state_directory_of(config), "guard.list", as_json, tenant=tenant, tasks=tasks
    )
    click.echo(json.dumps(answer) if as_json else page_of(holds_of(answer), time.time(), with_tasks=tasks))


@command.command(name="approve", short_help="Lets held tasks through.")
@click.argument("hold")
@CONFIG_OPTION
@STATE_OPTION
@_TASK_OPTION
@click.option("--until", help="All of the tenant's until then, also what is not held yet: a time, or +2h.")
@click.option("--raise-to", type=click.IntRange(1), help="Until then, let so many people lose access in a window.")
@_REASON_OPTION
@JSON_OPTION
def approve(  # noqa: PLR0913 - one argument an option
    *,
    hold: str,
    config: Path,
    state_directory: Path | None,
    tasks: tuple[str, ...],
    until: str | None,
    raise_to: int | None,
    reason: str | None,
    as_json: bool,
) -> None:
    """Lets held tasks through: those of HOLD, some of them (--task), or more until a time (--until, --raise-to).

    Exits with 0, or with 1 when the instance refuses or cannot be asked.
    """
    if raise_to is not None and until is None:
        raise click.UsageError("--raise-to needs --until: for how long?")
    if tasks and until is not None:
        raise click.UsageError("--task and --until do not go together: approve some tasks, or all until a time")
    end = _moment(until, "--until", read_future)
    answer = ask_instance(
        state_directory or state_directory_of(config),
        "guard.approve",
        as_json,
        hold=hold,
        tasks=list(tasks) or None,
        until=end,
        raise_to=raise_to,
        reason=_reason(reason),
    )
    lines = [_said(answer, "approved")]
    if end is not None:
        allowed = f"up to {raise_to} people may lose access in a window" if raise_to else "nothing is held"
        lines.append(f"Until {shown(end)}, {allowed} for this tenant.")
    click.echo(json.dumps(answer) if as_json else "\n".join((*lines, _WHEN_APPROVED)))


@command.command(name="deny", short_help="Refuses held tasks for good.")
@click.argument("hold")
@CONFIG_OPTION
@STATE_OPTION
@_TASK_OPTION
@_REASON_OPTION
@JSON_OPTION
def deny(
    *,
    hold: str,
    config: Path,
    state_directory: Path | None,
    tasks: tuple[str, ...],
    reason: str | None,
    as_json: bool,
) -> None:
    """Refuses held tasks for good: those of HOLD, or some of them (--task).

    Exits with 0, or with 1 when the instance refuses or cannot be asked.
    """
    directory = state_directory or state_directory_of(config)
    answer = ask_instance(
        directory, "guard.deny", as_json, hold=hold, tasks=list(tasks) or None, reason=_reason(reason)
    )
    click.echo(json.dumps(answer) if as_json else f"{_said(answer, 'denied')}\n{_WHEN_DENIED}")


@command.command(name="report", short_help="Tells from the audit log what the guard did.")
@CONFIG_OPTION
@click.option("--audit", type=click.Path(path_type=Path, file_okay=False), help="The audit log's directory, or a copy.")
@click.option("--since", default="7d", show_default=True, help="A time, or how long ago: 24h, 7d.")
@click.option("--tenant", help="Only this tenant's.")
@click.option("--window", help="The window to reckon with, such as 30m. Default: the tenant's window_seconds.")
@JSON_OPTION
def report(
    *, config: Path, audit: Path | None, since: str, tenant: str | None, window: str | None, as_json: bool
) -> None:
    """Tells from the audit log what the guard did, or (mode "observe") would have done, and which limit would fit.

    Needs no running instance.
    """
    begin = _moment(since, "--since", read_past)
    assert begin is not None  # noqa: S101 - there is a default
    chosen = _window(window)
    settings = None if audit else settings_as_written(config)
    directory = audit or (settings.audit.directory if settings else Path())

    def window_seconds(name: str) -> float:
        known = settings.tenants.get(name) if settings and window is None else None
        return known.guard.window_seconds if known else chosen

    try:
        found = read_reductions(directory, begin)
    except OSError as error:
        raise click.ClickException(f"{error.filename or directory} cannot be read: {error.strerror}") from None
    names = {reduction.tenant for reduction in found.reductions} | set(settings.tenants if settings else ())
    if tenant is not None and names and tenant not in names:
        raise click.ClickException(f"there is no tenant {tenant}; there are {', '.join(sorted(names))}")
    tenants = reckon([r for r in found.reductions if tenant in (None, r.tenant)], window_seconds)
    if as_json:
        click.echo(json.dumps(as_json_object(tenants, begin, found.unreadable)))
    else:
        click.echo(page_of_report(tenants, begin, found.unreadable))


def _said(answer: Mapping[str, object], done: str) -> str:
    changed = answer.get("changed")
    tasks = "1 task is" if changed == 1 else f"{changed} tasks are"
    said = answer.get("said")
    return f"{tasks} {done}." + (f" {printable(said)}" if isinstance(said, str) and said else "")


def _reason(reason: str | None) -> str:
    """The reason given, or asked for where somebody can answer."""
    if reason is None and sys.stdin.isatty():
        reason = click.prompt("Reason (goes on record)", err=True)
    if not reason or not reason.strip():
        raise click.UsageError("give the reason, which goes on record: --reason TEXT")
    return reason.strip()


def _moment(text: str | None, option: str, read: Callable[[str, float], float]) -> float | None:
    if text is None:
        return None
    try:
        return read(text, time.time())
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from None


def _window(text: str | None) -> float:
    if text is None:
        return DEFAULT_WINDOW_SECONDS
    try:
        return read_span(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--window") from None
