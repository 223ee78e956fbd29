// Builds elements, and holds the few things that every part of the page says.

const SVG = "http://www.w3.org/2000/svg";

// make("button", { class: "small", onclick: f, "aria-label": "Close" }, "Close", icon("close"))
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

export function iconButton(name, label, onclick, attributes = {}) {
  return make("button", { type: "button", class: "round", title: label, "aria-label": label, onclick, ...attributes }, icon(name));
}

export const byId = (id) => document.getElementById(id);

// Screen readers hear a sentence only if the text changes, so the same one is told again after a pause.
export function announce(sentence) {
  const region = byId("announce");
  region.textContent = "";
  setTimeout(() => { region.textContent = sentence; }, 60);
}

let toastTimer = 0;

export function toast(sentence) {
  // An open dialog covers the page, so the toast has to be inside it.
  const dialog = document.querySelector("dialog[open]");
  const element = byId("toast");
  (dialog || document.body).append(element);
  element.textContent = sentence;
  element.hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { element.hidden = true; }, 4000);
}

// The clipboard API exists only on secure pages; a selected text can be copied everywhere.
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = make("textarea", { readonly: true, class: "hidden", "aria-hidden": "true" }, text);
    (document.querySelector("dialog[open]") || document.body).append(field);
    const before = document.activeElement;
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    if (before) before.focus({ preventScroll: true });
    return done;
  }
}

export const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
