// Keeps half-typed text while a person moves between the tabs of a page: a field with
// data-typed="name" has its text back when the page is opened again in this browser tab. A name
// that begins with "{" is the place of a comment in the Files tab, whose box is opened again.
(() => {
  "use strict";
  const STORE = `runyard_typed:${location.pathname}`;
  const taken = new Set(), seen = new WeakSet();

  function load() {
    try {
      return JSON.parse(sessionStorage.getItem(STORE) ?? "{}");
    } catch {
      return {};
    }
  }
  const kept = load();

  // --- back into the fields, each once: one that was cancelled and opened again begins empty
  function restore() {
    for (const field of document.querySelectorAll("textarea[data-typed]")) {
      const name = field.dataset.typed, isFirst = !taken.has(name);
      if (seen.has(field)) continue;
      seen.add(field);
      taken.add(name);
      if (!isFirst || !kept[name]) continue;
      field.value = kept[name];
      field.dispatchEvent(new Event("input", { bubbles: true }));
    }
  }
  let isOpened = false;
  function reopen() {
    const root = document.querySelector("[data-diff]");
    if (isOpened || !root?.querySelector("[data-file]")) return;
    isOpened = true;
    for (const name of Object.keys(kept).filter((one) => one.startsWith("{"))) {
      const { file, line, side } = JSON.parse(name);
      const section = file && root.querySelector(`.diff-file[data-path="${CSS.escape(file)}"]`);
      section?.removeAttribute("data-folded");
      if (section) root.dispatchEvent(new CustomEvent("write", { detail: { file: Number(section.dataset.file), line, side, kept: true } }));
      else if (!file) root.querySelector("[data-testid=change-add]")?.click();
    }
  }
  // before, the page is its first content, which Vue replaces
  const isLive = () => Boolean(document.getElementById("app")?.__vue_app__);
  const look = () => {
    if (!isLive()) return;
    restore();
    reopen();
  };
  new MutationObserver(look).observe(document.documentElement, { childList: true, subtree: true });
  look();

  // --- out of the fields as the page is left; what belongs to another tab of it stays
  addEventListener("pagehide", () => {
    for (const name of taken) delete kept[name];
    // one that is hidden has just been sent
    for (const field of document.querySelectorAll("textarea[data-typed]"))
      if (field.value.trim() && !field.closest(".hidden")) kept[field.dataset.typed] = field.value;
    try {
      if (Object.keys(kept).length) sessionStorage.setItem(STORE, JSON.stringify(kept));
      else sessionStorage.removeItem(STORE);
    } catch {
      // storage is full: the text is gone with the page
    }
  });
})();
