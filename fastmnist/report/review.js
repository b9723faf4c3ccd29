
"use strict";

const {classes, table} = JSON.parse(document.getElementById("data").textContent);
const list = document.getElementById("rows");
const rows = [...list.children];
const state = document.getElementById("state");

for (const row of rows) addControls(row);
let saved = labels();
document.getElementById("bar").hidden = false;
document.getElementById("no-script").hidden = true;
document.getElementById("save").addEventListener("click", save);
list.addEventListener("focusin", event => event.target.select?.());
list.addEventListener("click", event => {
  if (event.target.type === "button") {
    inputOf(event.target).value = event.target.value;
    show(event.target);
  }
});
list.addEventListener("input", event => {
  const value = event.target.value;
  show(event.target);
  if (classes.filter(name => name.startsWith(value)).join() === value) next(event.target);
});
list.addEventListener("keydown", event => {
  if (event.key === "Enter" && event.target.type === "text") next(event.target);
});
addEventListener("beforeunload", event => {
  if (labels() !== saved) event.preventDefault();
});

// The guesses of a row become buttons, and a field for its label is added.
function addControls(row) {
  const [where, guesses] = row.querySelectorAll("p");
  const names = [...guesses.querySelectorAll("b")];
  const input = document.createElement("input");
  input.type = "text";
  input.defaultValue = row.dataset.n === "0" ? "" : names[0].textContent;
  input.placeholder = "left out";
  input.inputMode = classes.every(name => /^\d+$/.test(name)) ? "numeric" : "text";
  input.enterKeyHint = "next";
  input.autocomplete = "off";
  input.spellcheck = false;
  input.setAttribute("aria-label", `label of ${where.textContent}`);
  row.append(input);
  for (const name of names) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = name.textContent;
    button.value = classes.includes(name.textContent) ? name.textContent : "";
    name.replaceWith(button);
  }
}

function labels() {
  return rows.map(row => inputOf(row).value).join("\n");
}

function inputOf(element) {
  return element.closest("li").querySelector("input");
}

function next(element) {
  element.closest("li").nextElementSibling?.querySelector("input").focus();
}

// Shows what has become of the row of an element.
function show(element) {
  const input = inputOf(element);
  const isKnown = input.value === "" || classes.includes(input.value);
  input.setCustomValidity(isKnown ? "" : `expected one of ${classes.slice(0, 20).join(", ")}`);
  input.setAttribute("aria-invalid", !isKnown);
  input.closest("li").classList.toggle("changed", input.value !== input.defaultValue);
  const count = list.getElementsByClassName("changed").length;
  state.textContent = count ? `${count} corrected` : "nothing corrected";
}

// Saves the table with the labels of the fields in the places of those that it had.
function save() {
  const wrong = list.querySelector("input:invalid");
  if (wrong) {
    wrong.reportValidity();
    return;
  }
  const bytes = Uint8Array.from(atob(table), letter => letter.charCodeAt(0));
  const parts = [];
  let position = 0;
  for (const row of [...rows].sort((one, other) => one.dataset.at - other.dataset.at)) {
    const at = Number(row.dataset.at);
    parts.push(bytes.subarray(position, at), quoted(inputOf(row).value));
    position = at + Number(row.dataset.n);
  }
  parts.push(bytes.subarray(position));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(parts, {type: "text/csv"}));
  link.download = "corrected.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  saved = labels();
  state.textContent = `${state.textContent.replace(", saved", "")}, saved`;
}

// A cell of a table (RFC 4180).
function quoted(label) {
  return /[,"\r\n]/.test(label) ? `"${label.replaceAll('"', '""')}"` : label;
}
