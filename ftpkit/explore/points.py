"""A pad on which points of two classes are moved, added, relabelled and deleted, by mouse and by keys."""

from fractions import Fraction
from math import isfinite

import anywidget
import traitlets as T

LIMIT, MOST, GRID = 2, 40, 20  # coordinates from -LIMIT to LIMIT, multiples of 1 / GRID; at most MOST points

_CSS = """
.ftpkit-pad { color: var(--jp-ui-font-color1, #222); max-width: 322px; font-size: var(--jp-ui-font-size1, 13px); }
.ftpkit-pad svg { background: white; border: 1px solid #767676; touch-action: none; cursor: crosshair; }
.ftpkit-pad .mark { cursor: grab; outline: none; }
.ftpkit-pad .halo { fill: none; stroke: none; stroke-width: 0.035; }
.ftpkit-pad .mark[tabindex="0"] .halo { stroke: #0072B2; stroke-dasharray: 0.06; }
.ftpkit-pad .mark:focus .halo { stroke-dasharray: none; stroke-width: 0.06; }
.ftpkit-pad text { font: bold 0.13px sans-serif; text-anchor: middle; pointer-events: none; user-select: none; }
.ftpkit-pad p { margin: 2px 0; line-height: 1.3; }
.ftpkit-pad button { margin: 2px 3px 2px 0; padding: 0 8px; }
"""

_ESM = """
const HELP = `Drag a point to move it; click on free ground to add one; double-click a point to change its class.
  Keys: Tab leads to the chosen point, [ and ] to the one before and after. Arrow keys move it by 0.1, with Shift
  by 0.5; Space changes its class, A adds a point, Delete takes it away.`;
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
const SIZE = 0.115; // of a mark, in units of the plane

const made = (parent, tag, attributes = {}, space = "http://www.w3.org/2000/svg") => {
  const element = document.createElementNS(space, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return parent.appendChild(element);
};
const html = (parent, tag, text, attributes = {}) => {
  const element = made(parent, tag, attributes, "http://www.w3.org/1999/xhtml");
  element.textContent = text;
  return element;
};

export default {
  render({ model, el }) {
    const [limit, most, grid] = ["limit", "most", "grid"].map((name) => model.get(name));
    const edge = limit + 0.2;
    const snap = (v) => Math.round(Math.min(Math.max(v, -limit), limit) * grid) / grid + 0; // never -0
    const pad = html(el, "div", "", { class: "ftpkit-pad" });
    const helpId = `ftpkit-pad-${Math.random().toString(36).slice(2)}`;
    const named = { role: "group", "aria-label": model.get("description"), "aria-describedby": helpId };
    const plane = made(pad, "svg", { viewBox: [-edge, -edge, 2 * edge, 2 * edge].join(" "), width: 320, ...named });
    const beneath = made(plane, "g", { "aria-hidden": "true" });
    const above = made(plane, "g");
    const marks = [];
    let chosen = 0, dragged = null, moved = false, tapped = null;

    const points = () => model.get("points");
    const nameOf = (i) => {
      const [x, y, t] = points()[i];
      return `point ${i + 1} of ${points().length}, class ${t > 0 ? "+1" : "-1"}, at ${x}, ${y}`;
    };
    const say = (text) => { said.textContent = text; };
    const keep = (changed) => {
      model.set("points", changed);
      model.save_changes();
      draw();
    };
    const choose = (i) => {
      chosen = i;
      draw();
      (marks[chosen] ?? add).focus();
    };

    const place = (i, x, y) => keep(points().map((p, k) => (k === i ? [snap(x), snap(y), p[2]] : p)));
    const relabel = (i) => {
      if (!points().length) return say("There is no point yet.");
      keep(points().map((p, k) => (k === i ? [p[0], p[1], -p[2]] : p)));
      say(nameOf(i));
    };
    const remove = (i) => {
      if (!points().length) return say("There is no point yet.");
      keep(points().filter((_, k) => k !== i));
      choose(Math.min(i, points().length - 1));
      say(`point ${i + 1} is gone, ${points().length} left`);
    };
    const append = (x, y) => {
      if (points().length >= most) return say(`${most} points are the most.`);
      keep([...points(), [snap(x), snap(y), points()[chosen]?.[2] ?? 1]]);
      choose(points().length - 1);
      say(nameOf(chosen));
    };
    const beside = () => {
      const [x, y] = points()[chosen] ?? [-0.3, 0];
      append(x + 0.3 > limit ? x - 0.3 : x + 0.3, y);
    };

    const button = (text, act) => {
      const pressed = html(pad, "button", text, { class: "jupyter-button", type: "button" });
      pressed.addEventListener("click", act);
      return pressed;
    };
    const add = button("Add a point", beside);
    button("Change class", () => relabel(chosen));
    button("Delete point", () => remove(chosen));
    const said = html(pad, "p", "", { role: "status" });
    html(pad, "p", HELP, { id: helpId });

    const drawLines = () => {
      beneath.replaceChildren();
      for (let v = -limit; v <= limit; v++) {
        const look = { stroke: v ? "#e5e5e5" : "#bbb", "stroke-width": 0.012 };
        made(beneath, "line", { x1: v, x2: v, y1: -limit, y2: limit, ...look });
        made(beneath, "line", { y1: v, y2: v, x1: -limit, x2: limit, ...look });
      }
      for (const { weights: [a, b, c], color, dash, shade } of model.get("lines")) {
        const size = Math.hypot(a, b);
        const [n1, n2] = [a / size, -b / size]; // upwards is minus
        const [x, y, far] = [(-c / size) * n1, (-c / size) * n2, 4 * limit];
        const ends = [x - far * n2, y + far * n1, x + far * n2, y - far * n1];
        if (shade) {
          const corners = [...ends, ends[2] + far * n1, ends[3] + far * n2, ends[0] + far * n1, ends[1] + far * n2];
          made(beneath, "polygon", { points: corners.join(" "), fill: "#000", "fill-opacity": 0.1 });
        }
        const look = { stroke: color, "stroke-width": 0.03, "stroke-dasharray": dash };
        made(beneath, "line", { x1: ends[0], y1: ends[1], x2: ends[2], y2: ends[3], ...look });
      }
    };
    const draw = () => {
      chosen = Math.max(0, Math.min(chosen, points().length - 1));
      while (marks.length > points().length) marks.pop().remove();
      while (marks.length < points().length) {
        const own = { "data-lm-suppress-shortcuts": "true" }; // or the notebook takes A for a new cell
        const mark = made(above, "g", { class: "mark", role: "button", ...own });
        made(mark, "circle", { class: "halo", r: 1.8 * SIZE });
        made(mark, "circle", { class: "plus", r: SIZE, stroke: "black", "stroke-width": 0.02 });
        const square = { x: -SIZE, y: -SIZE, width: 2 * SIZE, height: 2 * SIZE };
        made(mark, "rect", { ...square, fill: "white", "fill-opacity": 0.75, stroke: "black", "stroke-width": 0.03 });
        made(mark, "text", { y: 0.045, "aria-hidden": "true" });
        marks.push(mark);
      }
      points().forEach(([x, y, t], i) => {
        const [, disc, square, number] = marks[i].children;
        marks[i].setAttribute("transform", `translate(${x} ${-y})`);
        marks[i].setAttribute("aria-label", nameOf(i));
        marks[i].setAttribute("tabindex", i === chosen ? 0 : -1);
        disc.style.display = t > 0 ? "" : "none";
        square.style.display = t > 0 ? "none" : "";
        number.textContent = i + 1;
        number.setAttribute("fill", t > 0 ? "white" : "black");
      });
    };

    const at = (event) => {
      const spot = new DOMPoint(event.clientX, event.clientY).matrixTransform(plane.getScreenCTM().inverse());
      return [spot.x, -spot.y];
    };
    plane.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      event.preventDefault(); // no text is marked, and the focus stays where it is put
      event.stopPropagation();
      const i = marks.indexOf(event.target.closest(".mark"));
      if (i < 0) {
        tapped = null;
        return append(...at(event));
      }
      [dragged, moved] = [i, false];
      plane.setPointerCapture(event.pointerId);
      choose(i);
    });
    plane.addEventListener("pointermove", (event) => {
      if (dragged === null || !points()[dragged]) return;
      const [x, y] = at(event).map(snap);
      const [was, were] = points()[dragged];
      if (x === was && y === were) return;
      moved = true;
      place(dragged, x, y);
    });
    plane.addEventListener("pointerup", (event) => {
      if (dragged === null || !points()[dragged]) return;
      const again = tapped && tapped.i === dragged && event.timeStamp - tapped.time < 450;
      if (moved) say(nameOf(dragged));
      else if (again) relabel(dragged);
      tapped = moved || again ? null : { i: dragged, time: event.timeStamp };
      dragged = null;
    });
    plane.addEventListener("pointercancel", () => { dragged = null; });
    plane.addEventListener("mousedown", (event) => event.preventDefault());

    plane.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const [key, n, by] = [event.key.toLowerCase(), points().length, event.shiftKey ? 0.5 : 0.1];
      const goes = { "]": chosen + 1, pagedown: chosen + 1, "[": chosen - 1, pageup: chosen - 1, home: 0, end: n - 1 };
      if (MOVES[event.key]) {
        const [x, y] = points()[chosen];
        place(chosen, x + by * MOVES[event.key][0], y + by * MOVES[event.key][1]);
        say(nameOf(chosen));
      } else if (key in goes) choose((goes[key] + n) % n);
      else if (key === " " || key === "enter") relabel(chosen);
      else if (key === "a" || key === "n") beside();
      else if (key === "delete" || key === "backspace") remove(chosen);
      else return;
      event.preventDefault();
    });

    model.on("change:points", () => {
      say(""); // whoever changed them says what there is to say
      draw();
    });
    model.on("change:lines", drawLines);
    drawLines();
    draw();
  },
};
"""


class PointsTrait(T.TraitType):
    """Points as a tuple of (x, y, label); see `as_points`."""

    def validate(self, obj, value):
        return as_points(value)


def as_points(points) -> tuple[tuple[float, float, int], ...]:
    """Points as they are kept: numbers rounded to multiples of 1/20, so that sums of 20 times them are exact.

    points: at most 40 triples (x, y, label), x and y from -2 to 2, label -1 or +1. Raises TraitError, in a sentence,
    for anything else.

    >>> as_points([(0.513, -1, 1), [2, 0.1 + 0.2, -1]])
    ((0.5, -1.0, 1), (2.0, 0.3, -1))
    """
    try:
        points = [tuple(point) for point in points]
    except TypeError:
        raise T.TraitError(f"points are triples (x, y, label) such as [(0.5, -1, 1)], not {points!r}") from None
    if len(points) > MOST:
        raise T.TraitError(f"{MOST} points are the most, not {len(points)}: take some away")
    return tuple(_as_point(number, point) for number, point in enumerate(points, 1))


def _as_point(number: int, point: tuple) -> tuple[float, float, int]:
    try:
        x, y, label = point
        x, y = float(x), float(y)
    except (TypeError, ValueError):
        raise T.TraitError(f"point {number} must be a triple of numbers (x, y, label), not {point!r}") from None
    if not (isfinite(x) and isfinite(y) and max(abs(x), abs(y)) <= LIMIT):
        raise T.TraitError(f"point {number} must lie on the pad, x and y from {-LIMIT} to {LIMIT}, not at ({x}, {y})")
    if label not in (-1, 1):
        raise T.TraitError(f"point {number} must have the label -1 or +1, not {label!r}")
    return _snapped(x), _snapped(y), int(label)


def _snapped(value: float) -> float:
    return round(Fraction(value) * GRID) / GRID


class PointsPad(anywidget.AnyWidget):
    """Points on a plane for the hand. points: as `as_points` takes them; description: its accessible name.

    lines: what is drawn beneath, dictionaries with weights (a, b, c) of a line a x + b y + c = 0 (a and b not both 0),
    color, dash (of SVG, in units of the plane, "" for none), shade (is the side of +1 grey?).

    >>> pad = PointsPad(points=[(0, 0, 1)])
    >>> pad.points = [*pad.points, (1, 0.52, -1)]
    >>> pad.points
    ((0.0, 0.0, 1), (1.0, 0.5, -1))
    """

    _esm, _css = _ESM, _CSS
    points = PointsTrait(()).tag(sync=True)
    lines = T.List(T.Dict()).tag(sync=True)
    description = T.Unicode("Points of two classes").tag(sync=True)
    limit = T.Int(LIMIT).tag(sync=True)
    most = T.Int(MOST).tag(sync=True)
    grid = T.Int(GRID).tag(sync=True)
