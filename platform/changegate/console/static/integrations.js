"use strict";

// Everything here listens on the document: the form is replaced as a whole when it changes.

const REUSABLE = "reusable-until-exp";

function formOf(button) {
  return button.form;
}

// What a button submits; the token is included only for the button that needs it.
function bodyOf(button) {
  const body = new FormData(formOf(button), button);
  for (const field of document.querySelectorAll("[data-only-for]")) {
    body.delete(field.id);
    if (button.dataset.sends === field.id) body.set(field.id, field.value);
  }
  return new URLSearchParams(body);
}

async function fetchFragment(button) {
  const response = await fetch(button.formAction, {
    method: "POST",
    headers: { "X-CSRFToken": formOf(button).elements.csrf_token.value, "X-Fragment": button.dataset.fragment },
    body: bodyOf(button),
    redirect: "manual",
  });
  if (!response.ok) throw new Error(`status ${response.status}`);
  return response.text();
}

const FAILED = "The action failed. If your session has ended, select Save to log in again; your entries are kept.";

// The server has escaped what it sends, and the page's policy runs no script that came with it.
async function showResult(button) {
  const place = document.getElementById(button.dataset.fragment);
  button.disabled = true;
  place.textContent = button.dataset.waiting;
  try {
    place.innerHTML = await fetchFragment(button);
  } catch {
    place.textContent = FAILED;
  } finally {
    button.disabled = false;
  }
}

function tellFailure(button) {
  document.getElementById("step-failure")?.remove();
  const notice = document.createElement("p");
  notice.id = "step-failure";
  notice.className = "field-error";
  notice.setAttribute("role", "alert");
  notice.textContent = FAILED;
  button.after(notice);
}

async function changeForm(button) {
  const form = formOf(button);
  try {
    const answer = fetchFragment(button);
    // Input during the request would be lost when the form is replaced.
    form.inert = true;
    form.setAttribute("aria-busy", "true");
    const text = await answer;
    const holder = document.createElement("div");
    holder.innerHTML = text;
    const next = holder.querySelector("form");
    for (const fold of form.querySelectorAll("details[id][open]")) {
      const same = next.querySelector(`#${fold.id}`);
      if (same) same.open = true;
    }
    form.replaceWith(next);
    prepareForm();
    if (button.dataset.done) {
      button.textContent = button.dataset.done;
      button.disabled = true;
    } else {
      document.getElementById(next.dataset.focus)?.focus();
    }
  } catch {
    form.inert = false;
    form.removeAttribute("aria-busy");
    tellFailure(button);
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-fragment]");
  if (!button) return;
  event.preventDefault();
  if (button.dataset.fragment === "form") changeForm(button);
  else showResult(button);
});

// Choosing a provider or its location has the same effect as the button beside it.
document.addEventListener("change", (event) => {
  const step = event.target.dataset.takesStep;
  if (step) document.getElementById(step).click();
  if (event.target.name === "scopes") showLimits();
  if (event.target.id === "enable_jti_verification") followJtiVerification(event.target.checked);
  if (event.target.id === "replay_policy") document.getElementById("enable_jti_verification").checked = event.target.value !== REUSABLE;
});

// Typing a user or choosing a field chooses the rule it belongs to, where there is more than one.
document.addEventListener("input", (event) => {
  const rule = document.getElementById(`subject_rule-${event.target.id}`);
  if (rule) rule.checked = true;
  const option = document.getElementById(event.target.dataset.chooses);
  if (option) option.checked = true;
});

// Two fields control whether an assertion can be reused; keep them consistent.
function followJtiVerification(isOn) {
  const policy = document.getElementById("replay_policy");
  if (!isOn) policy.value = REUSABLE;
  else if (policy.value === REUSABLE) policy.value = "jti-required-once";
}

function showLimits() {
  for (const box of document.querySelectorAll("input[name=scopes]")) {
    document.querySelector(`.of-${box.id}`)?.classList.toggle("is-chosen", box.checked);
  }
}

function prepareForm() {
  showLimits();
}

// Links of earlier releases name a tab by an anchor; other anchors can be in a folded part of the form.
function followAnchor() {
  const target = document.getElementById(location.hash.slice(1));
  if (target?.matches(".tabs a")) location.replace(target.href);
  const fold = target?.closest("details.fold");
  if (fold) {
    fold.open = true;
    target.scrollIntoView();
  }
}

window.addEventListener("hashchange", followAnchor);
followAnchor();

// With JavaScript, the token is sent only to the endpoint that checks it.
for (const field of document.querySelectorAll("[data-only-for]")) field.removeAttribute("name");
prepareForm();
