"use strict";

// Swagger UI has a dark theme of its own, by a class.
{
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const apply = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
  dark.addEventListener("change", apply);
  apply();
}

{
  const place = document.querySelector("[data-document]");
  // A page has one main landmark, and Swagger UI's is within it.
  const demote = () => place.querySelector("main:not([role])")?.setAttribute("role", "group");
  new MutationObserver(demote).observe(place, { childList: true, subtree: true });
  SwaggerUIBundle({
    domNode: place,
    url: place.dataset.document,
    deepLinking: true,
    docExpansion: "none",
    defaultModelsExpandDepth: -1,
    filter: true,
    tryItOutEnabled: true,
    displayRequestDuration: true,
    validatorUrl: null,
    // Without it the browser would ask for a password itself when an operation is refused, and send the session along.
    requestInterceptor: (request) => Object.assign(request, request.loadSpec ? {} : { credentials: "omit" }),
    onComplete: () => place.removeAttribute("aria-busy"),
  });
}
