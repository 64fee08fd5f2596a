// A small virtual DOM: views return plain descriptions, and only what differs is touched, so focus, selection and
// scrolling stay. Text is always text: nothing here takes HTML.

export function h(tag, props, ...children) {
  return { tag, props: props ?? {}, children: children.flat(Infinity).filter((each) => each != null && each !== false) };
}

/** Make the children of `parent` those of `children`; a description that is the same object is left alone. */
export function render(parent, children) {
  const before = parent.lwsChildren ?? [];
  const after = [children].flat(Infinity).filter((each) => each != null && each !== false);
  const keyed = new Map();
  before.forEach((old) => { if (old.key != null) keyed.set(old.key, old); });
  const loose = before.filter((old) => old.key == null);
  const used = new Set();
  const now = after.map((description) => {
    const key = description.props?.key ?? null;
    const old = key != null ? keyed.get(key) : loose.find((each) => !used.has(each) && alike(each.description, description));
    if (old && alike(old.description, description)) {
      used.add(old);
      if (old.description !== description) update(old.node, old.description, description);
      return { key, node: old.node, description };
    }
    return { key, node: create(description), description };
  });
  const kept = new Set(now.map((each) => each.node));
  before.forEach((old) => { if (!kept.has(old.node)) old.node.remove(); });
  let place = parent.firstChild;
  for (const { node } of now) {
    if (node === place) place = place.nextSibling;
    else parent.insertBefore(node, place);
  }
  parent.lwsChildren = now;
}

function alike(one, other) {
  return (typeof one === "object") === (typeof other === "object") && one.tag === other.tag;
}

function create(description) {
  if (typeof description !== "object") return document.createTextNode(String(description));
  const node = SVG.has(description.tag)
    ? document.createElementNS("http://www.w3.org/2000/svg", description.tag)
    : document.createElement(description.tag);
  update(node, { props: {}, children: [] }, description);
  return node;
}

const SVG = new Set(["svg", "rect", "line", "text", "title", "path", "g"]);
const PROPERTIES = new Set(["value", "checked", "open", "disabled", "selected", "data"]);

function update(node, old, now) {
  if (typeof now !== "object") {
    if (old !== now) node.data = String(now);
    return;
  }
  for (const name of Object.keys(old.props)) if (!(name in now.props)) set(node, name, null);
  for (const [name, value] of Object.entries(now.props)) if (old.props[name] !== value || name === "value") set(node, name, value);
  if (now.tag !== "lws-cells" && now.tag !== "lws-strip" && now.tag !== "lws-age") render(node, now.children);
}

function set(node, name, value) {
  if (name === "key") return;
  if (name.startsWith("on")) node[name] = value;
  else if (name === "size") node.style.setProperty("--size", value);
  else if (PROPERTIES.has(name)) { if (node[name] !== value) node[name] = value ?? ""; }
  else if (value == null || value === false) node.removeAttribute(name);
  else node.setAttribute(name, value === true ? "" : String(value));
}
