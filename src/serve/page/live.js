// What goes on in the index while the page is open.

import { events, get } from "./api.js";
import { byId, make } from "./dom.js";
import { number, pictures } from "./words.js";

export class Live {
  // `changed(status)` is called whenever the server tells something new.
  constructor(changed) {
    this.changed = changed;
    this.status = null;
  }

  async start() {
    try {
      this.take(await get("/status"));
    } catch {
      // The request for pictures fails as well and says why.
    }
    const source = events();
    source.addEventListener("status", (event) => {
      try {
        this.take(JSON.parse(event.data));
      } catch {
        // An event that was cut off is followed by another.
      }
    });
    // The browser holds connections open per server; a page that is left must not keep one.
    addEventListener("pagehide", () => source.close());
  }

  take(status) {
    this.status = status;
    showAbout(status);
    showProgress(status);
    this.changed(status);
  }

  // Offers new pictures, or hides the offer. `seen`: the status when the pictures shown were asked for.
  offer(seen) {
    const button = byId("fresh");
    const now = this.status;
    const more = seen && now ? now.images - seen.images : 0;
    button.hidden = !(seen && now && now.generation !== seen.generation && more !== 0);
    if (button.hidden) return;
    button.textContent = more > 0 ? `Show ${more === 1 ? "1 new picture" : `${number(more)} new pictures`}` : "Show what changed";
  }
}

function showProgress(status) {
  const line = byId("progress");
  line.hidden = !status.indexing;
  if (line.hidden) return;
  line.replaceChildren(make("span", { class: "pulse", "aria-hidden": "true" }), `Indexing, ${pictures(status.images)} so far`);
  line.title = status.indexing.command || "";
}

function showAbout(status) {
  byId("about-count").textContent = pictures(status.images);
  const facts = [
    ["Version", `imgsearch ${status.version}`],
    ["Index", status.index],
    ["Encoder", status.encoder ? status.encoder.name : null],
    ["Not readable", status.failed ? (status.failed === 1 ? "1 file" : `${number(status.failed)} files`) : null],
  ];
  byId("about-facts").replaceChildren(...facts.filter(([, value]) => value)
    .map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));
}
