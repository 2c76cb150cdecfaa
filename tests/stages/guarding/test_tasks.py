"""Which attempts are taken for the same task, told by the ledger's count of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.stages.guarding.building import OFF, ON, Scene, answered, group, listed, patch

Write = tuple[str, str, Mapping[str, object] | None]


def put(*, active: bool, title: str = "Engineer") -> dict[str, object]:
    return {"userName": "d@example.com", "title": title, "active": active}


def swapped(leaves: str, joins: str) -> dict[str, list[Any]]:
    removal, addition = patch("remove", "members", listed(leaves)), patch("add", "members", listed(joins))
    return removal | {"Operations": [*removal["Operations"], *addition["Operations"]]}


async def attempts(*writes: Write) -> list[int]:
    """The how manieth attempt each is taken for, while all of them are held."""
    scene = Scene([answered(200, group(*"abcdefgh")) for _ in writes])
    await scene.wave("wxyz")
    return [(await scene.judged(*write)).attempts for write in writes]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("PATCH", "/Users/d", OFF), ("PATCH", "/Users/d", OFF)),
        (("PUT", "/Users/d", put(active=False)), ("PUT", "/Users/d", put(active=False, title="Manager"))),
        (("PUT", "/Groups/g", {"displayName": "g", "members": []}), ("PUT", "/Groups/g", {"members": listed("a")})),
        (("DELETE", "/Groups/g", None), ("DELETE", "/Groups/g", None)),
        (
            ("PATCH", "/Groups/g", patch("remove", "members", listed("a", "b"))),
            ("PATCH", "/Groups/g", patch("Remove", "members", listed("b", "a"))),
        ),
    ],
)
async def test_a_repeat_is_the_same_task_though_a_profile_was_read_anew(first: Write, second: Write) -> None:
    assert await attempts(first, second) == [1, 2]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("PATCH", "/Users/d", OFF), ("PATCH", "/Users/e", OFF)),
        (("PATCH", "/Users/d", OFF), ("PATCH", "/Users/d", ON)),
        (("PUT", "/Users/d", put(active=False)), ("PUT", "/Users/d", put(active=True))),
        (("PATCH", "/Users/d", OFF), ("PUT", "/Users/d", put(active=False))),
        (("PATCH", "/Users/d", OFF), ("DELETE", "/Users/d", None)),
        (("DELETE", "/Users/g", None), ("DELETE", "/Groups/g", None)),
        (("PATCH", "/Users/z", patch("replace", "title", "x")), ("PATCH", "/Users/z", patch("remove", "nickName"))),
        (("PATCH", "/Groups/g", swapped("a", "b")), ("PATCH", "/Groups/g", swapped("b", "a"))),
        (
            ("PATCH", "/Groups/g", patch("remove", 'members[value eq "a"]')),
            ("PATCH", "/Groups/g", patch("remove", 'members[value eq "b"]')),
        ),
        (
            ("PATCH", "/Groups/g", patch("remove", "members", listed("a"))),
            ("PATCH", "/Groups/g", patch("add", "members", listed("a"))),
        ),
    ],
)
async def test_another_write_is_another_task(first: Write, second: Write) -> None:
    assert await attempts(first, second) == [1, 1]


async def test_a_repeat_that_takes_from_more_people_is_held_by_those_it_takes_from_now() -> None:
    scene = Scene([answered(200, group("a")), answered(200, group("a", "b", "c"))])
    await scene.wave("wxyz")
    for _ in range(2):
        await scene.judged("PATCH", "/Groups/g", patch("remove", "members"))
    held = scene.keeper.books.holds()[0].writes[-1]

    assert (held.attempts, held.people) == (2, frozenset("abc"))
