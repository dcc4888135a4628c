// Saves reloading; everything works without it. One file, no build step, nothing from elsewhere.
"use strict";

const csrf = document.body.dataset.csrf;

// --- what changes by itself: the server says "change", the page asks for its live part and merges it in ------------

const live = document.querySelector("[data-live]");
const pulse = document.getElementById("pulse");
let asking = false;
let isAskedAgain = false;

function keyOf(element, index) {
  return element.dataset.key || `#${index}`;
}

// Whoever reads or types in an element keeps it.
function isInUse(element) {
  return element.contains(document.activeElement) || element.querySelector("details[open]") !== null;
}

function merge(old, fresh) {
  const known = new Map([...old.children].map((child, index) => [keyOf(child, index), child]));
  const hadSome = known.size > 0;
  let place = old.firstElementChild;
  [...fresh.children].forEach((child, index) => {
    const key = keyOf(child, index);
    let kept = known.get(key);
    known.delete(key);
    if (!kept) {
      kept = document.importNode(child, true);
      if (hadSome && /^[mh]\d/.test(key)) kept.classList.add("fresh");
      old.insertBefore(kept, place);
    } else {
      if (kept !== place) old.insertBefore(kept, place);
      place = kept;
      kept.classList.remove("fresh");
      if (!("keep" in kept.dataset) && !kept.isEqualNode(child)) {
        if ("nest" in kept.dataset && "nest" in child.dataset) {
          merge(kept, child);
        } else if (!isInUse(kept)) {
          const next = document.importNode(child, true);
          kept.replaceWith(next);
          place = kept = next;
        }
      }
    }
    place = kept.nextElementSibling;
  });
  for (const gone of known.values()) if (!isInUse(gone)) gone.remove();
}

async function refresh() {
  if (asking) {
    isAskedAgain = true;
    return;
  }
  asking = true;
  try {
    const answer = await fetch(location.href, { headers: { "X-Part": "live" }, credentials: "same-origin" });
    if (answer.status === 401) location.reload();
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(`<main>${await answer.text()}</main>`, "text/html");
    merge(live, fresh.querySelector("main"));
    live.dataset.version = String(Number(live.dataset.version || 0) + 1);
  } catch {
    // The stream tells when the gateway is back.
  } finally {
    asking = false;
    if (isAskedAgain) {
      isAskedAgain = false;
      refresh();
    }
  }
}

let stream = null;

function say(text, isGood) {
  pulse.hidden = false;
  pulse.textContent = text;
  pulse.className = isGood ? "good" : "warn";
}

function listen() {
  if (stream) return;
  stream = new EventSource("/ui/events");
  stream.addEventListener("hello", () => {
    // What happened since the page was made, or since the stream broke, nobody has told.
    refresh();
    say("Live", true);
  });
  stream.addEventListener("change", refresh);
  stream.onerror = () => {
    say("Not connected; trying again", false);
    // An answer that is no stream ends it for good: logged out, or too many pages.
    if (stream && stream.readyState === EventSource.CLOSED) {
      stream = null;
      setTimeout(() => {
        refresh();
        if (!document.hidden) listen();
      }, 5000);
    }
  };
}

// A tablet on the wall sleeps: no stream for a page that nobody sees.
function look() {
  if (document.hidden) {
    if (stream) stream.close();
    stream = null;
  } else {
    listen();
  }
}

if (live && csrf) {
  document.addEventListener("visibilitychange", look);
  look();
}

// --- alphabet and parts while a text is typed ----------------------------------------------------------------------

const PAUSE_MS = 200;

for (const form of document.querySelectorAll("form[data-counted]")) {
  const text = form.elements.namedItem("text");
  const shown = form.querySelector("[data-count]");
  let timer = 0;
  let asked = 0;
  const count = async () => {
    const mine = ++asked;
    try {
      const answer = await fetch("/ui/count", {
        method: "POST",
        headers: { "X-CSRF-Token": csrf, Accept: "application/json" },
        body: new URLSearchParams({ text: text.value }),
        credentials: "same-origin",
      });
      if (!answer.ok) return;
      const found = await answer.json();
      if (mine !== asked) return;
      shown.textContent = found.sentence;
      shown.classList.toggle("bad-text", found.is_too_long);
    } catch {
      // The next letter asks again.
    }
  };
  text.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(count, PAUSE_MS);
  });
  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
}

// --- small helps ---------------------------------------------------------------------------------------------------

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const field = document.getElementById(button.dataset.copy);
  field.select();
  try {
    await navigator.clipboard.writeText(field.value);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Press Ctrl+C";
  }
});
