import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Path;

/**
 * `java SendEvents.java URL KEY FILE...`: posts each file of events twice, and asks for the meters after each.
 *
 * The client is Java's own as it comes: over plain HTTP it asks with `Upgrade: h2c`. Files are sent with their length
 * and, where the server is to be asked first, after `Expect: 100-continue`; then in chunks.
 */
class SendEvents {
    public static void main(String[] arguments) throws Exception {
        var client = HttpClient.newHttpClient();
        var url = arguments[0];
        for (int number = 2; number < arguments.length; number++) {
            var file = BodyPublishers.ofFile(Path.of(arguments[number]));
            var chunked = BodyPublishers.fromPublisher(BodyPublishers.ofFile(Path.of(arguments[number])));
            for (var body : new HttpRequest.BodyPublisher[] {file, chunked}) {
                var post = HttpRequest.newBuilder(URI.create(url + "/v1/events"))
                    .header("Authorization", "Bearer " + arguments[1])
                    .header("Content-Type", "application/x-ndjson")
                    .expectContinue(body == file)
                    .POST(body)
                    .build();
                print(client.send(post, BodyHandlers.ofString()));
                var get = HttpRequest.newBuilder(URI.create(url + "/v1/meters"))
                    .header("Authorization", "Bearer " + arguments[1])
                    .build();
                print(client.send(get, BodyHandlers.ofString()));
            }
        }
    }

    private static void print(HttpResponse<String> answer) {
        System.out.println(answer.statusCode() + " " + answer.version() + " " + answer.body());
    }
}
