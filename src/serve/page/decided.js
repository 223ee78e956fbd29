// The bar that counts what is decided, and the list with the command that acts on it. The page itself touches no file.

import { byId, copy, icon, iconButton, make, toast } from "./dom.js";
import { commandFor, listOf } from "./decisions.js";
import { bytes, number } from "./words.js";

const NAME = "discard.txt";
// So many paths are shown; the list has all.
const SHOWN = 200;

const ACTIONS = { trash: "Move to the trash", hardlink: "Replace by hard links" };

const sizeOf = (files) => bytes(files.reduce((sum, file) => sum + file.bytes, 0));
const countOf = (files) => (files.length === 1 ? "1 file" : `${number(files.length)} files`);

export class DecisionBar {
  // `on`: {files(), all(), onlyBest(), index(), near()}
  constructor(decisions, on) {
    Object.assign(this, { decisions, on, action: "trash" });
    this.text = make("p", { class: "decisions-text", role: "status" });
    this.best = make("button", { type: "button", class: "small", onclick: () => on.onlyBest() }, "Keep only the best", make("span", { class: "decisions-each" }, "\u00a0of each"));
    this.reset = make("button", { type: "button", class: "small decisions-clear", onclick: () => this.clear() }, "Clear");
    this.get = make("button", { type: "button", class: "small strong", onclick: () => this.open() }, "Get the list");
    this.root = make("div", { class: "decisions", hidden: true }, this.text, make("div", { class: "decisions-buttons" }, this.best, this.reset, this.get));
    this.dialog = byId("list");
    this.dialog.addEventListener("click", (event) => { if (event.target === this.dialog) this.dialog.close(); });
  }

  hide() {
    this.root.hidden = true;
  }

  update() {
    const files = this.on.files();
    this.root.hidden = false;
    this.text.replaceChildren(...(files.length
      ? [make("strong", {}, `${countOf(files)} to discard`), `, ${sizeOf(files)}`]
      : [make("span", { class: "quiet" }, "Nothing to discard yet")]));
    this.get.disabled = !files.length;
    this.reset.hidden = !this.decisions.any;
  }

  clear() {
    const before = [...this.decisions.chosen];
    this.decisions.clear();
    toast(before.length === 1 ? "1 decision taken back." : `${number(before.length)} decisions taken back.`);
    this.best.focus();
  }

  async open() {
    await this.on.all();
    const files = this.on.files();
    const text = listOf(files);
    const code = make("code", {});
    const told = () => { code.textContent = commandFor(this.action, this.on.index(), this.on.near()); };
    told();
    const choice = (action) => {
      const input = make("input", { type: "radio", name: "action", value: action, onchange: () => { this.action = action; told(); } });
      input.checked = action === this.action;
      return make("label", { class: "check" }, input, ACTIONS[action]);
    };
    const save = make("button", { type: "button", class: "small strong", onclick: () => download(text) }, `Save ${NAME}`);
    const paths = make("button", { type: "button", class: "small", onclick: () => this.copied(text, "Paths copied.") }, "Copy the paths");
    const command = make("button", { type: "button", class: "command", title: "Copy the command", onclick: () => this.copied(code.textContent, "Command copied.") }, code, icon("copy"));
    const shown = files.slice(0, SHOWN).map((file) => make("li", {}, file.path));
    if (files.length > SHOWN) shown.push(make("li", { class: "quiet" }, `and ${number(files.length - SHOWN)} more`));
    this.dialog.replaceChildren(
      make("header", { class: "panel-head" }, make("h2", { id: "list-title" }, `${countOf(files)} to discard, ${sizeOf(files)}`),
        iconButton("close", "Close", () => this.dialog.close())),
      make("p", {}, "This page changes no file. Save the list, then run the command in the folder where it is. It shows what it would do and asks first; imgsearch duplicates --undo brings the files back."),
      make("h3", {}, "1. The list"), make("div", { class: "panel-row" }, save, paths),
      make("ol", { class: "paths", tabindex: "0", "aria-label": "Files to discard" }, shown),
      make("h3", {}, "2. The command"), make("div", { class: "panel-row", role: "radiogroup", "aria-label": "What to do" }, Object.keys(ACTIONS).map(choice)), command);
    this.dialog.showModal();
    save.focus();
  }

  async copied(text, done) {
    toast(await copy(text) ? done : "It could not be copied. It can be selected.");
  }
}

function download(text) {
  const url = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  const link = make("a", { href: url, download: NAME });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
