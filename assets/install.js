// Registers the service worker, and subscribes this browser to notifications when its person asks.
(() => {
  const workers = navigator.serviceWorker;
  workers?.register("/sw.js", { scope: "/", updateViaCache: "none" }).catch(() => {});

  const canNotify = () => Boolean(workers) && "PushManager" in window && "Notification" in window;

  async function current() {
    const registration = await workers.getRegistration("/");
    return (await registration?.pushManager.getSubscription()) ?? null;
  }

  async function state() {
    if (!canNotify()) return { problem: "unsupported" };
    if (Notification.permission === "denied") return { problem: "denied" };
    return { endpoint: (await current())?.endpoint ?? "" };
  }

  function bytesOf(key) {
    const letters = atob(key.replaceAll("-", "+").replaceAll("_", "/"));
    return Uint8Array.from(letters, (letter) => letter.charCodeAt(0));
  }

  function isOf(subscription, key) {
    const held = new Uint8Array(subscription.options?.applicationServerKey ?? []);
    const wanted = bytesOf(key);
    return held.length === wanted.length && held.every((byte, at) => byte === wanted[at]);
  }

  async function subscribe(key) {
    if (!canNotify()) return { problem: "unsupported" };
    try {
      if ((await Notification.requestPermission()) !== "granted") return { problem: "denied" };
      const registration = await workers.ready;
      const known = await registration.pushManager.getSubscription();
      // of another key of this server, which push services would not take
      if (known && !isOf(known, key)) await known.unsubscribe();
      const how = { userVisibleOnly: true, applicationServerKey: bytesOf(key) };
      return { subscription: (await registration.pushManager.subscribe(how)).toJSON() };
    } catch {
      return { problem: "failed" };
    }
  }

  const unsubscribe = async () => (canNotify() ? (await current())?.unsubscribe() : false);

  window.runyardDevice = { state, subscribe, unsubscribe };
})();
