// The document of one view, kept as the server has it. What is not fresh is marked: `since` says when it was true.

const SILENCE = 16000; // milliseconds without a sign of life that are a loss: the server gives one every five seconds

export class Feed {
  /** `changed` is called, once a frame at most, whenever `state` or `lost` may have changed. */
  constructor(changed) {
    this.state = new Map();
    this.lost = null; // when the connection was lost, or null
    this.loaded = false;
    this.refused = "";
    this.changed = changed;
    this.heard = Date.now();
    setInterval(() => this.check(), 1000);
    document.addEventListener("visibilitychange", () => this.look());
    addEventListener("online", () => this.reopen());
    addEventListener("pageshow", () => this.look());
  }

  open(query) {
    this.query = query;
    this.state = new Map();
    this.loaded = false;
    this.lost = null;
    this.reopen();
  }

  reopen() {
    this.source?.close();
    clearTimeout(this.retry);
    const source = new EventSource(`/api/stream?${this.query}`);
    this.source = source;
    this.heard = Date.now();
    const on = (name, act) => source.addEventListener(name, (event) => {
      if (source !== this.source) return;
      this.heard = Date.now();
      act(event);
    });
    on("reset", (event) => { this.state = new Map(); this.loaded = true; this.found(); this.take(JSON.parse(event.data)); });
    on("patch", (event) => this.take(JSON.parse(event.data)));
    on("beat", () => this.found());
    source.onerror = () => {
      if (source !== this.source) return;
      this.lose();
      if (source.readyState === EventSource.CLOSED) this.retry = setTimeout(() => this.reopen(), 2000);
    };
  }

  /** A tab that nobody sees lets its connection go after a minute: browsers have few for one server. */
  look() {
    clearTimeout(this.hidden);
    if (document.visibilityState === "hidden") {
      this.hidden = setTimeout(() => { this.source?.close(); this.lose(); }, 60000);
    } else if (this.lost || Date.now() - this.heard > SILENCE) {
      this.lose();
      this.reopen();
    }
  }

  check() {
    if (this.lost || document.visibilityState === "hidden" || Date.now() - this.heard <= SILENCE) return;
    this.lose();
    this.reopen();
  }

  lose() {
    this.lost ??= new Date(this.heard);
    this.changed();
  }

  found() {
    if (this.lost) { this.lost = null; this.changed(); }
  }

  take({ new: fresh = {}, changed = {}, gone = [] }) {
    for (const [key, value] of Object.entries(fresh)) this.state.set(key, value);
    for (const [key, members] of Object.entries(changed)) this.state.set(key, { ...this.state.get(key), ...members });
    for (const key of gone) this.state.delete(key);
    this.changed();
  }
}
