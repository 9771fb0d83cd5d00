"""Boxes in rows, and right-angled ways between them that touch no box: geometry alone.

All ways to one box are one line that others join. A way leaves its box into the gap below or
above the row, runs there on a track, and where rows lie in between, goes past them on a lane to
the right of all boxes. Lengths are pixels, y grows downwards.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

BOX_WIDTH: Final = 240.0
BETWEEN_BOXES: Final = 32.0
BAND_PADDING: Final = 12.0
"""Between a row's boxes and the edge of its band."""
TRACK: Final = 12.0
"""Between two lines that run side by side."""
HEAD: Final = 30.0
"""Room in a gap for arrowheads and what is written beside them."""
EMPTY_GAP: Final = 20.0
"""Between two rows when no way runs between them."""


class Point(NamedTuple):
    """A place in the picture."""

    x: float
    y: float


class Rectangle(NamedTuple):
    """A box or a band."""

    x: float
    y: float
    width: float
    height: float

    @property
    def bottom(self) -> float:
        """Its lower edge."""
        return self.y + self.height

    @property
    def right(self) -> float:
        """Its right edge."""
        return self.x + self.width


@dataclass(frozen=True)
class Row:
    """Boxes side by side, by their names."""

    boxes: Sequence[str]
    height: float
    """Of each of its boxes."""


class Link(NamedTuple):
    """An arrow that is wanted."""

    source: str
    target: str


class Net(NamedTuple):
    """All the ways that enter a box from one side."""

    target: str
    downward: bool


@dataclass(frozen=True)
class Layout:
    """Where everything lies. `left`, `top`: the corner of the first row's band."""

    rows: Sequence[Row]
    links: Sequence[Link]
    left: float
    top: float
    label_width: float
    """Room at the left of every band."""

    @cached_property
    def boxes(self) -> Mapping[str, Rectangle]:
        """Every box, the rows centred above each other."""
        return {
            name: Rectangle(
                self._centre - _width(row) / 2 + column * (BOX_WIDTH + BETWEEN_BOXES),
                band.y + BAND_PADDING,
                BOX_WIDTH,
                row.height,
            )
            for row, band in zip(self.rows, self.bands, strict=True)
            for column, name in enumerate(row.boxes)
        }

    @cached_property
    def bands(self) -> Sequence[Rectangle]:
        """The ground of every row; the gaps lie between them."""
        width = self.label_width + max(map(_width, self.rows)) + 2 * BAND_PADDING
        bands: list[Rectangle] = []
        y = self.top
        for index, row in enumerate(self.rows):
            bands.append(Rectangle(self.left, y, width, row.height + 2 * BAND_PADDING))
            y = bands[-1].bottom + self._gap_height(index)
        return bands

    @property
    def right(self) -> float:
        """Where the outermost lane is, or the bands end."""
        return self.bands[0].right + TRACK * (len(self._lanes) + 1 if self._lanes else 0)

    @property
    def bottom(self) -> float:
        """Where the last band ends, and the tracks below it."""
        return self.bands[-1].bottom + (HEAD if self._tracks[len(self.rows) - 1] else 0)

    def way(self, link: Link) -> list[Point]:
        """The corners of an arrow, from the source's edge to the target's."""
        net = self._net(link)
        first, last = self._gaps(link)
        leaves = self._port(link.source, net, below=first == self._row[link.source])
        enters = self._port(link.target, net, below=not net.downward)
        here, there = self._track_y(first, net), self._track_y(last, net)
        middle = [Point(leaves.x, here), Point(enters.x, there)]
        if first != last:
            lane = self.bands[0].right + TRACK * (self._lanes.index(net) + 1)
            middle[1:1] = [Point(lane, here), Point(lane, there)]
        return [leaves, *middle, enters]

    @cached_property
    def nets(self) -> Sequence[Net]:
        """Without repetition, in the order of the links."""
        return list(dict.fromkeys(map(self._net, self.links)))

    def net_links(self, net: Net) -> list[Link]:
        """The links that a net is made of."""
        return [link for link in self.links if self._net(link) == net]

    @cached_property
    def _row(self) -> Mapping[str, int]:
        return {name: index for index, row in enumerate(self.rows) for name in row.boxes}

    @cached_property
    def _across(self) -> Mapping[str, float]:
        """How far right the centre of each box lies, as a distance from the middle."""
        return {
            name: (column - (len(row.boxes) - 1) / 2) * (BOX_WIDTH + BETWEEN_BOXES)
            for row in self.rows
            for column, name in enumerate(row.boxes)
        }

    @property
    def _centre(self) -> float:
        return self.left + self.label_width + BAND_PADDING + max(map(_width, self.rows)) / 2

    def _net(self, link: Link) -> Net:
        return Net(link.target, self._row[link.source] < self._row[link.target])

    def _gaps(self, link: Link) -> tuple[int, int]:
        """The gap into which an arrow leaves, and that from which it enters.

        Gap n is below row n. Within a row the way is below it.
        """
        source, target = self._row[link.source], self._row[link.target]
        if source < target:
            return source, target - 1
        return max(source - 1, target), target

    @cached_property
    def _lanes(self) -> Sequence[Net]:
        """The nets that go past rows; who goes farthest left at the end is innermost."""
        nets = {self._net(link) for link in self.links if len({*self._gaps(link)}) > 1}
        return sorted(nets, key=lambda net: (self._across[net.target], net))

    @cached_property
    def _tracks(self) -> Mapping[int, Sequence[Net]]:
        """The nets that run in each gap, from top to bottom, so that few of them cross."""
        used: dict[int, set[Net]] = defaultdict(set)
        ends: set[tuple[int, Net]] = set()
        for link in self.links:
            first, last = self._gaps(link)
            used[first].add(self._net(link))
            used[last].add(self._net(link))
            ends.add((last, self._net(link)))

        def order(gap: int, net: Net) -> tuple[bool, bool, float, Net]:
            across = self._across[net.target]
            entering = (gap, net) in ends
            return not net.downward, entering, across if entering else -across, net

        tracks = {gap: sorted(nets, key=lambda net: order(gap, net)) for gap, nets in used.items()}
        return defaultdict(list, tracks)

    def _gap_height(self, gap: int) -> float:
        tracks = len(self._tracks[gap])
        return 2 * HEAD + TRACK * (tracks - 1) if tracks else EMPTY_GAP

    def _track_y(self, gap: int, net: Net) -> float:
        return self.bands[gap].bottom + HEAD + TRACK * self._tracks[gap].index(net)

    def _port(self, box: str, net: Net, *, below: bool) -> Point:
        """Where a net touches a box: the ports of a side are spread evenly."""
        ports = self._ports[box, below]
        place = self.boxes[box]
        x = place.x + place.width * (ports.index(net) + 1) / (len(ports) + 1)
        return Point(round(x), place.bottom if below else place.y)

    @cached_property
    def _ports(self) -> Mapping[tuple[str, bool], Sequence[Net]]:
        """The nets at the lower (True) and upper side of each box, from left to right."""
        sides: dict[tuple[str, bool], dict[Net, float]] = defaultdict(dict)
        for net in self.nets:
            links = self.net_links(net)
            straight = [link for link in links if len({*self._gaps(link)}) == 1]
            for link in links:
                below = self._gaps(link)[0] == self._row[link.source]
                aim = self._across[net.target]
                # Lanes are to the right of everything.
                sides[link.source, below][net] = aim if link in straight else aim + 1e6
            from_where = [self._across[link.source] for link in straight]
            sides[net.target, not net.downward][net] = _mean(from_where, otherwise=1e6)
        return {side: sorted(nets, key=lambda net: nets[net]) for side, nets in sides.items()}


def _width(row: Row) -> float:
    return len(row.boxes) * (BOX_WIDTH + BETWEEN_BOXES) - BETWEEN_BOXES


def _mean(values: Iterable[float], otherwise: float) -> float:
    listed = list(values)
    return sum(listed) / len(listed) if listed else otherwise
