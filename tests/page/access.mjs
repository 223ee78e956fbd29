// Every main view, judged by axe-core, in both colour schemes and on a phone.

import assert from "node:assert/strict";
import { DARK, PHONE, WIDE, api, assertAccessible, drop, idOf, scene, shoot, violations, visit } from "./harness.mjs";

const VIEWS = {
  browse: async (page) => visit(page),
  results: async (page) => {
    const [cat, rocket, grass] = await Promise.all(["cat.jpg", "rocket.jpg", "grass.jpg"].map(idOf));
    await visit(page, `/?id=${cat}&more=id:${rocket}&less=id:${grass}&min_size=1k`);
  },
  words: async (page) => visit(page, "/?text=coffee"),
  focus: async (page) => {
    await visit(page, "/?text=coffee");
    await page.locator(".tile a").first().focus();
    await page.keyboard.press("ArrowRight");
  },
  "large view": async (page) => {
    await visit(page, `/?open=${await idOf("cat.jpg")}`);
    await page.locator(".strip-list img").first().waitFor();
  },
  part: async (page) => {
    await visit(page, `/?open=${await idOf("cat.jpg")}`);
    await page.locator("#viewer[open]").waitFor();
    await page.getByRole("button", { name: "Search a part" }).click();
    await page.getByRole("application").waitFor();
  },
  filters: async (page) => {
    const { labels } = await api("/facets");
    await visit(page, `/?text=coffee&label=${encodeURIComponent(labels[0].name)}&type=jpeg&after=1990`);
    const button = page.getByRole("button", { name: /Filters/ });
    if (!(await page.locator("#filters").isVisible())) await button.click();
    await page.locator("#filters .pill").first().waitFor();
  },
  drop: async (page) => {
    await visit(page, "/?text=coffee");
    await drop(page, ["cat.jpg"], { only: "over" });
  },
  "no results": async (page) => visit(page, "/?before=1901"),
  error: async (page) => visit(page, "/?after=yesterday"),
  about: async (page) => {
    await visit(page);
    await page.getByRole("button", { name: "About this page" }).click();
    await page.getByRole("link", { name: "Description of the API" }).waitFor();
  },
  empty: async (page) => {
    await page.route(/\/api\/v1\/status$/, async (route) => {
      const status = await (await route.fetch()).json();
      return route.fulfill({ json: { ...status, images: 0, empty: true } });
    });
    await page.route(/\/api\/v1\/events$/, (route) => route.abort());
    await page.route(/\/api\/v1\/images\?/, (route) => route.fulfill({ json: { images: [], total: 0, next: null } }));
    await visit(page);
    await page.getByText("imgsearch index ~/Pictures").waitFor();
  },
};

const expected = [/40\d/, /events/];

for (const [name, open] of Object.entries(VIEWS)) {
  for (const [kind, settings] of Object.entries({ light: WIDE, dark: { ...WIDE, ...DARK }, phone: { ...PHONE, ...DARK } })) {
    scene(`axe-core finds nothing: ${name}, ${kind}`, settings, async (page) => {
      await open(page);
      await shoot(page, `axe ${name} ${kind}`);
      await assertAccessible(page);
    }, { expected });
  }
}

scene("axe-core would find something", {}, async (page) => {
  await visit(page);
  await page.evaluate(() => document.querySelector(".tile img").removeAttribute("alt"));
  await page.evaluate(() => document.querySelector("#count").style.setProperty("color", "#ccc"));
  const found = await violations(page);
  assert.ok(found.some((one) => one.startsWith("image-alt")), String(found));
  assert.ok(found.some((one) => one.startsWith("color-contrast")), String(found));
});

scene("the page has a language, one main heading and landmarks", {}, async (page) => {
  await visit(page);
  assert.equal(await page.locator("html").getAttribute("lang"), "en");
  assert.equal(await page.locator("h1").count(), 1);
  for (const role of ["banner", "main", "search", "complementary"]) await page.getByRole(role).first().waitFor({ state: "attached" });
  const alt = await page.locator(".tile img").first().getAttribute("alt");
  const { images } = await api("/images?limit=1");
  assert.equal(alt, [images[0].name, images[0].labels[0]?.name].filter(Boolean).join(", "));
});

scene("less motion is respected", { reducedMotion: "reduce" }, async (page) => {
  await visit(page);
  const times = await page.evaluate(() => [".tile-caption", ".tile img", ".round"].map((one) => getComputedStyle(document.querySelector(one)).transitionDuration));
  for (const time of times) assert.equal(time, "0s");
});

scene("the page asks nobody but its server, and runs nothing inline", {}, async (page) => {
  const foreign = [];
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (!["blob:"].includes(url.protocol) && url.origin !== new URL(page.url()).origin && page.url() !== "about:blank") foreign.push(request.url());
  });
  const response = await page.goto(process.env.IMGSEARCH_URL);
  const policy = response.headers()["content-security-policy"] || "";
  assert.match(policy, /script-src 'self'/);
  assert.doesNotMatch(policy, /unsafe/);
  await page.locator(".tile").first().waitFor();
  const html = await response.text();
  assert.doesNotMatch(html, /<script(?![^>]*src=)|\sstyle=|\son[a-z]+=/);
  assert.deepEqual(foreign, []);
});
