// Answers that take the server a while: asks again until they are there, and tells how far it is.

import { get } from "./api.js";
import { make } from "./dom.js";
import { number } from "./words.js";

// The server itself waits before it says that it is not done.
const PAUSE_MS = 250;

// `told(underway)` is called with {stage, done, of} while the answer is being made.
export async function made(path, params, signal, told) {
  let asked = params;
  for (;;) {
    const answer = await get(path, asked, signal);
    if (typeof answer.stage !== "string") return answer;
    told(answer);
    await pause(signal);
    asked = new URLSearchParams(params);
    asked.set("cursor", answer.next);
  }
}

function pause(signal) {
  return new Promise((resolve, reject) => {
    const stop = () => reject(new DOMException("stopped", "AbortError"));
    if (signal?.aborted) return stop();
    signal?.addEventListener("abort", stop, { once: true });
    setTimeout(resolve, PAUSE_MS);
  });
}

const STAGES = {
  waiting: ["Waiting for other work", ""],
  searching: ["Looking for pictures near each other", "pictures"],
  comparing: ["Comparing by their pixels", "pairs"],
  placing: ["Placing the pictures", "rounds"],
};

// How far the work is: a sentence and a bar, in place of what is being made.
export class Making {
  constructor(title) {
    this.bar = make("progress", { max: 1, "aria-label": title });
    this.line = make("p", { class: "quiet" });
    this.root = make("div", { class: "making", hidden: true }, make("h2", {}, title), this.bar, this.line);
  }

  show({ stage, done, of }) {
    const [doing, unit] = STAGES[stage] || ["Working", ""];
    this.root.hidden = false;
    if (of > 0) this.bar.value = Math.min(1, done / of);
    else this.bar.removeAttribute("value");
    this.line.textContent = of > 0 ? `${doing}: ${number(done)} of ${number(of)} ${unit}`.trim() : `${doing} …`;
  }

  hide() {
    this.root.hidden = true;
  }
}
