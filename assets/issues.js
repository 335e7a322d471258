// The issues board: cards dragged within Ready or moved by Alt with an arrow, and a focus that
// stays on its issue while others come and go.
//
// A list with data-drop has rows with data-row that are draggable. Its element gets `grabbed` and
// `released` around a drag, so that the server draws nothing meanwhile, `dropped` with {id, place}:
// how many other cards stay above it, and `stepped` with {id, step}: -1 is one card up.
(() => {
  "use strict";
  let held = null;

  const cards = (list) => [...list.querySelectorAll(":scope > [data-row]")];
  const tell = (list, name, detail) => list.dispatchEvent(new CustomEvent(name, { detail }));
  const others = () => cards(held.list).filter((card) => card !== held.card);

  function placeAt(y) {
    const rest = others();
    const at = rest.findIndex((card) => {
      const box = card.getBoundingClientRect();
      return y < box.top + box.height / 2;
    });
    return at < 0 ? rest.length : at;
  }
  function mark(place) {
    const rest = others();
    for (const card of cards(held.list)) card.classList.remove("drop-above", "drop-below");
    if (place < rest.length) rest[place].classList.add("drop-above");
    else rest.at(-1)?.classList.add("drop-below");
  }
  function release() {
    if (!held) return;
    for (const card of cards(held.list)) card.classList.remove("drop-above", "drop-below");
    held.card.classList.remove("held");
    tell(held.list, "released");
    held = null;
  }

  document.addEventListener("dragstart", (event) => {
    const card = event.target.closest?.("[data-drop] > [data-row]");
    if (!card) return;
    held = { card, list: card.parentElement };
    event.dataTransfer.effectAllowed = "move";
    event.dataTransfer.setData("text/plain", card.dataset.row);
    card.classList.add("held");
    tell(held.list, "grabbed");
  });
  document.addEventListener("dragover", (event) => {
    if (!held?.list.contains(event.target)) return;
    event.preventDefault();
    mark(placeAt(event.clientY));
  });
  document.addEventListener("drop", (event) => {
    if (!held?.list.contains(event.target)) return;
    event.preventDefault();
    const { list, card } = held, place = placeAt(event.clientY);
    release();
    tell(list, "dropped", { id: card.dataset.row, place });
  });
  document.addEventListener("dragend", release);

  document.addEventListener("keydown", (event) => {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    const card = event.altKey && step && event.target.closest?.("[data-drop] > [data-row]");
    if (!card) return;
    event.preventDefault();
    // a key that is held down would move the card on after it is let go
    if (event.repeat) return;
    // a step, not a place: a second press may come before the first one is drawn
    tell(card.parentElement, "stepped", { id: card.dataset.row, step });
  });

  // --- the focus follows its issue: a row that moves or is drawn anew would lose it
  let focused = null;
  document.addEventListener("focusin", (event) => {
    const row = event.target.closest?.(".issues [data-row]");
    focused = row && { id: row.dataset.row, act: event.target.dataset.act };
  });
  document.addEventListener("pointerdown", () => (focused = null), true);
  new MutationObserver(() => {
    if (!focused || document.activeElement !== document.body) return;
    // the list and the board both have it; one of them is hidden
    const rows = document.querySelectorAll(`.issues [data-row="${CSS.escape(focused.id)}"]`);
    const row = [...rows].find((one) => one.checkVisibility());
    const target = row?.querySelector(focused.act ? `[data-act="${focused.act}"]` : "a") ?? row?.querySelector("a");
    target?.focus({ preventScroll: true });
  }).observe(document.documentElement, { subtree: true, childList: true });
})();
