"""The picture as SVG: a crossbar. Scales are rows on the left of the mapping matrix, and columns below it."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from math import log
from typing import Final

import jinja2

from deqc.picture.scene import Box, Cell, Scene
from deqc.resources import folder
from deqc.version import __version__

CHARACTER: Final = 7.3  # of the font at 12 pixels
LINE: Final = 17.0
PAD: Final = 10.0
GAP: Final = 28.0
NAMED: Final = 5  # scales, up to which a cell shows its step; beyond, its shade shows how much it learns


@dataclass(frozen=True)
class Rectangle:
    """A box of a kind, which decides its colour; `shade` from 0 to 1 is that of a cell, `tip` shows under the mouse."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    shade: float = 1.0
    tip: str = ""


@dataclass(frozen=True)
class Label:
    """A line of text; `x` is its start, middle or end."""

    x: float
    y: float
    text: str
    kind: str = "step"
    anchor: str = "start"


@dataclass(frozen=True)
class Line:
    """A line through points, with an arrow head or without."""

    points: tuple[tuple[float, float], ...]
    kind: str = "edge"


@dataclass
class Drawing:
    """What has been drawn so far."""

    rectangles: list[Rectangle] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)

    def box(self, x: float, y: float, width: float, box: Box, kind: str, title: str | None = None) -> float:
        """A titled box; returns its height."""
        height = _height(box)
        self.rectangles.append(Rectangle(x, y, width, height, kind))
        self.labels.append(Label(x + PAD, y + LINE, title or box.name, "title"))
        for number, line in enumerate(box.lines):
            indent = CHARACTER * (len(line) - len(line.lstrip()))
            self.labels.append(Label(x + PAD + indent, y + LINE * (number + 2), line.lstrip()))
        return height


def svg(scene: Scene) -> str:
    """The picture."""
    drawing = Drawing()
    left = GAP
    top = GAP + 40
    once, once_bottom = _once(drawing, scene, left, top)
    frame = left + once + GAP
    right, bottom = _loop(drawing, scene, frame, top)
    width, head_bottom = _head(drawing, scene, right, top)
    height = max(once_bottom, bottom, head_bottom) + GAP
    drawing.labels.append(Label(GAP, GAP + 6, scene.name, "heading"))
    subtitle = f"solved by {scene.solver}, adjoint {scene.adjoint}"
    drawing.labels.append(Label(GAP, GAP + 24, subtitle, "note"))
    width = max(width, GAP * 2 + CHARACTER * len(subtitle))
    return _template().render(drawing=drawing, width=width, height=height, title=scene.name, version=__version__)


def _once(drawing: Drawing, scene: Scene, x: float, y: float) -> tuple[float, float]:
    """The column of what is computed once a solve; its width and its lower end."""
    boxes = [*scene.inputs, *scene.encoder]
    texts = [f"{name}  {shape}" for name, shape in scene.hoisted]
    inner = max([_width(box) for box in boxes] + [CHARACTER * len(one) + 2 * PAD for one in texts] + [150.0])
    bottom = y + 30
    for box in boxes:
        kind = "input" if box in scene.inputs else "layer"
        height = drawing.box(x + PAD, bottom, inner, box, kind)
        drawing.labels.append(Label(x + PAD + inner - PAD, bottom + LINE, box.shape, "shape", "end"))
        bottom += height + 12
    if texts:
        drawing.labels.append(Label(x + PAD, bottom + LINE, "hoisted out of the loop", "note"))
        bottom += LINE + 8
        for one in texts:
            drawing.rectangles.append(Rectangle(x + PAD, bottom, inner, LINE + 8, "hoisted"))
            drawing.labels.append(Label(x + 2 * PAD, bottom + LINE, one))
            bottom += LINE + 14
    drawing.rectangles.insert(0, Rectangle(x, y, inner + 2 * PAD, bottom - y, "frame"))
    drawing.labels.append(Label(x + PAD, y + 20, "once a solve", "section"))
    return inner + 2 * PAD, bottom


def _loop(drawing: Drawing, scene: Scene, x: float, y: float) -> tuple[float, float]:
    """The frame of the loop; its right and its lower end."""
    several = len(scene.states) > 1
    shapes = max(len(one) for one in scene.states)
    reading = max((len(f"{name} {shape}") for box in scene.main for name, shape in box.reads), default=0)
    state_x = x + GAP + 10
    state = CHARACTER * (shapes + 6) + PAD
    main_x = state_x + max(state, CHARACTER * reading - 10) + GAP
    main = max(max(_width(box) for box in scene.main), 120.0)
    hidden = CHARACTER * max(len(box.shape) for box in scene.main) + GAP
    grid_x = main_x + main + hidden
    cell = _cell_width(scene) if several else 0.0
    row_y = y + 40
    centers: list[float] = []
    for k, box in enumerate(scene.main):
        height = max(_height(box), 2 * LINE + 12)
        center = row_y + (LINE + 12) / 2
        centers.append(center)
        drawing.rectangles.append(Rectangle(state_x, row_y, state, LINE + 12, "state"))
        name = f"z_{k}" if several else "z"
        drawing.labels.append(Label(state_x + PAD, row_y + LINE + 2, f"{name}  {scene.states[k]}", "title"))
        drawing.lines.append(Line(((state_x + state, center), (main_x, center))))
        drawing.box(main_x, row_y, main, box, "layer", box.name)
        for number, (name, shape) in enumerate(box.reads):
            place = row_y + LINE + 26 + number * LINE
            drawing.lines.append(Line(((x - GAP, place), (main_x, place)), "injected"))
            drawing.labels.append(Label(main_x - 8, place - 4, f"{name} {shape}", "shape", "end"))
            height = max(height, place + 8 - row_y)
        row_y += height + 12
    row_bottom = row_y
    right, bottom = (
        _crossbar(drawing, scene, main_x + main, grid_x, cell, centers, row_bottom)
        if several
        else _single(drawing, scene, main_x + main, grid_x, centers[0], row_bottom)
    )
    back = bottom + 22
    spine = x + 16
    ends, lowest = (_sums(scene, grid_x, cell), bottom) if several else ([grid_x], row_bottom)
    drawing.lines.append(Line(((ends[-1], back), (spine, back), (spine, centers[0])), "back"))
    drawing.lines += [Line(((end, lowest), (end, back)), "back") for end in ends]
    for center in centers:
        drawing.lines.append(Line(((spine, center), (state_x, center)), "again"))
    drawing.labels.append(Label(spine + PAD, back - 6, "again, until z = f(z)", "note"))
    drawing.rectangles.insert(0, Rectangle(x, y, right - x, back + 14 - y, "loop"))
    drawing.labels.append(Label(x + PAD, y + 20, "in the loop: one call of f", "section"))
    return right, back + 14


def _single(
    drawing: Drawing, scene: Scene, start: float, end: float, center: float, bottom: float
) -> tuple[float, float]:
    """One scale: what the main layer returns is the next state."""
    drawing.lines.append(Line(((start, center), (end, center), (end, bottom)), "plain"))
    drawing.labels.append(Label(start + 8, center - 5, scene.main[0].shape, "shape"))
    return end + GAP, bottom


def _crossbar(
    drawing: Drawing, scene: Scene, start: float, x: float, cell: float, centers: list[float], bottom: float
) -> tuple[float, float]:
    """The mapping matrix: rows come from the main layers, columns go down to the next state."""
    count = len(scene.states)
    middles = _sums(scene, x, cell)
    below = bottom + 6
    for k, center in enumerate(centers):
        drawing.lines.append(Line(((start, center), (middles[-1], center)), "row"))
        drawing.labels.append(Label(start + 8, center - 5, scene.main[k].shape, "shape"))
    for middle in middles:
        drawing.lines.append(Line(((middle, centers[0]), (middle, below)), "column"))
    most = max((entry.parameters for row in scene.matrix for entry in row), default=0)
    for i, (row, center) in enumerate(zip(scene.matrix, centers, strict=True)):
        for j, (entry, middle) in enumerate(zip(row, middles, strict=True)):
            tip = f"from {i} to {j}: {entry.text}, {scene.main[i].shape} to {scene.states[j]}"
            _entry(drawing, entry, tip, middle, center, cell, count <= NAMED, most)
    lowest = below
    for k, (box, middle) in enumerate(zip(scene.post, middles, strict=True)):
        width = cell - 8
        narrow = Box(box.name, tuple(_fitted(line, width - 2 * PAD) for line in box.lines), box.shape)
        if count <= NAMED:
            height = drawing.box(middle - width / 2, below, width, narrow, "sum", f"Σ → z_{k}")
            drawing.labels.append(Label(middle + 6, below + height + LINE - 2, box.shape, "shape"))
        else:
            height = LINE + 8
            drawing.rectangles.append(Rectangle(middle - width / 2, below, width, height, "sum"))
            drawing.labels.append(Label(middle, below + LINE, f"{k}", "title", "middle"))
        lowest = max(lowest, below + height)
    if count > NAMED:
        drawing.labels.append(Label(x, below + LINE, "Σ → z", "note", "end"))
        note = f"shade: numbers learned, up to {most}; ◇ identity; no mark, no connection"
        drawing.labels.append(Label(x, centers[0] - 22, note, "note"))
    right = max(x + cell * count, x + (CHARACTER * 50 if count > NAMED else 0)) + GAP
    return right, lowest


def _sums(scene: Scene, x: float, cell: float) -> list[float]:
    """Where the columns of the matrix go down."""
    return [x + cell * (k + 0.5) for k in range(len(scene.states))]


def _entry(drawing: Drawing, entry: Cell, tip: str, x: float, y: float, cell: float, named: bool, most: int) -> None:
    half = min(cell / 2 - 3, 60.0) if named else 8.0
    if entry.identity:
        drawing.rectangles.append(Rectangle(x - 6, y - 6, 12, 12, "identity", tip=tip))
    elif entry.text:
        shade = 0.25 + 0.75 * (log(1 + entry.parameters) / log(1 + most) if most else 1.0)
        drawing.rectangles.append(Rectangle(x - half, y - 11, 2 * half, 22, "mapping", 1.0 if named else shade, tip))
        if named:
            drawing.labels.append(Label(x, y + 4, _fitted(entry.text, 2 * half), "step", "middle"))


def _head(drawing: Drawing, scene: Scene, x: float, y: float) -> tuple[float, float]:
    """What is made of the solution; the right and the lower end of the picture."""
    if not scene.head:
        return x + GAP, y
    place = y + 30
    width = max(_width(box) for box in scene.head)
    left = x + GAP * 2
    for box in scene.head:
        drawing.lines.append(Line(((x, place + 14), (left, place + 14))))
        drawing.labels.append(Label(x + 8, place + 9, "z*", "shape"))
        height = drawing.box(left, place, width, box, "layer", box.name)
        drawing.labels.append(Label(left + width - PAD, place + LINE, box.shape, "shape", "end"))
        place += height + 12
    return left + width + GAP, place


def _cell_width(scene: Scene) -> float:
    """The width of a column of the matrix."""
    if len(scene.states) > NAMED:
        return 28.0
    longest = max(len(entry.text) for row in scene.matrix for entry in row)
    below = max((len(line) for box in scene.post for line in box.lines), default=0)
    return CHARACTER * min(max(longest, below + 3, 9), 16) + 16


def _width(box: Box) -> float:
    title = len(box.name) + len(box.shape) + 3
    return CHARACTER * max([title, *map(len, box.lines)]) + 2 * PAD


def _height(box: Box) -> float:
    return LINE * (1 + len(box.lines)) + 12


def _fitted(text: str, width: float) -> str:
    most = max(3, int(width / CHARACTER))
    return text if len(text) <= most else text[: most - 1] + "…"


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder("templates")),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["number"] = lambda value: f"{value:.1f}".removesuffix(".0")
    return environment.get_template("picture.svg.jinja")
