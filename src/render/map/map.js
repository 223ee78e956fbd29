// A map of a collection: dots, pictures and names that are moved and zoomed. Knows nothing of the page around it.
//
// `data` is { x, y: Float32Array, group: Int32Array (-1 for none), groups: [{ name, size, place: [x, y] or null }],
// pictures: { order: Uint32Array, of(rank) } }. Picture `rank` shows image `order[rank]`; more important ones come first.
// `of` returns { source, left, top, width, height, longest }: what to draw from, the part of it, and how many of its
// pixels the side of a picture has; undefined as long as there is nothing to draw.

import { ALL, Dots } from "./dots.js";
import { Pictures } from "./pictures.js";

const FURTHEST = 4000;
const REACH = 14;
const FLIGHT = 450;

/** Colours of groups: hues a golden angle apart, so that neighbours in size differ. */
export class Colours {
  constructor(groups) {
    this.list = groups.map((_, place) => hsl((place * 137.508 + 210) % 360, 0.62, place % 2 ? 0.6 : 0.52));
    this.none = [140, 140, 148];
  }
  of(group) {
    return this.list[group] ?? this.none;
  }
  css(group) {
    return `rgb(${this.of(group).join()})`;
  }
}

function hsl(hue, saturation, light) {
  const part = (n) => {
    const k = (n + hue / 30) % 12;
    const value = light - saturation * Math.min(light, 1 - light) * Math.max(-1, Math.min(k - 3, 9 - k, 1));
    return Math.round(255 * value);
  };
  return [part(0), part(8), part(4)];
}

/** The part of the map that is seen: its middle, and pixels for each unit. */
class View {
  constructor() {
    Object.assign(this, { x: 0, y: 0, scale: 1, width: 1, height: 1, ratio: 1 });
  }
  toScreen(x, y) {
    return [(x - this.x) * this.scale + this.width / 2, (this.y - y) * this.scale + this.height / 2];
  }
  toMap(left, top) {
    return [this.x + (left - this.width / 2) / this.scale, this.y - (top - this.height / 2) / this.scale];
  }
}

export class CollectionMap {
  /**
   * Draws into `root`. `on` is told: hover(image or -1, left, top), pick(image or -1), chosen(group or ALL), and
   * drawn(context, view) to draw over it.
   */
  constructor(root, data, on) {
    Object.assign(this, { root, data, on, chosen: ALL, picked: -1, view: new View() });
    this.colours = new Colours(data.groups);
    const canvas = () => root.appendChild(document.createElement("canvas"));
    const below = canvas();
    this.canvas = canvas();
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "application");
    this.canvas.setAttribute("aria-label", "Map. Arrow keys move it, plus and minus zoom, 0 shows all of it");
    this.context = this.canvas.getContext("2d");
    this.dots = new Dots(below, data, this.colours);
    this.canvases = [below, this.canvas];
    this.bounds = boundsOf(data, () => true);
    this.listen();
    new ResizeObserver(() => this.resize()).observe(root);
    this.resize();
    this.show(this.bounds, true);
  }

  resize() {
    const { view } = this;
    // Hidden, it stays as it was.
    if (!this.root.clientWidth) return;
    const isFirst = view.width === 1;
    view.width = this.root.clientWidth || 1;
    view.height = this.root.clientHeight || 1;
    view.ratio = window.devicePixelRatio || 1;
    for (const canvas of this.canvases) {
      canvas.width = Math.round(view.width * view.ratio);
      canvas.height = Math.round(view.height * view.ratio);
    }
    const before = this.fit;
    this.fit = this.scaleFor(this.bounds);
    this.pictures = new Pictures(this.data, this.fit, () => this.redraw());
    if (!isFirst && before && Math.abs(view.scale - before) < before * 0.01) this.show(this.bounds, true);
    this.redraw();
  }

  scaleFor([left, bottom, right, top]) {
    const { width, height } = this.view;
    const room = Math.min(72, width / 8);
    return Math.min((width - room) / Math.max(right - left, 1e-3), (height - room) / Math.max(top - bottom, 1e-3));
  }

  /** Moves the view to a part of the map, at once or in flight. */
  show(bounds, atOnce = false) {
    const scale = Math.min(this.scaleFor(bounds), this.fit * FURTHEST);
    const to = { x: (bounds[0] + bounds[2]) / 2, y: (bounds[1] + bounds[3]) / 2, scale };
    const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.flight = undefined;
    if (atOnce || still) Object.assign(this.view, to);
    else {
      const { x, y, scale } = this.view;
      this.flight = { from: { x, y, scale }, to, start: performance.now() };
    }
    this.redraw();
  }

  showAll() {
    this.show(this.bounds);
  }

  /** Chooses a group, which the others turn pale beside, and shows it; ALL chooses none. */
  choose(group, move = true) {
    this.chosen = group;
    if (move) this.show(group === ALL ? this.bounds : boundsOf(this.data, (i) => this.data.group[i] === group));
    this.on.chosen?.(group);
    this.redraw();
  }

  pick(image) {
    this.picked = image;
    this.on.pick?.(image);
    this.redraw();
  }

  zoom(factor, left = this.view.width / 2, top = this.view.height / 2) {
    const { view } = this;
    this.flight = undefined;
    const [x, y] = view.toMap(left, top);
    view.scale = Math.min(Math.max(view.scale * factor, this.fit * 0.5), this.fit * FURTHEST);
    const [newX, newY] = view.toMap(left, top);
    view.x += x - newX;
    view.y += y - newY;
    this.redraw();
  }

  move(left, top) {
    const { view, bounds } = this;
    this.flight = undefined;
    view.x = Math.min(Math.max(view.x - left / view.scale, bounds[0]), bounds[2]);
    view.y = Math.min(Math.max(view.y + top / view.scale, bounds[1]), bounds[3]);
    this.redraw();
  }

  /** Returns the image under a place on the screen, or -1. */
  imageAt(left, top) {
    for (const shown of this.drawn ?? []) {
      if (left >= shown.left && left <= shown.left + shown.width && top >= shown.top && top <= shown.top + shown.height)
        return shown.image;
    }
    const { data, view } = this;
    const [x, y] = view.toMap(left, top);
    let best = (REACH / view.scale) ** 2;
    let found = -1;
    for (let i = 0; i < data.x.length; i++) {
      const [across, along] = [data.x[i] - x, data.y[i] - y];
      const far = across * across + along * along;
      if (far < best) [best, found] = [far, i];
    }
    return found;
  }

  redraw() {
    this.waiting ??= requestAnimationFrame((now) => {
      this.waiting = undefined;
      this.fly(now);
      this.draw();
    });
  }

  fly(now) {
    if (!this.flight) return;
    const { from, to, start } = this.flight;
    const done = Math.min(1, (now - start) / FLIGHT);
    const eased = done < 0.5 ? 2 * done * done : 1 - Math.pow(2 - 2 * done, 2) / 2;
    const scale = from.scale * Math.pow(to.scale / from.scale, eased);
    // Moves along with the zoom, so that the target comes straight nearer.
    const grown = to.scale === from.scale ? eased : (1 / from.scale - 1 / scale) / (1 / from.scale - 1 / to.scale);
    const between = (a, b) => a + (b - a) * grown;
    Object.assign(this.view, { x: between(from.x, to.x), y: between(from.y, to.y), scale });
    if (done < 1) this.redraw();
    else this.flight = undefined;
  }

  draw() {
    const { view, context } = this;
    const size = Math.min(9, 2.6 + 1.1 * Math.log2(Math.max(1, view.scale / this.fit)) + (this.data.x.length < 3000 ? 1.4 : 0));
    this.dots.draw(view, size, this.chosen);
    context.setTransform(view.ratio, 0, 0, view.ratio, 0, 0);
    context.clearRect(0, 0, view.width, view.height);
    const style = getComputedStyle(this.root);
    this.paper = style.getPropertyValue("--ground").trim() || "#fff";
    this.ink = style.getPropertyValue("--ink").trim() || "#000";
    this.drawPictures();
    this.drawNames();
    if (this.picked >= 0) this.drawRing(this.picked);
    this.on.drawn?.(context, view);
  }

  drawPictures() {
    const { data, view, context } = this;
    const { pictures } = data;
    const side = this.pictures.side(view.scale);
    this.drawn = [];
    const [first] = view.toMap(-side, 0);
    const [last] = view.toMap(view.width + side, 0);
    for (const rank of this.pictures.at(view.scale, first, last)) {
      const image = pictures.order[rank];
      const [middle, centre] = view.toScreen(data.x[image], data.y[image]);
      if (centre < -side || centre > view.height + side) continue;
      const isPale = this.chosen !== ALL && data.group[image] !== this.chosen;
      if (isPale) continue;
      const from = pictures.of(rank);
      if (!from) continue;
      const scale = side / from.longest;
      const [width, height] = [from.width * scale, from.height * scale];
      const [left, top] = [middle - width / 2, centre - height / 2];
      context.fillStyle = this.colours.css(data.group[image]);
      frame(context, left - 2, top - 2, width + 4, height + 4, 5);
      context.fill();
      context.save();
      frame(context, left, top, width, height, 3.5);
      context.clip();
      context.drawImage(from.source, from.left, from.top, from.width, from.height, left, top, width, height);
      context.restore();
      this.drawn.push({ image, left, top, width, height });
    }
  }

  drawNames() {
    const { data, view, context } = this;
    const taken = [];
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.lineJoin = "round";
    const most = data.groups[0]?.size ?? 1;
    for (let group = 0; group < data.groups.length; group++) {
      const { name, size, place } = data.groups[group];
      if (!name || !place || (this.chosen !== ALL && this.chosen !== group)) continue;
      const [left, centre] = view.toScreen(...place);
      const text = 12 + 7 * Math.sqrt(size / most);
      context.font = `650 ${text}px system-ui, sans-serif`;
      // Below the picture that may lie there.
      const top = centre + this.pictures.side(view.scale) * 0.42 + text * 0.85;
      const wide = context.measureText(name).width / 2 + 9;
      const box = [left - wide, top - text * 0.85, left + wide, top + text * 0.85];
      if (box[2] < 0 || box[0] > view.width || box[3] < 0 || box[1] > view.height) continue;
      if (taken.some((other) => box[0] < other[2] && box[2] > other[0] && box[1] < other[3] && box[3] > other[1])) continue;
      taken.push(box);
      context.globalAlpha = 0.86;
      context.fillStyle = this.paper;
      frame(context, box[0], box[1], 2 * wide, text * 1.7, text * 0.85);
      context.fill();
      context.globalAlpha = 1;
      context.fillStyle = this.colours.css(group);
      frame(context, box[0] + 5, top - 3.5, 7, 7, 3.5);
      context.fill();
      context.fillStyle = this.ink;
      context.fillText(name, left + 6, top + 0.5);
    }
  }

  drawRing(image) {
    const { data, view, context } = this;
    const shown = this.drawn.find((one) => one.image === image);
    context.lineWidth = 3;
    context.strokeStyle = this.ink;
    const [left, top] = view.toScreen(data.x[image], data.y[image]);
    if (shown) frame(context, shown.left - 4, shown.top - 4, shown.width + 8, shown.height + 8, 7);
    else frame(context, left - 8, top - 8, 16, 16, 8);
    context.stroke();
  }

  listen() {
    const { canvas } = this;
    const held = new Map();
    let moved = 0;
    const at = (event) => {
      const box = canvas.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      const step = event.deltaMode === 1 ? 16 : 1;
      this.zoom(Math.exp(-event.deltaY * step * 0.0022), ...at(event));
    }, { passive: false });
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      held.set(event.pointerId, at(event));
      moved = 0;
    });
    canvas.addEventListener("pointermove", (event) => {
      const to = at(event);
      if (!held.has(event.pointerId)) {
        this.on.hover?.(this.imageAt(...to), ...to);
        return;
      }
      const from = held.get(event.pointerId);
      const others = [...held].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
      held.set(event.pointerId, to);
      moved += Math.hypot(to[0] - from[0], to[1] - from[1]);
      if (others.length) {
        const apart = (place) => Math.hypot(place[0] - others[0][0], place[1] - others[0][1]);
        this.zoom(apart(to) / Math.max(apart(from), 1), (to[0] + others[0][0]) / 2, (to[1] + others[0][1]) / 2);
        moved = REACH;
      } else this.move(to[0] - from[0], to[1] - from[1]);
      canvas.classList.toggle("moving", moved > 4);
      this.on.hover?.(-1, ...to);
    });
    const release = (event) => {
      held.delete(event.pointerId);
      canvas.classList.remove("moving");
    };
    canvas.addEventListener("pointerup", (event) => {
      if (held.has(event.pointerId) && moved <= 4) this.pick(this.imageAt(...at(event)));
      release(event);
    });
    canvas.addEventListener("pointercancel", release);
    canvas.addEventListener("pointerleave", (event) => this.on.hover?.(-1, ...at(event)));
    canvas.addEventListener("dblclick", (event) => this.zoom(2.5, ...at(event)));
    canvas.addEventListener("keydown", (event) => this.key(event));
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = event.shiftKey ? 240 : 80;
    const does = {
      ArrowLeft: () => this.move(step, 0),
      ArrowRight: () => this.move(-step, 0),
      ArrowUp: () => this.move(0, step),
      ArrowDown: () => this.move(0, -step),
      "+": () => this.zoom(1.5),
      "=": () => this.zoom(1.5),
      "-": () => this.zoom(1 / 1.5),
      0: () => this.showAll(),
      Enter: () => this.pick(this.imageAt(this.view.width / 2, this.view.height / 2)),
    }[event.key];
    if (does) {
      event.preventDefault();
      does();
    }
  }
}

function frame(context, left, top, width, height, round) {
  context.beginPath();
  context.roundRect(left, top, width, height, round);
}

/** Returns left, bottom, right and top of some images, without the outermost few of many. */
function boundsOf(data, isIn) {
  const [xs, ys] = [[], []];
  for (let i = 0; i < data.x.length; i++) {
    if (isIn(i)) {
      xs.push(data.x[i]);
      ys.push(data.y[i]);
    }
  }
  if (!xs.length) return [-1, -1, 1, 1];
  const ends = (list) => {
    const sorted = Float32Array.from(list).sort();
    const cut = Math.floor(sorted.length * 0.002);
    const [low, high] = [sorted[cut], sorted[sorted.length - 1 - cut]];
    return high - low > 0.5 ? [low, high] : [low - 0.5, high + 0.5];
  };
  const [[left, right], [bottom, top]] = [ends(xs), ends(ys)];
  return [left, bottom, right, top];
}
