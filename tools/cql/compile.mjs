// Compiles CQL libraries to ELM. In, as JSON: {"HomeOxygen": "library HomeOxygen …", …}, every library that is
// included among them. Out: {"HomeOxygen": {"elm": {…}}} or {"HomeOxygen": {"errors": [{"line", "column", "message"}]}}.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import {
  CqlTranslator, LibraryManager, ModelManager,
  createLibrarySourceProvider, createModelInfoProvider, createUcumService, stringAsSource,
} from "@cqframework/cql/cql-to-elm";


const modelOfFhir = createRequire(import.meta.url).resolve("cql-exec-fhir").replace(/index\.js$/, "modelInfos/fhir-modelinfo-4.0.1.xml");
const models = { System: new URL("system-modelinfo.xml", import.meta.url), FHIR: modelOfFhir };
const texts = JSON.parse(readFileSync(0, "utf8"));

// What the translator adds for tools that show CQL beside its result. Clients only run it.
const FOR_TOOLS = new Set(["annotation", "localId", "locator", "signature", "resultTypeName"]);

function manager() {
  const found = new ModelManager();
  found.modelInfoLoader.registerModelInfoProvider(
    createModelInfoProvider((name) => (models[name] ? stringAsSource(readFileSync(models[name], "utf8")) : null)),
  );
  const noUnits = () => {
    throw new Error("units are not converted at build time");
  };
  const libraries = new LibraryManager(found, undefined, undefined, createUcumService(noUnits, () => null, noUnits, noUnits));
  libraries.librarySourceLoader.registerProvider(
    createLibrarySourceProvider((name) => (texts[name] ? stringAsSource(texts[name]) : null)),
  );
  return libraries;
}

function lean(value) {
  if (Array.isArray(value)) return value.map(lean);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key, each]) => !FOR_TOOLS.has(key) && !(Array.isArray(each) && each.length === 0))
      .map(([key, each]) => [key, lean(each)]),
  );
}

// Warnings are left: without FHIRHelpers the translator warns of every retrieve by code, which engines can do.
function compiled(text) {
  const translator = CqlTranslator.fromText(text, manager());
  const { library } = JSON.parse(translator.toJson());
  const errors = (library.annotation ?? [])
    .filter((each) => each.type === "CqlToElmError" && each.errorSeverity === "error")
    .map(({ startLine, startChar, message }) => ({ line: startLine, column: startChar, message }));
  return errors.length ? { errors } : { elm: { library: lean(library) } };
}

const result = Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, compiled(text)]));
// The translator writes a line of its own when it is loaded, so the result is the last line.
process.stdout.write(`\n${JSON.stringify(result)}`);
