"""`scim-gateway audit report`: who was given access and who lost it, for auditors."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from gateway.audit.queries import BEGINNING, END, Query
from gateway.audit.reporting import TOLD_LATE, Names, Report
from gateway.cli.audit_logs import (
    DIRECTORIES,
    EXIT_UNREADABLE,
    SINCE,
    TENANT,
    UNTIL,
    complain,
    moment,
    once,
    progress,
    said,
)
from gateway.cli.audit_report_rows import COLUMNS, Cells, Item, Page, cells_of, json_totals, safe_cell
from gateway.cli.audit_rows import copies_page, local
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

    Exits with 0, or with 1 when a log cannot be read.
    """
    if as_csv and as_json:
        raise click.UsageError("--csv and --json do not go together")
    logs = [Log(directory) for directory in once(directories)]
    report = Report(moment(since, "--since", BEGINNING), moment(until, "--until", END))
    try:
        with progress([log.directory for log in logs], passes=2) as update:
            for log in logs:
                log.progress = update
            rows = _rows(logs, report, tenant)
            told = _csv(rows) if as_csv else _json(rows, report, logs) if as_json else _page(rows, report, tenant)
            for text in told:
                click.echo(text, nl=False)
    except BrokenPipeError:
        raise  # whoever reads had enough: no fault of a log's
    except OSError as error:
        complain(said(error))
        sys.exit(EXIT_UNREADABLE)
    for line in copies_page(logs):
        complain(line)
    if unreadable := sum(log.unreadable_lines for log in logs):
        complain(f"{unreadable} lines hold no record and are not in it: `scim-gateway audit verify` says more.")


def _rows(logs: Sequence[Log], report: Report, tenant: str | None) -> Iterator[tuple[Item, Cells]]:
    """Names are learnt from the whole log first, for most lines about a person bear an id alone; late outcomes too."""
    names = Names()
    for log in logs:
        for _, record in log.look(Wanted(), _LEARNT_FROM):
            if record is not None:
                names.learn(record)
                report.foresee(record)
    for found in search(logs, Query(tenant=tenant, until=report.until)):
        for told in report.take(found.record):
            yield told, cells_of(told, names)
    for left in report.end():
        yield left, cells_of(left, names)


def _csv(rows: Iterator[tuple[Item, Cells]]) -> Iterator[str]:
    yield _csv_line(COLUMNS)
    for _, cells in rows:
        yield _csv_line([safe_cell(cells.get(column, "")) for column in COLUMNS])


def _csv_line(cells: Sequence[str | float]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue()


def _json(rows: Iterator[tuple[Item, Cells]], report: Report, logs: Sequence[Log]) -> Iterator[str]:
    for _, cells in rows:
        yield json.dumps(cells) + "\n"
    yield json.dumps(json_totals(report, [str(log.directory) for log in logs])) + "\n"


def _page(rows: Iterator[tuple[Item, Cells]], report: Report, tenant: str | None) -> Iterator[str]:
    page = Page()
    for item, cells in rows:
        page.take(item, cells)
    since = f"from {local(report.since)}" if report.since else "from the log's beginning"
    until = f"to {local(report.until)}" if report.until != END else "to its end"
    about = f", tenant {printable(tenant)}" if tenant is not None else ""
    yield page.text(f"Access given and taken {since} {until}{about}:", report) + "\n"
