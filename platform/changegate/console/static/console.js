"use strict";

// The filter navigator: typing hides the modules that do not match, Enter opens the first match.
function startNavigator() {
  const filter = document.querySelector("[data-navigator-filter]");
  if (!filter) return;
  const modules = [...document.querySelectorAll("[data-navigator-module]")];
  const groups = [...document.querySelectorAll("[data-navigator-group]")];
  const empty = document.querySelector("[data-navigator-empty]");

  function apply() {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const group of groups) {
      const heading = group.querySelector("h2").textContent.toLowerCase();
      for (const module of group.querySelectorAll("[data-navigator-module]")) {
        const text = `${heading} ${module.textContent.toLowerCase()}`;
        module.parentElement.hidden = !words.every((word) => text.includes(word));
      }
      group.hidden = !group.querySelector("li:not([hidden])");
    }
    empty.hidden = groups.some((group) => !group.hidden);
  }

  filter.addEventListener("input", apply);
  filter.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { filter.value = ""; apply(); }
    if (event.key === "Enter") modules.find((module) => !module.parentElement.hidden)?.click();
  });
  apply();
}

// On a narrow screen, the navigator overlays the page; without JavaScript, the button's link shows it (:target).
function startNavigatorButton() {
  const button = document.querySelector("[data-navigator-button]");
  if (!button) return;
  function toggle(isOpen) {
    document.body.classList.toggle("navigator-open", isOpen);
    button.setAttribute("aria-expanded", String(isOpen));
  }
  button.addEventListener("click", (event) => {
    event.preventDefault();
    const isOpen = !document.body.classList.contains("navigator-open");
    toggle(isOpen);
    if (isOpen) document.querySelector("[data-navigator-filter]").focus();
  });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") toggle(false); });
  document.getElementById("main").addEventListener("click", () => toggle(false));
}

function startMenus() {
  const menus = [...document.querySelectorAll("details[data-closes]")];
  document.addEventListener("click", (event) => {
    for (const menu of menus) if (!menu.contains(event.target)) menu.open = false;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of menus) {
      if (menu.open && menu.contains(document.activeElement)) menu.querySelector("summary").focus();
      menu.open = false;
    }
  });
}

function selectText(element) {
  const range = document.createRange();
  range.selectNodeContents(element);
  const selection = window.getSelection();
  selection.removeAllRanges();
  selection.addRange(range);
}

// Over plain HTTP, browsers offer no clipboard; the text is then selected for Ctrl-C.
async function copyText(element) {
  try {
    await navigator.clipboard.writeText(element.textContent.trim());
    return "Copied";
  } catch {
    selectText(element);
    return "Selected";
  }
}

// By delegation: parts of a page are replaced while it is open.
function startCopyButtons() {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const label = button.querySelector("[data-copy-label]");
    label.textContent = await copyText(document.getElementById(button.dataset.copy));
    setTimeout(() => { label.textContent = "Copy"; }, 2000);
  });
}

startNavigator();
startNavigatorButton();
startMenus();
startCopyButtons();
