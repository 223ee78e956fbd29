// The map of the collection, as a view of the page: dots, pictures and names, and regions that become filters.

import { setFilter, withView } from "./address.js";
import { thumbnail } from "./api.js";
import { announce, icon, iconButton, make } from "./dom.js";
import { ALL } from "./dots.js";
import { Lasso, cornersOf, regionText } from "./lasso.js";
import { CollectionMap } from "./map.js";
import { Making, made } from "./making.js";
import { Thumbnails, read } from "./places.js";
import { number, pictures } from "./words.js";

// Moving the map writes the address when it rests.
const REST_MS = 400;

export class Atlas {
  // `on`: {go(params), open(id), moved(at), status(), shown(), failed(problem)}
  constructor(root, on) {
    Object.assign(this, { root, on, key: null, answer: null, map: null });
    this.making = new Making("Making the map");
    this.place = make("div", { class: "atlas-map" });
    this.tip = make("div", { class: "atlas-tip", "aria-hidden": "true", hidden: true }, make("img", { alt: "" }), make("p"));
    this.build();
    root.append(this.making.root, this.frame);
    root.addEventListener("keydown", (event) => this.pressed(event));
  }

  build() {
    this.draw = make("button", { type: "button", class: "small", "aria-pressed": "false", onclick: () => this.toggleLasso() }, icon("lasso"), "Draw an area");
    this.inView = make("button", { type: "button", class: "small", onclick: () => this.showView() }, icon("grid"), "Pictures in view");
    this.choose = make("select", { "aria-label": "Group", onchange: () => this.map?.choose(this.choose.value === "" ? ALL : Number(this.choose.value)) });
    const tools = make("div", { class: "atlas-tools" },
      iconButton("plus", "Zoom in", () => this.map?.zoom(1.6)), iconButton("minus", "Zoom out", () => this.map?.zoom(1 / 1.6)),
      iconButton("fit", "Show the whole map", () => this.map?.showAll()));
    this.hint = make("p", { class: "atlas-hint", hidden: true }, "Draw around the pictures that you want to see");
    this.frame = make("div", { class: "atlas-frame", hidden: true }, this.place,
      make("div", { class: "atlas-head" }, this.choose, this.draw, this.inView), this.hint, tools, this.tip);
  }

  async show(params, again = false) {
    const asked = new URLSearchParams(params);
    for (const name of ["view", "open", "at", "region"]) asked.delete(name);
    this.params = params;
    this.region = cornersOf(params.get("region"));
    const key = asked.toString();
    if (key === this.key && !again) {
      this.map?.redraw();
      return void this.on.shown();
    }
    this.leave();
    this.key = key;
    this.answer = null;
    this.frame.hidden = !this.map;
    this.root.setAttribute("aria-busy", "true");
    const controller = new AbortController();
    this.controller = controller;
    try {
      const answer = await made("/map", asked, controller.signal, (underway) => {
        this.frame.hidden = true;
        this.making.show(underway);
      });
      if (!controller.signal.aborted) this.present(answer);
    } catch (problem) {
      if (problem.name === "AbortError") return;
      this.key = null;
      this.making.hide();
      this.frame.hidden = true;
      this.root.setAttribute("aria-busy", "false");
      this.on.failed(problem);
    }
  }

  // What is being loaded is of no use elsewhere.
  leave() {
    if (!this.answer) this.key = null;
    this.controller?.abort();
    this.tip.hidden = true;
    this.stopLasso();
    clearTimeout(this.resting);
  }

  present(answer) {
    this.making.hide();
    this.answer = answer;
    this.seen = this.on.status();
    this.root.setAttribute("aria-busy", "false");
    this.frame.hidden = !answer.images;
    this.data?.pictures.close();
    this.place.replaceChildren();
    this.map = null;
    if (answer.images) this.open(read(answer));
    this.on.shown();
    announce(`${pictures(answer.images)} on the map.`);
  }

  open(data) {
    this.data = data;
    data.pictures = new Thumbnails(data, () => this.map.redraw());
    this.map = new CollectionMap(this.place, data, {
      hover: (image, left, top) => this.hover(image, left, top),
      pick: (image) => { if (image >= 0) this.on.open(data.ids[image]); },
      chosen: (group) => { this.choose.value = group === ALL ? "" : String(group); },
      drawn: (context, view) => this.drawn(context, view),
    });
    this.lasso = new Lasso(this.map, (corners) => this.showRegion(corners));
    const named = data.groups.map((group, place) => ({ group, place })).filter(({ group }) => group.name && group.size);
    this.choose.replaceChildren(make("option", { value: "" }, "All groups"),
      ...named.map(({ group, place }) => make("option", { value: String(place) }, `${group.name} (${number(group.size)})`)));
    this.choose.hidden = !named.length;
    const at = (this.params.get("at") || "").split(",").map(Number);
    if (at.length === 3 && at.every(Number.isFinite) && at[2] > 0) this.moveTo(at);
    else if (this.region) this.map.show(around(this.region), true);
  }

  moveTo([x, y, zoom]) {
    Object.assign(this.map.view, { x, y, scale: this.map.fit * Math.min(zoom, 4000) });
    this.map.redraw();
  }

  drawn(context, view) {
    this.data.pictures.drawn();
    const colour = getComputedStyle(this.root).getPropertyValue("--accent").trim();
    this.lasso.draw(context, view, this.region, colour);
    clearTimeout(this.resting);
    this.resting = setTimeout(() => {
      const zoom = view.scale / this.map.fit;
      const whole = Math.abs(zoom - 1) < 0.01;
      this.on.moved(whole ? null : [view.x.toFixed(2), view.y.toFixed(2), zoom.toFixed(2)].join(","));
    }, REST_MS);
  }

  count() {
    if (!this.answer?.images) return [];
    const groups = this.answer.groups.filter((group) => group.images).length;
    const among = groups ? [make("span", { class: "quiet" }, groups === 1 ? "in 1 group" : `in ${number(groups)} groups`)] : [];
    return [make("strong", {}, pictures(this.answer.images)), ...among];
  }

  focus() {
    this.map?.canvas.focus({ preventScroll: true });
  }

  hover(image, left, top) {
    this.place.classList.toggle("is-pointing", image >= 0 && !this.lasso.on);
    const { tip } = this;
    tip.hidden = image < 0 || this.lasso.on;
    if (tip.hidden) return;
    const source = thumbnail(this.data.ids[image], 256);
    const picture = tip.querySelector("img");
    if (picture.getAttribute("src") !== source) picture.src = source;
    const group = this.data.groups[this.data.group[image]];
    tip.querySelector("p").textContent = group ? group.name || "a group without a name" : "in no group";
    const { clientWidth, clientHeight } = this.place;
    tip.style.left = `${left + 24 + tip.offsetWidth > clientWidth ? left - tip.offsetWidth - 16 : left + 16}px`;
    tip.style.top = `${Math.max(8, top + 24 + tip.offsetHeight > clientHeight ? top - tip.offsetHeight - 16 : top + 16)}px`;
  }

  // ---- regions

  toggleLasso() {
    if (this.lasso?.on) return this.stopLasso();
    this.lasso.on = true;
    this.draw.setAttribute("aria-pressed", "true");
    this.place.classList.add("is-drawing");
    this.hint.hidden = false;
    this.tip.hidden = true;
    return this.focus();
  }

  stopLasso() {
    if (!this.lasso) return;
    this.lasso.on = false;
    this.draw.setAttribute("aria-pressed", "false");
    this.place.classList.remove("is-drawing");
    this.hint.hidden = true;
  }

  showRegion(corners) {
    this.stopLasso();
    const text = regionText(corners, this.map.view.scale);
    this.on.go(withView(setFilter(this.params, "region", text), "pictures"));
  }

  // The part that is seen is a region, too: so no mouse is needed.
  showView() {
    const { view } = this.map;
    const corners = [[0, 0], [view.width, 0], [view.width, view.height], [0, view.height]];
    this.showRegion(corners.map(([left, top]) => view.toMap(left, top)));
  }

  pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.map || event.target.matches("select")) return;
    const action = {
      Escape: () => { if (this.lasso.on) { this.lasso.stop(); this.stopLasso(); } else this.map.choose(ALL); },
      l: () => this.toggleLasso(), v: () => this.showView(),
    }[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  }
}

function around(corners) {
  const [xs, ys] = [0, 1].map((axis) => corners.map((corner) => corner[axis]));
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}
