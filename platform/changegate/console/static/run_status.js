"use strict";

// Asks for the status every few seconds, until a change is created or the limit is reached.
const INTERVAL_MS = 3000;
const LONGEST_MS = 15 * 60 * 1000;
const place = document.querySelector("[data-poll]");
const note = document.querySelector("[data-poll-note]");
const stopAt = Date.now() + LONGEST_MS;

async function fetchStatus() {
  const response = await fetch(place.dataset.poll, { redirect: "manual" });
  if (!response.ok) throw new Error(`status ${response.status}`);
  return response.text();
}

// Replaced only if it differs: screen readers announce each replacement.
// The server has escaped what it sends, and the page's policy runs no script that came with it.
function show(text) {
  const next = document.createElement("div");
  next.innerHTML = text;
  if (next.innerHTML.trim() !== place.innerHTML.trim()) place.replaceChildren(...next.childNodes);
}

async function poll() {
  if (!document.hidden) {
    try {
      show(await fetchStatus());
    } catch {
      note.textContent = "The status could not be read. Select Check now.";
      return;
    }
  }
  schedule();
}

function schedule() {
  if (place.querySelector("[data-is-final]")) note.textContent = "";
  else if (Date.now() > stopAt) note.textContent = "This page no longer checks automatically.";
  else {
    note.textContent = "This page checks automatically.";
    setTimeout(poll, INTERVAL_MS);
  }
}

schedule();
