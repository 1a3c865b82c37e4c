"""Controls that have names, work by keyboard, and follow a trait of a demo's state."""

from collections.abc import Callable, Iterable

import anywidget
import ipywidgets as W
import traitlets as T

_LABEL = {"style": {"description_width": "initial"}}

_SLIDER = """
export default {
  render({ model, el }) {
    const row = document.createElement("div");
    const label = document.createElement("label");
    const range = document.createElement("input");
    const shown = document.createElement("span"); // beside the label, so that it is no part of the name
    shown.ariaHidden = "true"; // a range says its value by itself
    range.type = "range";
    label.append(model.get("description") + " ", range);
    row.append(label, shown);
    for (const each of [label, row]) each.style.cssText = "display: inline-flex; align-items: center; gap: 0.5em";
    [row.style.minHeight, row.style.margin] = ["28px", "2px"]; // as the boxes have them
    shown.style.minWidth = "2em"; // so that nothing moves when a digit comes
    el.append(row);
    const draw = () => {
      for (const name of ["min", "max", "step", "value", "disabled"]) range[name] = model.get(name);
      shown.textContent = model.get("value");
    };
    range.addEventListener("input", () => {
      shown.textContent = range.value;
      model.set("value", Number(range.value));
      model.save_changes();
    });
    range.dataset.lmSuppressShortcuts = "true"; // or the notebook takes the arrow keys
    model.on("change", draw);
    draw();
  },
};
"""

_FRAME = """
export default {
  initialize() {
    const keep = ({ target }) => {
      if (target.matches(".ftpkit-demo select")) target.dataset.lmSuppressShortcuts = "true";
    };
    document.addEventListener("focusin", keep);
    return () => document.removeEventListener("focusin", keep);
  },
  render() {},
};
"""

_FRAME_CSS = """
.ftpkit-demo img { max-width: 100%; height: auto; }
.ftpkit-demo [role="status"] { line-height: 1.4; }
.ftpkit-demo [role="status"] > div { padding-left: 1.5em; text-indent: -1.5em; margin-bottom: 0.35em; }
.ftpkit-demo :focus-visible:not(.mark) { outline: 2px solid var(--jp-brand-color1, #0072b2) !important; }
[data-jp-theme-light="false"] .ftpkit-demo select { appearance: auto; background-image: none; padding-right: 0; }
"""

_BUTTONS = """
export default {
  render({ model, el }) {
    const group = document.createElement("div");
    const name = document.createElement("span");
    name.textContent = model.get("description");
    name.setAttribute("aria-hidden", "true"); // the group says it
    group.setAttribute("role", "group");
    group.setAttribute("aria-label", model.get("description"));
    group.append(name);
    const buttons = model.get("labels").map((label, i) => {
      const button = document.createElement("button");
      [button.type, button.className, button.textContent] = ["button", "jupyter-button", label];
      button.addEventListener("click", () => {
        model.set("index", i);
        model.save_changes();
      });
      group.append(button);
      return button;
    });
    el.append(group);
    const draw = () => {
      buttons.forEach((button, i) => {
        button.setAttribute("aria-pressed", i === model.get("index"));
        button.classList.toggle("mod-active", i === model.get("index"));
        button.disabled = model.get("disabled");
      });
    };
    model.on("change", draw);
    draw();
  },
};
"""

_BUTTONS_CSS = """
.ftpkit-buttons [role="group"] { display: flex; flex-wrap: wrap; align-items: center; gap: 4px; margin-left: 2px; }
.ftpkit-buttons button { padding: 0 10px; margin: 2px 0; }
.ftpkit-buttons button[aria-pressed="true"] { box-shadow: inset 0 -3px currentColor; }
"""


class Frame(anywidget.AnyWidget):
    """Makes the page fit for a demo that it is a part of; nothing of it is seen.

    The arrow keys are those of the list that has the focus, not the notebook's. Pictures shrink with the window. What
    is said has hanging lines. The place of the keyboard is easy to see. In a dark theme lists have the browser's own
    arrow, since that of ipywidgets is black on black.
    """

    _esm, _css = _FRAME, _FRAME_CSS


class Slider(anywidget.AnyWidget):
    """A slider that a screen reader can name: the browser's own, inside its label; arrow keys move it.

    (The sliders of ipywidgets have no accessible name.) value, min, max, step: numbers. description: its name.

    >>> slider = Slider(description="Steps", min=2, max=9, value=3)
    >>> slider.value = 12
    >>> slider.value
    9
    """

    _esm = _SLIDER
    description = T.Unicode().tag(sync=True)
    min = T.Float(0).tag(sync=True)
    max = T.Float(10).tag(sync=True)
    step = T.Float(1).tag(sync=True)
    value = T.Float(0).tag(sync=True)
    disabled = T.Bool(False).tag(sync=True)

    @T.validate("value")
    def _within(self, proposal):
        value = min(max(proposal["value"], self.min), self.max)
        return int(value) if value == int(value) else value


class Buttons(anywidget.AnyWidget):
    """A row of buttons, one of them pressed, which a screen reader can name: a group that says which one it is.

    (The toggle buttons of ipywidgets say neither.) options: values, or pairs of a text and a value; value: one of them,
    TraitError for any other. description: the name of the row. index: which is pressed, from 0.

    >>> row = Buttons([("t = -1", -1), ("t = +1", 1)], description="Target", value=1)
    >>> row.index = 0
    >>> row.value
    -1
    """

    _esm, _css = _BUTTONS, _BUTTONS_CSS
    description = T.Unicode().tag(sync=True)
    labels = T.List(T.Unicode()).tag(sync=True)
    index = T.Int(0).tag(sync=True)
    disabled = T.Bool(False).tag(sync=True)
    value = T.Any()

    def __init__(self, options: Iterable = (), **traits):
        pairs = [each if isinstance(each, tuple) else (str(each), each) for each in options]
        self.values = tuple(value for _, value in pairs)
        traits.setdefault("value", self.values[0] if pairs else None)
        super().__init__(labels=[text for text, _ in pairs], **traits)
        self.add_class("ftpkit-buttons")

    @T.validate("value")
    def _among(self, proposal):
        if proposal["value"] not in self.values:
            raise T.TraitError(f"{self.description}: {proposal['value']!r} is none of {self.values}")
        return proposal["value"]

    @T.observe("value")
    def _press(self, change):
        self.index = self.values.index(change["new"])

    @T.observe("index")
    def _pressed(self, change):
        self.value = self.values[change["new"]]


def row(*widgets: W.Widget) -> W.HBox:
    """Controls side by side, in several lines where they are too many for one."""
    return W.HBox(widgets, layout={"flex_flow": "row wrap", "align_items": "center", "grid_gap": "0 6px"})


def choice(state: T.HasTraits, name: str, description: str, options: Iterable) -> W.Dropdown:
    """A list to choose from, for many options or long ones. options: values, or pairs of a text and a value."""
    return _follow(state, name, W.Dropdown(options=list(options), description=description, **_LABEL))


def buttons(state: T.HasTraits, name: str, description: str, options: Iterable) -> Buttons:
    """A row of buttons, one of them pressed, for a few short options: values, or pairs of a text and a value."""
    return _follow(state, name, Buttons(options, description=description))


def number(state: T.HasTraits, name: str, description: str) -> W.BoundedIntText | W.BoundedFloatText:
    """A box for a number within the bounds of its trait (T.Int or T.Float with min and max)."""
    trait = state.traits()[name]
    box = W.BoundedIntText if isinstance(trait, T.Int) else W.BoundedFloatText
    step = {} if isinstance(trait, T.Int) else {"step": (trait.max - trait.min) / 100}
    width = {"layout": {"width": f"{len(description) / 2 + 7}em"}}
    return _follow(state, name, box(min=trait.min, max=trait.max, description=description, **step, **width, **_LABEL))


def slider(state: T.HasTraits, name: str, description: str, step: float = 1) -> Slider:
    """A slider over the whole range of its trait."""
    trait = state.traits()[name]
    return _follow(state, name, Slider(min=trait.min, max=trait.max, step=step, description=description))


def check(state: T.HasTraits, name: str, description: str) -> W.Checkbox:
    """A box to tick."""
    return _follow(state, name, W.Checkbox(description=description, indent=False))


def text(state: T.HasTraits, name: str, description: str) -> W.Text:
    """A line to type in; it counts when Enter is pressed or the line is left."""
    return _follow(state, name, W.Text(description=description, continuous_update=False, **_LABEL))


def button(description: str, tooltip: str, action: Callable[[], None]) -> W.Button:
    """A button that does something when it is pressed; the tooltip says what."""
    pressed = W.Button(description=description, tooltip=tooltip, layout={"width": "auto"})
    pressed.on_click(lambda _: action())
    return pressed


def _follow(state: T.HasTraits, name: str, control):
    T.link((state, name), (control, "value"))
    return control
