// Asks for the pictures that the address describes, page by page, and says what came of it.

import { asks, query } from "./address.js";
import { get } from "./api.js";
import { announce, byId, calm } from "./dom.js";
import { number, pictures } from "./words.js";

const PAGE = 80;
// So many answers are kept, so that going back shows them at once, at the place that was left.
const KEPT = 12;

export class Results {
  // `on`: {shown(answer, params, restored), failed(problem, params), grew(answer)}
  constructor(grid, options, on) {
    this.grid = grid;
    this.options = options;
    this.on = on;
    this.key = null;
    this.answer = null;
    this.kept = new Map();
    this.loading = false;
    // Asks well before the end is in sight.
    new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && this.more(), { rootMargin: "1400px" })
      .observe(byId("tail"));
  }

  // Shows what the address asks for. `back`: the user went back or forward, so a kept answer will do.
  async show(params, { back = false, again = false, quiet = false } = {}) {
    const key = query(params).toString();
    if (key === this.key && !again) return;
    this.leave();
    this.key = key;
    this.params = params;
    const kept = back && !again ? this.kept.get(key) : null;
    if (kept) return this.present(kept, true);
    const focused = this.grid.hasFocus();
    this.busy(true);
    try {
      const answer = await this.ask(params, null);
      if (!answer) return;
      this.present(answer, false, quiet);
      // The tile that had the focus is gone.
      if (focused && !document.querySelector("dialog[open]")) this.grid.focusFirst();
    } catch (problem) {
      this.answer = null;
      this.key = null;
      this.grid.clear();
      this.busy(false);
      this.on.failed(problem, params);
    }
  }

  // Remembers where the page was scrolled to, for the way back.
  leave() {
    this.controller?.abort();
    if (!this.answer || this.key === null) return;
    this.answer.scroll = scrollY;
    this.kept.delete(this.key);
    this.kept.set(this.key, this.answer);
    if (this.kept.size > KEPT) this.kept.delete(this.kept.keys().next().value);
  }

  // Another view is looked at: what is being loaded is not shown, and coming back begins anew.
  pause() {
    this.leave();
    this.key = null;
    this.busy(false);
  }

  present(answer, restored, quiet) {
    this.answer = answer;
    this.busy(false);
    this.grid.show(answer.images, this.options(this.params, answer));
    this.on.shown(answer, this.params, restored);
    scrollTo({ top: restored ? answer.scroll || 0 : 0, behavior: "instant" });
    if (!quiet) announce(sentence(answer));
    this.refill();
  }

  // An observer speaks only when something changes; a page that leaves the end in sight changes nothing.
  refill() {
    requestAnimationFrame(() => {
      if (this.answer?.next && byId("tail").getBoundingClientRect().top < innerHeight + 1400) this.more();
    });
  }

  async more() {
    const answer = this.answer;
    if (!answer || !answer.next || this.loading || answer.stuck) return false;
    this.loading = true;
    byId("tail").classList.add("is-loading");
    try {
      const page = await this.ask(this.params, answer.next);
      if (!page || this.answer !== answer) return false;
      answer.images.push(...page.images);
      answer.next = page.next;
      this.grid.append(page.images);
      this.on.grew(answer);
      return true;
    } catch (problem) {
      // Without this, the end in sight would ask again and again.
      answer.stuck = true;
      this.on.stuck(problem, () => { answer.stuck = false; return this.more(); });
      return false;
    } finally {
      this.loading = false;
      byId("tail").classList.remove("is-loading");
      if (!answer.stuck) this.refill();
    }
  }

  async ask(params, cursor) {
    const controller = new AbortController();
    this.controller = controller;
    const asked = query(params);
    asked.set("limit", PAGE);
    if (cursor) asked.set("cursor", cursor);
    try {
      const told = await get(asks(params) ? "/search" : "/images", asked, controller.signal);
      return { ...told, images: told.results || told.images || [], search: Boolean(told.results) };
    } catch (error) {
      if (error.name === "AbortError") return null;
      throw error;
    }
  }

  busy(yes) {
    clearTimeout(this.busyTimer);
    const set = () => {
      byId("busy").hidden = !yes;
      byId("results").classList.toggle("is-stale", yes);
    };
    byId("results").setAttribute("aria-busy", String(yes));
    // Most answers are faster than an eye notices a change; only slow ones are worth a sign.
    if (yes) this.busyTimer = setTimeout(set, calm() ? 400 : 180);
    else set();
  }
}

export function sentence(answer) {
  if (!answer.images.length) return "No pictures found.";
  if (typeof answer.total === "number") return `${pictures(answer.total)}.`;
  const more = answer.next ? ", more follow" : "";
  return `${number(answer.images.length)} results${more}, the most alike first.`;
}
