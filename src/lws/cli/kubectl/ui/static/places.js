// Where groups sit: the domains of a node label as boxes of nodes.
import { nodeButtons } from "./actions.js";
import { h } from "./dom.js";
import { byPrefix, path, plural, section } from "./parts.js";

const COLOURS = 8;

export function places(state, ui) {
  const meta = state.get("meta");
  if (!meta) return null;
  const nodes = Map.groupBy(byPrefix(state, "node/"), (node) => node.domain);
  const domains = byPrefix(state, "domain/").sort((a, b) => (a.name === "") - (b.name === "") || a.name.localeCompare(b.name, undefined, { numeric: true }));
  const sets = [...new Set(domains.flatMap((domain) => domain.groups.map(([ns, name]) => `${ns}/${name}`)))].sort();
  const colour = (ns, name) => sets.indexOf(`${ns}/${name}`) % COLOURS;
  const fits = byPrefix(state, "fit/");
  const emptied = [...nodes.values()].flat().filter((node) => node.emptied).sort(byName);
  return [
    h("div", { class: "head", key: "head" },
      h("h1", {}, "Places"),
      h("p", { class: "lede" }, `${plural(meta.nodes, "node")} in ${plural(domains.filter((domain) => domain.name).length, "domain")}`),
      meta.keys.length ? h("div", { class: "tools" },
        h("label", {}, h("span", { class: "dim" }, "Domains by "),
          h("select", { onchange: (event) => ui.keyed(event.target.value), value: meta.key },
            meta.keys.map((one) => h("option", { value: one.key, selected: one.key === meta.key }, `${one.key}${one.exclusive ? " (exclusive)" : ""}`))))) : null),
    sets.length ? h("ul", { class: "legend", key: "legend", "aria-label": "Sets" }, sets.map((set) => {
      const [ns, name] = set.split("/");
      return h("li", { key: set }, h("a", { href: path("set", ns, name), class: `chip k${colour(ns, name)}` }, set));
    })) : null,
    meta.nodes ? null : h("p", { class: "empty", key: "none" }, "No node can be seen."),
    emptied.length ? section("emptying", "Nodes to be emptied", leaving(emptied, byPrefix(state, "leaving/"), colour)) : null,
    h("div", { class: "domains", key: "domains" }, domains.map((domain) => box(domain, nodes.get(domain.name) ?? [], colour, state))),
    fits.length ? section("fits", "Where another exclusive group could go",
      h("p", { class: "dim" }, "By what nodes and sets say; what other pods take is not known here, and the scheduler has the last word."),
      fits.map((fit) => fitted(fit))) : null,
  ];
}

const byName = (a, b) => a.name.localeCompare(b.name, undefined, { numeric: true });

/** Which groups leave which node, in the order in which they go, and what that waits for. */
function leaving(emptied, sets, colour) {
  return [
    h("p", { class: "dim" }, emptied.map((node) => `${node.name} (${node.emptied})`).join(", ")),
    sets.length
      ? h("ul", { class: "says plain leaving" }, sets.map((one) => h("li", { key: one.text }, h("p", {}, one.text),
          h("ol", { class: "chips" }, one.groups.map(([group, names]) => h("li", { key: group },
            h("a", { href: path("set", one.ns, one.name), class: `chip k${colour(one.ns, one.name)}` }, `${one.name} ${group}`), h("span", { class: "dim" }, ` ${one.moved ? "leaves" : "stays on"} ${names.join(", ")}`)))))))
      : h("p", { class: "fine" }, "No group of a LeaderWorkerSet is there."),
  ];
}

function box(domain, nodes, colour, state) {
  return h("section", { key: `domain-${domain.name}`, class: "domain", "aria-label": domain.name || "without the label" },
    h("h2", {}, domain.name || "without the label", h("span", { class: "dim" }, ` ${plural(domain.nodes, "node")}`)),
    h("div", { class: "nodes" }, nodes.sort(byName).map((node) => tile(node, colour, state))));
}

function tile(node, colour, state) {
  const marks = [node.lost ? "not ready" : "", node.cordoned ? "cordoned" : "", node.full ? "full" : "", ...node.suspect].filter(Boolean);
  return h("div", { key: node.name, class: `node${node.lost ? " lost" : ""}${node.cordoned ? " cordoned" : ""}${node.suspect.length ? " suspect" : ""}` },
    h("h3", { title: node.lost }, node.name, marks.map((mark) => h("span", { class: "mark", key: mark }, mark))),
    node.accelerators.map(([name, used, total]) => h("p", { class: "accel", key: name },
      h("span", { class: "meter", size: Math.min(1, used / total), "aria-hidden": "true" }), `${used}/${total} ${name.split("/")[1]}`)),
    node.groups.length
      ? h("ul", { class: "chips" }, node.groups.map(([ns, name, index, count, ready]) => h("li", { key: `${ns}/${name}/${index}` },
          h("a", { href: `${path("set", ns, name)}#group-${index}`, class: `chip k${colour(ns, name)}`,
            title: `${ns}/${name}, group ${index}: ${ready} of ${plural(count, "pod")} ready` }, `${name} ${index}`, count > 1 ? ` ×${count}` : "", ready < count ? h("span", { class: "short" }, ` ${ready} ready`) : null))))
      : h("p", { class: "dim free" }, "no group"),
    nodeButtons(state, node));
}

function fitted(fit) {
  const free = fit.domains.filter((one) => one.state === "free");
  return h("div", { key: `${fit.ns}/${fit.name}`, class: "fit" },
    h("h3", {}, h("a", { href: path("set", fit.ns, fit.name) }, `${fit.ns}/${fit.name}`), h("span", { class: "dim" }, free.length ? ` fits in ${plural(free.length, "domain")}` : " fits nowhere now")),
    h("ul", { class: "verdicts" }, fit.domains.map((one) => h("li", { key: one.domain, class: one.state },
      h("strong", {}, one.domain || "without the label"), h("span", {}, `${one.state === "free" ? "free" : one.state === "held" ? "taken" : "unfit"}: ${one.why}`)))));
}
