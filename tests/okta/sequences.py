"""The calls that each kind of task makes, in the two ways Okta writes: OIN apps with PATCH, AIW apps with PUT."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

from gateway.rehearsal.messages import (
    Member,
    PushedGroup,
    activation,
    lookup_target,
    membership_change,
    membership_replacement,
    new_group,
    new_user,
    rename,
    request_fields,
    whole_group,
)
from tests.okta.tasks import Dialect, Kind, Replay, Task

Call = Callable[[str, str, Mapping[str, str], bytes], Awaitable[tuple[int, Mapping[str, str], bytes]]]
Ending = int | Literal["no answer", "no connection", "nonsense"]

PATIENCE_SECONDS = 60.0
AUTHORIZATION = "Bearer scimgw_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG_000000"

_READ = frozenset({200})
_MADE = frozenset({201})
_WRITTEN = frozenset({200, 204})


class Stopped(Exception):
    """An attempt that came to an answer it cannot go on from."""

    def __init__(self, ending: Ending, retry_after: str | None = None) -> None:
        super().__init__(ending)
        self.ending = ending
        self.retry_after = retry_after


@dataclass(slots=True)
class Memory:
    """What Okta knows: the ids it was told, and its groups as they should be."""

    user_ids: dict[str, str] = field(default_factory=dict)  # by userName
    group_ids: dict[str, str] = field(default_factory=dict)  # by subject
    groups: dict[str, PushedGroup] = field(default_factory=dict)  # by subject; the ids in them are not used

    def take_in(self, task: Task) -> None:
        """A task was made: Okta's own directory has changed already."""
        match task.kind:
            case Kind.CREATE_GROUP:
                self.groups[task.subject] = PushedGroup("", task.subject, self.members(task))
            case Kind.ADD_MEMBER | Kind.REMOVE_MEMBER:
                group, changed = self.groups[task.subject], self.members(task)
                left = tuple(member for member in group.members if member not in changed)
                after = left + changed if task.kind is Kind.ADD_MEMBER else left
                self.groups[task.subject] = PushedGroup("", group.name, after)
            case Kind.RENAME_GROUP:
                self.groups[task.subject] = PushedGroup("", task.display_name, self.groups[task.subject].members)
            case Kind.CREATE_USER | Kind.UPDATE_PROFILE | Kind.DEACTIVATE | Kind.REACTIVATE | Kind.DELETE_GROUP:
                pass

    def members(self, task: Task) -> tuple[Member, ...]:
        return tuple(Member(self.user_ids[name], name) for name in task.members)


@dataclass(slots=True)
class Progress:
    """A task and what has become of it."""

    task: Task
    attempts: int = 0
    calls: int = 0  # of the present attempt
    retry_afters: list[str | None] = field(default_factory=list)
    bodies: dict[str, bytes] = field(default_factory=dict)  # as first built, by step
    group: PushedGroup | None = None  # as it should be when the first attempt began


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at a task: what it knows, and how it calls."""

    call: Call
    memory: Memory
    progress: Progress
    dialect: Dialect
    replay: Replay
    base_path: str

    @property
    def task(self) -> Task:
        return self.progress.task

    async def run(self) -> None:
        """The whole sequence, from its beginning.

        Raises:
            Stopped: some answer was none to go on from.
        """
        self.progress.attempts += 1
        self.progress.calls = 0
        await _SEQUENCES[self.task.kind](self)

    async def ask(
        self, method: str, target: str, expected: Collection[int], body: bytes = b""
    ) -> tuple[int, dict[str, object]]:
        """One call: its status, and the document it brought (empty, if none).

        The request id is ours to correlate with; Okta sends none.

        Raises:
            Stopped: the status is none of those expected, or there was no answer.
        """
        self.progress.calls += 1
        request_id = f"{self.task.id}.{self.progress.attempts}.{self.progress.calls}"
        fields = request_fields(AUTHORIZATION, has_body=bool(body)) | {"X-Request-Id": request_id}
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                status, said, answer = await self.call(method, self.base_path + target, fields, body)
        except TimeoutError:
            raise Stopped("no answer") from None
        except ConnectionError:
            raise Stopped("no connection") from None
        if status not in expected:
            raise Stopped(status, {name.lower(): said[name] for name in said}.get("retry-after"))
        return status, _document(answer)

    def body(self, step: str, document: Mapping[str, object]) -> bytes:
        """What to send: on a retry what the first attempt built, if Okta replays what it stored."""
        built = json.dumps(document).encode()
        return self.progress.bodies.setdefault(step, built) if self.replay == "stored" else built

    def group(self) -> PushedGroup:
        """The group as it should be: now, or when the task's first attempt began."""
        current = self.memory.groups[self.task.subject]
        if self.progress.group is None or self.replay == "reread":
            self.progress.group = current
        group_id = self.memory.group_ids.get(self.task.subject, "")
        return PushedGroup(group_id, self.progress.group.name, self.progress.group.members)


async def _find(attempt: Attempt, collection: str, attribute: str) -> str | None:
    """The id of the resource named as the task's subject."""
    _, page = await attempt.ask("GET", lookup_target(collection, attribute, attempt.task.subject), _READ)
    found = page.get("Resources")
    if not isinstance(found, list):
        raise Stopped("nonsense")
    return _id(found[0]) if found else None


async def _find_or_make(attempt: Attempt, collection: str, attribute: str, body: bytes) -> tuple[str, bool]:
    """The id, and whether the resource was made just now. A 409 means that it is there after all."""
    if found := await _find(attempt, collection, attribute):
        return found, False
    status, made = await attempt.ask("POST", f"/{collection}", _MADE | {409}, body)
    if status == 201:
        return _id(made), True
    if found := await _find(attempt, collection, attribute):
        return found, False
    raise Stopped(409)


async def _create_user(attempt: Attempt) -> None:
    task = attempt.task
    document = new_user(
        task.subject,
        given_name=task.display_name.partition(" ")[0],
        family_name=task.display_name.partition(" ")[2],
        external_id=f"00u-{task.subject}",
        password="1mz050nq",
    )
    body = attempt.body("create", document)
    user_id, made = await _find_or_make(attempt, "Users", "userName", body)
    if not made:
        await attempt.ask("PUT", f"/Users/{user_id}", _WRITTEN, body)
    attempt.memory.user_ids[task.subject] = user_id


async def _update_profile(attempt: Attempt) -> None:
    await _merge_user(attempt, {"displayName": attempt.task.display_name})


async def _deactivate(attempt: Attempt) -> None:
    await _set_active(attempt, active=False)


async def _reactivate(attempt: Attempt) -> None:
    """Okta looks up first; what it finds is what it writes to."""
    user_id = await _find(attempt, "Users", "userName")
    if user_id is None:
        raise Stopped(404)
    attempt.memory.user_ids[attempt.task.subject] = user_id
    await _set_active(attempt, active=True)


async def _set_active(attempt: Attempt, *, active: bool) -> None:
    if attempt.dialect == "aiw":
        await _merge_user(attempt, {"active": active})
        return
    user_id = attempt.memory.user_ids[attempt.task.subject]
    await attempt.ask("PATCH", f"/Users/{user_id}", _WRITTEN, attempt.body("active", activation(active=active)))


async def _merge_user(attempt: Attempt, change: Mapping[str, object]) -> None:
    """GET, merge, PUT: everything that was read goes back."""
    target = f"/Users/{attempt.memory.user_ids[attempt.task.subject]}"
    _, read = await attempt.ask("GET", target, _READ)
    await attempt.ask("PUT", target, _WRITTEN, attempt.body("merge", {**read, **change}))


async def _create_group(attempt: Attempt) -> None:
    group = attempt.group()  # seen before the first call, as what Okta would store
    body = attempt.body("create", new_group(attempt.task.subject))
    group_id, _ = await _find_or_make(attempt, "Groups", "displayName", body)
    attempt.memory.group_ids[attempt.task.subject] = group_id
    if attempt.dialect == "aiw":
        await _put_group(attempt)
    else:
        await _patch_group(attempt, membership_replacement(group.members) if group.members else None)


async def _add_member(attempt: Attempt) -> None:
    await _change_members(attempt, (), attempt.memory.members(attempt.task))


async def _remove_member(attempt: Attempt) -> None:
    await _change_members(attempt, attempt.memory.members(attempt.task), ())


async def _change_members(attempt: Attempt, removed: tuple[Member, ...], added: tuple[Member, ...]) -> None:
    if attempt.dialect == "aiw":
        await _put_group(attempt)
    else:
        await _patch_group(attempt, membership_change(removed, added))


async def _rename_group(attempt: Attempt) -> None:
    if attempt.dialect == "aiw":
        await _put_group(attempt)
    else:
        await _patch_group(attempt, None)


async def _patch_group(attempt: Attempt, members: Mapping[str, object] | None) -> None:
    """The name goes along with every change of members, in a PATCH of its own."""
    group = attempt.group()
    await attempt.ask("PATCH", f"/Groups/{group.id}", _WRITTEN, attempt.body("name", rename(group)))
    if members is not None:
        await attempt.ask("PATCH", f"/Groups/{group.id}", _WRITTEN, attempt.body("members", members))


async def _put_group(attempt: Attempt) -> None:
    group = attempt.group()
    await attempt.ask("GET", f"/Groups/{group.id}", _READ)
    await attempt.ask("PUT", f"/Groups/{group.id}", _WRITTEN, attempt.body("whole", whole_group(attempt.group())))


async def _delete_group(attempt: Attempt) -> None:
    """A 404 on a retry means that an earlier attempt did it: the answer was lost."""
    expected = _WRITTEN | {404} if attempt.progress.attempts > 1 else _WRITTEN
    await attempt.ask("DELETE", f"/Groups/{attempt.memory.group_ids[attempt.task.subject]}", expected)


_SEQUENCES: Mapping[Kind, Callable[[Attempt], Awaitable[None]]] = {
    Kind.CREATE_USER: _create_user,
    Kind.UPDATE_PROFILE: _update_profile,
    Kind.DEACTIVATE: _deactivate,
    Kind.REACTIVATE: _reactivate,
    Kind.CREATE_GROUP: _create_group,
    Kind.ADD_MEMBER: _add_member,
    Kind.REMOVE_MEMBER: _remove_member,
    Kind.RENAME_GROUP: _rename_group,
    Kind.DELETE_GROUP: _delete_group,
}


def _document(body: bytes) -> dict[str, object]:
    if not body:
        return {}
    try:
        document: object = json.loads(body)
    except ValueError:
        raise Stopped("nonsense") from None
    if not isinstance(document, dict):
        raise Stopped("nonsense")
    return document


def _id(resource: object) -> str:
    """Okta cannot go on without one: "Create new user returned empty user"."""
    if not isinstance(resource, dict) or not isinstance(resource.get("id"), str):
        raise Stopped("nonsense")
    return str(resource["id"])
