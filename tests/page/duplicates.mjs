// What is there twice: deciding by keys, comparing, and the list with its command.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { DARK, PHONE, URL_OF_COPIES, addressOf, api, assertAccessible, assertFits, scene, shoot } from "./harness.mjs";

assert.ok(URL_OF_COPIES, "IMGSEARCH_COPIES_URL is not set; tests/page/README.md says what it is");

// What the server itself answers; it may take a while.
async function found(query = "") {
  for (;;) {
    const answer = await api(`/duplicates?limit=200${query}`, {}, URL_OF_COPIES);
    if (answer.groups) return answer;
    await setTimeout(200);
  }
}

async function look(page, query = "") {
  await page.goto(`${URL_OF_COPIES}/?view=duplicates${query}`);
  await page.locator(".copies-groups[aria-busy=false]").waitFor();
}

const card = (page, file) => page.locator(`.copies-groups .copy[data-id="${file.id}"]`);
const pressed = (page, file, choice) => card(page, file).locator(`[data-choice=${choice}]`).getAttribute("aria-pressed");
const focused = (page) => page.evaluate(() => Number(document.activeElement.closest(".copy")?.dataset.id));
const bar = (page) => page.locator(".decisions-text");

scene("the groups are those of the server, and the bar leads there and back", {}, async (page) => {
  const answer = await found();
  assert.ok(answer.groups.length >= 3 && answer.groups[0].files.length >= 2, "the index has too few copies");
  await page.goto(URL_OF_COPIES);
  await page.locator(".tile").first().waitFor();
  await page.getByRole("link", { name: "Duplicates" }).click();
  await page.locator(".copies").first().waitFor();
  assert.equal(addressOf(page).get("view"), "duplicates");
  const shown = await page.locator(".copies").evaluateAll((groups) => groups.map((group) => [...group.querySelectorAll(".copy")].map((one) => Number(one.dataset.id))));
  assert.deepEqual(shown, answer.groups.map((group) => group.files.map((file) => file.id)));
  const best = await page.locator(".copy.is-best").evaluateAll((cards) => cards.map((one) => Number(one.dataset.id)));
  assert.deepEqual(best, answer.groups.map((group) => group.files[group.best].id));
  assert.match(await page.locator("#count").innerText(), new RegExp(`${answer.total} groups`));
  assert.equal(await page.locator(".tile").first().isVisible(), false);
  await page.waitForFunction(() => document.querySelectorAll(".copy.is-loaded").length >= 4);
  await shoot(page, "duplicates");
  await page.goBack();
  await page.locator(".tile").first().waitFor();
  assert.equal(await page.locator("#duplicates").isVisible(), false);
});

scene("decisions by keys, and they outlast the page", {}, async (page) => {
  const { groups } = await found();
  const [first, second] = groups;
  await look(page);
  await card(page, first.files[0]).locator("a").focus();
  await page.keyboard.press("ArrowRight");
  assert.equal(await focused(page), first.files[1].id);
  await page.keyboard.press("x");
  assert.equal(await pressed(page, first.files[1], "discard"), "true");
  assert.match(await bar(page).innerText(), /1 file to discard/);
  await page.keyboard.press("x");
  assert.equal(await pressed(page, first.files[1], "discard"), "false");
  assert.match(await bar(page).innerText(), /Nothing to discard/);
  await page.keyboard.press("x");
  await page.keyboard.press("ArrowDown");
  assert.equal(await focused(page), second.files[1].id);
  await page.keyboard.press("o");
  assert.equal(await pressed(page, second.files[1], "keep"), "true");
  assert.equal(await pressed(page, second.files[0], "discard"), "true");
  // One of a group stays.
  await page.keyboard.press("x");
  assert.equal(await pressed(page, second.files[1], "keep"), "true");
  await page.getByText("One file of each group stays").waitFor();
  const wanted = [first.files[1], ...second.files.filter((file) => file !== second.files[1])];
  const told = async () => assert.match(await bar(page).innerText(), new RegExp(`^${wanted.length} files to discard`));
  await told();
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("k");
  assert.equal(await pressed(page, first.files[1], "keep"), "true");
  await page.keyboard.press("x");
  await shoot(page, "duplicates decided");
  await page.reload();
  await page.locator(".copies").first().waitFor();
  assert.equal(await pressed(page, first.files[1], "discard"), "true");
  await told();
  await page.getByRole("button", { name: "Clear" }).click();
  assert.match(await bar(page).innerText(), /Nothing to discard/);
});

scene("the list and the command", {}, async (page) => {
  const { groups } = await found();
  const status = await api("/status", {}, URL_OF_COPIES);
  await look(page);
  assert.equal(await page.getByRole("button", { name: "Get the list" }).isEnabled(), false);
  await page.getByRole("button", { name: "Keep only the best of each" }).click();
  const others = groups.flatMap((group) => group.files.filter((_, at) => at !== group.best));
  await page.getByText(`${others.length} files to discard`).waitFor();
  await page.getByRole("button", { name: "Get the list" }).click();
  const dialog = page.locator("#list");
  await dialog.waitFor();
  await shoot(page, "duplicates list");
  await assertAccessible(page);
  const [saved] = await Promise.all([page.waitForEvent("download"), dialog.getByRole("button", { name: "Save discard.txt" }).click()]);
  assert.equal(saved.suggestedFilename(), "discard.txt");
  const text = readFileSync(await saved.path(), "utf8");
  assert.deepEqual(text.trimEnd().split("\n").sort(), others.map((file) => file.path).sort());
  await dialog.getByRole("button", { name: "Copy the paths" }).click();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), text);
  await dialog.locator(".command").click();
  const command = await page.evaluate(() => navigator.clipboard.readText());
  assert.equal(command, `imgsearch duplicates --index ${status.index} --apply trash --files-from discard.txt`);
  await dialog.getByLabel("Replace by hard links").check();
  assert.match(await dialog.locator(".command").innerText(), /--apply hardlink/);
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "hidden" });
});

scene("two pictures side by side, one over the other, and their difference", {}, async (page) => {
  const { groups } = await found();
  const group = groups.find((one) => one.files.length > 2);
  const best = group.files[group.best];
  const others = group.files.filter((file) => file !== best);
  await look(page);
  await card(page, others[0]).locator("a").focus();
  await page.keyboard.press("Enter");
  const view = page.locator("#compare");
  await view.getByRole("heading", { name: `${others[0].name} beside ${best.name}` }).waitFor();
  assert.equal(addressOf(page).get("open"), String(others[0].id));
  const drawn = () => page.waitForFunction(() => [...document.querySelectorAll("#compare .compare-picture")].every((one) => one.naturalWidth > 0));
  await drawn();
  await shoot(page, "compare");
  await page.keyboard.press("2");
  await page.getByRole("slider", { name: /line/ }).waitFor();
  await drawn();
  const frame = await view.locator(".compare-frame").boundingBox();
  await page.mouse.click(frame.x + frame.width * 0.25, frame.y + frame.height / 2);
  assert.equal(await page.getByRole("slider", { name: /line/ }).inputValue(), "25");
  await shoot(page, "compare swipe");
  await page.keyboard.press("3");
  assert.equal(await view.locator(".compare-over").evaluate((one) => getComputedStyle(one).mixBlendMode), "difference");
  await view.getByText("Black where both are equal").waitFor();
  await shoot(page, "compare difference");
  await assertAccessible(page);
  await page.keyboard.press("x");
  assert.equal(await view.locator(`[data-for="${others[0].id}"] [data-choice=discard]`).getAttribute("aria-pressed"), "true");
  await page.keyboard.press("ArrowRight");
  await view.getByRole("heading", { name: `${others[1].name} beside` }).waitFor();
  assert.equal(addressOf(page).get("open"), String(others[1].id));
  await page.keyboard.press("Escape");
  await view.waitFor({ state: "hidden" });
  assert.equal(addressOf(page).has("open"), false);
  assert.equal(await focused(page), others[1].id, "the keyboard is where one looked last");
  assert.equal(await pressed(page, others[0], "discard"), "true");
});

// The mean brightness of a part of the page, from 0 to 255. Drawn elsewhere: the page itself forbids foreign pictures.
async function brightness(page, part) {
  const shot = (await part.screenshot()).toString("base64");
  const blank = await page.context().newPage();
  const mean = await blank.evaluate(async (base64) => {
    const image = new Image();
    image.src = `data:image/png;base64,${base64}`;
    await image.decode();
    const canvas = new OffscreenCanvas(image.width, image.height);
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    const { data } = context.getImageData(0, 0, image.width, image.height);
    let sum = 0;
    for (let i = 0; i < data.length; i += 4) sum += data[i] + data[i + 1] + data[i + 2];
    return sum / (data.length * 0.75);
  }, shot);
  await blank.close();
  return mean;
}

scene("a part of a picture lies where it was cut out", {}, async (page) => {
  const { groups } = await found();
  const file = groups.flatMap((group) => group.files).find((one) => one.name === "temple-roof.jpg");
  await look(page, `&open=${file.id}`);
  const view = page.locator("#compare[open]");
  await view.waitFor();
  await page.keyboard.press("3");
  await view.getByText("Only the part that both show is compared").waitFor();
  await page.waitForFunction(() => [...document.querySelectorAll("#compare .compare-picture")].every((one) => one.naturalWidth > 0));
  const frame = await view.locator(".compare-frame").boundingBox();
  const part = await view.locator(".compare-over img").boundingBox();
  // As tests/make_samples.py cuts it.
  const shares = [(part.x - frame.x) / frame.width, (part.y - frame.y) / frame.height, part.width / frame.width, part.height / frame.height];
  [0.1, 0.2, 0.7, 0.6].forEach((wanted, at) => assert.ok(Math.abs(shares[at] - wanted) < 0.01, `it lies at ${shares}`));
  await shoot(page, "compare part");
  const aligned = await brightness(page, view.locator(".compare-frame"));
  // Beside it by a twentieth, nothing lies on itself.
  await view.locator(".compare-over img").evaluate((image) => { image.style.translate = "5% 0"; });
  const beside = await brightness(page, view.locator(".compare-frame"));
  assert.ok(aligned < 0.6 * beside, `the difference is ${aligned} bright, and ${beside} beside its place`);
});

scene("a shared link compares, and Back closes it", {}, async (page) => {
  const { groups } = await found();
  const file = groups.at(-1).files.at(-1);
  await look(page);
  await look(page, `&open=${file.id}`);
  await page.locator("#compare[open]").waitFor();
  await page.getByRole("button", { name: "Close" }).click();
  await page.locator("#compare").waitFor({ state: "hidden" });
  await card(page, file).locator("a").click();
  await page.locator("#compare[open]").waitFor();
  await page.goBack();
  await page.locator("#compare").waitFor({ state: "hidden" });
});

scene("how far the search is, and what it did not find", {}, async (page) => {
  let asked = 0;
  await page.route(/\/api\/v1\/duplicates\?/, async (route) => {
    asked += 1;
    const params = new URL(route.request().url()).searchParams;
    if (asked === 1) return route.fulfill({ status: 202, json: { stage: "comparing", done: 1200, of: 4000, next: "7.0" } });
    assert.equal(params.get("cursor"), "7.0");
    if (asked === 2) return route.fulfill({ status: 202, json: { stage: "comparing", done: 3000, of: 4000, next: "7.0" } });
    if (asked === 3) await setTimeout(600);
    return route.fulfill({ json: { groups: [], total: 0, files: 0, bytes: 0, images: 16, skipped: 0, next: null } });
  });
  await page.goto(`${URL_OF_COPIES}/?view=duplicates`);
  await page.getByText("Comparing by their pixels: 3,000 of 4,000 pairs").waitFor();
  await shoot(page, "duplicates underway");
  await page.getByRole("heading", { name: "No duplicates" }).waitFor();
  await page.unroute(/\/api\/v1\/duplicates\?/);
  await page.getByRole("button", { name: "Look for nearly the same" }).click();
  await page.locator(".copies").first().waitFor();
  assert.equal(addressOf(page).get("near"), "true");
  assert.equal(await page.getByLabel("Nearly the same, too").isChecked(), true);
});

for (const [name, settings] of Object.entries({ light: {}, dark: DARK, phone: PHONE })) {
  scene(`duplicates are accessible: ${name}`, settings, async (page) => {
    const { groups } = await found();
    await look(page);
    await card(page, groups[0].files[0]).locator("a").focus();
    await page.keyboard.press("o");
    await page.waitForFunction(() => document.querySelectorAll(".copy.is-loaded").length >= 2);
    await assertFits(page);
    await shoot(page, `duplicates ${name}`);
    await assertAccessible(page);
    await page.keyboard.press("Enter");
    await page.locator("#compare[open]").waitFor();
    await assertFits(page);
    await shoot(page, `compare ${name}`);
    await assertAccessible(page);
  });
}
