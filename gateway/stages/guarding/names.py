"""Names for people to read where a held write gives only an id: asked of the upstream when somebody looks."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from contextlib import suppress

from gateway.refusal import Refusal
from gateway.scim.attributes import value_of
from gateway.stages.guarding.directories import Ask
from gateway.stages.guarding.groups import document_of

MAX_KNOWN = 10_000
AT_ONCE = 8
LIMIT_SECONDS = 10.0  # for one look; whoever is not known by then is shown as an id


class Names:
    """What has been learned so far, by tenant and path; for one instance."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], str] = OrderedDict()

    async def of(self, tenant_name: str, paths: Iterable[str], ask: Ask) -> Mapping[str, str]:
        """The userName or displayName of each path that has one. Never raises for the upstream's faults."""
        wanted = list(dict.fromkeys(paths))
        places = asyncio.Semaphore(AT_ONCE)

        async def learn(path: str) -> None:
            async with places:
                with suppress(Refusal):
                    await self._learn(tenant_name, path, ask)

        with suppress(TimeoutError):
            async with asyncio.timeout(LIMIT_SECONDS), asyncio.TaskGroup() as questions:
                for path in wanted:
                    if (tenant_name, path) not in self._known:
                        questions.create_task(learn(path))
        known = {path: self._known.get((tenant_name, path)) for path in wanted}
        return {path: name for path, name in known.items() if name is not None}

    async def _learn(self, tenant_name: str, path: str, ask: Ask) -> None:
        document = document_of(await ask(path))
        if document is None:
            return
        name = value_of(document, "userName") or value_of(document, "displayName")
        if isinstance(name, str):
            self._known[tenant_name, path] = name
            while len(self._known) > MAX_KNOWN:
                self._known.popitem(last=False)
