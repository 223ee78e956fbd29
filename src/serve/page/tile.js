// One picture of the grid: a link to its large view, how alike it is, and what can be done with it.

import { thumbnail } from "./api.js";
import { icon, make } from "./dom.js";
import { alt, day, percent, when } from "./words.js";

// `asking`: there is a question that this picture can refine; `role`: it already does so as "more" or "less".
export function createTile(image, { href, asking, role }) {
  const picture = make("img", { alt: alt(image), loading: "lazy", decoding: "async", draggable: "false" });
  const link = make("a", { class: "tile-open", href, tabindex: "-1" }, picture);
  if (typeof image.similarity === "number") {
    link.append(make("span", { class: "tile-alike" }, percent(image.similarity), make("span", { class: "hidden" }, " alike")));
  }
  const caption = make("span", { class: "tile-caption" },
    make("span", { class: "tile-name", "aria-hidden": "true" }, image.name),
    make("span", { class: "tile-date" }, day(when(image))));
  if (image.damage) link.append(make("span", { class: "tile-damage" }, "damaged"));
  link.append(caption);
  const tile = make("li", { class: role ? `tile is-${role}` : "tile" }, link, actions(image, asking, role));
  tile.dataset.id = image.id;
  return tile;
}

function actions(image, asking, role) {
  const button = (action, name, label, pressed) => make("button", {
    type: "button", class: "tile-button", tabindex: "-1", title: label, "aria-label": `${label}: ${image.name}`,
    "data-action": action, "aria-pressed": pressed === undefined ? null : String(pressed),
  }, icon(name));
  const buttons = [button("alike", "alike", "More like this")];
  if (asking) {
    buttons.push(button("more", "plus", "Add to the question", role === "more"));
    buttons.push(button("less", "minus", "Less like this", role === "less"));
  }
  return make("div", { class: "tile-actions" }, buttons);
}

export function placeTile(tile, box) {
  Object.assign(tile.style, { left: `${box.x}px`, top: `${box.y}px`, width: `${box.width}px`, height: `${box.height}px` });
}

// Sets the addresses once the size on the page is known. A thumbnail's longer side has 256 or 512 pixels,
// so an upright one is narrower than that.
export function fillTile(tile, image, box) {
  const picture = tile.querySelector("img");
  const across = (size) => Math.max(1, Math.round(size * Math.min(1, image.width / image.height || 1)));
  picture.sizes = `${Math.ceil(box.width)}px`;
  if (picture.srcset) return;
  picture.srcset = [256, 512].map((size) => `${thumbnail(image.id, size, image.digest)} ${across(size)}w`).join(", ");
  picture.src = thumbnail(image.id, 256, image.digest);
}
