// Keeps assets whose address names their content, and shows notifications. It keeps no page, no
// answer of the API, and nothing else that belongs to a person.
"use strict";
const VERSION = "development";
const CACHES = "runyard-assets-";
const CACHE = CACHES + VERSION;
const ICON = "/assets/icon-192.png";

// --- assets ---

function isLasting(request) {
  const url = new URL(request.url);
  return (
    request.method === "GET" &&
    !request.headers.has("range") &&
    url.origin === self.location.origin &&
    url.pathname.startsWith("/assets/") &&
    /^\?v=[\w.]+$/.test(url.search)
  );
}

async function kept(request) {
  const cache = await caches.open(CACHE);
  const known = await cache.match(request);
  if (known) return known;
  const answer = await fetch(request);
  const rule = answer.headers.get("cache-control") ?? "";
  if (answer.status === 200 && answer.type === "basic" && rule.includes("immutable")) {
    await cache.put(request, answer.clone()).catch(() => {}); // a full disk keeps nothing
  }
  return answer;
}

async function begin() {
  const names = await caches.keys();
  const old = names.filter((name) => name.startsWith(CACHES) && name !== CACHE);
  await Promise.all(old.map((name) => caches.delete(name)));
  await self.clients.claim();
}

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(begin()));
self.addEventListener("fetch", (event) => {
  if (isLasting(event.request)) event.respondWith(kept(event.request));
});

// --- notifications ---

function read(data) {
  try {
    const told = data.json();
    return told !== null && typeof told === "object" ? told : {};
  } catch {
    return {};
  }
}

const text = (value, most) => (typeof value === "string" ? value.slice(0, most) : "");

// on this server, whatever a message says
function addressOf(path) {
  const home = new URL("/", self.location.origin);
  try {
    const place = new URL(text(path, 500), home);
    return place.origin === home.origin ? place.href : home.href;
  } catch {
    return home.href;
  }
}

async function open(address) {
  const pages = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  const there = pages.find((page) => page.url === address);
  return there ? there.focus() : self.clients.openWindow(address);
}

self.addEventListener("push", (event) => {
  const told = read(event.data);
  // the id replaces a message that was sent twice
  const how = { body: text(told.sentence, 500), icon: ICON, data: { path: told.path } };
  if (text(told.id, 100)) how.tag = text(told.id, 100);
  const title = text(told.title, 200) || "Runyard";
  event.waitUntil(self.registration.showNotification(title, how));
});

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(open(addressOf(event.notification.data?.path)));
});
