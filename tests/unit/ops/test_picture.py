"""The picture of a platform: that nothing lies on anything else, and that it says what runs."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations, pairwise
from xml.etree import ElementTree as ET

import pytest

from ado_infra.ops.platform import picture
from ado_infra.ops.platform.boxes import State, arrows_of, boxes_of
from ado_infra.ops.platform.connections import Monitor, Need, Route
from ado_infra.ops.platform.layout import Layout, Link, Point, Rectangle, Row
from ado_infra.ops.platform.scaling import Autoscaler
from ado_infra.ops.platform.tiers import Claims, Platform, Tier

SVG = "{http://www.w3.org/2000/svg}"
TIMES = "\N{MULTIPLICATION SIGN}"
OUTSIDE = "s3.example.com"
TARGETS = {
    "DATABASE_URL": "postgresql",
    "REDIS_URL": "redis",
    "CONTROLLER_URL": "ado-orchestrator",
    "S3_ENDPOINT": OUTSIDE,
}


def tier(
    name: str,
    component: str,
    *needs: str,
    ready: int = 2,
    kind: str = "Deployment",
    autoscaler: Autoscaler | None = None,
    claims: tuple[Claims, ...] = (),
) -> Tier:
    return Tier(
        name=name,
        kind=kind,
        component=component,
        ready=ready,
        wanted=2,
        version="1.4.2",
        settled=ready == 2,
        reason="" if ready == 2 else f"{ready} of 2 pods Ready. w-1: <Unschedulable> & tired",
        services={},
        autoscaler=autoscaler,
        claims=claims,
        needs=tuple(
            Need(variable=need, target=TARGETS[need], inside=TARGETS[need] != OUTSIDE)
            for need in needs
        ),
    )


def platform(pools: int = 1) -> Platform:
    worker = ("REDIS_URL", "CONTROLLER_URL", "S3_ENDPOINT")
    bounds = Autoscaler(minimum=3, maximum=50, metrics=())
    held = (Claims(count=2, size="20Gi", phase="Bound"),)
    return Platform(
        namespace="ado-system",
        tiers=[
            tier("ado-api-gateway", "api-gateway", "DATABASE_URL", "REDIS_URL"),
            tier("ado-dashboard", "dashboard", ready=0),
            tier("ado-orchestrator", "orchestrator", *list(TARGETS)[:2], "S3_ENDPOINT", ready=1),
            tier("ado-worker", "worker", *worker, autoscaler=bounds),
            *(tier(f"ado-worker-{number}", "worker", *worker) for number in range(1, pools)),
            tier("postgresql", "postgresql", kind="StatefulSet", claims=held),
            tier("redis", "redis", kind="StatefulSet"),
            tier("ado-migrations-1a2b", "migrations", "DATABASE_URL", kind="Job"),
        ],
        routes=[
            Route(ingress="ado-ingress", host="ado.localhost", path=path, target=target)
            for path, target in (
                ("/api", "ado-api-gateway"),
                ("/ws", "ado-api-gateway"),
                ("/", "ado-dashboard"),
            )
        ],
        monitors=[Monitor(name="ado-metrics", interval="30s", targets=("ado-worker",))],
    )


def drawn(pools: int = 1) -> ET.Element:
    text = picture.svg(platform(pools), "ADO platform, stack dev", "2026-03-01 12:00 UTC")
    return ET.fromstring(text)  # noqa: S314 - our own


def texts(root: ET.Element) -> set[str]:
    return {element.text or "" for element in root.iter(f"{SVG}text")}


def layout_of(pools: int) -> Layout:
    seen = platform(pools)
    return picture._layout(boxes_of(seen), arrows_of(seen))


def overlap(one: Rectangle, other: Rectangle) -> bool:
    return (
        one.x < other.right
        and other.x < one.right
        and one.y < other.bottom
        and other.y < one.bottom
    )


def touches(start: Point, end: Point, box: Rectangle) -> bool:
    """Whether a piece of a way goes through a box, its edge apart."""
    left, right = sorted((start.x, end.x))
    top, bottom = sorted((start.y, end.y))
    return left < box.right and right > box.x and top < box.bottom and bottom > box.y


@pytest.mark.parametrize("pools", [1, 2, 4, 7])
def test_no_box_lies_on_another(pools: int) -> None:
    layout = layout_of(pools)
    assert len(layout.boxes) == 8 + pools
    assert not [
        pair for pair in combinations(layout.boxes.items(), 2) if overlap(pair[0][1], pair[1][1])
    ]
    for box in layout.boxes.values():
        assert any(
            band.x + layout.label_width <= box.x
            and box.right <= band.right
            and band.y <= box.y
            and box.bottom <= band.bottom
            for band in layout.bands
        )


@pytest.mark.parametrize("pools", [1, 2, 4, 7])
def test_every_arrow_goes_at_right_angles_from_edge_to_edge_through_no_box(pools: int) -> None:
    layout = layout_of(pools)
    assert layout.links
    for link in layout.links:
        way = layout.way(link)
        for name, end in ((link.source, way[0]), (link.target, way[-1])):
            box = layout.boxes[name]
            assert end.y in {box.y, box.bottom}
            assert box.x < end.x < box.right
        for start, end in pairwise(way):
            assert start.x == end.x or start.y == end.y
            assert not [name for name, box in layout.boxes.items() if touches(start, end, box)]
            assert max(start.x, end.x) < layout.right
            assert max(start.y, end.y) <= layout.bottom


@pytest.mark.parametrize("pools", [1, 2, 4, 7])
def test_arrows_to_different_boxes_never_run_on_one_line(pools: int) -> None:
    layout = layout_of(pools)
    pieces = [
        (link.target, sorted((start, end)))
        for link in layout.links
        for start, end in pairwise(layout.way(link))
        if start != end
    ]
    for (one, (a, b)), (other, (c, d)) in combinations(pieces, 2):
        if one != other:
            for along, across in ((0, 1), (1, 0)):
                on_one_line = a[across] == b[across] == c[across] == d[across]
                assert not (on_one_line and a[along] <= d[along] and c[along] <= b[along])


def test_a_way_within_a_row_goes_below_it() -> None:
    layout = Layout([Row(["a", "b"], 50)], [Link("a", "b")], left=0, top=0, label_width=0)
    way = layout.way(Link("a", "b"))
    assert way[0].y == way[-1].y == layout.boxes["a"].bottom
    assert way[1].y == way[2].y > way[0].y


def test_boxes_are_in_the_order_of_the_picture() -> None:
    rows = list(dict.fromkeys(box.row for box in boxes_of(platform())))
    assert rows == ["Edge", "Applications", "Orchestration", "Workers", "Data", "Monitoring"]


def test_a_box_says_what_runs_and_how() -> None:
    boxes = {box.name: box for box in boxes_of(platform())}
    assert boxes["ado-worker"].lines == ["2/2 Ready", "version 1.4.2", "autoscaled 3 to 50"]
    assert boxes["postgresql"].lines[-1] == f"2 {TIMES} 20Gi Bound"
    assert [boxes[f"ado-{name}"].state for name in ("worker", "orchestrator", "dashboard")] == [
        State.READY,
        State.PARTLY,
        State.DOWN,
    ]
    assert [name for name, box in boxes.items() if box.watched] == ["ado-worker"]
    assert OUTSIDE in boxes["Object storage"].lines
    assert "ado.localhost" in boxes["ado-ingress"].lines
    assert "ado-migrations-1a2b" not in boxes


def test_an_arrow_for_everything_that_a_running_tier_is_given() -> None:
    arrows = {(arrow.source, arrow.target): arrow.label for arrow in arrows_of(platform())}
    assert arrows["ado-ingress", "ado-api-gateway"] == "/api /ws"
    assert arrows["ado-worker", "ado-orchestrator"] == "CONTROLLER_URL"
    assert arrows["ado-worker", "Object storage"] == "S3_ENDPOINT"
    assert sources(arrows, "postgresql") == {"ado-api-gateway", "ado-orchestrator"}


def sources(arrows: Iterable[tuple[str, str]], target: str) -> set[str]:
    return {source for source, aimed in arrows if aimed == target}


def test_a_platform_of_two_tiers_can_be_drawn() -> None:
    seen = Platform(namespace="n", tiers=platform().tiers[:2], routes=(), monitors=())
    root = ET.fromstring(picture.svg(seen, "", ""))  # noqa: S314 - our own
    assert {"ado-api-gateway", "ado-dashboard"} <= texts(root)


def test_the_picture_can_be_read_out() -> None:
    root = drawn()
    title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert title is not None
    assert description is not None
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
    assert title.text == "ADO platform, stack dev"
    said = description.text or ""
    assert f"StatefulSet postgresql, 2/2 Ready, version 1.4.2, 2 {TIMES} 20Gi Bound." in said
    assert "w-1: <Unschedulable> & tired" in said
    assert "ado-worker talks to ado-orchestrator (CONTROLLER_URL)." in said


def test_what_is_written_is_text() -> None:
    written = texts(drawn())
    assert {"ado-worker", "autoscaled 3 to 50", "REDIS_URL", "/api /ws", "Data"} <= written
    assert not list(drawn().iter(f"{SVG}path"))


def test_a_name_too_long_for_its_box_is_cut() -> None:
    long = f"ado-worker-{'x' * 60}"
    seen = Platform(namespace="n", tiers=[tier(long, "worker")], routes=(), monitors=())
    root = ET.fromstring(picture.svg(seen, "", ""))  # noqa: S314 - our own
    assert long not in texts(root)
    assert any(text.startswith("ado-worker-xx") and text.endswith("…") for text in texts(root))
    assert long in ET.tostring(root, encoding="unicode")  # where one points at it
