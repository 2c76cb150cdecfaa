"""The dashboard as a file: up to date, and what Grafana expects of one. What its queries yield, a Prometheus says."""

from __future__ import annotations

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from gateway.metrics import PREFIX
from grafana import generate
from tests.test_metrics import metrics

ROOT = Path(__file__).parents[2]
DASHBOARD: dict[str, Any] = json.loads(generate.FILE.read_text("utf-8"))
TOP: list[dict[str, Any]] = DASHBOARD["panels"]
ALL = [*TOP, *(inner for row in TOP for inner in row.get("panels", ()))]
PANELS = [panel for panel in ALL if panel["type"] != "row"]
UNITS = {"percentunit", "reqps", "s", "short", "bytes", "bool_on_off", "cps"}
KINDS = {"stat", "timeseries", "heatmap", "table", "state-timeline"}


def test_the_file_is_up_to_date() -> None:
    assert generate.FILE.read_text("utf-8") == generate.text(), "run `python grafana/generate.py`"


def test_no_two_panels_have_the_same_id() -> None:
    ids = [panel["id"] for panel in ALL]

    assert len(ids) == len(set(ids))


def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    return (
        one["x"] < other["x"] + other["w"]
        and other["x"] < one["x"] + one["w"]
        and one["y"] < other["y"] + other["h"]
        and other["y"] < one["y"] + one["h"]
    )


def test_no_panel_lies_on_another_or_off_the_page() -> None:
    for together in (TOP, *(row["panels"] for row in TOP if row.get("panels"))):
        places = [panel["gridPos"] for panel in together]
        assert all(place["x"] >= 0 and place["x"] + place["w"] <= 24 for place in places)
        assert not [pair for pair in combinations(places, 2) if overlap(*pair)]


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_is_described_and_asks_the_chosen_datasource(panel: dict[str, Any]) -> None:
    chosen = {"type": "prometheus", "uid": "${datasource}"}

    assert panel["description"].endswith(".")
    assert panel["type"] in KINDS
    assert panel["datasource"] == chosen
    assert panel["targets"]
    assert all(target["datasource"] == chosen and target["expr"] for target in panel["targets"])
    assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


def test_titles_are_apart_and_every_unit_is_one_of_grafanas() -> None:
    titles = [panel["title"] for panel in PANELS]
    units = set(re.findall(r'"unit": "([^"]+)"', json.dumps(PANELS)))

    assert len(titles) == len(set(titles))
    assert units <= UNITS
    assert all(
        panel["fieldConfig"]["defaults"].get("unit") for panel in PANELS if panel["type"] in ("stat", "timeseries")
    )


def test_every_variable_that_a_query_uses_is_offered() -> None:
    offered = {variable["name"] for variable in DASHBOARD["templating"]["list"]} | {"__rate_interval"}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps([TOP, DASHBOARD["annotations"]])))

    assert used <= offered
    assert {"datasource", "job", "instance", "tenant"} <= used


def test_every_metric_is_exposed_and_every_exposed_one_is_shown() -> None:
    families = metrics().families
    parts = {
        f"{f.name}_{part}": f.name for f in families if f.kind == "histogram" for part in ("bucket", "count", "sum")
    }
    known = {family.name: family.name for family in families} | parts | {f"{PREFIX}_build_info": ""}
    asked = set(re.findall(rf"{PREFIX}_\w+", json.dumps(DASHBOARD)))

    assert asked - known.keys() == set()
    assert {family.name for family in families} - {known[name] for name in asked} == set()


def test_provisioning_names_what_is_here() -> None:
    datasource = (ROOT / "grafana/provisioning/datasources/prometheus.yml").read_text()
    scrape = (ROOT / "deploy/prometheus/prometheus.yml").read_text()

    assert re.findall(r"timeInterval: (\S+)", datasource) == re.findall(r"scrape_interval: (\S+)", scrape)
    assert "type: prometheus" in datasource
