// What goes wrong is said in a sentence, and the page goes on.

import assert from "node:assert/strict";
import { addressOf, answered, api, assertShows, drop, idOf, sampleNames, scene, settled, shoot, shownIds, visit } from "./harness.mjs";

const refused = [/40\d|41\d|42\d/];

scene("an upload that is no picture is refused, and the pictures stay", {}, async (page) => {
  await visit(page);
  const before = await shownIds(page);
  await drop(page, ["notes.jpg"], { contents: Buffer.from("These are words, not a picture.") });
  const alert = page.locator("#notes [role=alert]");
  await alert.waitFor();
  assert.ok((await alert.innerText()).trim().length > 20, "the refusal says nothing");
  assert.deepEqual(await shownIds(page), before);
  assert.equal(addressOf(page).size, 0);
  await shoot(page, "no picture");
  await page.getByRole("button", { name: "Dismiss" }).click();
  await alert.waitFor({ state: "hidden" });
}, { expected: refused });

scene("a link that is dropped is explained", {}, async (page) => {
  await visit(page);
  const carried = await page.evaluateHandle(() => {
    const transfer = new DataTransfer();
    transfer.setData("text/uri-list", "https://example.org/cat.jpg");
    return transfer;
  });
  await page.dispatchEvent("body", "dragenter", { dataTransfer: carried });
  await page.dispatchEvent("[data-drop=ask]", "drop", { dataTransfer: carried });
  await page.getByText("That was a link, not a picture.").waitFor();
});

const BROKEN = [
  "?after=yesterday", "?id=abc", "?id=99999999", "?code=nonsense", "?id=1&crop=all", "?text=", "?min_size=huge",
  "?more=cat", "?less=", "?by=colour&id=1", "?under=", "?id=1&id=2&crop=1%25", "?text=%FF%FE", "?%%%=&&&", "?before=0000-99-99",
  "?id=1&more=id:1:heavy", "?label=", "?limit=-1&cursor=elsewhere", "?text=asdfgh",
];

for (const address of BROKEN) {
  scene(`a broken address is answered calmly: ${address}`, {}, async (page) => {
    await visit(page, `/${address}`);
    const alert = page.locator(".message[role=alert]");
    if (await alert.count()) {
      const text = (await alert.innerText()).trim();
      assert.ok(text.length > 15, "the message says nothing");
      assert.doesNotMatch(text, /^[a-z]+[ ,]/, "the message is no sentence");
    }
    if (address === "?after=yesterday") {
      await alert.waitFor();
      await shoot(page, "error");
      await answered(page, () => page.getByRole("button", { name: "Without filters" }).click());
    } else if (!address.startsWith("?limit")) {
      // That one shows all pictures already: paging is not a matter of the address.
      await answered(page, () => page.locator("a.brand").click());
    }
    await assertShows(page, "/images?limit=80");
  }, { expected: refused });
}

scene("the server's own words are shown", {}, async (page) => {
  await page.route(/\/api\/v1\/search\?/, (route) => route.fulfill({
    status: 409, contentType: "application/problem+json",
    json: { type: "about:blank", title: "Conflict", status: 409, detail: "This picture was read by another encoder.", hint: "Drop it again." },
  }));
  await visit(page, "/?code=old");
  await page.getByText("This picture was read by another encoder.").waitFor();
  await page.getByText("Drop it again.").waitFor();
  await page.locator("#question .chip", { hasText: "Your picture" }).waitFor();
}, { expected: refused });

scene("a picture that is gone says so in the large view", {}, async (page) => {
  await visit(page, "/?open=99999999");
  await page.getByText("This picture cannot be shown").waitFor();
  await page.keyboard.press("Escape");
  await page.locator("#viewer").waitFor({ state: "hidden" });
  assert.equal(addressOf(page).has("open"), false);
}, { expected: refused });

scene("a server that stopped is noticed, and asked again", {}, async (page) => {
  await page.route(/\/api\/v1\/(images|search)\?/, (route) => route.abort());
  await visit(page);
  await page.getByText("The server does not answer.").waitFor();
  await page.unroute(/\/api\/v1\/(images|search)\?/);
  await page.getByRole("button", { name: "Try again" }).click();
  await assertShows(page, "/images?limit=80");
}, { expected: [/ERR_FAILED/] });

scene("an error that is no problem document is a sentence, too", {}, async (page) => {
  await page.route(/\/api\/v1\/images\?/, (route) => route.fulfill({ status: 502, contentType: "text/html", body: "<h1>Bad gateway</h1>" }));
  await visit(page);
  await page.getByText("The server answered with error 502.").waitFor();
}, { expected: [/502/] });

scene("who is signed out can sign in again", {}, async (page) => {
  await page.route(/\/api\/v1\/images\?/, (route) => route.fulfill({ status: 401, body: "" }));
  await visit(page);
  await page.getByText("You are signed out.").waitFor();
  await page.unroute(/\/api\/v1\/images\?/);
  await page.getByRole("button", { name: "Sign in again" }).click();
  await page.locator(".tile").first().waitFor();
}, { expected: [/401/] });

scene("an empty index says how to fill it, and fills up by itself", {}, async (page) => {
  const status = await api("/status");
  const empty = { ...status, images: 0, contents: 0, empty: true };
  await page.route(/\/api\/v1\/status$/, (route) => route.fulfill({ json: empty }));
  await page.route(/\/api\/v1\/events$/, (route) => route.abort());
  await page.route(/\/api\/v1\/images\?/, (route) => route.fulfill({ json: { images: [], total: 0, next: null } }));
  await visit(page);
  await page.getByText("imgsearch index ~/Pictures").waitFor();
  await shoot(page, "empty index");
  await page.unroute(/\/api\/v1\/images\?/);
  await page.unroute(/\/api\/v1\/events$/);
  await page.evaluate(() => dispatchEvent(new Event("pagehide")));
  await page.evaluate(() => dispatchEvent(new Event("pageshow")));
  await assertShows(page, "/images?limit=80");
}, { expected: [/events/] });

scene("a running index is told of, and nothing moves until one wants it", {}, async (page) => {
  const status = await api("/status");
  await page.route(/\/api\/v1\/events$/, async (route) => {
    await new Promise((done) => setTimeout(done, 600));
    const now = { ...status, images: status.images + 3, generation: status.generation + 1, indexing: { pid: 1, command: "imgsearch index", since: 1 } };
    return route.fulfill({ contentType: "text/event-stream", body: `event: status\ndata: ${JSON.stringify(now)}\n\n` });
  });
  await visit(page);
  const before = await shownIds(page);
  await page.getByText(`Indexing, ${sampleNames.length + 3} pictures so far`).waitFor();
  const offer = page.getByRole("button", { name: "Show 3 new pictures" });
  await offer.waitFor();
  await shoot(page, "indexing");
  assert.deepEqual(await shownIds(page), before);
  await answered(page, () => offer.click());
  await offer.waitFor({ state: "hidden" });
  assert.deepEqual(await shownIds(page), before);
}, { expected: [/events/] });

scene("a preview that is missing leaves a calm place", {}, async (page) => {
  const id = await idOf("cat.jpg");
  await page.route(new RegExp(`/images/${id}/thumbnail`), (route) => route.fulfill({ status: 404, body: "" }));
  await visit(page);
  const tile = page.locator(`.tile[data-id="${id}"]`);
  await tile.scrollIntoViewIfNeeded();
  await page.locator(`.tile.is-broken[data-id="${id}"]`).waitFor();
  assert.equal(await tile.locator(".tile-name").isVisible(), true);
  assert.equal(await tile.locator("img").isVisible(), false);
}, { expected: [/404/] });

scene("a page that fails while one scrolls can be asked for again", { viewport: { width: 900, height: 500 } }, async (page) => {
  let broken = true;
  await page.route(/\/api\/v1\/images\?/, (route) => {
    const url = new URL(route.request().url());
    if (broken && url.searchParams.has("cursor")) return route.fulfill({ status: 500, json: { detail: "The index is being repaired." } });
    url.searchParams.set("limit", "6");
    return route.continue({ url: url.href });
  });
  await visit(page);
  await page.getByText("The index is being repaired.").waitFor();
  assert.equal((await shownIds(page)).length, 6);
  broken = false;
  await page.getByRole("button", { name: "Try again" }).click();
  await page.waitForFunction((count) => document.querySelectorAll(".tile").length === count, sampleNames.length);
}, { expected: [/500/] });

scene("hostile names stay text", {}, async (page) => {
  await page.route(/\/api\/v1\/images\?/, async (route) => {
    const answer = await (await route.fetch()).json();
    answer.images[0].name = `<img src=x onerror="document.title='taken'">.jpg`;
    answer.images[0].labels = [{ name: "<b>bold</b>", probability: 1 }];
    return route.fulfill({ json: answer });
  });
  await visit(page);
  await settled(page);
  assert.equal(await page.locator(".tile b, .tile-name img").count(), 0);
  assert.notEqual(await page.title(), "taken");
  assert.match(await page.locator(".tile-name").first().textContent(), /<img src=x/);
});
