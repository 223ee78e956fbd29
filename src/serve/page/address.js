// The address bar is the only state of the page: the question, the filters and the open picture.
// Its parameters are those of the API, plus `view`, `at` and `open`, so whatever is wrong in them is for the server to say.

const MAIN = ["id", "text", "code"];
const QUESTION = [...MAIN, "more", "less"];
// Parameters that mean something only together with a question.
const BOUND = ["crop", "min_similarity", "by", "exact", "expand"];
export const FILTERS = ["under", "after", "before", "type", "label", "min_size", "max_size", "glob", "region", "min_similarity"];

export const VIEWS = ["pictures", "duplicates", "map"];

// What is looked at; anything else in the address means the pictures.
export function viewOf(params) {
  return VIEWS.includes(params.get("view")) ? params.get("view") : "pictures";
}

// Another view under the same filters. A question belongs to the pictures.
export function withView(params, view) {
  const next = new URLSearchParams();
  if (view !== "pictures") next.append("view", view);
  for (const [name, entry] of params) if (FILTERS.includes(name) && !BOUND.includes(name)) next.append(name, entry);
  return next;
}

export function current() {
  return new URLSearchParams(location.search);
}

export function href(params) {
  const text = params.toString();
  return text ? `/?${text}` : "/";
}

// What the server is asked: the address without what only the page knows.
export function query(params) {
  const asked = new URLSearchParams(params);
  for (const key of ["open", "view", "at", "limit", "cursor"]) asked.delete(key);
  return asked;
}

export function asks(params) {
  return QUESTION.some((key) => params.has(key));
}

export function filtered(params) {
  return FILTERS.some((key) => params.has(key));
}

// The parts of the question in order: {role, key, entry, kind, value}.
export function parts(params) {
  const found = [];
  for (const [key, entry] of params) {
    if (MAIN.includes(key)) found.push({ role: "main", key, entry, kind: key, value: entry });
    if (key !== "more" && key !== "less") continue;
    const colon = entry.indexOf(":");
    const kind = entry.slice(0, Math.max(colon, 0));
    found.push({ role: key, key, entry, kind, value: withoutWeight(kind, entry.slice(colon + 1)) });
  }
  const order = { main: 0, more: 1, less: 2 };
  return found.sort((a, b) => order[a.role] - order[b.role]);
}

// Words may contain a colon, so only a number behind the last one is a weight.
function withoutWeight(kind, value) {
  return kind === "text" ? value.replace(/:\d*\.?\d+$/, "") : value.split(":")[0];
}

// A new question under the same filters.
export function withQuestion(params, key, value, crop) {
  const next = new URLSearchParams();
  next.append(key, value);
  if (crop) next.append("crop", crop);
  for (const [name, entry] of params) if (FILTERS.includes(name)) next.append(name, entry);
  return next;
}

// Adds one part to the question. The same part never counts twice, nor for and against.
export function withPart(params, role, kind, value) {
  const next = new URLSearchParams(params);
  next.delete("open");
  const was = roleOf(params, kind, value);
  for (const part of parts(params)) {
    if (part.role !== "main" && part.kind === kind && part.value === value) next.delete(part.key, part.entry);
  }
  if (was === role) return unbound(next);
  if (role === "more" && !asks(next)) next.append(kind, value);
  else next.append(role, `${kind}:${value}`);
  return next;
}

export function withoutPart(params, part) {
  const next = without(params, part.key, part.entry);
  if (part.kind === "id" && part.role === "main") next.delete("crop");
  return unbound(promoted(next));
}

// The role that a picture has in the question beside the main one, if any.
export function roleOf(params, kind, value) {
  const part = parts(params).find((one) => one.role !== "main" && one.kind === kind && one.value === value);
  return part ? part.role : null;
}

export function withFilter(params, key, value) {
  const next = new URLSearchParams(params);
  next.delete("open");
  if (!next.has(key, value)) next.append(key, value);
  return next;
}

export function setFilter(params, key, value) {
  const next = new URLSearchParams(params);
  next.delete("open");
  next.delete(key);
  if (value) next.append(key, value);
  return next;
}

export function withoutFilters(params) {
  const next = new URLSearchParams(params);
  for (const key of FILTERS) next.delete(key);
  return next;
}

export function without(params, key, value) {
  const next = new URLSearchParams();
  for (const [name, entry] of params) {
    if (name !== "open" && !(name === key && (value === undefined || entry === value))) next.append(name, entry);
  }
  return next;
}

export function opened(params, id) {
  const next = new URLSearchParams(params);
  if (id === null) next.delete("open");
  else next.set("open", id);
  return next;
}

// Without its main part, the first picture to have more of becomes the question. Less alone asks for nothing.
function promoted(params) {
  if (MAIN.some((key) => params.has(key))) return params;
  const first = parts(params).find((part) => part.role === "more" && MAIN.includes(part.kind));
  const next = new URLSearchParams(params);
  if (first) {
    next.delete("more", first.entry);
    next.append(first.kind, first.value);
  } else if (!params.has("more")) {
    next.delete("less");
  }
  return next;
}

function unbound(params) {
  if (!asks(params)) for (const key of BOUND) params.delete(key);
  return params;
}
