// The justified grid: groups of tiles, the arrow keys among them, and a layout that never moves by itself.

import { icon, make } from "./dom.js";
import { justify, ratio, rowHeight } from "./justify.js";
import { createTile, fillTile, placeTile } from "./tile.js";
import { monthKey, months } from "./words.js";

// Months with fewer pictures are joined with the next, so that headings do not tear the grid apart.
const SMALLEST_GROUP = 16;

export class Grid {
  // `on`: {open, alike, more, less} are called with an image.
  constructor(root, on) {
    this.root = root;
    this.on = on;
    this.width = 0;
    this.clear();
    root.addEventListener("click", (event) => this.clicked(event));
    root.addEventListener("keydown", (event) => this.pressed(event));
    root.addEventListener("focusin", (event) => this.focused(event));
    // Neither event bubbles, so both are caught on their way down.
    root.addEventListener("load", (event) => event.target.closest(".tile")?.classList.add("is-loaded"), true);
    root.addEventListener("error", (event) => broken(event.target.closest(".tile")), true);
    new ResizeObserver(() => this.resized()).observe(root);
  }

  clear() {
    this.root.replaceChildren();
    this.items = [];
    this.groups = [];
    this.places = new Map();
    this.active = null;
  }

  // Replaces everything. `options`: {grouped, href(image), asking, role(image)}.
  show(images, options) {
    this.clear();
    this.options = options;
    this.append(images);
    if (this.items.length) this.activate(this.items[0]);
  }

  append(images) {
    const touched = new Set();
    for (const image of images) {
      // While the index changes, a later page can repeat a picture of an earlier one.
      if (this.places.has(String(image.id))) continue;
      const group = this.groupOf(image);
      const { href, asking, role } = this.options;
      const tile = createTile(image, { href: href(image), asking, role: role(image) });
      const item = { image, tile, group, index: this.items.length, box: null };
      this.places.set(String(image.id), item);
      this.items.push(item);
      group.items.push(item);
      touched.add(group);
    }
    this.width = this.root.clientWidth;
    for (const group of touched) {
      this.place(group);
      group.list.append(...group.items.map((item) => item.tile).filter((tile) => !tile.parentNode));
    }
    if (!this.active && this.items.length) this.activate(this.items[0]);
  }

  groupOf(image) {
    const key = this.options.grouped ? monthKey(image) : null;
    let group = this.groups.at(-1);
    if (!group || (this.options.grouped && key !== group.last && group.items.length >= SMALLEST_GROUP)) {
      group = { first: key, items: [], list: make("ol", { class: "tiles" }) };
      group.heading = this.options.grouped ? make("h2", { class: "month" }) : null;
      this.root.append(make("section", { class: "group" }, group.heading, group.list));
      this.groups.push(group);
    }
    group.last = key;
    if (group.heading) group.heading.textContent = months(group.first, group.last);
    return group;
  }

  place(group) {
    const gap = this.width < 560 ? 4 : 6;
    const { boxes, height } = justify(group.items.map((item) => ratio(item.image)), this.width, rowHeight(this.width), gap);
    group.list.style.height = `${height}px`;
    group.items.forEach((item, at) => {
      item.box = boxes[at];
      placeTile(item.tile, item.box);
      fillTile(item.tile, item.image, item.box);
    });
  }

  // After a change of width, the picture at the top of the window stays where it was.
  resized() {
    if (this.root.clientWidth === this.width || !this.root.clientWidth) return;
    const anchor = scrollY > 0 && this.items.find((item) => item.tile.getBoundingClientRect().bottom > 80);
    const before = anchor ? anchor.tile.getBoundingClientRect().top : 0;
    this.width = this.root.clientWidth;
    for (const group of this.groups) this.place(group);
    if (anchor) scrollBy(0, anchor.tile.getBoundingClientRect().top - before);
  }

  item(id) {
    return this.places.get(String(id)) || null;
  }

  // Exactly one tile is reached by Tab; its buttons follow it.
  activate(item) {
    if (this.active) reachable(this.active.tile, false);
    this.active = item;
    reachable(item.tile, true);
  }

  focus(id) {
    const item = this.item(id) || this.items[0];
    if (!item) return false;
    this.activate(item);
    item.tile.querySelector("a").focus();
    return true;
  }

  // Puts the keyboard back to the start of new pictures, without moving the page.
  focusFirst() {
    this.items[0]?.tile.querySelector("a").focus({ preventScroll: true });
  }

  hasFocus() {
    return this.root.contains(document.activeElement) && this.root !== document.activeElement;
  }

  itemAt(element) {
    const tile = element.closest?.(".tile");
    return tile ? this.item(tile.dataset.id) : null;
  }

  focused(event) {
    const item = this.itemAt(event.target);
    if (item && item !== this.active) this.activate(item);
  }

  clicked(event) {
    const item = this.itemAt(event.target);
    if (!item) return;
    const button = event.target.closest("[data-action]");
    if (button) return void this.on[button.dataset.action](item.image);
    // With a modifier the browser opens the link in a new tab or window.
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey || event.button) return;
    event.preventDefault();
    this.on.open(item.image);
  }

  pressed(event) {
    const item = this.itemAt(event.target);
    if (!item || event.ctrlKey || event.metaKey || event.altKey) return;
    const to = this.target(event.key, item);
    if (to) {
      event.preventDefault();
      this.focus(to.image.id);
      return;
    }
    const action = { m: "alike", "+": "more", "=": "more", "-": "less", "−": "less" }[event.key];
    if (!action) return;
    event.preventDefault();
    if (action === "alike" || this.options.asking) this.on[action](item.image);
  }

  target(key, item) {
    switch (key) {
      case "ArrowLeft": return this.items[item.index - 1];
      case "ArrowRight": return this.items[item.index + 1];
      case "ArrowUp": return this.inNextRow(item, -1);
      case "ArrowDown": return this.inNextRow(item, 1);
      case "Home": return this.items[0];
      case "End": return this.items.at(-1);
      default: return null;
    }
  }

  // The tile of the row above or below whose middle is nearest.
  inNextRow(from, step) {
    const sameRow = (one, other) => one.group === other.group && one.box.y === other.box.y;
    let at = from.index;
    while (this.items[at] && sameRow(this.items[at], from)) at += step;
    const start = this.items[at];
    if (!start) return null;
    const middle = (item) => item.box.x + item.box.width / 2;
    let best = start;
    for (; this.items[at] && sameRow(this.items[at], start); at += step) {
      if (Math.abs(middle(this.items[at]) - middle(from)) < Math.abs(middle(best) - middle(from))) best = this.items[at];
    }
    return best;
  }
}

// A preview that cannot be had leaves a calm place with the picture's name.
function broken(tile) {
  if (!tile || tile.classList.contains("is-broken")) return;
  tile.classList.add("is-broken");
  tile.querySelector("a").append(icon("picture"));
}

function reachable(tile, yes) {
  for (const element of tile.querySelectorAll("a, button")) element.tabIndex = yes ? 0 : -1;
}
