"""The threat model: numbers are the code's, and what is said to hold a claim is there."""

from __future__ import annotations

import re
from pathlib import Path

from gateway.pipeline import Pipeline
from gateway.settings.models import GuardSection
from gateway.stages.recording.strangers import LINES_PER_ADDRESS
from gateway.state.failures import Record, fail

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "threat-model.md").read_text("utf-8")
STAGES = re.findall(r"^\| (\w+) \| [A-H]", PAGE, re.MULTILINE)


def test_every_stage_of_the_pipeline_has_a_row_in_its_order() -> None:
    source = (ROOT / "gateway" / "pipeline.py").read_text("utf-8")
    entered = re.findall(r'trail\.enter\("(\w+)"', source.split(f"def {Pipeline._carry.__name__}")[1].split("def ")[0])
    once = list(dict.fromkeys(entered))

    assert set(once) <= set(STAGES)
    assert [stage for stage in STAGES if stage in ("turn", "guard", "record", "forward", "present")] == once[-5:]


def test_failures_lock_an_address_out_as_long_as_is_said() -> None:
    record, now, locked_out = Record(), 0.0, []
    for _ in range(20):
        record, _wait = fail(record, now)
        locked_out.append(max(0.0, record.locked_until - now))
        now = max(now, record.locked_until)

    assert locked_out[:7] == [0, 0, 0, 0, 1, 2, 4]
    assert locked_out[-1] == 300
    assert "The fifth failure locks an address out for 1 s, each further one for twice as long, 300 s at most" in PAGE


def test_the_other_numbers_are_those_that_hold() -> None:
    assert f"{LINES_PER_ADDRESS} lines a minute and address" in PAGE
    assert f"by default {GuardSection().people} within the hour" in PAGE
    assert GuardSection().window_seconds == 3600
