// The log box: follows the end, pauses when the reader scrolls up, and highlights search hits. The
// server adds lines and deletes the oldest; a `hold` event reports a pause, so that a flood of
// output does not remove the lines being read.
(() => {
  "use strict";
  const NEAR_END = 24, SETTLE = 200, TYPED = 300;
  const watched = new WeakSet();

  const dayOf = (time) => new Date(time.dateTime).toLocaleDateString("en-GB", { day: "numeric", month: "short", timeZone: document.documentElement.dataset.zone });

  class LogBox {
    constructor(box) {
      this.box = box;
      this.panel = box.closest("[data-log-panel]") ?? box.parentElement;
      this.follows = this.told = true;
      this.top = 0;
      this.ranges = [];
      this.query = this.asked = "";
      box.addEventListener("scroll", () => this.scrolled(), { passive: true });
      new MutationObserver(() => this.changed()).observe(box, { childList: true, subtree: true, characterData: true });
      new MutationObserver(() => this.goTo(box.dataset.hit)).observe(box, { attributeFilter: ["data-hit"] });
      new ResizeObserver(() => this.toEnd()).observe(box);
      this.panel.addEventListener("click", (event) => {
        if (event.target.closest(".early")) this.hold();
        if (event.target.closest("[data-log-follow]")) this.setFollows(!this.follows);
        const step = event.target.closest("[data-log-step]")?.dataset.logStep;
        if (step) this.ask(Number(step));
        const form = event.target.closest("[data-log-form]")?.dataset.logForm;
        if (form) this.choose(form);
      });
      const field = this.panel.querySelector("[data-log-find]");
      field?.addEventListener("input", () => this.find(field.value));
      field?.addEventListener("keydown", (event) => {
        if (event.key === "Enter") this.ask(event.shiftKey ? -1 : 1);
        if (event.key === "Escape") this.find((field.value = ""));
      });
      this.markDays();
      this.show();
      this.toEnd();
    }

    // --- earlier lines are inserted above the first one, which keeps its place on screen
    hold() {
      const line = this.box.querySelector(".ln");
      this.held = line && { line, top: line.getBoundingClientRect().top };
      this.follows = false;
      this.show();
    }
    keepHeld() {
      const { line, top } = this.held;
      if (line.isConnected) this.box.scrollTop += line.getBoundingClientRect().top - top;
      if (line.isConnected && line !== this.box.querySelector(".ln")) this.held = null;
    }

    // --- log form: a new form is shown from its end; a cookie keeps the choice
    choose(form) {
      document.cookie = `runyard_log=${form}; path=/; max-age=31536000; SameSite=Lax`;
      this.held = this.hit = this.pending = null;
      this.setFollows(true);
    }

    // --- following
    toEnd() {
      if (!this.follows) return;
      this.box.scrollTop = this.box.scrollHeight;
      // the scroll event comes a frame later, and may by then be about the reader's move as well
      this.top = this.box.scrollTop;
    }
    scrolled() {
      const { scrollTop, scrollHeight, clientHeight } = this.box;
      const isAtEnd = scrollHeight - scrollTop - clientHeight < NEAR_END;
      if (isAtEnd) this.follows = true;
      else if (scrollTop < this.top) this.follows = false;
      this.top = scrollTop;
      this.show();
    }
    setFollows(follows) {
      this.follows = follows;
      this.show();
      this.toEnd();
    }
    show() {
      if (this.told !== this.follows) {
        this.told = this.follows;
        this.box.dispatchEvent(new CustomEvent("hold", { detail: !this.follows }));
      }
      const button = this.panel.querySelector("[data-log-follow]");
      if (!button) return;
      const word = this.follows ? "Following" : "Paused";
      button.setAttribute("aria-pressed", String(this.follows));
      button.title = this.follows ? "Pause: new lines no longer move the log" : "Follow the log's end";
      const label = button.querySelector("[data-word]") ?? button;
      if (label.textContent !== word) label.textContent = word;
    }
    changed() {
      this.markDays();
      if (this.held) this.keepHeld();
      this.toEnd();
      if (this.pending) this.goTo(this.pending);
      if (this.query) {
        clearTimeout(this.later);
        this.later = setTimeout(() => this.paint(), SETTLE);
      }
    }

    // --- the date stands before the first entry of another day than the one before it
    markDays() {
      const times = [...this.box.querySelectorAll(".timed>time")];
      for (const entry of this.box.querySelectorAll(".timed[data-day]")) delete entry.dataset.day;
      if (!times.length || dayOf(times[0]) === dayOf(times.at(-1))) return;
      times.slice(1).forEach((time, index) => {
        if (dayOf(time) !== dayOf(times[index])) time.parentElement.dataset.day = dayOf(time);
      });
    }

    // --- search: the server searches the whole log; hits on screen are highlighted here
    find(query) {
      this.query = query;
      this.hit = this.pending = null;
      clearTimeout(this.typing);
      this.typing = setTimeout(() => this.ask(0), query ? TYPED : 0);
      this.paint();
    }
    ask(step) {
      clearTimeout(this.typing);
      if (this.query === this.asked && !(step && this.query)) return;
      this.asked = this.query;
      this.setFollows(!this.query);
      this.box.dispatchEvent(new CustomEvent("find", { detail: { words: this.query, step } }));
    }
    // place: "c12 7 3" is element id, line index, and a counter that makes each jump a change
    goTo(place) {
      const [id, index] = (place ?? "").split(" ");
      const lines = document.getElementById(id)?.querySelectorAll(".ln");
      let line = lines?.[index];
      this.pending = line || !place ? null : place;
      if (!line) return;
      // an entry has several lines: find the one with the words
      for (let more = Number(index); more < Math.min(lines.length, Number(index) + 200); more++)
        if (lines[more].textContent.toLowerCase().includes(this.query.toLowerCase())) {
          line = lines[more];
          break;
        }
      this.follows = false;
      this.hit = line;
      const spot = line.getBoundingClientRect(), frame = this.box.getBoundingClientRect();
      if (spot.top < frame.top + 8 || spot.bottom > frame.bottom - 8)
        this.box.scrollTop += spot.top - frame.top - frame.height / 2;
      this.top = this.box.scrollTop;
      this.show();
      this.paint();
    }
    rangesOf(query) {
      const ranges = [];
      for (const line of this.box.querySelectorAll(".ln")) {
        const words = line.textContent.toLowerCase();
        for (let at = words.indexOf(query); at >= 0; at = words.indexOf(query, at + query.length)) {
          const range = this.rangeIn(line, at, at + query.length);
          if (range) ranges.push(range);
          if (ranges.length >= 2000) return ranges;
        }
      }
      return ranges;
    }
    rangeIn(line, start, end) {
      const walker = document.createTreeWalker(line, NodeFilter.SHOW_TEXT);
      const range = new Range();
      let passed = 0, isOpen = false;
      for (let node = walker.nextNode(); node; node = walker.nextNode()) {
        const length = node.data.length;
        if (!isOpen && start < passed + length) {
          range.setStart(node, start - passed);
          isOpen = true;
        }
        if (isOpen && end <= passed + length) {
          range.setEnd(node, end - passed);
          return range;
        }
        passed += length;
      }
      return null;
    }
    paint() {
      this.ranges = this.query ? this.rangesOf(this.query.toLowerCase()) : [];
      for (const line of this.box.querySelectorAll(".ln.hit")) if (line !== this.hit || !this.query) line.classList.remove("hit");
      if (this.query && this.hit?.isConnected) this.hit.classList.add("hit");
      if (!window.Highlight || !CSS.highlights) return;
      const here = this.query && this.hit ? this.ranges.filter((one) => this.hit.contains(one.startContainer)) : [];
      CSS.highlights.set("log-find", new Highlight(...this.ranges));
      CSS.highlights.set("log-found", new Highlight(...here));
    }
  }

  function adopt() {
    for (const box of document.querySelectorAll("[data-log]")) {
      if (watched.has(box)) continue;
      watched.add(box);
      new LogBox(box);
    }
  }
  // a box appears with its page or tab; changes inside a known box are ignored
  new MutationObserver((changes) => {
    if (changes.some((change) => !change.target.closest?.("[data-log]"))) adopt();
  }).observe(document.documentElement, { childList: true, subtree: true });
  adopt();
})();
