// The row of pictures that look like the open one.

import { get, thumbnail } from "./api.js";
import { href, opened } from "./address.js";
import { make } from "./dom.js";
import { remember } from "./known.js";
import { ratio } from "./justify.js";
import { alt, percent } from "./words.js";

const SHOWN = 14;

export class Neighbours {
  constructor(open, all) {
    this.list = make("ol", { class: "strip-list" });
    this.list.addEventListener("click", (event) => {
      const link = event.target.closest("a");
      if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      open(link.dataset.id);
    });
    // A preview that is missing leaves its place empty; the name stays for screen readers.
    this.list.addEventListener("error", (event) => event.target.closest("li")?.classList.add("is-broken"), true);
    const more = make("button", { type: "button", class: "small", onclick: all }, "Show all");
    this.root = make("section", { class: "strip", "aria-label": "Pictures that look like this" },
      make("div", { class: "strip-head" }, make("h3", {}, "Looks like this"), more), this.list);
  }

  async load(id, signal) {
    this.list.classList.add("is-stale");
    try {
      const answer = await get("/search", new URLSearchParams({ id, limit: SHOWN + 1 }), signal);
      const images = answer.results.filter((image) => String(image.id) !== String(id)).slice(0, SHOWN);
      remember(images);
      this.list.replaceChildren(...images.map(neighbour));
      this.list.scrollLeft = 0;
      this.root.hidden = !images.length;
    } catch (error) {
      if (error.name === "AbortError") return;
      this.root.hidden = true;
    }
    this.list.classList.remove("is-stale");
  }
}

function neighbour(image) {
  const picture = make("img", { alt: alt(image), loading: "lazy", decoding: "async", draggable: "false", src: thumbnail(image.id, 256, image.digest) });
  picture.style.aspectRatio = String(ratio(image));
  const address = href(opened(new URLSearchParams(location.search), image.id));
  const alike = typeof image.similarity === "number" ? make("span", { class: "strip-alike" }, percent(image.similarity)) : null;
  return make("li", {}, make("a", { href: address, "data-id": image.id }, picture, alike));
}
