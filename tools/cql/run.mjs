// Runs compiled libraries on patients. In, as JSON: {"libraries": [ELM, …], "cases": [{"library", "on", "bundle", "order"}, …]}.
// The order goes to the parameter `clinical` where the library takes one of its type (SDC, "Form Population").
// Out, as the last line: a list with the results of each case by the name of the definition; elements of FHIR come out as its JSON.
import { readFileSync } from "node:fs";
import cql from "cql-execution";
import fhir from "cql-exec-fhir";

const { libraries, cases } = JSON.parse(readFileSync(0, "utf8"));
const repository = new cql.Repository(libraries);

function plain(value) {
  if (value === null || value === undefined) return null;
  if (Array.isArray(value)) return value.map(plain);
  if (value.isDate || value.isDateTime || value.isTime) return value.toString();
  if (value.isCode) return { system: value.system, code: value.code };
  if (value.isQuantity) return { value: value.value, code: value.unit };
  return typeof value === "object" ? unwrapped(JSON.parse(JSON.stringify(value))) : value;
}

// The engine shows a primitive of FHIR as an element with nothing but its value.
function unwrapped(value) {
  if (Array.isArray(value)) return value.map(unwrapped);
  if (value === null || typeof value !== "object") return value;
  const keys = Object.keys(value);
  if (keys.length === 1 && keys[0] === "value") return unwrapped(value.value);
  return Object.fromEntries(keys.map((key) => [key, unwrapped(value[key])]));
}

function parametersFor(library, order) {
  const declared = (library.library.parameters?.def ?? []).find((each) => each.name === "clinical");
  const wanted = declared?.parameterTypeSpecifier?.name;
  const taken = order && wanted === `{http://hl7.org/fhir}${order.resourceType}`;
  return taken ? { clinical: fhir.FHIRWrapper.FHIRv401().wrap(order) } : {};
}

const results = [];
for (const { library, on, bundle, order } of cases) {
  const patients = fhir.PatientSource.FHIRv401();
  patients.loadBundles([bundle]);
  const now = cql.DateTime.fromJSDate(new Date(`${on}T00:00:00Z`), 0);
  const parameters = parametersFor(libraries.find((each) => each.library.identifier.id === library), order);
  const executor = new cql.Executor(repository.resolve(library), undefined, parameters);
  const { patientResults } = await executor.exec(patients, now);
  const [found] = Object.values(patientResults);
  delete found.Patient;
  results.push(Object.fromEntries(Object.entries(found).map(([name, value]) => [name, plain(value)])));
}
process.stdout.write(`\n${JSON.stringify(results)}`);
