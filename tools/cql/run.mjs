// Runs compiled libraries on patients. In, as JSON: {"libraries": [ELM, …], "cases": [{"library", "on", "bundle"}, …]}.
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

const results = [];
for (const { library, on, bundle } of cases) {
  const patients = fhir.PatientSource.FHIRv401();
  patients.loadBundles([bundle]);
  const now = cql.DateTime.fromJSDate(new Date(`${on}T00:00:00Z`), 0);
  const { patientResults } = await new cql.Executor(repository.resolve(library)).exec(patients, now);
  const [found] = Object.values(patientResults);
  delete found.Patient;
  results.push(Object.fromEntries(Object.entries(found).map(([name, value]) => [name, plain(value)])));
}
process.stdout.write(`\n${JSON.stringify(results)}`);
