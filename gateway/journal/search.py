"""Finding lines in one or several logs, with an index or without. Blocking.

Every line that comes out was read from the log and held against the query, whatever the index says.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.audit.people import Person, folded
from gateway.audit.queries import Query, time_of
from gateway.audit.records import Record, read_record
from gateway.journal.blocks import (
    Wanted,
    hold_term,
    notice_term,
    operation_term,
    person_term,
    request_term,
    result_term,
    tenant_term,
)
from gateway.journal.index import Index, IndexUnusable
from gateway.journal.stretches import Stretch, read_lines, stretches_of

_RECENT_LINES = 65_536  # merged by time, a line and its copy come close to one another


@dataclass(frozen=True, slots=True)
class Found:
    """A line, as it stands and as it reads."""

    line: bytes
    record: Record
    directory: Path


class Log:
    """A log to be searched. An index that fails is done without: `complain` hears why."""

    def __init__(
        self, directory: Path, index: Index | None = None, complain: Callable[[str], None] = lambda _: None
    ) -> None:
        self.directory = directory
        self._index, self._complain = index, complain
        self.progress: Callable[[int], None] = lambda _: None  # hears of the bytes that are looked through
        self._met_unreadable = 0
        self.lines_of_others = 0  # left out of a search, for they stood in another log as well

    @property
    def unreadable_lines(self) -> int:
        """How many lines hold no JSON object: of the whole log, or without an index of those that were looked at."""
        if self._index is not None:
            try:
                return self._index.unreadable_lines()
            except IndexUnusable as error:
                self._do_without(error)
        return self._met_unreadable

    def first(self) -> Record | None:
        """The first line that can be read.

        Raises:
            OSError: the log cannot be read.
        """
        lines = (line for stretch in stretches_of(self.directory) for line in read_lines(stretch))
        return next((record for record in map(read_record, lines) if record is not None), None)

    def answers(self, query: Query, *, backwards: bool) -> Iterator[Found]:
        """The lines that answer a query.

        Raises:
            OSError: the log cannot be read.
        """
        for line, record in self.look(wanted_by(query), _texts(query), backwards=backwards):
            if record is None:
                self._met_unreadable += 1
            elif query.is_answered_by(record):
                yield Found(line, record, self.directory)

    def look(
        self, wanted: Wanted, texts: frozenset[str] | None, *, backwards: bool = False
    ) -> Iterator[tuple[bytes, Record | None]]:
        """Lines that may be wanted, those that may hold one of `texts` at least; None for one that cannot be read.

        Raises:
            OSError: the log cannot be read.
        """
        stretches = self._stretches(wanted)
        for stretch in reversed(list(stretches)) if backwards else stretches:
            self.progress(stretch.end - stretch.start)
            lines = read_lines(stretch, texts)
            for line in reversed(lines) if backwards else lines:
                yield line, read_record(line)

    def _stretches(self, wanted: Wanted) -> Iterable[Stretch]:
        if self._index is not None:
            try:
                return self._index.stretches(wanted)
            except IndexUnusable as error:
                self._do_without(error)
        return stretches_of(self.directory)

    def _do_without(self, error: IndexUnusable) -> None:
        self._index = None
        self._complain(str(error))


def find_person(logs: Sequence[Log], asked: str, tenant: str | None) -> Person:
    """Somebody with all names that the logs give together with the one that is asked for.

    Raises:
        OSError: a log cannot be read.
    """
    person = Person(asked, tenant)
    new = {folded(asked)}
    while new:
        wanted, texts = Wanted((frozenset(map(person_term, new)),)), frozenset(new)
        new = {
            name
            for log in logs
            for _, record in log.look(wanted, texts)
            if record is not None
            for name in person.learn(record)
        }
    return person


def search(logs: Sequence[Log], query: Query, *, backwards: bool = False) -> Iterator[Found]:
    """The lines that answer a query: of each log in its order, of several by their time; the newest first on demand.

    A line that stands in two of them comes once: one is a copy of the other, or of a part of it.

    Raises:
        OSError: a log cannot be read.
    """
    answers = [log.answers(query, backwards=backwards) for log in logs]
    merged = heapq.merge(*answers, key=lambda found: time_of(found.record), reverse=backwards)
    if len(logs) < 2:
        yield from merged
        return
    log_of = {log.directory: log for log in logs}
    recent: OrderedDict[int, Path] = OrderedDict()  # by the hash of a line that came not long ago: where it stood
    for found in merged:
        if recent.setdefault(hash(found.line), found.directory) != found.directory:
            log_of[found.directory].lines_of_others += 1
            continue
        if len(recent) > _RECENT_LINES:
            recent.popitem(last=False)
        yield found


def wanted_by(query: Query) -> Wanted:
    """What a block must hold to hold an answer."""
    groups = [
        map(person_term, query.person.values if query.person else ()),
        map(request_term, (query.request,) if query.request else ()),
        map(hold_term, (query.hold,) if query.hold else ()),
        map(notice_term, query.notices),
        map(tenant_term, (query.tenant,) if query.tenant is not None else ()),
        map(operation_term, query.operations),
        map(result_term, query.results),
    ]
    asked = [terms for terms in map(frozenset, groups) if terms]
    return Wanted(tuple(asked), query.since, query.until)


def _texts(query: Query) -> frozenset[str] | None:
    """What a line must hold to be worth reading."""
    for name in (query.request, query.hold):
        if name:
            return frozenset((folded(name),))
    return query.person.values if query.person else None
