// Actions, where `--allow-actions` lets there be any: each shows what it does before it is done.
import { h, render } from "./dom.js";
import { says } from "./parts.js";

const NAMES = { pause: "Pause", resume: "Resume", undo: "Undo", "restart-group": "Restart group", evacuate: "Evacuate", release: "Release" };

/** Buttons that fit a set, one of its groups, or one of its revisions. */
export function buttons(state, head, ui, group = null, revision = 0) {
  if (!state.get("page")?.actions || head.kind !== "LeaderWorkerSet") return null;
  const names = group ? ["restart-group"] : revision ? ["undo"] : [head.paused ? "resume" : "pause"];
  return h("div", { class: "buttons" }, names.map((action) => h("button", { key: action, type: "button",
    onclick: () => ask({ action, namespace: head.ns, name: head.name, ...(group ? { group: group.index } : {}), ...(revision ? { revision } : {}) }) },
    revision ? `Undo to revision ${revision}…` : group ? `Restart group ${group.index}…` : `${NAMES[action]}…`)));
}

/** The button that fits a node: one that is lost can be released, one that is not cordoned evacuated. */
export function nodeButtons(state, node) {
  if (!state.get("page")?.actions || (node.cordoned && !node.lost)) return null;
  const action = node.lost ? "release" : "evacuate";
  return h("div", { class: "buttons" }, h("button", { type: "button", "aria-label": `${NAMES[action]} ${node.name}…`, onclick: () => ask({ action, name: node.name }) },
    `${NAMES[action]}…`));
}

async function post(where, body) {
  const answer = await fetch(where, { method: "POST", credentials: "same-origin", headers: { "Content-Type": "application/json", "X-Lws-Ui": "1" }, body: JSON.stringify(body) });
  return answer.ok ? answer.json() : { refused: (await answer.text()).trim() };
}

async function ask(asked) {
  const dialog = document.createElement("dialog");
  document.body.append(dialog);
  dialog.setAttribute("aria-labelledby", "dialog-title");
  dialog.addEventListener("close", () => dialog.remove());
  let plan = null;
  const draw = (preview, told = "") => render(dialog, [
    h("h2", { id: "dialog-title" }, `${NAMES[asked.action]}: ${asked.name}`),
    preview.refused ? h("p", { class: "note", role: "alert" }, preview.refused) : null,
    told ? h("p", { class: "note", role: "alert" }, told) : null,
    preview.line ? [
      h("h3", {}, "What it does"), h("ul", { class: "says plain" }, preview.effects.map((text) => h("li", {}, text))),
      h("h3", {}, "The same on a command line"), h("pre", { tabindex: "0" }, preview.line),
      h("h3", {}, "What plan says will happen"), plan === null ? h("p", { class: "dim", role: "status" }, "Rehearsing on a copy…")
        : plan.plan ? h("pre", { tabindex: "0", class: "plan" }, plan.plan.join("\n")) : h("p", { class: "dim" }, plan.refused),
      preview.says ? [h("h3", {}, "What the set waits for now"), says(preview.says, "For nothing.")] : null,
    ] : null,
    h("div", { class: "buttons" },
      h("button", { type: "button", onclick: () => dialog.close() }, preview.line ? "Cancel" : "Close"),
      preview.line ? h("button", { type: "button", class: "do", onclick: () => act(preview) }, NAMES[asked.action]) : null),
  ]);
  const act = async (preview) => {
    const answer = await post("/api/act", { ...asked, seen: preview.seen });
    if (answer.done) dialog.close();
    else { plan = { refused: "Look again for a plan." }; draw(await post("/api/preview", asked), answer.refused); }
  };
  draw({});
  dialog.showModal();
  const preview = await post("/api/preview", asked);
  draw(preview);
  if (!preview.line) return;
  plan = await post("/api/plan", asked);
  if (dialog.open) draw(preview);
}
