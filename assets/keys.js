// Keys, selection in lists, the help dialog and the dot on the tab's icon: what needs no server.
//
// - an element with data-key="m" is clicked by that key, a field gets the focus;
// - data-keys-help lists keys that another script handles, as the help names them;
// - a container with data-keys="list" has rows with data-row: j, k and arrows move
//   aria-selected, Enter and a double click open a row's first link, x presses its checkbox;
//   the event `picked` on the container tells the row's id in its detail.
// Never while typing; in an open dialog only the keys inside it. All can be turned off.
(() => {
  "use strict";
  const OFF = "runyard_keys_off";
  const GO = { i: "/", p: "/projects", s: "/issues", r: "/runs" };
  const TYPED = "input:not([type=checkbox],[type=radio],[type=button]),textarea,select,[contenteditable]";
  const PRESSED = "a[href],button,input,select,textarea,summary,label,[role=button],[role=checkbox]";
  // one that fades away takes no more keys
  const DIALOGS = ".q-dialog__inner:not([class*=leave-active]),dialog[open]";
  const HELP = [
    ["j", "k", "Move in a list"], ["Enter", "Open"], ["x", "Select"], ["/", "Search in the list"],
    ["g i", "Inbox"], ["g p", "Projects"], ["g s", "Issues"], ["g r", "Runs"],
    ["Ctrl K", "Search everything"], ["?", "These shortcuts"],
  ];
  let waitsForPlace = 0;

  const isOff = () => localStorage.getItem(OFF) === "1";
  const isShown = (el) => el.checkVisibility() && !el.closest("[inert]");
  const dialog = () => [...document.querySelectorAll(DIALOGS)].filter(isShown).at(-1);
  const scope = () => dialog() ?? document;

  // --- the rows of a list
  const rowsOf = (list) => [...list.querySelectorAll("[data-row]")].filter(isShown);
  const pickedIn = (list) => list.querySelector('[data-row][aria-selected="true"]');
  function theList() {
    const lists = [...scope().querySelectorAll('[data-keys="list"]')].filter(isShown);
    return lists.find((one) => one.contains(document.activeElement)) ?? lists[0];
  }
  function pick(list, row) {
    const before = pickedIn(list);
    if (before === row) return;
    before?.setAttribute("aria-selected", "false");
    row.setAttribute("aria-selected", "true");
    list.dataset.picked = row.dataset.row;
    list.dispatchEvent(new CustomEvent("picked", { detail: row.dataset.row }));
  }
  function move(list, step) {
    const rows = rowsOf(list), at = rows.indexOf(pickedIn(list));
    const row = rows[at < 0 ? 0 : Math.min(rows.length - 1, Math.max(0, at + step))];
    if (!row) return;
    // Enter is meant for the row from here on, not for what Tab had come to
    const focused = document.activeElement;
    if (list.contains(focused) && !row.contains(focused)) focused.blur();
    pick(list, row);
    row.scrollIntoView({ block: "nearest" });
  }
  function open(row, isNewTab = false) {
    const link = row?.querySelector("a[href]");
    if (isNewTab) window.open(link?.href);
    else link?.click();
  }

  // --- help
  function help() {
    const box = document.createElement("dialog");
    box.className = "keys";
    box.dataset.testid = "shortcut-help";
    box.setAttribute("aria-labelledby", "keys-title");
    box.innerHTML = '<h2><span id="keys-title">Keyboard shortcuts</span><button type="button" class="btn small bare">Close</button></h2><dl></dl><label><input type="checkbox"> Use these shortcuts in this browser</label>';
    const own = [...document.querySelectorAll("[data-keys-help]")].flatMap((el) => JSON.parse(el.dataset.keysHelp));
    const rows = [...HELP.filter(([key]) => !own.some(([other]) => other === key)), ...own];
    for (const el of document.querySelectorAll("[data-key]")) {
      const words = (el.getAttribute("aria-label") ?? el.textContent).trim();
      const name = words.replace(new RegExp(`\\s*${el.dataset.key}$`, "i"), "");
      if (isShown(el) && !rows.some(([key]) => key === el.dataset.key)) rows.push([el.dataset.key, name]);
    }
    for (const row of rows) {
      const dt = document.createElement("dt"), dd = document.createElement("dd");
      for (const key of row.slice(0, -1).flatMap((one) => one.split(" ")))
        dt.append(Object.assign(document.createElement("kbd"), { textContent: key }));
      dd.textContent = row.at(-1);
      box.querySelector("dl").append(dt, dd);
    }
    const used = box.querySelector("input");
    used.checked = !isOff();
    used.addEventListener("change", () => localStorage.setItem(OFF, used.checked ? "0" : "1"));
    box.querySelector("button").addEventListener("click", () => box.close());
    box.addEventListener("click", (event) => event.target === box && box.close());
    box.addEventListener("close", () => box.remove());
    document.body.append(box);
    box.showModal();
  }

  // --- what a key does; true if it did something
  function act(event) {
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (waitsForPlace && Date.now() - waitsForPlace < 1200 && GO[key]) {
      waitsForPlace = 0;
      return go(GO[key]);
    }
    waitsForPlace = 0;
    const list = theList(), target = event.target;
    const isFree = target === document.body || list?.contains(target);
    if (list && (key === "j" || (key === "ArrowDown" && isFree))) return move(list, 1), true;
    if (list && (key === "k" || (key === "ArrowUp" && isFree))) return move(list, -1), true;
    if (list && key === "Enter" && isFree && !target.closest(PRESSED)) return open(pickedIn(list)), true;
    if (list && key === "x") {
      const box = pickedIn(list)?.querySelector("input[type=checkbox],[role=checkbox]");
      if (box) return box.click(), true;
    }
    const named = [...scope().querySelectorAll(`[data-key="${CSS.escape(key)}"]`)].find(isShown);
    if (named) return named.matches(TYPED) ? named.focus() : named.click(), true;
    if (dialog()) return false;
    if (key === "g") return (waitsForPlace = Date.now()), true;
    if (key === "?") return help(), true;
    const search = key === "/" && document.querySelector("[data-testid=list-search]");
    if (!search) return false;
    (search.matches("input") ? search : search.querySelector("input") ?? search).focus();
    return true;
  }
  function go(path) {
    // a link, so that leaving the page is asked for as with any other
    const link = document.querySelector(`.rail a[href="${path}"].to`);
    if (link) link.click();
    else location.assign(path);
    return true;
  }

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing) return;
    if ((event.ctrlKey || event.metaKey) && !event.altKey && event.key.toLowerCase() === "k") {
      const search = document.querySelector("[data-opens=palette]");
      if (!search || isOff()) return;
      event.preventDefault();
      return search.click();
    }
    if (event.ctrlKey || event.metaKey || event.altKey || isOff()) return;
    // a field keeps the focus for a moment after its dialog has been closed
    const field = event.target.closest?.(`${TYPED},.q-menu,[role=radiogroup],[role=tablist]`);
    if (field && isShown(field) && !field.closest("[class*=leave-active]")) return;
    if (act(event)) event.preventDefault();
  });
  document.addEventListener("click", (event) => {
    if (event.target.closest?.("[data-shortcuts]")) {
      document.querySelector(".foot-menu:popover-open")?.hidePopover();
      return help();
    }
    const row = event.target.closest?.('[data-keys="list"] [data-row]');
    if (row) pick(row.closest('[data-keys="list"]'), row);
  });
  document.addEventListener("dblclick", (event) => {
    const row = event.target.closest?.('[data-keys="list"] [data-row]');
    if (row && !event.target.closest(PRESSED)) open(row);
  });

  // --- a row that was drawn anew is still selected; a dot on the tab's icon while something waits
  const dotted = () => {
    const icon = document.querySelector('link[rel="icon"]');
    const isWaiting = Number(document.querySelector("[data-waiting]")?.dataset.waiting ?? 0) > 0;
    const wanted = `/assets/icon${isWaiting ? "-waiting" : ""}.svg`;
    if (icon && icon.getAttribute("href") !== wanted) icon.setAttribute("href", wanted);
  };
  new MutationObserver((changes) => {
    if (changes.some((one) => one.attributeName === "data-waiting" || one.addedNodes.length)) dotted();
    for (const list of document.querySelectorAll('[data-keys="list"][data-picked]')) {
      if (pickedIn(list)) continue;
      list.querySelector(`[data-row="${CSS.escape(list.dataset.picked)}"]`)?.setAttribute("aria-selected", "true");
    }
  }).observe(document.documentElement, { subtree: true, childList: true, attributeFilter: ["data-waiting"] });
  dotted();
})();
