// Which pictures are shown at which zoom, and how large.

/** Side of a picture in pixels when the whole map is seen, and the largest one. */
const SMALLEST = 40;
const LARGEST = 112;

/** The room that a picture keeps around itself, in its own sides: much when the whole map is seen, little further in. */
const ROOM = { far: 1.1, near: 1.12, fades: 0.5 };

/** Milliseconds of choosing between two frames. */
const SLICE = 4;

/** Chooses pictures level by level. A level is a factor of the square root of two. */
export class Pictures {
  /** `ready()` is called when there is a better choice than the last one. */
  constructor(data, fit, ready) {
    Object.assign(this, { data, fit, ready, levels: new Map() });
    // Sorted once, because sorting what a level shows would take longer than choosing it.
    data.pictures.byPlace ??= byPlace(data);
  }

  level(scale) {
    return Math.max(0, Math.floor(2 * Math.log2(Math.max(scale / this.fit, 1)) + 1e-6));
  }

  side(scale) {
    return Math.min(LARGEST, SMALLEST * Math.pow(Math.max(scale / this.fit, 1), 0.28));
  }

  /**
   * Returns the pictures to show from `first` to `last` along x, as places in `order`: the same ones wherever the view is
   * moved to. While a choice is being made, it is a coarser one.
   */
  at(scale, first, last) {
    this.wanted = this.level(scale);
    let level = this.wanted;
    while (level > 0 && !this.levels.has(level)) level -= 1;
    if (!this.levels.has(level)) this.levels.set(level, new Choice(this, level).go(Infinity));
    this.work();
    const { places, ranks } = this.levels.get(level);
    return ranks.subarray(firstAbove(places, first), firstAbove(places, last));
  }

  /** Chooses for the level that is seen and for those that zooming leads to, a little at a time. */
  work() {
    const next = [this.wanted, this.wanted + 1, this.wanted - 1].find((one) => one >= 0 && !this.levels.has(one));
    if (this.timer || next === undefined) return;
    if (this.choice?.level !== next) this.choice = new Choice(this, next);
    this.timer = setTimeout(() => {
      this.timer = undefined;
      const chosen = this.choice.go(performance.now() + SLICE);
      if (chosen) {
        this.levels.set(next, chosen);
        if (next === this.wanted) this.ready();
      }
      this.work();
    });
  }
}

/** What is chosen for a level: the more important pictures first, each if it is far enough from those before. */
class Choice {
  constructor(pictures, level) {
    const { data, fit } = pictures;
    const scale = fit * Math.pow(2, level / 2);
    const room = ROOM.near + ROOM.far * Math.pow(ROOM.fades, level);
    const { length } = data.pictures.order;
    Object.assign(this, { data, level, rank: 0, taken: new Cells(length), chosen: new Uint8Array(length) });
    this.apart = (pictures.side(scale) * room) / scale;
  }

  /** Goes on until a moment. Returns `{ ranks, places }` along x when it is done. */
  go(until) {
    const { x, y, pictures } = this.data;
    const { apart, taken, chosen } = this;
    const start = this.rank;
    for (; this.rank < chosen.length; this.rank++) {
      const isLate = this.rank > start && this.rank % 512 === 0 && performance.now() > until;
      if (isLate) return undefined;
      const i = pictures.order[this.rank];
      const column = Math.floor(x[i] / apart);
      const row = Math.floor(y[i] / apart);
      if (!this.isFree(column, row, x[i], y[i])) continue;
      taken.put(column, row, i);
      chosen[this.rank] = 1;
    }
    const ranks = pictures.byPlace.filter((rank) => chosen[rank]);
    return { ranks, places: Float32Array.from(ranks, (rank) => x[pictures.order[rank]]) };
  }

  isFree(column, row, atX, atY) {
    const { x, y } = this.data;
    const { apart, taken } = this;
    for (let c = column - 1; c <= column + 1; c++) {
      for (let r = row - 1; r <= row + 1; r++) {
        const j = taken.get(c, r);
        if (j >= 0 && Math.abs(x[j] - atX) < apart && Math.abs(y[j] - atY) < apart) return false;
      }
    }
    return true;
  }
}

/** Returns the places in `order` sorted along x. */
function byPlace({ x, pictures: { order } }) {
  const along = Float32Array.from(order, (image) => x[image]);
  return Uint32Array.from(order, (_, rank) => rank).sort((a, b) => along[a] - along[b]);
}

/** Cells of a grid that hold one number each: two pictures in one cell would be too near each other. */
class Cells {
  constructor(most) {
    this.mask = 2 ** Math.ceil(Math.log2(2 * most + 2)) - 1;
    this.keys = new Int32Array(2 * (this.mask + 1));
    this.values = new Int32Array(this.mask + 1).fill(-1);
  }

  /** Returns where a cell is, or where it would be. */
  slot(column, row) {
    let slot = (Math.imul(column, 73856093) ^ Math.imul(row, 19349663)) & this.mask;
    while (this.values[slot] >= 0 && (this.keys[2 * slot] !== column || this.keys[2 * slot + 1] !== row)) slot = (slot + 1) & this.mask;
    return slot;
  }

  get(column, row) {
    return this.values[this.slot(column, row)];
  }

  put(column, row, value) {
    const slot = this.slot(column, row);
    this.keys[2 * slot] = column;
    this.keys[2 * slot + 1] = row;
    this.values[slot] = value;
  }
}

/** Returns the place of the first of ascending numbers that is above one. */
function firstAbove(numbers, limit) {
  let [low, high] = [0, numbers.length];
  while (low < high) {
    const half = (low + high) >> 1;
    if (numbers[half] > limit) high = half;
    else low = half + 1;
  }
  return low;
}
