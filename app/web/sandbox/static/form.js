// A questionnaire as a form: items by type, shown or not as other answers say, prefilled ones marked with their origin.
import { el } from "./dom.js";

const ORIGIN = "http://hl7.org/fhir/us/davinci-dtr/StructureDefinition/information-origin";
const ORIGINS = {
  "auto": "filled in for you", "auto-server": "filled in by the payer", "auto-client": "filled in by the EHR",
  "override": "changed by you", "manual": "answered by you",
};
const KIND = {
  boolean: "valueBoolean", decimal: "valueDecimal", integer: "valueInteger", date: "valueDate", dateTime: "valueDateTime",
  time: "valueTime", string: "valueString", text: "valueString", url: "valueUri", choice: "valueCoding",
  "open-choice": "valueCoding", quantity: "valueQuantity", attachment: "valueAttachment", reference: "valueReference",
};

const valueOf = (answer) => {
  const key = Object.keys(answer).find((name) => name.startsWith("value"));
  return key && answer[key];
};
const originOf = (answer) => {
  const found = (answer.extension || []).find((each) => each.url === ORIGIN);
  const source = found && found.extension.find((each) => each.url === "source");
  return source && source.valueCode;
};
const sameCode = (a, b) => a && b && a.code === b.code && (!a.system || !b.system || a.system === b.system);
const expanded = (valueSets, url) => {
  const plain = (url || "").split("|")[0];
  const set = valueSets.find((each) => each.url === plain);
  return ((set && set.expansion && set.expansion.contains) || []).map((code) => ({ valueCoding: code }));
};

export class Form {
  // `bundle` is a package: the Questionnaire, its draft response, value sets.
  constructor(bundle) {
    const resources = bundle.entry.map((entry) => entry.resource);
    this.response = resources.find((each) => each.resourceType === "QuestionnaireResponse");
    this.valueSets = resources.filter((each) => each.resourceType === "ValueSet");
    this.use(resources.find((each) => each.resourceType === "Questionnaire"));
  }

  use(questionnaire) {
    const inside = (this.response.contained || []).find((each) => each.resourceType === "Questionnaire");
    this.questionnaire = inside && (inside.item || !questionnaire.item) ? inside : questionnaire;
    this.title = this.questionnaire.title || (questionnaire && questionnaire.title) || "Form";
    this.adaptive = Boolean(inside);
    this.valueSets.push(...(this.questionnaire.contained || []).filter((each) => each.resourceType === "ValueSet"));
    this.answers = new Map();
    this.before = new Map();
    const walk = (items) => (items || []).forEach((item) => {
      if (item.answer) {
        this.answers.set(item.linkId, item.answer.map((answer) => ({ ...answer })));
        this.before.set(item.linkId, JSON.stringify(item.answer.map(valueOf)));
      }
      walk(item.item);
      (item.answer || []).forEach((answer) => walk(answer.item));
    });
    walk(this.response.item);
    // What a form starts with when nothing was found.
    const initial = (items) => (items || []).forEach((item) => {
      if (item.initial && !this.answers.has(item.linkId)) this.answers.set(item.linkId, item.initial.map((each) => ({ ...each })));
      initial(item.item);
    });
    initial(this.questionnaire.item);
  }

  values(linkId) {
    return (this.answers.get(linkId) || []).map(valueOf);
  }

  set(item, values) {
    const key = KIND[item.type] || "valueString";
    const kept = values.filter((value) => value !== "" && value !== null && value !== undefined);
    const unchanged = this.before.get(item.linkId) === JSON.stringify(kept);
    const original = unchanged ? this.originals(item.linkId) : null;
    const source = this.before.has(item.linkId) ? "override" : "manual";
    const origin = { url: ORIGIN, extension: [{ url: "source", valueCode: source }] };
    this.answers.set(item.linkId, original || kept.map((value) => ({
      extension: [origin],
      [item.type === "open-choice" && typeof value === "string" ? "valueString" : key]: value,
    })));
    this.refresh();
  }

  originals(linkId) {
    let found = null;
    const walk = (items) => (items || []).forEach((item) => {
      if (item.linkId === linkId) found = item.answer;
      walk(item.item);
    });
    walk(this.response.item);
    return found && found.map((answer) => ({ ...answer }));
  }

  enabled(item) {
    const conditions = item.enableWhen || [];
    if (!conditions.length) return true;
    const met = conditions.map((condition) => this.meets(condition));
    return item.enableBehavior === "any" ? met.some(Boolean) : met.every(Boolean);
  }

  meets(condition) {
    const given = this.values(condition.question);
    const key = Object.keys(condition).find((name) => name.startsWith("answer"));
    const wanted = condition[key];
    if (condition.operator === "exists") return (given.length > 0) === wanted;
    const order = (value) => {
      const a = key === "answerQuantity" ? value.value : value;
      const b = key === "answerQuantity" ? wanted.value : wanted;
      return a < b ? -1 : a > b ? 1 : 0;
    };
    const same = (value) => (key === "answerCoding" ? sameCode(value, wanted) : order(value) === 0);
    const test = {
      "=": same, "!=": (value) => !same(value), "<": (value) => order(value) < 0, ">": (value) => order(value) > 0,
      "<=": (value) => order(value) <= 0, ">=": (value) => order(value) >= 0,
    }[condition.operator];
    return given.some(test);
  }

  render() {
    this.rows = [];
    const made = this.items(this.questionnaire.item || []);
    this.refresh();
    return made;
  }

  items(items) {
    return items.map((item) => {
      const row = this.row(item);
      this.rows.push({ item, row });
      return row;
    });
  }

  refresh() {
    for (const { item, row } of this.rows) row.hidden = !this.enabled(item);
    for (const { item, row } of this.rows) {
      const mark = row.querySelector(":scope > .mark, :scope > legend > .mark");
      if (!mark) continue;
      const source = (this.answers.get(item.linkId) || []).map(originOf).find(Boolean);
      mark.textContent = ORIGINS[source] || "";
      mark.className = ORIGINS[source] ? "mark origin" : "mark";
    }
  }

  row(item) {
    const words = [item.prefix ? `${item.prefix} ` : "", item.text || item.linkId];
    if (item.type === "group") return el("fieldset", {}, el("legend", {}, words), this.items(item.item || []));
    if (item.type === "display") return el("p", { class: "muted" }, item.text);
    const needed = item.required && el("span", { class: "needed", "aria-hidden": "true" }, " *");
    const mark = el("span", { class: "mark" });
    const nested = item.item && item.item.length ? el("div", { class: "stack" }, this.items(item.item)) : null;
    if (["choice", "open-choice", "boolean"].includes(item.type)) {
      return el("fieldset", { class: "choices" }, el("legend", {}, words, needed, mark), this.choices(item), nested);
    }
    return el("label", {}, el("span", {}, words, needed), mark, this.input(item), nested);
  }

  options(item) {
    if (item.type === "boolean") return [{ valueBoolean: true }, { valueBoolean: false }];
    return item.answerOption || expanded(this.valueSets, item.answerValueSet && item.answerValueSet.replace(/^#/, ""));
  }

  choices(item) {
    let options = this.options(item);
    if (item.answerValueSet && item.answerValueSet.startsWith("#")) {
      const inside = this.valueSets.find((each) => each.id === item.answerValueSet.slice(1));
      options = ((inside && inside.expansion && inside.expansion.contains) || []).map((code) => ({ valueCoding: code }));
    }
    const given = this.values(item.linkId);
    const known = options.map(valueOf);
    for (const value of given) {  // an answer that was filled in must be seen, listed or not
      if (typeof value === "object" && !known.some((each) => sameCode(each, value))) options = [...options, { valueCoding: value }];
    }
    const chosen = (value) => given.some((each) => (typeof value === "object" ? sameCode(each, value) : each === value));
    return options.map((option) => {
      const value = valueOf(option);
      const words = value === true ? "Yes" : value === false ? "No" : value.display || value.code || String(value);
      const box = el("input", {
        type: item.repeats ? "checkbox" : "radio", name: item.linkId, checked: chosen(value), disabled: item.readOnly,
        onchange: () => this.set(item, [...document.getElementsByName(item.linkId)].flatMap((each, position) => (each.checked ? [valueOf(options[position])] : []))),
      });
      return el("label", { class: "choice" }, box, words);
    });
  }

  input(item) {
    const given = this.values(item.linkId)[0];
    const unit = this.unitOf(item, given);
    const common = { name: item.linkId, disabled: item.readOnly, required: item.required };
    const took = (convert) => (event) => this.set(item, [event.target.value === "" ? null : convert(event.target.value)]);
    if (item.type === "text") return el("textarea", { ...common, rows: 3, onchange: took(String) }, given || "");
    const types = { date: "date", decimal: "number", integer: "number", quantity: "number", url: "url" };
    const number = { decimal: Number, integer: Number, quantity: (text) => ({ ...unit, value: Number(text) }) };
    const shown = item.type === "quantity" ? given && given.value : given;
    const box = el("input", {
      ...common, type: types[item.type] || "text", step: item.type === "integer" ? 1 : "any", value: shown === undefined ? null : shown,
      onchange: took(number[item.type] || String),
    });
    return item.type === "quantity" && unit.unit ? [box, el("small", {}, `in ${unit.unit}`)] : box;
  }

  unitOf(item, given) {
    if (given && given.unit) return { unit: given.unit, system: given.system, code: given.code };
    const found = (item.extension || []).find((each) => /questionnaire-unit(Option)?$/.test(each.url));
    const coding = found && found.valueCoding;
    return coding ? { unit: coding.display || coding.code, system: coding.system, code: coding.code } : {};
  }

  // Questions that are asked, must be answered, and are not.
  lacking() {
    const asked = (items) => (items || []).filter((item) => this.enabled(item))
      .flatMap((item) => [...(item.required && item.type !== "group" && item.type !== "display" ? [item] : []), ...asked(item.item)]);
    return asked(this.questionnaire.item).filter((item) => this.values(item.linkId).length === 0);
  }

  completed(status) {
    const build = (items) => (items || []).filter((item) => this.enabled(item)).flatMap((item) => {
      const below = build(item.item);
      const answer = this.answers.get(item.linkId) || [];
      if (item.type === "group") return below.length ? [{ linkId: item.linkId, text: item.text, item: below }] : [];
      if (!answer.length) return [];
      return [{ linkId: item.linkId, text: item.text, answer: answer.map((each, position) => (position === 0 && below.length ? { ...each, item: below } : each)) }];
    });
    return { ...this.response, status, authored: new Date().toISOString(), item: build(this.questionnaire.item) };
  }
}
