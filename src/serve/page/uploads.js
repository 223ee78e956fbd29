// Pictures that come from outside: dropped, pasted or chosen.

import { byId } from "./dom.js";

// Each picture's token has some 700 characters, and all stand in the address.
const MOST = 5;

// `take(files, adding)` gets the pictures; `refuse(sentence)` what to say if there are none;
// `words(text)` gets pasted text; `canAdd()` tells whether there is a question to add to.
export function watchUploads({ take, refuse, words, canAdd }) {
  watchChoice(take);
  watchPaste(take, words);
  watchDrop(take, refuse, canAdd);
}

function watchChoice(take) {
  const file = byId("file");
  byId("choose").addEventListener("click", () => file.click());
  file.addEventListener("change", () => {
    const files = [...file.files].slice(0, MOST);
    // Choosing the same file again has to count as a change.
    file.value = "";
    if (files.length) take(files, false);
  });
}

function watchPaste(take, words) {
  addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files || [])].slice(0, MOST);
    if (files.length) {
      event.preventDefault();
      take(files, false);
      return;
    }
    if (event.target.closest?.("input, textarea, dialog")) return;
    const text = (event.clipboardData?.getData("text/plain") || "").trim().replace(/\s+/g, " ");
    if (!text) return;
    event.preventDefault();
    words(text.slice(0, 400));
  });
}

function watchDrop(take, refuse, canAdd) {
  const overlay = byId("drop");
  let own = false;
  const hide = () => {
    overlay.hidden = true;
    mark(null);
  };
  const mark = (zone) => {
    for (const one of overlay.children) one.classList.toggle("is-over", one === zone);
  };
  const foreign = (event) => !own && [...event.dataTransfer.types].some((type) => type === "Files" || type === "text/uri-list");
  // What is dragged from this page itself is on its way out.
  addEventListener("dragstart", () => { own = true; });
  addEventListener("dragend", () => { own = false; });
  addEventListener("dragenter", (event) => {
    if (!foreign(event)) return;
    event.preventDefault();
    overlay.querySelector("[data-drop=add]").hidden = !canAdd();
    // A modal dialog would cover the overlay.
    (document.querySelector("dialog[open]") || document.body).append(overlay);
    overlay.hidden = false;
  });
  addEventListener("dragover", (event) => {
    if (!foreign(event)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
    mark(event.target.closest?.(".drop-zone"));
  });
  addEventListener("dragleave", (event) => { if (!event.relatedTarget) hide(); });
  addEventListener("drop", (event) => {
    if (!foreign(event)) return;
    event.preventDefault();
    const adding = event.target.closest?.(".drop-zone")?.dataset.drop === "add";
    hide();
    const files = [...event.dataTransfer.files].slice(0, MOST);
    if (files.length) take(files, adding);
    else refuse("That was a link, not a picture. Copy the picture itself and paste it here, or save it first.");
  });
  addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
}
