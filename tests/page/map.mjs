// The map: drawing, moving, and regions that become filters.

import assert from "node:assert/strict";
import { setTimeout } from "node:timers/promises";
import { DARK, PHONE, URL_OF_SERVER, addressOf, api, assertAccessible, assertFits, assertShows, scene, settled, shoot } from "./harness.mjs";

async function made() {
  for (;;) {
    const answer = await api("/map");
    if (answer.images !== undefined) return answer;
    await setTimeout(200);
  }
}

async function look(page, query = "") {
  await page.goto(`${URL_OF_SERVER}/?view=map${query}`);
  await page.locator("#map[aria-busy=false]").waitFor();
  await page.locator(".atlas-map canvas").last().waitFor();
}

// What is drawn above the dots: how many pixels are not empty.
const drawn = (page) => page.locator(".atlas-map canvas").last().evaluate((canvas) => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let count = 0;
  for (let at = 3; at < data.length; at += 4) count += data[at] > 0 ? 1 : 0;
  return count;
});

const box = (page) => page.locator(".atlas-map").boundingBox();

async function until(what, holds) {
  for (let tries = 0; !(await holds()); tries += 1) {
    assert.ok(tries < 80, what);
    await setTimeout(100);
  }
}

scene("the map shows pictures, moves and zooms by keys and wheel", {}, async (page) => {
  const { images } = await made();
  await page.goto(URL_OF_SERVER);
  await page.locator(".tile").first().waitFor();
  await page.getByRole("link", { name: "Map" }).click();
  await page.locator("#map[aria-busy=false]").waitFor();
  assert.match(await page.locator("#count").innerText(), new RegExp(`^${images.toLocaleString("en-GB")} pictures`));
  await until("no picture arrives on the map", async () => (await drawn(page)) > 2000);
  await shoot(page, "map");
  await page.locator(".atlas-map canvas").last().focus();
  await page.keyboard.press("+");
  await page.keyboard.press("+");
  await page.keyboard.press("ArrowLeft");
  await page.waitForFunction(() => new URLSearchParams(location.search).has("at"));
  const [, , zoom] = addressOf(page).get("at").split(",").map(Number);
  assert.ok(Math.abs(zoom - 2.25) < 0.02, `zoomed ${zoom} times`);
  await page.reload();
  await page.locator("#map[aria-busy=false]").waitFor();
  await page.waitForFunction(() => new URLSearchParams(location.search).has("at"));
  await page.locator(".atlas-map canvas").last().focus();
  await page.keyboard.press("0");
  await page.waitForFunction(() => !new URLSearchParams(location.search).has("at"));
  const { x, y, width, height } = await box(page);
  await page.mouse.move(x + width / 2, y + height / 2);
  await page.mouse.wheel(0, -400);
  await page.waitForFunction(() => new URLSearchParams(location.search).has("at"));
  await shoot(page, "map zoomed");
});

scene("what is drawn around becomes a filter, and Back leads to the map", {}, async (page) => {
  await made();
  await look(page);
  await page.getByRole("button", { name: "Draw an area" }).click();
  const { x, y, width, height } = await box(page);
  const at = (across, down) => [x + width * across, y + height * down];
  await page.mouse.move(...at(0.02, 0.15));
  await page.mouse.down();
  for (const point of [at(0.3, 0.02), at(0.5, 0.02), at(0.5, 0.5), at(0.5, 0.98), at(0.02, 0.98)]) await page.mouse.move(...point, { steps: 5 });
  await shoot(page, "map lasso");
  await page.mouse.up();
  await settled(page);
  const region = addressOf(page).get("region");
  assert.equal(addressOf(page).has("view"), false);
  const shown = await assertShows(page, `/images?limit=80&region=${region}`);
  const { total } = await api("/images?limit=1");
  assert.ok(shown.total < total, "the region holds everything");
  await page.locator("#question .chip", { hasText: "on the map" }).waitFor();
  await shoot(page, "map region");
  await page.getByRole("link", { name: "Map" }).click();
  await page.locator("#map[aria-busy=false]").waitFor();
  assert.equal(addressOf(page).get("region"), region, "the region stays");
  await shoot(page, "map with region");
  await page.goBack();
  await settled(page);
  await page.goBack();
  await page.locator(".atlas-map canvas").last().waitFor();
  assert.equal(addressOf(page).get("view"), "map");
  assert.equal(addressOf(page).has("region"), false);
});

scene("shift draws without the button", {}, async (page) => {
  await made();
  await look(page);
  const { x, y, width, height } = await box(page);
  await page.keyboard.down("Shift");
  await page.mouse.move(x + 5, y + 5);
  await page.mouse.down();
  for (const [across, down] of [[width - 5, 5], [width - 5, height - 5], [5, height - 5]]) await page.mouse.move(x + across, y + down, { steps: 4 });
  await page.mouse.up();
  await page.keyboard.up("Shift");
  await settled(page);
  const { total } = await api("/images?limit=1");
  const shown = await assertShows(page, `/images?limit=80&region=${addressOf(page).get("region")}`);
  assert.equal(shown.total, total, "the whole map was drawn around");
});

scene("pictures in view, by keys alone", {}, async (page) => {
  await made();
  await look(page);
  await page.locator(".atlas-map canvas").last().focus();
  for (const key of ["+", "+", "ArrowLeft", "v"]) await page.keyboard.press(key);
  await page.waitForFunction(() => new URLSearchParams(location.search).has("region"));
  await settled(page);
  const region = addressOf(page).get("region");
  assert.equal(region.split(",").length, 8);
  const { images, total } = await api(`/images?limit=80&region=${region}`);
  assert.ok(total < (await api("/images?limit=1")).total, "zooming in leaves nothing out");
  await page.waitForFunction((count) => document.querySelectorAll(".tile").length === count, images.length);
});

scene("a picture of the map opens, and closes again", {}, async (page) => {
  const map = await made();
  await look(page);
  await until("no picture arrives on the map", async () => (await drawn(page)) > 2000);
  await page.locator(".atlas-map canvas").last().focus();
  // The first group or image lies where it is shown in the middle.
  const { x, y, width, height } = await box(page);
  let open = false;
  for (let across = 0.1; across < 0.95 && !open; across += 0.04) {
    for (let down = 0.15; down < 0.95 && !open; down += 0.05) {
      await page.mouse.move(x + width * across, y + height * down);
      if (!(await page.locator(".atlas-map.is-pointing").count())) continue;
      await page.locator(".atlas-tip").waitFor();
      await page.mouse.click(x + width * across, y + height * down);
      open = true;
    }
  }
  assert.ok(open, `none of ${map.images} pictures was found`);
  await page.locator("#viewer[open]").waitFor();
  assert.match(addressOf(page).get("open"), /^\d+$/);
  await page.goBack();
  await page.locator("#viewer").waitFor({ state: "hidden" });
  assert.equal(addressOf(page).get("view"), "map");
});

scene("how far the map is, and filters on it", {}, async (page) => {
  let asked = 0;
  await page.route(/\/api\/v1\/map/, async (route) => {
    asked += 1;
    if (asked === 1) return route.fulfill({ status: 202, json: { stage: "placing", done: 50, of: 200, next: "3.0" } });
    if (asked === 2) await setTimeout(500);
    return route.continue();
  });
  await page.goto(`${URL_OF_SERVER}/?view=map`);
  await page.getByText("Placing the pictures: 50 of 200 rounds").waitFor();
  await shoot(page, "map underway");
  await page.locator("#map[aria-busy=false]").waitFor();
  const { total } = await api("/images?limit=1&label=cat");
  await look(page, "&label=cat");
  assert.match(await page.locator("#count").innerText(), new RegExp(`^${total} picture`));
  await page.goto(`${URL_OF_SERVER}/?view=map&before=1901`);
  await page.getByRole("heading", { name: "Nothing found" }).waitFor();
});

for (const [name, settings] of Object.entries({ light: {}, dark: DARK, phone: PHONE })) {
  scene(`the map is accessible: ${name}`, settings, async (page) => {
    await made();
    await look(page);
    await until("no picture arrives on the map", async () => (await drawn(page)) > 2000);
    await assertFits(page);
    await shoot(page, `map ${name}`);
    await assertAccessible(page);
    await page.getByRole("button", { name: "Draw an area" }).click();
    await page.getByText("Draw around the pictures").waitFor();
    await assertAccessible(page);
  });
}
