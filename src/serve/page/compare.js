// Two pictures of a group in the large: side by side, one over the other, or their difference.

import { original, thumbnail } from "./api.js";
import { choiceOf, factsOf, how, levelName, showChoice } from "./copies.js";
import { byId, icon, iconButton, make } from "./dom.js";
import { alt } from "./words.js";

const SHOWN_BY_BROWSERS = new Set(["jpeg", "jpg", "png", "gif", "webp", "bmp", "avif"]);
const WAYS = { side: "Side by side", swipe: "Swipe", difference: "Difference" };
const HINTS = {
  side: "",
  swipe: "Left of the line lies the best file, right of it the other.",
  difference: "Black where both are equal. What differs is shown four times as strong.",
};
// Where a picture lies that fills the other: the six numbers of `within_best`.
const FILLS = [1, 0, 0, 0, 1, 0];
// A picture that leaves less of the other uncovered fills it.
const MARGIN = 0.01;

export class Compare {
  // `on`: {close(), show(id), choose(id, choice), onlyThis(id), choice(id), step(id, by)}
  constructor(on) {
    Object.assign(this, { on, id: null, group: null, way: "side" });
    this.dialog = byId("compare");
    this.build();
    this.dialog.addEventListener("keydown", (event) => this.key(event));
    this.dialog.addEventListener("cancel", (event) => { event.preventDefault(); on.close(); });
    this.dialog.addEventListener("close", () => { if (this.id !== null) on.close(); });
    this.dialog.addEventListener("click", (event) => {
      const button = event.target.closest("[data-choice]");
      if (button) on.choose(button.parentNode.dataset.for, button.dataset.choice);
    });
    new ResizeObserver(() => this.fit()).observe(this.stage);
  }

  build() {
    this.title = make("h2", { id: "compare-title", class: "compare-title", tabindex: "-1" });
    this.ways = make("div", { class: "segments", role: "radiogroup", "aria-label": "How to compare" },
      Object.entries(WAYS).map(([way, name], at) => make("label", { class: "segment" },
        make("input", { type: "radio", name: "way", value: way, onchange: () => this.setWay(way), "aria-keyshortcuts": String(at + 1) }), make("span", {}, name))));
    this.stage = make("div", { class: "compare-stage" });
    this.hint = make("p", { class: "compare-hint quiet" });
    this.slider = make("input", { type: "range", min: "0", max: "100", value: "50", "aria-label": "Where the line between both lies", hidden: true });
    this.slider.addEventListener("input", () => this.split(Number(this.slider.value)));
    this.foot = make("div", { class: "compare-foot" });
    this.previous = iconButton("previous", "Previous copy", () => this.step(-1));
    this.next = iconButton("next", "Next copy", () => this.step(1));
    this.dialog.append(make("div", { class: "compare-body" },
      make("header", { class: "compare-head" }, this.title, this.ways,
        make("div", { class: "compare-steps" }, this.previous, this.next, iconButton("close", "Close", () => this.on.close()))),
      this.stage, make("div", { class: "compare-under" }, this.slider, this.hint), this.foot));
  }

  get isOpen() {
    return this.id !== null;
  }

  // Opens at a file; the best one is shown beside the first of the others.
  open(group, id) {
    const first = this.id === null;
    this.group = group;
    this.id = id;
    this.best = group.files[group.best];
    const other = group.files.find((file) => String(file.id) === id && file !== this.best);
    this.other = other || group.files.find((file) => file !== this.best);
    this.title.textContent = `${this.other.name} beside ${this.best.name}`;
    this.foot.replaceChildren(this.column(this.best, true), this.column(this.other, false));
    this.previous.disabled = this.on.step(this.other.id, -1) === null;
    this.next.disabled = this.on.step(this.other.id, 1) === null;
    this.decided();
    if (!this.dialog.open) this.dialog.showModal();
    this.setWay(this.way);
    if (first) this.title.focus({ preventScroll: true });
  }

  hide() {
    if (this.id === null) return;
    this.id = null;
    this.stage.replaceChildren();
    if (this.dialog.open) this.dialog.close();
  }

  column(file, isBest) {
    return make("div", { class: "compare-column" },
      make("div", { class: "compare-name" }, isBest ? make("span", { class: "copy-best" }, icon("check"), "Best") : null,
        make("strong", { title: file.path }, file.name)),
      make("p", { class: "copy-how" }, isBest ? levelName(this.group.level) : how(file)),
      factsOf(file, this.best), choiceOf(file, "copy-choice"));
  }

  decided() {
    if (!this.isOpen) return;
    for (const file of [this.best, this.other]) showChoice(this.dialog, file, this.on.choice(file.id));
  }

  setWay(way) {
    this.way = way;
    for (const input of this.ways.querySelectorAll("input")) input.checked = input.value === way;
    const layers = [picture(this.best), picture(this.other, way !== "side")];
    this.stage.className = `compare-stage is-${way}`;
    if (way === "side") {
      this.stage.replaceChildren(...layers.map((layer) => make("div", { class: "compare-half" }, layer)));
    } else {
      this.frame = make("div", { class: "compare-frame" }, make("div", { class: "compare-base" }, layers[0]), make("div", { class: "compare-over" }, layers[1]));
      if (way === "swipe") this.frame.append(make("span", { class: "compare-line", "aria-hidden": "true" }));
      this.stage.replaceChildren(this.frame);
      this.drag();
    }
    this.slider.hidden = way !== "swipe";
    this.hint.textContent = [HINTS[way], way === "side" ? "" : this.part()].filter(Boolean).join(" ");
    this.fit();
    this.split(Number(this.slider.value));
  }

  // What is to be said about how one lies on the other.
  part() {
    if (!this.other.within_best && this.other.level !== "identical") return "How they lie on each other is not known.";
    const corners = cornersOf(this.other);
    const fills = corners.every(([x, y]) => (x < MARGIN || x > 1 - MARGIN) && (y < MARGIN || y > 1 - MARGIN));
    return fills ? "" : "Only the part that both show is compared.";
  }

  // Both lie in one frame of the best one's shape, each thing on itself.
  fit() {
    if (!this.isOpen || this.way === "side" || !this.frame) return;
    const style = getComputedStyle(this.stage);
    const room = [this.stage.clientWidth - 2 * parseFloat(style.paddingLeft), this.stage.clientHeight - 2 * parseFloat(style.paddingTop)];
    const shape = this.best.width / this.best.height;
    const width = Math.max(1, Math.floor(Math.min(room[0], room[1] * shape)));
    const height = Math.max(1, Math.floor(width / shape));
    Object.assign(this.frame.style, { width: `${width}px`, height: `${height}px` });
    const [a, b, c, d, e, f] = this.other.within_best || FILLS;
    const over = this.frame.querySelector(".compare-over img");
    over.style.transform = `matrix(${a}, ${d * height / width}, ${b * width / height}, ${e}, ${c * width}, ${f * height})`;
    // The difference to nothing is the picture itself, which would only distract.
    const shared = cornersOf(this.other).map(([x, y]) => `${100 * x}% ${100 * y}%`).join(", ");
    this.frame.querySelector(".compare-base").style.clipPath = this.way === "difference" ? `polygon(${shared})` : "";
  }

  split(percent) {
    if (this.way !== "swipe" || !this.frame) return;
    this.slider.value = String(percent);
    this.frame.style.setProperty("--split", `${percent}%`);
  }

  // The line follows the pointer.
  drag() {
    if (this.way !== "swipe") return;
    const { frame } = this;
    const to = (event) => {
      const box = frame.getBoundingClientRect();
      this.split(Math.round(Math.min(100, Math.max(0, (event.clientX - box.left) / box.width * 100))));
    };
    frame.addEventListener("pointerdown", (event) => { event.preventDefault(); frame.setPointerCapture(event.pointerId); to(event); });
    frame.addEventListener("pointermove", (event) => { if (frame.hasPointerCapture(event.pointerId)) to(event); });
  }

  step(by) {
    const id = this.on.step(this.other.id, by);
    if (id !== null) this.on.show(id);
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const ways = Object.keys(WAYS);
    const inField = event.target.matches("input");
    const action = {
      Escape: () => this.on.close(),
      ArrowLeft: inField ? null : () => this.step(-1), ArrowRight: inField ? null : () => this.step(1),
      k: () => this.on.choose(this.other.id, "keep"), x: () => this.on.choose(this.other.id, "discard"),
      o: () => this.on.onlyThis(this.other.id),
      d: () => this.setWay(this.way === "difference" ? "side" : "difference"),
      1: () => this.setWay(ways[0]), 2: () => this.setWay(ways[1]), 3: () => this.setWay(ways[2]),
    }[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  }
}

// Where the four corners of a file lie in the best one.
function cornersOf(file) {
  const [a, b, c, d, e, f] = file.within_best || FILLS;
  return [[0, 0], [1, 0], [1, 1], [0, 1]].map(([x, y]) => [a * x + b * y + c, d * x + e * y + f]);
}

// The small picture at once, the file itself when it has come.
function picture(file, isOver = false) {
  const image = make("img", { class: "compare-picture", alt: isOver ? "" : alt(file), draggable: "false", src: thumbnail(file.id, 512, file.digest) });
  if (!file.away && SHOWN_BY_BROWSERS.has(file.format)) {
    const full = new Image();
    full.src = original(file);
    full.decode().then(() => { image.src = full.src; }, () => {});
  }
  return image;
}
