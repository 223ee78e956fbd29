// Reads the answer with the map, and fetches the small pictures on it as they come into view.

import { thumbnail } from "./api.js";

// So many are fetched at once, and so many are kept.
const AT_ONCE = 6;
const KEPT = 600;
// The largest side of a picture on the map, in pixels of the page.
const SIDE = 112;
const NO_GROUP = 65535;

function bytes(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

function numbers(text) {
  const view = new DataView(bytes(text).buffer);
  return Uint16Array.from({ length: view.byteLength / 2 }, (_, at) => view.getUint16(2 * at, true));
}

// Returns { ids, x, y, group, groups, order } of an answer.
export function read(answer) {
  const [left, bottom, right, top] = answer.bounds;
  const between = (text, low, high) => Float32Array.from(numbers(text), (share) => low + share / 65535 * (high - low));
  const ids = new Float64Array(answer.images);
  let at = 0;
  for (const [first, count] of answer.ids) for (let i = 0; i < count; i += 1) ids[at++] = first + i;
  return {
    ids,
    x: between(answer.x, left, right),
    y: between(answer.y, bottom, top),
    group: Int32Array.from(numbers(answer.group), (group) => (group === NO_GROUP ? -1 : group)),
    groups: answer.groups.map((group) => ({ name: group.name || "", words: group.words, size: group.images, place: group.place })),
    order: ordered(bytes(answer.rank)),
  };
}

// The places of images by their rank, which has 256 steps.
function ordered(ranks) {
  const starts = new Uint32Array(257);
  for (const rank of ranks) starts[rank + 1] += 1;
  for (let i = 1; i < starts.length; i += 1) starts[i] += starts[i - 1];
  const order = new Uint32Array(ranks.length);
  ranks.forEach((rank, image) => { order[starts[rank]++] = image; });
  return order;
}

// What the map draws its pictures from. `arrived()` is called when there is another.
export class Thumbnails {
  constructor({ ids, order }, arrived) {
    Object.assign(this, { ids, order, arrived, kept: new Map(), wanted: [], loading: 0 });
  }

  of(rank) {
    const found = this.kept.get(rank);
    if (found === undefined) this.wanted.push(rank);
    else if (found) found.used = true;
    return found || undefined;
  }

  // After each drawing: fetches what was looked for last, and forgets what has not been looked at.
  drawn() {
    this.next();
    this.queue = this.wanted;
    this.wanted = [];
    this.next();
    if (this.kept.size <= KEPT) return this.rest();
    for (const [rank, picture] of this.kept) {
      if (this.kept.size <= KEPT / 2) break;
      if (picture && !picture.used) {
        picture.source.close?.();
        this.kept.delete(rank);
      }
    }
    return this.rest();
  }

  rest() {
    for (const picture of this.kept.values()) if (picture) picture.used = false;
  }

  next() {
    while (this.loading < AT_ONCE && this.queue?.length) {
      const rank = this.queue.shift();
      if (!this.kept.has(rank)) this.load(rank);
    }
  }

  async load(rank) {
    this.loading += 1;
    // Nobody asks for it a second time meanwhile.
    this.kept.set(rank, null);
    try {
      const image = new Image();
      image.src = thumbnail(this.ids[this.order[rank]], 256);
      await image.decode();
      const scale = Math.min(1, SIDE * (window.devicePixelRatio || 1) / Math.max(image.naturalWidth, image.naturalHeight));
      const [width, height] = [image.naturalWidth, image.naturalHeight].map((side) => Math.max(1, Math.round(side * scale)));
      const source = await createImageBitmap(image, { resizeWidth: width, resizeHeight: height, resizeQuality: "medium" });
      this.kept.set(rank, { source, left: 0, top: 0, width, height, longest: Math.max(width, height), used: true });
      this.arrived();
    } catch {
      // It stays a dot.
    } finally {
      this.loading -= 1;
      this.next();
    }
  }

  close() {
    for (const picture of this.kept.values()) picture?.source.close?.();
    this.kept.clear();
    this.queue = [];
  }
}
