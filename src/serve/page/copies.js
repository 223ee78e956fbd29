// One group of copies: its pictures side by side, what differs between them, and what is decided.

import { href, opened } from "./address.js";
import { thumbnail } from "./api.js";
import { icon, make } from "./dom.js";
import { alt, bytes, moment, number, when } from "./words.js";

const LEVELS = {
  identical: "The same file",
  edited: "The same picture",
  near: "Nearly the same",
};

export function levelName(level) {
  return LEVELS[level] || level;
}

// `on`: {onlyBest(group)}
export function createGroup(group, params, on) {
  const best = group.files[group.best];
  const id = `group-${best.id}`;
  const others = group.files.filter((file) => file !== best);
  const sum = others.reduce((total, file) => total + file.bytes, 0);
  const onlyBest = make("button", { type: "button", class: "small", onclick: () => on.onlyBest(group), "aria-label": `Keep only the best: ${best.name}` }, "Keep only the best");
  const head = make("header", { class: "copies-head" },
    make("h2", { id }, best.name),
    make("p", { class: "quiet" }, `${levelName(group.level)}, ${group.files.length} files, ${bytes(sum)} beside the best`),
    onlyBest);
  const list = make("ol", { class: "copies-list" }, group.files.map((file) => createCopy(file, group, params)));
  return make("section", { class: "copies", "aria-labelledby": id }, head, list);
}

function createCopy(file, group, params) {
  const best = group.files[group.best];
  const isBest = file === best;
  const picture = make("img", { alt: alt(file), loading: "lazy", decoding: "async", draggable: "false", src: thumbnail(file.id, 512, file.digest) });
  const link = make("a", { class: "copy-open", href: href(opened(params, file.id)), tabindex: "-1" }, picture,
    isBest ? make("span", { class: "copy-best" }, icon("check"), "Best") : null,
    make("span", { class: "copy-verdict", "aria-hidden": "true" }));
  return make("li", { class: isBest ? "copy is-best" : "copy", "data-id": file.id }, link,
    make("p", { class: "copy-name", title: file.path }, file.name),
    make("p", { class: "copy-how" }, isBest ? "" : how(file)),
    factsOf(file, best),
    choiceOf(file, "copy-choice"));
}

// How a file differs from the best one, as a sentence begins.
export function how(file) {
  const text = file.level === "identical" ? "identical" : [file.level === "near" ? "nearly the same" : null, file.differs].filter(Boolean).join(", ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

// Keep and Discard. Both can be off: then nothing is decided.
export function choiceOf(file, kind) {
  const button = (choice, name, key) => make("button", {
    type: "button", class: `choice is-${choice}`, "data-choice": choice, "aria-pressed": "false", "aria-keyshortcuts": key,
    "aria-label": `${name} ${file.name}`,
  }, name);
  return make("div", { class: kind, role: "group", "aria-label": "Decision", "data-for": file.id }, button("keep", "Keep", "k"), button("discard", "Discard", "x"));
}

// What is the same as in the best file is quiet; what differs stands out.
export function factsOf(file, best) {
  const told = (text, other, name) => {
    const differs = file !== best && text !== other;
    const kind = differs ? "differs" : null;
    return make("div", { class: kind }, make("dt", { class: "hidden" }, name), make("dd", { title: name === "Folder" ? text : null }, text));
  };
  const size = (one) => `${number(one.width)} × ${number(one.height)}`;
  const kind = (one) => `${bytes(one.bytes)} ${one.format.toUpperCase()}`;
  const date = (one) => moment(when(one)) || "no date";
  return make("dl", { class: "copy-facts" },
    told(size(file), size(best), "Dimensions"), told(kind(file), kind(best), "File"),
    told(date(file), date(best), file.taken ? "Taken" : "Modified"), told(file.folder, best.folder, "Folder"));
}

// Shows what is decided on a card and on its buttons, wherever they are.
export function showChoice(root, file, choice) {
  for (const card of root.querySelectorAll(`.copy[data-id="${file.id}"]`)) {
    card.classList.toggle("is-discarded", choice === "discard");
    card.classList.toggle("is-kept", choice === "keep");
    card.querySelector(".copy-verdict").textContent = { keep: "Keep", discard: "Discard" }[choice] || "";
    const told = { keep: ", to be kept", discard: ", to be discarded" }[choice] || "";
    card.querySelector("img").alt = `${alt(file)}${card.classList.contains("is-best") ? ", the best" : ""}${told}`;
  }
  for (const button of root.querySelectorAll(`[data-for="${file.id}"] [data-choice]`)) {
    button.setAttribute("aria-pressed", String(button.dataset.choice === choice));
  }
}
