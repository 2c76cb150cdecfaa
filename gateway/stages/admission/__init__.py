"""Admission: has this client a place now, and is it this write's turn?

A rate and a number of requests under way, per tenant, never per address: an identity provider's addresses are many
and shared. A turn per resource, so that no write overtakes another.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote

from gateway.caller import Caller, patience
from gateway.exchange import Client, Operation
from gateway.refusal import Reason, Refusal
from gateway.scim.addresses import Kind
from gateway.state.places import Places
from gateway.state.rates import Rates
from gateway.state.turns import Turns

__all__ = ["Admission", "Ticket", "turn_key"]


@dataclass(slots=True)
class Ticket:
    """What a request holds of its tenant's places and turns, until `Admission.leave`."""

    tenant_name: str
    has_place: bool = True
    turn: str | None = None  # the key of the turn it has


class Admission:
    """The door that lets only so many in."""

    def __init__(self, rates: Rates, places: Places, turns: Turns, clock: Callable[[], float]) -> None:
        self._rates, self._places, self._turns = rates, places, turns
        self._clock = clock  # monotonic seconds

    async def admit(self, client: Client) -> Ticket:
        """Take a place; whoever gets a ticket gives it back with `leave`, whatever comes.

        Raises:
            Refusal: RATE_EXCEEDED, NO_PLACE.
        """
        limits, name = client.tenant.limits, client.tenant_name
        if not await self._places.take(name, limits.concurrent):
            raise Refusal(Reason.NO_PLACE, note=f"{limits.concurrent} requests under way")
        wait = await self._rates.take(name, self._clock(), limits.requests_per_second, limits.burst)
        if wait is not None:
            await self._places.give_back(name)
            raise Refusal(Reason.RATE_EXCEEDED, retry_after_seconds=math.ceil(wait))
        return Ticket(name)

    async def take_turn(self, ticket: Ticket, operation: Operation, client: Client, caller: Caller) -> None:
        """Wait until no earlier write to the same resource is under way; the turn is kept until `leave`.

        Whoever waits gives its place to others meanwhile, and takes one again before it goes on.

        Raises:
            Refusal: QUEUE_FULL, QUEUE_TIMEOUT, CLIENT_GONE.
        """
        key = turn_key(operation, client)
        if key is None:
            return
        if await self._turns.take_at_once(key):
            ticket.turn = key
            return
        if await self._turns.queue_is_full(key):
            raise Refusal(Reason.QUEUE_FULL)
        limits = client.tenant.limits
        ticket.has_place = False
        await self._places.give_back(ticket.tenant_name)
        async with patience(caller, caller.began_at + limits.budget_seconds - limits.write_needs_seconds, "its turn"):
            await self._turns.wait(key)
            ticket.turn = key
            await self._places.wait(ticket.tenant_name, limits.concurrent)
            ticket.has_place = True

    async def leave(self, ticket: Ticket) -> None:
        """Give back whatever a ticket holds."""
        if ticket.turn is not None:
            key, ticket.turn = ticket.turn, None
            await self._turns.give_back(key)
        if ticket.has_place:
            ticket.has_place = False
            await self._places.give_back(ticket.tenant_name)


def turn_key(operation: Operation, client: Client) -> str | None:
    """What a write must be alone with: its resource, or for a create the name that it gives. Pure.

    Names and ids are compared without case, as most servers do; two resources that share a turn only wait longer.
    None for reads, and for creates that give no name.
    """
    if not operation.writes:
        return None
    address = operation.address
    if address.kind is Kind.ME:
        return f"{client.tenant_name} me {client.credential}"
    if address.resource_id is not None:
        return f"{client.tenant_name} {address.endpoint} id {unquote(address.resource_id).casefold()}"
    if operation.resource_name is None:
        return None
    return f"{client.tenant_name} {address.endpoint} name {operation.resource_name.casefold()}"
