"""`scim-gateway audit report`: who was given access and who lost it, for auditors."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click

from gateway.audit.people import tenant_of
from gateway.audit.queries import END, Query, time_of
from gateway.audit.reporting import TOLD_LATE, Names, Report
from gateway.cli.audit_logs import (
    DIRECTORIES,
    EXIT_UNREADABLE,
    SINCE,
    TENANT,
    UNTIL,
    complain,
    once,
    period,
    progress,
    said,
    tell,
)
from gateway.cli.audit_report_rows import COLUMNS, Cells, Item, Page, cells_of, json_totals, safe_cell
from gateway.cli.audit_rows import beginnings_page, copies_page, local, nobody_named
from gateway.cli.holds import printable
from gateway.journal.blocks import Wanted
from gateway.journal.search import Log, search

_LEARNT_FROM = frozenset({"username", "externalid", "resource_name", TOLD_LATE})


@click.command(name="report", short_help="Tells who was given access and who lost it.")
@DIRECTORIES
@SINCE
@UNTIL
@TENANT
@click.option("--csv", "as_csv", is_flag=True, help="Every row, for a spreadsheet; its column `section` sorts them.")
@click.option("--json", "as_json", is_flag=True, help="Every row as one JSON object a line, the totals last.")
def command(
    *,
    directories: tuple[Path, ...],
    since: str | None,
    until: str | None,
    tenant: str | None,
    as_csv: bool,
    as_json: bool,
) -> None:
    """Tells from the logs in DIR... who was given access and who lost it, and how long leavers took.

    \b
    leavers    each task of taking access: when it was first asked for, when the
               application did it, after how many attempts, whether it was held,
               who decided; also what is not done at the end of the period
    access     what was given to and taken from whom, by which client
    refused    what was turned away or held, counted by tenant and reason
    unsettled  writes of whose end nobody knows: somebody should look

    Exits with 0, with 1 when a log cannot be read, or with 2 when called wrongly.
    """
    if as_csv and as_json:
        raise click.UsageError("--csv and --json do not go together")
    logs = [Log(directory) for directory in once(directories)]
    reading = _Reading(logs, Report(*period(since, until)), tenant)
    form = _csv if as_csv else _json if as_json else None
    # A bar shares no screen with rows: it is at its end before the first of them comes.
    on_screen = form is not None and sys.stdout.isatty()
    try:
        with progress([log.directory for log in logs], passes=1 if on_screen else 2) as update:
            reading.learn(update)
            text = _page(reading) if form is None else ""
            if form is not None and not on_screen:
                _print_rows(form(reading))
        if form is None:
            tell(text, nl=False)
        elif on_screen:
            for log in logs:
                log.progress = lambda _: None
            _print_rows(form(reading))
        remarks = [] if form is None else reading.remarks()
    except BrokenPipeError:
        raise  # whoever reads had enough: no fault of a log's
    except OSError as error:
        complain(said(error))
        sys.exit(EXIT_UNREADABLE)
    for line in (*remarks, *copies_page(logs)):
        complain(line)
    if unreadable := sum(log.unreadable_lines for log in logs):
        complain(f"{unreadable} lines hold no record and are not in it: `scim-gateway audit verify` says more.")


@dataclass(slots=True)
class _Reading:
    """Logs that are gone through for a report, twice."""

    logs: Sequence[Log]
    report: Report
    tenant: str | None
    names: Names = field(default_factory=Names)
    tenants: set[str] = field(default_factory=set)  # that lines of before the period's end name

    def learn(self, update: Callable[[int], None]) -> None:
        """Names first, for most lines about a person bear an id alone; late outcomes too."""
        for log in self.logs:
            log.progress = update
            for _, record in log.look(Wanted(), _LEARNT_FROM):
                # What was learnt after the period does not change what is told of it.
                if record is not None and time_of(record) < self.report.until:
                    self.names.learn(record)
                    self.report.foresee(record)

    def rows(self) -> Iterator[tuple[Item, Cells]]:
        """In the order of time, and then what is left at the end."""
        for found in search(self.logs, Query(until=self.report.until)):
            self.tenants.add(tenant := tenant_of(found.record))
            if self.tenant not in (None, tenant):
                continue
            for told in self.report.take(found.record):
                yield told, cells_of(told, self.names)
        for left in self.report.end():
            yield left, cells_of(left, self.names)

    def remarks(self) -> list[str]:
        """What is not in the report though somebody might think so; to be asked when all was read."""
        said_of = beginnings_page(self.logs, self.report.since)
        if self.tenant is None or self.tenant in self.tenants:
            return said_of
        return [*said_of, nobody_named(self.tenant, self.tenants, "there are")]


def _print_rows(lines: Iterator[str]) -> None:
    for line in lines:
        tell(line.encode("utf-8", "replace"), nl=False)  # whatever the locale: other programs read it


def _csv(reading: _Reading) -> Iterator[str]:
    yield _csv_line(COLUMNS)
    for _, cells in reading.rows():
        yield _csv_line([safe_cell(cells.get(column, "")) for column in COLUMNS])


def _csv_line(cells: Sequence[str | float]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue()


def _json(reading: _Reading) -> Iterator[str]:
    for _, cells in reading.rows():
        yield json.dumps(cells) + "\n"
    yield json.dumps(json_totals(reading.report, [str(log.directory) for log in reading.logs])) + "\n"


def _page(reading: _Reading) -> str:
    page, report = Page(), reading.report
    for item, cells in reading.rows():
        page.take(item, cells)
    since = f"from {local(report.since)}" if report.since else "from the log's beginning"
    until = f"to {local(report.until)}" if report.until != END else "to its end"
    about = f", tenant {printable(reading.tenant)}" if reading.tenant is not None else ""
    remarks = [printable(remark) for remark in reading.remarks()]
    return page.text("\n".join([f"Access given and taken {since} {until}{about}:", *remarks]), report) + "\n"
