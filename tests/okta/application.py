"""The application that is provisioned: users and groups in memory, served by several nodes, some of them unwell."""

from __future__ import annotations

import asyncio
import errno
import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qs

from gateway.rehearsal.messages import ERROR_SCHEMA, LIST_SCHEMA
from tests.okta.clock import now
from tests.okta.outages import Schedule, State
from tests.okta.store import Collection, Conflict, JsonObject, Malformed, ResourceId, Store, patched

Answer = tuple[int, dict[str, str], bytes]

GIVE_UP_SECONDS = 127.0  # after which Linux ends a connect that nobody answers
_WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_STARTING_PAGE = b"<html><body>The application is starting</body></html>"


@dataclass(frozen=True, slots=True)
class Act:
    """A write that was executed, whatever its answer."""

    at: float  # Unix seconds
    node: str
    request_id: str
    method: str
    path: str
    status: int


@dataclass(slots=True, eq=False)
class Work:
    """One request on its way through the application. Executed at most once, by `Application.execute`."""

    node: str
    method: str
    target: str
    fields: Mapping[str, str]  # names in lower case
    body: bytes
    read: JsonObject | None = None  # what a careless PATCH read before it waits and writes
    answer: Answer | None = None

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def writes(self) -> bool:
        return self.method in _WRITES


@dataclass(slots=True)
class Application:
    """A SCIM 2.0 application on any number of nodes with one store.

    With `locks` off, a PATCH of a group reads, waits and writes: of two at once, one is lost (fleetdm/fleet#50724).
    """

    store: Store = field(default_factory=Store)
    schedule: Schedule = field(default_factory=Schedule)
    base_path: str = ""  # before /Users
    latency_seconds: float = 0.02  # on average, a quarter more or less; half before the act, half after it
    slow_seconds: float = 70.0  # the latency of a node that is SLOW
    locks: bool = True
    seed: int = 0
    executions: Counter[str] = field(default_factory=Counter)  # writes executed, by X-Request-Id
    task_writes: Counter[str] = field(default_factory=Counter)  # writes executed with success, by task (`task_of`)
    overlaps: Counter[str] = field(default_factory=Counter)  # writes that began while another was at work, by path
    acts: list[Act] = field(default_factory=list)
    requests: int = 0
    _at_work: Counter[str] = field(default_factory=Counter)
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def state(self, node: str) -> State:
        return self.schedule.state(node, now())

    async def handle(self, node: str, method: str, target: str, fields: Mapping[str, str], body: bytes) -> Answer:
        """One request to one node.

        Raises:
            ConnectionRefusedError: the node is down.
            TimeoutError: nobody answered, for `GIVE_UP_SECONDS`.
        """
        await reach(self.state(node), node)
        return await self.carry_out(Work(node, method, target, {key.lower(): fields[key] for key in fields}, body))

    async def carry_out(self, work: Work) -> Answer:
        """Wait, execute, wait; if cancelled, the act is done or not, as it happens."""
        self.requests += 1
        if self.state(work.node) is State.RESTARTING:
            return 503, {"Content-Type": "text/html"}, _STARTING_PAGE
        self._begin(work)
        try:
            await self._pause(work.node)
            if not self.locks and work.method == "PATCH" and "/Groups/" in work.path:
                work.read = self._read(work)
                await self._pause(work.node)
            answer = self.execute(work)
            await self._pause(work.node)
        finally:
            self._at_work[work.path] -= work.writes
        return answer

    def execute(self, work: Work) -> Answer:
        """The act itself, in no time; a second call only repeats the answer."""
        if work.answer is None:
            work.answer = self._answer(work)
            self._record(work, work.answer[0])
        return work.answer

    def _begin(self, work: Work) -> None:
        if work.writes and work.method != "POST":
            self.overlaps[work.path] += self._at_work[work.path] > 0
        self._at_work[work.path] += work.writes

    async def _pause(self, node: str) -> None:
        whole = self.slow_seconds if self.state(node) is State.SLOW else self.latency_seconds
        await asyncio.sleep(whole / 2 * self._random.uniform(0.75, 1.25))

    def _record(self, work: Work, status: int) -> None:
        if not work.writes:
            return
        request_id = work.fields.get("x-request-id", "")
        self.executions[request_id] += 1
        self.task_writes[task_of(request_id)] += status < 300
        self.acts.append(Act(now(), work.node, request_id, work.method, work.path, status))

    def _read(self, work: Work) -> JsonObject | None:
        collection, resource_id = self._address(work.path)
        return collection.get(resource_id) if collection is not None and resource_id else None

    def _address(self, path: str) -> tuple[Collection | None, ResourceId]:
        if not path.startswith(self.base_path):
            return None, ResourceId("")
        name, _, resource_id = path.removeprefix(self.base_path).strip("/").partition("/")
        return self.store.collection(name), ResourceId(resource_id)

    def _answer(self, work: Work) -> Answer:
        collection, resource_id = self._address(work.path)
        if collection is None:
            return _error(404, "there is no such endpoint")
        try:
            if resource_id:
                return self._answer_one(work, collection, resource_id)
            return self._answer_all(work, collection)
        except Conflict:
            return _error(409, f"this {collection.name_attribute} is taken", scim_type="uniqueness")
        except Malformed as error:
            return _error(400, str(error), scim_type="invalidValue")

    def _answer_all(self, work: Work, collection: Collection) -> Answer:
        match work.method:
            case "GET":
                return _list(work.target, collection)
            case "POST":
                made = collection.add(decoded(work.body))
                return self._resource(201, work.node, collection, collection.get(made))
            case _:
                return _error(405, "GET or POST")

    def _answer_one(self, work: Work, collection: Collection, resource_id: ResourceId) -> Answer:
        stored = collection.get(resource_id)
        if stored is None:
            return _error(404, "there is no such resource")
        match work.method:
            case "GET":
                return self._resource(200, work.node, collection, stored)
            case "DELETE":
                collection.delete(resource_id)
                return 204, {}, b""
            case "PUT":
                collection.put(resource_id, decoded(work.body))
            case "PATCH":
                collection.put(resource_id, patched(work.read or stored, decoded(work.body)))
            case _:
                return _error(405, "GET, PUT, PATCH or DELETE")
        return self._resource(200, work.node, collection, collection.get(resource_id))

    def _resource(self, status: int, node: str, collection: Collection, resource: JsonObject | None) -> Answer:
        assert resource is not None
        location = f"http://{node}{self.base_path}/{collection.kind}s/{resource['id']}"
        shown = {key: value for key, value in resource.items() if key != "password"}
        document = shown | {"meta": {"resourceType": collection.kind, "location": location}}
        return _json(status, document, {"Location": location} if status == 201 else {})


async def reach(state: State, node: str) -> None:
    """What a client meets that connects to a node in this state.

    Raises:
        ConnectionRefusedError, TimeoutError.
    """
    if state is State.DOWN:
        raise ConnectionRefusedError(errno.ECONNREFUSED, f"{node} is down")
    if state is State.DARK:
        await asyncio.sleep(GIVE_UP_SECONDS)
        raise TimeoutError(errno.ETIMEDOUT, f"{node} is dark")


def task_of(request_id: str) -> str:
    """The task that a request belongs to: `t00042` of `t00042.3.2`. Pure."""
    return request_id.partition(".")[0]


def decoded(body: bytes) -> JsonObject:
    """A body as a JSON object. Pure.

    Raises:
        Malformed: it is none.
    """
    try:
        document: object = json.loads(body)
    except ValueError as error:
        raise Malformed("this is no JSON") from error
    if not isinstance(document, dict):
        raise Malformed("this is no object")
    return document


def _list(target: str, collection: Collection) -> Answer:
    query = parse_qs(target.partition("?")[2])
    found = _matching(collection, query.get("filter", [""])[0])
    start = max(1, int(query.get("startIndex", ["1"])[0]))
    page = found[start - 1 : start - 1 + int(query.get("count", ["100"])[0])]
    counts = {"totalResults": len(found), "startIndex": start, "itemsPerPage": len(page)}
    shown = [{key: value for key, value in each.items() if key != "password"} for each in page]
    return _json(200, {"schemas": [LIST_SCHEMA], **counts, "Resources": shown}, {})


def _matching(collection: Collection, filter_text: str) -> Sequence[JsonObject]:
    if not filter_text:
        return list(collection)
    attribute, operator, value = [*filter_text.split(" ", 2), "", ""][:3]
    try:
        wanted: object = json.loads(value)
    except ValueError as error:
        raise Malformed("the filter is not understood") from error
    if operator != "eq" or not isinstance(wanted, str):
        raise Malformed("the filter is not understood")
    if attribute == collection.name_attribute:
        return collection.named(wanted)
    if attribute == "externalId":
        return [each for each in collection if each.get("externalId") == wanted]
    raise Malformed(f"no filter by {attribute}")


def _error(status: int, detail: str, *, scim_type: Literal["uniqueness", "invalidValue"] | None = None) -> Answer:
    said = {"scimType": scim_type} if scim_type else {}
    return _json(status, {"schemas": [ERROR_SCHEMA], "status": str(status), "detail": detail, **said}, {})


def _json(status: int, document: Mapping[str, object], fields: dict[str, str]) -> Answer:
    return status, {"Content-Type": "application/scim+json", **fields}, json.dumps(document).encode()
