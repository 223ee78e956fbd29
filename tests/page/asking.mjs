// The ways to ask: a picture from outside, words, a result.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { addressOf, answered, api, assertShows, drop, idOf, sample, scene, settled, shoot, shownIds, visit } from "./harness.mjs";

async function assertFoundItself(page, name) {
  const id = await idOf(name);
  assert.equal((await shownIds(page))[0], id, `${name} is not the first result`);
  const answer = await api("/search?limit=80", {
    method: "POST", headers: { "X-Imgsearch": "1", "Content-Type": "image/jpeg" }, body: readFileSync(sample(name)),
  });
  assert.deepEqual(await shownIds(page), answer.results.map((image) => image.id));
  assert.equal(addressOf(page).get("code"), answer.code);
}

scene("a dropped picture finds itself and what is like it", {}, async (page) => {
  await visit(page);
  assert.equal(await page.locator("#drop").isVisible(), false);
  await drop(page, ["cat.jpg"], { only: "over" });
  await page.getByText("Drop to find what looks like it").waitFor();
  await shoot(page, "drop");
  await answered(page, () => drop(page, ["cat.jpg"]));
  assert.equal(await page.locator("#drop").isVisible(), false);
  await assertFoundItself(page, "cat.jpg");
  const chip = page.locator("#question .chip");
  assert.match(await chip.innerText(), /cat\.jpg/);
  assert.match(await chip.locator("img").getAttribute("src"), /^blob:/);
  assert.match(await page.locator(".tile-alike").first().innerText(), /^\d+\s%/);
  await shoot(page, "results");
  const before = await shownIds(page);
  await page.reload();
  await settled(page);
  assert.deepEqual(await shownIds(page), before, "the token in the address asks the same");
  assert.match(await page.locator("#question .chip").innerText(), /Your picture/);
  assert.equal(await page.locator("#question .chip img").count(), 0);
});

scene("a pasted picture asks", {}, async (page) => {
  await visit(page);
  const data = readFileSync(sample("rocket.jpg")).toString("base64");
  await answered(page, () => page.evaluate((text) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))], "image.png", { type: "image/png" }));
    document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true, cancelable: true }));
  }, data));
  await assertFoundItself(page, "rocket.jpg");
});

scene("a chosen file asks", {}, async (page) => {
  await visit(page);
  const chooser = page.waitForEvent("filechooser");
  await page.locator("#choose").click();
  await answered(page, async () => (await chooser).setFiles(sample("coins.jpg")));
  await assertFoundItself(page, "coins.jpg");
});

scene("several pictures make one question", {}, async (page) => {
  await visit(page);
  await answered(page, () => drop(page, ["coffee.jpg", "coffee-cup.jpg"]));
  assert.equal(addressOf(page).getAll("code").length, 1);
  assert.equal(addressOf(page).getAll("more").length, 1);
  assert.equal(await page.locator("#question .chip").count(), 2);
  await answered(page, () => drop(page, ["cat.jpg"], { zone: "add" }));
  assert.equal(addressOf(page).getAll("more").length, 2);
  assert.equal(await page.locator("#question .chip").count(), 3);
});

scene("words ask", {}, async (page) => {
  await visit(page);
  await page.locator("#words").fill("a cup of coffee");
  await answered(page, () => page.locator("#words").press("Enter"));
  assert.equal(addressOf(page).get("text"), "a cup of coffee");
  const { results } = await assertShows(page, "/search?limit=80&text=a%20cup%20of%20coffee");
  assert.match(results[0].name, /^coffee/);
  assert.match(await page.locator("#question").innerText(), /a cup of coffee/);
  await page.waitForFunction(() => /result|picture/.test(document.getElementById("announce").textContent));
  await shoot(page, "words");
  await answered(page, () => page.getByRole("button", { name: /^Remove .*a cup of coffee/ }).click());
  assert.equal(page.url().endsWith("/"), true);
  await assertShows(page, "/images?limit=80");
});

scene("words can be added to a picture", {}, async (page) => {
  const id = await idOf("cat.jpg");
  await visit(page, `/?id=${id}`);
  await page.locator("#words").fill("coffee");
  await answered(page, () => page.getByRole("button", { name: "Add", exact: true }).click());
  assert.equal(addressOf(page).get("id"), String(id));
  assert.equal(addressOf(page).get("more"), "text:coffee");
  await assertShows(page, `/search?limit=80&id=${id}&more=text%3Acoffee`);
});

scene("a word that nobody knows is said to be unknown, and others are offered", {}, async (page) => {
  // The server decides what it knows; here it is made to know little.
  await page.route(/\/api\/v1\/search\?.*text=cofee/, async (route) => {
    const url = route.request().url().replace("text=cofee", "text=coffee");
    const answer = await (await route.fetch({ url })).json();
    answer.words = [{ text: "cofee", understood: [], unknown: [{ word: "cofee", alike: ["coffee", "toffee"] }] }];
    answer.note = "One word was left out.";
    return route.fulfill({ json: answer });
  });
  await visit(page, "/?text=cofee");
  await page.getByText("“cofee” is not a word that is known here.").waitFor();
  await page.getByText("One word was left out.").waitFor();
  await shoot(page, "unknown word");
  await answered(page, () => page.getByRole("button", { name: "coffee", exact: true }).click());
  assert.equal(addressOf(page).get("text"), "coffee");
  await assertShows(page, "/search?limit=80&text=coffee");
});

scene("what resembles nothing is said to", {}, async (page) => {
  await page.route(/\/api\/v1\/search\?/, async (route) => {
    const answer = await (await route.fetch()).json();
    return route.fulfill({ json: { ...answer, resembles: false, nearest: 0.23 } });
  });
  await visit(page, "/?text=coffee");
  await page.getByText(/Nothing here looks like it; the nearest is 23\s% alike\./).waitFor();
});

scene("more like this asks with a result", {}, async (page) => {
  await visit(page);
  const id = await idOf("temple.jpg");
  const one = page.locator(`.tile[data-id="${id}"]`);
  await one.hover();
  await answered(page, () => one.getByRole("button", { name: /More like this/ }).click());
  assert.equal(addressOf(page).get("id"), String(id));
  await assertShows(page, `/search?limit=80&id=${id}`);
  assert.match(await page.title(), /temple\.jpg/);
});

scene("a question keeps its filters", {}, async (page) => {
  await visit(page, "/?min_size=1k&type=jpeg");
  await page.locator("#words").fill("coffee");
  await answered(page, () => page.locator("#words").press("Enter"));
  assert.equal(addressOf(page).get("min_size"), "1k");
  await assertShows(page, "/search?limit=80&text=coffee&min_size=1k&type=jpeg");
});
