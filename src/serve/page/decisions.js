// What was decided about files: kept in the browser, so that a closed page loses nothing. Nothing is done to a file here.

const KEY = "imgsearch-decisions";

export class Decisions {
  // `changed(id)` is called after each decision.
  constructor(changed) {
    this.changed = changed;
    this.chosen = new Map();
    this.key = null;
  }

  // Each index has decisions of its own. `index` is its folder.
  open(index) {
    const key = `${KEY} ${index}`;
    if (key === this.key) return;
    this.key = key;
    try {
      this.chosen = new Map(Object.entries(JSON.parse(localStorage.getItem(key)) || {}));
    } catch {
      // Storage can be forbidden, or hold what another version wrote. Decisions then last as long as the page.
      this.chosen = new Map();
    }
  }

  get any() {
    return this.chosen.size > 0;
  }

  // "keep", "discard" or null.
  of(id) {
    return this.chosen.get(String(id)) || null;
  }

  set(id, choice) {
    if (choice) this.chosen.set(String(id), choice);
    else this.chosen.delete(String(id));
    this.store();
    this.changed(id);
  }

  setAll(choices) {
    for (const [id, choice] of choices) this.chosen.set(String(id), choice);
    this.store();
    for (const [id] of choices) this.changed(id);
  }

  clear() {
    const ids = [...this.chosen.keys()];
    this.chosen.clear();
    this.store();
    for (const id of ids) this.changed(id);
  }

  // Forgets what is decided about files that are in no group any more.
  only(ids) {
    const gone = [...this.chosen.keys()].filter((id) => !ids.has(id));
    for (const id of gone) this.chosen.delete(id);
    if (gone.length) this.store();
  }

  store() {
    try {
      if (this.chosen.size) localStorage.setItem(this.key, JSON.stringify(Object.fromEntries(this.chosen)));
      else localStorage.removeItem(this.key);
    } catch {
      // As above.
    }
  }
}

// One of a group stays, whatever else is decided.
export function wouldEmpty(group, id, decisions) {
  return group.files.every((file) => file.id === id || decisions.of(file.id) === "discard");
}

// The paths as a file that `imgsearch duplicates --files-from` reads: lines, or ended by zero bytes if a name has lines.
export function listOf(files) {
  const end = files.some((file) => /[\r\n]/.test(file.path)) ? "\0" : "\n";
  return files.map((file) => file.path + end).join("");
}

export function commandFor(action, index, near) {
  const words = ["imgsearch", "duplicates", "--index", quoted(index)];
  if (near) words.push("--near");
  return [...words, "--apply", action, "--files-from", "discard.txt"].join(" ");
}

// As a shell reads it.
function quoted(text) {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
