// The tree of folders. Each level is asked for when it is opened.

import { get } from "./api.js";
import { icon, make } from "./dom.js";
import { number } from "./words.js";

export class Folders {
  // `choose(path, adding)` is called for a folder; `adding` means: beside those already chosen.
  constructor(root, choose) {
    this.root = root;
    this.choose = choose;
    this.chosen = new Set();
    this.loaded = false;
  }

  // Shows the chosen folders, and opens the way to them the first time.
  async update(chosen) {
    this.chosen = new Set(chosen);
    if (!this.loaded) {
      this.loaded = true;
      await this.load(this.root, null);
      for (const path of this.chosen) await this.reveal(path);
      const only = this.root.querySelectorAll(":scope > ul > li");
      if (only.length === 1) await this.open(only[0]);
    }
    this.mark();
  }

  // The index has changed: counts and folders are asked for anew.
  refresh() {
    this.loaded = false;
    return this.update(this.chosen);
  }

  mark() {
    for (const button of this.root.querySelectorAll(".folder-name")) {
      button.setAttribute("aria-pressed", String(this.chosen.has(button.dataset.path)));
    }
  }

  async load(place, under) {
    const params = under ? new URLSearchParams({ under }) : null;
    let folders;
    try {
      ({ folders } = await get("/folders", params));
    } catch (problem) {
      place.querySelector(":scope > ul, :scope > p")?.remove();
      place.append(make("p", { class: "quiet" }, problem.message));
      return;
    }
    place.querySelector(":scope > ul, :scope > p")?.remove();
    place.append(make("ul", { class: "folders" }, folders.map((folder) => this.row(folder))));
    this.mark();
  }

  row(folder) {
    const count = make("span", { class: "folder-count" }, number(folder.images), make("span", { class: "hidden" }, " pictures"));
    const name = make("button", {
      type: "button", class: "folder-name", "aria-pressed": "false", title: folder.path, "data-path": folder.path,
      onclick: (event) => this.choose(folder.path, event.ctrlKey || event.metaKey || event.shiftKey),
    }, icon("folder"), make("span", {}, folder.name), count);
    const item = make("li", { "data-path": folder.path });
    const toggle = folder.has_folders
      ? make("button", {
        type: "button", class: "folder-toggle", "aria-expanded": "false", "aria-label": `Folders in ${folder.name}`,
        onclick: () => (toggle.getAttribute("aria-expanded") === "true" ? this.close(item) : this.open(item)),
      }, icon("next"))
      : make("span", { class: "folder-toggle" });
    item.append(make("div", { class: "folder" }, toggle, name));
    return item;
  }

  async open(item) {
    const toggle = item.querySelector(":scope > .folder > button.folder-toggle");
    if (!toggle) return;
    toggle.setAttribute("aria-expanded", "true");
    const list = item.querySelector(":scope > ul");
    if (list) list.hidden = false;
    else await this.load(item, item.dataset.path);
  }

  close(item) {
    item.querySelector(":scope > .folder > .folder-toggle").setAttribute("aria-expanded", "false");
    const list = item.querySelector(":scope > ul");
    if (list) list.hidden = true;
  }

  async reveal(path) {
    let place = this.root;
    for (;;) {
      const next = [...place.querySelectorAll(":scope > ul > li")]
        .find((item) => path !== item.dataset.path && path.startsWith(item.dataset.path.replace(/[\\/]$/, "")) && /[\\/]/.test(path[item.dataset.path.replace(/[\\/]$/, "").length] || ""));
      if (!next) return;
      await this.open(next);
      place = next;
    }
  }
}
