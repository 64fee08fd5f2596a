// All sets: a row each, children of a DisaggregatedSet beneath it, troubled ones first.
import { h } from "./dom.js";
import { cells, legend, path, plural, sentence } from "./parts.js";

const rows = new Map(); // key → [row, nested, description]: rows that did not change are not compared

export const SORTS = { trouble: "Trouble first", name: "Name", ready: "Fewest ready", size: "Most groups" };

export function sets(state, ui) {
  const all = [...state].filter(([key]) => key.startsWith("lws/") || key.startsWith("ds/"));
  const words = ui.query.toLowerCase().split(/\s+/).filter(Boolean);
  const listed = ordered(all, ui.sort).filter(([, row]) => words.every((word) => text(row).includes(word)));
  const lws = all.filter(([key]) => key.startsWith("lws/")).map(([, row]) => row);
  const troubled = lws.filter((row) => row.severity > 1).length;
  for (const key of rows.keys()) if (!state.has(key)) rows.delete(key);
  return [
    h("div", { class: "head", key: "head" },
      h("h1", {}, "Sets"),
      h("p", { class: "lede", role: "status" }, words.length
        ? `${listed.length} of ${all.length} shown`
        : `${plural(lws.length, "set")}, ${plural(lws.reduce((sum, row) => sum + row.ready, 0), "group")} ready, ` +
          (troubled ? `${troubled} in trouble` : "none in trouble")),
      h("div", { class: "tools" },
        h("label", {}, h("span", { class: "sr" }, "Filter"),
          h("input", { type: "search", id: "filter", placeholder: "Filter by name, namespace, reason", value: ui.query,
            oninput: (event) => ui.filter(event.target.value), onkeydown: (event) => { if (event.key === "ArrowDown") move(event, 1); } })),
        h("label", {}, h("span", { class: "sr" }, "Sort by"),
          h("select", { onchange: (event) => ui.sorted(event.target.value), value: ui.sort },
            Object.entries(SORTS).map(([name, label]) => h("option", { value: name, selected: name === ui.sort }, label)))))),
    h("div", { key: "legend" }, legend()),
    listed.length
      ? h("ol", { class: "rows", key: "rows", "aria-label": "Sets", onkeydown: keys }, listed.map(([key, row]) => drawn(key, row)))
      : h("p", { class: "empty", key: "empty" }, all.length ? "No set matches the filter." : "There are no sets here yet. ",
          all.length ? null : h("span", {}, "Apply one, such as ", h("code", {}, "kubectl apply -f examples/02-minimal.yaml"), ".")),
  ];
}

function text(row) {
  row.text ??= [row.ns, row.name, row.ds, row.kind, row.why, row.condition.type, row.condition.reason].join(" ").toLowerCase();
  return row.text;
}

/** Rows in order; children come right after their DisaggregatedSet, which is as troubled as the worst of them. */
function ordered(all, sort) {
  const families = new Map();
  for (const [key, row] of all) {
    const family = row.kind === "DisaggregatedSet" ? key : row.ds ? `ds/${row.ns}/${row.ds}` : key;
    families.set(family, [...(families.get(family) ?? []), [key, row]]);
  }
  const weigh = {
    trouble: (row) => [-row.severity, -missing(row)],
    name: () => [],
    ready: (row) => [row.want ? row.ready / row.want : 2],
    size: (row) => [-(row.want ?? 0)],
  }[sort] ?? (() => []);
  const weight = (family) => family.map(([, row]) => weigh(row)).reduce((one, other) => (compare(one, other) <= 0 ? one : other));
  return [...families]
    .map(([key, family]) => ({ key, family: family.sort((a, b) => rank(a[1]) - rank(b[1]) || order(a[0], b[0])), weight: weight(family) }))
    .sort((a, b) => compare(a.weight, b.weight) || order(a.key.slice(a.key.indexOf("/")), b.key.slice(b.key.indexOf("/"))))
    .flatMap((one) => one.family);
}

const rank = (row) => (row.kind === "DisaggregatedSet" ? 0 : 1);
const order = (one, other) => one.localeCompare(other, undefined, { numeric: true });
const missing = (row) => (row.roles ? 0 : row.want - row.ready);
const compare = (one, other) => { for (let i = 0; i < one.length; i += 1) if (one[i] !== other[i]) return one[i] - other[i]; return 0; };

function drawn(key, row) {
  const [before, description] = rows.get(key) ?? [];
  if (before === row) return description;
  const made = row.kind === "DisaggregatedSet" ? family(key, row) : single(key, row);
  rows.set(key, [row, made]);
  return made;
}

function name(href, row) {
  return h("div", { class: "name" },
    h("a", { href, class: "open" }, h("strong", {}, row.name)),
    h("span", { class: "dim" }, row.ns, row.kind === "DisaggregatedSet" ? " · DisaggregatedSet" : ""));
}

function marks(row) {
  return [row.paused ? h("span", { class: "mark" }, "paused") : null, row.deleting ? h("span", { class: "mark" }, "being deleted") : null];
}

function reason(row) {
  const { type, reason: why, message } = row.condition;
  const first = row.why || (type ? message || why : "");
  return h("div", { class: "why" }, type ? h("strong", {}, type, first ? ": " : "") : null, sentence(first), row.more ? h("span", { class: "dim" }, ` and ${row.more} more`) : null, marks(row));
}

function single(key, row) {
  const updating = row.updated < row.want;
  return h("li", { key, class: `row s${row.severity}${row.ds ? " child" : ""}` },
    name(path("set", row.ns, row.name), row),
    h("div", { class: "groups" }, cells(row.cells)),
    h("div", { class: "counts" }, h("strong", {}, `${row.ready}/${row.want}`), " ready",
      h("span", { class: "dim" }, ` · ${row.size} ${row.size === 1 ? "pod" : "pods"} each${updating ? ` · ${row.updated} updated` : ""}${row.surge > 0 ? ` · ${row.surge} surge` : ""}`)),
    reason(row));
}

function family(key, row) {
  return h("li", { key, class: `row ds s${row.severity}` },
    name(path("rollout/ds", row.ns, row.name), row),
    h("div", { class: "roles" }, row.roles.map((role) => h("span", { class: "role" }, h("strong", {}, role.role), ` ${role.ready}/${role.want ?? "?"}`))),
    h("div", { class: "counts dim" }, plural(row.slices, "slice")),
    reason(row));
}

function keys(event) {
  if (event.key === "ArrowDown") move(event, 1);
  if (event.key === "ArrowUp") move(event, -1);
  if (event.key === "Home") move(event, -Infinity);
  if (event.key === "End") move(event, Infinity);
}

/** From one row to another, with the arrow keys. */
function move(event, step) {
  const links = [...document.querySelectorAll(".rows a.open")];
  const now = links.indexOf(document.activeElement);
  const next = Math.max(0, Math.min(links.length - 1, now + step));
  if (!links.length) return;
  event.preventDefault();
  (step === -1 && now === 0 ? document.getElementById("filter") : links[next]).focus();
}
