// A hook's answer as a clinician sees it: what each order needs, on which road, and the cards beside it.
import { el, safeLink } from "./dom.js";

const COVERAGE = "http://hl7.org/fhir/us/davinci-crd/StructureDefinition/ext-coverage-information";
const BUDGET_MS = 5000;
const COVERED = {
  covered: "covered",
  "not-covered": "not covered",
  conditional: "coverage depends on what is missing",
  indeterminate: "cannot be told now",
};
const AUTHORIZATION = {
  "no-auth": "no authorization needed",
  "auth-needed": "prior authorization needed",
  satisfied: "authorization on file",
  performpa: "authorization by the performer",
  conditional: "authorization depends on what is missing",
  indeterminate: "authorization cannot be told now",
};
const BENEFIT = {
  medical: "medical benefit",
  pharmacy: "pharmacy benefit",
  "medical-bundled": "medical benefit, bundled",
  none: "neither benefit pays",
  undetermined: "benefit not settled",
};
const DOCUMENTS = { clinical: "clinical", admin: "administrative", patient: "from the patient", conditional: "depends" };
const INFO = {
  performer: "who performs or supplies it",
  location: "where it is done",
  timeframe: "when",
  "contract-window": "under which contract",
  "detail-code": "the exact code",
};

const valueOf = (part) => {
  const key = Object.keys(part).find((name) => name.startsWith("value"));
  return key && part[key];
};

export function orderWords(order) {
  const formula = order.enteralFormula && order.enteralFormula.baseFormulaType;
  const concept = order.medicationCodeableConcept || order.code || order.codeCodeableConcept || formula || {};
  const coding = (concept.coding || [])[0];
  return concept.text || (coding && (coding.display || coding.code)) || order.resourceType;
}

export function repetitionsOf(order) {
  return (order.extension || []).filter((each) => each.url === COVERAGE).map((each) => read(each.extension));
}

function read(parts) {
  const all = (url) => parts.filter((part) => part.url === url).map(valueOf);
  const details = {};
  for (const part of parts.filter((each) => each.url === "detail")) {
    const coding = part.extension.find((each) => each.url === "code").valueCodeableConcept.coding[0];
    details[coding.code] = valueOf(part.extension.find((each) => each.url === "value"));
  }
  return {
    covered: all("covered")[0],
    pa: all("pa-needed")[0],
    docs: all("doc-needed"),
    info: all("info-needed"),
    billed: all("billingCode"),
    reasons: all("reason").map((reason) => reason.text || (reason.coding && reason.coding[0].display)),
    forms: all("questionnaire"),
    contacts: all("contact"),
    assertion: all("coverage-assertion-id")[0],
    satisfied: all("satisfied-pa-id")[0],
    expires: all("expiry-date")[0],
    details,
    track: details["benefit-track"],
  };
}

const shortSystem = (system) => {
  const known = [["HCPCS", "HCPCS"], ["ama-assn", "CPT"], ["rxnorm", "RxNorm"], ["ndc", "NDC"], ["snomed", "SNOMED"]];
  const found = known.find(([mark]) => (system || "").includes(mark));
  return found ? found[1] : "";
};

function pairs(rows) {
  return el("dl", { class: "pairs" }, rows.filter(Boolean).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}

function handoff(told) {
  const contact = told.contacts[0] || {};
  const ways = (contact.telecom || []).map((each) => each.value);
  return el("section", { class: "handoff" },
    el("h4", {}, "Handoff to the pharmacy road"),
    el("p", {}, told.details.instructions || "The pharmacy benefit manager handles this prescription."),
    pairs([
      contact.name && ["With", contact.name],
      ways.length > 0 && ["Reached at", ways.join(" · ")],
      told.details["epa-standard"] && ["Standard", told.details["epa-standard"]],
      ["Not by", "PAS over FHIR: no questionnaire is asked for on this road"],
    ]));
}

function answered(order, told, openForm) {
  const track = told.track;
  return el("article", { class: `card order ${track || ""}` },
    el("h3", {}, orderWords(order)),
    el("p", { class: "chips" },
      el("span", { class: `chip ${told.covered}` }, COVERED[told.covered] || told.covered),
      told.pa && el("span", { class: `chip ${told.pa}` }, AUTHORIZATION[told.pa] || told.pa),
      track && el("span", { class: `chip ${track}` }, BENEFIT[track] || track)),
    told.reasons.map((words) => el("p", { class: "why" }, words)),
    pairs([
      told.billed.length > 0 && ["Billed as", told.billed.map((code) => `${shortSystem(code.system)} ${code.code}`).join(", ")],
      told.info.length > 0 && ["Still missing", told.info.map((code) => INFO[code] || "see why").join(", ")],
      told.docs.length > 0 && ["Documents", told.docs.map((code) => DOCUMENTS[code] || code).join(", ")],
      told.satisfied && ["Authorization", told.satisfied],
      told.details["routing-rule"] && ["Routing rule", el("code", {}, told.details["routing-rule"])],
      ["Assertion", el("span", {}, el("code", {}, told.assertion), told.expires ? el("small", {}, ` holds to ${told.expires}`) : "")],
    ]),
    track === "pharmacy" && handoff(told),
    told.forms.length > 0 && el("div", { class: "actions" },
      told.forms.map((form) => el("button", { type: "button", onclick: () => openForm(told.assertion, form) },
        `Open the form: ${form.split("/").pop().split("|")[0].replaceAll("-", " ")}`))));
}

function card(told, accept, dismiss) {
  const offers = told.suggestions || [];
  const made = el("article", { class: `card cds ${told.indicator}` },
    el("p", { class: "topic" }, `${told.source.label}${told.source.topic ? ` · ${told.source.topic.display || told.source.topic.code}` : ""}`),
    el("h3", {}, told.summary),
    (told.detail || "").split("\n\n").filter(Boolean).map((words) => el("p", {}, words)),
    (told.links || []).map((link) => el("p", {}, safeLink(link.url)
      ? el("a", { href: link.url, rel: "noopener noreferrer", target: "_blank" }, link.label, link.type === "smart" ? " (SMART app)" : "")
      : link.label)),
    el("div", { class: "actions" },
      offers.filter((offer) => (offer.actions || []).length > 0).map((offer) =>
        el("button", { type: "button", onclick: () => accept(told, offer, made) }, offer.label)),
      el("button", { type: "button", class: "quiet", onclick: () => dismiss(told, made) }, "Dismiss")));
  return made;
}

function raw(name, value) {
  return el("details", { class: "raw" }, el("summary", {}, name), el("pre", { tabindex: "0", "aria-label": name }, JSON.stringify(value, null, 2)));
}

// The orders with what the payer says of them. An order that carries its answer already is not sent again.
function ordersOf(request, response) {
  const updated = (response.systemActions || []).map((action) => action.resource);
  const asked = (((request.context || {}).draftOrders || {}).entry || []).map((entry) => entry.resource);
  const before = asked.filter((order) => order && !updated.some((each) => each.id === order.id) && repetitionsOf(order).length);
  return [...updated, ...before];
}

// What was asked and answered, as one block; `cards` are those that wait for a person, `deeds` what one can do.
export function show(call, cards, deeds) {
  const { service, request, response, ms } = call;
  const orders = ordersOf(request, response);
  const within = ms <= BUDGET_MS ? `${((100 * ms) / BUDGET_MS).toFixed(1)} % of the 5 seconds` : "over the 5 seconds";
  return [
    el("div", { class: "time" },
      el("span", {}, el("code", {}, service), ` answered in ${Math.round(ms)} ms, ${within}`),
      el("meter", { min: 0, max: BUDGET_MS, low: BUDGET_MS * 0.5, high: BUDGET_MS * 0.9, optimum: 0, value: Math.min(ms, BUDGET_MS), "aria-label": `${Math.round(ms)} of 5000 milliseconds` })),
    orders.map((order) => repetitionsOf(order).map((told) => answered(order, told, deeds.openForm))),
    cards.map((told) => card(told, deeds.accept, deeds.dismiss)),
    orders.length + cards.length === 0 && el("p", { class: "notice" }, "The payer has nothing to say about this call."),
    raw("Request as it was sent", request),
    raw("Response as it came", response),
  ];
}
