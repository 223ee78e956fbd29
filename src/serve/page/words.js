// How numbers, sizes, dates and paths are written.

const NUMBER = new Intl.NumberFormat("en-GB");
const MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];

export const number = (n) => NUMBER.format(n);

export function pictures(n) {
  return n === 1 ? "1 picture" : `${number(n)} pictures`;
}

export function percent(share) {
  // Almost everything is not everything: 99.6 % stays below 100 %.
  const rounded = share < 1 ? Math.min(99, Math.round(share * 100)) : 100;
  return `${Math.max(0, rounded)}\u00a0%`;
}

export function bytes(n) {
  for (const [unit, size] of [["GB", 1e9], ["MB", 1e6], ["kB", 1e3]]) {
    if (n >= size) return `${(n / size).toFixed(n < 10 * size ? 1 : 0)}\u00a0${unit}`;
  }
  return `${n}\u00a0bytes`;
}

// Sizes in the address are written 200k or 5M.
export function sizeOf(text) {
  const found = /^(\d+)([kMG])$/i.exec(text);
  return found ? `${found[1]}\u00a0${{ k: "kB", m: "MB", g: "GB" }[found[2].toLowerCase()]}` : text;
}

// The camera's clock has no time zone, so it is read as it is written. Other times are moments.
export function when(image) {
  if (image.taken) return pieces(image.taken);
  const moment = new Date(image.modified);
  if (Number.isNaN(moment.getTime())) return null;
  const two = (n) => String(n).padStart(2, "0");
  return {
    year: moment.getFullYear(), month: moment.getMonth() + 1, day: moment.getDate(),
    time: `${two(moment.getHours())}:${two(moment.getMinutes())}`,
  };
}

function pieces(text) {
  const found = /^(\d{4})-(\d\d)(?:-(\d\d))?(?:T(\d\d:\d\d))?/.exec(text || "");
  if (!found) return null;
  return { year: Number(found[1]), month: Number(found[2]), day: Number(found[3] || 0), time: found[4] || "" };
}

export function day(date) {
  if (!date) return "";
  const month = MONTHS[date.month - 1] || "";
  return date.day ? `${date.day}\u00a0${month.slice(0, 3)} ${date.year}` : `${month} ${date.year}`;
}

export function moment(date) {
  return date ? day(date) + (date.time ? `, ${date.time}` : "") : "";
}

// A date of a filter: 2024, 2024-05 or 2024-05-17. Anything else is shown as it is.
export function written(text) {
  if (/^\d{4}$/.test(text)) return text;
  const date = pieces(text);
  return date && /^\d{4}-\d\d(-\d\d)?$/.test(text) ? day(date) : text;
}

export function monthKey(image) {
  const date = when(image);
  return date ? date.year * 12 + date.month - 1 : null;
}

// "May 2024", "March – May 2024", "December 2023 – May 2024". Newest comes first, so `last` is the older.
export function months(first, last) {
  if (first === null || last === null) return "No date";
  const name = (key) => MONTHS[key % 12];
  const year = (key) => Math.floor(key / 12);
  if (first === last) return `${name(first)} ${year(first)}`;
  if (year(first) === year(last)) return `${name(last)} – ${name(first)} ${year(first)}`;
  return `${name(last)} ${year(last)} – ${name(first)} ${year(first)}`;
}

export function folderName(path) {
  return path.replace(/[\\/]+$/, "").split(/[\\/]/).pop() || path;
}

export function bestLabel(image) {
  return image.labels && image.labels.length ? image.labels[0].name : "";
}

export function alt(image) {
  const label = bestLabel(image);
  return label ? `${image.name}, ${label}` : image.name;
}
