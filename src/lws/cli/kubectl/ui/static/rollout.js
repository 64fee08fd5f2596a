// A rollout: from the old revision to the new one, the budget, what it waits for, and the history.
import { buttons } from "./actions.js";
import { h } from "./dom.js";
import { ago, badge, byPrefix, conditions, legend, path, plural, says, section } from "./parts.js";

export function rollout(state, ui) {
  const head = state.get("rollout");
  if (!head) return null;
  return head.kind === "DisaggregatedSet" ? disaggregated(state, head) : single(state, head, ui);
}

function title(head, ...more) {
  return h("div", { class: "head", key: "head" },
    h("p", { class: "crumbs" }, h("a", { href: "/sets" }, "Sets"), ` / ${head.ns} / `,
      head.kind === "LeaderWorkerSet" ? h("a", { href: path("set", head.ns, head.name) }, head.name) : head.name),
    h("h1", {}, "Rollout of ", head.name), more);
}

function single(state, head, ui) {
  const groups = byPrefix(state, "group/").sort((a, b) => a.index - b.index);
  const fresh = groups.filter((group) => group.new).length;
  const revisions = byPrefix(state, "revision/").sort((a, b) => b.number - a.number);
  const rows = [
    ["updated", `${Math.min(head.updated, head.want)} of ${head.want}`, head.updated, head.want],
    ["ready", `${head.ready} of ${head.want}`, head.ready, head.want],
    ["down", `${head.down}, an update may take down ${head.unavailable}`, head.down, Math.max(head.unavailable, head.down, 1)],
    ["surge", `${head.surging} of at most ${head.maxSurge}`, head.surging, Math.max(head.maxSurge, head.surging, 1)],
  ];
  return [
    title(head, h("p", { class: "lede", role: "status" }, head.progress), h("div", { class: "tools" }, buttons(state, head, ui))),
    head.owner ? h("p", { class: "note", key: "owner" }, head.owner) : null,
    section("budget", "Budget", h("dl", { class: "meters" }, rows.map(([name, words, part, whole]) => h("div", { key: name, class: name }, h("dt", {}, name),
      h("dd", {}, h("span", { class: "meter", size: whole ? Math.min(1, part / whole) : 0, "aria-hidden": "true" }), words)))),
      head.paused ? h("p", { class: "note" }, "It is paused: no further group is replaced until it is resumed.")
        : head.userPartition ? h("p", { class: "dim" }, `The set's own partition is ${head.userPartition}: groups below it keep their revision.`) : null),
    section("waits", "What it waits for", says(head.says, fresh === groups.length ? "For nothing: every group has the current revision." : "For nothing.")),
    section("groups", "Groups", legend(), h("ol", { class: "march" }, groups.map((group) => h("li", { key: group.index, class: group.new ? "new" : "old", title: group.why },
      h("a", { href: `${path("set", head.ns, head.name)}#group-${group.index}` }, `${group.index}`), badge(group.state, !group.new && group.revision !== ""),
      h("code", {}, group.revision || "none"), group.held ? h("span", { class: "mark" }, "held") : null, group.surge ? h("span", { class: "mark" }, "surge") : null)))),
    section("history", "History", revisions.length
      ? h("ol", { class: "history" }, revisions.map((one) => revision(one, head, state, ui)))
      : h("p", { class: "dim" }, "No revision is stored.")),
    section("conditions", "Conditions", conditions(head.conditions)),
  ];
}

function revision(one, head, state, ui) {
  return h("li", { key: one.number },
    h("h3", {}, `Revision ${one.number} `, h("code", {}, one.key), one.current ? h("span", { class: "mark now" }, "current") : null, h("span", { class: "dim" }, " ", ago(one.created), " ago")),
    h("p", {}, one.groups.length ? `Groups ${one.groups.join(", ")}` : "No group", ` · size ${one.size} · `, one.images.map((image) => h("code", { class: "image" }, image))),
    one.change ? h("details", {}, h("summary", {}, "What it changed"), h("pre", { class: "diff", tabindex: "0" }, one.change.split("\n").map((line) =>
      h("span", { class: line.startsWith("+") ? "plus" : line.startsWith("-") ? "minus" : line.startsWith("@") ? "at" : "" }, `${line}\n`)))) : null,
    one.current ? null : buttons(state, head, ui, null, one.number));
}

function disaggregated(state, head) {
  const roles = byPrefix(state, "role/");
  const children = byPrefix(state, "child/").sort((a, b) => a.slice - b.slice || b.current - a.current || a.role.localeCompare(b.role));
  const slices = Map.groupBy(roles, (role) => role.slice);
  return [
    title(head, h("p", { class: "lede", role: "status" }, head.rolling ? "It rolls to revision " : "It runs revision ", h("code", {}, head.revision || "none"), `, ${plural(head.slices, "slice")}`)),
    section("waits", "What it waits for", says(head.says, "For nothing: every role is ready and up to date.")),
    section("roles", "Roles", [...slices].sort((a, b) => a[0] - b[0]).map(([slice, members]) => h("div", { key: slice },
      h("h3", {}, `Slice ${slice}`),
      h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Roles of slice ${slice}` }, h("table", {},
        h("thead", {}, h("tr", {}, ["Role", "Old", "New", "Ready", "Wanted", "Surge", "Unavailable", "Keeps"].map((name) => h("th", { scope: "col" }, name)))),
        h("tbody", {}, members.map((role) => h("tr", { key: role.role }, h("th", { scope: "row" }, role.role),
          [role.old, role.new, role.ready, role.want, role.surge, role.unavailable, role.keeps].map((value) => h("td", { class: "number" }, value)))))))))),
    section("children", "LeaderWorkerSets", h("ol", { class: "rows" }, children.map((child) => h("li", { key: child.name, class: "row" },
      h("div", { class: "name" }, h("a", { href: path("set", head.ns, child.name), class: "open" }, h("strong", {}, child.name)), h("span", { class: "dim" }, `slice ${child.slice}, ${child.role}`)),
      h("div", { class: "counts" }, h("strong", {}, `${child.ready}/${child.want}`), " ready"),
      h("div", { class: "why" }, h("code", {}, child.revision), child.current ? h("span", { class: "mark now" }, "current") : h("span", { class: "mark" }, child.going ? "going" : "old")))))),
    section("conditions", "Conditions", conditions(head.conditions)),
  ];
}
