// What is there twice: groups one below another, the arrow keys among their pictures, and decisions about them.

import { setFilter } from "./address.js";
import { get } from "./api.js";
import { announce, calm, make, toast } from "./dom.js";
import { Compare } from "./compare.js";
import { createGroup, showChoice } from "./copies.js";
import { DecisionBar } from "./decided.js";
import { Decisions, wouldEmpty } from "./decisions.js";
import { remember } from "./known.js";
import { Making, made } from "./making.js";
import { nothingTwice } from "./messages.js";
import { bytes, number } from "./words.js";

const PAGE = 40;
// Whoever decides about all at once fetches more at once.
const LARGE_PAGE = 200;

export class Duplicates {
  // `on`: {go(params), open(id), close(), instead(id), status(), shown(), failed(problem)}
  constructor(root, on) {
    Object.assign(this, { root, on, key: null, answer: null, scroll: null });
    this.decisions = new Decisions((id) => this.decided(id));
    this.bar = new DecisionBar(this.decisions, {
      files: () => this.chosenFiles(), all: () => this.all(), onlyBest: () => this.onlyBestOfAll(),
      index: () => on.status()?.index || "", near: () => this.near.checked,
    });
    this.compare = new Compare({
      close: () => on.close(), show: (id) => on.instead(id), choose: (id, choice) => this.choose(id, choice),
      onlyThis: (id) => this.onlyThis(id), choice: (id) => this.decisions.of(id), step: (id, by) => this.neighbour(id, by),
    });
    this.build();
    this.clear();
    new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && this.more(), { rootMargin: "1200px" }).observe(this.tail);
  }

  build() {
    this.near = make("input", { type: "checkbox", onchange: () => this.on.go(setFilter(this.params, "near", this.near.checked ? "true" : "")) });
    const key = (name) => make("kbd", {}, name);
    const keys = make("p", { class: "copies-keys quiet", "aria-hidden": "true" },
      key("k"), " keep ", key("x"), " discard ", key("o"), " only this ", key("Enter"), " compare");
    this.making = new Making("Looking for duplicates");
    this.groups = make("div", { class: "copies-groups", tabindex: "-1" });
    this.tail = make("div", { class: "tail" });
    this.root.append(make("div", { class: "copies-tools" }, make("label", { class: "check" }, this.near, "Nearly the same, too"), keys),
      this.making.root, this.groups, this.tail, this.bar.root);
    this.groups.addEventListener("click", (event) => this.clicked(event));
    this.groups.addEventListener("keydown", (event) => this.pressed(event));
    this.groups.addEventListener("focusin", (event) => this.activate(this.itemAt(event.target)));
    this.groups.addEventListener("load", (event) => event.target.closest(".copy")?.classList.add("is-loaded"), true);
    this.groups.addEventListener("error", (event) => event.target.closest(".copy")?.classList.add("is-broken"), true);
  }

  clear() {
    this.answer = null;
    this.items = [];
    this.places = new Map();
    this.active = null;
    this.rendered = 0;
    this.groups.replaceChildren();
    this.message?.remove();
    this.making.hide();
    this.bar.hide();
  }

  // Shows what the address asks for.
  async show(params, again = false) {
    const asked = new URLSearchParams(params);
    for (const name of ["view", "open", "at"]) asked.delete(name);
    this.params = params;
    this.near.checked = params.get("near") === "true";
    const key = asked.toString();
    if (key === this.key && !again) {
      if (this.scroll !== null) scrollTo({ top: this.scroll, behavior: "instant" });
      this.scroll = null;
      return void this.on.shown();
    }
    this.controller?.abort();
    this.key = key;
    this.scroll = null;
    this.asked = asked;
    this.clear();
    this.groups.setAttribute("aria-busy", "true");
    const controller = new AbortController();
    this.controller = controller;
    try {
      const status = this.on.status() || get("/status", null, controller.signal);
      const answer = await this.fetch(PAGE, null, (underway) => this.making.show(underway));
      this.decisions.open((await status).index);
      if (controller.signal.aborted) return;
      this.present(answer);
    } catch (problem) {
      if (problem.name === "AbortError") return;
      this.key = null;
      this.making.hide();
      this.groups.setAttribute("aria-busy", "false");
      this.on.failed(problem);
    }
  }

  // What is not there yet is of no use elsewhere. What is there stays, with the place that was left.
  leave() {
    this.scroll = scrollY;
    if (this.answer) return;
    this.key = null;
    this.controller?.abort();
  }

  async fetch(limit, cursor, told = () => {}) {
    const asked = new URLSearchParams(this.asked);
    asked.set("limit", limit);
    if (cursor) asked.set("cursor", cursor);
    const answer = await made("/duplicates", asked, this.controller.signal, told);
    for (const group of answer.groups) remember(group.files);
    return answer;
  }

  present(answer) {
    this.making.hide();
    this.answer = answer;
    this.seen = this.on.status();
    this.groups.setAttribute("aria-busy", "false");
    scrollTo({ top: 0, behavior: "instant" });
    if (!answer.groups.length && !answer.next) {
      this.message = nothingTwice(answer, this.params, this.on.go);
      this.groups.before(this.message);
    }
    this.render();
    this.on.shown();
    this.bar.update();
    announce(answer.total ? `${this.sentence()}.` : "No duplicates found.");
    // What was decided before counts from the beginning.
    if (this.decisions.any && answer.next) this.all().catch(() => {});
    else this.tidy();
  }

  sentence() {
    const { total, files, bytes: sum } = this.answer;
    return `${total === 1 ? "1 group" : `${number(total)} groups`}, ${files === 1 ? "1 file" : `${number(files)} files`} beside the best, ${bytes(sum)}`;
  }

  count() {
    if (!this.answer?.total) return [];
    const { total, skipped } = this.answer;
    const left = skipped ? [make("span", { class: "quiet", title: "Missing, changed or not readable" }, `${number(skipped)} left out`)] : [];
    return [make("strong", {}, total === 1 ? "1 group" : `${number(total)} groups`), make("span", { class: "quiet" }, this.sentence().replace(/^[^,]*, /, "")), ...left];
  }

  render() {
    const next = this.answer.groups.slice(this.rendered, this.rendered + PAGE);
    this.rendered += next.length;
    this.groups.append(...next.map((group) => this.renderGroup(group)));
    if (!this.active && this.items.length) this.activate(this.items[0]);
  }

  renderGroup(group) {
    const section = createGroup(group, this.params, { onlyBest: () => this.onlyThis(group.files[group.best].id) });
    const cards = section.querySelectorAll(".copy");
    group.files.forEach((file, column) => {
      const item = { file, group, card: cards[column], column, index: this.items.length };
      this.items.push(item);
      this.places.set(String(file.id), item);
      showChoice(section, file, this.decisions.of(file.id));
      reachable(item.card, false);
    });
    return section;
  }

  async more() {
    const { answer } = this;
    if (!answer || this.root.hidden || this.loading) return;
    if (this.rendered < answer.groups.length) {
      this.render();
    } else if (answer.next) {
      await this.load(PAGE);
      if (this.answer === answer) this.render();
    } else {
      return;
    }
    // An observer speaks only when something changes.
    requestAnimationFrame(() => { if (this.tail.getBoundingClientRect().top < innerHeight + 1200) this.more(); });
  }

  async load(limit) {
    const { answer } = this;
    this.loading = true;
    this.tail.classList.add("is-loading");
    try {
      const page = await this.fetch(limit, answer.next);
      answer.groups.push(...page.groups);
      answer.next = page.next;
      this.bar.update();
    } catch (problem) {
      answer.next = null;
      if (problem.name !== "AbortError") toast([problem.message, problem.hint].filter(Boolean).join(" "));
    } finally {
      this.loading = false;
      this.tail.classList.remove("is-loading");
    }
  }

  // Fetches all groups, and returns them.
  async all() {
    while (this.answer?.next) {
      if (this.loading) await new Promise((resolve) => { setTimeout(resolve, 50); });
      else await this.load(LARGE_PAGE);
    }
    this.tidy();
    return this.answer?.groups || [];
  }

  // Decisions about files that are in no group are of an older state; under filters, they may be of others.
  tidy() {
    if (!this.answer || this.answer.next || !this.near.checked || this.asked.size > 1) return;
    this.decisions.only(new Set(this.answer.groups.flatMap((group) => group.files.map((file) => String(file.id)))));
    this.bar.update();
  }

  // ---- decisions

  chosenFiles() {
    const files = (this.answer?.groups || []).flatMap((group) => group.files);
    return files.filter((file) => this.decisions.of(file.id) === "discard");
  }

  groupOf(id) {
    return this.answer?.groups.find((group) => group.files.some((file) => String(file.id) === String(id))) || null;
  }

  fileOf(id) {
    return this.groupOf(id)?.files.find((file) => String(file.id) === String(id)) || null;
  }

  // The same choice again takes it back.
  choose(id, choice) {
    const file = this.fileOf(id);
    if (!file) return;
    if (this.decisions.of(id) === choice) return this.decisions.set(id, null);
    if (choice === "discard" && wouldEmpty(this.groupOf(id), file.id, this.decisions)) {
      return toast("One file of each group stays. Keep another first.");
    }
    this.decisions.set(id, choice);
    announce(choice === "keep" ? `${file.name} is kept.` : `${file.name} is to be discarded.`);
  }

  onlyThis(id) {
    const group = this.groupOf(id);
    if (!group) return;
    this.decisions.setAll(group.files.map((file) => [file.id, String(file.id) === String(id) ? "keep" : "discard"]));
    announce(`Only ${this.fileOf(id).name} is kept of its group.`);
  }

  // What was decided by hand stays.
  async onlyBestOfAll() {
    const groups = await this.all();
    const untouched = groups.filter((group) => group.files.every((file) => !this.decisions.of(file.id)));
    const choices = untouched.flatMap((group) => group.files.map((file, at) => [file.id, at === group.best ? "keep" : "discard"]));
    this.decisions.setAll(choices);
    toast(untouched.length ? `Decided about ${untouched.length === 1 ? "1 group" : `${number(untouched.length)} groups`}.` : "Something is decided in every group.");
  }

  decided(id) {
    const item = this.places.get(String(id));
    if (item) showChoice(this.groups, item.file, this.decisions.of(id));
    this.compare.decided();
    this.bar.update();
  }

  // ---- pictures

  // Shows a file beside the best one of its group.
  async openCompare(id) {
    while (this.answer?.next && !this.groupOf(id)) await this.load(LARGE_PAGE);
    const group = this.groupOf(id);
    if (group) this.compare.open(group, String(id));
    else if (this.answer) this.on.close();
  }

  // The file before or after one, in its group or the next.
  neighbour(id, by) {
    const groups = this.answer?.groups || [];
    const files = groups.flatMap((group) => group.files.filter((_, at) => at !== group.best).map((file) => ({ file, group })));
    const at = files.findIndex(({ file }) => String(file.id) === String(id));
    return at < 0 ? null : files[at + by]?.file.id ?? null;
  }

  hideCompare() {
    if (!this.compare.isOpen) return;
    const { id } = this.compare;
    this.compare.hide();
    while (!this.places.has(id) && this.rendered < (this.answer?.groups.length || 0)) this.render();
    this.focus(this.places.get(id) || this.active);
  }

  itemAt(element) {
    const card = element.closest?.(".copy");
    return card ? this.places.get(card.dataset.id) || null : null;
  }

  activate(item) {
    if (!item || item === this.active) return;
    if (this.active) reachable(this.active.card, false);
    this.active = item;
    reachable(item.card, true);
  }

  focus(item) {
    if (!item) return;
    this.activate(item);
    item.card.querySelector("a").focus({ preventScroll: true });
    item.card.closest(".copies").scrollIntoView({ block: "nearest", behavior: calm() ? "instant" : "smooth" });
  }

  clicked(event) {
    const button = event.target.closest("[data-choice]");
    if (button) return void this.choose(button.parentNode.dataset.for, button.dataset.choice);
    const item = event.target.closest(".copy-open") && this.itemAt(event.target);
    if (!item || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey || event.button) return;
    event.preventDefault();
    this.on.open(item.file.id);
  }

  pressed(event) {
    const item = this.itemAt(event.target);
    if (!item || event.ctrlKey || event.metaKey || event.altKey) return;
    const { id } = item.file;
    const action = { k: () => this.choose(id, "keep"), x: () => this.choose(id, "discard"), o: () => this.onlyThis(id) }[event.key];
    const to = action ? null : this.target(event.key, item);
    if (!action && !to) return;
    event.preventDefault();
    if (action) action();
    else this.focus(to);
    if (this.items.length - item.index < 20) this.more();
  }

  target(key, item) {
    switch (key) {
      case "ArrowLeft": return this.items[item.index - 1];
      case "ArrowRight": return this.items[item.index + 1];
      case "ArrowUp": return this.inGroup(item, -1);
      case "ArrowDown": return this.inGroup(item, 1);
      case "Home": return this.items[0];
      case "End": return this.items.at(-1);
      default: return null;
    }
  }

  // The picture of the group above or below in the same place, or its last.
  inGroup(from, step) {
    let at = from.index;
    while (this.items[at]?.group === from.group) at += step;
    const { group } = this.items[at] || {};
    if (!group) return null;
    return this.places.get(String(group.files[Math.min(from.column, group.files.length - 1)].id));
  }
}

function reachable(card, yes) {
  for (const element of card.querySelectorAll("a, button")) element.tabIndex = yes ? 0 : -1;
}
