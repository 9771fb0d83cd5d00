"""A picture of the platform as it runs, as SVG: text stays text, and all of it can be read out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from xml.etree import ElementTree as ET

from ado_infra.ops.platform.boxes import (
    METRICS,
    Arrow,
    Box,
    State,
    arrows_of,
    boxes_of,
    described,
    in_rows,
)
from ado_infra.ops.platform.layout import (
    BAND_PADDING,
    HEAD,
    Layout,
    Link,
    Net,
    Point,
    Rectangle,
    Row,
)
from ado_infra.ops.platform.tiers import Platform

_LINES: Final = ("#1d5fa8", "#a84a12", "#6b3fa0", "#0b6b5f", "#8a1f4f", "#5c5300")
"""Colours of the arrows, in turn; all of them legible on white."""
_MARGIN: Final = 24.0
_LABELS: Final = 128.0
_TITLE: Final = 84.0
_LINE: Final = 18.0
_FONT: Final = "system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif"


def svg(platform: Platform, title: str, when: str = "") -> str:
    """The picture as an SVG document, headed by `title` and `when`: now, if nobody says it."""
    when = when or f"{datetime.now().astimezone():%Y-%m-%d %H:%M %Z}"
    boxes, arrows = boxes_of(platform), arrows_of(platform)
    layout = _layout(boxes, arrows)
    width = layout.right + _MARGIN
    height = layout.bottom + 70
    root = ET.Element(
        "svg",
        xmlns="http://www.w3.org/2000/svg",
        role="img",
        width=f"{width:.0f}",
        height=f"{height:.0f}",
        viewBox=f"0 0 {width:.0f} {height:.0f}",
    )
    root.set("aria-labelledby", "title description")
    root.set("font-family", _FONT)
    _add(root, "title", title, id="title")
    _add(root, "desc", described(boxes, arrows), id="description")
    _add(root, "rect", width="100%", height="100%", fill="#ffffff")
    _text(root, Point(_MARGIN, 40), title, size=20, weight="bold")
    _text(root, Point(_MARGIN, 62), f"namespace {platform.namespace}, {when}", size=13)
    _bands(root, boxes, layout)
    _arrows(root, arrows, layout)
    for box in boxes:
        _box(root, box, layout.boxes[box.name])
    _legend(root, Point(_MARGIN, layout.bottom + 36))
    ET.indent(root)
    return ET.tostring(root, encoding="unicode") + "\n"


def _layout(boxes: Sequence[Box], arrows: Sequence[Arrow]) -> Layout:
    known = {box.name for box in boxes}
    links = [Link(arrow.source, arrow.target) for arrow in arrows]
    return Layout(
        rows=[
            Row(
                [box.name for box in row],
                height=2 * 10 + _LINE * (1 + max(len(box.lines) for box in row)),
            )
            for row in in_rows(boxes)
        ],
        links=[link for link in dict.fromkeys(links) if known.issuperset(link)],
        left=_MARGIN,
        top=_TITLE,
        label_width=_LABELS,
    )


def _bands(root: ET.Element, boxes: Sequence[Box], layout: Layout) -> None:
    labels = [row[0].row for row in in_rows(boxes)]
    for label, band in zip(labels, layout.bands, strict=True):
        place = _place(band)
        _add(root, "rect", rx="10", fill="#f8f9fb", stroke="#e3e6eb", **place)
        _text(root, Point(band.x + 14, band.y + band.height / 2 + 5), label, size=13, weight="bold")


def _box(root: ET.Element, box: Box, place: Rectangle) -> None:
    _, ground, edge = box.state.value
    group = _add(root, "g")
    _add(group, "title", box.said)
    dash = {"stroke-dasharray": "5 4"} if box.state is State.NEUTRAL else {}
    _add(
        group,
        "rect",
        rx="8",
        fill=ground,
        stroke=edge,
        **{"stroke-width": "1.5"},
        **_place(place),
        **dash,
    )
    room = place.width - 2 * BAND_PADDING
    corner = Point(place.x + BAND_PADDING, place.y + 10 + 14)
    _text(group, corner, _cut(box.name, room, 14), size=14, weight="bold")
    for index, line in enumerate(box.lines, start=1):
        _text(group, Point(corner.x, corner.y + index * _LINE), _cut(line, room, 12), size=12)
    if box.watched:
        right = Point(place.right - BAND_PADDING, corner.y + _LINE)
        _text(group, right, METRICS, size=11, colour="#3b4658", anchor="end", style="italic")


def _arrows(root: ET.Element, arrows: Sequence[Arrow], layout: Layout) -> None:
    """Each net whole before the next, so that the white edge of its lines parts those below."""
    for index, net in enumerate(layout.nets):
        colour = _LINES[index % len(_LINES)]
        links = layout.net_links(net)
        ways = [layout.way(link) for link in links]
        labels = sorted({a.label for a in arrows if Link(a.source, a.target) in links})
        for width, stroke in (("6", "#ffffff"), ("2", colour)):
            for way in ways:
                points = " ".join(f"{point.x:.1f},{point.y:.1f}" for point in way[:-1])
                _line(root, f"{points} {_short_of(way[-1], net)}", stroke, width)
        _head(root, ways[0][-1], net, colour)
        _net_label(root, ways[0][-1], net, colour, labels)


def _short_of(end: Point, net: Net) -> str:
    """Where the line ends so that the arrowhead covers it."""
    return f"{end.x:.1f},{end.y - 6 if net.downward else end.y + 6:.1f}"


def _head(root: ET.Element, tip: Point, net: Net, colour: str) -> None:
    base = tip.y - 9 if net.downward else tip.y + 9
    corners = (tip, Point(tip.x - 5, base), Point(tip.x + 5, base))
    _add(root, "polygon", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in corners), fill=colour)


def _net_label(root: ET.Element, tip: Point, net: Net, colour: str, labels: Sequence[str]) -> None:
    # To the side where no other line comes near: those that leave a box do so to the right.
    at = Point(tip.x + 9, tip.y - BAND_PADDING - 2)
    if not net.downward:
        at = Point(tip.x - 9, tip.y + BAND_PADDING + HEAD / 2)
    anchor = "start" if net.downward else "end"
    _text(root, at, " ".join(labels), size=11, colour=colour, anchor=anchor)


def _line(root: ET.Element, points: str, stroke: str, width: str) -> None:
    rest = {"stroke-width": width, "stroke-linejoin": "round"}
    _add(root, "polyline", points=points, fill="none", stroke=stroke, **rest)


def _legend(root: ET.Element, corner: Point) -> None:
    x = corner.x
    for state in State:
        name, ground, edge = state.value
        swatch = Rectangle(x, corner.y - 12, 18, 14)
        _add(root, "rect", rx="3", fill=ground, stroke=edge, **_place(swatch))
        _text(root, Point(x + 26, corner.y), name, size=12)
        x += 60 + 7 * len(name)
    note = "An arrow leads to whom a pod is told to talk; beside it, the variable that tells."
    _text(root, Point(corner.x, corner.y + 22), note, size=12)


def _place(rectangle: Rectangle) -> dict[str, str]:
    return {name: f"{value:.1f}" for name, value in rectangle._asdict().items()}


def _cut(text: str, room: float, size: float) -> str:
    """The text, or as much of it as surely fits."""
    most = int(room / (size * 0.62))
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _text(
    parent: ET.Element,
    at: Point,
    text: str,
    *,
    size: int,
    weight: str = "normal",
    style: str = "normal",
    colour: str = "#1b2430",
    anchor: str = "start",
) -> None:
    rest = {"font-size": str(size), "font-weight": weight, "font-style": style}
    place = {"x": f"{at.x:.1f}", "y": f"{at.y:.1f}", "text-anchor": anchor}
    _add(parent, "text", text, fill=colour, **rest, **place)


def _add(parent: ET.Element, tag: str, text: str | None = None, **attributes: str) -> ET.Element:
    element = ET.SubElement(parent, tag, attributes)
    element.text = text
    return element
