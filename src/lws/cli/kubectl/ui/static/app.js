// The shell: which view an address names, the connection, and what is wrong. A view is a function of the state it is sent.
import { h, render } from "./dom.js";
import { places } from "./places.js";
import { rollout } from "./rollout.js";
import { set } from "./set.js";
import { sets } from "./sets.js";
import { Feed } from "./stream.js";

const VIEWS = { sets, set, places, rollout };
const TITLES = { sets: "Sets", places: "Places" };

class App extends HTMLElement {
  connectedCallback() {
    this.feed = new Feed(() => this.schedule());
    this.ui = {
      query: "", sort: "trouble", opened: new Set(),
      filter: (text) => { this.ui.query = text; this.remember({ q: text }); this.schedule(); },
      sorted: (name) => { this.ui.sort = name; this.remember({ sort: name }); this.schedule(); },
      keyed: (key) => this.go(`/places?key=${encodeURIComponent(key)}`),
      toggled: (index, open) => { this.ui.opened[open ? "add" : "delete"](index); },
    };
    this.addEventListener("click", (event) => this.clicked(event));
    addEventListener("popstate", () => this.route());
    addEventListener("keydown", (event) => this.pressed(event));
    const here = new URL(location.href);
    if (here.searchParams.has("token")) { // the cookie has it now; keep it out of history and of screenshots
      here.searchParams.delete("token");
      if (here.pathname === "/") here.pathname = "/sets";
      history.replaceState(null, "", here);
    }
    this.route();
  }

  route() {
    const { pathname, searchParams } = new URL(location.href);
    const [kind, ...rest] = pathname.split("/").filter(Boolean).map(decodeURIComponent);
    this.view = kind in VIEWS ? kind : "sets";
    this.ui.query = searchParams.get("q") ?? "";
    this.ui.sort = searchParams.get("sort") ?? "trouble";
    this.ui.opened = new Set();
    const query = new URLSearchParams({ view: this.view });
    if (this.view === "places") query.set("name", searchParams.get("key") ?? "");
    if (this.view === "set") { query.set("namespace", rest[0] ?? ""); query.set("name", rest[1] ?? ""); }
    if (this.view === "rollout") { query.set("view", rest[0] === "ds" ? "ds-rollout" : "rollout"); query.set("namespace", rest[1] ?? ""); query.set("name", rest[2] ?? ""); }
    document.title = `${TITLES[this.view] ?? rest.at(-1)} · LeaderWorkerSets`;
    this.anchor = location.hash.slice(1);
    this.feed.open(query);
    this.schedule();
  }

  go(address) {
    history.pushState(null, "", address);
    this.route();
    scrollTo(0, 0);
    this.querySelector("main")?.focus({ preventScroll: true });
  }

  remember(changed) {
    const here = new URL(location.href);
    for (const [name, value] of Object.entries(changed)) if (value) here.searchParams.set(name, value); else here.searchParams.delete(name);
    history.replaceState(null, "", here);
  }

  clicked(event) {
    const link = event.target.closest("a[href]");
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey || link.origin !== location.origin) return;
    if (link.getAttribute("href").startsWith("#")) return;
    event.preventDefault();
    this.go(link.href);
  }

  pressed(event) {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, dialog")) return;
    const filter = document.getElementById("filter");
    if (filter) { event.preventDefault(); filter.focus(); }
  }

  schedule() {
    if (this.scheduled) return;
    this.scheduled = true;
    requestAnimationFrame(() => { this.scheduled = false; this.draw(); });
  }

  draw() {
    const { state, lost, loaded } = this.feed;
    const page = state.get("page") ?? this.page;
    this.page = page;
    const told = state.get("gone") ?? state.get("failed");
    const body = told ? h("p", { class: "empty", key: "told" }, told.text) : loaded && page?.synced ? VIEWS[this.view](state, this.ui) : null;
    render(this, [
      h("a", { class: "skip", href: "#main" }, "Skip to the content"),
      h("header", {},
        h("a", { href: "/sets", class: "brand" }, h("img", { src: "/static/icon.svg", alt: "", width: 24, height: 24 }), "LeaderWorkerSets"),
        h("nav", { "aria-label": "Views" }, ["sets", "places"].map((view) => h("a", { href: `/${view}`, "aria-current": this.view === view ? "page" : null }, TITLES[view]))),
        h("p", { class: `live ${lost ? "off" : "on"}` }, h("i", { "aria-hidden": "true" }), lost ? "not live" : page ? "live" : "connecting",
          page ? h("span", { class: "dim" }, `· ${page.server} · ${page.namespace ? `namespace ${page.namespace}` : "all namespaces"}`) : null)),
      h("div", { class: "banners", role: "status", "aria-live": "polite" }, this.banners(page, lost)),
      h("main", { id: "main", tabindex: "-1", class: lost || page?.troubles.length ? "stale" : "" },
        body ?? h("p", { class: "empty", key: "loading" }, lost ? "Nothing can be shown." : page ? "Reading the cluster…" : "Connecting…")),
    ]);
    if (this.anchor && body) {
      const target = document.getElementById(this.anchor);
      if (target) { if ("open" in target) target.open = true; target.scrollIntoView({ block: "center" }); this.anchor = ""; }
    }
  }

  banners(page, lost) {
    return [
      lost ? h("p", { class: "banner bad", key: "lost" }, h("strong", {}, "Not live. "),
        `The connection to kubectl lws ui was lost; what is shown was true at ${lost.toLocaleTimeString()}. Trying again.`) : null,
      (page?.troubles ?? []).map((text) => h("p", { class: "banner bad", key: text }, h("strong", {}, "Not up to date. "), text)),
      (page?.missing ?? []).map((text) => h("p", { class: "banner", key: text }, h("strong", {}, "Done without. "), text)),
    ];
  }
}

customElements.define("lws-app", App);
document.body.replaceChildren(document.createElement("lws-app"));
