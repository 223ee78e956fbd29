// What goes on in the index while the page is open.

import { events, get } from "./api.js";
import { byId, make } from "./dom.js";
import { number, pictures } from "./words.js";

const RETRY_MS = 10_000;

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
    // A browser has few connections for one server. A window that nobody sees must not hold one of them.
    const listen = () => (document.hidden ? this.stop() : this.listen());
    document.addEventListener("visibilitychange", listen);
    addEventListener("pagehide", () => this.stop());
    addEventListener("pageshow", listen);
    listen();
  }

  listen() {
    if (this.source) return;
    const source = events();
    this.source = source;
    source.addEventListener("status", (event) => {
      try {
        this.take(JSON.parse(event.data));
      } catch {
        // An event that was cut off is followed by another.
      }
    });
    // The browser reconnects by itself unless the server refused.
    source.addEventListener("error", () => {
      if (source.readyState !== EventSource.CLOSED || this.source !== source) return;
      this.source = null;
      setTimeout(() => { if (!document.hidden) this.listen(); }, RETRY_MS);
    });
  }

  stop() {
    this.source?.close();
    this.source = null;
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
