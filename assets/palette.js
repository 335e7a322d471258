// The search palette: opening it, moving in it, and telling the server what is typed. The server
// sends the rows.
(() => {
  "use strict";
  const WAIT_MS = 120;
  const box = () => document.querySelector("dialog.palette");
  const field = () => box().querySelector("input");
  const rows = () => [...box().querySelectorAll("[role=option]")];
  let timer = 0;

  function ask() {
    clearTimeout(timer);
    box().dispatchEvent(new CustomEvent("search", { detail: field().value }));
  }
  function choose(row) {
    for (const one of rows()) one.setAttribute("aria-selected", String(one === row));
    if (row) {
      field().setAttribute("aria-activedescendant", row.id);
      row.scrollIntoView({ block: "nearest" });
    } else field().removeAttribute("aria-activedescendant");
  }
  function open() {
    if (box().open) return box().close();
    document.querySelector(".rail-more:popover-open")?.hidePopover();
    field().value = "";
    box().showModal();
    field().focus();
    ask();
  }
  function press(row, isNewTab) {
    if (!row) return;
    if (isNewTab && row.href) return window.open(row.href);
    box().close();
    row.click();
  }

  document.addEventListener("click", (event) => {
    if (event.target.closest?.("[data-opens=palette]")) open();
    else if (event.target === box() || event.target.closest?.(".palette [data-command]")) box().close();
  });
  document.addEventListener("input", (event) => {
    if (event.target !== box()?.querySelector("input")) return;
    clearTimeout(timer);
    timer = setTimeout(ask, WAIT_MS);
  });
  document.addEventListener("keydown", (event) => {
    if (!box()?.open || !box().contains(event.target)) return;
    const all = rows(), at = all.findIndex((one) => one.ariaSelected === "true");
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && all.length) choose(all.at((at + step) % all.length));
    else if (event.key === "Enter") press(all[Math.max(at, 0)], event.ctrlKey || event.metaKey);
    else return;
    event.preventDefault();
  }, true);
  // the first row of each answer is chosen
  new MutationObserver((changes) => {
    const list = box()?.querySelector(".found");
    if (!list || !changes.some((one) => list.contains(one.target))) return;
    choose(rows()[0]);
  }).observe(document.documentElement, { childList: true, subtree: true });
})();
