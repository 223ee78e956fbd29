// What is known of a picture, in words.

import { make } from "./dom.js";
import { bytes, moment, number, percent, when } from "./words.js";

export function facts(image) {
  const modified = moment(when({ modified: image.modified }));
  const megapixels = image.width * image.height / 1e6;
  const size = `${number(image.width)} × ${number(image.height)}`;
  const entries = [
    image.damage ? ["Damage", image.damage, "is-damage"] : null,
    ["Taken", image.taken ? moment(when(image)) : null],
    ["File of", modified],
    ["Dimensions", image.width ? (megapixels >= 1 ? `${size}, ${megapixels.toFixed(1)} megapixels` : size) : null],
    ["Format", image.format ? `${image.format.toUpperCase()}, ${bytes(image.bytes)}` : bytes(image.bytes)],
    ["Path", image.path, "is-path"],
  ];
  return entries.filter((entry) => entry && entry[1])
    .map(([name, value, kind]) => make("div", { class: kind || null }, make("dt", {}, name), make("dd", {}, value)));
}

// Labels that are hardly likely say nothing about the picture.
const LEAST_LIKELY = 0.05;

export function labelList(image, choose) {
  return (image.labels || []).filter((label, at) => at === 0 || label.probability >= LEAST_LIKELY).slice(0, 6)
    .map((label) => make("button", {
      type: "button", class: "pill", title: `Only pictures with this label`, onclick: () => choose(label.name),
    }, label.name, typeof label.probability === "number" ? make("span", { class: "pill-count" }, percent(label.probability)) : null));
}
