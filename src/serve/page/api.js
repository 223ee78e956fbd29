// All requests to the server. Every failure becomes a Problem: a sentence, and perhaps what to do.

const BASE = "/api/v1";

export class Problem extends Error {
  constructor(status, detail, hint) {
    super(capital(detail));
    this.status = status;
    this.hint = capital(hint || "");
  }
}

export function get(path, params, signal) {
  const text = params ? params.toString() : "";
  return request(text ? `${path}?${text}` : path, { signal });
}

// Reads a picture and returns the token that stands for it in questions.
export function encode(file, signal) {
  const headers = { "X-Imgsearch": "1", "Content-Type": file.type || "application/octet-stream" };
  return request("/encode", { method: "POST", headers, body: file, signal });
}

export function reveal(id) {
  return request(`/images/${id}/reveal`, { method: "POST", headers: { "X-Imgsearch": "1" } });
}

export function events() {
  return new EventSource(`${BASE}/events`);
}

export function thumbnail(id, size, digest) {
  const version = digest ? `&v=${encodeURIComponent(digest)}` : "";
  return `${BASE}/images/${encodeURIComponent(id)}/thumbnail?size=${size}${version}`;
}

export function original(image) {
  return `${BASE}/images/${encodeURIComponent(image.id)}/original?v=${encodeURIComponent(image.digest)}`;
}

async function request(path, options) {
  let response;
  try {
    response = await fetch(BASE + path, { credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "The server does not answer.", "Is imgsearch serve still running?");
  }
  if (response.ok) return response.status === 204 ? null : body(response);
  throw await problem(response);
}

async function body(response) {
  try {
    return await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(response.status, "The server’s answer was cut off.", "Try again.");
  }
}

async function problem(response) {
  if (response.status === 401) return new Problem(401, "You are signed out.", "Sign in again.");
  let told = {};
  try {
    told = (await response.json()) || {};
  } catch {
    // A proxy in between answers with a page of its own; the status is all there is to tell.
  }
  const detail = told.detail || told.title || `The server answered with error ${response.status}.`;
  return new Problem(response.status, String(detail), told.hint ? String(told.hint) : "");
}

// Errors of the program begin like a clause; what is a name or an option stays as it is.
function capital(text) {
  return /^[a-z]+[ ,]/.test(text) ? text[0].toUpperCase() + text.slice(1) : text;
}
