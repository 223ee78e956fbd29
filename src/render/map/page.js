// The page around the map: reads what is embedded in it, lists the groups, shows what is pointed at.

import { ALL } from "./dots.js";
import { CollectionMap } from "./map.js";
import { Sheets } from "./sheets.js";

const given = JSON.parse(document.getElementById("data").textContent);
const one = (selector) => document.querySelector(selector);

/** Returns the bytes of a text in Base64. */
function bytes(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer;
}

async function sheet(text) {
  const image = new Image();
  image.src = `data:image/jpeg;base64,${text}`;
  await image.decode().catch(() => {});
  return image;
}

async function start() {
  const sheets = [...document.querySelectorAll("script.sheet")].map((script) => script.textContent);
  const data = {
    x: new Float32Array(bytes(given.x)),
    y: new Float32Array(bytes(given.y)),
    group: new Int32Array(bytes(given.group)),
    groups: given.groups,
    pictures: new Sheets({
      tile: given.tile,
      columns: given.columns,
      order: new Uint32Array(bytes(given.order)),
      sizes: new Uint8Array(bytes(given.sizes)),
      sheets: await Promise.all(sheets.map(sheet)),
    }),
  };
  const rankOf = new Map([...data.pictures.order].map((image, rank) => [image, rank]));
  const folder = new Int32Array(bytes(given.folder));
  const map = new CollectionMap(one("#map"), data, { hover, pick, chosen });
  window.map = map;

  /** Fills a card with what is known of an image. */
  function fill(card, image) {
    const rank = rankOf.get(image);
    const picture = card.querySelector("canvas");
    const from = rank === undefined ? undefined : data.pictures.of(rank);
    picture.hidden = !from;
    if (from) {
      const { source, left, top, width, height } = from;
      picture.width = width;
      picture.height = height;
      picture.getContext("2d").drawImage(source, left, top, width, height, 0, 0, width, height);
    }
    card.querySelector(".name").textContent = given.names[image];
    card.querySelector(".folder").textContent = given.folders[folder[image]].shown;
    const group = data.groups[data.group[image]];
    card.querySelector(".of").textContent = group ? `in ${group.name || "a group without a name"}` : "in no group";
  }

  function hover(image, left, top) {
    const tip = one("#tip");
    one("#map").classList.toggle("pointing", image >= 0);
    tip.hidden = image < 0 || image === map.picked;
    if (tip.hidden) return;
    fill(tip, image);
    const { clientWidth, clientHeight } = one("#map");
    const right = left + 24 + tip.offsetWidth > clientWidth;
    const below = top + 24 + tip.offsetHeight > clientHeight;
    tip.style.left = `${right ? left - tip.offsetWidth - 16 : left + 16}px`;
    tip.style.top = `${below ? Math.max(8, top - tip.offsetHeight - 16) : top + 16}px`;
  }

  function pick(image) {
    const card = one("#card");
    card.hidden = image < 0;
    one("#tip").hidden = true;
    if (image < 0) return;
    fill(card, image);
    const { url } = given.folders[folder[image]];
    const name = given.names[image];
    const link = card.querySelector("a");
    // A name that is no text has lost bytes that the address would need.
    link.hidden = !url || name.includes("\ufffd");
    link.href = link.hidden ? "" : `${url}${encodeURIComponent(name)}`;
  }

  const list = one("#groups");
  const buttons = data.groups.map((group, place) => {
    const button = document.createElement("button");
    button.type = "button";
    const dot = document.createElement("i");
    dot.style.background = map.colours.css(place);
    const name = document.createElement("span");
    name.textContent = group.name || "unnamed";
    name.classList.toggle("unnamed", !group.name);
    const size = document.createElement("b");
    size.textContent = group.size.toLocaleString("en");
    const more = document.createElement("small");
    more.textContent = [group.dates, group.words].filter(Boolean).join(" · ");
    button.append(dot, name, size, more);
    button.addEventListener("click", () => map.choose(map.chosen === place ? ALL : place));
    list.append(button);
    return button;
  });

  function chosen(group) {
    buttons.forEach((button, place) => button.setAttribute("aria-pressed", String(place === group)));
    buttons[group]?.scrollIntoView({ block: "nearest" });
    one("#all").hidden = group === ALL;
  }
  chosen(ALL);

  one("#find").addEventListener("input", ({ target }) => {
    const wanted = target.value.trim().toLowerCase();
    data.groups.forEach((group, place) => {
      buttons[place].hidden = !`${group.name} ${group.words}`.toLowerCase().includes(wanted);
    });
  });
  one("#all").addEventListener("click", () => map.choose(ALL));
  one("#in").addEventListener("click", () => map.zoom(1.6));
  one("#out").addEventListener("click", () => map.zoom(1 / 1.6));
  one("#fit").addEventListener("click", () => map.showAll());
  one("#list").addEventListener("click", () => document.body.classList.toggle("listed"));
  one("#card button").addEventListener("click", () => map.pick(-1));
  document.addEventListener("keydown", (event) => {
    const typing = event.target instanceof HTMLInputElement;
    if (event.key === "Escape") {
      if (map.picked >= 0) map.pick(-1);
      else map.choose(ALL);
    } else if (event.key === "/" && !typing) {
      event.preventDefault();
      one("#find").focus();
    } else if ((event.key === "n" || event.key === "p") && !typing && data.groups.length) {
      const step = event.key === "n" ? 1 : -1;
      const from = map.chosen === ALL ? (step > 0 ? -1 : 0) : map.chosen;
      map.choose((from + step + data.groups.length) % data.groups.length);
    } else if (event.target === document.body) map.key(event);
  });
  document.body.classList.add("ready");
}

start();
