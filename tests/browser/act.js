// Uses a page: keys, buttons, wheel, pointers. Returns what the page shows after each act.
"use strict";
function act() {
  if (!document.getElementById("view")) return null;
  const view = document.getElementById("view");
  // A run without duration has nothing to zoom into.
  if (!document.querySelector(".queue .cell")) return null;
  const text = (id) => document.getElementById(id).textContent;
  const key = (key, options = {}) => document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...options }));
  const queue = document.querySelector(".queue .stretch");
  // The drawn width of the run beside the visible one, and the place of its start.
  const span = () => {
    const { left, width } = queue.getBoundingClientRect();
    return { zoom: width / whole.width, start: (left - whole.left) / whole.width };
  };
  const whole = queue.getBoundingClientRect();
  const shown = () => ({ event: text("event"), place: text("place"), ready: text("ready"), inFlight: text("in-flight"), done: text("done"), ...span() });
  const report = {};
  const after = (name, ...acts) => {
    acts.forEach((act) => act());
    report[name] = shown();
  };
  const middle = () => { const { left, top, width, height } = view.getBoundingClientRect(); return { clientX: left + width / 2, clientY: top + height / 4 }; };
  const pointer = (type, pointerId, dx) => {
    const { clientX, clientY } = middle();
    view.dispatchEvent(new PointerEvent(type, { pointerId, clientX: clientX + dx, clientY, bubbles: true, pointerType: "touch" }));
  };
  after("start");
  after("right", () => key("ArrowRight"));
  after("rightAgain", () => key("ArrowRight"));
  report.highlighted = document.querySelectorAll("svg .current").length;
  report.cursor = getComputedStyle(document.querySelector(".cursor")).display;
  after("left", () => key("ArrowLeft"));
  after("end", () => key("End"));
  after("home", () => key("Home"));
  after("button", () => document.getElementById("next").click());
  after("escape", () => key("Escape"));
  after("closer", () => key("+"), () => key("+"), () => key("+"));
  const zoomed = inspectLabels();
  report.overlapping = [...zoomed.overlapping, ...zoomed.outside.map((label) => [label, "edge"]), ...zoomed.spilled.map((label) => [label, "bar"])];
  after("moved", () => key("ArrowRight", { shiftKey: true }));
  after("wider", () => key("-"));
  after("whole", () => key("0"));
  after("wheel", () => view.dispatchEvent(new WheelEvent("wheel", { deltaY: -400, ctrlKey: true, cancelable: true, ...middle() })));
  after("dragged", () => pointer("pointerdown", 1, 0), () => pointer("pointermove", 1, -60), () => pointer("pointerup", 1, -60));
  after("wholeAgain", () => document.getElementById("whole").click());
  after("pinched", () => pointer("pointerdown", 1, -30), () => pointer("pointerdown", 2, 30), () => pointer("pointermove", 1, -90),
    () => pointer("pointermove", 2, 90), () => pointer("pointerup", 1, -90), () => pointer("pointerup", 2, 90));
  after("clicked", () => key("0"), () => pointer("pointerdown", 1, 0), () => pointer("pointerup", 1, 0));
  report.help = document.querySelector(".help").getBoundingClientRect().height;
  report.buttons = [...document.querySelectorAll("button")].map((button) => Math.min(button.offsetWidth, button.offsetHeight));
  report.unnamed = [...document.querySelectorAll("button")].filter((button) => !button.ariaLabel).length;
  report.moving = getComputedStyle(document.querySelector("svg [data-id]") ?? document.body).transitionDuration;
  return report;
}
