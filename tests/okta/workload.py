"""A day's tasks, and the directory they should leave behind. Pure.

Whatever order Okta's workers happen to take, the end is the same: tasks of one user follow one another, members
of a group are distinct, and a group is renamed or deleted last.
"""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass, field

from tests.okta.store import Store, members_of
from tests.okta.tasks import Dialect, Kind, Task

_MAX_GROUP = 12  # members


@dataclass(frozen=True, slots=True)
class Person:
    display_name: str
    active: bool = True


@dataclass(slots=True)
class Directory:
    """Who is there. Of the resources in `uncertain` nothing is claimed: a task about them failed for good."""

    people: dict[str, Person] = field(default_factory=dict)  # by userName
    groups: dict[str, frozenset[str]] = field(default_factory=dict)  # userNames, by displayName
    uncertain: set[str] = field(default_factory=set)  # userNames and displayNames
    doubled: list[str] = field(default_factory=list)  # names that two resources share


class _Writer:
    """Makes tasks; in AIW apps those of a group follow one another, since each PUTs it whole."""

    def __init__(self, seed: int, dialect: Dialect) -> None:
        self.random = random.Random(seed)
        self.dialect = dialect
        self.tasks: list[Task] = []
        self.creations: dict[str, str] = {}  # task id, by userName
        self._groups = 0

    def add(self, kind: Kind, subject: str, display_name: str, members: tuple[str, ...], after: list[str]) -> str:
        task_id = f"t{len(self.tasks):05d}"
        self.tasks.append(Task(task_id, kind, subject, display_name, members, tuple(dict.fromkeys(after))))
        return task_id

    def person(self) -> None:
        """A user who is created, and then perhaps changes in one way."""
        name = f"person{len(self.creations)}+x@example.com"
        created = self.add(Kind.CREATE_USER, name, f"Person {len(self.creations)}", (), [])
        self.creations[name] = created
        match self.random.randrange(5):
            case 0:
                self.add(Kind.UPDATE_PROFILE, name, "Renamed Person", (), [created])
            case 1:
                self.add(Kind.DEACTIVATE, name, "", (), [created])
            case 2:
                gone = self.add(Kind.DEACTIVATE, name, "", (), [created])
                self.add(Kind.REACTIVATE, name, "", (), [gone])
            case _:
                pass

    def group(self) -> None:
        """A group with some first members, more that come one by one, some that leave, and perhaps an end."""
        name = f"group {self._groups}"
        self._groups += 1
        chosen = self.random.sample(sorted(self.creations), min(_MAX_GROUP, len(self.creations)))
        first, later = tuple(chosen[:2]), chosen[2:]
        steps = [self.add(Kind.CREATE_GROUP, name, "", first, [self.creations[each] for each in first])]
        for member in later:
            before = steps[-1] if self.dialect == "aiw" else steps[0]
            steps.append(self.add(Kind.ADD_MEMBER, name, "", (member,), [before, self.creations[member]]))
        for member in first[:1]:
            before = steps[-1] if self.dialect == "aiw" else steps[0]
            steps.append(self.add(Kind.REMOVE_MEMBER, name, "", (member,), [before]))
        match self.random.randrange(4):
            case 0:
                self.add(Kind.RENAME_GROUP, name, f"{name} renamed", (), steps)
            case 1:
                self.add(Kind.DELETE_GROUP, name, "", (), steps)
            case _:
                pass

    def shuffled(self, count: int) -> tuple[Task, ...]:
        """The first `count`, mixed, but none before one that it comes after."""
        ranks: dict[str, float] = {}
        for number, task in enumerate(self.tasks[:count]):
            earliest = max((ranks[name] for name in task.after), default=float(number))
            ranks[task.id] = earliest + self.random.expovariate(0.05)
        return tuple(sorted(self.tasks[:count], key=lambda task: ranks[task.id]))


def workload(count: int, *, dialect: Dialect = "oin", seed: int = 0) -> tuple[Task, ...]:
    """So many tasks of all kinds."""
    writer = _Writer(seed, dialect)
    while len(writer.tasks) < count:
        if len(writer.creations) >= _MAX_GROUP and writer.random.random() < 0.1:
            writer.group()
        else:
            writer.person()
    return writer.shuffled(count)


def creations(count: int) -> tuple[Task, ...]:
    """So many users to be created, and nothing else: independent tasks, for counting losses."""
    return tuple(
        Task(f"t{number:05d}", Kind.CREATE_USER, f"person{number}@example.com", f"Person {number}")
        for number in range(count)
    )


def expected_directory(tasks: Collection[Task], done: Collection[str]) -> Directory:
    """What must be there once exactly the tasks `done` (by id) succeeded."""
    directory = Directory()
    names: dict[str, str] = {}  # of groups now, by subject
    for task in tasks:
        if task.id in done:
            _apply(task, directory, names)
        else:
            directory.uncertain |= {task.subject, names.get(task.subject, task.subject), task.display_name}
    return directory


def _apply(task: Task, directory: Directory, names: dict[str, str]) -> None:
    people, groups, subject = directory.people, directory.groups, task.subject
    name = names.setdefault(subject, subject)
    match task.kind:
        case Kind.CREATE_USER | Kind.UPDATE_PROFILE:
            people[subject] = Person(task.display_name)
        case Kind.DEACTIVATE | Kind.REACTIVATE:
            people[subject] = Person(people[subject].display_name, task.kind is Kind.REACTIVATE)
        case Kind.CREATE_GROUP:
            groups[name] = frozenset(task.members)
        case Kind.ADD_MEMBER:
            groups[name] |= set(task.members)
        case Kind.REMOVE_MEMBER:
            groups[name] -= set(task.members)
        case Kind.RENAME_GROUP:
            names[subject] = task.display_name
            groups[task.display_name] = groups.pop(name)
        case Kind.DELETE_GROUP:
            del groups[name]


def directory_of(store: Store) -> Directory:
    """What is there."""
    directory = Directory()
    user_names: dict[object, str] = {}
    for user in store.users:
        name = str(user["userName"])
        user_names[user["id"]] = name
        directory.people[name] = Person(str(user.get("displayName")), user.get("active") is True)
    for group in store.groups:
        name = str(group["displayName"])
        if name in directory.groups:
            directory.doubled.append(name)
        members = members_of(group)
        directory.groups[name] = frozenset(user_names.get(each["value"], "nobody") for each in members)
    return directory


def difference(store: Store, expected: Directory) -> list[str]:
    """What is otherwise than expected, one readable line each; empty if nothing is."""
    actual = directory_of(store)
    lines = [f"two groups are called {name}" for name in actual.doubled]
    for name in sorted((actual.people.keys() | expected.people.keys()) - expected.uncertain):
        is_there, should = actual.people.get(name), expected.people.get(name)
        if is_there != should:
            lines.append(f"{name}: is {is_there}, should be {should}")
    for name in sorted((actual.groups.keys() | expected.groups.keys()) - expected.uncertain):
        lines += _group_difference(name, actual.groups.get(name), expected.groups.get(name))
    return lines


def _group_difference(name: str, actual: frozenset[str] | None, expected: frozenset[str] | None) -> list[str]:
    if actual is None or expected is None:
        return [] if actual == expected else [f"{name}: should {'' if actual is None else 'not '}be there"]
    missing = [f"{name}: {member} is missing" for member in sorted(expected - actual)]
    return missing + [f"{name}: {member} should not be in it" for member in sorted(actual - expected)]
