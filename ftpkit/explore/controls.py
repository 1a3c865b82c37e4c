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
    for (const each of [label, row]) {
      each.style.cssText = "display: inline-flex; align-items: center; gap: 0.5em; margin: 1px";
    }
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
    range.addEventListener("keydown", (event) => event.stopPropagation());
    model.on("change", draw);
    draw();
  },
};
"""


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


def choice(state: T.HasTraits, name: str, description: str, options: Iterable) -> W.Dropdown:
    """A list to choose from, for many options or long ones. options: values, or pairs of a text and a value."""
    return _follow(state, name, W.Dropdown(options=list(options), description=description, **_LABEL))


def buttons(state: T.HasTraits, name: str, description: str, options: Iterable) -> W.ToggleButtons:
    """A row of buttons, one of them pressed, for a few short options."""
    wide = {"button_width": "auto", "description_width": "initial"}
    return _follow(state, name, W.ToggleButtons(options=list(options), description=description, style=wide))


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
