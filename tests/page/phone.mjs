// The page on a phone of 360 pixels.

import assert from "node:assert/strict";
import { PHONE, addressOf, answered, api, assertFits, assertShows, idOf, scene, shoot, visit } from "./harness.mjs";

scene("everything fits a narrow window", PHONE, async (page) => {
  const [cat, rocket] = await Promise.all(["cat.jpg", "rocket.jpg"].map(idOf));
  await visit(page);
  await assertFits(page);
  await shoot(page, "phone browse");
  const rows = await page.locator(".tile").evaluateAll((tiles) => new Set(tiles.map((tile) => tile.getBoundingClientRect().top)).size);
  assert.ok(rows < 16, "a row of the phone has more than one picture");
  await visit(page, `/?id=${cat}&more=id:${rocket}&min_size=1k&type=jpeg`);
  await assertFits(page);
  await shoot(page, "phone results");
  await visit(page, `/?open=${cat}`);
  await page.locator("#viewer[open]").waitFor();
  await assertFits(page);
  await shoot(page, "phone large view");
});

scene("filters are a sheet", PHONE, async (page) => {
  const { labels } = await api("/facets");
  await visit(page);
  assert.equal(await page.locator("#filters").isVisible(), false);
  await page.getByRole("button", { name: "Filters" }).tap();
  await page.locator("#sheet[open]").waitFor();
  await shoot(page, "phone filters");
  await answered(page, () => page.locator("#filters .pill").first().tap());
  assert.equal(addressOf(page).get("label"), labels[0].name);
  assert.equal(await page.locator("#sheet").isVisible(), true, "the sheet stays, for another filter");
  await page.getByRole("button", { name: "Show pictures" }).tap();
  await page.locator("#sheet").waitFor({ state: "hidden" });
  await assertShows(page, `/images?limit=80&label=${encodeURIComponent(labels[0].name)}`);
});

scene("what is touched is large enough", PHONE, async (page) => {
  await visit(page, `/?id=${await idOf("cat.jpg")}&min_size=1k`);
  const small = () => page.evaluate(() => [...document.querySelectorAll("a, button, input, select")].filter((element) => {
    const box = element.getBoundingClientRect();
    return element.checkVisibility() && box.width > 1 && (box.width < 24 || box.height < 24) && !element.closest("label");
  }).map((element) => element.outerHTML.slice(0, 80)));
  assert.deepEqual(await small(), []);
  await page.getByRole("button", { name: /Filters/ }).tap();
  await page.locator("#sheet .pill").first().waitFor();
  assert.deepEqual(await small(), []);
});

scene("plus works without hovering", PHONE, async (page) => {
  const [cat, rocket] = await Promise.all(["cat.jpg", "rocket.jpg"].map(idOf));
  await visit(page, `/?id=${cat}`);
  const plus = page.locator(`.tile[data-id="${rocket}"]`).getByRole("button", { name: /Add to the question/ });
  await plus.scrollIntoViewIfNeeded();
  await answered(page, () => plus.tap());
  assert.equal(addressOf(page).get("more"), `id:${rocket}`);
});

async function finger(page, points) {
  const client = await page.context().newCDPSession(page);
  const touch = (type, touchPoints) => client.send("Input.dispatchTouchEvent", { type, touchPoints });
  await touch("touchStart", [points[0]]);
  for (const point of points.slice(1)) await touch("touchMove", [point]);
  await touch("touchEnd", []);
}

scene("a swipe turns the page, and a finger draws a part once that is wanted", PHONE, async (page) => {
  const { images } = await api("/images?limit=80");
  await visit(page);
  await page.locator(".tile a").first().tap();
  await page.locator("#viewer[open]").waitFor();
  await page.waitForFunction(() => document.querySelector("#viewer .full").naturalWidth > 0);
  const stage = await page.locator("#viewer .stage").boundingBox();
  const y = stage.y + stage.height / 2;
  await finger(page, [{ x: 300, y }, { x: 220, y }, { x: 120, y: y + 4 }]);
  await page.locator("#viewer").getByRole("heading", { name: images[1].name, exact: true }).waitFor();
  await page.getByRole("button", { name: "Search a part" }).tap();
  await page.getByRole("application").waitFor();
  await page.waitForFunction(() => document.querySelector("#viewer .full").naturalWidth > 0);
  await page.locator("#viewer").evaluate((view) => view.scrollTo(0, 0));
  const box = await page.locator("#viewer .frame").boundingBox();
  const at = (x, down) => ({ x: box.x + box.width * x, y: box.y + box.height * down });
  await finger(page, [at(0.1, 0.1), at(0.3, 0.3), at(0.6, 0.7)]);
  await answered(page, () => page.getByRole("button", { name: "Search this part" }).tap());
  const numbers = addressOf(page).get("crop").split(",").map(parseFloat);
  [10, 10, 50, 60].forEach((wanted, index) => assert.ok(Math.abs(numbers[index] - wanted) < 2, `${numbers} is not what was drawn`));
});
