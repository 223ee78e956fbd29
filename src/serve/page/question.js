// The question and the filters as chips, each of which can be removed.

import { href, opened, parts, viewOf, without, withoutFilters, withoutPart } from "./address.js";
import { thumbnail } from "./api.js";
import { icon, iconButton, make } from "./dom.js";
import { describe, known, uploaded } from "./known.js";
import { folderName, sizeOf, written } from "./words.js";

const FILTER_NAMES = {
  under: (value) => ["in", folderName(value)],
  after: (value) => ["from", written(value)],
  before: (value) => ["before", written(value)],
  type: (value) => ["type", value.toUpperCase()],
  label: (value) => ["label", value],
  min_size: (value) => ["at least", sizeOf(value)],
  max_size: (value) => ["at most", sizeOf(value)],
  region: () => ["on the map", "an area"],
  glob: (value) => ["path", value],
  min_similarity: (value) => ["alike", `${value}\u00a0% or more`],
};

export function showQuestion(root, params, go) {
  const question = parts(params);
  const filters = [...params].filter(([key]) => key in FILTER_NAMES);
  const lists = [];
  if (question.length) {
    const chips = question.map((part) => questionChip(part, params, go));
    lists.push(make("ul", { class: "chips", "aria-label": "Question" }, chips));
  }
  if (filters.length) {
    const chips = filters.map(([key, value]) => filterChip(key, value, params, go));
    if (filters.length > 1) {
      const clear = make("button", { type: "button", class: "small", onclick: () => go(withoutFilters(without(params))) }, "Clear filters");
      chips.push(make("li", {}, clear));
    }
    lists.push(make("ul", { class: "chips", "aria-label": "Filters in use" }, chips));
  }
  // Removing a chip removes the button that had the focus; the next chip takes it.
  const chip = root.contains(document.activeElement) ? [...root.querySelectorAll(".chip-remove")].indexOf(document.activeElement) : -1;
  root.replaceChildren(...lists);
  if (chip < 0) return;
  const buttons = root.querySelectorAll(".chip-remove");
  (buttons[Math.min(chip, buttons.length - 1)] || document.getElementById("words")).focus();
}

function questionChip(part, params, go) {
  const name = make("span", { class: "chip-name" });
  const sign = { more: "plus", less: "minus" }[part.role];
  const meaning = { more: "more of ", less: "less of ", main: "" }[part.role];
  const crop = part.role === "main" && part.kind === "id" ? params.get("crop") : null;
  const remove = iconButton("close", "Remove", () => go(withoutPart(params, part)), { class: "round chip-remove" });
  const told = (text) => {
    name.textContent = text;
    remove.setAttribute("aria-label", `Remove ${meaning}${text}`);
  };
  const body = [
    sign ? make("span", { class: "chip-sign" }, icon(sign), make("span", { class: "hidden" }, meaning)) : null,
    chipPicture(part, crop), name,
  ];
  const inner = part.kind === "id"
    ? make("a", { class: "chip-body", href: href(opened(params, part.value)), "data-open": part.value }, body)
    : make("span", { class: "chip-body" }, body);
  nameOf(part, crop, told);
  return make("li", { class: `chip chip-picture is-${part.role}` }, inner, remove);
}

function nameOf(part, crop, told) {
  if (part.kind === "text") return told(`“${part.value}”`);
  if (part.kind === "code") {
    const upload = uploaded(part.value);
    return told(upload && upload.name ? upload.name : "Your picture");
  }
  if (part.kind !== "id") return told(part.entry);
  const name = (image) => (crop ? `Part of ${image.name}` : image.name);
  const image = known(part.value);
  if (image) return told(name(image));
  told(`Picture ${part.value}`);
  // If it cannot be described, the answer to the question itself says why.
  return describe(part.value).then((found) => told(name(found)), () => {});
}

function chipPicture(part, crop) {
  if (part.kind === "text") return make("span", { class: "chip-thumb" }, icon("words"));
  const upload = part.kind === "code" ? uploaded(part.value) : null;
  if (part.kind === "code" && !upload) return make("span", { class: "chip-thumb" }, icon("picture"));
  if (part.kind !== "code" && part.kind !== "id") return make("span", { class: "chip-thumb" }, icon("picture"));
  const box = make("span", { class: "chip-thumb" });
  const image = make("img", { alt: "", src: upload ? upload.url : thumbnail(part.value, 256, known(part.value)?.digest) });
  image.addEventListener("error", () => box.replaceChildren(icon("picture")));
  const area = crop && cropOf(crop);
  if (area) image.addEventListener("load", () => box.replaceChildren(cut(image, area)));
  box.append(image);
  return box;
}

// [left, top, width, height] as shares, if the address has them in per cent.
function cropOf(text) {
  const numbers = text.split(",").map((one) => (one.trim().endsWith("%") ? parseFloat(one) / 100 : NaN));
  return numbers.length === 4 && numbers.every((n) => n >= 0 && n <= 1) && numbers[2] > 0 && numbers[3] > 0 ? numbers : null;
}

// Draws the part that was asked for, filling a square.
function cut(image, [left, top, width, height]) {
  const canvas = make("canvas", { width: 80, height: 80 });
  const [w, h] = [width * image.naturalWidth, height * image.naturalHeight];
  const side = Math.min(w, h);
  const x = left * image.naturalWidth + (w - side) / 2;
  const y = top * image.naturalHeight + (h - side) / 2;
  canvas.getContext("2d").drawImage(image, x, y, side, side, 0, 0, 80, 80);
  return canvas;
}

function filterChip(key, value, params, go) {
  const [name, text] = FILTER_NAMES[key](value);
  const remove = iconButton("close", `Remove: ${name} ${text}`, () => go(without(params, key, value)), { class: "round chip-remove" });
  return make("li", { class: "chip", title: key === "under" ? value : null },
    make("span", { class: "chip-body" }, make("span", { class: "chip-key" }, name), make("span", { class: "chip-name" }, text)), remove);
}

// What the results are called, for the title of the window and for screen readers.
export function titleOf(params) {
  const view = viewOf(params);
  if (view !== "pictures") return view === "map" ? "Map" : "Duplicates";
  const main = parts(params)[0];
  if (!main) return "All pictures";
  if (main.kind === "text") return `Pictures of “${main.value}”`;
  const image = main.kind === "id" ? known(main.value) : null;
  if (image) return `Pictures like ${params.has("crop") ? "a part of " : ""}${image.name}`;
  return "Pictures like yours";
}
