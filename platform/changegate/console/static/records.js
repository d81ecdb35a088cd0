"use strict";

// Selects every record of the page.
function startSelectAll() {
  const all = document.querySelector("[data-select-all]");
  if (!all) return;
  const boxes = [...document.querySelectorAll("#selection tbody input[type=checkbox]")];
  all.hidden = false;
  all.addEventListener("change", () => { for (const box of boxes) box.checked = all.checked; });
}

// Offers the operators of the chosen field only, and what its value can be: choices, times, or suggested records.
function startBuilder() {
  const suggestions = document.querySelector("[data-builder]")?.dataset.builder;
  for (const row of document.querySelectorAll("[data-builder] .condition:not([data-encoded])")) {
    const field = row.querySelector("[name=field]"), operator = row.querySelector("[name=operator]"), value = row.querySelector("[name=value]");
    const apply = () => {
      const kind = field.selectedOptions[0].dataset.kind;
      for (const option of operator.options) option.hidden = option.disabled = Boolean(kind) && !option.dataset.kinds.split(" ").includes(kind);
      if (operator.selectedOptions[0]?.disabled) operator.value = [...operator.options].find((option) => !option.disabled).value;
      const own = `choices-${field.value}`, times = operator.value.startsWith("RELATIVE") ? "relative-times" : "periods";
      const { reference } = field.selectedOptions[0].dataset;
      value.dataset.suggestions = reference ? suggestions.replace("TABLE", reference) : "";
      value.setAttribute("list", reference ? row.querySelector("datalist").id : document.getElementById(own) ? own : kind?.startsWith("glide_date") ? times : "");
    };
    field.addEventListener("change", () => { value.value = ""; apply(); });
    operator.addEventListener("change", apply);
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

// Suggests records for references while their names are typed; in a list, for the name after the last comma.
function startSuggestions() {
  for (const input of document.querySelectorAll("[data-suggestions]")) {
    let timer, last = input.value;
    input.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(async () => {
        const before = "many" in input.dataset ? input.value.match(/^(.*,\s*)?/)[0] : "", name = input.value.slice(before.length).trim();
        if (!input.dataset.suggestions || input.value === last || name.length < 2) return;
        last = input.value;
        const reply = await fetch(`${input.dataset.suggestions}?q=${encodeURIComponent(name)}`);
        if (!reply.ok) return;
        const { suggestions } = await reply.json();
        input.list.replaceChildren(...suggestions.map(({ value, label }) => Object.assign(document.createElement("option"), { value: before + value, label: before + label })));
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
