// What the page has learned while it is open: images by id, and pictures that were uploaded, by token.

import { encode, get } from "./api.js";

const images = new Map();
const uploads = new Map();

export function remember(list) {
  for (const image of list) images.set(String(image.id), image);
}

export function known(id) {
  return images.get(String(id)) || null;
}

export async function describe(id, signal) {
  const image = await get(`/images/${encodeURIComponent(id)}`, null, signal);
  remember([image]);
  return image;
}

// Sends a picture and keeps what is needed to show it as long as the page is open.
export async function upload(file) {
  const told = await encode(file);
  uploads.set(told.code, { url: URL.createObjectURL(file), name: file.name || "", ...told });
  return told.code;
}

// After a reload, or on another machine, nothing is known of an uploaded picture but its token.
export function uploaded(token) {
  return uploads.get(token) || null;
}
