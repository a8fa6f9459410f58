import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.lang.reflect.Method;
import java.lang.reflect.Parameter;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.openapitools.client.ApiClient;
import org.openapitools.client.api.EventsApi;
import org.openapitools.client.api.ProjectsApi;
import org.openapitools.client.api.UsageApi;
import org.openapitools.client.model.*;

/** Asks by the client that openapi-generator makes for Java: questions on stdin, answers on stdout. */
public class Asking {
    private static final ObjectMapper MAPPER = ApiClient.createDefaultObjectMapper();

    public static void main(String[] arguments) throws Exception {
        JsonNode asked = MAPPER.readTree(System.in);
        ApiClient client = new ApiClient();
        client.updateBaseUri(System.getenv("USAGELEDGER_URL"));
        client.setRequestInterceptor(
                request -> request.header("Authorization", "Bearer " + System.getenv("USAGELEDGER_KEY")));
        UsageApi usage = new UsageApi(client);
        ProjectsApi projects = new ProjectsApi(client);

        ObjectNode found = MAPPER.createObjectNode();
        ArrayNode answers = found.putArray("answers");
        for (JsonNode question : asked.get("questions")) {
            answers.add(ask(usage, question.get(0).asText(), (ObjectNode) question.get(1)));
        }
        found.set("projects", MAPPER.valueToTree(allProjects(projects)));

        int at = asked.get("at").asInt();
        String project = asked.get("project").asText();
        CompletionsEvent event = new CompletionsEvent()
                .kind(CompletionsEvent.KindEnum.COMPLETIONS)
                .id("sent")
                .timestamp(new EventTimestamp((long) at))
                .projectId(project)
                .inputTokens(asked.get("tokens").asLong())
                .outputTokens(1L);
        ImagesEvent other = new ImagesEvent()
                .kind(ImagesEvent.KindEnum.IMAGES)
                .id("image")
                .timestamp(new EventTimestamp((long) at))
                .images(2L);
        EventBatch batch = new EventsApi(client).ingestEvents(List.of(new Event(event), new Event(other)));
        found.put("accepted", batch.getAccepted() + batch.getDuplicates());
        CompletionsPage sent =
                usage.usageCompletions(at, null, null, null, List.of(project), null, null, null, null, null, 1, null);
        found.put("tokens", sent.getData().get(0).getResults().get(0).getInputTokens());
        Project made = projects.createProject(new ProjectCreate().name("made"));
        found.put("renamed", projects.modifyProject(made.getId(), new ProjectUpdate().name("renamed")).getName());
        System.out.println(MAPPER.writeValueAsString(found));
    }

    /** Gives the buckets of all pages. */
    private static ArrayNode ask(UsageApi usage, String kind, ObjectNode question) throws Exception {
        ArrayNode buckets = MAPPER.createArrayNode();
        while (true) {
            JsonNode page = MAPPER.valueToTree(call(usage, camel("usage_" + kind), question));
            page.get("data").forEach(buckets::add);
            if (!page.hasNonNull("next_page")) {
                return buckets;
            }
            question.set("page", page.get("next_page"));
        }
    }

    /** Calls a method by the names of its parameters. */
    private static Object call(Object api, String name, ObjectNode question) throws Exception {
        ObjectNode given = MAPPER.createObjectNode();
        question.fields().forEachRemaining(each -> given.set(camel(each.getKey()), each.getValue()));
        Method method = Arrays.stream(api.getClass().getMethods())
                .filter(each -> each.getName().equals(name))
                .filter(each -> Arrays.stream(each.getParameters()).noneMatch(one -> one.getName().equals("headers")))
                .findFirst()
                .orElseThrow();
        List<Object> values = new ArrayList<>();
        for (Parameter parameter : method.getParameters()) {
            values.add(MAPPER.convertValue(
                    given.get(parameter.getName()), MAPPER.constructType(parameter.getParameterizedType())));
        }
        return method.invoke(api, values.toArray());
    }

    /** Lists the ids of projects, two at a time. */
    private static List<String> allProjects(ProjectsApi projects) throws Exception {
        List<String> ids = new ArrayList<>();
        String after = null;
        while (true) {
            ProjectList page = projects.listProjects(2, after, null, null);
            page.getData().forEach(project -> ids.add(project.getId()));
            if (!page.getHasMore()) {
                return ids;
            }
            after = page.getLastId();
        }
    }

    private static String camel(String name) {
        StringBuilder made = new StringBuilder();
        for (String word : name.split("_")) {
            made.append(made.isEmpty() ? word : word.substring(0, 1).toUpperCase() + word.substring(1));
        }
        return made.toString();
    }
}
