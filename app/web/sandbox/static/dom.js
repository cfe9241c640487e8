// Elements from data. Text only ever becomes text: nothing of an answer is read as HTML.

export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== undefined && value !== null) made.setAttribute(key, value);
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

export const byId = (id) => document.getElementById(id);

export const safeLink = (url) => (/^https?:\/\//.test(url) ? url : null);

export async function postJson(url, body) {
  return fetch(url, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
}

// What went wrong, in the words of an OperationOutcome when there is one.
export function troubleOf(body, status) {
  const issues = (body && body.issue) || [];
  const words = issues.map((issue) => issue.diagnostics || (issue.details && issue.details.text) || issue.code);
  return words.length ? words.join(" ") : `The service answered ${status}.`;
}
