// One set: its groups and pods, why each is not ready, what is in force, what happened.
import { buttons } from "./actions.js";
import { h } from "./dom.js";
import { ago, badge, byPrefix, cells, conditions, inWords, legend, path, plural, says, section, sentence } from "./parts.js";

export function set(state, ui) {
  const head = state.get("set");
  if (!head) return null;
  const groups = byPrefix(state, "group/").sort((a, b) => a.index - b.index);
  const pods = Map.groupBy(byPrefix(state, "pod/"), (pod) => pod.group);
  const events = byPrefix(state, "event/").sort((a, b) => (a.time < b.time ? 1 : -1));
  const failures = byPrefix(state, "failure/");
  const strip = state.get("strip");
  return [
    h("div", { class: "head", key: "head" },
      h("p", { class: "crumbs" }, h("a", { href: "/sets" }, "Sets"), ` / ${head.ns}`, head.ds ? [" / ", h("a", { href: path("rollout/ds", head.ns, head.ds) }, head.ds)] : null),
      h("h1", {}, head.name),
      h("p", { class: "lede" }, `${head.ready} of ${head.want} groups ready, ${plural(head.size, "pod")} each`, head.revision ? [", revision ", h("code", {}, head.revision)] : null,
        head.created ? [", made ", ago(head.created), " ago"] : null),
      h("div", { class: "tools" }, h("a", { class: "button", href: path("rollout/lws", head.ns, head.name) }, "Rollout"), buttons(state, head, ui))),
    head.owner ? h("p", { class: "note", key: "owner" }, head.owner) : null,
    section("waits", "What it waits for", says(head.says, "It waits for nothing: every group is ready and up to date.")),
    section("groups", "Groups",
      h("div", { class: "overview" }, cells(head.cells), h("span", { class: "dim" }, inWords(head.cells))),
      legend(),
      ["cards", "cards well"].map((kind, well) => h("div", { class: kind, key: kind }, groups.filter((group) => (group.state === "r") === Boolean(well))
        .map((group) => card(group, pods.get(group.index) ?? [], state, head, ui)))),
      (pods.get(null) ?? []).length ? [h("h3", {}, "Pods of no group"), table(pods.get(null), "Pods of no group")] : null),
    strip ? section("hour", "The last hour", hour(strip)) : null,
    section("policies", "What is in force",
      h("dl", { class: "facts" }, head.policies.map(([name, value, meaning]) => h("div", { key: name }, h("dt", {}, name), h("dd", {}, h("strong", {}, value), " ", h("span", { class: "dim" }, meaning)))),
        h("div", { key: "images" }, h("dt", {}, "images"), h("dd", {}, head.images.map((image) => h("code", { class: "image" }, image)))))),
    section("conditions", "Conditions", conditions(head.conditions)),
    failures.length ? section("failures", "Failure record", h("ul", { class: "log" }, failures.map(failure))) : null,
    section("warnings", "Warnings", events.length
      ? h("ul", { class: "log" }, events.map((event) => h("li", {}, h("strong", {}, event.reason), " ", h("span", { class: "dim" }, event.about, " · ", ago(event.time), " ago"), h("p", {}, event.message))))
      : h("p", { class: "dim" }, "The cluster has no warning about this set.")),
  ];
}

function card(group, pods, state, head, ui) {
  const open = group.state !== "r" || ui.opened.has(group.index);
  return h("details", { key: `group-${group.index}`, class: `card ${group.state}`, id: `group-${group.index}`, open,
    ontoggle: (event) => ui.toggled(group.index, event.target.open) },
    h("summary", {}, h("span", { class: "title" }, `Group ${group.index}`), badge(group.state, group.old),
      h("span", { class: "dim" }, `${group.ready}/${group.size} pods`),
      group.surge ? h("span", { class: "mark" }, "surge") : null,
      group.restarts ? h("span", { class: "mark" }, plural(group.restarts, "failure")) : null,
      h("code", { class: group.old ? "rev old" : "rev" }, group.revision || "no leader", group.old ? " (old)" : "")),
    group.retry ? h("p", { class: "note" }, "It is made anew at ", h("time", { datetime: group.retry }, new Date(group.retry).toLocaleTimeString()), ".") : null,
    group.why.length ? says(group.why, "") : null,
    table(pods, `Pods of group ${group.index}`),
    group.missing.length ? h("p", { class: "dim" }, "Missing: ", group.missing.join(", ")) : null,
    buttons(state, head, ui, group));
}

function table(pods, label) {
  if (!pods.length) return null;
  const sorted = [...pods].sort((a, b) => Number(a.worker) - Number(b.worker));
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, h("table", {},
    h("thead", {}, h("tr", {}, ["Pod", "Node", "Phase", "Restarts", "Age"].map((title) => h("th", { scope: "col" }, title)))),
    h("tbody", {}, sorted.map((pod) => h("tr", { key: pod.name, class: pod.ready ? "" : "bad" },
      h("th", { scope: "row" }, h("i", { class: `dot ${pod.ready ? "r" : "x"}`, "aria-hidden": "true" }), pod.name, pod.worker === "0" ? h("span", { class: "mark" }, "leader") : null,
        pod.why ? h("p", { class: "podwhy" }, sentence(pod.why)) : null),
      h("td", {}, pod.node || "–"),
      h("td", {}, pod.phase, pod.ready ? "" : pod.phase === "Running" ? ", not ready" : ""),
      h("td", { class: "number" }, pod.restarts || ""),
      h("td", {}, ago(pod.created)))))));
}

function hour(strip) {
  return [
    h("lws-strip", { data: strip }),
    h("p", { class: "dim axis" }, h("span", {}, "60 min ago"), h("span", {}, "now")),
    h("p", { class: "dim" }, "The fewest ready groups of each minute, as this page's server saw them since ", h("time", { datetime: strip.since }, new Date(strip.since).toLocaleTimeString()), "; nothing is known of before."),
  ];
}

function failure(record) {
  const { time, reason, message, group, pod, node, container, exitCode, signal, restarts, ranSeconds, alsoFailed, healed } = record;
  const facts = [pod && `pod ${pod}`, container && `container ${container}`, node && `node ${node}`, exitCode && `exit code ${exitCode}`, signal && `signal ${signal}`,
    ranSeconds && `ran ${ranSeconds} s`, restarts && `failure ${restarts} in a row`, alsoFailed && `${alsoFailed} more pods failed with it`, healed && "healed by itself"].filter(Boolean);
  return h("li", {}, h("strong", {}, `Group ${group}: ${reason ?? "failed"}`), " ",
    h("span", { class: "dim" }, facts.join(" · "), time ? [" · ", ago(time), " ago"] : null), message ? h("p", {}, message) : null);
}
