// The panel of filters: beside the pictures on wide windows, a sheet on narrow ones.

import { FILTERS, asks, setFilter, without, withFilter } from "./address.js";
import { get } from "./api.js";
import { byId, make } from "./dom.js";
import { Folders } from "./folders.js";
import { number, sizeOf } from "./words.js";

const SIZES = ["100k", "500k", "1M", "2M", "5M", "10M", "50M"];
// So many labels are offered before one searches among all.
const OFFERED = 14;
// Typing a date passes through dates that are not meant.
const DATE_PAUSE_MS = 600;

export class Filters {
  // `go(params)` shows another address.
  constructor(go) {
    this.go = go;
    this.params = new URLSearchParams();
    this.facets = { formats: [], labels: [], oldest: null, newest: null };
    this.build(byId("filters"));
    this.place();
  }

  build(root) {
    const folders = make("div");
    this.folders = new Folders(folders, (path, adding) => this.chooseFolder(path, adding));
    this.types = make("div", { class: "checks" });
    this.labels = make("div", { class: "pills" });
    this.find = make("input", { type: "search", id: "find-label", placeholder: "Find a label", autocomplete: "off", "aria-label": "Find a label" });
    this.find.addEventListener("input", () => this.showLabels());
    this.find.addEventListener("keydown", (event) => this.labelKey(event));
    this.after = this.dateField("after", "From");
    this.before = this.dateField("before", "Before");
    this.least = this.sizeField("min_size", "At least");
    this.most = this.sizeField("max_size", "At most");
    root.append(
      this.alike(),
      section("Folders", folders),
      section("Date", make("div", { class: "pair" }, this.after.label, this.before.label)),
      this.labelSection = section("Labels", this.find, this.labels),
      this.typeSection = section("Type", this.types),
      section("Size of the file", make("div", { class: "pair" }, this.least.label, this.most.label)),
    );
  }

  alike() {
    this.slider = make("input", { type: "range", id: "alike", min: "0", max: "100", step: "5", value: "0" });
    this.sliderValue = make("output", { for: "alike" });
    const told = () => {
      const value = Number(this.slider.value);
      this.sliderValue.textContent = value ? `${value}\u00a0% or more` : "any";
      this.slider.setAttribute("aria-valuetext", this.sliderValue.textContent);
      this.slider.style.setProperty("--filled", `${value}%`);
    };
    this.sliderTold = told;
    this.slider.addEventListener("input", told);
    this.slider.addEventListener("change", () => this.set("min_similarity", this.slider.value === "0" ? "" : this.slider.value));
    this.alikeSection = make("section", { class: "filter", hidden: true },
      make("label", { class: "filter-line", for: "alike" }, make("span", { class: "filter-title" }, "Similarity"), this.sliderValue), this.slider);
    return this.alikeSection;
  }

  dateField(key, name) {
    const input = make("input", { type: "date" });
    let timer = 0;
    input.addEventListener("change", () => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        if (input.value && Number(input.value.slice(0, 4)) < 1800) return;
        if (input.value !== dateOf(this.params.get(key))) this.set(key, input.value);
      }, DATE_PAUSE_MS);
    });
    return { input, label: make("label", { class: "field" }, make("span", {}, name), input) };
  }

  sizeField(key, name) {
    const select = make("select");
    select.addEventListener("change", () => this.set(key, select.value));
    return { select, label: make("label", { class: "field" }, make("span", {}, name), select) };
  }

  set(key, value) {
    this.go(setFilter(this.params, key, value));
  }

  toggle(key, value) {
    this.go(this.params.getAll(key).includes(value) ? without(this.params, key, value) : withFilter(this.params, key, value));
  }

  chooseFolder(path, adding) {
    if (adding || this.params.getAll("under").includes(path)) return this.toggle("under", path);
    return this.set("under", path);
  }

  // The panel shows what the address says.
  update(params, answer) {
    this.params = params;
    this.folders.update(params.getAll("under"));
    const measured = Boolean(answer?.images.some((image) => typeof image.similarity === "number"));
    this.alikeSection.hidden = !asks(params) || !(measured || params.has("min_similarity"));
    this.slider.value = Number(params.get("min_similarity")) || 0;
    this.sliderTold();
    for (const [key, field] of [["after", this.after], ["before", this.before]]) {
      if (document.activeElement !== field.input) field.input.value = dateOf(params.get(key));
    }
    for (const [key, field] of [["min_size", this.least], ["max_size", this.most]]) fillSizes(field.select, params.get(key));
    this.showTypes();
    this.showLabels();
    const used = [...params.keys()].filter((key) => FILTERS.includes(key)).length;
    byId("toggle-filters").querySelector(".dot").hidden = !used;
    byId("filters-told").textContent = used ? `Filters, ${used} in use` : "Filters";
  }

  async load() {
    try {
      this.facets = await get("/facets");
    } catch {
      // Without them the panel offers less; the pictures themselves say what is wrong.
      return;
    }
    for (const { input } of [this.after, this.before]) input.min = this.facets.oldest || "";
    this.after.input.max = this.facets.newest || "";
    this.update(this.params);
  }

  refresh() {
    this.folders.refresh();
    return this.load();
  }

  showTypes() {
    const chosen = this.params.getAll("type");
    const names = this.facets.formats.map((format) => format.name);
    const formats = [...this.facets.formats, ...chosen.filter((name) => !names.includes(name)).map((name) => ({ name, images: 0 }))];
    this.typeSection.hidden = formats.length < 2 && !chosen.length;
    keepFocus(this.types, () => this.types.replaceChildren(...formats.map((format) => {
      const box = make("input", { type: "checkbox", "data-focus": format.name, onchange: () => this.toggle("type", format.name) });
      box.checked = chosen.includes(format.name);
      return make("label", { class: "check" }, box, make("span", {}, format.name.toUpperCase()), make("span", { class: "folder-count" }, number(format.images)));
    })));
  }

  showLabels() {
    const chosen = this.params.getAll("label");
    const wanted = this.find.value.trim().toLowerCase();
    const free = this.facets.labels.filter((label) => !chosen.includes(label.name) && label.name.toLowerCase().includes(wanted));
    this.labelSection.hidden = !this.facets.labels.length && !chosen.length;
    const pill = (name, images, pressed) => make("button", {
      type: "button", class: "pill", "aria-pressed": String(pressed), "data-focus": name, onclick: () => this.toggle("label", name),
    }, name, images === null ? null : make("span", { class: "pill-count" }, number(images)));
    const shown = [...chosen.map((name) => pill(name, null, true)), ...free.slice(0, OFFERED).map((label) => pill(label.name, label.images, false))];
    if (wanted && !free.length) shown.push(make("p", { class: "quiet" }, "None of the frequent labels. Press Enter to try it all the same."));
    keepFocus(this.labels, () => this.labels.replaceChildren(...shown));
  }

  // Enter takes the first suggestion, or the words as they are: rare labels are not among the suggestions.
  labelKey(event) {
    if (event.key !== "Enter") return;
    event.preventDefault();
    const wanted = this.find.value.trim();
    if (!wanted) return;
    const names = this.facets.labels.map((label) => label.name);
    const name = names.find((one) => one.toLowerCase() === wanted.toLowerCase())
      || names.find((one) => one.toLowerCase().includes(wanted.toLowerCase())) || wanted;
    this.find.value = "";
    this.go(withFilter(this.params, "label", name));
  }

  // Beside the pictures or in a sheet, by the width of the window.
  place() {
    const wide = matchMedia("(min-width: 64rem)");
    const side = byId("side");
    const sheet = byId("sheet");
    const button = byId("toggle-filters");
    let open = localSetting() !== "closed";
    const lay = () => {
      if (wide.matches && sheet.open) sheet.close();
      (wide.matches ? side : sheet).append(byId("filters"));
      side.hidden = !(wide.matches && open && !this.useless);
      button.setAttribute("aria-expanded", String(wide.matches ? !side.hidden : sheet.open));
    };
    wide.addEventListener("change", lay);
    button.addEventListener("click", () => {
      if (!wide.matches) {
        sheet.showModal();
      } else {
        open = side.hidden;
        localSetting(open ? "open" : "closed");
      }
      lay();
    });
    sheet.addEventListener("close", lay);
    sheet.addEventListener("click", (event) => { if (event.target === sheet) sheet.close(); });
    byId("sheet-done").addEventListener("click", () => sheet.close());
    this.lay = lay;
    lay();
  }

  // An empty index has nothing to filter.
  hide(yes) {
    if (this.useless === yes) return;
    this.useless = yes;
    byId("toggle-filters").hidden = yes;
    this.lay();
  }
}

function section(title, ...children) {
  return make("section", { class: "filter", role: "group", "aria-label": title }, make("h3", { class: "filter-title" }, title), children);
}

// A date field takes whole days only; 2024 means its first day.
function dateOf(text) {
  const found = /^(\d{4})(-\d\d)?(-\d\d)?$/.exec(text || "");
  return found ? `${found[1]}${found[2] || "-01"}${found[3] || "-01"}` : "";
}

function fillSizes(select, chosen) {
  const sizes = chosen && !SIZES.includes(chosen) ? [chosen, ...SIZES] : SIZES;
  if (select.dataset.sizes !== sizes.join()) {
    select.dataset.sizes = sizes.join();
    select.replaceChildren(make("option", { value: "" }, "any"), ...sizes.map((size) => make("option", { value: size }, sizeOf(size))));
  }
  select.value = chosen || "";
}

// Lists are built anew after each choice; the keyboard stays on what it was on.
function keepFocus(root, build) {
  const name = root.contains(document.activeElement) ? document.activeElement.dataset.focus : null;
  build();
  if (name) root.querySelector(`[data-focus="${CSS.escape(name)}"]`)?.focus();
}

// Storage can be forbidden; then the panel is simply open.
function localSetting(value) {
  try {
    if (value) localStorage.setItem("imgsearch-filters", value);
    return localStorage.getItem("imgsearch-filters");
  } catch {
    return null;
  }
}

