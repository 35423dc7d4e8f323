"use strict";
// The page works without this script too: the picture then stands still, in the width of the window.
//
// The script keeps the letters of the picture at their size, whatever the width of the window and the zoom: it moves what
// stands at a time along the time axis. A place on this axis is a part of the run, from 0 to 1.
{
const byId = (id) => document.getElementById(id);
const view = byId("view");
const svg = view.querySelector("svg");
const steps = JSON.parse(byId("steps").textContent);
const names = JSON.parse(byId("items").textContent);
const all = (selector) => [...svg.querySelectorAll(selector)];
const number = (node, name) => Number(node.getAttribute(name));
const clamp = (value, low, high) => Math.max(low, Math.min(high, value));
function element(name, attributes = {}, parent = undefined) {
  const node = document.createElementNS(svg.namespaceURI, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  parent?.append(node);
  return node;
}

// The picture as it was drawn.
const COLORS = 6;
const MAX_ZOOM = 64;
const MAX_SCALE = 2;
const NARROW_WIDTH = 720;
const UPRIGHT_WIDTH = 4;
const RIGHT_MARGIN = 16;
const height = svg.viewBox.baseVal.height;
const level = svg.querySelector(".queue .grid");
const [left, drawnWidth] = [number(level, "x1"), number(level, "x2") - number(level, "x1")];
const part = (x) => (x - left) / drawnWidth;
const axis = svg.querySelector(".axis");
const runEnd = Number(axis.dataset.end);
const [axisTop, axisBottom] = axis.dataset.span.split(" ").map(Number);

// What moves along the axis.
const [plotClip, markClip] = ["plot", "marks"].map((id) => element("rect", { y: 0, height }, element("clipPath", { id }, svg)));
const stretched = all(".stretch").map((group) => {
  const frame = element("g", { "clip-path": "url(#plot)" });
  group.replaceWith(frame);
  frame.append(group);
  return group;
});
for (const group of all(".handovers, .marks")) group.setAttribute("clip-path", "url(#marks)");
const marks = all(".marks .at").map((node) => {
  const [x, y] = node.getAttribute("transform").match(/-?[\d.]+/g).map(Number);
  const text = node.querySelector(".item");
  const { width, worker, name, number: short } = node.dataset;
  const label = text && { text, length: part(left + Number(width)), worker, texts: [name, short] };
  return { node, at: part(x), y: y || 0, label };
});
const deaths = marks.filter(({ node }) => node.querySelector(".death"));
const arrows = all(".arrow").map((node) => {
  const lines = [...node.querySelectorAll("line")];
  const [from, to] = ["x1", "x2"].map((name) => part(number(lines[0], name)));
  return { node, lines, from, to };
});
const patterns = all("pattern");
const levels = all(".rail, .queue > line");
const rightLabel = svg.querySelector(".queue .note");
const nameWidth = Math.max(0, ...all(".lane .label, .queue .tick").map((text) => text.getComputedTextLength()));
const cursor = element("rect", { class: "cursor", y: axisTop, height: axisBottom - axisTop, "clip-path": "url(#marks)" }, svg);
const ring = element("circle", { class: "ring", r: 12 }, svg);
const laneMiddles = all(".lane .rail").map((rail) => number(rail, "y1"));
svg.removeAttribute("width");
svg.removeAttribute("height");

// The size of the picture, and the visible part of the run.
const viewX = Math.max(0, left - nameWidth - 16);
let viewWidth = 0;
let scale = 1;
let [from, to] = [0, 1];
const right = () => Math.max(left, viewX + viewWidth - RIGHT_MARGIN);
const pixels = () => (right() - left) / (to - from);
const place = (at) => left + (at - from) * pixels();
const pen = document.createElement("canvas").getContext("2d");
const textWidth = (text) => pen.measureText(text).width;

/** Fits the picture into the window: its width always, its height if the letters become larger by that. */
function fit() {
  const width = view.clientWidth;
  const beside = [document.querySelector("header"), ...view.parentNode.children].filter((node) => node !== view);
  const others = beside.reduce((sum, node) => sum + node.offsetHeight + 8, 40);
  const tall = (innerHeight - others) / height;
  scale = clamp(Math.min(width / NARROW_WIDTH, tall), 1, MAX_SCALE);
  viewWidth = width / scale;
  svg.setAttribute("viewBox", `${viewX} 0 ${viewWidth} ${height}`);
  redraw();
}

/** Enables buttons or not. A button that really was disabled would lose the focus of the keyboard. */
function enable(buttons) {
  for (const [id, isEnabled] of Object.entries(buttons)) byId(id).setAttribute("aria-disabled", String(!isEnabled));
}

function redraw() {
  const stretch = pixels() / drawnWidth;
  const matrix = `matrix(${stretch} 0 0 1 ${left - left * stretch - from * pixels()} 0)`;
  for (const group of stretched) group.setAttribute("transform", matrix);
  for (const pattern of patterns) pattern.setAttribute("patternTransform", `scale(${1 / stretch} 1)`);
  for (const line of levels) line.setAttribute("x2", right());
  rightLabel?.setAttribute("x", right() - 4);
  for (const [clip, slack] of [[plotClip, 0.8], [markClip, 9]]) {
    clip.setAttribute("x", left - slack);
    clip.setAttribute("width", right() - left + 2 * slack);
  }
  for (const { node, lines, from, to } of arrows) {
    const [x1, x2] = [place(from), place(to)];
    for (const line of lines) {
      line.setAttribute("x1", x1);
      line.setAttribute("x2", x2);
    }
    node.classList.toggle("slanted", x2 - x1 >= UPRIGHT_WIDTH);
  }
  pen.font = getComputedStyle(svg.querySelector(".item") ?? svg).font;
  for (const mark of marks) drawMark(mark);
  drawTicks();
  drawCursor();
  const isWhole = to - from >= 1;
  view.classList.toggle("closer", !isWhole);
  enable({ wider: !isWhole, whole: !isWhole, closer: to - from > 1 / MAX_ZOOM });
}

function drawMark({ node, at, y, label }) {
  let x = place(at);
  if (label) {
    // A label does not run into the mark of a death.
    const isNear = (x) => deaths.some((death) => death.node.dataset.worker === label.worker && Math.abs(place(death.at) - x) < 9);
    const inset = (x) => (isNear(x) ? 11 : 4);
    const end = Math.min(x + label.length * pixels(), right());
    x = Math.max(x, left);
    label.text.setAttribute("x", inset(x));
    const room = end - x - inset(x) - inset(end);
    label.text.textContent = label.texts.find((text) => text && textWidth(text) <= room) ?? "";
  }
  node.setAttribute("transform", `translate(${x} ${y})`);
}

/** Draws times at equal distances. The unit is that of the whole run, as in the tips. */
function drawTicks() {
  const [unit, size] = [["s", 1], ["ms", 1e-3], ["µs", 1e-6], ["ns", 1e-9]].find(([, size]) => runEnd >= size) ?? ["ns", 1e-9];
  const format = (time, step) => `${Number((time / size).toFixed(Math.max(0, -Math.floor(Math.log10(step / size) + 1e-9))))} ${unit}`;
  const perSecond = pixels() / Math.max(runEnd, 1e-9);
  const lowest = 10 ** Math.floor(Math.log10(20 / perSecond));
  const step = [1, 2, 5, 10, 20, 50, 100].map((digit) => digit * lowest)
    .find((step) => step >= 1e-9 * 0.99 && step * perSecond > textWidth(format(to * runEnd, step)) * 1.2 + 28) ?? Infinity;
  axis.replaceChildren();
  const first = Math.ceil((from * runEnd) / step - 1e-9);
  for (let n = step === Infinity ? 0 : first; n * step <= to * runEnd * (1 + 1e-9); n += 1) {
    const time = step === Infinity ? 0 : n * step;
    const x = place(time / Math.max(runEnd, 1e-9));
    const label = format(time, step === Infinity ? size : step);
    element("line", { class: "grid", x1: x, x2: x, y1: axisTop, y2: axisBottom }, axis);
    if (x + textWidth(label) * 0.6 < viewX + viewWidth) {
      element("text", { class: "tick", x, y: axisBottom + 17, "text-anchor": "middle" }, axis).textContent = label;
    }
    if (step === Infinity) break;
  }
}

// Zoom and move.
function show(start, span) {
  const width = clamp(span, 1 / MAX_ZOOM, 1);
  from = clamp(start, 0, 1 - width);
  to = from + width;
  redraw();
}
/** Shows `factor` times as much of the run. The place `at` stays where it is. */
function zoom(factor, at) {
  const span = clamp((to - from) * factor, 1 / MAX_ZOOM, 1);
  show(at - ((at - from) * span) / (to - from), span);
}
const middle = () => (current < 0 ? (from + to) / 2 : clamp((steps[current].from + steps[current].to) / 2, from, to));
const move = (share) => show(from + share * (to - from), to - from);
const partAt = (clientX) => {
  const box = svg.getBoundingClientRect();
  return from + (viewX + ((clientX - box.left) / box.width) * viewWidth - left) / pixels();
};

// Steps.
let current = -1;
function select(n) {
  current = clamp(n, -1, steps.length - 1);
  const step = steps[current];
  if (step && (step.to < from || step.from > to)) show(step.from - (to - from) / 2, to - from);
  byId("event").textContent = step ? step.text : byId("event").dataset.start;
  byId("place").textContent = `${step ? current + 1 : "–"} / ${steps.length}`;
  const [hasBefore, hasAfter] = [current > 0, current < steps.length - 1];
  enable({ first: hasBefore, previous: hasBefore, next: hasAfter, last: hasAfter });
  highlight(step?.id);
  drawCursor();
  describeQueue();
}

function drawCursor() {
  const step = steps[current];
  cursor.style.display = step ? "" : "none";
  ring.style.display = step?.lane === undefined ? "none" : "";
  if (!step) return;
  const [x, end] = [place(step.from), place(step.to)];
  cursor.setAttribute("x", x);
  cursor.setAttribute("width", Math.max(end - x, 0.4));
  ring.setAttribute("cx", x);
  ring.setAttribute("cy", laneMiddles[step.lane] ?? 0);
}

/** Follows an item across the lanes. */
let followed;
function highlight(id) {
  if (id === followed) return;
  followed = id;
  const item = id === undefined ? null : Number(id);
  svg.classList.toggle("focus", item !== null);
  for (const node of all("[data-id]")) {
    const { id, last = id } = node.dataset;
    node.classList.toggle("current", Number(id) <= item && item <= Number(last));
  }
}

/** The queue after the current event. */
function queueState() {
  const state = { ready: [], inFlight: [], done: 0 };
  const without = (ids, id) => ids.filter((other) => other !== id);
  for (const { kind, id } of steps.slice(0, current + 1)) {
    if (kind === "clear") state.ready = [];
    if (id === undefined) continue;
    state.ready = without(state.ready, id);
    state.inFlight = without(state.inFlight, id);
    // An item that is ready again has its old place.
    if (kind === "put" || kind === "back") state.ready = [...state.ready, id].sort((a, b) => a - b);
    if (kind === "get") state.inFlight.push(id);
    if (kind === "done") state.done += 1;
  }
  return state;
}

function describeQueue() {
  const isOverview = steps.some((step) => step.kind === "column");
  byId("state").style.display = isOverview ? "none" : "";
  if (isOverview) return;
  const { ready, inFlight, done } = queueState();
  listItems(byId("ready"), ready);
  listItems(byId("in-flight"), inFlight);
  byId("done").textContent = done;
}

function listItems(list, ids) {
  const MAX_SHOWN = 24;
  list.textContent = ids.length ? "" : byId("state").dataset.none;
  for (const id of ids.slice(0, MAX_SHOWN)) {
    const chip = document.createElement("span");
    chip.className = "chip";
    const color = element("svg", { width: 10, height: 10, "aria-hidden": true }, chip);
    element("rect", { width: 10, height: 10, class: `i${id % COLORS}` }, color);
    chip.append(names[id] ?? id);
    list.append(chip);
  }
  if (ids.length > MAX_SHOWN) list.append(`+${ids.length - MAX_SHOWN}`);
}

/** Selects the event that is nearest to a pointer: of the item under the pointer, if there is one. */
function selectNearest({ clientX, clientY }) {
  const at = partAt(clientX);
  const under = document.elementFromPoint(clientX, clientY)?.closest("[data-id]");
  const { id, last = id } = under?.dataset ?? {};
  const isOf = (step) => step.id !== undefined && Number(id) <= step.id && step.id <= Number(last);
  const candidates = steps.map((_, n) => n).filter((n) => isOf(steps[n]));
  const distance = (n) => Math.max(steps[n].from - at, at - steps[n].to, 0);
  const nearest = (candidates.length ? candidates : steps.map((_, n) => n)).reduce((a, b) => (distance(b) < distance(a) ? b : a));
  select(nearest);
}

// Keys and buttons.
const actions = {
  first: () => select(0),
  previous: () => select(Math.max(0, current - 1)),
  next: () => select(current + 1),
  last: () => select(steps.length - 1),
  closer: () => zoom(1 / 1.5, middle()),
  wider: () => zoom(1.5, middle()),
  whole: () => show(0, 1),
};
for (const [id, action] of Object.entries(actions)) {
  byId(id).addEventListener("click", () => { if (byId(id).getAttribute("aria-disabled") !== "true") action(); });
}
const keys = {
  ArrowLeft: actions.previous, ArrowRight: actions.next, Home: actions.first, End: actions.last,
  "+": actions.closer, "=": actions.closer, "-": actions.wider, 0: actions.whole, Escape: () => select(-1),
};
addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  const share = { ArrowLeft: -0.2, ArrowRight: 0.2 }[event.key];
  const action = event.shiftKey && share ? () => move(share) : keys[event.key];
  if (!action) return;
  event.preventDefault();
  action();
});

// Pointers: one drags, two pinch.
const pointers = new Map();
let isDragged = false;
view.addEventListener("pointerdown", (event) => {
  if (event.button > 0) return;
  if (pointers.size === 0) isDragged = false;
  pointers.set(event.pointerId, event.clientX);
});
view.addEventListener("pointermove", (event) => {
  const before = pointers.get(event.pointerId);
  if (before === undefined) return;
  if (!isDragged && Math.abs(event.clientX - before) < 5) return;
  isDragged = true;
  try { view.setPointerCapture(event.pointerId); } catch { /* The pointer is gone already. */ }
  const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
  if (other === undefined) {
    show(from + partAt(before) - partAt(event.clientX), to - from);
  } else {
    const apart = (x) => Math.max(10, Math.abs(x - other));
    zoom(apart(before) / apart(event.clientX), partAt(other));
  }
  pointers.set(event.pointerId, event.clientX);
});
for (const name of ["pointerup", "pointercancel"]) {
  view.addEventListener(name, (event) => {
    if (pointers.delete(event.pointerId) && name === "pointerup" && !isDragged && steps.length) selectNearest(event);
  });
}
view.addEventListener("wheel", (event) => {
  // A page that is taller than the window scrolls with the wheel alone.
  const scrolls = document.documentElement.scrollHeight > innerHeight + 1;
  const isSideways = event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY);
  if (scrolls && !event.ctrlKey && !isSideways) return;
  event.preventDefault();
  const LINE_HEIGHT = 20;
  const distance = (isSideways ? event.deltaX || event.deltaY : event.deltaY) * (event.deltaMode === 1 ? LINE_HEIGHT : 1);
  if (isSideways) move(distance / view.clientWidth);
  else zoom(1.0015 ** distance, partAt(event.clientX));
}, { passive: false });

// Tips. The browser's own tips come late, and would stand beside ours.
const tip = byId("tip");
for (const title of all("title")) {
  const what = title.parentNode;
  if (what === svg) svg.setAttribute("aria-label", title.textContent);
  else what.dataset.tip = title.textContent;
  title.remove();
}
function showTip(event) {
  const what = event.target instanceof Element ? event.target.closest("[data-tip]") : null;
  highlight(event.target.closest?.("[data-id]")?.dataset.id ?? steps[current]?.id);
  tip.style.display = what && !isDraggingNow() ? "block" : "none";
  if (!what) return;
  tip.textContent = what.dataset.tip;
  const { width, height } = tip.getBoundingClientRect();
  const x = Math.min(event.clientX + 14, innerWidth - width - 4);
  const below = event.clientY + 18;
  const y = below + height < innerHeight ? below : event.clientY - height - 10;
  tip.style.left = `${Math.max(4, x)}px`;
  tip.style.top = `${Math.max(4, y)}px`;
}
const isDraggingNow = () => pointers.size > 0 && isDragged;
document.addEventListener("pointermove", showTip);
document.addEventListener("pointerdown", showTip);
document.addEventListener("pointerleave", () => { tip.style.display = "none"; });

addEventListener("resize", fit);
select(-1);
fit();
}
