// The routing table of a draft, changed where it stands: a cell becomes what the form of its row has for it, is kept as
// that form would keep it, and the table comes back checked. Without this file the row's name opens the form.
"use strict";

const say = (words) => { document.getElementById("said").textContent = words; };
const table = () => document.querySelector("#table table");
const cellAt = (row, column) => table().querySelector(`tr[data-row="${CSS.escape(row)}"] > td[data-column="${CSS.escape(column)}"]`);
const wordsOf = (cell) => cell.querySelector(".text").textContent;
let current = null; // the cell that Tab comes to
let open = null; // the cell that is being changed

// Arrows move among cells, one of which Tab stops at (WAI-ARIA, grid).
function ready() {
  if (!table() || !table().dataset.edit) return;
  table().setAttribute("role", "grid");
  table().setAttribute("aria-describedby", "keys");
  for (const cell of table().querySelectorAll("td[data-column]")) {
    cell.setAttribute("role", "gridcell");
    cell.tabIndex = -1;
  }
  settle(table().querySelector("td[data-column]"));
  document.getElementById("keys").hidden = false;
}

function settle(cell) {
  if (!cell) return;
  if (current) current.tabIndex = -1;
  current = cell;
  cell.tabIndex = 0;
}

function move(cell, across, down) {
  const row = down ? cell.parentElement[down > 0 ? "nextElementSibling" : "previousElementSibling"] : cell.parentElement;
  const next = row && row.children[cell.cellIndex + across];
  if (!next || !next.dataset.column) return cell;
  settle(next);
  next.focus();
  return next;
}

function change(cell, typed) {
  if (open) return;
  const template = document.querySelector(`template[data-control="${CSS.escape(cell.dataset.column)}"]`);
  const before = [...cell.childNodes];
  const made = template.content.cloneNode(true);
  const control = made.querySelector("input, select");
  const text = wordsOf(cell);
  control.setAttribute("aria-label", `${cell.dataset.column} of ${cell.parentElement.dataset.row}`);
  if (control.tagName === "SELECT" && ![...control.options].some((each) => each.value === text)) control.add(new Option(text, text));
  control.value = typed === undefined || control.tagName === "SELECT" ? text : typed;
  cell.replaceChildren(made);
  cell.classList.add("editing");
  open = { cell, control, text, before };
  control.focus();
  if (typed === undefined && control.select) control.select();
}

function leave() {
  const { cell, before } = open;
  open = null;
  cell.classList.remove("editing");
  cell.replaceChildren(...before);
}

// Keeps what is written and goes on to the cell `across` and `down` from here; null: wherever the user went.
async function keep(across, down) {
  const { cell, control, text } = open;
  const value = control.value.trim();
  if (value === text) {
    leave();
    if (across !== null) move(cell, across, down).focus();
    return;
  }
  const { edit, version, csrf, q, columns } = table().dataset;
  const row = cell.parentElement.dataset.row;
  const column = cell.dataset.column;
  const body = new URLSearchParams({ csrf, version, q, columns, was: row, do: "keep", [column]: value });
  control.disabled = true;
  let told;
  try {
    const answer = await fetch(edit, { method: "POST", body });
    told = new DOMParser().parseFromString(await answer.text(), "text/html");
  } catch {
    told = null;
  }
  const fresh = told && told.getElementById("table");
  if (!fresh) {
    const why = told && told.querySelector("main .wrong, main p");
    control.disabled = false;
    control.focus();
    say(`Not kept. ${why ? why.textContent : "The console did not answer; try again."}`);
    return;
  }
  open = null;
  const [left, top] = [document.querySelector("#table .scroll").scrollLeft, document.querySelector("#table .scroll").scrollTop];
  document.getElementById("table").replaceWith(document.adoptNode(fresh));
  ready();
  document.querySelector("#table .scroll").scrollTo(left, top);
  const wrong = table().querySelectorAll(".faulty").length;
  const here = cellAt(row, column);
  const faults = here ? [...here.querySelectorAll(".fault")].map((each) => each.textContent) : [];
  const elsewhere = wrong === 1 ? "A cell or row elsewhere is wrong." : `${wrong} cells or rows elsewhere are wrong.`;
  say(`${column} of ${row} is kept. ${faults.join(" ") || (wrong ? elsewhere : "Nothing is wrong.")}`);
  if (!here) return;
  settle(here);
  if (across === null) return;
  here.focus();
  if (!faults.length) move(here, across, down);
}

document.addEventListener("click", (event) => {
  const cell = event.target.closest("#table table[data-edit] td[data-column]");
  if (!cell || (open && open.cell === cell)) return;
  settle(cell);
  if (!open) change(cell);
});

document.addEventListener("focusout", (event) => {
  // Elsewhere in the page is as good as Enter.
  if (open && event.target === open.control && !open.control.disabled && event.relatedTarget !== open.control) keep(null, 0);
});

document.addEventListener("keydown", (event) => {
  if (open && event.target === open.control) {
    if (event.key === "Escape") {
      const { cell } = open;
      leave();
      cell.focus();
    } else if (event.key === "Enter") keep(0, 1);
    else if (event.key === "Tab") keep(event.shiftKey ? -1 : 1, 0);
    else return;
    event.preventDefault();
    return;
  }
  const cell = event.target.closest("#table td[data-column]");
  if (!cell || event.target !== cell || event.ctrlKey || event.metaKey || event.altKey) return;
  const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  if (event.key in arrows) move(cell, ...arrows[event.key]);
  else if (event.key === "Home") move(cell, 1 - cell.cellIndex, 0);
  else if (event.key === "End") move(cell, cell.parentElement.cells.length - 1 - cell.cellIndex, 0);
  else if (event.key === "Enter" || event.key === "F2") change(cell);
  else if (event.key === "Delete" || event.key === "Backspace") change(cell, "");
  else if (event.key.length === 1 && event.key !== " ") change(cell, event.key);
  else return;
  event.preventDefault();
});

ready();
