// Chooses a part of the large picture: by mouse, by finger, or with the arrow keys.

import { icon, make } from "./dom.js";

// Smaller parts, in per cent of a side, are slips of the hand.
const SMALLEST = 3;
const STEP = 2;

export class Part {
  // `frame` is the element that the picture fills exactly; `bar` is shown while a part is chosen.
  constructor(frame, bar, on) {
    Object.assign(this, { frame, bar, on, area: null, drag: null });
    this.box = make("div", {
      class: "part", tabindex: "0", role: "application", hidden: true, "aria-describedby": "part-help",
      "aria-roledescription": "part of the picture",
    }, ["nw", "ne", "sw", "se"].map((corner) => make("span", { class: `part-corner ${corner}`, "data-corner": corner })));
    frame.append(this.box);
    bar.append(
      make("span", { class: "hidden", id: "part-help" }, "Arrow keys move the part, with Shift they change its size. Enter searches, Escape cancels."),
      make("span", { class: "part-hint", "aria-hidden": "true" }, "Drag, or use the arrow keys"),
      make("button", { type: "button", class: "small strong", onclick: () => this.ask() }, icon("search"), "Search this part"),
      make("button", { type: "button", class: "small", onclick: () => this.stop() }, "Cancel"),
    );
    frame.addEventListener("pointerdown", (event) => this.down(event));
    frame.addEventListener("pointermove", (event) => this.move(event));
    frame.addEventListener("pointerup", () => this.up());
    frame.addEventListener("pointercancel", () => this.up());
    this.box.addEventListener("keydown", (event) => this.key(event));
  }

  get active() {
    return this.area !== null;
  }

  // The middle of the picture, from where the keys move it.
  start() {
    this.set({ left: 25, top: 25, width: 50, height: 50 });
    this.box.focus({ preventScroll: true });
  }

  stop() {
    if (!this.active) return;
    this.area = null;
    this.drag = null;
    this.show();
    this.on.stopped();
  }

  ask() {
    const { left, top, width, height } = this.area;
    const text = [left, top, width, height].map((n) => `${Math.round(n * 10) / 10}%`).join(",");
    this.area = null;
    this.show();
    this.on.ask(text);
  }

  set({ left, top, width, height }) {
    const w = clamp(width, SMALLEST, 100);
    const h = clamp(height, SMALLEST, 100);
    this.area = { left: clamp(left, 0, 100 - w), top: clamp(top, 0, 100 - h), width: w, height: h };
    this.show();
  }

  show() {
    this.box.hidden = !this.active;
    this.bar.hidden = !this.active;
    this.frame.classList.toggle("is-choosing", this.active);
    this.on.changed(this.active);
    if (!this.active) return;
    const { left, top, width, height } = this.area;
    Object.assign(this.box.style, { left: `${left}%`, top: `${top}%`, width: `${width}%`, height: `${height}%` });
    const told = [["left", left], ["top", top], ["width", width], ["height", height]];
    this.box.setAttribute("aria-label", `Part of the picture: ${told.map(([name, n]) => `${name} ${Math.round(n)} %`).join(", ")}`);
  }

  at(event) {
    const frame = this.frame.getBoundingClientRect();
    return {
      x: clamp((event.clientX - frame.left) / frame.width * 100, 0, 100),
      y: clamp((event.clientY - frame.top) / frame.height * 100, 0, 100),
    };
  }

  // A mouse draws at once. A finger draws only while a part is chosen: otherwise it turns the pages.
  down(event) {
    if (event.button !== 0 || (event.pointerType === "touch" && !this.active)) return;
    event.preventDefault();
    const from = this.at(event);
    const corner = event.target.dataset?.corner;
    if (corner) {
      const { left, top, width, height } = this.area;
      this.drag = { kind: "draw", x: corner.includes("w") ? left + width : left, y: corner.includes("n") ? top + height : top };
    } else if (event.target === this.box) {
      this.drag = { kind: "move", x: from.x - this.area.left, y: from.y - this.area.top };
    } else {
      this.drag = { kind: "draw", ...from };
    }
    this.frame.setPointerCapture(event.pointerId);
  }

  move(event) {
    if (!this.drag) return;
    const { x, y } = this.at(event);
    if (this.drag.kind === "move") return void this.set({ ...this.area, left: x - this.drag.x, top: y - this.drag.y });
    const width = Math.abs(x - this.drag.x);
    const height = Math.abs(y - this.drag.y);
    if (!this.active && (width < SMALLEST || height < SMALLEST)) return;
    this.set({ left: Math.min(x, this.drag.x), top: Math.min(y, this.drag.y), width, height });
  }

  up() {
    if (this.drag && this.active) this.box.focus({ preventScroll: true });
    this.drag = null;
  }

  key(event) {
    const step = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] }[event.key];
    if (event.key === "Enter") {
      event.preventDefault();
      event.stopPropagation();
      this.ask();
    }
    if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    const { left, top, width, height } = this.area;
    if (event.shiftKey) {
      this.set({ left, top, width: Math.min(width + step[0], 100 - left), height: Math.min(height + step[1], 100 - top) });
    } else {
      this.set({ left: left + step[0], top: top + step[1], width, height });
    }
  }
}

function clamp(value, least, most) {
  return Math.min(Math.max(value, least), Math.max(least, most));
}
