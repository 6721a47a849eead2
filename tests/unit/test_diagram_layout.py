from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from faberdb.diagram.layout import Layout, lay_out
from faberdb.diagram.stations import Box, Wire


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[Box], list[Wire]]:
    size = st.integers(min_value=40, max_value=400)
    count = draw(st.integers(min_value=1, max_value=24))
    boxes = [Box(name=f"t{n}", width=draw(size), height=draw(size)) for n in range(count)]
    wires = []
    for _ in range(draw(st.integers(min_value=0, max_value=50))):
        tail, head = draw(st.sampled_from(boxes)), draw(st.sampled_from(boxes))
        rows = st.integers(min_value=1, max_value=9)
        tail_y, head_y = (b.height * draw(rows) / 10 for b in (tail, head))
        wires.append(Wire(tail=tail.name, tail_y=tail_y, head=head.name, head_y=head_y))
    return boxes, wires


def rectangles(boxes: list[Box], layout: Layout) -> dict[str, tuple[float, float, float, float]]:
    return {
        b.name: (x, y, x + layout.widths[b.name], y + b.height)
        for b in boxes
        for x, y in (layout.corners[b.name],)
    }


def overlaps(a: tuple[float, ...], b: tuple[float, ...], *, room: float = 0.0) -> bool:
    return a[0] < b[2] + room and b[0] < a[2] + room and a[1] < b[3] + room and b[1] < a[3] + room


def pieces(way: tuple[tuple[float, float], ...]) -> Iterator[tuple[float, float, float, float]]:
    for (a, b), (c, d) in pairwise(way):
        yield min(a, c), min(b, d), max(a, c), max(b, d)


@settings(max_examples=120, deadline=None, database=None)
@given(graphs())
def test_no_two_boxes_overlap_or_touch(graph: tuple[list[Box], list[Wire]]) -> None:
    boxes, wires = graph
    layout = lay_out(boxes, wires)
    placed = rectangles(boxes, layout)
    assert placed.keys() == {b.name for b in boxes}
    for (one, a), (other, b) in combinations(placed.items(), 2):
        assert not overlaps(a, b, room=10), (one, other)
    assert all(
        a >= -0.01 and b >= -0.01 and c <= layout.width + 0.01 and d <= layout.height + 0.01
        for a, b, c, d in placed.values()
    )


@settings(max_examples=120, deadline=None, database=None)
@given(graphs())
def test_no_wire_crosses_a_box_and_each_ends_at_its_rows(graph: tuple[list[Box], list[Wire]]) -> None:
    boxes, wires = graph
    layout = lay_out(boxes, wires)
    placed = rectangles(boxes, layout)
    for wire, way in zip(wires, layout.ways, strict=True):
        for name, port, (x, y) in ((wire.tail, wire.tail_y, way[0]), (wire.head, wire.head_y, way[-1])):
            left, top, right, _ = placed[name]
            assert abs(y - top - port) < 0.01
            assert min(abs(x - left), abs(x - right)) < 0.01
        for piece in pieces(way):
            for name, (a, b, c, d) in placed.items():
                inside = (a + 0.5, b + 0.5, c - 0.5, d - 0.5)
                assert not overlaps(piece, inside), (wire, name)


@settings(max_examples=30, deadline=None, database=None)
@given(graphs())
def test_the_same_graph_gives_the_same_drawing(graph: tuple[list[Box], list[Wire]]) -> None:
    assert lay_out(*graph) == lay_out(*graph)


def test_a_table_that_all_refer_to_does_not_make_one_endless_column() -> None:
    boxes = [Box(name=f"t{n}", width=200, height=150) for n in range(60)]
    wires = [Wire(tail="t0", tail_y=30, head=b.name, head_y=60) for b in boxes[1:]]
    layout = lay_out(boxes, wires)
    assert 0.5 < layout.width / layout.height < 3
