// Puts the parts of the page together. What is shown always follows the address, never the other way round.

import { asks, current, filtered, href, opened, parts, roleOf, viewOf, withFilter, withPart, withQuestion, withView, without } from "./address.js";
import { announce, byId, make } from "./dom.js";
import { Atlas } from "./atlas.js";
import { Duplicates } from "./duplicates.js";
import { Filters } from "./filters.js";
import { Grid } from "./grid.js";
import { remember, upload, uploaded } from "./known.js";
import { Live } from "./live.js";
import { emptyIndex, failure, nothing, notesOn, refusal } from "./messages.js";
import { showQuestion, titleOf } from "./question.js";
import { Results } from "./results.js";
import { watchUploads } from "./uploads.js";
import { Viewer } from "./viewer.js";
import { number, pictures } from "./words.js";

history.scrollRestoration = "manual";

const words = byId("words");
// Where the arrows of the large view stand in the list, also while a picture from elsewhere is open.
let anchor = null;
let message = null;

const grid = new Grid(byId("results"), {
  open: (image) => openImage(image.id),
  alike: (image) => ask("id", String(image.id)),
  more: (image) => go(withPart(current(), "more", "id", String(image.id))),
  less: (image) => go(withPart(current(), "less", "id", String(image.id))),
});

const results = new Results(grid, tileOptions, { shown, failed, grew, stuck });
const filters = new Filters((params) => go(params));
const viewer = new Viewer({
  close: closeImage,
  step,
  open: openImage,
  ask: (id, crop) => ask("id", String(id), crop),
  label: (name) => go(withFilter(current(), "label", name)),
  steps,
  local: () => Boolean(live.status?.local),
});
const live = new Live(statusChanged);
// The views beside the pictures: {show(params, again), leave(), seen}.
const others = {
  duplicates: new Duplicates(byId("duplicates"), {
    go, open: openImage, close: closeImage, instead: showInstead, status: () => live.status, shown: duplicatesShown,
    failed: (problem) => failed(problem, current()),
  }),
  map: new Atlas(byId("map"), {
    go, open: openImage, moved: moveMap, status: () => live.status, shown: mapShown, failed: (problem) => failed(problem, current()),
  }),
};
let view = null;

function tileOptions(params, answer) {
  const asking = asks(params);
  return {
    grouped: !answer.search,
    asking,
    href: (image) => href(opened(params, image.id)),
    role: (image) => (asking ? roleOf(params, "id", String(image.id)) : null),
  };
}

// Every change of what is shown goes through here and becomes a step that Back undoes.
function go(params, state = null) {
  // The address shows commas and slashes as they are typed; the browser writes the rest.
  if (href(params) !== location.pathname + location.search) history.pushState(state, "", href(params));
  follow(false);
}

function follow(back) {
  const params = current();
  showView(params);
  byId("notes").querySelector(".is-problem")?.remove();
  showQuestion(byId("question"), params, go);
  const text = parts(params).find((part) => part.kind === "text" && part.role === "main");
  // What is being typed stays, unless one goes back.
  if (back || document.activeElement !== words || text) words.value = text ? text.value : "";
  showAdd();
  filters.update(params, view === "pictures" ? results.answer : null);
  const id = params.get("open");
  if (id === null) hideImage();
  if (view === "pictures") results.show(params, { back });
  else others[view].show(params);
  // Duplicates are compared once they are there.
  if (id !== null && view !== "duplicates") viewer.show(id);
  document.title = view !== "pictures" || parts(params).length || filtered(params) ? `${titleOf(params)} · imgsearch` : "imgsearch";
  byId("title").textContent = titleOf(params);
}

// Shows the parts of the page that belong to the view, and stops what the others do.
function showView(params) {
  const next = viewOf(params);
  for (const link of document.querySelectorAll(".views a")) {
    link.href = href(withView(params, link.dataset.view));
    if (link.dataset.view === next) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (next === view) return;
  if (view === "pictures") results.pause();
  else if (view) others[view].leave();
  view = next;
  document.body.dataset.view = view;
  for (const name of Object.keys(others)) byId(name).hidden = name !== view;
  for (const id of ["results", "tail"]) byId(id).hidden = view !== "pictures";
  setMessage(null);
  byId("notes").replaceChildren();
  byId("count").textContent = "";
  byId("fresh").hidden = true;
}

function ask(key, value, crop) {
  go(withQuestion(current(), key, value, crop));
}

function shown(answer, params) {
  remember(answer.images);
  if (!answer.status) answer.status = live.status;
  live.offer(answer.status);
  byId("notes").replaceChildren(...notesOn(answer, params, go));
  const empty = !answer.images.length;
  const unfilled = empty && live.status?.empty !== false && !filtered(params) && !asks(params);
  setMessage(!empty ? null : unfilled ? emptyIndex(live.status) : nothing(params, go), unfilled);
  countShown(answer, params);
  filters.hide(unfilled);
  filters.update(params, answer);
  showQuestion(byId("question"), params, go);
  byId("title").textContent = titleOf(params);
  if (viewer.open) viewer.steps();
}

function grew(answer) {
  remember(answer.images);
  if (viewer.open) viewer.steps();
}

function duplicatesShown() {
  const { duplicates } = others;
  if (!duplicates.answer) return;
  live.offer(duplicates.seen);
  const unfilled = !duplicates.answer.images && live.status?.empty !== false && !filtered(current());
  setMessage(unfilled ? emptyIndex(live.status) : null, unfilled);
  byId("duplicates").hidden = unfilled;
  byId("count").replaceChildren(...duplicates.count());
  const id = current().get("open");
  if (id !== null) duplicates.openCompare(id);
}

function mapShown() {
  const { map } = others;
  if (!map.answer) return;
  live.offer(map.seen);
  const empty = !map.answer.images;
  const unfilled = empty && live.status?.empty !== false && !filtered(current());
  setMessage(!empty ? null : unfilled ? emptyIndex(live.status) : nothing(current(), go), unfilled);
  byId("count").replaceChildren(...map.count());
}

// Where the map rests belongs to the address, but is no step that Back undoes.
function moveMap(at) {
  if (view !== "map") return;
  const params = current();
  params.delete("at");
  if (at) params.set("at", at);
  history.replaceState(history.state, "", href(params));
}

function failed(problem, params) {
  byId("notes").replaceChildren();
  byId("count").textContent = "";
  byId("fresh").hidden = true;
  setMessage(failure(problem, params, { go, retry: reload }), false);
}

function stuck(problem, again) {
  const node = refusal(problem.message, problem.hint);
  node.append(make("button", { type: "button", class: "small strong", onclick: () => { node.remove(); again(); } }, "Try again"));
  byId("tail").replaceChildren(node);
}

function setMessage(node, unfilled) {
  message?.remove();
  message = node;
  byId("tail").replaceChildren();
  if (node) {
    node.dataset.unfilled = String(unfilled);
    byId("results").before(node);
  }
}

function countShown(answer, params) {
  const line = byId("count");
  if (!answer.images.length) return void (line.textContent = "");
  if (answer.search) {
    const took = typeof answer.took_ms === "number" ? make("span", { class: "quiet" }, `${number(Math.max(1, Math.round(answer.took_ms)))} ms`) : null;
    return void line.replaceChildren(make("strong", {}, "Most alike first"), ...(took ? [took] : []));
  }
  const of = filtered(params) && live.status ? make("span", { class: "quiet" }, `of ${number(live.status.images)}`) : null;
  line.replaceChildren(make("strong", {}, pictures(answer.total ?? answer.images.length)), ...(of ? [of] : []));
}

function statusChanged(status) {
  if (viewer.open) viewer.offerReveal();
  const answer = view === "pictures" ? results.answer : null;
  if (answer && !answer.status) {
    answer.status = status;
    shown(answer, results.params);
  }
  // Nothing can jump where nothing is shown, so an index that fills up appears by itself.
  if (message?.dataset.unfilled === "true") {
    if (status.images > 0) return reload();
    setMessage(emptyIndex(status), true);
  }
  if (answer) live.offer(answer.status);
  else if (view !== "pictures") live.offer(others[view].seen);
}

function reload() {
  filters.refresh();
  if (view === "pictures") return results.show(current(), { again: true });
  return others[view].show(current(), true);
}

// ---- the large view

function openImage(id) {
  const text = String(id);
  const depth = (history.state?.depth || 0) + 1;
  if (grid.item(text)) anchor = text;
  history.pushState({ depth }, "", href(opened(current(), text)));
  follow(false);
}

// Stepping replaces the address: Back closes the large view, whatever was looked at in it.
function showInstead(id) {
  anchor = String(id);
  history.replaceState(history.state, "", href(opened(current(), anchor)));
  follow(false);
}

function closeImage() {
  const depth = history.state?.depth || 0;
  if (depth) return history.go(-depth);
  history.replaceState(null, "", href(opened(current(), null)));
  return follow(false);
}

function hideImage() {
  others.duplicates.hideCompare();
  if (!viewer.open) return;
  const id = viewer.id;
  viewer.hide();
  if (view === "pictures") grid.focus(grid.item(id) ? id : anchor);
  if (view === "map") others.map.focus();
}

// The pictures before and after one; for one that is not in the list, those around where one came from.
function steps(id) {
  if (view !== "pictures") return { previous: null, next: null };
  const item = grid.item(id);
  const from = item || grid.item(anchor);
  if (!from) return { previous: null, next: null };
  const next = grid.items[from.index + 1] || (results.answer?.next ? from : null);
  return { previous: item ? grid.items[from.index - 1] || null : from, next };
}

async function step(direction) {
  const { previous, next } = steps(viewer.id);
  const to = direction < 0 ? previous : next;
  if (!to) return;
  if (String(to.image.id) !== viewer.id || direction < 0) return showInstead(to.image.id);
  // The end of what is loaded: the next page has it.
  if (await results.more()) step(direction);
}

// ---- asking

byId("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = words.value.trim();
  if (text) ask("text", text);
  else if (parts(current()).some((part) => part.key === "text")) go(without(current(), "text"));
});

function showAdd() {
  const text = words.value.trim();
  const same = parts(current()).some((part) => part.kind === "text" && part.value === text);
  byId("add-words").hidden = !(asks(current()) && text && !same);
}

words.addEventListener("input", showAdd);
byId("add-words").addEventListener("click", () => {
  const text = words.value.trim();
  words.focus();
  go(withPart(current(), "more", "text", text));
});

async function take(files, adding) {
  let params = current();
  let first = !adding || !asks(params);
  results.busy(true);
  try {
    for (const file of files) {
      const token = await upload(file);
      params = first ? withQuestion(params, "code", token) : withPart(params, "more", "code", token);
      first = false;
    }
  } catch (problem) {
    results.busy(false);
    return refuse(problem.message, problem.hint);
  }
  results.busy(false);
  go(params);
  const damage = files.length === 1 && uploaded(params.get("code"))?.damage;
  if (damage) announce(`The picture is damaged: ${damage}`);
}

function refuse(sentence, hint) {
  if (viewer.open) closeImage();
  const node = refusal(sentence, hint);
  byId("notes").querySelector(".is-problem")?.remove();
  byId("notes").prepend(node);
  scrollTo({ top: 0, behavior: "instant" });
}

watchUploads({
  take,
  refuse,
  words: (text) => { words.value = text; words.focus(); showAdd(); },
  canAdd: () => asks(current()),
});

// ---- the rest of the page

addEventListener("popstate", () => follow(true));

// Links within the page change the address without loading it anew.
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a.brand, a[data-home], a[data-open], a[data-view]");
  if (!link || event.defaultPrevented || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  if (link.dataset.open) openImage(link.dataset.open);
  else if (link.dataset.view) go(withView(current(), link.dataset.view));
  else go(new URLSearchParams());
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input:not([type=checkbox], [type=range]), select, textarea, dialog[open]")) return;
  event.preventDefault();
  words.focus();
  words.select();
});

byId("fresh").addEventListener("click", () => { byId("results").focus({ preventScroll: true }); reload(); });

// A narrow field has no room for more, and nothing is dropped on a phone.
const narrow = matchMedia("(max-width: 48rem)");
const invite = () => { words.placeholder = narrow.matches ? "Search by words" : "Search by words, or drop a picture anywhere"; };
narrow.addEventListener("change", invite);
invite();

live.start();
follow(false);
filters.load();
