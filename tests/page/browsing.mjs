// Browsing, filters, and the way back.

import assert from "node:assert/strict";
import { LARGE, addressOf, answered, api, assertFits, assertShows, sampleNames, scene, settled, shoot, shownIds, visit } from "./harness.mjs";

scene("browsing shows every picture, newest first, with its count", {}, async (page) => {
  await visit(page);
  const { total } = await assertShows(page, "/images?limit=80");
  assert.equal(total, sampleNames.length);
  assert.match(await page.locator("#count").innerText(), new RegExp(`^${total} pictures`));
  await page.locator("#about-count").filter({ hasText: `${total} pictures` }).waitFor({ state: "attached" });
  await assertFits(page);
  await shoot(page, "browse");
});

scene("rows are filled, and pictures keep their shape", {}, async (page) => {
  await visit(page);
  await page.waitForFunction(() => [...document.querySelectorAll(".tile img")].filter((image) => image.getBoundingClientRect().top < innerHeight)
    .every((image) => image.complete && image.naturalWidth > 0));
  const tiles = await page.locator(".tile").evaluateAll((all) => all.map((tile) => {
    const box = tile.getBoundingClientRect();
    const image = tile.querySelector("img");
    return { top: box.top, right: box.right, ratio: box.width / box.height, natural: image.naturalWidth / image.naturalHeight };
  }));
  const rows = Map.groupBy ? Map.groupBy(tiles, (one) => Math.round(one.top)) : new Map([[0, tiles]]);
  const right = await page.locator("#results").evaluate((results) => results.getBoundingClientRect().right);
  const last = Math.max(...tiles.map((one) => one.top));
  for (const row of rows.values()) {
    const end = Math.max(...row.map((one) => one.right));
    assert.ok(row[0].top === last || Math.abs(end - right) < 2, `a row ends at ${end}, not at ${right}`);
  }
  const loaded = tiles.filter((one) => one.natural > 0);
  assert.ok(loaded.length > 4, "hardly any thumbnail was loaded");
  for (const one of loaded) assert.ok(Math.abs(one.ratio / one.natural - 1) < 0.08, `ratio ${one.ratio} shows a picture of ${one.natural}`);
});

scene("thumbnails are asked for in a size that fits, with their digest", {}, async (page) => {
  const asked = [];
  page.on("request", (request) => { if (request.url().includes("/thumbnail")) asked.push(new URL(request.url())); });
  await visit(page);
  await page.waitForFunction(() => document.querySelectorAll(".tile.is-loaded").length > 3);
  assert.ok(asked.length > 3);
  for (const url of asked) {
    assert.match(url.searchParams.get("size"), /^(256|512)$/);
    assert.match(url.searchParams.get("v"), /^[0-9a-f]{16}$/);
  }
});

scene("a label filters, its chip removes it", {}, async (page) => {
  const { labels } = await api("/facets");
  assert.ok(labels.length > 0, "the index has no labels");
  const label = labels[0].name;
  await visit(page);
  await answered(page, () => page.locator("#filters .pill", { hasText: label }).first().click());
  assert.deepEqual(addressOf(page).getAll("label"), [label]);
  const { total } = await assertShows(page, `/images?limit=80&label=${encodeURIComponent(label)}`);
  assert.ok(total < sampleNames.length, "the label filters nothing");
  assert.match(await page.locator("#count").innerText(), new RegExp(`of ${sampleNames.length}`));
  await shoot(page, "filters");
  await page.getByRole("button", { name: `Remove: label ${label}` }).click();
  await assertShows(page, "/images?limit=80");
  assert.equal(addressOf(page).has("label"), false);
});

scene("a label that is typed filters, too", {}, async (page) => {
  const { labels } = await api("/facets");
  const label = labels.at(-1).name;
  await visit(page);
  await page.locator("#find-label").fill(label);
  await answered(page, () => page.locator("#find-label").press("Enter"));
  assert.equal(addressOf(page).get("label"), label);
  await assertShows(page, `/images?limit=80&label=${encodeURIComponent(label)}`);
});

scene("folders, sizes and dates filter", {}, async (page) => {
  const { folders } = await api("/folders");
  await visit(page);
  await answered(page, () => page.locator(".folder-name").first().click());
  assert.equal(addressOf(page).get("under"), folders[0].path);
  assert.equal(await page.locator(".folder-name").first().getAttribute("aria-pressed"), "true");
  await assertShows(page, `/images?limit=80&under=${encodeURIComponent(folders[0].path)}`);
  await answered(page, () => page.getByLabel("At most").selectOption("100k"));
  assert.equal(addressOf(page).get("max_size"), "100k");
  await answered(page, () => page.getByLabel("Before").fill("2001-02-03"));
  assert.equal(addressOf(page).get("before"), "2001-02-03");
  await page.locator(".message", { hasText: "Nothing found" }).waitFor();
  await shoot(page, "nothing");
  await answered(page, () => page.getByRole("button", { name: "Without filters" }).click());
  await assertShows(page, "/images?limit=80");
});

scene("back and forward repeat what was shown", {}, async (page) => {
  await visit(page);
  const all = await shownIds(page);
  await page.locator("#words").fill("coffee");
  await answered(page, () => page.locator("#words").press("Enter"));
  const coffee = await shownIds(page);
  assert.notDeepEqual(coffee, all);
  await answered(page, () => page.getByLabel("At least").selectOption("100k").catch((error) => { throw error; }));
  await page.goBack();
  await settled(page);
  assert.deepEqual(await shownIds(page), coffee);
  assert.equal(await page.locator("#words").inputValue(), "coffee");
  await page.goBack();
  await settled(page);
  assert.deepEqual(await shownIds(page), all);
  assert.equal(await page.locator("#words").inputValue(), "");
  await page.goForward();
  await settled(page);
  assert.deepEqual(await shownIds(page), coffee);
  await page.reload();
  await settled(page);
  assert.deepEqual(await shownIds(page), coffee);
  assert.equal(await page.locator("#words").inputValue(), "coffee");
});

scene("more pictures come as one scrolls, each once, and the way back ends where it began", { viewport: { width: 900, height: 500 } }, async (page) => {
  // Pages of four, because the index of the tests fits into one.
  await page.route(/\/api\/v1\/images\?/, (route) => {
    const url = new URL(route.request().url());
    url.searchParams.set("limit", "4");
    return route.continue({ url: url.href });
  });
  await visit(page);
  await page.waitForFunction((count) => {
    scrollTo(0, document.documentElement.scrollHeight);
    return document.querySelectorAll(".tile").length === count;
  }, sampleNames.length);
  const ids = await shownIds(page);
  assert.equal(new Set(ids).size, sampleNames.length);
  const place = await page.evaluate(() => scrollY);
  assert.ok(place > 0, "there was nothing to scroll");
  await answered(page, () => page.locator(".tile").last().getByRole("button", { name: /More like this/ }).click());
  assert.equal(await page.evaluate(() => scrollY), 0);
  await page.goBack();
  await page.waitForFunction((was) => Math.abs(scrollY - was) < 4, place);
  assert.deepEqual(await shownIds(page), ids);
});

scene("a very wide window is used", LARGE, async (page) => {
  await visit(page);
  await assertFits(page);
  const share = await page.locator("#results").evaluate((results) => results.getBoundingClientRect().width / innerWidth);
  assert.ok(share > 0.8, `the pictures take ${share} of the window`);
  await shoot(page, "browse 2560");
});
