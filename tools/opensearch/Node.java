import java.util.concurrent.CountDownLatch;
import org.codelibs.opensearch.runner.OpenSearchRunner;

/**
 * One OpenSearch node in this JVM, on loopback, for tests. It takes system properties: folder, http and
 * transport (ports), and watcher (a process id). The runner's own main swallows the reason of a failed start, refuses HTTP ports above
 * 9299 and lets the transport port be any; hence this class. The runner adds a node's number, 1, to the
 * HTTP port it is given.
 */
public class Node extends OpenSearchRunner {
    Node() {
        maxHttpPort = 65535;
    }

    void begin() {
        int http = Integer.getInteger("http");
        int transport = Integer.getInteger("transport");
        onBuild((number, settings) -> {
            settings.put("network.host", "127.0.0.1");
            settings.put("http.port", http);
            settings.put("transport.port", transport);
            settings.put("discovery.type", "single-node");
            settings.put("cluster.routing.allocation.disk.threshold_enabled", false);
        });
        build("-basePath", System.getProperty("folder"), "-numOfNode", "1", "-baseHttpPort", "" + (http - 1), "-clusterName", "ei-test");
    }

    public static void main(String[] args) {
        // The script's watcher ends this; when that was killed, nobody else does.
        ProcessHandle.of(Long.getLong("watcher")).ifPresent(p -> p.onExit().thenRun(() -> Runtime.getRuntime().halt(1)));
        Node node = new Node();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                node.close();
            } catch (Exception e) {
                System.err.println(e);
            }
        }));
        try {
            node.begin();
            new CountDownLatch(1).await();
        } catch (Throwable t) {
            t.printStackTrace();
            System.exit(1);
        }
    }
}
