// Draws a region of the map: with the Shift key held, or while the lasso is on.

// Corners of what is drawn are left out where the outline bends by less, in pixels.
const BEND = 1.5;
const MOST_CORNERS = 150;
// Smaller regions are slips of the hand.
const SMALLEST = 12;

export class Lasso {
  // `map` is a CollectionMap; `done(corners)` is called with [x, y] of each corner on the map.
  constructor(map, done) {
    Object.assign(this, { map, done, on: false, path: null });
    const catching = { capture: true };
    map.canvas.addEventListener("pointerdown", (event) => this.down(event), catching);
    map.canvas.addEventListener("pointermove", (event) => this.move(event), catching);
    map.canvas.addEventListener("pointerup", (event) => this.up(event), catching);
    map.canvas.addEventListener("pointercancel", () => this.stop(), catching);
  }

  at(event) {
    const box = this.map.canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  // The map itself sees nothing of what is drawn.
  down(event) {
    if (!event.isPrimary || event.button !== 0 || !(this.on || event.shiftKey)) return;
    event.stopImmediatePropagation();
    event.preventDefault();
    this.map.canvas.focus({ preventScroll: true });
    this.map.canvas.setPointerCapture(event.pointerId);
    this.path = [this.at(event)];
  }

  move(event) {
    if (!this.path) return;
    event.stopImmediatePropagation();
    this.path.push(this.at(event));
    this.map.redraw();
  }

  up(event) {
    if (!this.path) return;
    event.stopImmediatePropagation();
    const path = simplified(this.path);
    this.stop();
    const [xs, ys] = [0, 1].map((axis) => path.map((point) => point[axis]));
    const size = Math.max(Math.max(...xs) - Math.min(...xs), Math.max(...ys) - Math.min(...ys));
    if (path.length >= 3 && size >= SMALLEST) this.done(path.map(([left, top]) => this.map.view.toMap(left, top)));
  }

  stop() {
    this.path = null;
    this.map.redraw();
  }

  // Draws what is being drawn, and the region that is chosen: corners on the map.
  draw(context, view, region, colour) {
    const corners = this.path || region?.map(([x, y]) => view.toScreen(x, y));
    if (!corners || corners.length < 2) return;
    context.beginPath();
    corners.forEach(([left, top], at) => (at ? context.lineTo(left, top) : context.moveTo(left, top)));
    context.closePath();
    context.globalAlpha = 0.12;
    context.fillStyle = colour;
    context.fill("evenodd");
    context.globalAlpha = 1;
    context.lineWidth = 2;
    context.lineJoin = "round";
    context.strokeStyle = colour;
    context.stroke();
  }
}

// Douglas and Peucker's: keeps the corners without which the outline would move too far.
function simplified(path) {
  for (let bend = BEND; ; bend *= 1.5) {
    const kept = between(path, 0, path.length - 1, bend * bend);
    const corners = [path[0], ...kept.map((at) => path[at]), path.at(-1)];
    if (corners.length <= MOST_CORNERS) return corners;
  }
}

function between(path, first, last, bend) {
  let [far, at] = [bend, -1];
  for (let i = first + 1; i < last; i += 1) {
    const distance = fromLine(path[i], path[first], path[last]);
    if (distance > far) [far, at] = [distance, i];
  }
  return at < 0 ? [] : [...between(path, first, at, bend), at, ...between(path, at, last, bend)];
}

// The square of how far a point is from a line.
function fromLine([x, y], [ax, ay], [bx, by]) {
  const length = (bx - ax) ** 2 + (by - ay) ** 2;
  const share = length ? Math.min(1, Math.max(0, ((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length)) : 0;
  return (x - ax - share * (bx - ax)) ** 2 + (y - ay - share * (by - ay)) ** 2;
}

// A region as the address has it: with as many digits as can be seen.
export function regionText(corners, scale) {
  const digits = Math.min(5, Math.max(1, Math.ceil(Math.log10(scale)) + 1));
  return corners.flat().map((number) => Number(number.toFixed(digits))).join(",");
}

export function cornersOf(text) {
  const all = (text || "").split(",").map(Number);
  if (all.length < 6 || all.length % 2 || all.some(Number.isNaN)) return null;
  return Array.from({ length: all.length / 2 }, (_, at) => [all[2 * at], all[2 * at + 1]]);
}
