// The large view.

import assert from "node:assert/strict";
import { addressOf, answered, api, assertShows, idOf, scene, settled, shoot, tile, visit } from "./harness.mjs";

scene("a click opens the large view, the arrows turn pages, Back closes it", {}, async (page) => {
  await visit(page);
  const { images } = await api("/images?limit=80");
  await tile(page, images[1].id).locator("a").click();
  const view = page.locator("#viewer");
  await view.getByRole("heading", { name: images[1].name }).waitFor();
  assert.equal(addressOf(page).get("open"), String(images[1].id));
  await view.getByText(images[1].path).waitFor();
  await page.waitForFunction(() => document.querySelector("#viewer .full").naturalWidth > 0);
  const text = await view.innerText();
  assert.match(text, new RegExp(`${images[1].width} × ${images[1].height}`));
  assert.match(text, /JPEG/);
  await shoot(page, "large view");
  await page.keyboard.press("ArrowRight");
  await view.getByRole("heading", { name: images[2].name, exact: true }).waitFor();
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("ArrowLeft");
  await view.getByRole("heading", { name: images[0].name, exact: true }).waitFor();
  assert.equal(await view.getByRole("button", { name: "Previous picture" }).isVisible(), false);
  await page.goBack();
  await view.waitFor({ state: "hidden" });
  assert.equal(addressOf(page).has("open"), false);
  assert.equal(await page.evaluate(() => document.activeElement.closest(".tile").dataset.id), String(images[0].id), "the keyboard is where one looked last");
});

scene("a shared link opens the picture", {}, async (page) => {
  const id = await idOf("galaxies.jpg");
  await visit(page, `/?text=coffee&open=${id}`);
  await page.locator("#viewer").getByRole("heading", { name: "galaxies.jpg" }).waitFor();
  await page.getByRole("button", { name: "Close" }).click();
  await page.locator("#viewer").waitFor({ state: "hidden" });
  assert.deepEqual([...addressOf(page).keys()], ["text"]);
});

scene("neighbours are shown and lead on", {}, async (page) => {
  const id = await idOf("cat.jpg");
  const { results } = await api(`/search?id=${id}&limit=15`);
  const near = results.find((image) => image.id !== id);
  await visit(page, `/?open=${id}`);
  const links = page.locator(".strip-list a");
  await links.first().waitFor();
  assert.equal(await links.first().getAttribute("data-id"), String(near.id));
  assert.equal(await page.locator(`.strip-list a[data-id="${id}"]`).count(), 0, "a picture is not its own neighbour");
  await links.first().click();
  await page.locator("#viewer").getByRole("heading", { name: near.name }).waitFor();
  await page.goBack();
  await page.locator("#viewer").getByRole("heading", { name: "cat.jpg" }).waitFor();
});

scene("the buttons of the large view do what they say", {}, async (page) => {
  const id = await idOf("coffee.jpg");
  const image = await api(`/images/${id}`);
  await visit(page, `/?open=${id}`);
  await page.getByRole("button", { name: "Copy path" }).click();
  await page.getByText("Path copied.").waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), image.path);
  const original = await page.getByRole("link", { name: "Open original" }).getAttribute("href");
  const file = await fetch(new URL(original, page.url()));
  assert.equal(file.status, 200);
  assert.equal((await file.arrayBuffer()).byteLength, image.bytes);
  let header = null;
  await page.route(/\/reveal$/, (route) => {
    header = route.request().headers()["x-imgsearch"];
    return route.fulfill({ status: 204 });
  });
  const { local } = await api("/status");
  const button = page.getByRole("button", { name: "Reveal in file manager" });
  if (local) {
    await button.click();
    await page.getByText("Shown in the file manager.").waitFor();
    assert.equal(header, "1");
  } else {
    assert.equal(await button.isVisible(), false);
  }
  const label = image.labels[0].name;
  await answered(page, () => page.locator("#viewer .pill").first().click());
  assert.equal(addressOf(page).get("label"), label);
  await page.goBack();
  await page.locator("#viewer").getByRole("heading", { name: "coffee.jpg" }).waitFor();
  await answered(page, () => page.locator("#viewer").getByRole("button", { name: "More like this" }).click());
  await assertShows(page, `/search?limit=80&id=${id}`);
  assert.equal(await page.locator("#viewer").isVisible(), false);
});

scene("reveal is offered only on the server's own machine", {}, async (page) => {
  const status = await api("/status");
  for (const local of [true, false]) {
    await page.route(/\/api\/v1\/status$/, (route) => route.fulfill({ json: { ...status, local } }));
    await page.route(/\/api\/v1\/events$/, (route) => route.abort());
    await visit(page, `/?open=${await idOf("cat.jpg")}`);
    await page.getByRole("button", { name: "Copy path" }).waitFor();
    await page.getByRole("button", { name: "Reveal in file manager" }).waitFor({ state: local ? "visible" : "hidden" });
  }
}, { expected: [/events/] });

scene("a rectangle drawn with the mouse asks with that part", {}, async (page) => {
  const id = await idOf("temple.jpg");
  await visit(page, `/?open=${id}`);
  await page.waitForFunction(() => document.querySelector("#viewer .full").naturalWidth > 0);
  const box = await page.locator("#viewer .frame").boundingBox();
  await page.mouse.move(box.x + box.width * 0.1, box.y + box.height * 0.2);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.4, box.y + box.height * 0.5, { steps: 4 });
  await page.mouse.move(box.x + box.width * 0.6, box.y + box.height * 0.7);
  await page.mouse.up();
  await shoot(page, "part");
  await answered(page, () => page.getByRole("button", { name: "Search this part" }).click());
  const crop = addressOf(page).get("crop");
  const numbers = crop.split(",").map(parseFloat);
  [10, 20, 50, 50].forEach((wanted, at) => assert.ok(Math.abs(numbers[at] - wanted) < 1, `${crop} is not what was drawn`));
  await assertShows(page, `/search?limit=80&id=${id}&crop=${encodeURIComponent(crop)}`);
  await page.locator("#question .chip canvas").waitFor();
  assert.match(await page.locator("#question .chip").innerText(), /Part of temple\.jpg/);
  await page.reload();
  await settled(page);
  await page.locator("#question .chip", { hasText: "Part of temple.jpg" }).waitFor();
});

scene("a click without a drag draws nothing", {}, async (page) => {
  await visit(page, `/?open=${await idOf("temple.jpg")}`);
  await page.locator("#viewer .frame").click();
  assert.equal(await page.getByRole("button", { name: "Search this part" }).isVisible(), false);
});

scene("a format that browsers do not show appears as its preview", {}, async (page) => {
  const id = await idOf("cat.jpg");
  await page.route(new RegExp(`/api/v1/images/${id}$`), async (route) => {
    const image = await (await route.fetch()).json();
    return route.fulfill({ json: { ...image, format: "tiff" } });
  });
  await page.route(/\/api\/v1\/images\?/, async (route) => {
    const answer = await (await route.fetch()).json();
    for (const image of answer.images) image.format = "tiff";
    return route.fulfill({ json: answer });
  });
  await visit(page, `/?open=${id}`);
  await page.waitForFunction(() => document.querySelector("#viewer .full").naturalWidth > 0);
  assert.match(await page.locator("#viewer .full").getAttribute("src"), /thumbnail\?size=512/);
});
