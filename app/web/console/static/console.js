// Everything works without this file. It only saves steps: a caret on the line that is wrong, and a question before
// something is thrown away.
"use strict";

// On a phone the menu is wider than the screen: the page that one is on is in sight.
const here = document.querySelector("nav a[aria-current]");
if (here) {
  const menu = here.closest("ul");
  menu.scrollLeft = here.offsetLeft - (menu.clientWidth - here.clientWidth) / 2;
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-line]");
  const text = document.querySelector("textarea[data-source]");
  if (!link || !text) return;
  event.preventDefault();
  const lines = text.value.split("\n");
  const start = lines.slice(0, Number(link.dataset.line) - 1).join("\n").length + (link.dataset.line > 1 ? 1 : 0);
  text.focus();
  text.setSelectionRange(start, start + (lines[link.dataset.line - 1] || "").length);
  text.scrollTop = (link.dataset.line - 4) * Number.parseFloat(getComputedStyle(text).lineHeight);
});

document.addEventListener("submit", (event) => {
  const question = event.target.dataset.ask;
  if (question && !window.confirm(question)) event.preventDefault();
});
