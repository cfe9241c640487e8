// The pretend EHR: it keeps the drafts, fires the hooks, and does with the answers what a person chooses.
import { orderWords, show } from "./answer.js";
import { byId, el, postJson, troubleOf } from "./dom.js";
import { Form } from "./form.js";

const DTR = "/fhir/dtr/2.2";
const setup = await (await fetch("/sandbox/setup")).json();
let drafts = [];
let cards = [];  // shown and not yet answered; a payer does not repeat at once what it has just said

const patientId = () => byId("patient").value;
const read = async (path) => {
  const answer = await fetch(`${setup.fhirServer}/${path}`, { headers: { Authorization: `Bearer ${setup.token}` } });
  return answer.ok ? answer.json() : null;
};

function tell(words, wrong = false) {
  byId("status").textContent = words;
  byId("status").className = wrong ? "wrong" : "muted";
}

// --- asking

// The prefetch that a client can fill from the patient and the encounter alone; the rest the payer reads.
async function prefetch(service) {
  const found = {};
  const visit = `${patientId()}-visit`;
  const asked = Object.entries(service.prefetch || {}).map(async ([key, template]) => {
    const query = template.replaceAll("{{context.patientId}}", patientId()).replaceAll("{{context.encounterId}}", visit);
    if (!query.includes("{{")) found[key] = await read(query);
  });
  const record = { conditions: "Condition", observations: "Observation", procedures: "Procedure", medicationRequests: "MedicationRequest" };
  for (const [key, kind] of Object.entries(record)) {
    asked.push(read(`${kind}?patient=${patientId()}`).then((bundle) => { found[key] = bundle; }));
  }
  await Promise.all(asked);
  return found;
}

// One question after another: the answer to choosing, coming late, would stand in the place of the answer to signing.
let turn = Promise.resolve();
function fireDrafts(hook, selected) {
  const ask = () => askAboutDrafts(hook, selected);
  turn = turn.then(ask, ask);
  return turn;
}

async function askAboutDrafts(hook, selected) {
  const services = (await (await fetch("/cds-services")).json()).services;
  const service = services.find((each) => each.hook === hook);
  const context = {
    userId: "PractitionerRole/dr1-role", patientId: patientId(), encounterId: `${patientId()}-visit`,
    draftOrders: { resourceType: "Bundle", type: "collection", entry: drafts.map((order) => ({ resource: order })) },
  };
  if (selected) context.selections = [selected];
  await fire(service.id, {
    hook, hookInstance: crypto.randomUUID(), fhirServer: setup.fhirServer,
    fhirAuthorization: { access_token: setup.token, token_type: "Bearer", expires_in: 300, scope: "patient/*.rs", subject: "signpost" },
    context,
    ...(byId("prefetch").checked ? { prefetch: await prefetch(service) } : {}),
    extension: { "davinci-crd.requestedVersion": byId("version").value },
  });
}

async function fire(service, request) {
  tell(`${service} …`);
  const started = performance.now();
  let answer;
  let response;
  try {
    answer = await postJson(`/cds-services/${service}`, request);
    response = await answer.json();
  } catch {
    tell("The service could not be reached.", true);
    return;
  }
  const call = { service, request, response, ms: performance.now() - started };
  if (!answer.ok) {
    tell(troubleOf(response, answer.status), true);
    byId("answer").replaceChildren(...show(call, [], deeds).flat(Infinity).filter((each) => each && each.className !== "notice"));
    return;
  }
  keepAnswers(response);
  const drafted = new Set(drafts.map((order) => `${order.resourceType}/${order.id}`));
  const about = (card) => ((card.extension || {})["davinci-crd.associated-resource"] || []).map((each) => each.reference);
  const still = cards.filter((each) => about(each.card).some((key) => drafted.has(key)));
  cards = [...(response.cards || []).map((card) => ({ card, service })), ...still];
  tell(request.hook === "order-select" ? "This is what the payer says while you choose. Sign to get its binding answer." : "Answered.");
  byId("answer").replaceChildren(...show(call, cards.map((each) => each.card), deeds).flat(Infinity).filter(Boolean));
}

// An EHR stores what the payer wrote on its orders.
function keepAnswers(response) {
  for (const action of response.systemActions || []) {
    drafts = drafts.map((order) => (order.id === action.resource.id ? action.resource : order));
  }
  showDrafts();
}

// --- what a person can do with an answer

async function feedback(card, outcome, more) {
  const { service } = cards.find((each) => each.card.uuid === card.uuid);
  cards = cards.filter((each) => each.card.uuid !== card.uuid);
  await postJson(`/cds-services/${service}/feedback`, {
    feedback: [{ card: card.uuid, outcome, outcomeTimestamp: new Date().toISOString(), ...more }],
  });
}

function applied(actions) {
  for (const action of actions) {
    const ids = action.type === "delete" ? [action.resourceId].flat() : [];
    if (action.type === "delete") drafts = drafts.filter((order) => !ids.includes(`${order.resourceType}/${order.id}`));
    else if (action.type === "update") drafts = drafts.map((order) => (order.id === action.resource.id ? action.resource : order));
    else if (orderKinds.has(action.resource.resourceType)) drafts = [...drafts, action.resource];
  }
}
const orderKinds = new Set(["MedicationRequest", "ServiceRequest", "DeviceRequest", "NutritionOrder", "VisionPrescription", "CommunicationRequest"]);

const deeds = {
  async accept(card, offer, shown) {
    applied(offer.actions);
    await feedback(card, "accepted", { acceptedSuggestions: [{ id: offer.uuid }] });
    shown.remove();
    showDrafts();
    tell(`Accepted: ${offer.label}. The payer was told. Sign the orders again to see what they need now.`);
    byId("sign").focus();
  },
  async dismiss(card, shown) {
    await feedback(card, "overridden", {});
    shown.remove();
    tell("Dismissed. The payer was told.");
  },
  openForm,
};

// --- forms

async function openForm(assertion, canonical) {
  const parameter = [{ name: "context", valueString: assertion }, { name: "questionnaire", valueCanonical: canonical }];
  const answer = await postJson(`${DTR}/Questionnaire/$questionnaire-package`, { resourceType: "Parameters", parameter });
  const told = await answer.json();
  const found = answer.ok && told.parameter.find((each) => each.resource && each.resource.resourceType === "Bundle");
  if (!found) {
    tell(troubleOf(told, answer.status), true);
    return;
  }
  const form = new Form(found.resource);
  byId("form-dialog").showModal();
  if (form.adaptive && !(form.questionnaire.item || []).length) await next(form);
  else showForm(form);
}

function showForm(form, wrong = "") {
  const done = !form.adaptive || form.response.status === "completed";
  const close = () => byId("form-dialog").close();
  const body = el("form", {
    method: "dialog", novalidate: true,
    onsubmit: (event) => {
      event.preventDefault();
      const lacking = form.lacking();
      if (lacking.length) showForm(form, `Still to answer: ${lacking.map((item) => item.text).join("; ")}.`);
      else if (done) send(form);
      else next(form);
    },
  },
    el("h2", { id: "form-title" }, form.title),
    el("p", { class: "muted" }, "Answers that are filled in say where they come from. * must be answered."),
    wrong && el("p", { class: "wrong", role: "alert" }, wrong),
    form.render(),
    el("div", { class: "actions" }, el("button", { type: "submit" }, done ? "Complete and send back" : "Next"),
      el("button", { type: "button", class: "quiet", onclick: close }, "Close")));
  byId("form-body").replaceChildren(body);
  byId("form-dialog").scrollTop = 0;
}

async function next(form) {
  const answer = await postJson(`${DTR}/Questionnaire/$next-question`, form.completed("in-progress"));
  const told = await answer.json();
  if (!answer.ok) {
    showForm(form, troubleOf(told, answer.status));
    return;
  }
  form.response = told;
  form.use(form.questionnaire);
  showForm(form);
}

async function send(form) {
  const answer = await postJson(`${DTR}/QuestionnaireResponse`, form.completed("completed"));
  const told = await answer.json();
  if (!answer.ok) {
    showForm(form, troubleOf(told, answer.status));
    return;
  }
  byId("form-dialog").close();
  tell("The form is with the payer. Sign the orders again: its answers count now.");
  byId("sign").focus();
}

// --- the chart

function showPatient() {
  const chosen = byId("patient").selectedOptions[0].dataset;
  byId("patient-told").replaceChildren(...[["Born", chosen.born], ["Plan", chosen.plan], ["Member", chosen.member], ["Record", chosen.about]]
    .map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
  drafts = [];
  cards = [];
  showDrafts();
}

function showOptions() {
  const order = setup.orders.find((each) => each.id === byId("order").value);
  const routes = order.routes || [];
  byId("route").replaceChildren(...routes.map((route) => el("option", { value: route }, route || "not said")));
  byId("site").value = order.site || "";
  byId("pharmacy").value = order.pharmacy || "";
  document.querySelector("[data-for=route]").hidden = !routes.length;
  document.querySelector("[data-for=site]").hidden = order.type === "NutritionOrder";
  document.querySelector("[data-for=pharmacy]").hidden = order.type !== "MedicationRequest";
}

function showDrafts() {
  const rows = drafts.map((order) => el("li", {}, orderWords(order), el("button", {
    type: "button", class: "quiet", "aria-label": `Remove ${orderWords(order)}`,
    onclick: () => { drafts = drafts.filter((each) => each !== order); showDrafts(); },
  }, "remove")));
  byId("drafts").replaceChildren(...(rows.length ? rows : [el("li", { class: "empty" }, "none yet")]));
  byId("sign").disabled = byId("clear").disabled = !drafts.length;
}

function showWay() {
  const wanted = ["scenario", "own"].find((name) => location.hash === `#${name}`) || "chart";
  for (const way of document.querySelectorAll(".way")) way.hidden = way.id !== wanted;
  for (const link of document.querySelectorAll("nav a[href^='#']")) {
    if (link.hash === `#${wanted}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

function showScenarios() {
  const sought = byId("scenario-find").value.toLowerCase();
  const found = setup.scenarios.filter((each) => `${each.id} ${each.title}`.toLowerCase().includes(sought));
  byId("scenario-name").replaceChildren(...found.map((each) => el("option", { value: each.id }, `${each.title} (${each.id})`)));
  byId("scenario-name").selectedIndex = 0;
  showUnlike();
}

// What a scenario says that a call of today cannot.
function showUnlike() {
  const chosen = setup.scenarios.find((each) => each.id === byId("scenario-name").value);
  const words = chosen ? chosen.unlike : "No scenario has these words.";
  byId("scenario-unlike").textContent = words || "";
  byId("scenario-unlike").hidden = !words;
}

byId("patient").addEventListener("change", () => { showPatient(); byId("answer").replaceChildren(); });
byId("order").addEventListener("change", showOptions);
byId("order-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const asked = Object.fromEntries(["patient", "order", "route", "site", "pharmacy"].map((name) => [name, byId(name).value]));
  const answer = await postJson("/sandbox/drafts", asked);
  const order = await answer.json();
  if (!answer.ok) {
    tell(troubleOf(order, answer.status), true);
    return;
  }
  drafts.push(order);
  showDrafts();
  await fireDrafts("order-select", `${order.resourceType}/${order.id}`);
});
byId("sign").addEventListener("click", () => fireDrafts("order-sign"));
byId("clear").addEventListener("click", () => { drafts = []; cards = []; showDrafts(); byId("answer").replaceChildren(); tell("Started again."); });
byId("scenario-name").addEventListener("change", showUnlike);
byId("scenario-find").addEventListener("input", showScenarios);
byId("scenario-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (!byId("scenario-name").value) return;
  const request = await (await fetch(`/sandbox/scenarios/${encodeURIComponent(byId("scenario-name").value)}`)).json();
  drafts = [];
  cards = [];
  showDrafts();
  await fire(`${request.hook}-crd`, { ...request, hookInstance: crypto.randomUUID() });
});
byId("own-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  let request;
  try {
    request = JSON.parse(byId("own-text").value);
  } catch (trouble) {
    tell(`This is not JSON: ${trouble.message}`, true);
    return;
  }
  if (!request || typeof request.hook !== "string") {
    tell("This is no CDS Hooks request: it has no hook, such as \"order-sign\".", true);
    return;
  }
  await fire(`${encodeURIComponent(request.hook)}-crd`, request);
});
window.addEventListener("hashchange", showWay);

showPatient();
showOptions();
showScenarios();
showWay();
document.documentElement.dataset.ready = "yes";
