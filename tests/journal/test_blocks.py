"""What an index keeps of a block: enough never to miss an answer, and little else."""

from __future__ import annotations

import json
import random

import pytest

from gateway.audit.people import Person
from gateway.audit.queries import RESULTS, Query
from gateway.audit.records import read_record
from gateway.journal.blocks import BLOCK_LINES, blocks_of
from gateway.journal.search import wanted_by
from tests.journal import searched

QUERIES = [
    *(Query(person=Person(name)) for name in searched.NAMES),
    *(Query(operations=(name,)) for name in ("user.*", "user.create", "group.*", "group.members.*", "bulk")),
    *(Query(results=frozenset({result})) for result in RESULTS),
    *(Query(tenant=tenant) for tenant in ("jira", "wiki")),
    *(Query(hold=hold) for hold in searched.HOLDS),
    *(Query(notices=frozenset({notice})) for notice in searched.NOTICES),
    *(Query(request=f"r{number}") for number in range(9)),
    Query(since="2027-01-15T09:00:30.000000Z"),
    Query(until="2027-01-15T09:00:30.000000Z"),
]


@pytest.mark.parametrize("count", [1, 2, 7])
def test_no_block_that_holds_an_answer_is_passed_over(count: int) -> None:
    dice = random.Random(count)
    held = 0
    for _ in range(300):
        lines = [searched.random_line(dice) for _ in range(count)]
        [block] = blocks_of(b"".join(line + b"\n" for line in lines), 0)
        for record in filter(None, map(read_record, lines)):
            answered = [query for query in QUERIES if query.is_answered_by(record)]
            assert all(block.may_hold(wanted_by(query)) for query in answered), record
            held += len(answered)

    assert held > 1000


def test_a_line_is_looked_at_for_what_it_holds_alone() -> None:
    line = json.dumps({"tenant": "jira", "operation": "user.get", "people": [{"id": "1"}], "request": "r1"})
    [block] = blocks_of(line.encode() + b"\n", 0)

    assert not any(block.may_hold(wanted_by(query)) for query in (
        Query(person=Person("2")), Query(tenant="wiki"), Query(operations=("group.*",)), Query(request="r2"),
        Query(results=frozenset({"held"})), Query(tenant="jira", request="r2"),
    ))  # fmt: skip


def test_blocks_follow_one_another_without_a_gap() -> None:
    content = b"".join(b'{"n":%d}\n' % number for number in range(3 * BLOCK_LINES + 1)) + b"torn\n"
    blocks = list(blocks_of(content, 100))

    assert [block.finish for block in blocks[:-1]] == [block.start for block in blocks[1:]]
    assert (blocks[0].start, blocks[-1].finish, len(blocks)) == (100, 100 + len(content), 4)
    assert [block.unreadable for block in blocks] == [0, 0, 0, 1]


def test_odd_lines_are_no_hindrance() -> None:
    odd = [
        b'{"event":["x"],"people":{"id":"1"},"lost":"1","details":[],"resource":7,"time":9,"tenant":"jira"}',
        b'{"event":["x"],"tenant":"wiki"}',
        b"null",
        b"",
        b"\xff",
    ]
    [block] = blocks_of(b"\n".join(odd) + b"\n", 0)

    assert block.unreadable == 3
    for tenant in ("jira", "wiki"):
        assert block.may_hold(wanted_by(Query(tenant=tenant)))
