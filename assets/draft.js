// Keeps the key and fields of an open form in this tab, so that it survives a lost connection and
// a server restart. The server asks for them when the page loads or reconnects. Only a reload
// restores a form: a newly opened page has an empty form and a new key. A form in a dialog ends
// with its page.
(() => {
  "use strict";
  const NAME = `runyard_form:${location.pathname}`;
  const isOpenedAnew = performance.getEntriesByType("navigation")[0]?.type === "navigate";
  if (isOpenedAnew) sessionStorage.removeItem(NAME);
  let isAsked = false;

  function load() {
    try {
      return JSON.parse(sessionStorage.getItem(NAME) ?? "null");
    } catch {
      return null;
    }
  }
  function save(draft) {
    try {
      sessionStorage.setItem(NAME, JSON.stringify(draft));
    } catch {
      // storage is full: the form works without a draft
    }
  }
  const sentOf = (form) => (form.dataset.draftSent ?? "").split(" ").filter(Boolean);
  // the draft stored for this address may belong to a dialog that was closed
  function loadFor(form) {
    const draft = load();
    if (form.dataset.draft === "form") return draft;
    return draft?.key === form.dataset.draftKey ? { ...draft, sent: sentOf(form) } : null;
  }
  function put(name, value) {
    const form = document.querySelector("[data-draft]");
    if (!form || form.dataset.draftDone !== undefined) return;
    const draft = loadFor(form) ?? { key: form.dataset.draftKey, sent: sentOf(form), fields: {} };
    draft.fields[name] = value;
    save(draft);
  }

  // --- the server requests the draft and sets key and sent ids through data attributes
  function answer(form) {
    isAsked = true;
    const draft = loadFor(form);
    if (draft) form.dispatchEvent(new CustomEvent("draft", { detail: JSON.stringify(draft) }));
    else keep(form);
  }
  function keep(form) {
    if (form.dataset.draftDone !== undefined) return sessionStorage.removeItem(NAME);
    const key = form.dataset.draftKey, kept = load();
    const fields = kept?.key === key ? kept.fields : {};
    save({ key, sent: sentOf(form), fields });
  }
  new MutationObserver((changes) => {
    for (const { target, attributeName } of changes) {
      if (attributeName === "data-draft-asked") answer(target);
      else if (isAsked) keep(target);
    }
  }).observe(document.documentElement, {
    subtree: true,
    attributeFilter: ["data-draft-asked", "data-draft-key", "data-draft-sent", "data-draft-done"],
  });

  // --- typed fields and the depth; selects call runyardDraft.put from their own event
  document.addEventListener("input", ({ target }) => {
    const name = target.dataset?.testid?.replace("-picker", "");
    if (["task", "model", "delay", "ttl", "tags"].includes(name) && target.closest("[data-draft]")) put(name, target.value);
  });
  document.addEventListener("click", ({ target }) => {
    const segment = target.closest?.("[data-draft] [role=radio][data-value]");
    if (segment) put("depth", segment.dataset.value);
    const agent = target.closest?.("[data-testid=agent-option]:not([aria-disabled=true])");
    if (agent) put("agent", agent.dataset.value);
  });
  window.runyardDraft = { put };
})();
