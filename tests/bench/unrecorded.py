"""`python -m tests.bench.unrecorded serve ...`: the gateway, but requests are not put on record.

The difference to the gateway itself is what the audit log costs: lines, chain, disk, and waiting for it.
"""

from __future__ import annotations

from gateway import app
from gateway.cli import main
from gateway.exchange import Trail
from gateway.stages.recording import Recording


class Unrecorded(Recording):
    """Starts and stops alone are on record; metrics and log are as they are."""

    async def record_intent(self, trail: Trail) -> None:
        return

    async def record_outcome(self, trail: Trail) -> None:
        return


if __name__ == "__main__":
    vars(app)["Recording"] = Unrecorded  # for this process alone, before it composes anything
    main()
