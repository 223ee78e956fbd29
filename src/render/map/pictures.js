// Which pictures are shown at which zoom, and how large.

/** Side of a picture in pixels when the whole map is seen, and the largest one. */
const SMALLEST = 40;
const LARGEST = 112;

/** The room that a picture keeps around itself, in its own sides: much when the whole map is seen, little further in. */
const ROOM = { far: 1.1, near: 1.12, fades: 0.5 };

/** Chooses pictures level by level. A level is a factor of the square root of two. */
export class Pictures {
  constructor(data, fit) {
    this.data = data;
    this.fit = fit;
    this.levels = new Map();
  }

  level(scale) {
    return Math.max(0, Math.floor(2 * Math.log2(Math.max(scale / this.fit, 1)) + 1e-6));
  }

  side(scale) {
    return Math.min(LARGEST, SMALLEST * Math.pow(Math.max(scale / this.fit, 1), 0.28));
  }

  /**
   * Returns the pictures to show from `first` to `last` along x, as places in `order`: the same ones wherever the view is
   * moved to.
   */
  at(scale, first, last) {
    const level = this.level(scale);
    if (!this.levels.has(level)) this.levels.set(level, this.choose(level));
    const { places, ranks } = this.levels.get(level);
    return ranks.subarray(firstAbove(places, first), firstAbove(places, last));
  }

  choose(level) {
    const { x, y, pictures } = this.data;
    const scale = this.fit * Math.pow(2, level / 2);
    const room = ROOM.near + ROOM.far * Math.pow(ROOM.fades, level);
    const apart = (this.side(scale) * room) / scale;
    const taken = new Cells(pictures.order.length);
    const chosen = [];
    for (let rank = 0; rank < pictures.order.length; rank++) {
      const i = pictures.order[rank];
      const column = Math.floor(x[i] / apart);
      const row = Math.floor(y[i] / apart);
      if (!this.isFree(taken, column, row, x[i], y[i], apart)) continue;
      taken.put(column, row, i);
      chosen.push(rank);
    }
    chosen.sort((a, b) => x[pictures.order[a]] - x[pictures.order[b]]);
    return { ranks: Uint32Array.from(chosen), places: Float32Array.from(chosen, (rank) => x[pictures.order[rank]]) };
  }

  isFree(taken, column, row, atX, atY, apart) {
    const { x, y } = this.data;
    for (let c = column - 1; c <= column + 1; c++) {
      for (let r = row - 1; r <= row + 1; r++) {
        const j = taken.get(c, r);
        if (j >= 0 && Math.abs(x[j] - atX) < apart && Math.abs(y[j] - atY) < apart) return false;
      }
    }
    return true;
  }
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
