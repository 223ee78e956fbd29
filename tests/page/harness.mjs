// Starts the browser, opens pages that must not complain, and holds what several tests need.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { after, test } from "node:test";
import { chromium } from "playwright-core";

export const URL_OF_SERVER = required("IMGSEARCH_URL").replace(/\/$/, "");
// A server whose index has copies: only the tests of duplicates need it.
export const URL_OF_COPIES = (process.env.IMGSEARCH_COPIES_URL || "").replace(/\/$/, "");
export const SAMPLES = resolve(required("IMGSEARCH_SAMPLES"));
const SCREENSHOTS = process.env.IMGSEARCH_SCREENSHOTS || null;

export const WIDE = { viewport: { width: 1440, height: 900 } };
export const LARGE = { viewport: { width: 2560, height: 1440 } };
export const PHONE = { viewport: { width: 360, height: 780 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 };
export const DARK = { colorScheme: "dark" };

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export const sampleNames = readdirSync(SAMPLES).filter((name) => /\.(jpe?g|png|webp|gif)$/i.test(name)).sort();
assert.ok(sampleNames.length >= 10, `${SAMPLES} has ${sampleNames.length} pictures; the tests need 10 or more`);

if (SCREENSHOTS) mkdirSync(SCREENSHOTS, { recursive: true });

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: ["--no-sandbox"] });
after(() => browser.close());

function required(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set; tests/page/README.md says what it is`);
  return value;
}

export const sample = (name) => join(SAMPLES, name);

// What the server itself answers, to compare the page with.
export async function api(path, options, server = URL_OF_SERVER) {
  const response = await fetch(`${server}/api/v1${path}`, options);
  assert.ok(response.ok, `${path}: ${response.status}`);
  return response.json();
}

export async function idOf(name) {
  const { images } = await api("/images?limit=200");
  const image = images.find((one) => one.name === name);
  assert.ok(image, `${name} is not in the index`);
  return image.id;
}

// A test with a page of its own. It fails if a script throws, if the page breaks its own content
// security policy, or if a request that is not `expected` fails.
export function scene(name, settings, play, { expected = [] } = {}) {
  test(name, { timeout: 60_000 }, async () => {
    const context = await browser.newContext({ ...WIDE, locale: "en-GB", ...settings });
    context.setDefaultTimeout(8000);
    for (const origin of [URL_OF_SERVER, URL_OF_COPIES].filter(Boolean)) {
      await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin }).catch(() => {});
    }
    const page = await context.newPage();
    const complaints = [];
    page.on("pageerror", (error) => complaints.push(`thrown: ${error.stack || error}`));
    page.on("console", (message) => {
      if (message.type() !== "error") return;
      const where = `${message.text()} ${message.location().url}`;
      if (!expected.some((pattern) => pattern.test(where))) complaints.push(`console: ${where}`);
    });
    try {
      await play(page);
    } catch (error) {
      await shoot(page, `failed ${name}`);
      throw error;
    } finally {
      await context.close();
    }
    assert.deepEqual(complaints, [], "the page complained");
  });
}

export async function shoot(page, name) {
  if (!SCREENSHOTS) return;
  await page.screenshot({ path: join(SCREENSHOTS, `${name.replace(/[^a-z0-9]+/gi, "-")}.png`) });
}

// Opens the page and waits until it has settled on pictures or on a sentence.
export async function visit(page, address = "/") {
  await page.goto(URL_OF_SERVER + address);
  await settled(page);
}

export async function settled(page) {
  await page.locator("#results[aria-busy=false]").waitFor({ state: "attached" });
  await page.locator(".tile, .message").first().waitFor();
}

// Does something that asks the server, and waits for the answer to be shown.
export async function answered(page, act) {
  const answer = page.waitForResponse((response) => /\/api\/v1\/(search|images)\?/.test(response.url()) && /limit=80/.test(response.url()));
  await act();
  await answer;
  await settled(page);
}

export const addressOf = (page) => new URL(page.url()).searchParams;

export function shownIds(page) {
  return page.locator(".tile").evaluateAll((tiles) => tiles.map((tile) => Number(tile.dataset.id)));
}

export function tile(page, id) {
  return page.locator(`.tile[data-id="${id}"]`);
}

// The pictures shown are those of the API, in its order.
export async function assertShows(page, asked) {
  const answer = await api(asked);
  const expected = (answer.results || answer.images).map((image) => image.id);
  assert.ok(expected.length > 0, `${asked} has no results to compare with`);
  await page.waitForFunction((count) => document.querySelectorAll(".tile").length === count, expected.length);
  assert.deepEqual(await shownIds(page), expected, `the page differs from ${asked}`);
  return answer;
}

// Drops files in the way a file manager does, without touching the disk of the browser.
export async function drop(page, names, { zone = "ask", contents, only } = {}) {
  const files = names.map((name) => ({ name, data: (contents || readFileSync(sample(name))).toString("base64") }));
  const carried = await page.evaluateHandle((list) => {
    const transfer = new DataTransfer();
    for (const { name, data } of list) {
      const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
      transfer.items.add(new File([bytes], name, { type: "image/jpeg" }));
    }
    return transfer;
  }, files);
  await page.dispatchEvent("body", "dragenter", { dataTransfer: carried });
  await page.locator("#drop").waitFor();
  await page.dispatchEvent(`[data-drop=${zone}]`, "dragover", { dataTransfer: carried });
  if (only === "over") return;
  await page.dispatchEvent(`[data-drop=${zone}]`, "drop", { dataTransfer: carried });
}

// Nothing may stick out to the side.
export async function assertFits(page) {
  const [wide, room] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  assert.ok(wide <= room, `the page is ${wide} pixels wide, the window ${room}`);
}

export async function violations(page) {
  // Half-faded colours would be judged as colours of their own.
  await page.evaluate(() => Promise.race([
    Promise.all(document.getAnimations().map((one) => one.playState === "running" && one.effect.getTiming().iterations === 1 && one.finished)),
    // What lies outside the window is not drawn, so it does not go on.
    new Promise((resolve) => { setTimeout(resolve, 1500); }),
  ]));
  await page.evaluate(AXE);
  const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  assert.ok(found.passes.length > 5, "axe-core judged next to nothing");
  return found.violations.map((one) => `${one.id}: ${one.help}: ${one.nodes.slice(0, 3).map((node) => node.target.join(" ")).join(", ")}`);
}

export async function assertAccessible(page) {
  assert.deepEqual(await violations(page), []);
}
