// Refining a question with results, and by similarity.

import assert from "node:assert/strict";
import { addressOf, answered, assertShows, idOf, scene, shoot, tile, visit } from "./harness.mjs";

scene("plus and minus refine, chips show it and take it back", {}, async (page) => {
  const [cat, rocket, grass] = await Promise.all(["cat.jpg", "rocket.jpg", "grass.jpg"].map(idOf));
  await visit(page, `/?id=${cat}`);
  await tile(page, rocket).hover();
  await answered(page, () => tile(page, rocket).getByRole("button", { name: /Add to the question/ }).click());
  assert.equal(addressOf(page).get("more"), `id:${rocket}`);
  await assertShows(page, `/search?limit=80&id=${cat}&more=id:${rocket}`);
  assert.equal(await tile(page, rocket).getByRole("button", { name: /Add to the question/ }).getAttribute("aria-pressed"), "true");
  await tile(page, grass).hover();
  await answered(page, () => tile(page, grass).getByRole("button", { name: /Less like this/ }).click());
  assert.equal(addressOf(page).get("less"), `id:${grass}`);
  await assertShows(page, `/search?limit=80&id=${cat}&more=id:${rocket}&less=id:${grass}`);
  assert.equal(await page.locator("#question .chip").count(), 3);
  await page.locator("#question .chip-thumb img").first().waitFor();
  await shoot(page, "refined");
  await answered(page, () => page.getByRole("button", { name: "Remove less of grass.jpg" }).click());
  await assertShows(page, `/search?limit=80&id=${cat}&more=id:${rocket}`);
  await answered(page, () => page.getByRole("button", { name: "Remove cat.jpg" }).click());
  assert.equal(addressOf(page).get("id"), String(rocket), "what is left becomes the question");
  await assertShows(page, `/search?limit=80&id=${rocket}`);
});

scene("minus undoes plus", {}, async (page) => {
  const [cat, rocket] = await Promise.all(["cat.jpg", "rocket.jpg"].map(idOf));
  await visit(page, `/?id=${cat}&more=id:${rocket}`);
  await tile(page, rocket).hover();
  await answered(page, () => tile(page, rocket).getByRole("button", { name: /Less like this/ }).click());
  assert.deepEqual([addressOf(page).get("more"), addressOf(page).get("less")], [null, `id:${rocket}`]);
  await tile(page, rocket).hover();
  await answered(page, () => tile(page, rocket).getByRole("button", { name: /Less like this/ }).click());
  assert.deepEqual([addressOf(page).get("more"), addressOf(page).get("less")], [null, null]);
});

scene("the slider leaves out what is less alike", {}, async (page) => {
  const cat = await idOf("cat.jpg");
  await visit(page);
  assert.equal(await page.getByLabel("Similarity").isVisible(), false, "without a question there is no similarity");
  await visit(page, `/?id=${cat}`);
  const slider = page.getByRole("slider", { name: "Similarity" });
  await slider.focus();
  await answered(page, () => slider.fill("50"));
  assert.equal(addressOf(page).get("min_similarity"), "50");
  const { results } = await assertShows(page, `/search?limit=80&id=${cat}&min_similarity=50`);
  assert.ok(results.every((image) => image.similarity >= 0.495));
  await answered(page, () => page.locator(".chip-remove").last().click());
  assert.equal(addressOf(page).has("min_similarity"), false);
});
