// Page behavior that needs no server: theme, ticking times, connection state, copying (keys are in
// keys.js). No library, no timer on the server.
(() => {
  "use strict";
  const root = document.documentElement;

  // --- theme: what the person chose for all browsers, or what a cookie pins for this one, so that
  // the next page is right from its first paint
  const pinned = () =>
    root.dataset.chosen || (/(?:^|; )runyard_look=(light|dark)/.exec(document.cookie)?.[1] ?? "auto");
  function wear(look) {
    if (look === "auto") delete root.dataset.theme;
    else root.dataset.theme = look;
    for (const b of document.querySelectorAll("[data-look]"))
      b.setAttribute("aria-pressed", String(b.dataset.look === look));
  }
  wear(pinned());

  // --- times, on the server's clock
  let offset = 0, isTold = false, link = "Live";
  function learn(node) {
    if (isTold) return;
    const told = Date.parse(node.querySelector("[data-now]")?.dataset.now ?? "");
    if (Number.isNaN(told)) return;
    isTold = true;
    offset = told - Date.now();
  }
  const pad = (n) => String(n).padStart(2, "0");
  function took(seconds) {
    const s = Math.max(0, Math.floor(seconds));
    const h = Math.floor(s / 3600);
    const m = Math.floor(s / 60) % 60;
    return h ? `${h}:${pad(m)}:${pad(s % 60)}` : `${pad(m)}:${pad(s % 60)}`;
  }
  function ago(seconds) {
    const s = Math.max(0, Math.floor(seconds));
    if (s < 10) return "now";
    if (s < 60) return `${s} s ago`;
    if (s < 3600) return `${Math.floor(s / 60)} min ago`;
    if (s < 86400) return `${Math.floor(s / 3600)} h ago`;
    return `${Math.floor(s / 86400)} d ago`;
  }
  // in the zone that the person chose for all browsers, or in this browser's; the same in every language
  const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");
  const zoned = new Intl.DateTimeFormat("en-GB", {
    timeZone: root.dataset.zone, hourCycle: "h23", year: "numeric", month: "2-digit", day: "2-digit",
    hour: "2-digit", minute: "2-digit", second: "2-digit",
  });
  function partsOf(at) {
    const found = Object.fromEntries(zoned.formatToParts(new Date(at)).map((one) => [one.type, one.value]));
    const { year, month, day, hour, minute, second } = found;
    return { date: `${year}-${month}-${day}`, day: `${Number(day)} ${MONTHS[month - 1]}`, time: `${hour}:${minute}`, second };
  }
  const clock = (at, full) => {
    const { time, second } = partsOf(at);
    return full ? `${time}:${second}` : time;
  };
  const dated = (at) => {
    const { date, day, time } = partsOf(at);
    return date === partsOf(Date.now() + offset).date ? time : `${day} ${time}`;
  };
  const exactly = (at) => {
    const { date, time, second } = partsOf(at);
    return `${date} ${time}:${second}`;
  };
  function put(el, text) {
    if (el.textContent !== text) el.textContent = text;
  }
  function tick(el, now) {
    const { since, until, ago: past, at, day, of: whole, quiet } = el.dataset;
    if (el.tagName === "PROGRESS") {
      if (since) el.value = Math.min(el.max, (now - Date.parse(since)) / 1000);
      else el.value = Math.max(0, el.max - Math.max(0, Date.parse(until) - now) / 1000);
      return;
    }
    if (quiet) {
      // while disconnected, missing output says nothing about the agent
      const seconds = (now - Date.parse(quiet)) / 1000;
      put(el, `No output for ${ago(seconds).replace(" ago", "")}`);
      el.hidden = link !== "Live" || seconds < Number(el.dataset.after);
      return;
    }
    // a log has thousands of times of day, which do not tick
    if (at && el.dataset.titled === at) return;
    if (!el.dataset.titled || at) {
      const exact = new Date(since ?? until ?? past ?? at ?? day);
      if (!Number.isNaN(exact.getTime())) el.title = exactly(exact);
      el.dataset.titled = at ?? "1";
    }
    if (since) {
      const text = took((now - Date.parse(since)) / 1000);
      put(el, whole ? `${text} of ${took(Number(whole))}` : text);
    } else if (until) {
      const left = (Date.parse(until) - now) / 1000;
      put(el, took(Math.ceil(left)));
      if (left <= 0 && !el.dataset.over) {
        el.dataset.over = "1";
        el.dispatchEvent(new CustomEvent("over", { bubbles: true }));
      }
    } else if (past) put(el, ago((now - Date.parse(past)) / 1000));
    else if (at) put(el, clock(at, el.dataset.full !== undefined));
    else if (day) put(el, dated(day));
  }
  const TIMES = "time[data-since],time[data-until],time[data-ago],time[data-at],time[data-day],progress[data-since],progress[data-until],[data-quiet]";
  function tickIn(node) {
    const now = Date.now() + offset;
    if (node.matches?.(TIMES)) tick(node, now);
    for (const el of node.querySelectorAll?.(TIMES) ?? []) tick(el, now);
  }
  setInterval(() => document.hidden || tickIn(document), 1000);
  document.addEventListener("visibilitychange", () => document.hidden || tickIn(document));
  addEventListener("pageshow", () => tickIn(document));

  // --- connection: Live, Reconnecting…, Manual Reconnect Only after 3 losses in 60 s
  const LOSSES = 3, WINDOW = 60_000, KEPT = "runyard_losses";
  let leaving = false;
  addEventListener("pagehide", () => (leaving = true));
  addEventListener("pageshow", () => (leaving = false));
  // kept across reloads: the page reloads itself when the server restarts
  function countLoss() {
    const now = Date.now();
    const losses = JSON.parse(sessionStorage.getItem(KEPT) ?? "[]").filter((at) => now - at < WINDOW);
    losses.push(now);
    sessionStorage.setItem(KEPT, JSON.stringify(losses));
    return losses.length;
  }
  function showLink(scope = document) {
    const badges = scope.matches?.("[data-live]") ? [scope] : scope.querySelectorAll?.("[data-live]") ?? [];
    for (const badge of badges) {
      badge.dataset.word ??= badge.textContent;
      badge.dataset.tone ??= badge.className;
      badge.className = link === "Live" ? badge.dataset.tone : "pill " + (link === "Reconnecting…" ? "wait" : "stop");
      if (link !== "Live") put(badge, link);
      else if (badge.textContent !== badge.dataset.word) badge.textContent = badge.dataset.word;
      const button = badge.parentElement?.querySelector("[data-reconnect]");
      if (button) button.hidden = link !== "Manual Reconnect Only";
    }
    // controls that need the server are inert until it is back
    for (const part of document.querySelectorAll("[data-needs-link]")) part.inert = link !== "Live";
  }
  function setLink(word) {
    const aside = word === link ? null : document.querySelector("[data-aside]");
    link = word;
    root.dataset.link = word === "Live" ? "live" : "lost";
    showLink();
    tickIn(document);
    if (aside) aside.textContent = word;
  }
  function watchLink() {
    const socket = window.socket;
    if (!socket) return setTimeout(watchLink, 50);
    socket.on("connect", () => setLink("Live"));
    socket.on("disconnect", () => {
      if (leaving) return;
      if (countLoss() >= LOSSES) {
        socket.io.reconnection(false);
        setLink("Manual Reconnect Only");
      } else setLink("Reconnecting…");
    });
  }
  watchLink();

  // --- scroll the current tab into view if the row is wider than the screen
  function showTab() {
    for (const tab of document.querySelectorAll(".tabs [aria-current=page]")) {
      const row = tab.closest(".tabs");
      const side = row.getBoundingClientRect(), at = tab.getBoundingClientRect();
      if (at.right > side.right || at.left < side.left) row.scrollLeft += at.right - side.right;
    }
  }

  // --- the content so far, and elements added later: update their times and badges at once
  learn(document);
  tickIn(document);
  showTab();
  new MutationObserver((changes) => {
    for (const change of changes)
      for (const node of change.addedNodes) {
        if (node.nodeType !== 1) continue;
        learn(node);
        tickIn(node);
        if (link !== "Live") showLink(node);
        if (node.querySelector(".tabs")) showTab();
        if (node.querySelector("[data-look]")) wear(pinned());
      }
  }).observe(root, { childList: true, subtree: true });

  // --- clicks that need no server
  async function copy(text) {
    if (navigator.clipboard) return navigator.clipboard.writeText(text);
    const area = document.body.appendChild(Object.assign(document.createElement("textarea"), { value: text }));
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  document.addEventListener("click", (event) => {
    const el = event.target.closest?.("[data-copy],[data-look],[data-reconnect],.rail a");
    if (!el) return;
    if (el.dataset.copy !== undefined) {
      copy(el.dataset.copy).then(() => {
        el.dataset.copied = "1";
        setTimeout(() => delete el.dataset.copied, 1500);
      });
    } else if (el.dataset.look) {
      const age = el.dataset.look === "auto" ? 0 : 31536000;
      // a person's choice is the server's to keep
      if (root.dataset.chosen !== undefined) root.dataset.chosen = el.dataset.look;
      else document.cookie = `runyard_look=${el.dataset.look}; path=/; max-age=${age}; SameSite=Lax`;
      wear(el.dataset.look);
      window.Quasar?.Dark.set(el.dataset.look === "auto" ? "auto" : el.dataset.look === "dark");
    } else if (el.dataset.reconnect !== undefined) {
      sessionStorage.removeItem(KEPT);
      location.reload();
    } else document.querySelector(".rail-more:popover-open")?.hidePopover();
  });

  // --- a radio group is one Tab stop; arrow keys cycle through it
  document.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const group = step && event.target.closest?.("[role=radiogroup]");
    if (!group) return;
    const choices = [...group.querySelectorAll("[role=radio]")];
    const next = choices.at((choices.indexOf(event.target) + step) % choices.length);
    event.preventDefault();
    next.focus();
    next.click();
  });

  // --- Tab cycles inside a dialog and does not leave it for the page behind
  document.addEventListener("keydown", (event) => {
    const dialog = event.key === "Tab" && [...document.querySelectorAll(".q-dialog")].at(-1);
    if (!dialog || event.target.closest?.(".q-menu")) return;
    const stops = [...dialog.querySelectorAll("a[href],button,input,select,textarea,summary,[tabindex]")]
      .filter((el) => el.tabIndex >= 0 && !el.disabled && el.checkVisibility() && !el.closest("[inert]"));
    const end = event.shiftKey ? stops[0] : stops.at(-1);
    if (event.target !== end && dialog.contains(event.target)) return;
    event.preventDefault();
    (event.shiftKey ? stops.at(-1) : stops[0])?.focus();
  });
})();
