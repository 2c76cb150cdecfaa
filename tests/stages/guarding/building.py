"""Writes before the guard, and an upstream that answers its questions, for the tests of guarding."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.exchange import Answer, Attempt, Client, Delivery, Judgement, Operation, RequestId, Stage, Trail
from gateway.exchange import UpstreamAnswer as Answered
from gateway.refusal import Reason, Refusal
from gateway.rehearsal.messages import activation
from gateway.scim.documents import Document
from gateway.settings.models import GuardSection
from gateway.stages.admission import turn_key
from gateway.stages.guarding import Directories, GuardEvent, Guarding
from gateway.stages.inspection import inspect, survey
from gateway.stages.reply import present_refusal
from tests.state.keepers import PlainKeeper
from tests.worlds import PATH, client, request

NODE = "jira-1.internal:5501"
PATCH_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
OFF, ON = activation(active=False), activation(active=True)
FEW: dict[str, object] = {"people": 3, "directory_size": 1000}


def group(*members: str, **changes: Any) -> Document:
    """A group as an upstream shows it."""
    return {"id": "g", "displayName": "jira-users", "members": [{"value": member} for member in members]} | changes


def patch(op: str, path: str | None = None, value: object = None) -> dict[str, list[Any]]:
    """A PATCH of one operation."""
    operation = {"op": op, "path": path, "value": value}
    present = {key: each for key, each in operation.items() if each is not None}
    return {"schemas": [PATCH_SCHEMA], "Operations": [present]}


def listed(*members: str) -> list[dict[str, str]]:
    return [{"value": member} for member in members]


def write(method: str, path: str, document: Mapping[str, object] | None = None, **changes: Any) -> Operation:
    """A write as inspection understands it; changes are the tenant's."""
    body = b"" if document is None else json.dumps(document).encode()
    fields = (("Content-Type", "application/scim+json"),) if body else ()
    head, who = request(method, PATH + path, fields=fields, has_body=bool(body)), client(path, **changes)
    return inspect(survey(head, who), body, head, who)


def answered(status: int, document: Document | None = None) -> Delivery:
    """A question that got an answer."""
    body = b"" if document is None else json.dumps(document).encode()
    return Delivery((Attempt(NODE, 0.01, Stage.ANSWERED, status),), Answered(status, {}, body, document))


def unanswered(reason: Reason, status: int | None = None) -> Delivery:
    """A question that got none, or one that is a reason to come back."""
    answer = None if status is None else Answered(status, {}, b"")
    stage = Stage.SENT if status is None else Stage.ANSWERED
    return Delivery((Attempt(NODE, 0.01, stage, status),), answer, reason, "no answer in time")


def _answer(trail: Trail) -> Answer:
    """What the client gets by the end of this trail."""
    delivery = trail.delivery
    if delivery is not None and delivery.reason is None and delivery.answer is not None:
        return Answer(delivery.answer.status, (), b"")
    reason = delivery.reason if delivery is not None else None
    return present_refusal(Refusal(reason or Reason.STOPPING), trail)


@dataclass(slots=True)
class Scene:
    """A guard before an upstream that gives these answers, one after the other."""

    answers: list[Delivery] = field(default_factory=list)
    keeper: PlainKeeper = field(default_factory=PlainKeeper)
    asked: list[str] = field(default_factory=list)
    told: list[GuardEvent] = field(default_factory=list)
    guard: dict[str, object] = field(default_factory=lambda: dict(FEW))
    guarding: Guarding = field(init=False)

    def __post_init__(self) -> None:
        self.guarding = Guarding(self.keeper, Directories(lambda: self.keeper.seconds))
        self.guarding.on_event = self.told.append

    @property
    def client(self) -> Client:
        return client(guard=GuardSection.model_validate(self.guard))

    async def ask(self, target: str) -> Delivery:
        self.asked.append(target)
        return self.answers.pop(0)

    async def weigh(
        self, method: str, path: str, document: Mapping[str, object] | None = None, request_id: str = "req-1"
    ) -> Judgement | None:
        """What the guard says of a write."""
        operation, who = write(method, path, document), self.client
        return await self.guarding.weigh(operation, who, turn_key(operation, who), RequestId(request_id), self.ask)

    async def judged(
        self, method: str, path: str, document: Mapping[str, object] | None = None, request_id: str = "req-1"
    ) -> Judgement:
        """The same, of a write of which it has something to say."""
        judgement = await self.weigh(method, path, document, request_id)
        assert judgement is not None
        return judgement

    def settle(self, judgement: Judgement, delivery: Delivery | None = None, *, stage: str = "forward") -> None:
        """The write has ended so; without a delivery it was cut short in that stage."""
        trail = Trail(request(), "jira", client=self.client, judgement=judgement, delivery=delivery)
        trail.seconds, trail.answer = {stage: 0.01}, _answer(trail)
        self.guarding.settle(trail)

    async def execute(self, method: str, path: str, document: Mapping[str, object] | None = None) -> Judgement | None:
        """A write that is executed at once if it may leave."""
        judgement = await self.weigh(method, path, document)
        if judgement is not None and judgement.reason is None:
            self.settle(judgement, answered(200, {"id": "1"}))
        return judgement

    async def wave(self, people: str = "abcd") -> str:
        """People, a letter each, are deactivated; the id of the hold that this trips."""
        for person in people:
            await self.execute("PATCH", f"/Users/{person}", OFF)
        return self.keeper.books.holds()[-1].hold.id

    def leaves_nothing_in_flight(self) -> bool:
        return "flight" not in self.keeper.kinds()
