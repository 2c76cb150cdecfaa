"""The tasks of a day, and what is said about the directory they leave."""

from __future__ import annotations

import pytest

from tests.okta.store import Collection, Store
from tests.okta.tasks import Dialect, Kind
from tests.okta.workload import Directory, Person, difference, expected_directory, workload


@pytest.mark.parametrize("dialect", ["oin", "aiw"])
def test_no_task_is_made_before_one_that_it_comes_after(dialect: Dialect) -> None:
    tasks = workload(1000, dialect=dialect)
    place = {task.id: number for number, task in enumerate(tasks)}

    assert len(place) == 1000
    assert {task.kind for task in tasks} == set(Kind)
    assert all(place[name] < place[task.id] for task in tasks for name in task.after)


def test_the_same_seed_makes_the_same_tasks() -> None:
    assert workload(300, seed=3) == workload(300, seed=3) != workload(300, seed=4)


def test_every_difference_is_told() -> None:
    store = Store(groups=Collection("Group", "displayName", unique=False))
    bo = store.users.add({"userName": "bo", "displayName": "Bo", "active": True})
    store.users.add({"userName": "stranger", "active": True})
    store.groups.add({"displayName": "twice"})
    store.groups.add({"displayName": "twice"})
    store.groups.add({"displayName": "staff", "members": [{"value": bo}]})
    people = {"bo": Person("Bo", active=False), "gone": Person("Gone")}
    expected = Directory(
        people, {"staff": frozenset({"gone"}), "twice": frozenset(), "none": frozenset()}, {"stranger"}
    )

    assert difference(store, expected) == [
        "two groups are called twice",
        "bo: is Person(display_name='Bo', active=True), should be Person(display_name='Bo', active=False)",
        "gone: is None, should be Person(display_name='Gone', active=True)",
        "none: should be there",
        "staff: gone is missing",
        "staff: bo should not be in it",
    ]


def test_nothing_is_claimed_of_what_a_failed_task_was_about() -> None:
    tasks = workload(200)
    nothing = expected_directory(tasks, ())

    assert (nothing.people, nothing.groups) == ({}, {})
    assert {task.subject for task in tasks} <= nothing.uncertain
