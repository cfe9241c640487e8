package signpost;

import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.DefaultProfileValidationSupport;
import ca.uhn.fhir.validation.FhirValidator;
import ca.uhn.fhir.validation.ValidationOptions;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.hl7.fhir.common.hapi.validation.support.CommonCodeSystemsTerminologyService;
import org.hl7.fhir.common.hapi.validation.support.InMemoryTerminologyServerValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.SnapshotGeneratingValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.ValidationSupportChain;
import org.hl7.fhir.common.hapi.validation.validator.FhirInstanceValidator;

/**
 * HL7's instance validator as a process: the arguments are IG packages and Bundles of definitions, the more important
 * first.
 *
 * <p>Prints READY, then answers each line of standard input, {"id", "profile": canonical or null, "resource"}, with one
 * line {"id", "issues": [{"severity", "location", "message"}]}.
 */
public final class Judge {
    private final ObjectMapper json = new ObjectMapper();
    private final FhirValidator validator;

    private Judge(List<Path> packages) throws IOException {
        FhirContext fhir = FhirContext.forR4();
        ValidationSupportChain definitions = new ValidationSupportChain(
                new Packages(fhir, packages),
                new DefaultProfileValidationSupport(fhir),
                new CommonCodeSystemsTerminologyService(fhir),
                new InMemoryTerminologyServerValidationSupport(fhir),
                new SnapshotGeneratingValidationSupport(fhir));
        FhirInstanceValidator engine = new FhirInstanceValidator(definitions);
        engine.setErrorForUnknownProfiles(true);
        validator = fhir.newValidator().registerValidatorModule(engine);
    }

    public static void main(String[] packages) throws IOException {
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        System.setOut(System.err); // whatever a library prints is not an answer
        Judge judge = new Judge(Stream.of(packages).map(Path::of).toList());
        out.println("READY");
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            out.println(judge.answer(judge.json.readTree(line)));
        }
    }

    private ObjectNode answer(JsonNode asked) {
        ValidationOptions options = new ValidationOptions();
        if (asked.hasNonNull("profile")) {
            options.addProfile(asked.get("profile").asText());
        }
        ObjectNode answer = json.createObjectNode();
        answer.set("id", asked.get("id"));
        ArrayNode issues = answer.putArray("issues");
        try {
            validator.validateWithResult(asked.get("resource").toString(), options).getMessages().forEach(each ->
                    issue(issues, each.getSeverity().getCode(), each.getLocationString(), each.getMessage()));
        } catch (RuntimeException broken) {
            issue(issues, "fatal", "", "the validator itself failed: " + broken);
        }
        return answer;
    }

    private static void issue(ArrayNode issues, String severity, String location, String message) {
        issues.addObject().put("severity", severity).put("location", location).put("message", message);
    }
}
