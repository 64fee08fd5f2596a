// What several views share: states in words, cells, strips, ages.
import { h } from "./dom.js";

export const STATES = {
  r: ["ready", "", "Every pod is ready."],
  s: ["starting", "·", "Pods are being made or are not ready yet."],
  t: ["restarting", "↻", "The group is being taken down, to be made anew."],
  q: ["queued", "=", "A queue or a gang holds its pods."],
  b: ["backing off", "…", "Containers fail, and are tried again more and more slowly."],
  d: ["degraded", "–", "Every pod runs, but not all are ready."],
  x: ["stuck", "!", "Waiting alone does not help."],
};
const ORDER = "xdbqtsr";
const MOST = 120; // cells that are drawn one by one

export const stateOf = (letter) => STATES[letter.toLowerCase()] ?? STATES.s;

export function counted(cells) {
  const counts = {};
  for (const letter of cells) counts[letter.toLowerCase()] = (counts[letter.toLowerCase()] ?? 0) + 1;
  return [...ORDER].filter((letter) => counts[letter]).map((letter) => [letter, counts[letter]]);
}

export function inWords(cells) {
  const old = [...cells].filter((letter) => letter !== letter.toLowerCase()).length;
  const parts = counted(cells).map(([letter, count]) => `${count} ${STATES[letter][0]}`);
  return (parts.join(", ") || "no groups") + (old ? `; ${old} of an old revision` : "");
}

/** Groups as cells, one a group; of many, a bar in proportion. */
class Cells extends HTMLElement {
  static observedAttributes = ["cells"];
  attributeChangedCallback() {
    const cells = this.getAttribute("cells") ?? "";
    this.setAttribute("role", "img");
    this.setAttribute("aria-label", inWords(cells));
    this.title = inWords(cells);
    this.classList.toggle("bar", cells.length > MOST);
    const drawn = cells.length > MOST ? bars(cells) : [...cells].map((letter) => cell(letter));
    if (!drawn.length) { this.replaceChildren(Object.assign(document.createElement("i"), { className: "none", textContent: "none" })); return; }
    this.replaceChildren(...drawn);
  }
}

function cell(letter) {
  const node = document.createElement("i");
  node.className = `c ${letter.toLowerCase()}${letter === letter.toLowerCase() ? "" : " old"}`;
  node.textContent = stateOf(letter)[1];
  return node;
}

function bars(cells) {
  return counted(cells).map(([letter, count]) => {
    const node = cell(letter);
    node.style.setProperty("flex-grow", count);
    node.textContent = count / cells.length > 0.04 ? `${count}` : "";
    return node;
  });
}

/** Ready groups of the wanted ones, minute by minute. */
class Strip extends HTMLElement {
  set data({ bins }) {
    const seen = bins.filter(Boolean);
    this.setAttribute("role", "img");
    this.setAttribute("aria-label", seen.length
      ? `Fewest ready groups in ${seen.length} minutes: ${Math.min(...seen.map(([ready]) => ready))}; now ${seen.at(-1)[0]} of ${seen.at(-1)[1]}`
      : "Nothing was seen yet");
    this.replaceChildren(...bins.map((bin, place) => {
      const node = document.createElement("i");
      if (!bin) { node.className = "unseen"; return node; }
      const [ready, want] = bin;
      node.className = ready >= want ? "all" : ready ? "some" : "nothing";
      node.style.setProperty("--part", want ? Math.max(0.06, Math.min(1, ready / want)) : 1);
      node.title = `${bins.length - 1 - place} minutes ago: ${ready} of ${want} ready`;
      return node;
    }));
  }
}

/** How long ago, kept up to date. */
class Age extends HTMLElement {
  static observedAttributes = ["at"];
  connectedCallback() { this.timer = setInterval(() => this.draw(), 10000); this.draw(); }
  disconnectedCallback() { clearInterval(this.timer); }
  attributeChangedCallback() { this.draw(); }
  draw() {
    const at = this.getAttribute("at");
    this.title = at ?? "";
    const words = age((Date.now() - Date.parse(at)) / 1000);
    if (this.textContent !== words) this.textContent = words;
  }
}

export function age(seconds) {
  if (!Number.isFinite(seconds)) return "";
  const steps = [[86400, "d"], [3600, "h"], [60, "min"]];
  for (const [span, unit] of steps) if (seconds >= span * (unit === "min" ? 1 : 2)) return `${Math.floor(seconds / span)} ${unit}`;
  return `${Math.max(0, Math.floor(seconds))} s`;
}

customElements.define("lws-cells", Cells);
customElements.define("lws-strip", Strip);
customElements.define("lws-age", Age);

export const cells = (text) => h("lws-cells", { cells: text });
export const ago = (at) => (at ? h("lws-age", { at }) : null);

export function badge(letter, old = false) {
  return h("span", { class: "badge" }, h("i", { class: `c ${letter}${old ? " old" : ""}`, "aria-hidden": "true" }, STATES[letter][1]), STATES[letter][0]);
}

export function legend() {
  return h("ul", { class: "legend", "aria-label": "What the colours mean" },
    [..."rstqbdx"].map((letter) => h("li", { title: STATES[letter][2] }, badge(letter))),
    h("li", { title: "Not of the current revision" }, h("span", { class: "badge" }, h("i", { class: "c r old", "aria-hidden": "true" }), "old revision")));
}

/** Words that the cluster gave, with commands in backticks set as code. */
export function sentence(text) {
  return text.split(/(`[^`]+`)/).map((part) => (part.startsWith("`") && part.length > 2 ? h("code", {}, part.slice(1, -1)) : part));
}

export function says(list, nothing) {
  if (!list.length) return h("p", { class: "fine" }, nothing);
  return h("ul", { class: "says" }, list.map((text) => h("li", { key: text }, sentence(text))));
}

export const path = (kind, ...parts) => `/${[kind, ...parts.map(encodeURIComponent)].join("/")}`;
export const plural = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;
export const byPrefix = (state, prefix) => [...state].filter(([key]) => key.startsWith(prefix)).map(([, value]) => value);

export function section(id, title, ...body) {
  return h("section", { key: id, "aria-labelledby": id }, h("h2", { id }, title), body);
}

export function conditions(list) {
  return h("dl", { class: "facts" }, list.map((one) => h("div", { key: one.type },
    h("dt", {}, one.type), h("dd", {}, h("strong", {}, one.status), " ", one.reason, one.message ? `: ${one.message}` : "", " ",
      one.since ? h("span", { class: "dim" }, "for ", ago(one.since)) : null))));
}
