"""`scim-gateway audit search`: finds lines of the audit log."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import click

from gateway.audit.people import Person, tenant_of
from gateway.audit.queries import OPERATIONS, RESULTS, Query, unknown_operations
from gateway.audit.records import harmless
from gateway.cli.audit_logs import (
    DIRECTORIES,
    EXIT_UNREADABLE,
    SINCE,
    TENANT,
    UNTIL,
    complain,
    once,
    opened,
    period,
    said,
    tell,
)
from gateway.cli.audit_rows import (
    beginnings_page,
    copies_page,
    names_page,
    nobody_named,
    table,
    without_answered_intents,
)
from gateway.journal.search import Found, Log, find_person, search

DEFAULT_LIMIT = 100
_NEWEST_LINES = 1000  # to see which tenants there are


@dataclass(frozen=True, slots=True)
class _Wish:
    """How a search is to be answered."""

    person: str | None
    exact: bool
    limit: int | None
    as_json: bool


@click.command(name="search", short_help="Finds lines of the log.")
@DIRECTORIES
@click.option("--person", help="A userName, an id at the application, or an id at the client (externalId).")
@click.option("--exact", is_flag=True, help="This name of the person alone, not what else the log calls them.")
@click.option(
    "--operation", "operations", multiple=True, help="user.delete, or all of a family: user.*; several times."
)
@TENANT
@SINCE
@UNTIL
@click.option("--outcome", "results", multiple=True, type=click.Choice(RESULTS), help="What came of it; several times.")
@click.option("--request", help="The request's id, as the client's log shows it.")
@click.option("--hold", help="A hold's id: what it held, and who decided.")
@click.option("--notice", "notices", multiple=True, help="Such as guard-decision or credential-revoked; several times.")
@click.option(
    "--limit",
    type=click.IntRange(0),
    help=f"So many at most, the newest; 0: all. Default: {DEFAULT_LIMIT}, and all with --json.",
)
@click.option("--index", "file", type=click.Path(path_type=Path, dir_okay=False), help="Keep the index of DIR there.")
@click.option("--no-index", is_flag=True, help="Read the whole log itself: slower, and nothing can hide from it.")
@click.option("--json", "as_json", is_flag=True, help="The lines as they stand in the log instead of the table.")
def command(  # noqa: PLR0913 - one argument an option
    *,
    directories: tuple[Path, ...],
    person: str | None,
    exact: bool,
    operations: tuple[str, ...],
    tenant: str | None,
    since: str | None,
    until: str | None,
    results: tuple[str, ...],
    request: str | None,
    hold: str | None,
    notices: tuple[str, ...],
    limit: int | None,
    file: Path | None,
    no_index: bool,
    as_json: bool,
) -> None:
    """Finds lines of the logs in DIR..., which are merged by time; the newest come last.

    All that is given must hold. A person is found by every name that the log gives together with the one asked for.
    refused: the gateway itself said no, and the line's reason says why; held: by the guard; interrupted: the gateway
    ended meanwhile. The table has one row a request, --json has both lines of a write.

    The first search makes an index in your cache directory, the next ones go on with it. Exits with 0, also when
    nothing is found, with 1 when a log cannot be read, or with 2 when called wrongly.
    """
    _check_person(person, exact=exact)
    logs = once(directories)
    if file and (no_index or len(logs) > 1):
        raise click.UsageError("--index goes with one DIR, and without --no-index")
    first, end = period(since, until)
    query = Query(
        tenant=tenant,
        operations=_operations(operations),
        results=frozenset(results),
        request=request,
        hold=hold,
        notices=frozenset(notices),
        since=first,
        until=end,
    )
    try:
        with opened(logs, file=file, with_index=not no_index) as there:
            _answer(there, query, _Wish(person, exact, limit, as_json))
    except BrokenPipeError:
        raise  # whoever reads had enough: no fault of a log's
    except OSError as error:
        complain(said(error))
        sys.exit(EXIT_UNREADABLE)


def _check_person(person: str | None, *, exact: bool) -> None:
    if person is not None and not person.strip():
        raise click.BadParameter("give a name or an id", param_hint="--person")
    if exact and person is None:
        raise click.UsageError("--exact needs --person")


def _operations(asked: tuple[str, ...]) -> tuple[str, ...]:
    if unknown := unknown_operations(asked):
        there = ", ".join(OPERATIONS)
        text = f"there is no {', '.join(unknown)}; there are {there}, and families such as user.* or group.members.*"
        raise click.BadParameter(text, param_hint="--operation")
    return asked


def _answer(logs: Sequence[Log], query: Query, wish: _Wish) -> None:
    if wish.person is not None:
        person = Person(wish.person) if wish.exact else find_person(logs, wish.person, query.tenant)
        query = replace(query, person=person)
        for line in names_page(person):
            if wish.as_json:
                complain(line)
            else:
                tell(line)
    if wish.as_json:
        _print_lines(logs, query, wish.limit or None)
    else:
        _print_table(logs, query, DEFAULT_LIMIT if wish.limit is None else wish.limit or None)
    for line in (*beginnings_page(logs, query.since), *copies_page(logs)):
        complain(line)
    unreadable = sum(log.unreadable_lines for log in logs)
    if unreadable:
        lines = "1 line holds" if unreadable == 1 else f"{unreadable} lines hold"
        complain(f"{lines} no record (half-written, or damaged): `scim-gateway audit verify` says more.")


def _print_lines(logs: Sequence[Log], query: Query, limit: int | None) -> None:
    if limit is None:
        for found in search(logs, query):
            _print_line(found)
        return
    newest, is_all = _newest(search(logs, query, backwards=True), limit)
    for found in newest:
        _print_line(found)
    if not is_all:
        complain(_more(limit))


def _print_line(found: Found) -> None:
    tell(harmless(found.line, found.record).decode("ascii"))


def _print_table(logs: Sequence[Log], query: Query, limit: int | None) -> None:
    newest, is_all = _newest(without_answered_intents(search(logs, query, backwards=True)), limit)
    if not newest:
        tell("Nothing in the log answers to that.")
        _hint(logs, query)
        return
    tell(table(newest, query.person, with_directory=len(logs) > 1))
    if not is_all and limit is not None:
        complain(_more(limit))


def _hint(logs: Sequence[Log], query: Query) -> None:
    """What may be a slip."""
    person = query.person
    alone = Query(person=person)
    if person is not None and (query == alone or _is_empty(logs, alone)):
        complain(f"No line bears the name {person.asked}: --person takes whole names and ids, not parts of them.")
    if query.tenant is not None and _is_empty(logs, Query(tenant=query.tenant)):
        newest = islice(search(logs, Query(), backwards=True), _NEWEST_LINES)
        complain(nobody_named(query.tenant, {tenant_of(found.record) for found in newest}, "the newest lines name"))


def _is_empty(logs: Sequence[Log], query: Query) -> bool:
    return next(search(logs, query), None) is None


def _newest(found: Iterator[Found], limit: int | None) -> tuple[list[Found], bool]:
    """The newest, in the log's order, and whether they are all."""
    newest = list(islice(found, limit))
    is_all = limit is None or len(newest) < limit or next(found, None) is None
    return newest[::-1], is_all


def _more(limit: int) -> str:
    return f"These are the newest {limit}; there are older ones: narrow the search, or say --limit (0: all)."
