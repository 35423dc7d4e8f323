// Inspects the picture of the page that contains this script, and writes a report into the page as JSON.
"use strict";
const all = (selector) => [...document.querySelectorAll(selector)];
const box = (node) => {
  const { left, top, right, bottom } = node.getBoundingClientRect();
  return { left, top, right, bottom };
};
const overlap = (a, b) =>
  Math.min(a.right, b.right) - Math.max(a.left, b.left) > 0.5 &&
  Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 0.5;
const within = (a, b, slack) =>
  a.left >= b.left - slack && a.right <= b.right + slack && a.top >= b.top - slack && a.bottom <= b.bottom + slack;

// Letters are lower than their line.
const letters = (node) => {
  const { left, top, right, bottom } = box(node);
  const spare = (bottom - top) * 0.15;
  return { left, right, top: top + spare, bottom: bottom - spare };
};
const texts = all("svg text").filter((node) => node.textContent.trim());
const labels = texts.map((node) => ({ text: node.textContent.trim(), box: letters(node), node }));
const overlapping = [];
labels.forEach((a, n) => {
  for (const b of labels.slice(n + 1)) if (overlap(a.box, b.box)) overlapping.push([a.text, b.text]);
});
const svg = box(document.querySelector("svg"));
const outside = labels.filter((label) => !within(label.box, svg, 0)).map((label) => label.text);
const bars = all("rect.working").map(box);
const spilled = labels
  .filter(({ node }) => node.classList.contains("item"))
  .filter((label) => !bars.some((bar) => within(label.box, bar, 1)))
  .map((label) => label.text);

// Contrast as in WCAG 2.
const rgb = (color) => color.match(/[\d.]+/g).slice(0, 3).map(Number);
const luminance = (color) => {
  const [r, g, b] = rgb(color).map((c) => (c / 255 <= 0.03928 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const contrast = (a, b) => {
  const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (light + 0.05) / (dark + 0.05);
};
const fill = (node) => getComputedStyle(node).fill;
const paper = fill(document.querySelector(".paper"));
const working = document.querySelector(".working");
const faint = labels
  .map(({ text, node }) => [text, contrast(fill(node), node.classList.contains("item") ? fill(working) : paper)])
  .filter(([, ratio]) => ratio < 4.5);

// The text of the tip for the element under the pointer, or null if no tip is visible.
const tip = document.getElementById("tip");
function pointAt(node, x, y) {
  node.scrollIntoView({ block: "center", inline: "center" });
  const { left, top, right, bottom } = box(node);
  const [clientX, clientY] = [left + (right - left) * x, top + (bottom - top) * y];
  const under = document.elementFromPoint(clientX, clientY);
  under?.dispatchEvent(new PointerEvent("pointermove", { clientX, clientY, bubbles: true }));
  const shown = tip && getComputedStyle(tip).display !== "none" && within(box(tip), { left: 0, top: 0, right: innerWidth, bottom: innerHeight }, 1);
  return shown ? tip.textContent : null;
}
const pointed = !tip ? null : {
  lane: pointAt(document.querySelector(".lane rect"), 0.7, 0.5),
  arrow: pointAt(all(".arrow line").pop(), 0.5, 0.5),
  depth: pointAt(all(".queue .cell")[0], 0.5, 0.5),
  nothing: pointAt(document.querySelector(".title"), 0.5, 0.5),
};

const lanes = all(".lane").map((lane) => {
  const parts = [...lane.querySelectorAll("rect, path")].map(box);
  return { worker: lane.dataset.worker, wide: parts.length ? Math.max(...parts.map((p) => p.right)) - Math.min(...parts.map((p) => p.left)) : 0 };
});
const arrows = all(".arrow").map((arrow) => {
  const line = [...arrow.querySelectorAll("line")].pop();
  return { down: line.y2.baseVal.value > line.y1.baseVal.value, seen: line.getTotalLength() > 0 };
});
const seen = {
  title: document.title,
  lanes,
  arrows,
  labels: labels.map((label) => label.text),
  overlapping,
  outside,
  spilled,
  faint,
  paper,
  classes: [...new Set(all("svg [class]").map((node) => node.getAttribute("class")))],
  depth: all(".depth").map((node) => node.getTotalLength())[0] ?? 0,
  pointed,
  fetched: performance.getEntriesByType("resource").map((entry) => entry.name),
};
const result = document.createElement("pre");
result.id = "seen";
// Escape characters that the page's source would show in another form.
const escape = (c) => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0");
result.textContent = JSON.stringify(seen).replace(/[<>&\u00a0]/g, escape);
document.body.append(result);
