// Pictures that lie in sheets: `columns` in a row and as many rows, `tile` pixels apart.

export class Sheets {
  /** `given` is { tile, columns, order: Uint32Array, sizes: Uint8Array (width and height of each), sheets: [image] }. */
  constructor(given) {
    Object.assign(this, given);
  }

  of(rank) {
    const { tile, columns, sizes } = this;
    const each = columns * columns;
    const source = this.sheets[Math.floor(rank / each)];
    if (!source?.complete) return undefined;
    const place = rank % each;
    const [left, top] = [(place % columns) * tile, Math.floor(place / columns) * tile];
    return { source, left, top, width: sizes[2 * rank], height: sizes[2 * rank + 1], longest: tile };
  }
}
