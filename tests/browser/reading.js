// What a person reads in a view of the page, as data. Code elements are what commands print in backticks.
([view, name]) => {
  const all = (selector, of = document) => [...of.querySelectorAll(selector)];
  const text = (selector, of = document) => of.querySelector(selector)?.textContent;
  const says = () => all("section[aria-labelledby=waits] li").map((one) => one.textContent);
  const first = (node) => node.childNodes[0].textContent;
  const pod = (group, row) => [group.id.slice("group-".length), row.querySelector("th").childNodes[1].textContent,
    row.children[1].textContent.replace("–", ""), Boolean(row.querySelector(".dot.r"))].join(" ");
  const chip = (node, one) => {
    const [, index, count] = one.title.match(/group (.*): [0-9]+ of ([0-9]+) pods?/);
    return `${first(node.querySelector("h3"))} ${index} ${count}`;
  };
  const views = {
    sets: () => {
      const row = all(".row").find((one) => text(".name strong", one) === name);
      return row ? { ready: text(".counts strong", row), why: text(".why", row) } : null;
    },
    set: () => ({
      gone: text(".empty"),
      says: says(),
      ready: text(".lede")?.split(",")[0],
      pods: all("[id^=group-]").flatMap((group) => all("tbody tr", group).map((row) => pod(group, row))).sort(),
    }),
    rollout: () => ({
      gone: text(".empty"),
      says: says(),
      progress: text(".lede"),
      revisions: all(".history h3").map((one) => `${first(one).match(/[0-9]+/)[0]} ${text("code", one)}`).sort(),
      groups: all(".march > li").map((one) => `${text("a", one)} ${text("code", one).replace("none", "")}`).sort(),
    }),
    places: () => ({
      leaving: all(".leaving > li > p").map((one) => one.textContent),
      cordoned: all(".node.cordoned h3").map(first).sort(),
      lost: all(".node.lost h3").map(first).sort(),
      groups: all(".node").flatMap((node) => all(".chips a", node).map((one) => chip(node, one))).sort(),
    }),
  };
  return views[view]();
}
