// The page without a mouse.

import assert from "node:assert/strict";
import { addressOf, answered, assertShows, scene, shoot, shownIds, visit } from "./harness.mjs";

const focused = (page) => page.evaluate(() => {
  const element = document.activeElement;
  return { tile: element.closest(".tile")?.dataset.id || null, id: element.id, tag: element.tagName, name: element.getAttribute("aria-label") || "" };
});

scene("from the search field to a part of a result by keys alone", {}, async (page) => {
  await visit(page);
  await page.keyboard.press("/");
  assert.equal((await focused(page)).id, "words");
  await page.keyboard.type("coffee");
  await answered(page, () => page.keyboard.press("Enter"));
  const ids = await shownIds(page);
  let steps = 0;
  while (!(await focused(page)).tile) {
    await page.keyboard.press("Tab");
    assert.ok((steps += 1) < 80, "Tab never reaches the pictures");
  }
  assert.equal((await focused(page)).tile, String(ids[0]));
  await page.keyboard.press("ArrowRight");
  assert.equal((await focused(page)).tile, String(ids[1]));
  await page.keyboard.press("ArrowDown");
  const below = await focused(page);
  assert.ok(![String(ids[0]), String(ids[1])].includes(below.tile), "the arrow down stays in its row");
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("Home");
  assert.equal((await focused(page)).tile, String(ids[0]));
  await page.keyboard.press("End");
  assert.equal((await focused(page)).tile, String(ids.at(-1)));
  await page.keyboard.press("Home");
  await shoot(page, "keyboard focus");
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  assert.notEqual(outline, "none", "the focus is not visible");
  await page.keyboard.press("Enter");
  await page.locator("#viewer[open]").waitFor();
  assert.equal(await page.evaluate(() => document.querySelector("#viewer").contains(document.activeElement)), true);
  await page.keyboard.press("p");
  await page.getByRole("application").waitFor();
  for (const key of ["ArrowRight", "ArrowDown", "Shift+ArrowRight", "Shift+ArrowRight", "Shift+ArrowUp"]) await page.keyboard.press(key);
  await answered(page, () => page.keyboard.press("Enter"));
  assert.equal(addressOf(page).get("id"), String(ids[0]));
  assert.equal(addressOf(page).get("crop"), "27%,27%,54%,48%");
  assert.equal(await page.locator("#viewer").isVisible(), false);
});

scene("Escape leaves first the part, then the view, and the focus returns", {}, async (page) => {
  await visit(page);
  const ids = await shownIds(page);
  await page.locator(".tile a").first().focus();
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("Enter");
  await page.locator("#viewer[open]").waitFor();
  await page.keyboard.press("p");
  await page.getByRole("application").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("application").waitFor({ state: "hidden" });
  assert.equal(await page.locator("#viewer").isVisible(), true);
  await page.keyboard.press("Escape");
  await page.locator("#viewer").waitFor({ state: "hidden" });
  assert.equal((await focused(page)).tile, String(ids[1]));
  assert.equal(addressOf(page).has("open"), false);
});

scene("the focus cannot leave the open view", {}, async (page) => {
  await visit(page);
  await page.locator(".tile a").first().press("Enter");
  await page.locator("#viewer[open]").waitFor();
  await page.locator(".strip-list a").first().waitFor();
  for (let step = 0; step < 40; step += 1) {
    await page.keyboard.press("Tab");
    const outside = await page.evaluate(() => document.activeElement !== document.body && !document.activeElement.closest("#viewer"));
    assert.equal(outside, false, "Tab reached the page behind");
  }
});

scene("m, plus and minus refine from a tile", {}, async (page) => {
  await visit(page);
  const ids = await shownIds(page);
  await page.locator(".tile a").first().focus();
  await answered(page, () => page.keyboard.press("m"));
  assert.equal(addressOf(page).get("id"), String(ids[0]));
  assert.equal((await focused(page)).tile, String((await shownIds(page))[0]), "the focus stays among the pictures");
  await page.keyboard.press("ArrowRight");
  const second = (await focused(page)).tile;
  await answered(page, () => page.keyboard.press("+"));
  assert.equal(addressOf(page).get("more"), `id:${second}`);
  await page.keyboard.press("End");
  const last = (await focused(page)).tile;
  await answered(page, () => page.keyboard.press("-"));
  assert.equal(addressOf(page).get("less"), `id:${last}`);
  await assertShows(page, `/search?limit=80&id=${ids[0]}&more=id:${second}&less=id:${last}`);
});

scene("the buttons of a tile follow it, and those of other tiles are skipped", {}, async (page) => {
  await visit(page);
  await page.locator(".tile a").first().focus();
  const ids = await shownIds(page);
  await page.keyboard.press("Tab");
  const after = await focused(page);
  assert.equal(after.tag, "BUTTON");
  assert.equal(after.tile, String(ids[0]));
  await page.keyboard.press("Tab");
  assert.equal((await focused(page)).tile, null);
});

scene("the link past the bar leads to the pictures", {}, async (page) => {
  await visit(page);
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  assert.equal((await focused(page)).tile, String((await shownIds(page))[0]));
});
