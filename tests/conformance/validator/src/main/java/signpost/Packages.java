package signpost;

import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.IValidationSupport;
import ca.uhn.fhir.context.support.ValidationSupportContext;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveInputStream;
import org.apache.commons.compress.compressors.gzip.GzipCompressorInputStream;
import org.hl7.fhir.instance.model.api.IBaseResource;

/**
 * Definitions from IG packages (.tgz) and Bundles (.json), parsed when first asked for: most are never looked at.
 *
 * <p>HAPI's NpmPackageValidationSupport parses everything at once, stumbles over the "._" files some archives carry,
 * and lets the last package win where two define the same URL. Here the first one wins, and `url|version` is exact.
 */
final class Packages implements IValidationSupport {
    private static final Set<String> KINDS = Set.of("StructureDefinition", "ValueSet", "CodeSystem");
    private static final String JSON_NAME = "http://hl7.org/fhir/tools/StructureDefinition/json-name";

    private final ObjectMapper json = new ObjectMapper();
    private final FhirContext fhir;
    private final Map<String, String> sources = new HashMap<>();
    private final Map<String, IBaseResource> parsed = new HashMap<>();
    private final List<String> namedExtensions = new ArrayList<>();

    Packages(FhirContext fhir, List<Path> files) throws IOException {
        this.fhir = fhir;
        for (Path file : files) {
            if (file.toString().endsWith(".tgz")) {
                readPackage(file);
            } else {
                json.readTree(file.toFile()).path("entry").forEach(entry -> add(entry.path("resource")));
            }
        }
    }

    private void readPackage(Path file) throws IOException {
        try (InputStream bytes = new BufferedInputStream(Files.newInputStream(file));
                TarArchiveInputStream tar = new TarArchiveInputStream(new GzipCompressorInputStream(bytes))) {
            for (TarArchiveEntry entry = tar.getNextEntry(); entry != null; entry = tar.getNextEntry()) {
                if (entry.getName().matches("package/[A-Z][^/]*\\.json")) {
                    add(json.readTree(new String(tar.readAllBytes(), StandardCharsets.UTF_8)));
                }
            }
        }
    }

    private void add(JsonNode definition) {
        String kind = definition.path("resourceType").asText();
        String url = definition.path("url").asText();
        if (!KINDS.contains(kind)) {
            return;
        }
        String source = definition.toString();
        sources.putIfAbsent(kind + " " + url, source);
        sources.putIfAbsent(kind + " " + url + "|" + definition.path("version").asText(), source);
        if (definition.at("/differential/element/0/extension").findValuesAsText("url").contains(JSON_NAME)) {
            namedExtensions.add(url);
        }
    }

    private IBaseResource fetch(String kind, String canonical) {
        String key = kind + " " + canonical;
        return sources.containsKey(key)
                ? parsed.computeIfAbsent(key, each -> fhir.newJsonParser().parseResource(sources.get(each)))
                : null;
    }

    @Override
    public FhirContext getFhirContext() {
        return fhir;
    }

    @Override
    public IBaseResource fetchStructureDefinition(String url) {
        return fetch("StructureDefinition", url);
    }

    @Override
    public IBaseResource fetchValueSet(String url) {
        return fetch("ValueSet", url);
    }

    @Override
    public IBaseResource fetchCodeSystem(String url) {
        return fetch("CodeSystem", url);
    }

    @Override
    public boolean isCodeSystemSupported(ValidationSupportContext context, String url) {
        return sources.containsKey("CodeSystem " + url);
    }

    @Override
    public boolean isValueSetSupported(ValidationSupportContext context, String url) {
        return sources.containsKey("ValueSet " + url);
    }

    /** Only what cannot be asked for by URL: the extensions CDS Hooks writes under a name of their own. */
    @Override
    @SuppressWarnings("unchecked")
    public <T extends IBaseResource> List<T> fetchAllStructureDefinitions() {
        return (List<T>) namedExtensions.stream().map(this::fetchStructureDefinition).toList();
    }
}
