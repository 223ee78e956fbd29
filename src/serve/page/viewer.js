// The large view of one picture: a native dialog, so the browser keeps the focus inside and Escape works.

import { original, reveal, thumbnail } from "./api.js";
import { announce, byId, copy, icon, iconButton, make, toast } from "./dom.js";
import { facts, labelList } from "./facts.js";
import { describe, known } from "./known.js";
import { Neighbours } from "./neighbours.js";
import { Part } from "./part.js";
import { alt } from "./words.js";

const SHOWN_BY_BROWSERS = new Set(["jpeg", "jpg", "png", "gif", "webp", "bmp", "avif"]);
// Small pictures are enlarged up to this factor; beyond it they only get blurred.
const MOST_ENLARGED = 2.5;
const SWIPE_PIXELS = 50;

export class Viewer {
  // `on`: {close(), step(direction), open(id), ask(id, crop), label(name), steps(id), local()}
  constructor(on) {
    this.on = on;
    this.id = null;
    this.dialog = byId("viewer");
    this.build();
    this.dialog.addEventListener("keydown", (event) => this.key(event));
    this.dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      if (this.part.active) this.part.stop();
      else on.close();
    });
    // Some ways of closing cannot be prevented; the address has to follow them, too.
    this.dialog.addEventListener("close", () => { if (this.id !== null) on.close(); });
    new ResizeObserver(() => this.fit()).observe(this.stage);
  }

  build() {
    this.name = make("h2", { id: "viewer-name", class: "viewer-name", tabindex: "-1" });
    this.preview = make("img", { class: "preview", alt: "", draggable: "false" });
    this.full = make("img", { class: "full", decoding: "async", draggable: "false" });
    this.full.addEventListener("load", () => this.loaded());
    this.full.addEventListener("error", () => this.failed());
    this.preview.addEventListener("load", () => this.fit());
    this.frame = make("div", { class: "frame" }, this.preview, this.full);
    this.missing = make("p", { class: "stage-note", hidden: true });
    const bar = make("div", { class: "part-bar", hidden: true });
    this.previous = iconButton("previous", "Previous picture", () => this.on.step(-1), { class: "round step step-previous" });
    this.next = iconButton("next", "Next picture", () => this.on.step(1), { class: "round step step-next" });
    this.stage = make("div", { class: "stage" }, this.frame, this.missing, this.previous, this.next, bar);
    this.part = new Part(this.frame, bar, {
      ask: (crop) => this.on.ask(this.id, crop),
      stopped: () => this.partButton.focus(),
      changed: (active) => {
        this.partButton.setAttribute("aria-pressed", String(active));
        this.stage.classList.toggle("is-choosing", active);
      },
    });
    this.actions = make("div", { class: "viewer-actions" });
    this.buildActions();
    this.facts = make("dl", { class: "facts" });
    this.labels = make("div", { class: "pills" });
    this.labelSection = make("section", { "aria-label": "Labels" }, make("h3", {}, "Labels"), this.labels);
    this.neighbours = new Neighbours((id) => this.on.open(id), () => this.on.ask(this.id, null));
    const close = iconButton("close", "Close", () => this.on.close(), { class: "round viewer-close" });
    this.dialog.append(make("div", { class: "viewer-body" },
      make("header", { class: "viewer-head" }, this.name, close), this.stage,
      this.actions, this.neighbours.root,
      make("div", { class: "viewer-side" }, this.labelSection, this.facts)));
    this.swipes();
  }

  buildActions() {
    const action = (symbol, text, onclick, strong) => make("button", { type: "button", class: strong ? "action strong" : "action", onclick }, icon(symbol), make("span", {}, text));
    this.partButton = action("part", "Search a part", () => (this.part.active ? this.part.stop() : this.part.start()));
    this.partButton.setAttribute("aria-pressed", "false");
    this.revealButton = action("folder", "Reveal in file manager", () => this.reveal());
    this.openLink = make("a", { class: "action", target: "_blank", rel: "noopener" }, icon("open"), make("span", {}, "Open original"));
    this.actions.append(
      action("alike", "More like this", () => this.on.ask(this.id, null), true), this.partButton,
      action("copy", "Copy path", () => this.copyPath()), this.revealButton, this.openLink);
  }

  get open() {
    return this.id !== null;
  }

  // Shows a picture; what is known of it at once, the rest when it has come.
  async show(id) {
    if (this.id === id) return;
    const first = this.id === null;
    this.id = id;
    this.part.stop();
    this.controller?.abort();
    this.controller = new AbortController();
    const image = known(id);
    this.draw(image);
    if (!this.dialog.open) this.dialog.showModal();
    if (first) this.name.focus({ preventScroll: true });
    this.dialog.scrollTop = 0;
    this.neighbours.load(id, this.controller.signal);
    try {
      const whole = await describe(id, this.controller.signal);
      if (this.id === id) this.tell(whole, Boolean(image));
    } catch (problem) {
      if (problem.name !== "AbortError" && this.id === id) this.unknown(problem);
    }
  }

  hide() {
    if (this.id === null) return;
    this.id = null;
    this.image = null;
    this.controller?.abort();
    this.part.stop();
    for (const picture of [this.preview, this.full]) picture.removeAttribute("src");
    if (this.dialog.open) this.dialog.close();
  }

  tell(image, drawn) {
    if (!drawn) this.draw(image);
    else this.write(image);
    announce(alt(image));
  }

  draw(image) {
    this.image = image;
    this.missing.hidden = true;
    this.stage.classList.remove("is-ready", "is-broken");
    this.full.removeAttribute("src");
    this.preview.removeAttribute("src");
    this.write(image);
    if (!image) return;
    this.preview.src = thumbnail(image.id, 512, image.digest);
    this.full.alt = alt(image);
    this.fit();
    if (image.away) return this.away();
    this.full.src = SHOWN_BY_BROWSERS.has(image.format) ? original(image) : thumbnail(image.id, 512, image.digest);
  }

  write(image) {
    this.image = image;
    this.name.textContent = image ? image.name : "…";
    this.facts.replaceChildren(...(image ? facts(image) : []));
    const labels = image ? labelList(image, this.on.label) : [];
    this.labelSection.hidden = !labels.length;
    this.labels.replaceChildren(...labels);
    this.offerReveal();
    this.openLink.hidden = !image || image.away;
    if (image) this.openLink.href = original(image);
    this.actions.hidden = !image;
    this.steps();
  }

  offerReveal() {
    this.revealButton.hidden = !this.on.local() || !this.image || this.image.away;
  }

  steps() {
    const { previous, next } = this.on.steps(this.id);
    this.previous.hidden = !previous;
    this.next.hidden = !next;
  }

  unknown(problem) {
    this.name.textContent = "This picture cannot be shown";
    this.note([problem.message, problem.hint].filter(Boolean).join(" "));
  }

  away() {
    this.note("The file is on a disk that is not connected. This is its preview.");
  }

  loaded() {
    this.stage.classList.add("is-ready");
    this.fit();
  }

  failed() {
    if (!this.full.getAttribute("src")) return;
    this.stage.classList.add("is-broken");
    this.note("The file itself cannot be shown. This is its preview.");
  }

  note(sentence) {
    this.missing.textContent = sentence;
    this.missing.hidden = false;
  }

  // The frame is exactly as large as the picture, so that a part of it can be measured.
  fit() {
    const source = [this.full, this.preview].find((picture) => picture.naturalWidth);
    const [width, height] = this.image?.width ? [this.image.width, this.image.height] : [4, 3];
    // A browser knows best which side of the picture is up.
    const shape = source ? source.naturalWidth / source.naturalHeight : width / height;
    const style = getComputedStyle(this.stage);
    const room = [this.stage.clientWidth - parseFloat(style.paddingLeft) * 2, this.stage.clientHeight - parseFloat(style.paddingTop) * 2];
    const across = Math.min(room[0], room[1] * shape, Math.max(width, height * shape) * MOST_ENLARGED);
    if (!(across > 0)) return;
    this.frame.style.width = `${Math.floor(across)}px`;
    this.frame.style.height = `${Math.floor(across / shape)}px`;
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") {
      event.preventDefault();
      if (this.part.active) this.part.stop();
      else this.on.close();
      return;
    }
    const action = {
      ArrowLeft: () => this.on.step(-1), ArrowRight: () => this.on.step(1),
      m: () => this.on.ask(this.id, null), p: () => this.part.start(),
    }[event.key];
    if (!action || !this.image) return;
    event.preventDefault();
    action();
  }

  swipes() {
    let from = null;
    this.stage.addEventListener("pointerdown", (event) => {
      from = event.pointerType === "touch" && event.isPrimary && !this.part.active ? event : null;
    });
    this.stage.addEventListener("pointerup", (event) => {
      if (!from || this.part.active) return;
      const [x, y] = [event.clientX - from.clientX, event.clientY - from.clientY];
      from = null;
      if (Math.abs(x) > SWIPE_PIXELS && Math.abs(x) > 2 * Math.abs(y)) this.on.step(x < 0 ? 1 : -1);
    });
    this.stage.addEventListener("pointercancel", () => { from = null; });
  }

  async copyPath() {
    toast(await copy(this.image.path) ? "Path copied." : "The path could not be copied. It stands below, to be selected.");
  }

  async reveal() {
    try {
      await reveal(this.id);
      toast("Shown in the file manager.");
    } catch (problem) {
      toast([problem.message, problem.hint].filter(Boolean).join(" "));
    }
  }
}
