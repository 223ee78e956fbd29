// Sentences in place of pictures, and above them.

import { asks, filtered, parts, setFilter, withoutFilters, withPart, withQuestion } from "./address.js";
import { copy, icon, make, toast } from "./dom.js";
import { percent, pictures } from "./words.js";

const COMMAND = "imgsearch index ~/Pictures";

function message(symbol, title, ...children) {
  return make("div", { class: "message" }, make("span", { class: "message-icon" }, icon(symbol)), make("h2", {}, title), children);
}

function button(text, onclick, strong) {
  return make("button", { type: "button", class: strong ? "small strong" : "small", onclick }, text);
}

function home(strong) {
  return make("a", { class: strong ? "small strong" : "small", href: "/", "data-home": true }, "All pictures");
}

export function emptyIndex(status) {
  const command = make("button", { type: "button", class: "command", title: "Copy the command", onclick: async () => {
    if (await copy(COMMAND)) toast("Copied.");
  } }, make("code", {}, COMMAND), icon("copy"));
  const children = status?.indexing
    ? [make("p", {}, "The index is being filled. The first pictures appear here in a moment.")]
    : [make("p", {}, "The index is empty. Fill it with the pictures of a folder:"), command,
      make("p", { class: "quiet" }, "This page notices by itself. Until then you can drop a picture, but there is nothing yet to compare it with.")];
  return message("picture", "No pictures yet", children);
}

export function failure(problem, params, { go, retry }) {
  const actions = [];
  const lasting = problem.status >= 400 && problem.status < 500;
  if (problem.status === 401) actions.push(button("Sign in again", () => location.reload(), true));
  // What the address asks for is wrong, so asking again would not help.
  else if (!lasting) actions.push(button("Try again", retry, true));
  else if (filtered(params)) actions.push(button("Without filters", () => go(withoutFilters(params)), true));
  if (lasting && problem.status !== 401) actions.push(home(!actions.length));
  const node = message("picture", problem.message || "Something went wrong.",
    problem.hint ? make("p", {}, problem.hint) : null,
    make("div", { class: "message-actions" }, actions));
  node.setAttribute("role", "alert");
  return node;
}

export function nothing(params, go) {
  const actions = [];
  if (filtered(params)) actions.push(button("Without filters", () => go(withoutFilters(params)), true));
  if (asks(params)) actions.push(home(!actions.length));
  const advice = filtered(params)
    ? "No picture passes all the filters. Remove one of them, for example the last you set."
    : "Try other words, or ask with a picture: drop one anywhere on this page.";
  return message("search", "Nothing found", make("p", {}, advice), make("div", { class: "message-actions" }, actions));
}

export function nothingTwice(answer, params, go) {
  const near = params.get("near") === "true";
  const actions = [];
  if (!near) actions.push(button("Look for nearly the same", () => go(setFilter(params, "near", "true")), true));
  if (filtered(params)) actions.push(button("Without filters", () => go(withoutFilters(params)), !actions.length));
  const among = filtered(params) ? `the ${pictures(answer.images)} that pass the filters` : pictures(answer.images);
  return message("check", "No duplicates", make("p", {}, `No two of ${among} show the same${near ? " or nearly the same" : ""}.`),
    make("div", { class: "message-actions" }, actions));
}

// What is to be said about an answer before its pictures.
export function notesOn(answer, params, go) {
  const lines = [];
  if (answer.resembles === false) {
    const nearest = typeof answer.nearest === "number" ? `; the nearest is ${percent(answer.nearest)} alike` : "";
    lines.push(line(make("strong", {}, `Nothing here looks like it${nearest}.`)));
  }
  if (answer.note) lines.push(line(String(answer.note)));
  for (const words of answer.words || []) {
    for (const unknown of words.unknown || []) lines.push(unknownWord(words.text, unknown, params, go));
  }
  return lines.length ? [make("div", { class: "note" }, lines)] : [];
}

function line(...children) {
  return make("p", {}, children);
}

function unknownWord(text, unknown, params, go) {
  const children = [make("span", {}, `“${unknown.word}” is not a word that is known here.`)];
  const others = (unknown.alike || []).slice(0, 6);
  if (others.length) children.push(make("span", {}, "Did you mean:"));
  for (const other of others) children.push(button(other, () => go(replaced(text, unknown.word, other, params))));
  return line(children);
}

// The same question with one word in place of another.
function replaced(text, word, other, params) {
  const at = text.toLowerCase().indexOf(word.toLowerCase());
  const better = at < 0 ? other : text.slice(0, at) + other + text.slice(at + word.length);
  const part = parts(params).find((one) => one.kind === "text" && one.value === text);
  if (!part || (part.role === "main" && parts(params).length === 1)) return withQuestion(params, "text", better);
  const next = new URLSearchParams(params);
  next.delete(part.key, part.entry);
  if (part.role !== "main") return withPart(next, part.role, "text", better);
  next.append("text", better);
  return next;
}

// A refusal that leaves the pictures as they are.
export function refusal(sentence, hint) {
  const node = make("p", { class: "note is-problem", role: "alert" }, make("span", {}, [sentence, hint].filter(Boolean).join(" ")));
  node.append(make("button", { type: "button", class: "small", onclick: () => node.remove() }, "Dismiss"));
  return node;
}
