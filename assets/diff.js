// The Files tab of a change. Reports which chunks of lines are near the window, so that the server
// fills them; folds files; moves by key between files, changes and lines; remembers the view.
(() => {
  "use strict";
  // a screen and a half on either side
  const MARGIN = "1200px 0px", SETTLE = 50;
  // assets/keys.js keeps it
  const isOff = () => localStorage.getItem("runyard_keys_off") === "1";
  const isTyping = ({ target }) => target.closest?.("input:not([type=checkbox]),textarea,select,[contenteditable=true]");
  const scrollerOf = (el) => {
    for (let up = el.parentElement; up && up !== document.body; up = up.parentElement)
      if (/auto|scroll/.test(getComputedStyle(up).overflowY)) return up;
    return null;
  };

  class Diff {
    constructor(root) {
      this.root = root;
      this.near = new Set();
      this.scroller = scrollerOf(root.querySelector(".files"));
      this.seer = new IntersectionObserver((seen) => this.seen(seen), { root: this.scroller, rootMargin: MARGIN });
      new MutationObserver((changes) => {
        for (const { addedNodes } of changes) for (const node of addedNodes) if (node.nodeType === 1) this.watch(node);
      }).observe(root.querySelector(".files"), { childList: true, subtree: true });
      this.watch(root);
      root.addEventListener("click", (event) => {
        this.selected(event);
        this.clicked(event);
      });
      new MutationObserver((changes) => {
        for (const { target } of changes) this.sync(target);
      }).observe(root, { subtree: true, attributeFilter: ["data-seen", "data-refused"] });
      root.addEventListener("keydown", (event) => this.moved(event));
      (this.scroller ?? window).addEventListener("scroll", () => this.scrolled(), { passive: true });
      this.scrolled();
    }
    tell(name, detail) {
      this.root.dispatchEvent(new CustomEvent(name, { detail }));
    }

    // --- chunks near the window, those in its middle first
    watch(node) {
      if (node.classList.contains("chunk")) this.seer.observe(node);
      else if (!node.classList.contains("dl")) for (const chunk of node.querySelectorAll(".chunk")) this.seer.observe(chunk);
    }
    seen(entries) {
      for (const { target, isIntersecting } of entries) {
        if (isIntersecting) this.near.add(target);
        else this.near.delete(target);
      }
      this.later ??= setTimeout(() => this.report(), SETTLE);
    }
    report() {
      this.later = null;
      const middle = innerHeight / 2, found = [];
      for (const chunk of this.near) {
        if (!chunk.isConnected) this.near.delete(chunk);
        else {
          const { top, bottom } = chunk.getBoundingClientRect();
          found.push([top > middle ? top - middle : Math.max(0, middle - bottom), Number(chunk.id.slice(1))]);
        }
      }
      found.sort(([a], [b]) => a - b);
      if (found.length) this.tell("near", { ids: found.map(([, id]) => id) });
    }

    // --- pressing
    clicked(event) {
      const { target } = event, file = target.closest("[data-file]"), number = Number(file?.dataset.file);
      const box = target.closest("[data-viewed]");
      if (box) return this.marked(box);
      const plus = target.closest(".plus"), line = plus ? this.lineAt(event, plus) : null;
      if (line) this.tell("write", { file: Number(line.closest("[data-file]").dataset.file), line: Number(line.dataset.line), side: line.dataset.side });
      else if (target.closest("[data-file-add]")) {
        this.fold(file, false);
        this.tell("write", { file: number });
      } else if (target.closest("[data-fold]")) this.fold(file);
      const to = target.closest("[data-to-file]");
      if (to) {
        const section = document.getElementById(`file-${to.dataset.toFile}`);
        this.fold(section, false);
        requestAnimationFrame(() => this.show(section));
      }
      const view = target.closest("[data-view]")?.dataset.view;
      if (view) document.cookie = `runyard_diff=${view}; path=/; max-age=31536000; SameSite=Lax`;
    }
    // on touch, the targets of neighbors overlap: the line under the finger is meant
    lineAt({ clientX, clientY, detail }, plus) {
      const own = plus.closest(".dl");
      if (!detail) return own;
      const under = document.elementsFromPoint(clientX, clientY).find((one) => one.matches(".dl[data-line]"));
      return under?.querySelector(".plus") ? under : own;
    }
    // a click beside the words selects a line, for `c`
    selected({ target }) {
      const plus = target.closest(".dl[data-line]")?.querySelector(".plus");
      if (plus && getSelection().isCollapsed && !target.closest("button,a")) plus.focus({ preventScroll: true });
    }
    // a mark shows at once; the server tells by data-seen what is so
    marked(box) {
      const viewed = box.getAttribute("aria-checked") !== "true", number = box.dataset.viewed;
      for (const one of this.root.querySelectorAll(`[data-viewed="${number}"]`)) one.setAttribute("aria-checked", String(viewed));
      this.fold(document.getElementById(`file-${number}`), viewed);
      this.tell("mark", { file: Number(number), viewed });
    }
    sync(el) {
      for (const box of el.querySelectorAll("[data-viewed]"))
        box.setAttribute("aria-checked", box.closest("[data-seen]").dataset.seen);
    }
    fold(section, folded) {
      if (!section) return;
      section.toggleAttribute("data-folded", folded);
      section.querySelector("[data-fold]").setAttribute("aria-expanded", String(!section.hasAttribute("data-folded")));
    }
    show(el, block = "start") {
      el?.scrollIntoView({ block });
    }

    // --- moving by key
    get files() {
      return [...this.root.querySelectorAll(".diff-file")];
    }
    get top() {
      return (this.scroller?.getBoundingClientRect().top ?? 0) + 60;
    }
    current() {
      return this.files.findLast((file) => file.getBoundingClientRect().top <= this.top) ?? this.files[0];
    }
    pressed(key) {
      if (key === "t") return this.root.querySelector("[data-testid=file-filter]")?.focus() ?? true;
      if (key === "v") {
        const file = this.current(), box = file?.querySelector("[data-viewed]");
        box?.click();
        if (box?.getAttribute("aria-checked") === "true") this.toFile(1, file);
        return true;
      }
      const plus = key === "c" && document.activeElement?.closest?.(".plus");
      if (plus) return plus.click(), true;
      if (key === "]" || key === "[") return this.toFile(key === "]" ? 1 : -1);
      if (key === "j" || key === "k") return this.toChange(key === "j" ? 1 : -1);
      return false;
    }
    toFile(step, from = this.current()) {
      const file = this.files[this.files.indexOf(from) + step];
      this.show(file);
      file?.querySelector("[data-fold]")?.focus({ preventScroll: true });
      return true;
    }
    // a change is a run of added and deleted lines
    toChange(step) {
      const all = [...this.root.querySelectorAll(".dl.a[data-line],.dl.d[data-line]")];
      const heads = all.filter((line) => !this.isChanged(this.before(line)));
      const focused = document.activeElement?.closest?.(".dl");
      const at = (line) => line.getBoundingClientRect().top;
      const edge = focused ? at(focused) : this.top;
      const next = step > 0 ? heads.find((line) => at(line) > edge + 1) : heads.findLast((line) => at(line) < edge - 1);
      this.focus(next);
      return true;
    }
    before(line) {
      const row = line.closest(".pair") ?? line;
      return row.previousElementSibling ?? row.closest(".chunk")?.previousElementSibling?.lastElementChild;
    }
    isChanged(row) {
      return Boolean(row?.matches(".dl.a,.dl.d") || row?.querySelector(".dl.a,.dl.d"));
    }
    focus(line) {
      const plus = line?.querySelector(".plus");
      if (!plus) return;
      this.show(line, "center");
      plus.focus({ preventScroll: true });
    }
    moved(event) {
      const plus = event.target.closest(".plus"), step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (!plus || !step) return;
      const all = [...this.root.querySelectorAll(".plus")];
      const next = all[all.indexOf(plus) + step];
      if (!next) return;
      event.preventDefault();
      next.focus({ preventScroll: true });
      next.scrollIntoView({ block: "nearest" });
    }

    // --- the tree shows which file is read
    scrolled() {
      this.frame ??= requestAnimationFrame(() => {
        this.frame = null;
        const file = this.current()?.dataset.file;
        if (file === this.shown) return;
        this.shown = file;
        for (const link of this.root.querySelectorAll("[data-to-file]")) {
          link.closest(".tr").classList.toggle("on", link.dataset.toFile === file);
        }
      });
    }
  }

  let diff = null;
  const find = () => {
    if (diff?.root.isConnected) return;
    const root = document.querySelector("[data-diff]");
    diff = root ? new Diff(root) : null;
  };
  new MutationObserver(find).observe(document.body, { childList: true, subtree: true });
  find();

  // captured: a button that has the focus keeps Enter for itself
  document.addEventListener("keydown", (event) => {
    const isSent = event.key === "Enter" && (event.ctrlKey || event.metaKey);
    if (!diff || document.querySelector(".q-dialog")) return;
    if (isSent) {
      const box = event.target.closest?.("[data-comment-box]");
      const one = event.shiftKey ? diff.root.querySelector("[data-testid=send-to-agent]") : box?.querySelector("[data-testid=add-to-review]");
      if (!one) return;
      event.preventDefault();
      event.stopPropagation();
      one.click();
    } else if (event.key === "Escape" && event.target.closest?.("[data-comment-box]")) {
      if (!event.target.value) event.target.closest("[data-comment-box]").querySelector("[data-cancel]").click();
    } else if (!event.ctrlKey && !event.metaKey && !event.altKey && !isOff() && !isTyping(event) && diff.pressed(event.key)) event.preventDefault();
  }, true);
})();
