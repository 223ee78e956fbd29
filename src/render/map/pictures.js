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

  /** Returns the pictures to show, as places in `order`: the same ones wherever the view is moved to. */
  at(scale) {
    const level = this.level(scale);
    if (!this.levels.has(level)) this.levels.set(level, this.choose(level));
    return this.levels.get(level);
  }

  choose(level) {
    const { x, y, pictures } = this.data;
    const scale = this.fit * Math.pow(2, level / 2);
    const room = ROOM.near + ROOM.far * Math.pow(ROOM.fades, level);
    const apart = (this.side(scale) * room) / scale;
    const taken = new Map();
    const chosen = [];
    for (let rank = 0; rank < pictures.order.length; rank++) {
      const i = pictures.order[rank];
      const column = Math.floor(x[i] / apart);
      const row = Math.floor(y[i] / apart);
      if (!this.isFree(taken, column, row, x[i], y[i], apart)) continue;
      const key = `${column},${row}`;
      if (!taken.has(key)) taken.set(key, []);
      taken.get(key).push(i);
      chosen.push(rank);
    }
    return chosen;
  }

  isFree(taken, column, row, atX, atY, apart) {
    const { x, y } = this.data;
    for (let c = column - 1; c <= column + 1; c++) {
      for (let r = row - 1; r <= row + 1; r++) {
        for (const j of taken.get(`${c},${r}`) ?? []) {
          if (Math.abs(x[j] - atX) < apart && Math.abs(y[j] - atY) < apart) return false;
        }
      }
    }
    return true;
  }
}
