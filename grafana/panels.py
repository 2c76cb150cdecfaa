"""What a panel is, and how panels lie on a dashboard of 24 columns. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Union

Json = Union[str, float, bool, None, Sequence["Json"], dict[str, "Json"]]  # noqa: UP007 - it names itself

COLUMNS = 24
GOOD_AT_LEAST, GOOD_BELOW = "at least", "below"
DATASOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}
_PALETTE: Json = {"mode": "palette-classic"}
_ENDS: Json = {
    "mode": "absolute",
    "steps": [
        {"color": "red", "value": None},
        {"color": "orange", "value": 3 * 86400},
        {"color": "green", "value": 14 * 86400},
    ],
}


@dataclass(frozen=True, slots=True)
class Query:
    """PromQL, and how what it yields is called."""

    expression: str
    legend: str = ""
    instant: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel; `options` and `fields` are Grafana's, by the panel's kind."""

    title: str
    description: str
    kind: str
    queries: tuple[Query, ...]
    width: int
    height: int
    fields: dict[str, Json]
    options: dict[str, Json]
    overrides: tuple[Json, ...] = ()
    transformations: tuple[Json, ...] = ()
    exemplars: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table; `ends` is coloured by how little is left."""

    name: str
    title: str
    unit: str = ""
    ends: bool = False


class Row:
    """A titled row; its panels flow from left to right."""

    def __init__(self, title: str, *panels: Panel, collapsed: bool = False) -> None:
        self.title, self.panels, self.collapsed = title, panels, collapsed


def stat(
    title: str,
    description: str,
    expression: str,
    unit: str,
    good: tuple[str, float] | None = None,
    *,
    decimals: int | None = None,
) -> Panel:
    """One number, green where it is good."""
    steps: list[Json] = [{"color": "text", "value": None}]
    if good is not None:
        below, above = ("red", "green") if good[0] == GOOD_AT_LEAST else ("green", "red")
        steps = [{"color": below, "value": None}, {"color": above, "value": good[1]}]
    fields: dict[str, Json] = {
        "unit": unit,
        "color": {"mode": "thresholds"},
        "thresholds": {"mode": "absolute", "steps": steps},
    }
    if decimals is not None:
        fields["decimals"] = decimals
    options: dict[str, Json] = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "background" if good else "value",
        "graphMode": "none",
        "textMode": "value",
    }
    return Panel(title, description, "stat", (Query(expression),), 4, 4, fields, options)


def series(
    title: str, description: str, unit: str, *queries: Query, stacked: bool = False, exemplars: bool = False
) -> Panel:
    """Lines over time."""
    custom: dict[str, Json] = {"lineWidth": 1, "fillOpacity": 30 if stacked else 0, "showPoints": "never"}
    if stacked:
        custom["stacking"] = {"mode": "normal", "group": "A"}
    fields: dict[str, Json] = {"unit": unit, "min": 0, "color": _PALETTE, "custom": custom}
    options: dict[str, Json] = {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return Panel(title, description, "timeseries", queries, 8, 8, fields, options, exemplars=exemplars)


def heatmap(title: str, description: str, expression: str) -> Panel:
    """How often which duration, over time; `expression` yields buckets by `le`."""
    options: dict[str, Json] = {
        "calculate": False,
        "cellGap": 1,
        "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64},
        "exemplars": {"color": "rgba(31, 120, 193, 0.9)"},
        "yAxis": {"unit": "s", "axisPlacement": "left"},
        "tooltip": {"mode": "single", "yHistogram": False},
        "legend": {"show": True},
    }
    fields: dict[str, Json] = {"custom": {"scaleDistribution": {"type": "linear"}}}
    return Panel(title, description, "heatmap", (Query(expression, "{{le}}"),), 8, 8, fields, options, exemplars=True)


def states(title: str, description: str, query: Query) -> Panel:
    """Bars of states over time."""
    fields: dict[str, Json] = {"color": _PALETTE, "custom": {"fillOpacity": 70, "lineWidth": 0}}
    options: dict[str, Json] = {
        "mergeValues": True,
        "showValue": "never",
        "rowHeight": 0.9,
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": False},
        "tooltip": {"mode": "single"},
    }
    return Panel(title, description, "state-timeline", (query,), 8, 8, fields, options)


def table(title: str, description: str, columns: tuple[Column, ...], query: Query) -> Panel:
    """Rows of labels and a value, the smallest value first."""
    indexes: Json = {column.name: place for place, column in enumerate(columns)}
    names: Json = {column.name: column.title for column in columns}
    hidden: Json = {name: True for name in ("Time", "Value") if name not in {column.name for column in columns}}
    organize: dict[str, Json] = {"excludeByName": hidden, "indexByName": indexes, "renameByName": names}
    overrides = tuple(_override(column) for column in columns if column.unit)
    last = columns[-1].title
    options: dict[str, Json] = {
        "showHeader": True,
        "cellHeight": "sm",
        "sortBy": [{"displayName": last, "desc": False}],
    }
    transformations: tuple[Json, ...] = ({"id": "organize", "options": organize},)
    return Panel(
        title, description, "table", (query,), 8, 8, {"custom": {"align": "auto"}}, options, overrides, transformations
    )


def _override(column: Column) -> Json:
    properties: list[Json] = [{"id": "unit", "value": column.unit}]
    if column.ends:
        properties.append({"id": "thresholds", "value": _ENDS})
        properties.append({"id": "color", "value": {"mode": "thresholds"}})
        properties.append({"id": "custom.cellOptions", "value": {"type": "color-text"}})
    return {"matcher": {"id": "byName", "options": column.title}, "properties": properties}


def laid_out(rows: Sequence[Row]) -> list[Json]:
    """The panels as Grafana wants them: numbered, and each in its place."""
    placed: list[Json] = []
    top = 0
    number = 1
    for row in rows:
        head: dict[str, Json] = {
            "id": number,
            "type": "row",
            "title": row.title,
            "collapsed": row.collapsed,
            "gridPos": {"x": 0, "y": top, "w": COLUMNS, "h": 1},
            "panels": [],
        }
        inside, height = _flow(row.panels, number + 1, top + 1)
        if row.collapsed:
            head["panels"] = inside
        placed += [head, *([] if row.collapsed else inside)]
        top += 1 + (0 if row.collapsed else height)
        number += 1 + len(row.panels)
    return placed


def _flow(panels: Sequence[Panel], number: int, top: int) -> tuple[list[Json], int]:
    """Panels from left to right, line by line, and how high they are together."""
    flown: list[Json] = []
    x, y, tallest = 0, top, 0
    for panel in panels:
        if x + panel.width > COLUMNS:
            x, y, tallest = 0, y + tallest, 0
        flown.append(_panel(panel, number + len(flown), x, y))
        x, tallest = x + panel.width, max(tallest, panel.height)
    return flown, y + tallest - top


def _panel(panel: Panel, number: int, x: int, y: int) -> Json:
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": DATASOURCE,
        "gridPos": {"x": x, "y": y, "w": panel.width, "h": panel.height},
        "fieldConfig": {"defaults": panel.fields, "overrides": panel.overrides},
        "options": panel.options,
        "transformations": panel.transformations,
        "targets": [_target(query, "ABCDEF"[place], panel) for place, query in enumerate(panel.queries)],
    }


def _target(query: Query, reference: str, panel: Panel) -> Json:
    return {
        "refId": reference,
        "datasource": DATASOURCE,
        "expr": query.expression,
        "legendFormat": query.legend or "__auto",
        "instant": query.instant,
        "range": not query.instant,
        "format": {"table": "table", "heatmap": "heatmap"}.get(panel.kind, "time_series"),
        "exemplar": panel.exemplars,
    }
