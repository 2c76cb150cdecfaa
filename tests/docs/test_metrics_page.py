"""The page on metrics: whole, true, and of metrics that Prometheus's own linter has nothing against."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from docs.metrics_page import WORRY
from gateway.metrics import Metrics
from gateway.settings.models import MetricsSection
from tests.deploy import servers
from tests.houses import house
from tests.test_metrics import metrics
from tests.upstreams import answers, json_answer, scripted_upstream
from tests.waiting import until

PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text("utf-8")


def test_every_metric_has_its_worry_and_no_other() -> None:
    assert set(WORRY) == {family.name.removeprefix("scim_gateway_") for family in metrics().families}


def test_every_setting_is_shown() -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    shown = MetricsSection.model_validate(tomllib.loads(block)["metrics"])

    assert shown.model_fields_set == set(MetricsSection.model_fields)


async def test_promtool_finds_nothing_wrong_with_what_a_gateway_exposes(tmp_path: Path) -> None:
    async with scripted_upstream(answers(json_answer({}))) as upstream, house(tmp_path, upstream.url) as it:
        shown: Metrics = it.instance.metrics
        await until(lambda: b"disk_free_bytes{" in shown.render()[0])
        text = shown.render()[0]

    assert servers.run("promtool", "check", "metrics", text=text) == ""
