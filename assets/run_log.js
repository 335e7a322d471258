// What a log does by itself: it follows its end, pauses when somebody scrolls up, and finds words.
// The page's server only adds lines and takes the oldest away; it is told of a pause, so that a
// flood does not carry off what is being read.
(() => {
  "use strict";
  const NEAR_END = 24, SETTLE = 200;
  const watched = new WeakSet();

  class LogBox {
    constructor(box) {
      this.box = box;
      this.panel = box.closest("[data-log-panel]") ?? box.parentElement;
      this.follows = this.told = true;
      this.top = 0;
      this.ranges = [];
      this.at = -1;
      this.query = "";
      box.addEventListener("scroll", () => this.scrolled(), { passive: true });
      new MutationObserver(() => this.changed()).observe(box, { childList: true, subtree: true, characterData: true });
      new ResizeObserver(() => this.toEnd()).observe(box);
      this.panel.addEventListener("click", (event) => {
        if (event.target.closest(".early")) this.hold();
        if (event.target.closest("[data-log-follow]")) this.setFollows(!this.follows);
        const form = event.target.closest("[data-log-form]")?.dataset.logForm;
        if (form) this.choose(form);
      });
      const field = this.panel.querySelector("[data-log-find]");
      field?.addEventListener("input", () => this.find(field.value));
      field?.addEventListener("keydown", (event) => {
        if (event.key === "Enter") this.step(event.shiftKey ? -1 : 1);
        if (event.key === "Escape") this.find((field.value = ""));
      });
      this.show();
      this.toEnd();
    }

    // --- earlier lines come in front of the first one, which stays where it is
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

    // --- the form: another one is shown from its end; a cookie keeps the choice for the next page
    choose(form) {
      document.cookie = `runyard_log=${form}; path=/; max-age=31536000; SameSite=Lax`;
      this.held = null;
      this.setFollows(true);
    }

    // --- following
    toEnd() {
      if (this.follows) this.box.scrollTop = this.box.scrollHeight;
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
      if (this.held) this.keepHeld();
      this.toEnd();
      if (this.query) {
        clearTimeout(this.later);
        this.later = setTimeout(() => this.find(this.query, true), SETTLE);
      }
    }

    // --- finding
    find(query, keepsPlace = false) {
      this.query = query;
      this.ranges = query ? this.rangesOf(query.toLowerCase()) : [];
      // fewer may be found than before, as lines go
      this.at = keepsPlace ? Math.min(this.at, this.ranges.length - 1) : -1;
      if (!keepsPlace && this.ranges.length) this.step(-1);
      else this.paint();
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
    step(by) {
      const count = this.ranges.length;
      if (!count) return this.paint();
      this.at = this.at < 0 ? (by < 0 ? count - 1 : 0) : (this.at + by + count) % count;
      this.follows = false;
      const place = this.ranges[this.at].getBoundingClientRect();
      const frame = this.box.getBoundingClientRect();
      if (place.top < frame.top + 8 || place.bottom > frame.bottom - 8)
        this.box.scrollTop += place.top - frame.top - frame.height / 2;
      this.show();
      this.paint();
    }
    paint() {
      const count = this.panel.querySelector("[data-log-count]");
      if (count) {
        const place = this.at >= 0 ? `${this.at + 1} of ` : "";
        count.textContent = !this.query ? "" : this.ranges.length ? place + this.ranges.length : "not found";
      }
      if (!window.Highlight || !CSS.highlights) return;
      CSS.highlights.set("log-find", new Highlight(...this.ranges));
      CSS.highlights.set("log-found", new Highlight(...(this.at >= 0 ? [this.ranges[this.at]] : [])));
    }
  }

  function adopt() {
    for (const box of document.querySelectorAll("[data-log]")) {
      if (watched.has(box)) continue;
      watched.add(box);
      new LogBox(box);
    }
  }
  // a box appears with its page or with a tab; lines inside a known box need no look at all
  new MutationObserver((changes) => {
    if (changes.some((change) => !change.target.closest?.("[data-log]"))) adopt();
  }).observe(document.documentElement, { childList: true, subtree: true });
  adopt();
})();
