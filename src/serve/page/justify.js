// Lays pictures out in rows of equal height that fill the width. Pure arithmetic, no elements.

const NARROWEST = 0.5;
const WIDEST = 3;
// A last row is stretched to the full width up to this factor. A longer way would blow up its pictures.
const LAST_STRETCH = 1.35;

export function ratio(image) {
  const shape = image.width > 0 && image.height > 0 ? image.width / image.height : 1;
  return Math.min(WIDEST, Math.max(NARROWEST, shape));
}

export function rowHeight(width) {
  if (width < 560) return Math.max(128, width * 0.4);
  return Math.min(270, Math.max(170, width * 0.165));
}

// Returns {boxes: [{x, y, width, height}], height} for shapes (width by height) in order.
export function justify(shapes, width, target, gap) {
  const boxes = [];
  let row = [];
  let sum = 0;
  let y = 0;
  const heightOf = (count, total) => (width - gap * (count - 1)) / total;
  const close = (height, filled) => {
    let x = 0;
    row.forEach((shape, at) => {
      const last = filled && at === row.length - 1;
      const across = last ? width - x : Math.round(shape * height);
      boxes.push({ x, y, width: Math.max(1, across), height });
      x += across + gap;
    });
    y += height + gap;
    row = [];
    sum = 0;
  };
  for (const shape of shapes) {
    const before = row.length ? heightOf(row.length, sum) : Infinity;
    const after = heightOf(row.length + 1, sum + shape);
    if (after < target && before - target < target - after) close(Math.round(before), true);
    row.push(shape);
    sum += shape;
    const height = heightOf(row.length, sum);
    if (height <= target) close(Math.round(height), true);
  }
  if (row.length) {
    const height = heightOf(row.length, sum);
    const filled = height <= target * LAST_STRETCH;
    close(Math.round(filled ? height : target), filled);
  }
  return { boxes, height: Math.max(0, y - gap) };
}
