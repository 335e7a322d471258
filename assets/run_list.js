// The runs list: names the reader's time zone, by which the server groups the rows into days.
(() => {
  "use strict";
  const chosen = document.documentElement.dataset.zone;
  const zone = chosen ?? Intl.DateTimeFormat().resolvedOptions().timeZone ?? "UTC";
  // a person's choice is the server's to keep
  if (!chosen) document.cookie = `runyard_zone=${zone}; path=/; max-age=31536000; SameSite=Lax`;
  const tell = () => {
    const table = document.querySelector("[data-testid=runs-table][data-zone]");
    if (!table || table.dataset.told) return;
    table.dataset.told = "1";
    if (table.dataset.zone !== zone) table.dispatchEvent(new CustomEvent("zone", { detail: zone }));
  };
  // the table's handlers are there once the page is connected
  const wait = () => (window.socket?.connected ? tell() : setTimeout(wait, 50));
  wait();
  new MutationObserver(() => window.socket?.connected && tell()).observe(document.documentElement, {
    childList: true,
    subtree: true,
  });
})();
