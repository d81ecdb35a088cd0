"use strict";

// Selects every record of the page.
function startSelectAll() {
  const all = document.querySelector("[data-select-all]");
  if (!all) return;
  const boxes = [...document.querySelectorAll("#selection tbody input[type=checkbox]")];
  all.hidden = false;
  all.addEventListener("change", () => { for (const box of boxes) box.checked = all.checked; });
}

// Offers the operators of the chosen field only.
function startBuilder() {
  for (const row of document.querySelectorAll("[data-builder] .condition:not([data-encoded])")) {
    const field = row.querySelector("[name=field]"), operator = row.querySelector("[name=operator]"), value = row.querySelector("[name=value]");
    const apply = () => {
      const kind = field.selectedOptions[0].dataset.kind;
      for (const option of operator.options) option.hidden = option.disabled = Boolean(kind) && !option.dataset.kinds.split(" ").includes(kind);
      if (operator.selectedOptions[0]?.disabled) operator.value = [...operator.options].find((option) => !option.disabled).value;
      const own = `choices-${field.value}`;
      value.setAttribute("list", document.getElementById(own) ? own : kind?.startsWith("glide_date") ? "periods" : "");
    };
    field.addEventListener("change", apply);
    apply();
  }
}

// Offers the choices of the field that a bulk change sets, or suggests records for a reference.
function startBulkChange() {
  const field = document.getElementById("bulk-field"), value = document.getElementById("bulk-value");
  if (!field) return;
  const apply = () => {
    const own = `choices-${field.value}`;
    value.dataset.suggestions = field.selectedOptions[0].dataset.suggestions ?? "";
    value.setAttribute("list", document.getElementById(own) ? own : "bulk-value-suggestions");
    document.getElementById("bulk-value-suggestions").replaceChildren();
  };
  field.addEventListener("change", () => { value.value = ""; apply(); });
  apply();
}

// Suggests records for references while their names are typed.
function startSuggestions() {
  for (const input of document.querySelectorAll("[data-suggestions]")) {
    let timer, last = input.value;
    input.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(async () => {
        if (!input.dataset.suggestions || input.value === last || input.value.trim().length < 2) return;
        last = input.value;
        const reply = await fetch(`${input.dataset.suggestions}?q=${encodeURIComponent(input.value.trim())}`);
        if (!reply.ok) return;
        const { suggestions } = await reply.json();
        input.list.replaceChildren(...suggestions.map(({ value, label }) => Object.assign(document.createElement("option"), { value, label })));
      }, 200);
    });
  }
}

// Takes files that are dropped on the form of an upload.
function startDropZone() {
  const zone = document.querySelector("[data-drop]");
  if (!zone) return;
  const input = zone.querySelector("input[type=file]");
  for (const name of ["dragover", "dragleave", "drop"]) {
    zone.addEventListener(name, (event) => {
      event.preventDefault();
      zone.classList.toggle("is-over", name === "dragover");
      if (name === "drop" && event.dataTransfer.files.length) { input.files = event.dataTransfer.files; zone.requestSubmit(); }
    });
  }
}

startDropZone();
startSelectAll();
startBuilder();
startBulkChange();
startSuggestions();
