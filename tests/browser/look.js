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
const picture = document.querySelector("svg:has(.paper)");
const style = (node) => getComputedStyle(node);

// Letters are lower than their line.
const letters = (node) => {
  const { left, top, right, bottom } = box(node);
  const spare = (bottom - top) * 0.15;
  return { left, right, top: top + spare, bottom: bottom - spare };
};
function inspectLabels() {
  const texts = [...picture.querySelectorAll("text")].filter((node) => node.textContent.trim());
  const labels = texts.map((node) => ({ text: node.textContent.trim(), box: letters(node), node }));
  const overlapping = [];
  labels.forEach((a, n) => {
    for (const b of labels.slice(n + 1)) if (overlap(a.box, b.box)) overlapping.push([a.text, b.text]);
  });
  // A mark of a death stands over everything: no label may begin or end under it.
  const deaths = [...picture.querySelectorAll(".marks .death circle")].map(box);
  const items = labels.filter(({ node }) => node.classList.contains("item"));
  for (const item of items) if (deaths.some((death) => overlap(item.box, death))) overlapping.push([item.text, "death"]);
  const outside = labels.filter((label) => !within(label.box, box(picture), 0)).map((label) => label.text);
  const bars = all("rect.working").map(box);
  const spilled = items.filter((label) => !bars.some((bar) => within(label.box, bar, 1))).map((label) => label.text);
  return { labels, items, overlapping, outside, spilled };
}
const { labels, items, overlapping, outside, spilled } = inspectLabels();

// Contrast as in WCAG 2.
const rgb = (color) => color.match(/[\d.]+/g).map(Number);
const luminance = (channels) => {
  const [r, g, b] = channels.map((c) => (c / 255 <= 0.03928 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
/** The contrast of a color, which may be translucent, to its opaque ground. */
function contrast(color, ground, opacity = 1) {
  const [front, back] = [rgb(color), rgb(ground)];
  const alpha = (front[3] ?? 1) * opacity;
  const seen = front.slice(0, 3).map((c, n) => c * alpha + back[n] * (1 - alpha));
  const [light, dark] = [luminance(seen), luminance(back.slice(0, 3))].sort((x, y) => y - x);
  return (light + 0.05) / (dark + 0.05);
}
const fill = (node) => style(node).fill;
const stroke = (node) => style(node).stroke;
const paper = fill(document.querySelector(".paper"));
const hasHalo = (node) => style(node).paintOrder.startsWith("stroke") && contrast(stroke(node), paper) < 1.01 && parseFloat(style(node).strokeWidth) >= 1;
// The background of an element of the page.
const ground = (node) => {
  for (let at = node; at; at = at.parentElement) {
    const color = style(at).backgroundColor;
    if ((rgb(color)[3] ?? 1) > 0) return color;
  }
  return paper;
};
const faint = [
  ...labels.map(({ text, node }) => [text, contrast(fill(node), paper)]),
  ...all("h1, .note, .legend li, #event, dt, dd, th, td, .help, kbd, #place, button:not([aria-disabled=\"true\"])").filter((node) => !picture.contains(node)).map((node) => [node.textContent, contrast(style(node).color, ground(node))]),
].filter(([, ratio]) => ratio < 4.5);
const bare = items.filter(({ node }) => !hasHalo(node)).map(({ text }) => text);

// Each mark with a meaning, and the ground that it stands out from: 3 at least.
const opacity = (node, property) => Number(style(node)[property]) * Number(style(node).opacity);
const drawn = (selector, property, back) =>
  all(selector).map((node) => [selector, contrast(style(node)[property], back(node), opacity(node, `${property}Opacity`))]);
const onPaper = () => paper;
const onHalo = (node) => (hasHalo(node) || style(node).paintOrder.startsWith("stroke") ? stroke(node) : fill(node));
const marks = [
  ...drawn("rect.working, .waiting", "fill", onPaper),
  ...drawn("rect.blocked, rect.dead", "stroke", onPaper),
  ...drawn(".blocked-pattern .strokes, .dead-pattern .strokes", "stroke", (node) => fill(node.parentNode.querySelector(".ground"))),
  ...drawn(".arrow line:not(.reach)", "stroke", onPaper),
  ...drawn("marker path", "fill", onPaper),
  ...drawn(".putting", "fill", onHalo),
  ...drawn(".death circle", "fill", onHalo),
  ...drawn(".death path", "stroke", (node) => fill(node.parentNode.querySelector("circle"))),
  ...drawn(".depth, .band, .capacity, .cursor, .ring", "stroke", onPaper),
  // In the columns of an overview a state touches the others.
  ...drawn("path.waiting", "fill", () => fill(document.querySelector("path.working") ?? document.querySelector(".paper"))),
];
const dim = marks.filter(([, ratio]) => ratio < 3);
const halos = all(".putting, .death circle").filter((node) => !hasHalo(node)).length;

// Every item has one color, in its bars and on its arrows.
const colors = new Map();
for (const node of all("rect.working[data-id], .arrow[data-id] line:not(.reach)")) {
  const id = node.dataset.id ?? node.parentNode.dataset.id;
  const color = node.tagName === "rect" ? fill(node) : stroke(node);
  colors.set(id, (colors.get(id) ?? new Set()).add(color));
}
const changing = [...colors].filter(([, set]) => set.size > 1).map(([id]) => id);

// The text of the tip for the element under the pointer, or null if no tip is visible.
const tip = document.getElementById("tip");
function pointAt(node, x, y) {
  if (!node) return null;
  node.scrollIntoView({ block: "center", inline: "center" });
  const { left, top, right, bottom } = box(node);
  const [clientX, clientY] = [left + (right - left) * x, top + (bottom - top) * y];
  const under = document.elementFromPoint(clientX, clientY);
  under?.dispatchEvent(new PointerEvent("pointermove", { clientX, clientY, bubbles: true }));
  const shown = tip && style(tip).display !== "none" && within(box(tip), { left: 0, top: 0, right: innerWidth, bottom: innerHeight }, 1);
  return shown ? tip.textContent : null;
}
const pointed = !tip ? null : {
  lane: pointAt(document.querySelector(".lane rect"), 0.7, 0.5),
  arrow: pointAt(all(".arrow line").pop(), 0.5, 0.5),
  depth: pointAt(all(".queue .cell")[0], 0.5, 0.5),
  nothing: pointAt(document.querySelector("h1"), 0.5, 0.5),
};

const lanes = all(".lane").map((lane) => {
  const parts = [...lane.querySelectorAll("rect, path")].map(box);
  return { worker: lane.dataset.worker, wide: parts.length ? Math.max(...parts.map((p) => p.right)) - Math.min(...parts.map((p) => p.left)) : 0 };
});
const arrows = all(".arrow").map((arrow) => {
  const line = [...arrow.querySelectorAll("line")].pop();
  return { down: line.y2.baseVal.value > line.y1.baseVal.value, seen: line.getTotalLength() > 0 };
});
// A later element is painted over an earlier one.
const lastArrow = all(".arrow").pop();
const covered = items.filter(({ node }) => lastArrow && !(lastArrow.compareDocumentPosition(node) & Node.DOCUMENT_POSITION_FOLLOWING)).map(({ text }) => text);
// The parts of a page stand beside or below each other.
const parts = all("header, #view, .tools, #now, .help, aside");
const crossing = [];
parts.forEach((a, n) => { for (const b of parts.slice(n + 1)) if (overlap(box(a), box(b))) crossing.push([a, b].map((node) => node.id || node.className || node.tagName)); });

const seen = {
  title: document.title,
  lanes,
  arrows,
  labels: labels.map((label) => label.text),
  overlapping,
  outside,
  spilled,
  faint,
  bare,
  dim,
  halos,
  changing,
  covered,
  crossing,
  paper,
  legend: all(".legend text, .legend li").map((node) => node.textContent.trim()),
  classes: [...new Set(all("svg [class]").flatMap((node) => [...node.classList]))],
  depth: all("svg .queue .depth").map((node) => node.getBoundingClientRect().width)[0] ?? 0,
  pointed,
  width: innerWidth,
  filled: box(picture).right - box(picture).left,
  scrolled: document.documentElement.scrollWidth - innerWidth,
  acted: typeof act === "function" ? act() : null,
  fetched: performance.getEntriesByType("resource").map((entry) => entry.name),
  faults: globalThis.faults ?? [],
};
const result = document.createElement("pre");
result.id = "seen";
// Escape characters that the page's source would show in another form.
const escape = (c) => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0");
result.textContent = JSON.stringify(seen).replace(/[<>&\u00a0]/g, escape);
document.body.append(result);
